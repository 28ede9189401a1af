"""The hand-model-aware decoder: the state of a hand to its mesh and joints (Eq. 2, 3 and 5)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.camera import weak_perspective
from chereme.systems.hand_aware.encoder import HandState


class HandReconstruction(NamedTuple):
    """Hands, metres; ``(...)`` as in the state that they are of."""

    vertices: Tensor  # (..., V, 3) in the hand model's frame
    joints: Tensor  # (..., 21, 3) J_3D, in the hand model's frame, MediaPipe order
    turned: Tensor  # (..., 21, 3) c_r J_3D, in the camera's frame
    projected: Tensor  # (..., 21, 2) J_2D of Eq. 5, crop units


class HandDecoder(nn.Module):
    """A hand model with principal components as pose; it has no parameters to learn.

    Args:
        template: MANO or the open hand.
        components: number of principal components, the paper's 6.
        tips: which of the template's named fingertips are joints; None: its first.
    """

    def __init__(
        self, template: HandTemplate, *, components: int = 6, tips: str | None = None
    ) -> None:
        super().__init__()
        # Choice: coefficients are differences to the mean pose of the template, so that the
        # regularisation (Eq. 8) draws towards that pose and not towards the flat hand.
        self.layer = HandLayer(template, flat_hand_mean=False, components=components, tips=tips)

    def forward(self, state: HandState) -> HandReconstruction:
        leading = state.theta.shape[:-1]
        theta, betas = state.theta.flatten(0, -2), state.betas.flatten(0, -2)
        still = theta.new_zeros(len(theta), 3)
        hand = self.layer(betas, theta, still)
        vertices = hand.vertices.unflatten(0, leading)
        joints = hand.joints.unflatten(0, leading)
        turned = turn(joints, state.rotation)
        projected = weak_perspective(turned, state.scale, state.offset)
        return HandReconstruction(vertices, joints, turned, projected)


def turn(points: Tensor, rotation: Tensor) -> Tensor:
    """``c_r p`` for points ``(..., N, 3)`` and rotations ``(..., 3, 3)``."""
    with torch.autocast(points.device.type, enabled=False):
        return points @ rotation.to(points).transpose(-1, -2)


def crop_units(landmarks: Tensor, size: float) -> Tensor:
    """Pixels ``(..., 2)`` of a crop of that side -> crop units: the crop spans [-1, 1].

    Choice: the paper does not say in which unit ``l_spa`` is.
    """
    return landmarks * (2 / size) - 1
