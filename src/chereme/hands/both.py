"""What recognition of isolated signs is given: both hands of the signer, and some of the frames.

Training and serving both go through these functions, so that they cannot differ.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chereme.types import NUM_JOINTS, FloatArray, Handedness, Landmarks

Sampling = Literal["window", "spread"]

SIDES: tuple[Handedness, Handedness] = ("left", "right")
"""The hands of a clip, in their order."""


def both_hands(
    seen: Landmarks, hand: Literal["auto", "left", "right"] = "auto"
) -> tuple[FloatArray, FloatArray]:
    """The left and the right hand of what was seen: ``(T, 2, 21, 2)`` and ``(T, 2, 21)``.

    Of several tracks of a hand see :meth:`chereme.types.Landmarks.tracks_by_side`.
    """
    frames = len(seen.timestamps)
    joints = np.full((frames, 2, NUM_JOINTS, 2), np.nan, np.float32)
    confidence = np.zeros((frames, 2, NUM_JOINTS), np.float32)
    for number, tracks in enumerate(seen.tracks_by_side(hand)):
        for track in tracks:
            free = ~(confidence[:, number] > 0).any(axis=-1)
            joints[free, number] = seen.landmarks[free, track, :, :2]
            confidence[free, number] = seen.confidence[free, track]
    return joints, confidence


def sign_span(confidence: FloatArray) -> slice | None:
    """The frames from the first in which a hand was seen to the last; None where there is none.

    ``confidence (T, 2, 21)``, 0 where a joint was not seen.
    """
    present = np.flatnonzero((confidence > 0).any(axis=(1, 2)))
    return slice(int(present[0]), int(present[-1]) + 1) if len(present) else None


def choose_frames(
    count: int, frames: int, sampling: Sampling, rng: np.random.Generator | None
) -> NDArray[np.int64]:
    """Rising indices ``(N,)`` of the frames taken: ``frames`` of ``count``, or all of fewer.

    "window": that many in a row, from anywhere, or from the middle where ``rng`` is None. "spread":
    one from each of as many equal parts of the clip, any of the part, or its middle.

    Choice: the papers of SignBERT (section 4.2) and of the hand-model-aware recogniser
    (Implementation Details) have "random and center sampling" and do not say from where.
    """
    if count <= frames:
        return np.arange(count)
    if sampling == "window":
        start = (count - frames) // 2 if rng is None else int(rng.integers(count - frames + 1))
        return np.arange(start, start + frames)
    within = np.full(frames, 0.5) if rng is None else rng.random(frames)
    places = ((np.arange(frames) + within) * (count / frames)).astype(np.int64)
    chosen: NDArray[np.int64] = np.minimum(places, count - 1)  # against rounding up to the end
    return chosen
