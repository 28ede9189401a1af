"""Clips change as wholes, within the bounds that were asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chereme.errors import UsageError
from chereme.training.augmentation import (
    NONE,
    PAPER,
    Augmentation,
    augment_crops,
    frames_at,
    resize,
)


@pytest.fixture
def crops() -> np.ndarray:
    """Three frames of a smooth picture, brighter from frame to frame."""
    y, x = np.mgrid[:32, :32]
    picture = np.stack([4 * x, 3 * y + 30, 2 * x + 2 * y], -1)
    return np.stack([picture + 20 * t for t in range(3)]).astype(np.uint8)


def changed(crops: np.ndarray, how: Augmentation, seed: int = 0, size: int = 32, flip=False):
    return augment_crops(crops, size, np.random.default_rng(seed), how, flip=flip)


def test_nothing_asked_for_nothing_changed(crops: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(crops, NONE), crops)
    np.testing.assert_array_equal(changed(crops, NONE, flip=True), crops[:, :, ::-1])


def test_windows_are_the_same_for_all_frames_and_within_bounds(crops: np.ndarray) -> None:
    how = replace(NONE, crop=0.5)
    lows, highs = [], []
    for seed in range(40):
        out = changed(crops, how, seed).astype(float)
        # Frames differ by brightness alone, so by the same everywhere after the same cut.
        np.testing.assert_allclose(out[1] - out[0], 20, atol=1.01)
        columns = out[0, :, :, 0].mean(0) / 4  # which x is seen where
        lows.append(columns[0])
        highs.append(columns[-1])
    spans = np.array(highs) - np.array(lows)
    assert spans.min() > 14
    assert spans.max() < 31.5
    assert np.ptp(spans) > 8
    assert min(lows) < 2 < 10 < max(lows)


@pytest.mark.parametrize(
    "name", ["rotation", "colour", "blur", "noise", "erase"], ids=lambda name: name
)
def test_each_change_can_be_asked_for_alone(crops: np.ndarray, name: str) -> None:
    value = {"rotation": 20.0, "colour": 0.3, "blur": 2.0, "noise": 10.0, "erase": 1.0}[name]
    how = replace(NONE, **{name: value})
    one, again, other = (changed(crops, how, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != crops).any()
    assert (one != other).any()
    assert one.dtype == np.uint8
    assert one.shape == crops.shape


def test_rotation_turns_by_the_angle(crops: np.ndarray) -> None:
    line = np.zeros((1, 65, 65, 3), np.uint8)
    line[:, 32, 8:57] = 255
    how = replace(NONE, rotation=30.0)
    expected = np.random.default_rng(5)
    expected.uniform(size=3)  # the window
    degrees = expected.uniform(-30, 30)
    out = changed(line, how, 5, 65)[0, :, :, 0].astype(float)
    y, x = np.nonzero(out > 60)
    slope = np.polyfit(x, y, 1)[0]
    assert np.degrees(np.arctan(-slope)) == pytest.approx(degrees, abs=1.5)


def test_noise_has_its_spread_and_differs_from_frame_to_frame() -> None:
    grey = np.full((4, 64, 64, 3), 128, np.uint8)
    seed = 3
    expected = np.random.default_rng(seed)
    expected.uniform(size=3)  # the window
    sigma = expected.uniform(0, 20)
    out = changed(grey, replace(NONE, noise=20.0), seed, 64).astype(float) - 128
    assert out.std() == pytest.approx(sigma, rel=0.03)
    assert abs(out.mean()) < 0.5
    assert abs(np.corrcoef(out.reshape(4, -1))[0, 1:]).max() < 0.05
    white = changed(np.full_like(grey, 255), replace(NONE, noise=20.0), seed, 64)
    assert white.min() > 100  # no overflow


def test_erasing_covers_one_rectangle_for_the_whole_clip(crops: np.ndarray) -> None:
    out = changed(crops, replace(NONE, erase=1.0), 3)
    covered = (out != crops).any(-1)
    y, x = np.nonzero(covered[0])
    box = (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
    assert (out[:, box[0], box[1]] == out[0, y[0], x[0]]).all()
    outside = np.ones(covered.shape[1:], bool)
    outside[box] = False
    assert not covered[:, outside].any()


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    np.testing.assert_allclose(resize(stripes, 16).astype(float), 127.5, atol=1)


def test_frames_of_other_tempi() -> None:
    np.testing.assert_array_equal(frames_at(4, 1.0), [0, 1, 2, 3])
    np.testing.assert_array_equal(frames_at(4, 2.0), [0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(frames_at(10, 0.5), [1, 3, 5, 7, 9])
    assert len(frames_at(10, 0.5, least=8)) == 8
    assert len(frames_at(3, 0.5, least=8)) == 3  # never longer for the label's sake
    assert len(frames_at(1, 0.1)) == 1


def test_the_papers_augmentation_is_crop_and_flip_alone() -> None:
    assert replace(PAPER, crop=1.0, flip=0.0) == NONE
    assert (PAPER.crop, PAPER.flip) == (0.875, 0.5)


@pytest.mark.parametrize(
    "wrong", [{"crop": 0.0}, {"flip": 1.5}, {"tempo": 1.0}, {"noise": -1.0}, {"blur": float("nan")}]
)
def test_impossible_augmentation(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"augmentation: expected .* got"):
        Augmentation(**wrong)
