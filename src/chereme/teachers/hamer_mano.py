"""HaMeR's last layers: from the token of its Transformer head, which students learn, to MANO.

Source: geopavlakos/hamer, ``heads/mano_head.py``. Teachers do without; pictures of what a token
says of a hand need them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from chereme.hand_model.rotations import rot6d_to_matrix
from chereme.teachers.checkpoint import read_tensors
from chereme.teachers.pose_transformer import PoseTransformerConfig

_PREFIX = "mano_head."


class ManoParameters(NamedTuple):
    """N hands. ``camera``: s, t_x, t_y; a point (x, y, z) shows at s (x + t_x, y + t_y), of which
    -1 and 1 are the edges of HaMeR's square (far off: HaMeR's focal length is 5,000 pixels)."""

    global_orient: Tensor  # (N, 3, 3)
    hand_pose: Tensor  # (N, 15, 3, 3), joints in MANO order
    betas: Tensor  # (N, 10)
    camera: Tensor  # (N, 3)


class ManoRegression(nn.Module):
    """The layers, with the released model's names of tensors."""

    init_hand_pose: Tensor
    init_betas: Tensor
    init_cam: Tensor

    def __init__(self, dim: int = PoseTransformerConfig().dim) -> None:
        super().__init__()
        for name, part, width in (
            ("decpose", "init_hand_pose", 16 * 6),
            ("decshape", "init_betas", 10),
            ("deccam", "init_cam", 3),
        ):
            self.add_module(name, nn.Linear(dim, width))
            self.register_buffer(part, torch.zeros(1, width))

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, dim: int = PoseTransformerConfig().dim
    ) -> ManoRegression:
        """With the weights of ``hamer.ckpt``; errors as of `Hamer.from_checkpoint`."""
        model = cls(dim)
        shapes = {_PREFIX + name: tensor.shape for name, tensor in model.state_dict().items()}
        found = read_tensors(path, shapes)
        model.load_state_dict({name.removeprefix(_PREFIX): t for name, t in found.items()})
        return model.requires_grad_(False).eval()

    def forward(self, token: Tensor) -> ManoParameters:
        """``token (N, dim)``: one iteration from the mean, as the released model does."""
        pose = self.get_submodule("decpose")(token) + self.init_hand_pose
        rotations = rot6d_to_matrix(pose.view(-1, 16, 6))
        return ManoParameters(
            rotations[:, 0],
            rotations[:, 1:],
            self.get_submodule("decshape")(token) + self.init_betas,
            self.get_submodule("deccam")(token) + self.init_cam,
        )
