"""Exemplar files, and making them of collections with eyes that know the answer."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from fake_letters import BlindEyes, CornerEyes, write_collections
from numpy.lib import format as npy

from chereme.datasets.exemplars import Exemplars, build_exemplars
from chereme.datasets.letter_collections import COLLECTIONS, DEV_COLLECTIONS, PEOPLE
from chereme.errors import InputError


def same(one: Exemplars, other: Exemplars) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Exemplars)
    )


# -- files ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["exemplars.npz", "exemplars", "a.b"])
def test_save_and_load(exemplars: Exemplars, tmp_path: Path, name: str) -> None:
    exemplars.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert same(Exemplars.load(tmp_path / name), exemplars)


def _damage(path: Path, kind: str, exemplars: Exemplars) -> None:
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("letter,signer\n")
    elif kind == "folder":
        path.mkdir()
    elif kind == "another archive":
        with path.open("wb") as file:
            np.savez(file, landmarks=exemplars.landmarks)
    elif kind == "array":
        with path.open("wb") as file:
            np.save(file, exemplars.landmarks)
    elif kind == "pickle":
        with path.open("wb") as file:
            np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "sizes":  # of 250 GB, in a file of one kilobyte
        with zipfile.ZipFile(path, "w") as archive:
            for name in Exemplars.__dataclass_fields__:
                with archive.open(f"{name}.npy", "w") as file:
                    header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 21, 3)}
                    npy.write_array_header_1_0(file, header)
    elif kind == "cut off":
        exemplars.save(path)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind in ("nan", "shape"):
        landmarks = exemplars.landmarks.copy()
        landmarks[3] = np.nan
        changed = {"landmarks": landmarks if kind == "nan" else landmarks[:, :20]}
        values = {f.name: getattr(exemplars, f.name) for f in fields(Exemplars)}
        Exemplars(**(values | changed)).save(path)
    elif kind == "vectors":
        replace(exemplars, vectors=exemplars.vectors[:, :5]).save(path)
    elif kind == "before":  # there were vectors
        names = Exemplars.__dataclass_fields__.keys() - {"vectors"}
        with path.open("wb") as file:
            np.savez(file, **{name: getattr(exemplars, name) for name in names})


KINDS = [
    "absent",
    "empty",
    "text",
    "folder",
    "another archive",
    "array",
    "pickle",
    "sizes",
    "cut off",
]


@pytest.mark.parametrize("kind", [*KINDS, "nan", "shape", "vectors", "before"])
def test_other_files_are_refused(exemplars: Exemplars, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "exemplars.npz"
    _damage(path, kind, exemplars)
    with pytest.raises(InputError, match="chereme prepare exemplars") as caught:
        Exemplars.load(path)
    assert str(path) in str(caught.value)


def test_select_signers(exemplars: Exemplars) -> None:
    one, rest = exemplars.select(only=("one",)), exemplars.select(without=("one",))
    assert set(one.signer) == {"one"}
    assert set(rest.signer) == {"two"}
    assert (
        len(one.landmarks)
        == len(one.label)
        == len(one.picture)
        == (exemplars.signer == "one").sum()
    )
    assert len(one.landmarks) + len(rest.landmarks) == len(exemplars.landmarks)
    assert (len(one.motion_label), len(rest.motion_landmarks)) == (2, 0)
    np.testing.assert_array_equal(rest.landmarks, exemplars.landmarks[exemplars.signer == "two"])
    assert same(exemplars.select(), exemplars)
    assert len(exemplars.select(only=("nobody",)).landmarks) == 0


# -- building -------------------------------------------------------------------------------------
@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_collections(tmp_path)
    return tmp_path


def test_build(root: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    found = build_exemplars(
        root, CornerEyes(), workers=1, progress=lambda *step: steps.append(step)
    )
    # Of the studio a, b and the silent 3, wild c, manual d, three digits, two letters of people.
    expected = 5 + 3 + 2 * len(PEOPLE)
    assert steps == [(k, expected) for k in range(1, expected + 1)]
    pictured = found.vectors.any(axis=1)
    counts = Counter(
        zip(found.signer[pictured].tolist(), found.label[pictured].tolist(), strict=True)
    )
    shown = {(name, letter) for name in PEOPLE for letter in "ay"}
    shown |= {("hand1", "a"), ("hand2", "b"), ("hand1", ""), ("wild", "c"), ("manual", "d")}
    assert counts.keys() == shown | {("digits", "o"), ("digits", "f"), ("digits", "")}
    assert counts["hand1", "a"] <= 3
    assert 4 <= counts["wild", "c"] <= 6
    others = Counter(
        zip(found.signer[~pictured].tolist(), found.label[~pictured].tolist(), strict=True)
    )
    assert others.pop(("recording", "a")) <= 3  # of random joints
    assert others == {
        ("animation", "z"): 1,
        ("animation", "j"): 1,
        ("animation", "a"): 1,
        ("animation", ""): 1,
        ("dvorakman", "a"): 20,
        ("utkarsh4410", "a"): 20,
        ("alex", "b"): 2,
    }
    assert found.landmarks.dtype == np.float32
    assert np.isfinite(found.landmarks).all()
    assert Counter(found.motion_label.tolist()) == {"z": 1 + 2 + 1, "j": 1 + 1 + 4}
    assert set(found.motion_signer) >= {"animation", "recording", "dvorakman", "alex_kept"}
    assert "alex_kept: 0 hands of 0 pictures or recordings, 1 motions" in found.report()


def test_left_hands_of_recordings_become_right_ones(root: Path) -> None:
    """The set shows the hand of the pictures, then its mirror image."""
    found = build_exemplars(root, CornerEyes(), workers=1)
    for name in ("dvorakman", "utkarsh4410"):
        own = found.landmarks[found.signer == name]
        shapes = own - own[:, :1]
        np.testing.assert_allclose(shapes, np.broadcast_to(shapes[:1], shapes.shape), atol=1e-3)


def test_people_that_nothing_is_trained_on(root: Path) -> None:
    found = build_exemplars(root, CornerEyes(), people_dev=True, workers=1)
    assert set(found.signer) == {"seeeeeeel", "thanakritmos12", "vyshu150"}
    assert set(found.label) == {"k"}
    assert len(found.motion_label) == 0
    everything = build_exemplars(root, CornerEyes(), workers=1)
    assert not set(found.signer) & set(everything.signer)
    (root / DEV_COLLECTIONS[0]).unlink()
    with pytest.raises(InputError, match="letters_people_dev"):
        build_exemplars(root, CornerEyes(), people_dev=True, workers=1)


def test_build_repeats_itself(root: Path) -> None:
    one, again, other = (
        build_exemplars(root, CornerEyes(), workers=1, seed=seed) for seed in (1, 1, 2)
    )
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.parametrize("path", COLLECTIONS)
def test_a_missing_collection_is_named_at_once(root: Path, path: str) -> None:
    (root / path).unlink()
    eyes = CornerEyes()
    with pytest.raises(InputError, match=path.split("/")[0]):
        build_exemplars(root, eyes, workers=1)
    assert eyes.calls == [0, 0]


def test_digits_are_in_the_studio_collection_alone(root: Path) -> None:
    for path in root.iterdir():
        if path.name != "letters_studio":
            path.rename(root.parent / f"{root.name}-{path.name}")
    found = build_exemplars(root, CornerEyes(), digits=True, workers=1)
    assert set(zip(found.signer.tolist(), found.label.tolist(), strict=True)) == {
        ("hand1", "0"),
        ("hand1", "3"),
    }
    assert found.motion_landmarks.shape == (0, 24, 21, 3)
    found.save(root / "digits.npz")
    assert same(Exemplars.load(root / "digits.npz"), found)
    (root / "letters_studio" / "index.csv").unlink()
    with pytest.raises(InputError, match="expected the collection letters_studio"):
        build_exemplars(root, CornerEyes(), digits=True)


def test_where_no_hand_is_found_recordings_stay(root: Path) -> None:
    found = build_exemplars(root, BlindEyes(), workers=1)
    assert set(found.signer) == {"recording", "animation", "dvorakman", "utkarsh4410", "alex"}
    assert not found.vectors.any()
