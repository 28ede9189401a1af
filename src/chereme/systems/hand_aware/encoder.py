"""The visual encoder: hand crops to the state of the hand and its camera (Eq. 1)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from chereme.hand_model.rotations import rot6d_to_matrix
from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig

_ROT6D = 6
# Choice: the state to which the network's outputs are differences: an upright hand, palm to the
# camera, which fills half of the crop. The columns of its rotation are where the model's x
# and y go: fingers (-x) up in the picture, the palm (-y) towards the camera.
_START_ROTATION = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_START_SCALE = 9.0  # half crops a metre
_MAX_LOG_SCALE = 3.0  # a hand twenty times as large as the crop is one that went astray
_DEGENERATE = 1e-6


class HandState(NamedTuple):
    """What is said of the hand in each crop; ``(...)`` any leading dimensions."""

    theta: Tensor  # (..., P) PCA coefficients of the pose
    betas: Tensor  # (..., 10) shape
    rotation: Tensor  # (..., 3, 3) c_r, from the hand model's frame to the camera's
    offset: Tensor  # (..., 2) c_o, crop units
    scale: Tensor  # (...) c_s > 0, crop units a metre


def camera_rotation(difference: Tensor) -> Tensor:
    """``(..., 6)`` -> rotations ``(..., 3, 3)``; zeros are the upright hand.

    Choice: the paper's encoder gives the nine entries of c_r and does not say what keeps them a
    rotation. Here it gives two columns, made orthonormal (Zhou et al. 2019). Where these are
    parallel or zero, which no direction follows from, the rotation is the upright hand's.
    """
    start = difference.new_tensor(_START_ROTATION)
    columns = difference + start
    area = torch.linalg.cross(columns[..., :3], columns[..., 3:]).square().sum(-1, keepdim=True)
    return rot6d_to_matrix(torch.where(area > _DEGENERATE**2, columns, start))


class HandEncoder(nn.Module):
    """ResNet (the paper's: 34 layers) and one fully connected layer on each crop.

    Args:
        config: of the ResNet.
        components: P, of the pose.
        betas: number of shape parameters.
    """

    def __init__(self, config: ResNetEncoderConfig, *, components: int, betas: int) -> None:
        super().__init__()
        self.sizes = [components, betas, _ROT6D, 2, 1]
        self.resnet = ResNetEncoder(config)
        self.state = nn.Linear(self.resnet.feature_dim, sum(self.sizes))
        # So that training starts near the mean hand, from which every crop can be reached.
        nn.init.normal_(self.state.weight, std=0.01)
        nn.init.zeros_(self.state.bias)

    def forward(self, crops: Tensor, mask: Tensor | None = None) -> HandState:
        """Crops ``(..., 3, S, S)``, RGB from 0 to 1, ``mask (...)`` of those that show a hand.

        The others are not read; their state is that of the mean hand, upright.
        """
        raw = self._raw(crops, mask).float()
        theta, betas, rotation, offset, scale = torch.split(raw, self.sizes, -1)
        # Choice: a positive scale; with a negative one the picture would be a mirrored hand.
        limited = scale.squeeze(-1).clamp(-_MAX_LOG_SCALE, _MAX_LOG_SCALE)
        return HandState(
            theta,
            betas,
            camera_rotation(rotation),
            offset,
            (limited + math.log(_START_SCALE)).exp(),
        )

    def _raw(self, crops: Tensor, mask: Tensor | None) -> Tensor:
        raw: Tensor
        if mask is None:
            raw = self.state(self.resnet(crops))
            return raw
        if not bool(mask.any()):  # batch normalisation cannot be asked about nothing
            return crops.new_zeros(*mask.shape, sum(self.sizes))
        raw = self.state(self.resnet(crops, mask))
        return raw.where(mask[..., None], 0.0)
