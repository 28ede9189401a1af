"""Rotations against scipy's, and their gradients where formulas are apt to break."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from chereme.errors import UsageError
from chereme.hand_model.rotations import (
    axis_angle_to_matrix,
    axis_angle_to_quaternion,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    matrix_to_rot6d,
    quaternion_to_axis_angle,
    quaternion_to_matrix,
    rot6d_to_matrix,
)

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
    quaternions = axis_angle_to_quaternion(vectors)
    np.testing.assert_allclose(quaternions.norm(dim=1), 1, atol=1e-14)
    np.testing.assert_allclose(
        quaternion_to_matrix(3 * quaternions), expected.as_matrix(), atol=1e-14
    )


@pytest.mark.parametrize("angle", ANGLES)
def test_from_matrices_back(angle: float) -> None:
    vectors = angles_about(angle)
    matrices = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    torch.testing.assert_close(matrix_to_axis_angle(matrices), vectors, atol=1e-14, rtol=1e-13)
    quaternions = matrix_to_quaternion(matrices)
    np.testing.assert_allclose(
        quaternions, Rotation.from_matrix(matrices).as_quat(canonical=True), atol=1e-14
    )
    # The other quaternion of the same rotation, of another length.
    torch.testing.assert_close(
        quaternion_to_axis_angle(-2 * quaternions), vectors, atol=1e-14, rtol=1e-13
    )


def test_half_a_turn_has_two_vectors() -> None:
    vectors = angles_about(math.pi)
    back = matrix_to_axis_angle(axis_angle_to_matrix(vectors))
    sign = (back * vectors).sum(1, keepdim=True).sign()
    torch.testing.assert_close(sign * back, vectors, atol=1e-12, rtol=0)


def test_more_than_half_a_turn_comes_back_short() -> None:
    back = matrix_to_axis_angle(axis_angle_to_matrix(angles_about(4.0)))
    torch.testing.assert_close(back, angles_about(4.0 - 2 * math.pi), atol=1e-13, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("angle", [0.0, 1e-3, 1.0, 3.0])
def test_lower_precision(dtype: torch.dtype, angle: float) -> None:
    vectors = angles_about(angle)
    matrices = axis_angle_to_matrix(vectors.to(dtype))
    back = matrix_to_axis_angle(matrices)
    assert matrices.dtype == back.dtype == dtype
    tolerance = 8 * torch.finfo(dtype).eps
    expected = axis_angle_to_matrix(vectors)
    torch.testing.assert_close(matrices.double(), expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(back.double(), vectors, atol=4 * tolerance, rtol=0)


def test_leading_dimensions() -> None:
    vectors = torch.randn(2, 3, 4, 3)
    matrices = axis_angle_to_matrix(vectors)
    assert matrices.shape == (2, 3, 4, 3, 3)
    assert matrix_to_quaternion(matrices).shape == (2, 3, 4, 4)
    assert matrix_to_axis_angle(matrices).shape == vectors.shape
    assert matrix_to_rot6d(matrices).shape == (2, 3, 4, 6)
    torch.testing.assert_close(matrices[1, 2, 3], axis_angle_to_matrix(vectors[1, 2, 3]))
    assert axis_angle_to_matrix(vectors[:0]).shape == (0, 3, 4, 3, 3)


def test_6d_of_hamer() -> None:
    expected = torch.tensor(
        [[0.26726, 0.94868, -0.16903], [0.53452, 0.0, 0.84515], [0.80178, -0.31623, -0.50709]],
        dtype=torch.float64,
    )
    torch.testing.assert_close(rot6d_to_matrix(GOLDEN_6D), expected, atol=1e-5, rtol=0)


def test_6d_layouts_hold_the_same_columns() -> None:
    spin = GOLDEN_6D.reshape(2, 3).T.reshape(6)
    torch.testing.assert_close(rot6d_to_matrix(spin, "interleaved"), rot6d_to_matrix(GOLDEN_6D))
    assert not torch.allclose(rot6d_to_matrix(spin), rot6d_to_matrix(GOLDEN_6D))
    matrices = axis_angle_to_matrix(angles_about(2.0))
    assert torch.equal(
        matrix_to_rot6d(matrices), torch.cat([matrices[..., 0], matrices[..., 1]], 1)
    )
    assert torch.equal(matrix_to_rot6d(matrices, "interleaved"), matrices[..., :2].reshape(-1, 6))


@pytest.mark.parametrize("layout", ["columns", "interleaved"])
def test_6d_of_any_numbers_is_a_rotation(layout: str) -> None:
    matrices = rot6d_to_matrix(torch.randn(100, 6, dtype=torch.float64), layout)  # type: ignore[arg-type]
    identity = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    torch.testing.assert_close(matrices @ matrices.mT, identity)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(100, dtype=torch.float64))
    again = rot6d_to_matrix(matrix_to_rot6d(matrices, layout), layout)  # type: ignore[arg-type]
    torch.testing.assert_close(again, matrices)


def test_unknown_layout() -> None:
    with pytest.raises(UsageError, match="expected 'columns' or 'interleaved', got 'rows'"):
        rot6d_to_matrix(torch.zeros(6), "rows")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="got 'rows'"):
        matrix_to_rot6d(torch.eye(3), "rows")  # type: ignore[arg-type]


def round_trip(vectors: Tensor) -> Tensor:
    return matrix_to_axis_angle(axis_angle_to_matrix(vectors))


@pytest.mark.parametrize("angle", ANGLES[:-1])
@pytest.mark.parametrize("function", [axis_angle_to_matrix, axis_angle_to_quaternion, round_trip])
def test_gradients(function: Callable[[Tensor], Tensor], angle: float) -> None:
    # atol: near half a turn, finite differences of the way back lose digits.
    assert torch.autograd.gradcheck(
        function, angles_about(angle, 3).requires_grad_(), eps=1e-7, atol=1e-6
    )


@pytest.mark.parametrize("angle", [0.0, 1e-30, 1e-20, 1e-12, 1e-6, 1e-3, 1.0, 3.14159])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivative_of_the_way_there_and_back_is_one(dtype: torch.dtype, angle: float) -> None:
    for vector in angles_about(angle, 3).to(dtype):
        derivative = torch.autograd.functional.jacobian(round_trip, vector)
        tolerance = 1e-3 if dtype == torch.float32 and angle > 3 else 1e-5
        torch.testing.assert_close(derivative, torch.eye(3, dtype=dtype), atol=tolerance, rtol=0)


def test_gradients_at_half_a_turn_are_finite() -> None:
    matrices = axis_angle_to_matrix(angles_about(math.pi)).detach().requires_grad_()
    matrix_to_axis_angle(matrices).sum().backward()
    assert matrices.grad is not None
    assert matrices.grad.isfinite().all()


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
