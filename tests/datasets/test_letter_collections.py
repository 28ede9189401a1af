"""Reading collections of letters: pictures, where their hands are, recordings, motions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fake_letters import hand_in, write_collections, write_person

from chereme.datasets.letter_collections import (
    COLLECTIONS,
    DEV_PEOPLE,
    LANDMARK_SETS,
    LETTERS,
    PEOPLE,
    animations,
    collection_file,
    dev_pictures,
    motions,
    pictures,
    recordings,
)
from chereme.errors import InputError
from chereme.hands.skeleton import mirror


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("collections")
    write_collections(root)
    return root


def test_pictures(root: Path) -> None:
    found = Counter((p.signer, p.label) for p in pictures(root))
    people = {(name, letter): 1 for name in PEOPLE for letter in "ay"}
    assert found == people | {
        ("hand1", "a"): 1,
        ("hand2", "b"): 1,
        ("hand1", ""): 1,  # 3, not 0, whose handshape is the O
        ("wild", "c"): 1,
        ("manual", "d"): 1,
        # Of 0, 1, 4, 5 and 9: what is like a letter, and what is like none.
        ("digits", "o"): 1,
        ("digits", ""): 1,
        ("digits", "f"): 1,
    }
    assert [p.label for p in pictures(root, digits=True)] == ["a", "b", "3", "0"][2:]
    assert Counter(p.signer for p in dev_pictures(root)) == dict.fromkeys(DEV_PEOPLE, 1)


@pytest.mark.parametrize("size", [1, 2])
def test_landmarks_of_the_frame_are_found_in_the_crop(tmp_path: Path, size: int) -> None:
    """``size``: crops that are too large were made smaller."""
    write_collections(tmp_path)
    name = PEOPLE[0]
    write_person(tmp_path / "letters_people", f"{name}.", f"{name}/", "a", size)
    hand = next(p for p in pictures(tmp_path) if p.signer == name).landmarks
    assert hand is not None
    # The picture of the test is not cut as the collection says: its hand has another place.
    expected = hand_in(90, 120)[:, :2]
    scale = np.ptp(hand[:, :2], axis=0) / np.ptp(expected, axis=0)
    assert scale[0] == pytest.approx(scale[1], rel=1e-4)
    np.testing.assert_allclose(
        hand[:, :2] / scale - expected,
        hand[0, :2] / scale - expected[0] + np.zeros((21, 2)),
        atol=1e-2,
    )


def test_recordings_of_known_sides(root: Path) -> None:
    found = list(recordings(root))
    with np.load(root / "letters_landmarks" / "borisgraudt.npz") as file:
        source = file["landmarks"]
    recorded = [r for r in found if r.signer == "recording"]
    assert [r.label for r in recorded] == ["a", "a", "a"]  # every third frame; no J and Z
    np.testing.assert_allclose(
        np.concatenate([r.landmarks for r in recorded]),
        source[[0, 3, 6]] * [-1.5, 1, 1.5],
        rtol=1e-5,
    )
    with np.load(root / "sequences" / "traduttore_letters.npz") as file:
        left = file["hands"][0, [4, 16], 0]  # frame 10 shows no hand
    (held,) = [r for r in found if r.signer == "alex"]
    assert (held.label, held.side) == ("b", "right")
    np.testing.assert_allclose(held.landmarks, mirror(left * [1.61, 1, 1.61], None), rtol=1e-5)


@pytest.mark.parametrize(("name", "aspect"), LANDMARK_SETS.items())
def test_recordings_are_cut_where_the_hand_jumps(root: Path, name: str, aspect: float) -> None:
    found = [r for r in recordings(root) if r.signer == name]
    assert [(r.label, r.side, len(r.landmarks)) for r in found] == [("a", None, 10)] * 2
    np.testing.assert_allclose(found[0].landmarks[3], hand_in(90, 120) / 200, atol=1e-5)
    across = found[1].landmarks[0][:, 0] + hand_in(90, 120)[:, 0] / 200
    np.testing.assert_allclose(across, aspect, atol=1e-5)


def test_motions(root: Path) -> None:
    found = list(motions(root))
    assert all(m.landmarks.shape == (24, 21, 3) for m in found)
    # Of the jz file one is too short and one is known to be broken; one hand hardly moves.
    assert Counter((m.signer, m.label, m.side) for m in found) == {
        ("recording", "z", "right"): 2,
        ("dvorakman", "j", None): 1,
        ("alex", "j", "right"): 3,
        ("alex_kept", "j", "right"): 1,
        ("danial", "z", "right"): 1,
    }
    with np.load(root / "letters_landmarks" / "borisgraudt.npz") as file:
        z = file["landmarks"][10:] * [-1.5, 1, 1.5]
    strokes = [m.landmarks for m in found if m.signer == "recording"]
    # 14 frames of the zig-zag, ends included, as 24.
    np.testing.assert_allclose([s[[0, -1]] for s in strokes], [z[[0, 13]], z[[6, 19]]], rtol=1e-5)
    middle = (z[6] + z[7]) / 2  # 6.5 of 13 steps lies between samples 11 and 12 of 24
    np.testing.assert_allclose((strokes[0][11] + strokes[0][12]) / 2, middle, rtol=1e-4)


def test_animations(root: Path) -> None:
    holds, drawn = animations(root)
    assert holds.keys() == {"z", "j", "a", "rest"}
    assert drawn.keys() == {"z", "j"}
    source = np.random.default_rng(5).normal(0, 0.2, (24, 1, 21, 3))[-1, 0]
    np.testing.assert_allclose(
        holds["rest"], (source + np.array([1.5, 0.8, 1])) * 200, rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_an_unreadable_picture_is_named(tmp_path: Path, content: bytes) -> None:
    write_collections(tmp_path)
    (tmp_path / "letters_wild" / "c.png").write_bytes(content)
    wild = next(p for p in pictures(tmp_path) if p.signer == "wild")
    with pytest.raises(InputError, match=r"c\.png.*could not be read"):
        wild.read()
    (tmp_path / "letters_people" / PEOPLE[0] / "a" / "0.png").write_bytes(content)
    with pytest.raises(InputError, match=r"0\.png.*could not be read"):
        list(pictures(tmp_path))


def test_a_missing_file_is_named(root: Path) -> None:
    with pytest.raises(InputError, match="expected the collection letters_zulu"):
        collection_file(root, "letters_zulu/index.csv")


def test_the_shared_collections(shared_data: Path) -> None:
    for name in COLLECTIONS:
        collection_file(shared_data, name)
    moving = Counter(m.signer.removesuffix("_kept") for m in motions(shared_data))
    assert moving.keys() == {"recording", "dvorakman", "alex", "cam", "cam_unsure", "danial"}
    kept = sum(m.signer.endswith("_kept") for m in motions(shared_data))
    assert 0.2 < kept / (moving.total() - moving["recording"]) < 0.26
    assert {r.label for r in recordings(shared_data)} == set(LETTERS) - {*"jz"}
