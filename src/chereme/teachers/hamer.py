"""The teacher of the paper: HaMeR, a foundation model of hand reconstruction, without MANO.

Paper: "Seeing in 2D, Thinking in 3D", section 3.3: the 1024-d output of HaMeR's Transformer head
just before the MANO regression ("Trans." in Table 2), or its ViT tokens, max-pooled ("ViT").
HaMeR: Pavlakos et al., CVPR 2024, geopavlakos/hamer. Its released ``hamer.ckpt`` is read as it is;
no MANO file and none of HaMeR's own dependencies are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chereme.errors import InputError
from chereme.teachers import Clip, ClipEmbeddings
from chereme.teachers.checkpoint import read_tensors
from chereme.teachers.pose_transformer import ManoHead, PoseTransformerConfig
from chereme.teachers.vit import ViT, ViTConfig

Level = Literal["transformer", "vit"]

# Of ImageNet, for pixels in 0..1.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class HamerConfig:
    """Sizes of both parts; as they stand, those of the released model."""

    vit: ViTConfig = field(default_factory=ViTConfig)
    head: PoseTransformerConfig = field(default_factory=PoseTransformerConfig)


class HamerOutput(NamedTuple):
    """``features (B, 1280, 16, 12)`` of the ViT and ``token (B, 1024)`` of the head."""

    features: Tensor
    token: Tensor


class Hamer(nn.Module):
    """The network, with the released model's names of tensors."""

    def __init__(self, config: HamerConfig = HamerConfig()) -> None:
        super().__init__()
        self.config = config
        self.backbone = ViT(config.vit)
        self.mano_head = ManoHead(config.head)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        config: HamerConfig = HamerConfig(),
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> Hamer:
        """The model with the weights of ``hamer.ckpt``, or of a safetensors file of these names.

        BundleError if the file is neither or lacks tensors; see `chereme.teachers.checkpoint`.
        """
        with torch.device("meta"):
            model = cls(config)
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        model.load_state_dict(read_tensors(path, shapes, dtype), assign=True)
        return model.to(device)

    def forward(self, images: Tensor) -> HamerOutput:
        """``images (B, 3, 256, 256)`` or ``(B, 3, 256, 192)``, normalised (see `normalise`)."""
        # HaMeR cuts square pictures, and lets its ViT see the middle three quarters of the width.
        margin = (images.shape[-1] - self.config.vit.image_width) // 2
        features = self.backbone(images[..., margin : images.shape[-1] - margin])
        token = self.mano_head.transformer(features.flatten(2).transpose(1, 2))
        return HamerOutput(features, token)


def normalise(crops: Tensor) -> Tensor:
    """``(N, H, W, 3)`` RGB 0..255 to ``(N, 3, H, W)`` float32: ImageNet's mean 0, deviation 1."""
    mean, std = (torch.tensor(values, device=crops.device) for values in (_MEAN, _STD))
    return ((crops.float() / 255 - mean) / std).permute(0, 3, 1, 2)


class HamerTeacher(nn.Module):
    """HaMeR as a `Teacher`: frozen, always in evaluation mode.

    ``level`` says which vectors: ``transformer`` the head's token, ``vit`` the largest of each
    feature over the tokens of the ViT. The token is the residual stream as it is, not normalised:
    bring it to unit length, or through a LayerNorm, before taking squared errors. ``batch_size``
    crops go through at a time.

    HaMeR knows right hands only. Crops of left hands are to be mirrored by the caller, before.

    >>> hamer = Hamer.from_checkpoint("hamer.ckpt", device="cuda", dtype=torch.bfloat16)
    >>> vectors = HamerTeacher(hamer).embed(crops)  # (N, 256, 256, 3) uint8 -> (N, 1024) float32
    """

    def __init__(self, model: Hamer, *, level: Level = "transformer", batch_size: int = 32) -> None:
        super().__init__()
        self.model = model
        self.level = level
        self.batch_size = batch_size
        self.requires_grad_(False)
        self.train()

    @property
    def name(self) -> str:
        """``hamer`` or ``hamer-vit``."""
        return "hamer" if self.level == "transformer" else "hamer-vit"

    @property
    def dim(self) -> int:
        """1024, or 1280 for ``vit``."""
        config = self.model.config
        return config.head.dim if self.level == "transformer" else config.vit.dim

    def train(self, mode: bool = True) -> HamerTeacher:
        """Stays in evaluation mode, also where it is part of a model that is trained."""
        super().train(False)
        return self

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        """The vectors of the clip's crops, and of the same crops flipped left-right.

        Choice: the paper gives HaMeR "the same hand crops". These are 1.5 times the hand, of which
        HaMeR sees three quarters of the width: in a sideways swing joints are beyond. HaMeR itself
        cuts 2 to 2.7 times the hand; where the clip has such crops (``hamer_crops``), it gets them.
        """
        crops = clip.crops if clip.hamer_crops is None else clip.hamer_crops
        try:
            # The cut to 192 columns is symmetric: the mirror image of the square is that of the
            # cut.
            return ClipEmbeddings(self.embed(crops), self.embed(crops[:, :, ::-1]))
        except InputError as error:
            raise InputError(f"clip {clip.id}: {error}") from error

    @torch.inference_mode()
    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(N, D)`` vectors of crops ``(N, 256, 256, 3)`` uint8 RGB that show right hands.

        InputError if they are something else.
        """
        side = self.model.config.vit.image_height
        if crops.dtype != np.uint8 or crops.shape[1:] != (side, side, 3):
            raise InputError(
                f"{self.name}: expected crops (N, {side}, {side}, 3) uint8, got {crops.shape} "
                f"{crops.dtype}"
            )
        weight: Any = self.model.backbone.pos_embed
        vectors: NDArray[np.float32] = np.empty((len(crops), self.dim), np.float32)
        for start in range(0, len(crops), self.batch_size):
            # Torch takes no array with negative strides, such as flipped pictures.
            pictures = np.ascontiguousarray(crops[start : start + self.batch_size])
            images = normalise(torch.from_numpy(pictures).to(weight.device)).to(weight)
            features, token = self.model(images)
            out = token if self.level == "transformer" else features.amax((-2, -1))
            vectors[start : start + self.batch_size] = out.float().cpu().numpy()
        return vectors
