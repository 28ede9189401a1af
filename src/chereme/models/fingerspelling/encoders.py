"""Frame encoders: what the 1D-CNN is given of each frame, whatever the stream.

All of them map frames ``(B, T, ...)`` and a ``mask (B, T)`` of the frames that exist to features
``(B, T, feature_dim)`` that are zero outside the mask, and look at each frame on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme._imports import require
from chereme.errors import UsageError
from chereme.models.fingerspelling.masking import unpack

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class LandmarkEncoderConfig:
    """Sizes of `LandmarkEncoder`."""

    features_per_frame: int = 235
    hidden: int = 256
    feature_dim: int = 128
    dropout: float = 0.25


class LandmarkEncoder(nn.Module):
    """Two layers on the landmark features of a frame: ``(..., F)`` -> ``(..., D)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: LandmarkEncoderConfig) -> None:
        super().__init__()
        self.feature_dim = config.feature_dim
        self.register_buffer("mean", torch.zeros(config.features_per_frame))
        self.register_buffer("std", torch.ones(config.features_per_frame))
        self.layers = nn.Sequential(
            nn.Linear(config.features_per_frame, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.feature_dim),
            nn.LayerNorm(config.feature_dim),
            nn.ReLU(),
        )

    def set_statistics(self, frames: Tensor) -> None:
        """Standardise by mean and spread of ``frames (N, F)``, present ones only."""
        self.mean.copy_(frames.mean(0))
        self.std.copy_(frames.std(0).clamp_min(1e-3))

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        # The last feature says whether the hand is seen; standardising must not hide that.
        present = frames[..., -1:]
        if mask is not None:
            present = present * mask[..., None]
        x = ((frames - self.mean) / self.std).clamp(-6.0, 6.0) * present
        out: Tensor = self.layers(x) * present
        return out


@dataclass(frozen=True)
class ResNetEncoderConfig:
    """Sizes of `ResNetEncoder`; the defaults are the paper's ResNet34 (section 3.2.1).

    ``image_size`` is the side of the crops that it is trained on and served with, in pixels.
    ``frozen_statistics`` keeps batch normalisation at the statistics that were loaded: at two clips
    a batch, those of neighbouring frames say little about other clips. ``features``: width of a
    linear layer after the pooling; None, as in the paper: there is none.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    image_size: int = 256
    frozen_statistics: bool = False
    features: int | None = None


class ResNetEncoder(nn.Module):
    """ResNet of basic layers and global average pooling on hand crops (section 3.2.1).

    Crops are RGB, float, 0 to 1: ``(..., 3, S, S)`` -> ``(..., D)``, D the last width. ImageNet's
    mean and spread are taken out here, so that training and serving cannot differ in it.

    Only the crops inside the mask go through the network: padding neither touches the statistics of
    batch normalisation (the paper's masked batch normalisation) nor costs time.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ResNetEncoderConfig) -> None:
        super().__init__()
        if len(config.depths) != len(config.widths):
            raise UsageError(
                f"depths and widths: expected one of each a stage, got {config.depths} and "
                f"{config.widths}"
            )
        self.config = config
        self.feature_dim = config.features or config.widths[-1]
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        resnet: Any = require("transformers.models.resnet", extra="train")
        self.resnet: nn.Module = resnet.ResNetModel(
            resnet.ResNetConfig(
                embedding_size=config.widths[0],
                hidden_sizes=list(config.widths),
                depths=list(config.depths),
                layer_type="basic",
            )
        )
        self.head = nn.Linear(config.widths[-1], config.features) if config.features else None

    def train(self, mode: bool = True) -> ResNetEncoder:
        super().train(mode)
        if self.config.frozen_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            return unpack(self.forward(frames[mask]), mask)
        crops = (frames.flatten(0, -4) - self.mean) / self.std
        if not torch.onnx.is_in_onnx_export():  # ONNX knows no such thing
            # Convolutions follow the layout of what they read; weights are packed anew anyway.
            crops = crops.contiguous(memory_format=torch.channels_last)
        pooled: Tensor = self.resnet(crops).pooler_output.flatten(1)
        if self.head is not None:
            pooled = self.head(pooled)
        return pooled.reshape(*frames.shape[:-3], self.feature_dim)


def normalise_vectors(vectors: Tensor, how: Literal["none", "layer", "length"]) -> Tensor:
    """Teacher vectors ``(..., D)`` brought to one scale.

    "layer": each to mean 0 and variance 1 over its D numbers; "length": each to length 1. HaMeR's
    vector is the residual stream before any normalisation, so its scale says nothing.
    """
    if how == "layer":
        return F.layer_norm(vectors, [int(vectors.shape[-1])])  # int: a constant of the export
    return F.normalize(vectors, dim=-1) if how == "length" else vectors


@dataclass(frozen=True)
class VectorEncoderConfig:
    """``dim``: width of the teacher's vectors (HaMeR: 1024 transformer head, 1280 ViT)."""

    dim: int = 1024
    normalise: Literal["none", "layer", "length"] = "none"


class VectorEncoder(nn.Module):
    """Teacher vectors ``(..., D)`` in the place of the ResNet34 (Table 1, Table 2 'pose-only').

    It has no parameters: the paper feeds the embeddings "directly into the 1D-CNN" (section 5).
    """

    def __init__(self, config: VectorEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_dim = config.dim

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        vectors = normalise_vectors(frames, self.config.normalise)
        # Not a product: a frame that does not exist may hold anything, NaN too.
        return vectors if mask is None else vectors.where(mask[..., None], 0.0)
