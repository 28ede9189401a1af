"""Which frames are taken of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.errors import InputError, UsageError
from chereme.models.hand_aware import SAMPLES, sample_frames


def test_the_middle_frame_of_each_part() -> None:
    assert SAMPLES == 32
    assert sample_frames(64).tolist() == list(range(1, 64, 2))
    assert sample_frames(10, 2).tolist() == [2, 7]


def test_a_random_frame_of_each_part() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([sample_frames(96, rng=rng) for _ in range(200)])
    assert (drawn // 3 == np.arange(32)).all()  # 96 / 32 = 3 frames a part
    assert all(set(part.tolist()) == {0, 1, 2} for part in (drawn % 3).T)


def test_a_window() -> None:
    assert sample_frames(40, how="window").tolist() == list(range(4, 36))
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(200):
        frames = sample_frames(40, rng=rng, how="window")
        assert (np.diff(frames) == 1).all()
        assert len(frames) == 32
        starts.add(int(frames[0]))
    assert starts == set(range(9))


@pytest.mark.parametrize("count", [33, 47, 1000])
@pytest.mark.parametrize("how", ["segments", "window"])
def test_frames_are_distinct_and_of_the_clip(count, how) -> None:
    for rng in (None, np.random.default_rng(1)):
        frames = sample_frames(count, rng=rng, how=how)
        assert len(frames) == 32
        assert frames.min() >= 0
        assert frames.max() < count
        # Parts of 33 / 32 frames share some: a frame may come twice, but none before another.
        assert (np.diff(frames) >= (1 if how == "window" else 0)).all()


@pytest.mark.parametrize("count", [1, 5, 32])
def test_short_clips_are_taken_whole(count) -> None:
    for how in ("segments", "window"):
        assert sample_frames(count, how=how).tolist() == list(range(count))


def test_wrong_use_is_told() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        sample_frames(0)
    with pytest.raises(UsageError, match="at least one"):
        sample_frames(5, 0)
    with pytest.raises(UsageError, match="segments or window"):
        sample_frames(5, how="random")
