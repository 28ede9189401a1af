"""What a landmark detector makes of a hand: jitter, frames lost, frames mistaken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from chereme.synthesis.articulation import Articulation
from chereme.synthesis.style import SpellingStyle

Floats = NDArray[np.floating[Any]]
_BLURRED = 9.0  # palms a second
_SLOW = 0.2  # seconds in which what the hand network says wanders


def detector_noise(points: Floats, style: SpellingStyle, rng: Any) -> Floats:
    """Errors of a landmark detector: slow wander, white jitter, more of both in fast motion and in
    depth."""
    shape = points.shape
    white = rng.normal(0, style.jitter * 0.5, shape)
    slow = rng.normal(0, style.jitter, shape)
    if shape[0] > 1:
        slow = gaussian_filter1d(slow, 2.5, axis=0, mode="nearest") * 3.0
        speed = np.linalg.norm(np.gradient(points[..., :2], axis=0), axis=-1, keepdims=True)
        white = white * (1 + 6 * np.clip(speed * style.rate / 10, 0, 2))
    noise: Floats = (white + slow) * [1.0, 1.0, 2.0]
    return noise


def vector_noise(vectors: Floats, spread: Floats, rate: float, rng: Any) -> Floats:
    """``vectors (T, D)`` of a hand as the network would give them in one recording, float32.

    Gain and offset are the recording's own; what is left wanders slowly. Numbers that are 0, as
    most are, stay so, and none becomes negative. ``spread (D,)``: standard deviation of each number
    over all hands."""
    count, wide = vectors.shape
    knots = 2 + int(count / (rate * _SLOW))
    noise = rng.standard_normal((knots + 1, wide), np.float32)
    noise[:-1] *= 0.25
    noise[-1] *= 0.12
    at = np.arange(count) / (rate * _SLOW)
    low = at.astype(int)
    shares = np.zeros((count, knots + 1), np.float32)
    shares[np.arange(count), low] = 1 - (at - low)
    shares[np.arange(count), low + 1] = at - low
    shares[:, -1] = 1.0
    room = np.minimum(vectors, spread)
    noisy: Floats = vectors * np.float32(rng.normal(1, 0.03)) + (shares @ noise) * room
    return np.maximum(noisy, 0.0)


def lost_frames(count: int, fraction: float, rng: Any) -> NDArray[np.bool_]:
    """Which of ``count`` frames have no hand: about ``fraction``, never the first and the last."""
    if not fraction or count <= 2:
        return np.zeros(count, dtype=bool)
    lost: NDArray[np.bool_] = rng.random(count) < fraction
    lost |= np.roll(lost, 1) & (rng.random(count) < 0.4)
    lost[[0, -1]] = False
    return lost


def mistake_fast_frames(
    hand: Articulation, other: Callable[[], Articulation], rate: float, rng: Any
) -> Articulation:
    """Some frames of very fast motion get the handshape of ``other()``."""
    if len(hand) < 2:
        return hand
    speed = np.linalg.norm(np.gradient(hand.wrist, axis=0), axis=1) * rate
    orientation, angles = hand.orientation.copy(), hand.angles.copy()
    vectors = None if hand.vectors is None else hand.vectors.copy()
    for frame in np.flatnonzero((speed > _BLURRED) & (rng.random(len(hand)) < 0.35)):
        seen = other()
        orientation[frame], angles[frame] = seen.orientation[0], seen.angles[0]
        if vectors is not None and seen.vectors is not None:
            vectors[frame] = seen.vectors[0]
    return hand.replace(orientation=orientation, angles=angles, vectors=vectors)
