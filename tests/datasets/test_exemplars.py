"""Reading collections of hands into exemplars, with a detector that knows the answer."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.lib import format as npy
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

import fakes
from chereme.datasets.exemplars import LETTERS, Exemplars, _agreeing, build_exemplars
from chereme.errors import InputError
from chereme.hands.detector import Detection
from chereme.hands.skeleton import mirror, palm_size

COLORS = {1: (250, 10, 10), 4: (10, 250, 10), 6: (10, 10, 250)}  # of the corners in the pictures


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


def test_files_without_vectors(exemplars: Exemplars, tmp_path: Path) -> None:
    names = Exemplars.__dataclass_fields__.keys() - {"vectors"}
    np.savez(tmp_path / "old.npz", **{name: getattr(exemplars, name) for name in names})
    found = Exemplars.load(tmp_path / "old.npz")
    assert found.vectors.shape == (len(found.label), 1152)
    assert not found.vectors.any()


@pytest.mark.parametrize("kind", [*KINDS, "nan", "shape", "vectors"])
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


# -- agreement ------------------------------------------------------------------------------------
def test_agreeing_detections() -> None:
    hand, size = fakes.draw_hand("v"), palm_size(fakes.draw_hand("v"))
    near, far = hand + np.array([0.2 * size, 0, 0]), hand + np.array([0.8 * size, 0, 0])
    deep = hand + np.array([0, 0, 3 * size])  # depth is too uncertain to judge by
    assert _agreeing([]) == []
    assert _agreeing([hand]) == []
    assert len(_agreeing([hand, near])) == 2
    assert _agreeing([hand, far]) == []
    kept = _agreeing([hand, near, far, hand])
    assert len(kept) == 3
    assert all(np.array_equal(a, b) for a, b in zip(kept, [hand, near, hand], strict=True))
    assert len(_agreeing([hand, deep])) == 2


# -- building -------------------------------------------------------------------------------------
def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def picture(path: Path, width: int = 90, height: int = 120) -> None:
    """A grey picture with three coloured squares, whose centres a detector can find."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    for color, (x, y) in zip(COLORS.values(), corners(width, height), strict=True):
        image[y - 6 : y + 7, x - 6 : x + 7] = color[::-1]
    cv2.imwrite(str(path), image)


def corners(width: int, height: int) -> list[tuple[int, int]]:
    return [(width // 4, height // 4), (3 * width // 4, height // 4), (width // 4, 3 * height // 4)]


class CornerDetector:
    """Places a hand by the three coloured squares, so it follows every change of the picture.

    In coordinates where the squares of the upright picture are (0, 0), (1, 0) and (0, 1), the
    joints of the hand are ``HAND``.
    """

    HAND = np.random.default_rng(3).uniform(0, 1, (21, 2))

    def __init__(self, side: str = "right") -> None:
        self.side, self.calls = side, 0

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        self.calls += 1
        assert image.dtype == np.uint8
        places = []
        for color in COLORS.values():
            distance = np.abs(image.astype(int) - color).sum(-1)
            near = distance < 220
            if near.sum() < 5:
                return []
            rows, columns = np.nonzero(near)
            places.append((columns.mean(), rows.mean()))
        origin, right, down = np.array(places)
        points = np.zeros((21, 3), dtype=np.float32)
        points[:, :2] = origin + self.HAND @ np.stack([right - origin, down - origin])
        points[:, 2] = np.linalg.norm(right - origin) * self.HAND[:, 0]
        return [Detection(points, points / 1000, self.side, 0.9)]  # type: ignore[arg-type]

    def close(self) -> None:
        pass


class BlindDetector(CornerDetector):
    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        return []


def animation(path: Path, frames: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(0, 0.2, (frames, 1, 21, 3))
    component = PoseHeaderComponent("HAND", [f"j{k}" for k in range(21)], [], [], "XYZC")
    header = PoseHeader(0.2, PoseHeaderDimensions(640, 480, 100), [component])
    body = NumPyPoseBody(25.0, np.ma.masked_array(points), np.ones(points.shape[:3]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Pose(header, body).write(file)
    return points[:, 0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small root folder with all five collections."""
    studio = [("a", "hand1"), ("b", "hand2"), ("3", "hand1"), ("0", "hand1")]
    rows = []
    for label, signer in studio:
        picture(tmp_path / "letters_studio" / label / "1.png")
        rows.append({"path": f"{label}/1.png", "label": label, "signer": signer})
    write_rows(tmp_path / "letters_studio" / "index.csv", rows)
    picture(tmp_path / "letters_wild" / "c.png", 120, 120)
    write_rows(tmp_path / "letters_wild" / "index.csv", [{"path": "c.png", "label": "c"}])
    rows = []
    for name, angle, letters in (("1", 1, "d,z"), ("2", 2, "d"), ("3", 1, "g"), ("4", 1, "")):
        picture(tmp_path / "handshapes_261" / f"{name}.png")
        rows.append({"path": f"{name}.png", "angle": angle, "fingerspelling": letters})
    write_rows(tmp_path / "handshapes_261" / "index.csv", rows)
    rng = np.random.default_rng(0)
    labels = np.array([*"aaaaaaajjj", *"z" * 20])
    (tmp_path / "letters_landmarks").mkdir()
    np.savez(
        tmp_path / "letters_landmarks" / "borisgraudt.npz",
        landmarks=rng.uniform(0, 1, (30, 21, 3)).astype(np.float32),
        label=labels,
        segment=np.array([0] * 7 + [1] * 3 + [2] * 20),
        aspect=np.float32(1.5),
    )
    moves = [
        ("rest", "z", "transition", 48),
        ("rest", "j", "transition", 30),
        ("rest", "a", "transition", 24),
        ("a", "j", "transition", 40),
        ("a", "b", "transition", 24),
        ("a", "rest", "transition", 24),
        ("rest", "q", "hold", 24),
    ]
    folder = tmp_path / "transitions_animation"
    for k, (_, _, _, frames) in enumerate(moves):
        animation(folder / "poses" / f"{k}.pose", frames, k)
    write_rows(
        folder / "index.csv",
        [
            {"file": f"{k}.pose", "from": m[0], "to": m[1], "kind": m[2]}
            for k, m in enumerate(moves)
        ],
    )
    return tmp_path


def test_build(root: Path) -> None:
    detector, steps = CornerDetector(), []
    found = build_exemplars(
        root, detector, variants=3, progress=lambda done, expected: steps.append((done, expected))
    )
    # Studio a, b and the silent 3 (not 0, whose handshape is the O), wild c, manual d.
    assert detector.calls == 15
    assert steps == [(k, 5) for k in range(1, 6)]
    counts = Counter(zip(found.signer.tolist(), found.label.tolist(), strict=True))
    assert counts == {
        ("hand1", "a"): 3,
        ("hand2", "b"): 3,
        ("hand1", ""): 3,
        ("wild", "c"): 3,
        ("manual", "d"): 3,
        ("recording", "a"): 3,  # every third frame; those of J and Z are movements
        ("animation", "z"): 1,
        ("animation", "j"): 1,
        ("animation", "a"): 1,
        ("animation", ""): 1,
    }
    assert found.landmarks.dtype == np.float32
    assert np.isfinite(found.landmarks).all()
    assert len(np.unique(found.picture)) == 5 + 3 + 4
    assert Counter(found.motion_label.tolist()) == {"z": 1 + 2, "j": 1}
    assert found.motion_landmarks.shape == (4, 24, 21, 3)


def test_landmarks_come_back_to_the_photograph(root: Path) -> None:
    found = build_exemplars(root, CornerDetector(), variants=8)
    (x, y), (right, _), (_, down) = corners(90, 120)
    expected = [x, y] + CornerDetector.HAND * [right - x, down - y]
    for label, signer in (("a", "hand1"), ("b", "hand2"), ("d", "manual"), ("c", "wild")):
        chosen = found.landmarks[(found.label == label) & (found.signer == signer)]
        assert len(chosen) >= 6
        error = np.abs(chosen[..., :2] - expected).max(axis=(1, 2))
        assert np.median(error) < 2.0  # pixels of 90x120
        depth = CornerDetector.HAND[:, 0] * (right - x)
        assert np.median(np.abs(chosen[..., 2] - depth)) < 2.0


def test_left_hands_are_mirrored(root: Path) -> None:
    right = build_exemplars(root, CornerDetector("right"), variants=2)
    left = build_exemplars(root, CornerDetector("left"), variants=2)
    wild = right.signer == "wild"
    np.testing.assert_allclose(left.landmarks[wild], mirror(right.landmarks[wild], 90), atol=1e-3)
    # Elsewhere the hand is known to be the right one, whatever the detector says.
    np.testing.assert_array_equal(left.landmarks[~wild], right.landmarks[~wild])


def test_recordings_and_animations(root: Path) -> None:
    found = build_exemplars(root, BlindDetector())
    with np.load(root / "letters_landmarks" / "borisgraudt.npz") as file:
        source = file["landmarks"]
    recorded = found.landmarks[found.signer == "recording"]
    np.testing.assert_allclose(recorded, source[[0, 3, 6]] * [-1.5, 1, 1.5], rtol=1e-5)
    rest = found.landmarks[(found.signer == "animation") & (found.label == "")][0]
    drawn = np.random.default_rng(5).normal(0, 0.2, (24, 21, 3))[-1]
    np.testing.assert_allclose(rest, (drawn + np.array([1.5, 0.8, 1])) * 200, rtol=1e-4, atol=1e-2)
    # Z of the recording: 14 frames of the zig-zag, ends included, as 24.
    strokes = found.motion_landmarks[found.motion_signer == "recording"]
    z = source[10:] * [-1.5, 1, 1.5]
    np.testing.assert_allclose(strokes[:, [0, -1]], [z[[0, 13]], z[[6, 19]]], rtol=1e-5)
    middle = (z[6] + z[7]) / 2  # 6.5 of 13 steps lies between samples 11 and 12 of 24
    np.testing.assert_allclose((strokes[0, 11] + strokes[0, 12]) / 2, middle, rtol=1e-4)


def test_build_repeats_itself(root: Path) -> None:
    one, again, other = (
        build_exemplars(root, CornerDetector(), variants=3, seed=seed) for seed in (1, 1, 2)
    )
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.parametrize(
    "path",
    [
        "letters_studio/index.csv",
        "letters_wild/index.csv",
        "handshapes_261/index.csv",
        "letters_landmarks/borisgraudt.npz",
        "transitions_animation/index.csv",
    ],
)
def test_a_missing_collection_is_named_at_once(root: Path, path: str) -> None:
    (root / path).unlink()
    detector = CornerDetector()
    with pytest.raises(InputError, match=path.split("/")[0]):
        build_exemplars(root, detector)
    assert detector.calls == 0


def test_digits_are_in_the_studio_collection_alone(root: Path) -> None:
    for path in root.iterdir():
        if path.name != "letters_studio":
            path.rename(root.parent / f"{root.name}-{path.name}")
    detector = CornerDetector()
    found = build_exemplars(root, detector, digits=True, variants=3)
    assert detector.calls == 6
    counts = Counter(zip(found.signer.tolist(), found.label.tolist(), strict=True))
    assert counts == {("hand1", "0"): 3, ("hand1", "3"): 3}
    assert found.motion_landmarks.shape == (0, 24, 21, 3)
    found.save(root / "digits.npz")
    assert same(Exemplars.load(root / "digits.npz"), found)
    (root / "letters_studio" / "index.csv").unlink()
    with pytest.raises(InputError, match="expected the collection letters_studio"):
        build_exemplars(root, detector, digits=True)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_an_unreadable_photograph_is_named(root: Path, content: bytes) -> None:
    (root / "letters_wild" / "c.png").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.png.*could not be read"):
        build_exemplars(root, CornerDetector())


@pytest.mark.slow
def test_counts_of_the_collections(shared_data: Path) -> None:
    """One look at each photograph is not enough to agree: only recordings and animations stay."""
    steps: list[int] = []
    found = build_exemplars(
        shared_data, BlindDetector(), variants=1, progress=lambda done, _: steps.append(done)
    )
    assert 2500 < len(steps) < 2800
    assert set(found.signer) == {"recording", "animation"}
    animated = found.label[found.signer == "animation"].tolist()
    assert sorted(animated) == ["", *LETTERS]
    assert Counter(found.label[found.signer == "recording"].tolist()).keys() == set(LETTERS) - {
        *"jz"
    }
    assert set(found.motion_label) == {"j", "z"}
    assert np.isfinite(found.landmarks).all()
