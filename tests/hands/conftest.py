"""Synthetic hands of known shape and place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chereme.hands.detector import Detection

# An open right hand, palm to the camera, in palm lengths (y down), wrist at the origin.
OPEN_HAND = np.array(
    [
        [0.0, 0.0], [0.35, -0.2], [0.6, -0.45], [0.75, -0.7], [0.9, -0.9],
        [0.3, -0.95], [0.35, -1.4], [0.37, -1.65], [0.38, -1.85],
        [0.05, -1.0], [0.05, -1.5], [0.05, -1.8], [0.05, -2.0],
        [-0.18, -0.95], [-0.2, -1.4], [-0.21, -1.65], [-0.22, -1.85],
        [-0.38, -0.85], [-0.45, -1.15], [-0.48, -1.35], [-0.5, -1.5],
    ]
)  # fmt: skip
FINGERTIPS = [4, 7, 8, 11, 12, 15, 16, 19, 20]


@pytest.fixture
def hand() -> Callable[..., np.ndarray]:
    """``hand(x, y, size=50, bend=0)`` -> landmarks ``(21, 3)``; ``bend`` moves the finger ends."""

    def make(x: float, y: float, size: float = 50.0, bend: float = 0.0) -> np.ndarray:
        points = OPEN_HAND.copy()
        points[FINGERTIPS, 1] += bend
        return np.column_stack([points * size + [x, y], np.zeros(21)]).astype(np.float32)

    return make


@pytest.fixture
def detection(hand: Callable[..., np.ndarray]) -> Callable[..., Detection]:
    """``detection(x, y, side="right", score=0.9, ...)`` -> a Detection of a synthetic hand."""

    def make(
        x: float, y: float, side: str = "right", score: float = 0.9, **shape: float
    ) -> Detection:
        landmarks = hand(x, y, **shape)
        return Detection(landmarks, landmarks / 1000, side, score)  # type: ignore[arg-type]

    return make
