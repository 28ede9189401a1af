"""The visual encoder and the camera's rotation."""

from __future__ import annotations

import pytest
import torch

from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.hand_aware.encoder import HandEncoder, camera_rotation

RESNET = ResNetEncoderConfig(depths=(1, 1), widths=(4, 6), image_size=32)
START = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
DEGENERATE = {
    "both zero": [0.0] * 6,
    "first zero": [0.0] * 3 + [1.0, 2.0, 3.0],
    "parallel": [1.0, 2.0, 3.0, 2.0, 4.0, 6.0],
    "opposite": [1.0, 0.0, 0.0, -1.0, 0.0, 0.0],
}


def assert_rotations(matrices: torch.Tensor, tolerance: float = 1e-5) -> None:
    identity = torch.eye(3).to(matrices).expand_as(matrices)
    product = matrices @ matrices.transpose(-1, -2)
    torch.testing.assert_close(product, identity, atol=tolerance, rtol=0)
    ones = matrices.new_ones(matrices.shape[:-2])
    torch.testing.assert_close(torch.linalg.det(matrices), ones, atol=tolerance, rtol=0)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_camera_is_turned_by_rotations(size: float) -> None:
    torch.manual_seed(0)
    raw = (size * torch.randn(500, 6)).requires_grad_()
    matrices = camera_rotation(raw)
    assert_rotations(matrices)
    (matrices * torch.randn(3, 3)).sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    assert raw.grad.any(1).all()


@pytest.mark.parametrize("columns", DEGENERATE.values(), ids=list(DEGENERATE))
def test_columns_that_say_nothing_are_the_upright_hand(columns) -> None:
    raw = (torch.tensor(columns) - torch.tensor(START)).requires_grad_()
    matrix = camera_rotation(raw)
    assert_rotations(matrix)
    torch.testing.assert_close(matrix, camera_rotation(torch.zeros(6)))
    matrix.sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_upright_hand_shows_its_palm_and_points_up() -> None:
    rotation = camera_rotation(torch.zeros(6))
    fingers, palm, thumb = -rotation[:, 0], -rotation[:, 1], rotation[:, 2]
    torch.testing.assert_close(fingers, torch.tensor([0.0, -1.0, 0.0]))  # y is down
    torch.testing.assert_close(palm, torch.tensor([0.0, 0.0, -1.0]))  # z is away
    torch.testing.assert_close(thumb, torch.tensor([1.0, 0.0, 0.0]))


def test_state_has_the_sizes_of_the_paper_and_a_positive_scale() -> None:
    torch.manual_seed(0)
    encoder = HandEncoder(RESNET, components=6, betas=10).eval()
    torch.nn.init.normal_(encoder.state.weight, std=100.0)
    state = encoder(torch.rand(2, 3, 3, 32, 32))
    shapes = [tuple(part.shape) for part in state]
    assert shapes == [(2, 3, 6), (2, 3, 10), (2, 3, 3, 3), (2, 3, 2), (2, 3)]
    assert (state.scale > 0).all()
    assert all(part.isfinite().all() for part in state)
    assert_rotations(state.rotation)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shown", ["some", "none"])
def test_crops_outside_the_mask_are_the_mean_hand(training: bool, shown: str) -> None:
    torch.manual_seed(0)
    encoder = HandEncoder(RESNET, components=6, betas=10).train(training)
    crops = torch.rand(2, 3, 3, 32, 32)
    mask = torch.tensor([[True, False, True], [False] * 3]) & (shown == "some")
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    crops[~mask] = torch.nan
    state = encoder(crops, mask)
    assert not state.theta[~mask].any()
    assert not state.betas[~mask].any()
    assert not state.offset[~mask].any()
    expected = camera_rotation(torch.zeros(6)).expand(int((~mask).sum()), 3, 3)
    torch.testing.assert_close(state.rotation[~mask], expected)
    assert all(part.isfinite().all() for part in state)
    if shown == "none":
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, before[name]), name
    elif not training:
        torch.testing.assert_close(state.theta[mask], encoder(crops[mask]).theta)
