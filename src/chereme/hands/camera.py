"""The pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Camera:
    """A point (X, Y, Z) of the camera frame, metres, shows at (fx X/Z + cx, fy Y/Z + cy) pixels.

    The picture spans [0, width) x [0, height); the centre of its first pixel is (0.5, 0.5).
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def from_field_of_view(cls, width: int, height: int, degrees: float) -> Camera:
        """A camera whose longer side sees ``degrees``, looking through the picture's centre."""
        focal = max(width, height) / 2 / np.tan(np.radians(degrees) / 2)
        return cls(float(focal), float(focal), width / 2, height / 2, width, height)

    def project(self, points: Floats) -> Floats:
        """``(..., 3)`` metres -> ``(..., 2)`` pixels; meaningful in front of the camera only."""
        points = np.asarray(points, float)
        z = points[..., 2]
        return np.stack(
            [self.fx * points[..., 0] / z + self.cx, self.fy * points[..., 1] / z + self.cy], -1
        )

    def window(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of a part of this picture, pixel for pixel."""
        return Camera(self.fx, self.fy, self.cx - left, self.cy - top, width, height)

    def shifted(self, x: float, y: float) -> Camera:
        """The same camera with the picture moved by ``x, y`` pixels."""
        return Camera(self.fx, self.fy, self.cx + x, self.cy + y, self.width, self.height)
