"""Features -> hand poses: the hand-model-aware decoder (Eq. 2 to 5) and those of Table 5 without a
hand model.

Shapes: B clips, T frames, H hands; any other leading dimensions do as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.camera import weak_perspective
from chereme.hand_model.rotations import rot6d_to_matrix
from chereme.hand_model.skeleton import landmark_template
from chereme.systems.signbert.tokens import JOINTS

# Where training starts: a hand that fills the crop (crop units a metre), upright, its palm to the
# camera. The columns of the rotation are where the template's x (away from the fingers) and y (out
# of the back) point in the camera's frame: down, and away from it.
_SCALE = 8.0
_UPRIGHT = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_CAMERA = len(_UPRIGHT) + 3  # numbers of c_r, c_o and c_s
_START = 0.1  # what the weights of a fresh layer are multiplied with, so that it starts there


@dataclass(frozen=True)
class DecoderConfig:
    """``kind``: "hand_model" (the paper's), "fc1" or "fc2" (Table 5: fully connected layers that
    regress the joints).

    ``template``: name or path of a hand (``HandTemplate.load``), a right one: left hands are
    mirrored. ``tips``: see ``HandLayer``; the paper names five vertices of MANO (333, 443, 555,
    678, 734). ``components``: size of theta. Choice: principal components of the pose around the
    mean pose, all 25 of the fingers, as the camera has the rotation of the whole hand. ``hidden``:
    width between the layers of "fc2".
    """

    kind: Literal["hand_model", "fc1", "fc2"] = "hand_model"
    template: str = "open"
    tips: str | None = None
    components: int = 25
    hidden: int = 192


class HandParameters(NamedTuple):
    """The latent semantic embedding ``F_la`` (Eq. 2), and the joints before the camera.

    ``hand_pose (..., n)`` theta, ``betas (..., 10)``, ``rotation (..., 3, 3)`` c_r,
    ``offset (..., 2)`` c_o and ``scale (...)`` c_s in crop units (a metre);
    ``joints (..., 21, 3)`` metres in the template's frame.
    """

    hand_pose: Tensor
    betas: Tensor
    rotation: Tensor
    offset: Tensor
    scale: Tensor
    joints: Tensor


class Decoded(NamedTuple):
    """``joints (..., 21, 2)`` in crop units; ``hand``: None without a hand model."""

    joints: Tensor
    hand: HandParameters | None


class HandModelDecoder(nn.Module):
    """One fully connected layer D, the hand model, and a weak-perspective camera.

    Choice: the rotation is six numbers made orthonormal (Zhou et al. 2019), so it is one; the paper
    regresses 3 x 3 numbers. The scale is positive by a softplus.
    """

    def __init__(self, config: DecoderConfig, dim: int) -> None:
        super().__init__()
        template = HandTemplate.load(config.template)
        if template.side != "right":
            raise UsageError(
                f"template: expected a right hand, got {config.template!r}, a left one"
            )
        self.layer = HandLayer(
            landmark_template(template, template.tip_vertices(config.tips)),
            flat_hand_mean=False,
            components=config.components,
        )
        self.sizes = (config.components, self.layer.num_betas, len(_UPRIGHT), 2, 1)
        self.latent = nn.Linear(dim, sum(self.sizes))
        with torch.no_grad():
            self.latent.weight.mul_(_START)
            self.latent.bias.zero_()
            self.latent.bias[-_CAMERA : -_CAMERA + len(_UPRIGHT)] = torch.tensor(_UPRIGHT)

    def forward(self, features: Tensor) -> Decoded:
        """``(..., D)`` -> joints and what they were made of."""
        pose, betas, rot6d, offset, scale = self.latent(features).split(self.sizes, -1)
        rotation = rot6d_to_matrix(rot6d)
        scale = F.softplus(scale.squeeze(-1)) * (_SCALE / F.softplus(scale.new_zeros(())))
        joints = self.layer(
            betas.flatten(0, -2), pose.flatten(0, -2), pose.new_zeros(1, 3)
        ).joints.unflatten(0, features.shape[:-1])
        turned = joints.to(rotation) @ rotation.transpose(-1, -2)
        picture = weak_perspective(turned, scale, offset)
        return Decoded(picture, HandParameters(pose, betas, rotation, offset, scale, joints))


class JointDecoder(nn.Module):
    """Table 5, first rows: one or two fully connected layers that give the joints themselves."""

    def __init__(self, config: DecoderConfig, dim: int) -> None:
        super().__init__()
        if config.kind == "fc1":
            self.layers: nn.Module = nn.Linear(dim, 2 * JOINTS)
        else:
            self.layers = nn.Sequential(
                nn.Linear(dim, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 2 * JOINTS)
            )

    def forward(self, features: Tensor) -> Decoded:
        """``(..., D)`` -> joints."""
        return Decoded(self.layers(features).unflatten(-1, (JOINTS, 2)), None)


def build_decoder(config: DecoderConfig, dim: int) -> HandModelDecoder | JointDecoder:
    """The decoder of that kind for features of ``dim`` numbers."""
    if config.kind == "hand_model":
        return HandModelDecoder(config, dim)
    if config.kind in ("fc1", "fc2"):
        return JointDecoder(config, dim)
    raise UsageError(f"kind of decoder: expected hand_model, fc1 or fc2, got {config.kind!r}")
