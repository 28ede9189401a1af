"""The features of a hand: what they must not see, and what they must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fakes
from chereme.hands.normalise import (
    FEATURES_PER_FRAME,
    HAND_FEATURES_PER_FRAME,
    hand_features,
    landmark_features,
    motion_features,
    nearest,
    resample,
    sample_times,
    shape_features,
)
from chereme.hands.signing import bridge_gaps, to_right_hand
from chereme.hands.skeleton import mirror, palm_size
from chereme.types import HandTrack

RATE = 30.0
SHAPE = slice(0, -7)  # what single frames show
MOTION = slice(-7, -1)


def hand_at(times: np.ndarray) -> np.ndarray:
    """``(T, 21, 3)``: a drawn hand that changes between two shapes, sways, and leans, smoothly."""
    a, b = fakes.draw_hand("v"), fakes.draw_hand("l")
    s = (0.5 - 0.5 * np.cos(2 * np.pi * times / 1.3))[:, None, None]
    depth = 15 * np.sin(np.arange(21.0))[None, :, None] * [0, 0, 1]
    sway = 40 * np.sin(2 * np.pi * times / 1.7)[:, None, None] * [1, 0.5, 0]
    hands: np.ndarray = a * (1 - s) + b * s + depth + sway
    return hands


def track_of(landmarks: np.ndarray, times: np.ndarray, **changes: object) -> HandTrack:
    values: dict = {
        "landmarks": landmarks,
        "confidence": np.ones(landmarks.shape[:2]),
        "timestamps": times,
        "width": fakes.WIDTH,
        "height": fakes.HEIGHT,
        "handedness": "right",
    }
    return HandTrack(**(values | changes))


def moving(fps: float = 30.0, seconds: float = 2.0) -> HandTrack:
    times = np.arange(round(seconds * fps) + 1) / fps
    return track_of(hand_at(times), times)


def test_width_and_type() -> None:
    features, times = landmark_features(moving(), RATE)
    assert features.shape == (61, FEATURES_PER_FRAME)
    assert features.dtype == np.float32
    np.testing.assert_allclose(times, np.arange(61) / 30)
    assert shape_features(moving().landmarks).shape[1] == FEATURES_PER_FRAME - 7
    assert np.isfinite(features).all()


@pytest.mark.parametrize("scale", [0.02, 1.0, 13.0])
def test_place_and_size_do_not_matter(scale: float) -> None:
    track = moving()
    moved = replace(track, landmarks=track.landmarks * scale + [321.0, -77.0, 12.0])
    expected, _ = landmark_features(track, RATE)
    np.testing.assert_allclose(landmark_features(moved, RATE)[0], expected, atol=1e-4)


def test_start_time_does_not_matter() -> None:
    track = moving()
    later = replace(track, timestamps=track.timestamps + 100.0)
    (expected, times), (found, later_times) = (landmark_features(t, RATE) for t in (track, later))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(later_times - 100.0, times, atol=1e-9)


def test_left_hand_reads_as_its_mirror_image() -> None:
    right = moving()
    left = replace(right, landmarks=mirror(right.landmarks, right.width), handedness="left")
    expected, _ = landmark_features(right, RATE)
    np.testing.assert_allclose(landmark_features(to_right_hand(left), RATE)[0], expected, atol=1e-4)
    assert np.abs(landmark_features(left, RATE)[0] - expected).max() > 0.5


@pytest.mark.parametrize("fps", [25.0, 60.0, 29.97])
def test_frame_rate_hardly_matters(fps: float) -> None:
    features, times = landmark_features(moving(fps), RATE)
    expected = landmark_features(track_of(hand_at(times), times), RATE)[0]
    assert len(features) >= 59
    np.testing.assert_allclose(features[1:-1, SHAPE], expected[1:-1, SHAPE], atol=0.05)
    np.testing.assert_allclose(features[1:-1, MOTION], expected[1:-1, MOTION], atol=0.05)


def test_uneven_timestamps() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 2, 200))
    features, at = landmark_features(track_of(hand_at(times), times), RATE)
    expected = shape_features(hand_at(at))
    np.testing.assert_allclose(features[:, SHAPE], expected, atol=0.1)


def test_gaps_are_zero_and_flagged() -> None:
    track = moving()
    confidence, landmarks = track.confidence.copy(), track.landmarks.copy()
    confidence[20:35] = 0.0
    landmarks[20:35] = np.nan
    features, _ = landmark_features(
        replace(track, confidence=confidence, landmarks=landmarks), RATE
    )
    assert not features[20:35].any()
    assert (features[:20, -1] == 1).all()
    assert (features[35:, -1] == 1).all()
    whole = landmark_features(track, RATE)[0]
    np.testing.assert_allclose(features[:19], whole[:19], atol=1e-5)
    np.testing.assert_allclose(features[36:], whole[36:], atol=1e-5)


def test_no_hand_at_all() -> None:
    track = moving()
    empty = replace(
        track,
        confidence=np.zeros_like(track.confidence),
        landmarks=np.full_like(track.landmarks, np.nan),
    )
    assert not landmark_features(empty, RATE)[0].any()


def test_one_frame() -> None:
    hand = fakes.draw_hand("a")[None]
    features, times = landmark_features(track_of(hand, np.array([4.2])), RATE)
    assert (features.shape, times.tolist()) == ((1, FEATURES_PER_FRAME), [4.2])
    np.testing.assert_allclose(features[0, SHAPE], shape_features(hand)[0], rtol=1e-5)
    assert not features[0, MOTION].any()
    assert features[0, -1] == 1


def test_resample_as_numpy_interpolates() -> None:
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.uniform(0.01, 0.09, 40))
    values = rng.normal(size=(40, 2, 3))
    present = rng.random(40) < 0.7
    at = np.linspace(times[0] - 0.1, times[-1] + 0.1, 77)
    found, seen = resample(values, present, times, at)
    expected = [
        np.interp(at, times[present], column) for column in values[present].reshape(-1, 6).T
    ]
    np.testing.assert_allclose(found.reshape(-1, 6), np.stack(expected, 1), atol=1e-12)
    nearest = np.abs(times[None] - at[:, None]).argmin(1)
    np.testing.assert_array_equal(seen, present[nearest])


def test_samples_lie_between_the_first_and_the_last_time() -> None:
    np.testing.assert_allclose(sample_times(np.array([2.0, 2.5, 3.0]), 4.0), 2 + np.arange(5) / 4)
    np.testing.assert_allclose(sample_times(np.array([0.1, 0.49]), 10.0), [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(sample_times(np.array([7.0]), 30.0), [7.0])


def test_nearest_as_a_search_through_all() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.1, 50))
    at = rng.uniform(times[0] - 1, times[-1] + 1, 200)
    expected = np.abs(times[None] - at[:, None]).argmin(axis=1)
    np.testing.assert_array_equal(nearest(times, at), expected)
    assert nearest(np.array([3.0]), at).max() == 0


def test_resample_of_nothing() -> None:
    found, seen = resample(
        np.full((3, 2), np.nan), np.zeros(3, dtype=bool), np.arange(3.0), np.arange(5.0)
    )
    assert not found.any()
    assert not seen.any()
    assert found.shape == (5, 2)


def test_velocity_of_a_linear_motion() -> None:
    hand = fakes.draw_hand("b")
    speed = np.array([2.0, -3.0, 50.0])  # palms a second; depth is not in the picture
    size = float(palm_size(hand))
    times = np.arange(20) / RATE
    line = hand + speed * size * times[:, None, None]
    expected = np.tile(np.tanh(speed[:2] / 4), 3)
    np.testing.assert_allclose(motion_features(line, RATE), np.tile(expected, (20, 1)), atol=1e-9)
    features, _ = landmark_features(track_of(line, times), RATE)
    np.testing.assert_allclose(features[:, MOTION], np.tile(expected, (20, 1)), atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_orientation_is_kept(axis: int) -> None:
    hand = fakes.draw_hand("v") + [[0, 0, z] for z in np.linspace(-9, 9, 21)]
    c, s = np.cos(0.6), np.sin(0.6)
    i, j = (k for k in range(3) if k != axis)
    turn = np.eye(3)
    turn[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    upright, turned = shape_features(np.stack([hand, (hand - hand[0]) @ turn.T]))
    joints = (hand - hand[0]) / palm_size(hand)
    np.testing.assert_allclose(upright[:60].reshape(20, 3), joints[1:], atol=1e-9)
    np.testing.assert_allclose(turned[:60].reshape(20, 3), joints[1:] @ turn.T, atol=1e-9)
    np.testing.assert_allclose(turned[120:123], turn @ upright[120:123], atol=1e-9)  # normal
    np.testing.assert_allclose(turned[123:], upright[123:], atol=1e-9)  # distances
    assert np.abs(turned - upright).max() > 0.3


def test_bones_are_unit_and_depth_counts() -> None:
    hand = hand_at(np.array([0.3]))
    bones = shape_features(hand)[0, 60:120].reshape(20, 3)
    np.testing.assert_allclose(np.linalg.norm(bones, axis=1), 1.0, atol=1e-9)
    flat = hand * [1, 1, 0]
    difference = np.abs(shape_features(hand) - shape_features(flat))
    assert difference[0, 123:].max() > 0.05  # distances are in space, not in the picture


def test_degenerate_hands_stay_finite() -> None:
    point = np.zeros((3, 21, 3))
    features, _ = landmark_features(track_of(point, np.arange(3) / RATE), RATE)
    assert np.isfinite(features).all()


def test_a_hand_that_is_seen_in_part_counts_as_absent() -> None:
    track = moving()
    confidence, landmarks = track.confidence.copy(), track.landmarks.copy()
    confidence[10, 8] = 0.0
    landmarks[10, 8] = np.nan
    features, _ = landmark_features(
        replace(track, confidence=confidence, landmarks=landmarks), RATE
    )
    assert np.flatnonzero(features[:, -1] == 0).tolist() == [10]
    assert not features[10].any()
    assert np.isfinite(features).all()


# -- with the hand network's vectors --------------------------------------------------------------
def test_each_sample_has_the_vector_of_the_nearest_frame() -> None:
    times = np.array([0.0, 0.05, 0.1, 0.13, 0.2])
    vectors = np.random.default_rng(0).normal(size=(5, 1152)).astype(np.float16)
    confidence = np.ones((5, 21))
    confidence[2] = 0.0
    track = track_of(hand_at(times), times, vectors=vectors, confidence=confidence)
    features, at = hand_features(track, RATE)
    assert features.shape == (7, HAND_FEATURES_PER_FRAME)
    assert features.dtype == np.float32
    expected, expected_at = landmark_features(track, RATE)
    np.testing.assert_array_equal(features[:, :FEATURES_PER_FRAME], expected)
    np.testing.assert_array_equal(at, expected_at)
    shown = [0, 1, 1, None, 3, 4, 4]  # samples at 0, 33, 67, 100, 133, 167 and 200 ms
    for row, frame in zip(features[:, FEATURES_PER_FRAME:], shown, strict=True):
        np.testing.assert_array_equal(row, 0 if frame is None else vectors[frame])


def test_a_track_without_vectors_has_zeros_in_their_place() -> None:
    features, _ = hand_features(moving(), RATE)
    assert features[:, :FEATURES_PER_FRAME].any()
    assert not features[:, FEATURES_PER_FRAME:].any()


def test_vectors_go_with_the_part_of_a_track() -> None:
    track = moving()
    vectors = np.arange(len(track.timestamps) * 1152, dtype=np.float32).reshape(-1, 1152)
    part = replace(track, vectors=vectors).part(3, 5)
    assert part.vectors is not None
    np.testing.assert_array_equal(part.vectors, vectors[3:6])


def test_a_bridged_gap_takes_the_vectors_beside_it() -> None:
    times = np.arange(8) / RATE
    landmarks, vectors = hand_at(times), np.zeros((8, 1152), np.float16)
    vectors[[0, 1, 6, 7]] = np.arange(1, 5)[:, None]
    confidence = np.ones((8, 21))
    landmarks[2:6], confidence[2:6] = np.nan, 0.0
    track = bridge_gaps(track_of(landmarks, times, vectors=vectors, confidence=confidence))
    features, _ = hand_features(track, RATE)
    np.testing.assert_array_equal(features[:, -1], [1, 2, 2, 2, 3, 3, 3, 4])
    empty = hand_features(replace(track, vectors=np.zeros_like(vectors)), RATE)[0]
    np.testing.assert_array_equal(empty[:, :FEATURES_PER_FRAME], features[:, :FEATURES_PER_FRAME])
    assert not empty[:, FEATURES_PER_FRAME:].any()
