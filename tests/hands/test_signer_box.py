"""Hands within the box of a person."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.hands.detector import Detection
from chereme.hands.signer_box import SignerBoxDetector


class BrightestPixel:
    """A hand whose joints all are at the brightest pixel."""

    closed = False
    resets = 0

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        assert image.flags.c_contiguous
        self.shape = image.shape
        y, x = np.unravel_index(image[..., 0].argmax(), image.shape[:2])
        points = np.tile(np.array([x, y, 0.5], np.float32), (21, 1))
        return [Detection(points, points * 0, "left", 0.9)]

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


def test_only_the_part_is_seen_and_pixels_are_of_the_picture() -> None:
    inner = BrightestPixel()
    detector = SignerBoxDetector(inner, (0.5, 0.25, 0.9, 0.75))
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[40, 30] = 255  # another person's hand
    picture[50, 150] = 100
    (hand,) = detector.detect(picture, 0.0)
    # A tenth more on each side: 0.46 to 0.94 of 200, 0.2 to 0.8 of 100.
    assert inner.shape == (60, 96, 3)
    np.testing.assert_allclose(hand.landmarks, np.tile([150, 50, 0.5], (21, 1)))
    assert hand.handedness == "left"
    detector.reset(), detector.close()
    assert (inner.resets, inner.closed) == (1, True)


def test_the_margin_ends_at_the_picture() -> None:
    inner = BrightestPixel()
    SignerBoxDetector(inner, (0.0, 0.0, 1.0, 0.999)).detect(np.zeros((50, 40, 3), np.uint8), 0.0)
    assert inner.shape == (50, 40, 3)


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 0.6, 1, 0.5), (-0.1, 0, 1, 1), (0, 0, 1, 2)])
def test_a_box_that_is_no_part_of_the_picture(box: Any) -> None:
    with pytest.raises(InputError, match="box: expected left < right and top < bottom"):
        SignerBoxDetector(BrightestPixel(), box)
