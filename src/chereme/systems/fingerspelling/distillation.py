"""Pose-guided supervision (section 3.4): the ResNet's features learn from a pose teacher's vectors.

The module stands beside the recogniser, not in it, so that nothing of it is exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.systems.fingerspelling.encoders import normalise_vectors


@dataclass(frozen=True)
class DistillationConfig:
    """How `PoseDistillation` compares features with teacher vectors.

    ``teacher_dim``: 1024 for HaMeR's transformer head, 1280 for its ViT.
    ``loss``, ``space``: the rows of Table 2. "shared" is the paper's own ("Proj. Pose"): both are
    projected into ``shared_dim`` dimensions. In the other rows one is projected into the space of
    the other, the paper does not say which: "pose" takes the features to the teacher's vectors,
    "rgb" the vectors to the features. Choice: "pose" stands for these rows, since a fixed target
    cannot collapse. "same" projects nothing: features become the vectors, so that a network that
    reads these can go on with them. Cycle consistency is for the shared space alone.
    ``normalise``: of the teacher's vectors (see `normalise_vectors`). Choice: the paper is silent;
    with "layer" the weights mean the same for every teacher.
    ``detach_targets``: whether the reconstruction of the RGB features teaches the projections alone
    (the paper is silent), or the ResNet too. Choice: the ResNet too, the plain reading.
    Weights: section 3.4, last equation.
    """

    teacher_dim: int = 1024
    loss: Literal["cosine", "mse"] = "cosine"
    space: Literal["shared", "pose", "rgb", "same"] = "shared"
    shared_dim: int = 256
    normalise: Literal["none", "layer", "length"] = "layer"
    detach_targets: bool = False
    cos_weight: float = 0.1
    reg_rgb_weight: float = 0.01
    reg_pos_weight: float = 0.01


class DistillationLosses(NamedTuple):
    """``total = cos_weight l_cos + reg_rgb_weight l_reg_rgb + reg_pos_weight l_reg_pos``.

    In the MSE rows of Table 2 the mean squared error takes the place of ``l_cos``; the
    reconstructions are 0 where no shared space is.
    """

    total: Tensor
    l_cos: Tensor
    l_reg_rgb: Tensor
    l_reg_pos: Tensor


class PoseDistillation(nn.Module):
    """``l_cos``, ``l_reg_rgb`` and ``l_reg_pos`` of section 3.4, with their projections."""

    def __init__(self, config: DistillationConfig, feature_dim: int) -> None:
        super().__init__()
        self.config = config
        rgb, pose, shared = feature_dim, config.teacher_dim, config.shared_dim
        if config.space == "shared":
            self.project_rgb: nn.Module = nn.Linear(rgb, shared)
            self.project_pose: nn.Module = nn.Linear(pose, shared)
            self.reconstruct_rgb = nn.Linear(shared, rgb)
            self.reconstruct_pose = nn.Linear(shared, pose)
        else:
            if config.space == "same" and rgb != pose:
                raise UsageError(
                    f"distillation: expected features of the width of the vectors, {pose}, for the "
                    f"space same, got {rgb}; set the encoder's features"
                )
            to_pose, to_rgb = config.space == "pose", config.space == "rgb"
            self.project_rgb = nn.Linear(rgb, pose) if to_pose else nn.Identity()
            self.project_pose = nn.Linear(pose, rgb) if to_rgb else nn.Identity()

    def predict(self, features: Tensor, vectors: Tensor) -> Tensor:
        """The teacher's vectors ``(N, teacher_dim)``, as the student's ``features (N,
        feature_dim)`` predict them: in a shared space, by the reconstruction of that.

        What normalising takes away, mean and deviation or length, is that of the teacher's own
        ``vectors``. UsageError for the space rgb, from which nothing leads back.
        """
        if self.config.space == "rgb":
            raise UsageError("distillation: expected the space shared, pose or same, got rgb")
        predicted = self.project_rgb(features)
        if self.config.space == "shared":
            predicted = self.reconstruct_pose(predicted)
        predicted = normalise_vectors(predicted, self.config.normalise)
        if self.config.normalise == "layer":
            deviation = vectors.std(-1, keepdim=True, correction=0)
            return torch.as_tensor(predicted * deviation + vectors.mean(-1, keepdim=True))
        if self.config.normalise == "length":
            return torch.as_tensor(predicted * vectors.norm(dim=-1, keepdim=True))
        return torch.as_tensor(predicted)

    def forward(self, features: Tensor, vectors: Tensor, mask: Tensor) -> DistillationLosses:
        """Losses of the frames inside ``mask (B, T)``; all 0 where there are none.

        Args:
            features: of the ResNet, ``(B, T, feature_dim)``.
            vectors: of the frozen teacher, ``(B, T, teacher_dim)``, anything outside the mask.
            mask: frames inside their clips of which the teacher has a vector.
        """
        rgb = features[mask]
        pose = normalise_vectors(vectors.detach()[mask], self.config.normalise)
        z_rgb, z_pose = self.project_rgb(rgb), self.project_pose(pose)
        l_cos = cosine_loss(z_rgb, z_pose) if self.config.loss == "cosine" else mse(z_rgb, z_pose)
        l_reg_rgb = l_reg_pos = l_cos.new_zeros(())
        if self.config.space == "shared":
            target = rgb.detach() if self.config.detach_targets else rgb
            l_reg_rgb = mse(self.reconstruct_rgb(z_rgb), target)
            l_reg_pos = mse(self.reconstruct_pose(z_pose), pose)
        total = (
            self.config.cos_weight * l_cos
            + self.config.reg_rgb_weight * l_reg_rgb
            + self.config.reg_pos_weight * l_reg_pos
        )
        return DistillationLosses(total, l_cos, l_reg_rgb, l_reg_pos)


def cosine_loss(one: Tensor, other: Tensor) -> Tensor:
    """Mean over rows ``(N, D)`` of 1 minus the cosine of their angle."""
    return (1.0 - F.cosine_similarity(one, other, dim=-1)).sum() / max(len(one), 1)


def mse(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference of ``(N, D)``, over rows and columns."""
    return torch.as_tensor((one - other).square().sum() / max(one.numel(), 1))
