"""Which frames are taken of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.hands.both import choose_frames


def test_the_middle_frame_of_each_part() -> None:
    assert choose_frames(64, 32, "spread", None).tolist() == list(range(1, 64, 2))
    assert choose_frames(10, 2, "spread", None).tolist() == [2, 7]


def test_a_random_frame_of_each_part() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([choose_frames(96, 32, "spread", rng) for _ in range(200)])
    assert (drawn // 3 == np.arange(32)).all()  # 96 / 32 = 3 frames a part
    assert all(set(part.tolist()) == {0, 1, 2} for part in (drawn % 3).T)


def test_a_window() -> None:
    assert choose_frames(40, 32, "window", None).tolist() == list(range(4, 36))
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(200):
        frames = choose_frames(40, 32, "window", rng)
        assert (np.diff(frames) == 1).all()
        assert len(frames) == 32
        starts.add(int(frames[0]))
    assert starts == set(range(9))


@pytest.mark.parametrize("count", [33, 47, 1000])
@pytest.mark.parametrize("how", ["spread", "window"])
def test_frames_are_distinct_and_of_the_clip(count, how) -> None:
    for rng in (None, np.random.default_rng(1)):
        frames = choose_frames(count, 32, how, rng)
        assert len(frames) == 32
        assert frames.min() >= 0
        assert frames.max() < count
        # Parts of 33 / 32 frames share some: a frame may come twice, but none before another.
        assert (np.diff(frames) >= (1 if how == "window" else 0)).all()


@pytest.mark.parametrize("count", [1, 5, 32])
def test_short_clips_are_taken_whole(count) -> None:
    for how in ("spread", "window"):
        assert choose_frames(count, 32, how, None).tolist() == list(range(count))
