"""Landmarks of one hand -> the features that the landmark networks read.

The features keep what tells letters apart and drop what does not: position and size of the hand in
the picture go, handshape, orientation (G/Q, K/P and U/H differ only by it) and motion (J and Z are
motions) stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.skeleton import PARENTS, palm_size
from chereme.types import VECTOR_SIZE, HandTrack

Floats = NDArray[np.floating[Any]]

# Distances between these joints describe a handshape independently of its orientation.
_DISTANCE_JOINTS = (2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20)
_PAIRS = np.array(
    [(a, b) for i, a in enumerate(_DISTANCE_JOINTS) for b in _DISTANCE_JOINTS[i + 1 :]]
)
_MOVING_JOINTS = (0, 8, 20)  # wrist, index tip (Z), little tip (J)
_SHAPE = 60 + 60 + 3 + len(_PAIRS)  # xyz of 20 joints, unit bones, palm normal, distances
FEATURES_PER_FRAME = _SHAPE + 2 * len(_MOVING_JOINTS) + 1  # and motion, and whether seen
HAND_FEATURES_PER_FRAME = FEATURES_PER_FRAME + VECTOR_SIZE
_BLOCK = 1024


def sample_times(times: Floats, rate: float) -> Floats:
    """Seconds of the samples at ``rate`` a second, from the first of ``times`` to the last."""
    start, end = float(times[0]), float(times[-1])
    samples: Floats = start + np.arange(int(np.floor((end - start) * rate + 1e-6)) + 1) / rate
    return samples


def nearest(times: Floats, at: Floats) -> NDArray[np.intp]:
    """The index of the nearest of the rising ``times``, for each of ``at``."""
    return np.searchsorted((times[1:] + times[:-1]) / 2, at)


def resample(
    values: Floats, present: NDArray[np.bool_], times: Floats, at: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Linear interpolation of ``values (T, ...)`` known at ``times`` where ``present``, to ``at``.

    A new sample is present if the nearest old one is. Values of absent ones, on the line between
    their neighbours that were seen, are for the caller to mask.
    """
    flat = values.reshape(len(values), -1)
    known = np.flatnonzero(present)
    if len(known) == 0:
        return np.zeros((len(at), *values.shape[1:])), np.zeros(len(at), dtype=bool)
    right = np.clip(np.searchsorted(times[known], at), 0, len(known) - 1)
    left = np.maximum(right - 1, 0)
    t_left, t_right = times[known[left]], times[known[right]]
    span = t_right - t_left
    weight = np.where(span > 0, (at - t_left) / np.where(span > 0, span, 1.0), 1.0)
    weight = np.clip(weight, 0.0, 1.0)[:, None]
    mixed = flat[known[left]] * (1 - weight) + flat[known[right]] * weight
    return mixed.reshape(len(at), *values.shape[1:]), present[nearest(times, at)]


def shape_features(landmarks: Floats) -> Floats:
    """Handshape and orientation of single frames: ``(T, 21, 3)`` pixels -> ``(T, F - 7)``.

    Joints relative to the wrist in palm sizes, unit bone vectors, the palm normal, and distances
    between joints in palm sizes.
    """
    size = np.maximum(palm_size(landmarks), 1e-6)
    joints = (landmarks - landmarks[:, :1]) / size[:, None, None]
    bones = joints[:, 1:] - joints[:, PARENTS[1:]]
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-6)
    normal = np.cross(joints[:, 5], joints[:, 17])
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    distances = np.linalg.norm(joints[:, _PAIRS[:, 0]] - joints[:, _PAIRS[:, 1]], axis=-1)
    return np.concatenate(
        [joints[:, 1:].reshape(len(joints), -1), bones.reshape(len(bones), -1), normal, distances],
        axis=1,
    )


def motion_features(landmarks: Floats, rate: float) -> Floats:
    """Velocity of wrist, index tip and little tip in the picture: ``(T, 21, 3)`` -> ``(T, 6)``.

    Central differences in palm sizes (median of the track) per second, through tanh(v / 4) so that
    a jump of the detector cannot swamp the network.
    """
    if len(landmarks) < 2:
        return np.zeros((len(landmarks), 2 * len(_MOVING_JOINTS)))
    size = max(float(np.median(palm_size(landmarks))), 1e-6)
    points = landmarks[:, _MOVING_JOINTS, :2].reshape(len(landmarks), -1)
    step = np.asarray(np.gradient(points, axis=0))
    velocity: Floats = np.tanh(step * rate / size / 4.0)
    return velocity


def landmark_features(track: HandTrack, rate: float) -> tuple[NDArray[np.float32], Floats]:
    """Features of a right-hand track (mirror left hands first) at ``rate`` frames a second.

    Args:
        track: landmarks in pixels of the upright frame, any frame rate, gaps masked.
        rate: samples per second of the network; times come from the track's timestamps.

    Returns:
        ``features (T', F)`` float32 with F = ``FEATURES_PER_FRAME``; frames without a whole
        hand are all zero, and the last feature is 1 where the hand is seen. ``times (T',)`` in
        seconds.
    """
    times = sample_times(track.timestamps, rate)
    present = track.present & np.isfinite(track.landmarks).all(axis=(1, 2))
    landmarks, seen = resample(
        track.landmarks.astype(np.float64), present, track.timestamps.astype(np.float64), times
    )
    features = np.zeros((len(times), FEATURES_PER_FRAME), dtype=np.float32)
    for block in range(0, len(times), _BLOCK):  # so that long recordings take little memory
        part = slice(block, block + _BLOCK)
        features[part, :_SHAPE] = shape_features(landmarks[part])
    features[:, _SHAPE:-1] = motion_features(landmarks, rate)
    features[:, -1] = 1.0
    features[~seen] = 0.0
    return features, times


def hand_features(track: HandTrack, rate: float) -> tuple[NDArray[np.float32], Floats]:
    """`landmark_features` and after them the hand network's vector, `vector_rows`.

    Args, and ``times (T',)`` in seconds: see `landmark_features`.

    Returns:
        ``features (T', HAND_FEATURES_PER_FRAME)`` float32, and ``times``.
    """
    landmarks, times = landmark_features(track, rate)
    return with_vectors(landmarks, track, vector_rows(track, landmarks, times)), times


def vector_rows(track: HandTrack, landmarks: Floats, times: Floats) -> NDArray[np.intp]:
    """``(T',)``: the frame whose vector each sample of a track takes, -1 for none.

    That is the nearest frame that has a vector, so that a gap that was bridged takes what was last
    or next seen. There is none where the hand is not seen; ``landmarks (T', F)`` and ``times`` are
    of `landmark_features`.
    """
    rows = np.full(len(times), -1)
    if track.vectors is None:
        return rows
    known = np.flatnonzero(track.vectors.any(axis=1))
    if len(known):
        seen = landmarks[:, -1] > 0
        rows[seen] = known[nearest(track.timestamps[known], times[seen])]
    return rows


def with_vectors(
    landmarks: Floats, track: HandTrack, rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Some samples' ``landmarks (N, F)`` and after them the vectors of ``rows (N,)`` of the track,
    zero where there is none: ``(N, HAND_FEATURES_PER_FRAME)`` float32."""
    features = np.zeros((len(landmarks), HAND_FEATURES_PER_FRAME), np.float32)
    features[:, :FEATURES_PER_FRAME] = landmarks
    if track.vectors is not None:
        features[rows >= 0, FEATURES_PER_FRAME:] = track.vectors[rows[rows >= 0]]
    return features
