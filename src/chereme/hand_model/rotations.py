"""Rotations of the hand's joints: from axis-angle and 6-D to matrices, and from these to 6-D.

Matrices turn column vectors: ``y = R x``. An axis-angle vector points along the axis (right-hand
rule) and is as long as the angle, in radians. All functions take
any leading dimensions and any floating type, and have finite first derivatives everywhere, at no
rotation and at half a turn too.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

# Entries of R, row by row, as sums of products of a unit quaternion's components, 0..3 = x, y, z, w
# (each product once, with its factor).
_PRODUCTS: tuple[tuple[tuple[int, int, float], ...], ...] = (
    ((0, 0, 1), (1, 1, -1), (2, 2, -1), (3, 3, 1)),
    ((0, 1, 2), (2, 3, -2)),
    ((0, 2, 2), (1, 3, 2)),
    ((0, 1, 2), (2, 3, 2)),
    ((0, 0, -1), (1, 1, 1), (2, 2, -1), (3, 3, 1)),
    ((1, 2, 2), (0, 3, -2)),
    ((0, 2, 2), (1, 3, -2)),
    ((1, 2, 2), (0, 3, 2)),
    ((0, 0, -1), (1, 1, -1), (2, 2, 1), (3, 3, 1)),
)


def _quadratic_form() -> NDArray[np.float64]:
    """``(16, 9)``: the flattened outer product of a unit quaternion with itself -> R."""
    form = np.zeros((4, 4, 9))
    for entry, products in enumerate(_PRODUCTS):
        for i, j, factor in products:
            form[i, j, entry] = factor
    return form.reshape(16, 9)


# An array: tensors that are kept remember the mode (inference, export) they were made in.
_FORM = _quadratic_form()


def _sinc(x: Tensor) -> Tensor:
    """``sin x / x``, 1 at zero."""
    if not torch.onnx.is_in_onnx_export():
        return torch.sinc(x / torch.pi)
    # ONNX has no sinc. Nobody asks what is exported for gradients, which this has not at zero.
    safe = x.where(x != 0, 1.0)
    return (safe.sin() / safe).where(x != 0, 1.0)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """``(..., 3)`` radians -> rotation matrices ``(..., 3, 3)`` (Rodrigues' formula)."""
    # The norm's gradient at zero is zero, and so is that of cos and sinc: no division to guard.
    half = 0.5 * torch.linalg.vector_norm(axis_angle, dim=-1, keepdim=True)
    quaternion = torch.cat([axis_angle * (0.5 * _sinc(half)), torch.cos(half)], dim=-1)
    outer = quaternion.unsqueeze(-1) * quaternion.unsqueeze(-2)
    form = torch.as_tensor(_FORM, dtype=quaternion.dtype, device=quaternion.device)
    entries = outer.flatten(-2) @ form
    return entries.view(*entries.shape[:-1], 3, 3)


def rot6d_to_matrix(rot6d: Tensor) -> Tensor:
    """6-D rotations ``(..., 6)`` -> ``(..., 3, 3)`` by Gram-Schmidt (Zhou et al. 2019, Eq. 15).

    The two column vectors stand one after the other, as HaMeR has them (``x[0:3]``, ``x[3:6]``).
    """
    first, second = rot6d[..., :3], rot6d[..., 3:]
    b1 = F.normalize(first, dim=-1)
    b2 = F.normalize(second - (b1 * second).sum(-1, keepdim=True) * b1, dim=-1)
    return torch.stack([b1, b2, torch.linalg.cross(b1, b2)], dim=-1)


def matrix_to_rot6d(matrix: Tensor) -> Tensor:
    """``(..., 3, 3)`` -> 6-D rotations ``(..., 6)``: the first two columns, one after the other."""
    return matrix[..., :2].transpose(-1, -2).flatten(-2)
