"""Hands of the one person whom a box of the picture is round, where others are in view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.hands.detector import Detection, HandDetector

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as parts of the width and the height of the picture."""

# Choice: part of its size by which a box is larger on each side. It is of the person, whose hands
# may reach beyond.
_MARGIN = 0.1


def check_box(box: Box) -> Box:
    """``box``; InputError unless it is a part of the picture."""
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InputError(f"box: expected left < right and top < bottom within 0..1, got {box}")
    return box


class SignerBoxDetector:
    """Shows ``detector`` the part of each picture that is in ``box`` and a margin round it; what
    it finds there is in pixels of the picture."""

    def __init__(self, detector: HandDetector, box: Box) -> None:
        self._detector = detector
        box = check_box(box)
        grown = _MARGIN * np.array([box[2] - box[0], box[3] - box[1]])
        self._box = np.clip(np.array(box) + np.concatenate([-grown, grown]), 0.0, 1.0)

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        """Hands in the part of ``image (H, W, 3)`` uint8 RGB."""
        size = np.array(image.shape[1::-1] * 2)
        outward = np.array([np.floor, np.floor, np.ceil, np.ceil])
        left, top, right, bottom = (
            int(rounded(edge)) for rounded, edge in zip(outward, self._box * size, strict=True)
        )
        part = np.ascontiguousarray(image[top:bottom, left:right])
        place = np.array([left, top, 0], np.float32)
        return [
            replace(hand, landmarks=hand.landmarks + place)
            for hand in self._detector.detect(part, timestamp)
        ]

    def reset(self) -> None:
        """As of any hand detector."""
        self._detector.reset()

    def close(self) -> None:
        """As of any hand detector."""
        self._detector.close()
