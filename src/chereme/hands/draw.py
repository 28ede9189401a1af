"""Skeletons of hands, drawn on a picture: a colour for each finger, the signing hand in front.

Pure functions from picture and landmarks to a new picture; only the pixels around the bones change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.skeleton import PARENTS, WRIST
from chereme.types import NUM_JOINTS, FloatArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# RGB of thumb, index, middle, ring, little finger: bright on skin, and of unlike hue and lightness.
FINGER_COLOURS: tuple[Colour, ...] = (
    (255, 170, 50),
    (120, 240, 90),
    (60, 200, 255),
    (175, 145, 255),
    (255, 95, 150),
)
WRIST_COLOUR: Colour = (245, 245, 245)
HALO: Colour = (16, 18, 24)
GREY = 150
_SHIFT = 4  # fractional bits of OpenCV's drawing: sixteenths of a pixel
_FARTHEST = 1e6  # pixels; what lies beyond is no place, and would overflow OpenCV's integers


@dataclass(frozen=True, slots=True)
class _Style:
    """``width``: of a bone, relative to the usual; ``grey``: share of grey in its colour."""

    width: float
    grey: float
    halo: bool


_SIGNING = _Style(width=1.0, grey=0.0, halo=True)
_OTHER = _Style(width=0.8, grey=0.6, halo=False)


def draw_hand(image: Image, landmarks: FloatArray, confidence: FloatArray | None = None) -> Image:
    """``image (H, W, 3)`` uint8 RGB with one signing hand drawn on a copy of it.

    ``landmarks (21, 2 or 3)``: pixels, x right, y down, the first pixel's centre at (0.5, 0.5); z,
    if given, is smaller nearer to the camera and sets which finger covers which. Joints that are
    not finite, or whose ``confidence (21,)`` is 0, are left out with their bones. Lines are
    as wide as suits the picture and the hand.
    """
    return draw_hands(
        image,
        np.asarray(landmarks)[None],
        None if confidence is None else np.asarray(confidence)[None],
        signing=0,
    )


def draw_hands(
    image: Image,
    landmarks: FloatArray,
    confidence: FloatArray | None = None,
    *,
    signing: int | None = None,
) -> Image:
    """As :func:`draw_hand`, for ``landmarks (N, 21, 2 or 3)`` and ``confidence (N, 21)``.

    Hand ``signing`` is drawn last and bright, the others thin and pale.
    """
    hands = np.asarray(landmarks, np.float64)
    seen = np.isfinite(hands[..., :2]).all(-1) & (np.abs(hands[..., :2]) < _FARTHEST).all(-1)
    if confidence is not None:
        seen &= np.asarray(confidence) > 0
    drawn = np.ascontiguousarray(image).copy()
    # The signing hand covers the others where they cross.
    for index in sorted(range(len(hands)), key=lambda hand: hand == signing):
        if seen[index].any():
            _draw(drawn, hands[index], seen[index], _SIGNING if index == signing else _OTHER)
    return drawn


def _draw(
    image: Image, joints: NDArray[np.floating[Any]], seen: NDArray[np.bool_], style: _Style
) -> None:
    """Draw one hand into ``image``, its far bones first."""
    import cv2

    extent = float(np.ptp(joints[seen, :2], axis=0).max())
    width = max(1, round(style.width * _bone_width(image.shape, extent)))
    halo = max(1, round(0.4 * width)) if style.halo else 0
    # OpenCV's coordinates are those of pixel centres.
    points = np.round((joints[:, :2] - 0.5) * (1 << _SHIFT))
    depth = np.nan_to_num(joints[:, 2]) if joints.shape[1] == 3 else np.zeros(NUM_JOINTS)

    def disc(joint: int, radius: float, colour: Colour) -> None:
        centre = (int(points[joint, 0]), int(points[joint, 1]))
        fixed = round(radius * (1 << _SHIFT))
        cv2.circle(image, centre, fixed, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)

    def bone(joint: int, thickness: int, colour: Colour) -> None:
        start, end = points[PARENTS[joint]].astype(int), points[joint].astype(int)
        cv2.line(image, start.tolist(), end.tolist(), colour, thickness, cv2.LINE_AA, _SHIFT)

    bones = [j for j in range(1, NUM_JOINTS) if seen[j] and seen[PARENTS[j]]]
    bones.sort(key=lambda j: -(depth[j] + depth[PARENTS[j]]))
    # One after the other, halo and colour: so a near finger is set off from the one it crosses.
    for joint in bones:
        if halo:
            bone(joint, width + 2 * halo, HALO)
        bone(joint, width, _colour(joint, style))
    # A joint is a ring of its finger's colour; where that has no room, a white dot.
    rings = width >= 4
    for joint in sorted(np.flatnonzero(seen).tolist(), key=lambda j: -depth[j]):
        radius = 0.5 * width * (1.6 if rings else 1.1) * (1.0 if joint else 1.3)
        if halo and rings:
            disc(joint, radius + halo, HALO)
        if not style.halo or rings:
            disc(joint, radius, _colour(joint, style))
        if style.halo:
            disc(joint, 0.45 * radius if rings else radius, WRIST_COLOUR)


def _bone_width(shape: tuple[int, ...], extent: float) -> float:
    """Pixels: 1/160 of the picture's short side, but no more than suits a hand so large."""
    return min(max(min(shape[:2]) / 160, 2.0), max(extent / 26, 1.0))


def _colour(joint: int, style: _Style) -> Colour:
    vivid = WRIST_COLOUR if joint == WRIST else FINGER_COLOURS[(joint - 1) // 4]
    red, green, blue = (round((1 - style.grey) * c + style.grey * GREY) for c in vivid)
    return red, green, blue
