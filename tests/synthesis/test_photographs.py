"""Clips made of photographs: of made-up collections here, and of the real ones where they are."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from chereme.datasets.clips import CropSettings
from chereme.datasets.exemplars import Exemplars
from chereme.errors import InputError, UsageError
from chereme.synthesis.photographs import PhotographClips, photographs

SETTINGS = CropSettings(size=48)


def _picture(path: Path, side: int, points: np.ndarray, ground: int) -> None:
    image = np.full((side, side, 3), ground, np.uint8)
    hull = cv2.convexHull(np.rint(points[:, :2] * side).astype(np.int32))
    cv2.fillConvexPoly(image, hull, (90, 120, 200))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def root(tmp_path: Path, exemplars: Exemplars) -> Path:
    """Two signers of the studio with a, b and c; a left b in the wild; an s in the manual."""
    points = exemplars.landmarks[0].astype(np.float32)
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    shares = points.copy()
    shares[:, :2] = 0.2 + 0.6 * (points[:, :2] - low) / (high - low).max()
    shares[:, 2] = 0
    world = (points - points.mean(axis=0)) / 1000
    (tmp_path / "letters_landmarks").mkdir()

    def landmarks(name: str, rows: list[tuple[str, str]], ending: str = "", **more: object) -> None:
        count = len(rows)
        np.savez(
            tmp_path / name,
            path=np.array([path for path, _ in rows]),
            label=np.array([label for _, label in rows]),
            image_size=np.tile([100, 100], (count, 1)),
            **{
                f"image_landmarks{ending}": np.tile(shares, (count, 1, 1)),
                f"world_landmarks{ending}": np.tile(world, (count, 1, 1)),
                **more,
            },
        )

    studio = [
        (f"letters_studio/{c}/{s}_{c}_dif_seg_1_cropped.jpeg", c)
        for s in ("hand1", "hand2")
        for c in "abcj"
    ]
    for path, _ in studio:
        _picture(tmp_path / path, 100, shares, 0)
    landmarks(
        "letters_landmarks/letters_studio_landmarks.npz",
        studio,
        signer=np.array(["hand1"] * 4 + ["hand2"] * 4),
        handedness=np.array(["Right"] * 8),
    )
    wild = [("letters_wild/b/one.jpg", "b")]
    _picture(tmp_path / wild[0][0], 100, shares, 120)
    landmarks(
        "letters_landmarks/letters_wild_landmarks.npz",
        wild,
        "_ar",
        handedness_ar=np.array(["Left"]),
    )
    _picture(tmp_path / "handshapes_261/x.jpg", 100, shares, 255)
    landmarks(
        "handshapes_261/handshapes_261_landmarks.npz",
        [("x.jpg", "")],
        handedness=np.array(["Right"]),
    )
    with (tmp_path / "handshapes_261/index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "angle", "fingerspelling"])
        writer.writeheader()
        writer.writerow({"path": "x.jpg", "angle": "1", "fingerspelling": "s"})
    return tmp_path


def test_the_pictures_of_still_letters_are_found(root: Path) -> None:
    found = photographs(root)
    assert sorted(p.signer for p in found) == ["hand1"] * 3 + ["hand2"] * 3 + ["manual", "wild"]
    assert "j" not in {p.label for p in found}
    (wild,) = (p for p in found if p.signer == "wild")
    assert wild.flip
    assert wild.aspect == 0.75
    # Shown as a right hand, and as narrow as it was before it was stretched.
    (studio, *_) = (p for p in found if p.signer == "hand1")
    np.testing.assert_allclose(wild.landmarks[:, 0], 75 - 0.75 * studio.landmarks[:, 0], atol=1e-3)


def test_clips_hold_the_hand_and_spell_what_the_signer_can(root: Path) -> None:
    maker = PhotographClips(
        root, 12, seed=2, rate=10, size=SETTINGS.size, dev=("hand2",), test=("manual",)
    )
    letters = {"hand1": "abc", "hand2": "abc", "wild": "b", "manual": "s"}
    for index in range(12):
        clip = maker.clip(index)
        sample = clip.sample
        assert (sample.id, sample.split) == maker.describe(index)
        splits = {"hand2": "dev", "manual": "test"}
        assert sample.split == splits.get(sample.signer or "", "train")
        assert sample.signer is not None
        assert set(sample.label) <= set(letters[sample.signer])
        assert sample.present.all()
        assert (sample.landmarks[..., :2] > 0).all()
        assert (sample.landmarks[..., :2] < 48).all()
        assert clip.track.world_landmarks is not None
        assert np.isfinite(clip.track.world_landmarks).all()


def test_a_hand_that_was_cut_out_stands_before_a_room(root: Path) -> None:
    maker = PhotographClips(root, 40, seed=4, rate=10, size=SETTINGS.size)
    for index in range(40):
        clip = maker.clip(index)
        if clip.sample.signer == "hand1" and len(clip.sample.label) == 1:
            break
    crop = clip.sample.crops[len(clip.sample.jpegs) // 2].astype(int)
    x, y = clip.sample.landmarks[len(clip.sample.jpegs) // 2, [0, 5, 17], :2].mean(axis=0)
    red, _, blue = crop[round(float(y)), round(float(x))]
    assert red > blue  # the hand, as painted
    border = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]])
    assert np.abs(border - border.mean(axis=0)).max() > 0 or border.mean() > 5  # not the black


def test_the_same_number_is_the_same_clip(root: Path) -> None:
    makers = [PhotographClips(root, 5, seed=s, rate=10, size=SETTINGS.size) for s in (1, 1, 2)]
    first, again, other = (maker.clip(3).sample.jpegs for maker in makers)
    assert first == again
    assert first != other


def test_a_signer_who_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="expected some of hand1, hand2, manual, wild, got hand9"):
        PhotographClips(root, 3, test=("hand9",))


def test_a_missing_collection_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index\.csv: not found; expected the collection"):
        PhotographClips(tmp_path, 3)


def test_the_real_collections(shared_data: Path) -> None:
    found = photographs(shared_data)
    assert len(found) > 1800
    assert {p.signer for p in found} == {*(f"hand{n}" for n in range(1, 6)), "wild", "manual"}
    assert len({p.label for p in found}) == 24
    clip = PhotographClips(shared_data, 3, size=SETTINGS.size).clip(0)
    assert clip.sample.crops.std() > 10
