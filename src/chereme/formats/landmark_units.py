"""What the numbers in landmark files mean, brought to one meaning.

- *Missing* is what has confidence 0, a NaN or infinite coordinate, or belongs to a hand whose 21
  points are all exactly zero (whatever its confidence). It becomes NaN with confidence 0.
- *Fractions of the image* (all points within 0..1) become pixels, by the width and height that the
  file states. Other units that are no pixels (hands scaled to the shoulders or to the palm) are
  kept as they are: their true scale is not in the file.
- *z* has meaning only relative to the wrist; some files carry an offset (250 has been seen). It is
  made relative to the wrist of the same hand. MediaPipe gives z as a fraction of the image width,
  and pose-format leaves it so beside x and y in pixels: such a z is brought to the scale of x.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, LimitError

Array = NDArray[np.floating[Any]]

MAKE_ANEW = "make it anew with: chereme landmarks VIDEO -o FILE"

# z extent over x-y extent of a real hand, median over a recording: 0.17-0.34 in MediaPipe's output
# where z has the scale of x, below 0.003 where it was left a fraction of the image width.
_FLAT = 0.02
_USUAL_DEPTH = 0.25
_PLAUSIBLE_DEPTH = (0.08, 1.0)


MAX_HAND_FRAMES = 1_500_000  # four hours of two hands at 50 frames/s
MAX_HANDS = 1000
_WIDEST = 1 << 20  # pixels
_PLAUSIBLE_RATE = (1.0, 240.0)  # frames/s


def is_rate(fps: float) -> bool:
    return math.isfinite(fps) and fps > 0


def check_size(frames: int, hands: int) -> None:
    """LimitError for more frames and hands than a recording has."""
    if hands > MAX_HANDS:
        raise LimitError(f"expected at most {MAX_HANDS:,} hands, got {hands:,}")
    if frames * max(hands, 1) > MAX_HAND_FRAMES:
        raise LimitError(
            f"expected at most {MAX_HAND_FRAMES:,} frames, of all hands together, got {frames:,} "
            f"frames of {hands:,} hands"
        )


def rate_of(stated: float | None, wanted: float | None) -> float:
    """Frames a second: what is ``wanted``, or else ``stated`` in the file.

    InputError where there is none, or the stated one is no camera's, as the 1000 that converters
    of webm write.
    """
    if wanted is not None:
        return wanted
    if stated is None or not is_rate(stated):
        raise InputError(
            f"expected a frame rate in the file (or timestamps), got {stated}; give it with "
            "--rate, in Python with read_landmarks(path, fps=...)"
        )
    low, high = _PLAUSIBLE_RATE
    if not low <= stated <= high:
        raise InputError(
            f"the file says {stated:g} frames a second, expected {low:g} to {high:g}; give the "
            "true rate with --rate, in Python with read_landmarks(path, fps=...)"
        )
    return stated


def sample_of(frames: int) -> slice:
    """Some of the frames: enough to see what the numbers mean, little to hold."""
    return slice(None, None, 1 + frames // 1000)


def mask_missing(xyz: Array, confidence: Array) -> Array:
    """Set what is missing in ``xyz (T,H,21,3)`` to NaN, in place; its confidence, 0 there."""
    score = np.clip(np.nan_to_num(confidence, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    no_hand = (xyz == 0).all(axis=(2, 3))
    seen = (score > 0) & np.isfinite(xyz).all(axis=-1) & ~no_hand[..., None]
    np.copyto(xyz, np.nan, where=~seen[..., None])  # an index of what is missing would be larger
    masked: Array = np.where(seen, score, 0).astype(np.float32)
    return masked


def frame_size(width: float, height: float, xyz: Array) -> tuple[int, int]:
    """Width and height in pixels as stated; what is not stated reaches to the outermost joint."""
    sizes = []
    for stated, coordinate in ((width, xyz[..., 0]), (height, xyz[..., 1])):
        if math.isfinite(stated) and 1 <= stated <= _WIDEST:
            sizes.append(round(stated))
        else:
            reach = np.nanmax(coordinate) if np.isfinite(coordinate).any() else 1.0
            sizes.append(max(1, math.ceil(reach)))
    return sizes[0], sizes[1]


def to_pixels(xyz: Array, width: int, height: int, points: Array) -> None:
    """Bring ``xyz (T,H,21,3)`` to pixels with wrist-relative z, in place, as this file's top says.

    ``points (N,2)`` are all seen points of the file: a body scaled to its shoulders has its origin
    between them, so many of its points are negative, where fractions of an image are not.
    """
    seen = np.isfinite(xyz[..., 0])
    if not seen.any():
        return
    # 3: a header of 1 x 1 or 2 x 3 comes from rescaled poses and says nothing of the picture.
    inside = np.all((xyz[..., :2] > -0.1) & (xyz[..., :2] < 1.1), axis=-1)[seen].mean() > 0.9
    outside = (points < -0.1).any(axis=-1).sum()
    if min(width, height) > 3 and inside and outside <= 0.1 * len(points):
        xyz *= np.array([width, height, width], np.float32)

    origin = np.where(seen[:, :, 0], xyz[:, :, 0, 2], np.float32(0))
    headless = seen.any(axis=2) & ~seen[:, :, 0]
    if headless.any():
        origin[headless] = np.nanmean(xyz[headless][..., 2], axis=1)
    xyz[..., 2] -= origin[..., None]

    some = sample_of(len(xyz))
    whole = xyz[some][seen[some].all(axis=2)]
    if not len(whole):
        whole = xyz[seen.sum(axis=2) > 1]
    if not len(whole):
        return
    extent = np.nanmax(whole, axis=1) - np.nanmin(whole, axis=1)  # (N, 3)
    depth = np.median(extent[:, 2] / np.maximum(np.hypot(extent[:, 0], extent[:, 1]), 1e-9))
    if 0 < depth < _FLAT:
        # Choice: the stated width is the picture's unless the hand would come out implausibly flat
        # or deep (files cut to the hand state the width of the cut); then a usual hand's depth.
        low, high = _PLAUSIBLE_DEPTH
        xyz[..., 2] *= width if low <= depth * width <= high else _USUAL_DEPTH / depth
