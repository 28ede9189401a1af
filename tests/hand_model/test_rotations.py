"""Rotations against scipy's, and their gradients where formulas are apt to break."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from chereme.hand_model.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix

GOLDEN_6D = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 7.0], dtype=torch.float64)


def angles_about(angle: float, count: int = 50) -> Tensor:
    """Axis-angle vectors of one angle about many axes, the coordinate axes among them."""
    axes = torch.randn(count, 3, dtype=torch.float64, generator=torch.manual_seed(1))
    axes = torch.cat([axes, torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64)])
    return angle * axes / axes.norm(dim=1, keepdim=True)


ANGLES = (0.0, 1e-12, 1e-8, 1e-4, 9.9e-4, 2e-3, 0.1, 1.0, 2.0, 3.0, math.pi - 1e-5, math.pi - 1e-9)


@pytest.mark.parametrize("angle", [*ANGLES, math.pi, 4.0, 6.5])
def test_to_matrices_as_scipy(angle: float) -> None:
    vectors = angles_about(angle)
    expected = Rotation.from_rotvec(vectors.numpy())
    np.testing.assert_allclose(axis_angle_to_matrix(vectors), expected.as_matrix(), atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("angle", [0.0, 1e-3, 1.0, 3.0])
def test_lower_precision(dtype: torch.dtype, angle: float) -> None:
    vectors = angles_about(angle)
    matrices = axis_angle_to_matrix(vectors.to(dtype))
    assert matrices.dtype == dtype
    tolerance = 8 * torch.finfo(dtype).eps
    expected = axis_angle_to_matrix(vectors)
    torch.testing.assert_close(matrices.double(), expected, atol=tolerance, rtol=0)


def test_leading_dimensions() -> None:
    vectors = torch.randn(2, 3, 4, 3)
    matrices = axis_angle_to_matrix(vectors)
    assert matrices.shape == (2, 3, 4, 3, 3)
    assert matrix_to_rot6d(matrices).shape == (2, 3, 4, 6)
    torch.testing.assert_close(matrices[1, 2, 3], axis_angle_to_matrix(vectors[1, 2, 3]))
    assert axis_angle_to_matrix(vectors[:0]).shape == (0, 3, 4, 3, 3)


def test_6d_of_hamer() -> None:
    expected = torch.tensor(
        [[0.26726, 0.94868, -0.16903], [0.53452, 0.0, 0.84515], [0.80178, -0.31623, -0.50709]],
        dtype=torch.float64,
    )
    torch.testing.assert_close(rot6d_to_matrix(GOLDEN_6D), expected, atol=1e-5, rtol=0)


def test_6d_of_any_numbers_is_a_rotation() -> None:
    matrices = rot6d_to_matrix(torch.randn(100, 6, dtype=torch.float64))
    identity = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    torch.testing.assert_close(matrices @ matrices.mT, identity)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(100, dtype=torch.float64))
    torch.testing.assert_close(rot6d_to_matrix(matrix_to_rot6d(matrices)), matrices)


@pytest.mark.parametrize("angle", ANGLES)
def test_gradients(angle: float) -> None:
    assert torch.autograd.gradcheck(
        axis_angle_to_matrix, angles_about(angle, 3).requires_grad_(), eps=1e-7, atol=1e-6
    )


def test_gradients_of_6d() -> None:
    rot6d = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rot6d_to_matrix, rot6d)
    degenerate = torch.zeros(1, 6, requires_grad=True)
    rot6d_to_matrix(degenerate).sum().backward()
    assert degenerate.grad is not None
    assert degenerate.grad.isfinite().all()


def test_training_after_a_first_call_in_inference_mode() -> None:
    """What is kept between calls must serve both."""
    vectors = torch.randn(3, 3, dtype=torch.float64)
    with torch.inference_mode():
        axis_angle_to_matrix(vectors)
    vectors.requires_grad_()
    axis_angle_to_matrix(vectors).sum().backward()
    assert vectors.grad is not None


def test_exporting_leaves_nothing_behind() -> None:
    """A tensor made while a program is traced must not be met again afterwards."""

    class Turn(torch.nn.Module):
        def forward(self, angles: torch.Tensor) -> torch.Tensor:
            return axis_angle_to_matrix(angles)

    angles = torch.tensor([[0.1, -0.2, 0.3]], dtype=torch.float64)
    torch.export.export(Turn(), (angles,))
    with torch.inference_mode():
        axis_angle_to_matrix(angles)
    angles.requires_grad_()
    axis_angle_to_matrix(angles).sum().backward()
    assert angles.grad is not None
