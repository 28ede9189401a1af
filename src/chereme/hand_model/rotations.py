"""Rotations of the hand's joints: axis-angle, 6-D, quaternions and matrices, and between them.

Matrices turn column vectors: ``y = R x``. An axis-angle vector points along the axis (right-hand
rule) and is as long as the angle, in radians. Quaternions are ``(x, y, z, w)``. All functions take
any leading dimensions and any floating type, and have finite first derivatives everywhere, at no
rotation and at half a turn too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chereme.errors import UsageError

Rot6dLayout = Literal["columns", "interleaved"]

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
_SMALL = 1e-3  # below this sine of half the angle, a series is exact in double precision


def _quadratic_form() -> NDArray[np.float64]:
    """``(16, 9)``: the flattened outer product of a unit quaternion with itself -> R."""
    form = np.zeros((4, 4, 9))
    for entry, products in enumerate(_PRODUCTS):
        for i, j, factor in products:
            form[i, j, entry] = factor
    return form.reshape(16, 9)


# An array: tensors that are kept remember the mode (inference, export) they were made in.
_FORM = _quadratic_form()


def _unit_quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    outer = quaternion.unsqueeze(-1) * quaternion.unsqueeze(-2)
    form = torch.as_tensor(_FORM, dtype=quaternion.dtype, device=quaternion.device)
    entries = outer.flatten(-2) @ form
    return entries.view(*entries.shape[:-1], 3, 3)


def axis_angle_to_quaternion(axis_angle: Tensor) -> Tensor:
    """``(..., 3)`` radians -> unit quaternions ``(..., 4)`` xyzw."""
    # The norm's gradient at zero is zero, and so is that of cos and sinc: no division to guard.
    half = 0.5 * torch.linalg.vector_norm(axis_angle, dim=-1, keepdim=True)
    vector = axis_angle * (0.5 * _sinc(half))
    return torch.cat([vector, torch.cos(half)], dim=-1)


def _sinc(x: Tensor) -> Tensor:
    """``sin x / x``, 1 at zero."""
    if not torch.onnx.is_in_onnx_export():
        return torch.sinc(x / torch.pi)
    # ONNX has no sinc. Nobody asks what is exported for gradients, which this has not at zero.
    safe = x.where(x != 0, 1.0)
    return (safe.sin() / safe).where(x != 0, 1.0)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """``(..., 3)`` radians -> rotation matrices ``(..., 3, 3)`` (Rodrigues' formula)."""
    return _unit_quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """``(..., 4)`` xyzw of any length but zero -> rotation matrices ``(..., 3, 3)``."""
    return _unit_quaternion_to_matrix(F.normalize(quaternion, dim=-1))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` -> unit quaternions ``(..., 4)`` xyzw with w >= 0.

    The matrix gives all products of two components; the row of the largest component, normalised,
    is the quaternion (Shepperd 1978), with no root or quotient near zero.
    """
    form = torch.as_tensor(_FORM, dtype=matrix.dtype, device=matrix.device)
    # The same coefficients, the other way round, make 4 q q^T less the unit matrix; products of
    # different components come once, above the diagonal, for both places.
    products = (matrix.flatten(-2) @ form.T).view(*matrix.shape[:-2], 4, 4)
    products = 0.5 * (products + products.transpose(-1, -2))
    products = products + torch.eye(4, dtype=matrix.dtype, device=matrix.device)
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = products.take_along_dim(largest[..., None, None], dim=-2).squeeze(-2)
    row = torch.where(row[..., 3:] < 0, -row, row)
    return F.normalize(row, dim=-1)


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """``(..., 4)`` xyzw, of any length but zero -> axis-angle ``(..., 3)``, at most half a turn."""
    unit = F.normalize(quaternion, dim=-1)
    unit = torch.where(unit[..., 3:] < 0, -unit, unit)
    vector, w = unit[..., :3], unit[..., 3:]
    squared = vector.square().sum(-1, keepdim=True)
    small = squared < _SMALL**2
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    tangent2 = squared / torch.where(small, w, torch.ones_like(w)).square()
    series = (2 - tangent2 * (2 / 3 - tangent2 * 0.4)) / torch.where(small, w, torch.ones_like(w))
    return vector * torch.where(small, series, 2 * torch.atan2(sine, w) / sine)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` -> axis-angle ``(..., 3)`` of at most half a turn."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def _check_layout(layout: str) -> None:
    if layout not in ("columns", "interleaved"):
        raise UsageError(
            f"layout of 6-D rotations: expected 'columns' or 'interleaved', got {layout!r}"
        )


def rot6d_to_matrix(rot6d: Tensor, layout: Rot6dLayout = "columns") -> Tensor:
    """6-D rotations ``(..., 6)`` -> ``(..., 3, 3)`` by Gram-Schmidt (Zhou et al. 2019, Eq. 15).

    ``layout`` says where the two column vectors are: ``columns`` one after the other, as HaMeR has
    them (``x[0:3]``, ``x[3:6]``), ``interleaved`` alternating, as SPIN and HMR (``x[0::2]``,
    ``x[1::2]``).
    """
    _check_layout(layout)
    if layout == "columns":
        first, second = rot6d[..., :3], rot6d[..., 3:]
    else:
        first, second = rot6d[..., 0::2], rot6d[..., 1::2]
    b1 = F.normalize(first, dim=-1)
    b2 = F.normalize(second - (b1 * second).sum(-1, keepdim=True) * b1, dim=-1)
    return torch.stack([b1, b2, torch.linalg.cross(b1, b2)], dim=-1)


def matrix_to_rot6d(matrix: Tensor, layout: Rot6dLayout = "columns") -> Tensor:
    """``(..., 3, 3)`` -> 6-D rotations ``(..., 6)``: the first two columns, laid out as asked."""
    _check_layout(layout)
    columns = matrix[..., :2]
    return (columns.transpose(-1, -2) if layout == "columns" else columns).flatten(-2)
