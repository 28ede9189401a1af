"""A confidence of each joint for a detector that gives none.

Choice: the papers of SignBERT (Eq. 7) and of the hand-model-aware recogniser (Eq. 6) leave joints
out by OpenPose's confidence. The package's detector says of a whole hand how sure it is, and that
says little of a joint. A joint that it gets wrong jumps about, so that how steadily a joint moves
stands in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chereme.hands.skeleton import KNUCKLES, WRIST, palm_size
from chereme.types import FloatArray, Landmarks

HALF = 0.1
"""Palm lengths off the straight way at which the confidence is a half."""
_LEAST = 1e-3  # 0 is a joint that was not seen


def with_steadiness(seen: Landmarks) -> Landmarks:
    """``seen`` with a confidence of each seen joint by `steadiness`."""
    tracks = range(len(seen.handedness))
    found = [
        steadiness(seen.landmarks[:, track], seen.confidence[:, track], seen.timestamps)
        for track in tracks
    ]
    confidence = np.stack(found, axis=1) if found else seen.confidence
    return replace(seen, confidence=np.where(seen.confidence > 0, confidence, 0))


def steadiness(joints: FloatArray, confidence: FloatArray, timestamps: FloatArray) -> FloatArray:
    """``(T, 21)`` float32, 0.001 to 1: ``1 / (1 + (d / HALF)^2)``.

    d, in palm lengths, is how far a joint is off the straight line between where it is in the frame
    before and in the one after, all relative to the middle of the palm. Where a frame has not both
    neighbours, d is that of the nearest frame that has; a hand that never has counts as steady.

    Args:
        joints: ``(T, 21, 2 or more)`` of one hand.
        confidence: ``(T, 21)`` of the detector; a frame counts that shows all joints.
        timestamps: ``(T,)`` seconds.
    """
    shown: NDArray[np.bool_] = np.all(confidence > 0, axis=1)
    result = np.ones(confidence.shape, np.float32)
    between = np.flatnonzero(shown[:-2] & shown[1:-1] & shown[2:]) + 1
    if not len(between):
        return result
    places = joints[..., :2].astype(np.float64)
    places = places - places[:, [WRIST, *KNUCKLES]].mean(axis=1, keepdims=True)
    before, after = timestamps[between - 1], timestamps[between + 1]
    share = ((timestamps[between] - before) / (after - before))[:, None, None]
    straight = (1 - share) * places[between - 1] + share * places[between + 1]
    palm = float(np.median(palm_size(joints[shown].astype(np.float64))))
    off = np.linalg.norm(places[between] - straight, axis=-1) / palm
    frames = np.arange(len(joints))
    nearest = np.abs(frames[:, None] - between).argmin(axis=1)
    result[:] = np.maximum(1 / (1 + (off[nearest] / HALF) ** 2), _LEAST)
    return result
