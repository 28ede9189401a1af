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
_FINER = 4  # times the picture's resolution, at which hands are drawn: so lines are smooth
_FARTHEST = 1e6  # pixels; what lies beyond is no place


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
    seen = np.all(np.abs(hands[..., :2]) < _FARTHEST, axis=-1)
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
    from PIL.Image import Resampling, fromarray
    from PIL.ImageDraw import Draw

    places = joints[seen, :2]
    extent = float(np.ptp(places, axis=0).max())
    width = max(1, round(style.width * _bone_width(image.shape, extent)))
    halo = max(1, round(0.4 * width)) if style.halo else 0
    # The part that changes, and no more of it than the picture has.
    rim = 2 * (width + halo)
    size = image.shape[1::-1]
    left, top = np.clip(np.floor(places.min(axis=0)) - rim, 0, size).astype(int)
    right, bottom = np.clip(np.ceil(places.max(axis=0)) + rim, 0, size).astype(int)
    if right <= left or bottom <= top:
        return
    part = image[top:bottom, left:right]
    fine = (_FINER * (right - left), _FINER * (bottom - top))
    canvas = fromarray(part).resize(fine, Resampling.NEAREST)
    draw = Draw(canvas)
    points = _FINER * (joints[:, :2] - [left, top])
    depth = np.nan_to_num(joints[:, 2]) if joints.shape[1] == 3 else np.zeros(NUM_JOINTS)

    # Pillow draws in whole pixels, those of the corners among them.
    def disc(joint: int, radius: float, colour: Colour) -> None:
        radius = round(_FINER * radius)
        corner = np.round(points[joint] - radius)
        draw.ellipse([*corner, *(corner + 2 * radius - 1)], colour)

    def bone(joint: int, thickness: int, colour: Colour) -> None:
        ends = points[[PARENTS[joint], joint]]
        along = ends[1] - ends[0]
        across = along[::-1] * [1, -1] / max(float(np.hypot(*along)), 1e-9)
        side = (_FINER * thickness - 1) / 2 * across
        corners = np.round(np.concatenate([ends - side, (ends + side)[::-1]]) - 0.5)
        draw.polygon(corners.ravel().tolist(), colour)
        disc(PARENTS[joint], thickness / 2, colour)
        disc(joint, thickness / 2, colour)

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
    part[:] = canvas.reduce(_FINER)


def _bone_width(shape: tuple[int, ...], extent: float) -> float:
    """Pixels: 1/160 of the picture's short side, but no more than suits a hand so large."""
    return min(max(min(shape[:2]) / 160, 2.0), max(extent / 26, 1.0))


def _colour(joint: int, style: _Style) -> Colour:
    vivid = WRIST_COLOUR if joint == WRIST else FINGER_COLOURS[(joint - 1) // 4]
    red, green, blue = (round((1 - style.grey) * c + style.grey * GREY) for c in vivid)
    return red, green, blue
