"""Where a track is cut."""

from __future__ import annotations

import numpy as np
import pytest

import fakes
from chereme.hands.signing import hand_tracks
from chereme.recognition.config import Segmentation
from chereme.recognition.segments import hold, split
from chereme.types import HandTrack

CONFIG = Segmentation(max_gap=0.5, min_duration=0.2)


def track(seen: np.ndarray, fps: float = 30.0) -> HandTrack:
    """A hand that is there where ``seen``; its x tells the number of the frame."""
    landmarks = np.zeros((len(seen), 21, 3)) + np.arange(len(seen))[:, None, None]
    return HandTrack(
        landmarks=landmarks,
        confidence=np.repeat(seen[:, None], 21, axis=1).astype(float),
        timestamps=np.arange(len(seen)) / fps,
        width=100,
        height=100,
        handedness="right",
    )


def frames(segments: list[HandTrack], fps: float = 30.0) -> list[tuple[int, int]]:
    return [
        (round(piece.timestamps[0] * fps), round(piece.timestamps[-1] * fps)) for piece in segments
    ]


def pattern(*runs: int) -> np.ndarray:
    """Lengths of runs: seen, missing, seen, ..."""
    return np.concatenate([np.full(n, i % 2 == 0) for i, n in enumerate(runs)])


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (pattern(30), [(0, 29)]),
        (pattern(0, 10, 30, 10), [(10, 39)]),
        (pattern(30, 15, 30), [(0, 74)]),  # just half a second: one word
        (pattern(30, 16, 30), [(0, 29), (46, 75)]),
        (pattern(30, 40, 5, 40, 30), [(0, 29), (115, 144)]),  # a hand of 0.17 s flits past
        (pattern(30, 40, 6, 40, 30), [(0, 29), (70, 75), (116, 145)]),  # 0.2 s stays
        (pattern(5), []),
        (pattern(0, 30), []),
        (np.zeros(0, dtype=bool), []),
    ],
)
def test_cuts_at_long_gaps_and_drops_blips(
    seen: np.ndarray, expected: list[tuple[int, int]]
) -> None:
    assert frames(split(track(seen), CONFIG)) == expected


@pytest.mark.parametrize("fps", [10.0, 25.0, 60.0])
def test_cuts_by_seconds_at_any_rate(fps: float) -> None:
    seen = pattern(round(fps), round(0.45 * fps), round(fps), round(0.65 * fps), round(fps))
    assert len(split(track(seen, fps), CONFIG)) == 2


def test_pieces_keep_what_belongs_together() -> None:
    segments = split(track(pattern(30, 40, 30)), CONFIG)
    for piece, first in zip(segments, (0, 70), strict=True):
        assert piece.present.all()
        np.testing.assert_array_equal(piece.landmarks[:, 0, 0], first + np.arange(30))
        assert piece.landmarks.shape == (30, 21, 3)
        assert piece.confidence.shape == (30, 21)


def test_irregular_times_are_cut_by_time_and_not_by_frames() -> None:
    whole = track(np.ones(20, dtype=bool))
    times = whole.timestamps.copy()
    times[10:] += 0.8  # the camera stopped, no frame is missing from the file
    late = HandTrack(whole.landmarks, whole.confidence, times, 100, 100, "right")
    assert [len(piece.timestamps) for piece in split(late, CONFIG)] == [10, 10]


def test_a_held_frame_is_the_same_all_along() -> None:
    still = hand_tracks(fakes.spell("a", fps=3.0))[0]
    held = hold(still, duration=0.6, rate=30.0)
    assert len(held.timestamps) == 19
    assert held.timestamps[-1] == pytest.approx(0.6)
    np.testing.assert_array_equal(held.landmarks, np.repeat(still.landmarks, 19, axis=0))
    assert held.present.all()
