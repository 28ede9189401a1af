"""The turned square in which the landmark network looks for a hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# MediaPipe's numbers. A square of the palm grows to the hand: larger, and moved towards the
# fingers by a part of its side.
PALM_SCALE, PALM_SHIFT = 2.6, 0.5
# Choice: MediaPipe Tasks takes the 90 degrees between the line from the wrist and the x axis for
# radians, so that the squares of palms, not those of landmarks, are turned too far. Its landmarks
# are what the models that are trained on them know, so this is kept.
PALM_TURN = (90 - math.pi / 2) % (2 * math.pi)
HAND_SCALE, HAND_SHIFT = 2.0, 0.1
# Of the landmarks those that do not move when fingers bend: wrist, thumb to its middle joint, and
# of each finger the two joints next to the palm.
STEADY = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
WRIST, INDEX, MIDDLE, RING = 0, 5, 9, 13


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A square about ``(x, y)`` of ``side`` pixels, turned clockwise by ``angle`` radians.

    In it the hand points up: the angle is that of the line from wrist to middle finger, 0 where
    that goes up in the picture.
    """

    x: float
    y: float
    side: float
    angle: float

    def to_frame(self, points: Floats) -> Floats:
        """``points (..., 3)`` in fractions of the square -> pixels of the frame, z in the scale of
        x."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y = points[..., 0] - 0.5, points[..., 1] - 0.5
        return np.stack(
            [
                self.x + self.side * (cos * x - sin * y),
                self.y + self.side * (sin * x + cos * y),
                self.side * points[..., 2],
            ],
            axis=-1,
        )

    def turned(self, points: Floats) -> Floats:
        """``points (..., 3)`` about the origin, turned as the square is: those of the world."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y, z = np.moveaxis(points, -1, 0)
        return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the upright box about the square."""
        half = self.side / 2 * (abs(math.cos(self.angle)) + abs(math.sin(self.angle)))
        return self.x - half, self.y - half, self.x + half, self.y + half


def of_palm(box: Floats, points: Floats) -> Rectangle:
    """The square of a palm: ``box (4,)`` left, top, right, bottom, its ``points (7, 2)``, the
    wrist first, then the knuckles of index and middle finger; all in pixels."""
    low, high = box[:2], box[2:]
    angle = _angle(points[0], points[2]) + PALM_TURN
    return _grown((low + high) / 2, high - low, angle, PALM_SCALE, PALM_SHIFT)


def of_landmarks(landmarks: Floats) -> Rectangle:
    """The square of a hand whose ``landmarks (21, 2 or 3)`` are known, in pixels."""
    points = landmarks[:, :2].astype(np.float64)
    knuckles = ((points[INDEX] + points[RING]) / 2 + points[MIDDLE]) / 2
    angle = _angle(points[WRIST], knuckles)
    steady = points[list(STEADY)]
    axis = (steady.min(axis=0) + steady.max(axis=0)) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    upright = (steady - axis) @ turn  # turned back, so that the hand points up
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = axis + turn @ ((low + high) / 2)
    return _grown(centre, high - low, angle, HAND_SCALE, HAND_SHIFT)


def overlap(one: Rectangle, other: Rectangle) -> float:
    """Intersection over union of two squares, as if neither were turned."""
    reach = (one.side + other.side) / 2
    width = min(reach - abs(one.x - other.x), one.side, other.side)
    height = min(reach - abs(one.y - other.y), one.side, other.side)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (one.side**2 + other.side**2 - both)


def _angle(start: Floats, end: Floats) -> float:
    return math.atan2(end[0] - start[0], start[1] - end[1])


def _grown(centre: Floats, size: Floats, angle: float, scale: float, shift: float) -> Rectangle:
    """The square about a rectangle: moved by ``shift`` of its height the way the hand points, as
    long as ``scale`` times its longer side."""
    width, height = (float(length) for length in size)
    x = float(centre[0]) + shift * height * math.sin(angle)
    y = float(centre[1]) - shift * height * math.cos(angle)
    return Rectangle(x, y, scale * max(width, height), angle)
