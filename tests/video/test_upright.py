"""Turning pictures: every orientation, and turns on top of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chereme.errors import UsageError
from chereme.video import open_video, write_video
from chereme.video.upright import Orientation

EVERY = [Orientation(*flags) for flags in itertools.product((False, True), repeat=3)]


@pytest.mark.parametrize("orientation", EVERY)
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turn_on_top_of_an_orientation(orientation: Orientation, degrees: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    expected = np.rot90(orientation.apply(image), -degrees // 90)  # rot90 is counter-clockwise
    np.testing.assert_array_equal(orientation.turned(degrees).apply(image), expected)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("stated", [0, 90])
def test_a_recording_is_turned_beyond_what_it_says(tmp_path, pictures, rotate, stated) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(3), 30, rotation=stated, quality=5)
    with open_video(path) as video:
        plain = [frame.image for frame in video]
    with open_video(path, rotate=rotate) as video:
        turned = [frame.image for frame in video]
    assert video.facts.rotation == (stated + rotate) % 360
    assert (video.facts.height, video.facts.width) == turned[0].shape[:2]
    for before, after in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(after, np.rot90(before, -rotate // 90))


@pytest.mark.parametrize("rotate", [45, -90, 360])
def test_other_angles_are_wrong_use(tmp_path, pictures, rotate) -> None:
    write_video(tmp_path / "clip.mp4", pictures(1), 30)
    with pytest.raises(UsageError, match=rf"rotate: expected 0, 90, 180 or 270 .* got {rotate}"):
        open_video(tmp_path / "clip.mp4", rotate=rotate)
