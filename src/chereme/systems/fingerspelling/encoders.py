"""Frame encoders: what the 1D-CNN is given of each frame, whatever the stream.

All of them map frames ``(B, T, ...)`` and a ``mask (B, T)`` of the frames that exist to features
``(B, T, feature_dim)`` that are zero outside the mask, and look at each frame on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.nn.resnet import ResNetEncoder


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


class EarlyFusion(nn.Module):
    """Features of several encoders side by side, before the 1D-CNN (Table 2 'Early')."""

    def __init__(self, encoders: Sequence[LandmarkEncoder | ResNetEncoder | VectorEncoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.feature_dim = sum(encoder.feature_dim for encoder in encoders)

    def forward(self, frames: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """``frames``: those of each encoder, in their order, of the same ``(B, T)``."""
        parts = [e(stream, mask) for e, stream in zip(self.encoders, frames, strict=True)]
        return torch.cat(parts, -1)


def resnet_of(encoder: nn.Module) -> ResNetEncoder | None:
    """The ResNet of an encoder, if it has one."""
    parts = list(encoder.encoders) if isinstance(encoder, EarlyFusion) else [encoder]
    return next((part for part in parts if isinstance(part, ResNetEncoder)), None)
