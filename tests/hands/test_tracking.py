from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.hands.detector import Detection
from chereme.hands.tracking import HandTracker, follow_hands, track_hands
from chereme.types import Frame, Landmarks

RATE = 30.0
Make = Callable[..., Detection]


def track(frames: list[list[Detection]], **options: Any) -> Landmarks:
    tracker = HandTracker(1280, 720, **options)
    for number, detections in enumerate(frames):
        tracker.update(detections, number / RATE)
    return tracker.finish()


def wrist_x(landmarks: Landmarks, column: int) -> np.ndarray:
    return landmarks.landmarks[:, column, 0, 0]


def test_order_and_labels_may_swap_without_swapping_hands(detection: Make) -> None:
    rng = np.random.default_rng(1)
    frames = []
    for number in range(60):
        sides = ["right", "left"] if rng.random() < 0.7 else ["left", "right"]
        pair = [detection(300 + number, 400, sides[0]), detection(800 - number, 400, sides[1])]
        frames.append(pair if rng.random() < 0.5 else pair[::-1])
    result = track(frames)
    assert set(result.handedness) == {"left", "right"}
    right = result.handedness.index("right")
    np.testing.assert_allclose(wrist_x(result, right), 300 + np.arange(60))
    np.testing.assert_allclose(wrist_x(result, 1 - right), 800 - np.arange(60))
    assert result.confidence.all()
    assert result.handedness_score is not None
    assert all(0.5 < score < 0.9 for score in result.handedness_score)


def test_two_hands_both_called_right_stay_two(detection: Make) -> None:
    result = track([[detection(300, 400), detection(800, 400)] for _ in range(20)])
    assert result.handedness == ("right", "right")
    assert sorted(wrist_x(result, 0).tolist() + wrist_x(result, 1).tolist())[::20] == [300, 800]


def test_one_hand_reported_twice_is_one(detection: Make) -> None:
    frames = [
        [detection(300, 400, "right", 0.95), detection(308, 403, "left", 0.6)] for _ in range(20)
    ]
    result = track(frames)
    assert result.handedness == ("right",)
    np.testing.assert_allclose(wrist_x(result, 0), 300)


def test_of_one_side_two_hands_that_overlap_are_one_of_both_sides_two(detection: Make) -> None:
    """30 pixels apart, 0.6 palm lengths."""
    for side, number in (("right", 1), ("left", 2)):
        frames = [[detection(300, 400), detection(330, 400, side, 0.8)] for _ in range(20)]
        assert track(frames).landmarks.shape[1] == number


def test_hands_that_cross_go_on_their_way(detection: Make) -> None:
    """Two hands of equal look pass each other; where they touch, only one is seen."""
    frames = []
    for number in range(60):
        one, other = 300 + 10 * number, 880 - 10 * number
        pair = [detection(one, 400), detection(other, 420, "left")]
        frames.append(pair[:1] if abs(one - other) < 40 else pair)
    result = track(frames)
    right = result.handedness.index("right")
    assert result.landmarks.shape[1] == 2
    seen = result.confidence[:, 1 - right, 0] > 0
    np.testing.assert_allclose(wrist_x(result, right), 300 + 10 * np.arange(60))
    np.testing.assert_allclose(wrist_x(result, 1 - right)[seen], (880 - 10 * np.arange(60))[seen])


def test_half_of_the_frames_missing_is_still_one_hand(detection: Make) -> None:
    rng = np.random.default_rng(2)
    kept = rng.random(90) < 0.5
    frames = [[detection(300 + 3 * number, 400)] if kept[number] else [] for number in range(90)]
    result = track(frames)
    assert result.handedness == ("right",)
    np.testing.assert_array_equal(result.confidence[:, 0, 0] > 0, kept)
    assert np.isnan(result.landmarks[~kept]).all()
    np.testing.assert_allclose(wrist_x(result, 0)[kept], (300 + 3 * np.arange(90))[kept])


def test_a_hand_that_comes_back_elsewhere_is_the_same_hand(detection: Make) -> None:
    away: list[list[Detection]] = [[]] * 45
    result = track([[detection(300, 600)]] * 20 + away + [[detection(900, 200)]] * 20)
    assert result.handedness == ("right",)
    assert (result.confidence[:, 0, 0] > 0).sum() == 40
    other = track([[detection(300, 600)]] * 20 + away + [[detection(900, 200, "left")]] * 20)
    assert sorted(other.handedness) == ["left", "right"]


def test_hands_of_one_side_share_columns_but_for_a_cut(detection: Make) -> None:
    """Of two shots the hands are parted, also where they are in the same place."""
    for places in ((300, 300), (300, 900)):
        tracker = HandTracker(1280, 720)
        for number in range(60):
            if number == 30:
                tracker.cut()
            tracker.update([detection(places[number // 30], 400)], number / RATE)
        result = tracker.finish()
        assert result.handedness == ("right", "right")
        np.testing.assert_array_equal(result.confidence[:, 0, 0] > 0, np.arange(60) < 30)
        np.testing.assert_array_equal(result.confidence[:, 1, 0] > 0, np.arange(60) >= 30)


def test_a_jump_that_no_hand_makes_is_another_hand(detection: Make) -> None:
    jump = track([[detection(300, 600)]] * 30 + [[detection(900, 200)]] * 30)
    assert jump.handedness == ("right", "right")
    # Of a hand that was lost for a moment it may well be the same.
    lost = track([[detection(300, 600)]] * 30 + [[]] * 6 + [[detection(900, 200)]] * 30)
    assert lost.handedness == ("right",)


def test_unsure_hands_share_no_column_with_sure_ones(detection: Make) -> None:
    sides = ["left", "right", "right"] * 10
    doubtful = [[detection(900, 300, side)] for side in sides]
    result = track([[detection(300, 600)]] * 40 + [[]] * 45 + doubtful)
    assert result.handedness == ("right", "right")
    assert result.handedness_score == pytest.approx((1.0, 2 / 3))


def test_a_quarter_of_an_hour_of_hands_that_come_and_go_loses_none(detection: Make) -> None:
    """250 trajectories, left and right, here and there, and nothing that is kept of them but the
    past."""
    rng = np.random.default_rng(5)
    frames: list[list[Detection]] = []
    expected = []
    while len(frames) < 900 * 10:  # 10 frames a second: 1.0 s is ten frames
        side = "left" if rng.random() < 0.5 else "right"
        x, y = rng.uniform([100, 100], [1200, 700])
        seen = int(rng.integers(5, 40))
        expected += [(len(frames) + number, side, x) for number in range(seen)]
        frames += [[detection(x, y, side)]] * seen
        frames += [[]] * int(rng.integers(4, 30))
    tracker = HandTracker(1280, 720)
    for number, hands in enumerate(frames):
        tracker.update(hands, number / 10)
        assert len(tracker._live) < 10
    result = tracker.finish()
    assert result.landmarks.shape[1] <= 8
    where, column = np.nonzero(result.confidence[..., 0])
    assert where.tolist() == [frame for frame, _, _ in expected]
    assert [result.handedness[c] for c in column] == [side for _, side, _ in expected]
    np.testing.assert_allclose(
        result.landmarks[where, column, 0, 0], [x for _, _, x in expected], rtol=1e-6
    )


def test_no_hand_at_all_gives_no_track() -> None:
    result = track([[]] * 30)
    assert result.landmarks.shape == (30, 0, 21, 3)
    assert result.handedness == ()
    assert result.handedness_score == ()


def test_false_alarms_are_dropped_and_tracks_bounded(detection: Make) -> None:
    rng = np.random.default_rng(3)
    frames = []
    for number in range(1200):
        hands = [detection(400 + 30 * np.sin(number / 9), 400)]
        if number % 12 == 0:
            hands.append(detection(*rng.uniform([700, 100], [1200, 700]), "left", 0.55, size=20))
        frames.append(hands)
    tracker = HandTracker(1280, 720, max_tracks=4)
    for number, hands in enumerate(frames):
        tracker.update(hands, number / RATE)
        assert len(tracker._live) <= 64
    result = tracker.finish()
    assert result.landmarks.shape[1] <= 4
    assert result.confidence[:, 0].all()  # the real hand comes first, unbroken
    single = track([[detection(400, 400)]] * 100 + [[detection(400, 400), detection(900, 300)]])
    assert single.landmarks.shape[1] == 1


def test_what_is_neither_left_nor_right_is_no_hand(detection: Make) -> None:
    sides = ["left", "right", "right", "left", "right"] * 8
    ear = [detection(900, 100, side, 0.65, size=20) for side in sides]
    doubtful = [detection(300, 400, "right", 0.6)] * 40  # from the edge, but the same throughout
    result = track([list(pair) for pair in zip(ear, doubtful, strict=True)])
    assert result.handedness == ("right",)
    np.testing.assert_allclose(wrist_x(result, 0), 300)


def test_a_still_picture_is_a_recording_of_one_frame(detection: Make) -> None:
    assert track([[detection(300, 400), detection(800, 400)]]).landmarks.shape == (1, 2, 21, 3)


class Scripted:
    """A hand that moves, wherever the picture is not black; ``resets``: before which frames."""

    def __init__(self, detection: Make) -> None:
        self.resets, self._frames, self._detection = [], 0, detection

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        self._frames += 1
        return [self._detection(100 + 100 * timestamp, 200)] if image[0, 0, 0] else []

    def reset(self) -> None:
        self.resets.append(self._frames)

    def close(self) -> None: ...


def test_track_hands_feeds_the_detector_and_needs_frames(detection: Make) -> None:
    detector = Scripted(detection)
    frames = [
        Frame(np.full((48, 64, 3), number % 2, np.uint8), number / 25) for number in range(10)
    ]
    result = track_hands(iter(frames), detector)
    assert (result.width, result.height, detector.resets) == (64, 48, [0])
    np.testing.assert_allclose(result.timestamps, np.arange(10) / 25)
    np.testing.assert_array_equal(result.confidence[:, 0, 0], np.arange(10) % 2)
    np.testing.assert_allclose(wrist_x(result, 0)[1::2], 100 + 100 * np.arange(1, 10, 2) / 25)
    with pytest.raises(InputError, match="at least one frame"):
        track_hands([], detector)


def test_at_a_cut_the_detector_begins_anew(detection: Make) -> None:
    """Else it would look for the hand of the last shot where that was."""
    detector = Scripted(detection)
    greys = [40] * 20 + [200] * 20 + [90] * 20
    frames = [Frame(np.full((48, 64, 3), g, np.uint8), n / 25) for n, g in enumerate(greys)]
    tracker = follow_hands(frames, detector)
    assert tracker.finish().confidence.any(axis=(1, 2)).all()
    assert np.flatnonzero(tracker.begins.any(axis=1)).tolist() == detector.resets == [0, 20, 40]


# -- vectors --------------------------------------------------------------------------------------
def with_vector(detection: Detection, value: float) -> Detection:
    return replace(detection, vector=np.full(1152, value, np.float32))


def test_vectors_go_with_their_hands(detection: Make) -> None:
    """Whatever the order; zero where the hand is not seen."""
    frames: list[list[Detection]] = []
    for number in range(40):
        pair = [
            with_vector(detection(300, 400), 1 + number),
            with_vector(detection(900, 400, "left"), 101 + number),
        ]
        frames.append([] if number in (7, 8) else pair[:: 1 if number % 2 else -1])
    result = track(frames, vectors=True)
    assert result.vectors is not None
    assert (result.vectors.shape, result.vectors.dtype) == ((40, 2, 1152), np.float16)
    away = np.isin(np.arange(40), (7, 8))
    for side, first in (("right", 1), ("left", 101)):
        column = result.vectors[:, result.handedness.index(side)]
        np.testing.assert_array_equal(column[:, 0], np.where(away, 0, first + np.arange(40)))
        assert (column == column[:, :1]).all()


def test_vectors_that_are_not_there_or_not_asked_for(detection: Make) -> None:
    some = [detection(300, 400)], [with_vector(detection(300, 400), 1.0)]
    assert track([some[1]] * 20).vectors is None
    assert track([some[0]] * 20, vectors=True).vectors is None
    assert track([], vectors=True).vectors is None
    seldom = [*[[with_vector(detection(300, 400), 1.0)]] * 40, [with_vector(detection(9, 9), 2.0)]]
    left_out = track(seldom, vectors=True).vectors  # what is seen once is no hand
    assert left_out is not None
    assert left_out.shape[1] == 1
    mixed = track([*some] * 10, vectors=True).vectors
    assert mixed is not None
    np.testing.assert_array_equal(mixed[:, 0, 5], [0, 1] * 10)


def test_the_vectors_of_a_hand_lie_in_a_row(detection: Make) -> None:
    """So that a column in which a hand is seen for a while takes memory for that while alone."""
    pair = [
        with_vector(detection(x, 400, side), 1.0) for x, side in ((300, "right"), (900, "left"))
    ]
    result = track([pair] * 20, vectors=True).vectors
    assert result is not None
    assert all(result[:, column].flags.c_contiguous for column in range(2))
