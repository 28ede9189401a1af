"""The 21-joint hand: names, order, bones, and the mirror.

MediaPipe order: the wrist, then thumb, index, middle, ring, little finger, each from palm to tip.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Float = TypeVar("_Float", bound=np.floating[Any])

WRIST = 0
FINGERS = ("thumb", "index", "middle", "ring", "little")
JOINT_NAMES = (
    "wrist",
    *(
        f"{finger}_{joint}"
        for finger in FINGERS
        for joint in (
            ("cmc", "mcp", "ip", "tip") if finger == "thumb" else ("mcp", "pip", "dip", "tip")
        )
    ),
)
TIPS = (4, 8, 12, 16, 20)
KNUCKLES = (5, 9, 13, 17)  # metacarpophalangeal joints of index .. little
# Parent of each joint in the tree that starts at the wrist; -1 = root.
PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)


def mirror(landmarks: NDArray[_Float], width: float | None) -> NDArray[_Float]:
    """Flip landmarks ``(..., 3)`` left-right: a left hand becomes a right one.

    With ``width`` (pixels) they are image landmarks and x becomes ``width - x``; with ``None`` they
    are world landmarks (metres, centred on the hand) and x changes its sign.
    """
    flipped = landmarks.copy()
    flipped[..., 0] = (0.0 if width is None else width) - landmarks[..., 0]
    return flipped


def turn(
    landmarks: NDArray[np.floating[Any]], degrees: int, size: tuple[float, float] | None
) -> NDArray[np.floating[Any]]:
    """Turn landmarks ``(..., 3)`` clockwise with their picture, by a multiple of 90 degrees.

    With the ``size`` (width and height, pixels) of the picture before it is turned they are image
    landmarks; with ``None`` they are world landmarks (metres, centred on the hand).
    """
    width, height = size or (0.0, 0.0)
    turned = landmarks.copy()
    x, y = landmarks[..., 0], landmarks[..., 1]
    for _ in range(degrees // 90 % 4):
        x, y = height - y, x
        width, height = height, width
    turned[..., 0], turned[..., 1] = x, y
    return turned


def palm_size(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """``(..., 21, 3)`` -> ``(...)``: a hand size that holds while fingers bend and hands turn.

    The largest of wrist to middle knuckle, wrist to index knuckle, wrist to little knuckle and 1.2
    times index to little knuckle, in 3-D: at least one of them is seen at length from any side.
    """
    wrist, index, middle, little = (landmarks[..., j, :] for j in (0, 5, 9, 17))
    bones = np.stack([middle - wrist, index - wrist, little - wrist, index - little])
    lengths = np.linalg.norm(bones, axis=-1)
    lengths[3] *= 1.2
    size: NDArray[np.floating[Any]] = lengths.max(axis=0)
    return size
