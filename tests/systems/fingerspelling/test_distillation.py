"""Pose-guided supervision against the paper's formulas in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.systems.fingerspelling.distillation import DistillationConfig, PoseDistillation

RGB, POSE, SHARED = 6, 9, 4
CONFIG = DistillationConfig(teacher_dim=POSE, shared_dim=SHARED, normalise="none")
MASK = torch.tensor([[True, True, True, False], [True, False, True, False]])


def module(**changes: object) -> PoseDistillation:
    torch.manual_seed(0)
    return PoseDistillation(replace(CONFIG, **changes), RGB).double()  # type: ignore[arg-type]


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    features, vectors = torch.randn(2, 4, RGB).double(), 3 * torch.randn(2, 4, POSE).double()
    features[~MASK] = 0.0
    vectors[~MASK] = float("nan")  # of frames that the teacher never saw
    return features.requires_grad_(), vectors.requires_grad_()


def linear(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    assert isinstance(layer, nn.Linear)
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def one_minus_cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(np.mean(1 - (a * b).sum(-1) / lengths))


def rows() -> tuple[np.ndarray, np.ndarray]:
    features, vectors = inputs()
    return features[MASK].detach().numpy(), vectors[MASK].detach().numpy()


@pytest.mark.parametrize("loss", ["cosine", "mse"])
def test_shared_space(loss: str) -> None:
    """Section 3.4: 0.1 l_cos + 0.01 l_reg_rgb + 0.01 l_reg_pos, over the frames of the mask."""
    distillation = module(loss=loss)
    losses = distillation(*inputs(), MASK)
    rgb, pose = rows()
    z_rgb, z_pose = linear(distillation.project_rgb, rgb), linear(distillation.project_pose, pose)
    assert z_rgb.shape == z_pose.shape == (5, SHARED)
    distance = (
        one_minus_cosine(z_rgb, z_pose) if loss == "cosine" else np.mean((z_rgb - z_pose) ** 2)
    )
    reg_rgb = np.mean((linear(distillation.reconstruct_rgb, z_rgb) - rgb) ** 2)
    reg_pos = np.mean((linear(distillation.reconstruct_pose, z_pose) - pose) ** 2)
    assert losses.l_cos.item() == pytest.approx(distance)
    assert losses.l_reg_rgb.item() == pytest.approx(reg_rgb)
    assert losses.l_reg_pos.item() == pytest.approx(reg_pos)
    expected = 0.1 * distance + 0.01 * reg_rgb + 0.01 * reg_pos
    assert losses.total.item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["cosine", "mse"])
@pytest.mark.parametrize("space", ["pose", "rgb"])
def test_space_of_one_of_the_two(space: str, loss: str) -> None:
    distillation = module(loss=loss, space=space, cos_weight=0.5)
    losses = distillation(*inputs(), MASK)
    rgb, pose = rows()
    if space == "pose":
        rgb = linear(distillation.project_rgb, rgb)
    else:
        pose = linear(distillation.project_pose, pose)
    distance = one_minus_cosine(rgb, pose) if loss == "cosine" else np.mean((rgb - pose) ** 2)
    assert losses.l_cos.item() == pytest.approx(distance)
    assert losses.l_reg_rgb == losses.l_reg_pos == 0
    assert losses.total.item() == pytest.approx(0.5 * distance)
    assert len(list(distillation.parameters())) == 2


def test_features_that_are_to_become_the_vectors() -> None:
    _, vectors = inputs()
    config = DistillationConfig(
        teacher_dim=vectors.shape[-1], loss="mse", space="same", normalise="none", cos_weight=2.0
    )
    with pytest.raises(UsageError, match="expected features of the width of the vectors"):
        PoseDistillation(config, vectors.shape[-1] + 1)
    distillation = PoseDistillation(config, vectors.shape[-1])
    assert not list(distillation.parameters())
    same = vectors.detach() + 0.5
    losses = distillation(same, vectors, MASK)
    assert losses.total.item() == pytest.approx(2 * 0.25)


@pytest.mark.parametrize("space", ["shared", "pose", "rgb"])
@pytest.mark.parametrize("loss", ["cosine", "mse"])
def test_who_learns(space: str, loss: str) -> None:
    """The features and every projection; never the teacher, nor a frame outside the mask."""
    distillation, (features, vectors) = module(space=space, loss=loss), inputs()
    distillation(features, vectors, MASK).total.backward()
    assert vectors.grad is None
    assert features.grad is not None
    assert (features.grad[MASK].abs().amax(-1) > 0).all()
    assert not features.grad[~MASK].any()
    for name, parameter in distillation.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_targets_may_be_detached() -> None:
    gradients = []
    for detach in (False, True):
        distillation, (features, vectors) = module(detach_targets=detach), inputs()
        losses = distillation(features, vectors, MASK)
        (gradient,) = torch.autograd.grad(losses.l_reg_rgb, features)
        gradients.append(gradient[MASK])
    rgb = inputs()[0][MASK]
    error = distillation.reconstruct_rgb(distillation.project_rgb(rgb)) - rgb
    # They differ by what the target itself is pulled by: -2 error / N.
    torch.testing.assert_close(gradients[1] - gradients[0], 2 * error / error.numel())


def test_vectors_of_another_scale() -> None:
    """Normalised, a teacher counts the same whatever the scale of its vectors."""
    features, vectors = inputs()
    for how, same in (("layer", True), ("length", True), ("none", False)):
        distillation = module(normalise=how)
        one = distillation(features, vectors, MASK).total
        other = distillation(features, 50 * vectors, MASK).total
        assert torch.allclose(one, other, rtol=1e-4) == same


@pytest.mark.parametrize("space", ["shared", "pose"])
@pytest.mark.parametrize("loss", ["cosine", "mse"])
def test_a_batch_without_any_vector(space: str, loss: str) -> None:
    distillation, (features, vectors) = module(space=space, loss=loss), inputs()
    losses = distillation(features, vectors, torch.zeros_like(MASK))
    assert [x.item() for x in losses] == [0.0] * 4
    losses.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in distillation.parameters())


def test_nothing_is_gained_by_projecting_to_zero() -> None:
    """The collapse that cycle consistency is there to prevent (section 3.4)."""
    distillation = module(loss="mse")
    features, vectors = inputs()
    with torch.no_grad():
        for parameter in distillation.parameters():
            parameter.zero_()
    losses = distillation(features, vectors, MASK)
    assert losses.l_cos == 0
    rgb, pose = rows()
    assert losses.l_reg_rgb.item() == pytest.approx(np.mean(rgb**2))
    assert losses.l_reg_pos.item() == pytest.approx(np.mean(pose**2))


def test_features_take_on_what_the_teacher_knows() -> None:
    """Descending the loss moves features towards the teacher's: cosine 0 becomes almost 1."""
    torch.manual_seed(0)
    distillation = PoseDistillation(CONFIG, RGB)
    features = torch.randn(1, 40, RGB).requires_grad_()
    vectors, mask = torch.randn(1, 40, POSE), torch.ones(1, 40, dtype=torch.bool)
    optimizer = torch.optim.Adam([features, *distillation.parameters()], lr=0.03)
    values = []
    for _ in range(150):
        losses = distillation(features, vectors, mask)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        values.append([x.item() for x in losses])
    assert values[0][1] > 0.8
    assert values[-1][1] < 0.05
    assert values[-1][3] < 0.8 * values[0][3]


def test_numbers_of_the_paper() -> None:
    config = DistillationConfig()
    assert (config.teacher_dim, config.shared_dim) == (1024, 256)
    weights = (config.cos_weight, config.reg_rgb_weight, config.reg_pos_weight)
    assert weights == (0.1, 0.01, 0.01)
    shapes = [tuple(p.shape) for p in PoseDistillation(config, 512).parameters() if p.ndim == 2]
    assert shapes == [(256, 512), (256, 1024), (512, 256), (1024, 256)]
