"""Pictures beside tracks: the right ones, changed together, the same each time."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import PoseTracks, one_track, write_tracks
from chereme.systems.signx.track_augmentation import GEOMETRY
from chereme.systems.signx.video_data import (
    PictureAugmentation,
    Pictures,
    VideoData,
    Window,
    collate_videos,
    pictures_at,
)
from chereme.video import write_video

SIZE, RATE = 32, 10.0
STILL = PictureAugmentation(0, 0, 0, 0, 0, 0)
NOSE = slice(0, 2)


def spot(x: float, y: float, width: int = SIZE, height: int = SIZE) -> np.ndarray:
    """A picture with a white spot whose middle is at these shares of its sides."""
    columns = np.arange(width) + 0.5 - x * width
    rows = np.arange(height) + 0.5 - y * height
    shape = np.exp(-(columns[None] ** 2 + rows[:, None] ** 2) / 18)
    return np.repeat((255 * shape).astype(np.uint8)[..., None], 3, axis=2)


def found(image: np.ndarray) -> tuple[float, float]:
    """The middle of the spot, as shares of the sides."""
    weight = image.mean(-1).astype(float)
    rows, columns = np.indices(weight.shape) + 0.5
    x, y = ((weight * at).sum() / weight.sum() for at in (columns, rows))
    return x / weight.shape[1], y / weight.shape[0]


def nose_track(places: list[tuple[float, float]]) -> PoseTracks:
    values = np.full((len(places), 258), np.nan, np.float32)
    values[:, NOSE] = places
    return one_track("mediapipe", values, RATE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of a spot that goes from left to right, of 12, 9 and 6 frames, and one without."""
    where = tmp_path_factory.mktemp("videos")
    items = []
    for number, (split, count) in enumerate((("train", 12), ("train", 9), ("dev", 6))):
        places = [(0.2 + 0.05 * i, 0.3 + 0.1 * number) for i in range(count)]
        path = where / f"{number}.npz"
        write_tracks(nose_track(places), path)
        write_video(path.with_suffix(".mp4"), [spot(*p) for p in places], RATE, quality=5)
        items.append(
            Item(path, "A B", str(number), "s", split, video=path.with_suffix(".mp4"))  # type: ignore[arg-type]
        )
    items.append(Item(items[0].path, "A", "unseen", "s", "train"))
    write_manifest(items, where / "manifest.csv")
    return where


def data_of(folder: Path, **changes: object) -> VideoData:
    given = {"rate": None, "batch_frames": 8, "shortest": 4} | changes
    data = VideoData(str(folder), **given)  # type: ignore[arg-type]
    data.image_size = SIZE
    with pytest.warns(UserWarning, match=r"1 of 4 sentences have no video on disk \(unseen\)"):
        data.setup()
    return data


def test_pictures_are_those_of_the_tracks(folder: Path) -> None:
    data = data_of(folder)
    assert data.counts["without_video"] == 1
    for sentence in data.sentences["train"]:
        tracks, pictures = data.tracks_of(sentence), data.pictures_of(sentence)
        assert (pictures.width, pictures.height) == (SIZE, SIZE)
        places = tracks.values["mediapipe"][:, NOSE]
        assert len(pictures.images) == tracks.frames
        for image, place in zip(pictures.images, places, strict=True):
            np.testing.assert_allclose(found(image), place, atol=0.02)
    known = data.known["mediapipe"]
    assert known[NOSE].all()
    assert not known[2:].any()


def test_the_nearest_picture_is_taken_and_others_are_squares(tmp_path: Path) -> None:
    images = [np.full((32, 64, 3), 40 * i, np.uint8) for i in range(5)]
    path = tmp_path / "wide.mp4"
    write_video(path, images, RATE, quality=0)
    seen = pictures_at(path, [0.0, 0.04, 0.06, 0.21, 0.4, 0.44], 16)
    assert seen.images.shape == (6, 16, 16, 3)
    assert (seen.width, seen.height) == (64, 32)
    middle = seen.images[:, 8, 8].mean(-1)
    np.testing.assert_allclose(middle, [0, 0, 40, 80, 160, 160], atol=6)
    assert (seen.images[:, :4] == 0).all()
    assert (seen.images[:, 12:] == 0).all()
    with pytest.raises(InputError, match=r"at least 2\.00 s"):
        pictures_at(path, [0.0, 2.0], 16)


@pytest.mark.parametrize("width", [32, 64])
def test_places_move_with_the_picture(width: int) -> None:
    places = [(0.3, 0.4), (0.5, 0.5), (0.6, 0.45)]
    images = np.stack([_square(spot(*p, width=width)) for p in places])
    pictures = Pictures(images, width, SIZE)
    change = replace(STILL, scale=0.1, shift=0.06)
    moved, clip = change.changed(pictures, nose_track(places), np.random.default_rng(5))
    top = (width - SIZE) // 2
    for image, place in zip(moved, clip.values["mediapipe"][:, NOSE], strict=True):
        x, y = found(image)
        shown = (x, (y * width - top) / SIZE)
        np.testing.assert_allclose(shown, place, atol=0.02)
    assert np.abs(clip.values["mediapipe"][:, NOSE] - places).max() > 0.02
    assert np.isnan(clip.values["mediapipe"][:, 2:]).all()


def _square(image: np.ndarray) -> np.ndarray:
    rest = image.shape[1] - image.shape[0]
    return cv2.copyMakeBorder(image, rest // 2, rest - rest // 2, 0, 0, cv2.BORDER_CONSTANT)


def test_light_changes_nothing_but_the_light(folder: Path) -> None:
    clip = nose_track([(0.5, 0.5)])
    pictures = Pictures(np.full((1, 8, 8, 3), 100, np.uint8), 8, 8)
    rng = np.random.default_rng(0)
    images, same = replace(STILL, brightness=0.3).changed(pictures, clip, rng)
    assert len(np.unique(images)) == 1
    assert images[0, 0, 0, 0] != 100
    np.testing.assert_array_equal(same.values["mediapipe"], clip.values["mediapipe"])
    assert GEOMETRY["mediapipe"].width == 1.0
    untouched, _ = STILL.changed(pictures, clip, rng)
    np.testing.assert_array_equal(untouched, pictures.images)


def test_windows_repeat_and_batches_hold_what_they_say(folder: Path) -> None:
    data = data_of(folder, pictures=PictureAugmentation(), steps_per_epoch=6)
    steps = data.epoch_batches(3)
    assert steps == data.epoch_batches(3) != data.epoch_batches(4)
    assert len(steps) == 6
    frames = {0: 12, 1: 9}
    for step in steps:
        assert sum(window.count for window in step) <= max(8, *frames.values())
        assert all(w.first >= 0 and w.first + w.count <= frames[w.index] for w in step)
    assert {w.index for step in steps for w in step} == {0, 1}

    one, other = list(data.epoch_loader(3)), list(data.epoch_loader(3, skip=2))
    for batch, again in zip(one[2:], other, strict=True):
        assert torch.equal(batch.frames, again.frames)
        assert batch.sentences.ids == again.sentences.ids
    first = one[0]
    assert first.frames.dtype == torch.uint8
    assert first.frames.shape[2:] == (3, SIZE, SIZE)
    assert first.frames.shape[:2] == first.sentences.tracks["mediapipe"].shape[:2]
    assert first.sentences.lengths.tolist() == [window.count for window in steps[0]]
    (dev,) = data.whole("dev")
    assert dev.frames.shape == (1, 6, 3, SIZE, SIZE)


def test_a_window_is_that_part(folder: Path) -> None:
    data = data_of(folder)
    batch = collate_videos([data.dataset("train", 0)[Window(0, 5, 4, 0)]])
    nose = batch.sentences.tracks["mediapipe"][0, :, NOSE]
    np.testing.assert_allclose(nose[:, 0], 0.2 + 0.05 * np.arange(5, 9), atol=1e-6)
    images = batch.frames[0].permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose([found(i) for i in images], nose.numpy(), atol=0.02)


def test_what_cannot_be_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shortest"):
        VideoData(str(folder), batch_frames=8, shortest=9)
    with pytest.raises(UsageError, match="nothing below 0"):
        PictureAugmentation(noise=-0.1)
    path = tmp_path / "a.npz"
    write_tracks(nose_track([(0.5, 0.5)]), path)
    write_manifest([Item(path, "A", "a", split="train")], tmp_path / "manifest.csv")
    data = VideoData(str(tmp_path), rate=None)
    data.image_size = SIZE
    with pytest.raises(InputError, match="videos are on disk"):
        data.setup()


def test_pictures_before_the_first_that_is_wanted_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    write_video(path, (np.full((64, 64, 3), n % 200, np.uint8) for n in range(400)), RATE)
    tracemalloc.start()
    try:
        pictures_at(path, [398 / RATE, 399 / RATE], 224)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 224 * 224 * 3  # of ten pictures, not of 400
