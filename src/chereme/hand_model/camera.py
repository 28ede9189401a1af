"""The weak-perspective camera of papers B and C: from points in space to points in a picture.

Points are in the camera's frame, metres: x right, y down, z away from it. Any leading dimensions
are broadcast.
"""

from __future__ import annotations

from torch import Tensor


def weak_perspective(points: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """``scale * (x, y) + offset``: all points as if at one distance.

    Papers B and C, Eq. 5: ``c_s Pi(c_r J_3D) + c_o``, for points that ``c_r`` has turned.

    Args:
        points: ``(..., N, 3)``.
        scale: ``(...)``, picture units a metre.
        offset: ``(..., 2)``, where the origin lands, in picture units.

    Returns:
        ``(..., N, 2)``.
    """
    return scale[..., None, None] * points[..., :2] + offset[..., None, :]
