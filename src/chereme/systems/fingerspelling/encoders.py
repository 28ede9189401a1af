"""Frame encoders: what the 1D-CNN is given of each frame, whatever the stream.

All of them map frames ``(B, T, ...)`` and a ``mask (B, T)`` of the frames that exist to features
``(B, T, feature_dim)`` that are zero outside the mask, and look at each frame on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.nn.resnet import ResNetEncoder
from chereme.types import VECTOR_SIZE


@dataclass(frozen=True)
class LandmarkEncoderConfig:
    """Sizes of `LandmarkEncoder`."""

    features_per_frame: int = 235
    hidden: int = 256
    feature_dim: int = 128
    dropout: float = 0.25


class _TwoLayers(nn.Module):
    """Standardised numbers of a frame ``(..., F)``, those that are ``known (..., 1)``, and two
    layers on them: ``(..., D)``, zero where they are not. ``drop``: of what is given."""

    mean: Tensor
    std: Tensor

    def __init__(self, given: int, hidden: int, made: int, dropout: float, drop: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(given))
        self.register_buffer("std", torch.ones(given))
        self.layers = nn.Sequential(
            *([nn.Dropout(dropout)] if drop else []),
            nn.Linear(given, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, made),
            nn.LayerNorm(made),
            nn.ReLU(),
        )

    def set_statistics(self, frames: Tensor) -> None:
        """Standardise by mean and spread of ``frames (N, F)``, known ones only."""
        self.mean.copy_(frames.mean(0))
        self.std.copy_(frames.std(0).clamp_min(1e-3))

    def encode(self, frames: Tensor, known: Tensor) -> Tensor:
        x = ((frames - self.mean) / self.std).clamp(-6.0, 6.0) * known
        out: Tensor = self.layers(x) * known
        return out


class LandmarkEncoder(_TwoLayers):
    """Two layers on the landmark features of a frame: ``(..., F)`` -> ``(..., D)``."""

    def __init__(self, config: LandmarkEncoderConfig) -> None:
        sizes = config.features_per_frame, config.hidden, config.feature_dim
        super().__init__(*sizes, config.dropout, drop=False)
        self.feature_dim = config.feature_dim

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        # The last feature says whether the hand is seen; standardising must not hide that.
        present = frames[..., -1:]
        if mask is not None:
            present = present * mask[..., None]
        return self.encode(frames, present)


@dataclass(frozen=True)
class HandEncoderConfig:
    """Sizes of `HandEncoder`.

    ``landmarks``: of the branch of landmark features. ``vector_size``, ``hidden``, ``feature_dim``
    and ``dropout``: of the branch of the hand network's vectors. ``branch_dropout``: how often a
    branch gets nothing of a whole clip in training, the one or the other.
    """

    landmarks: LandmarkEncoderConfig = field(default_factory=LandmarkEncoderConfig)
    vector_size: int = VECTOR_SIZE
    hidden: int = 192
    feature_dim: int = 128
    dropout: float = 0.3
    branch_dropout: float = 0.15


class _VectorBranch(_TwoLayers):
    """Two layers on the hand network's vector of a frame: ``(..., V)`` -> ``(..., D)``, zero where
    the vector is."""

    def __init__(self, config: HandEncoderConfig) -> None:
        sizes = config.vector_size, config.hidden, config.feature_dim
        super().__init__(*sizes, config.dropout, drop=True)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.encode(vectors, (vectors.abs().sum(-1, keepdim=True) > 0).to(vectors.dtype))


class HandEncoder(nn.Module):
    """Landmark features of a frame and the hand network's vector, as ``hand_features`` makes them,
    side by side: ``(..., F + V)`` -> ``(..., D)``.

    Choice: in training a whole clip's vectors are left out at times, so that the network reads
    clips that have none, and at other times its landmarks, so that both branches learn.
    """

    def __init__(self, config: HandEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.landmarks = LandmarkEncoder(config.landmarks)
        self.vectors = _VectorBranch(config)
        self.feature_dim = config.landmarks.feature_dim + config.feature_dim
        self._parts = [config.landmarks.features_per_frame, config.vector_size]

    def set_statistics(self, frames: Tensor) -> None:
        """Standardise by mean and spread of ``frames (N, F + V)``, present ones only; vectors by
        those of them that have one."""
        landmarks, vectors = torch.split(frames, self._parts, -1)
        self.landmarks.set_statistics(landmarks)
        known = vectors[vectors.any(-1)]
        if len(known) > 1:
            self.vectors.set_statistics(known)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        landmarks, vectors = torch.split(frames, self._parts, -1)
        if mask is not None:
            vectors = vectors.where(mask[..., None], 0.0)
        parts = [self.landmarks(landmarks, mask), self.vectors(vectors)]
        if self.training:
            clips = [len(frames), *[1] * (frames.dim() - 1)]
            chance = torch.rand(clips, device=frames.device)
            dropped = self.config.branch_dropout
            parts[0] = parts[0].where(chance >= dropped, 0.0)
            parts[1] = parts[1].where((chance < dropped) | (chance >= 2 * dropped), 0.0)
        return torch.cat(parts, -1)


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
