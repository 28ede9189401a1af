"""Pose tracks of a frame, encoded each on its own and fused (Eq. 1 to 3).

Shapes: B clips, T frames, S tracks, W numbers of a track, D = ``hidden``. A track that is missing
in a frame may hold anything there, NaN too: ``present`` is False and nothing reads it. Where a
track is there, a number of it that is not known (a hand out of sight) is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import InputError, UsageError
from chereme.models.signx.layers import Attention

# Numbers a frame (section 3.1), 1959 in all.
WIDTHS: Mapping[str, int] = {
    "smplerx": 165,
    "dwpose": 384,
    "mediapipe": 258,
    "primedepth": 576,
    "sapiens": 576,
}
_SMALLEST = 1e-6  # spread of a number that never changes


@dataclass(frozen=True)
class TracksConfig:
    """Sizes of `PoseEncoder`; the paper gives ``widths`` and ``latent`` alone.

    ``widths``: the tracks that the model knows, by name. ``hidden``: d_h. ``match``: how Eq. 3
    makes ``latent`` numbers of d_h: "linear" or "pad", with zeros. Choice: linear; the paper says
    "project" and calls it PadMatch. ``drop_track``: share of the tracks of clips hidden in
    training, never all of a clip's, so that any subset works (the paper has all five always).
    """

    widths: dict[str, int] = field(default_factory=lambda: dict(WIDTHS))
    hidden: int = 512
    heads: int = 8
    dropout: float = 0.1
    latent: int = 2048
    match: Literal["linear", "pad"] = "linear"
    drop_track: float = 0.0


def check_tracks(
    tracks: Mapping[str, Tensor], present: Mapping[str, Tensor], widths: Mapping[str, int]
) -> tuple[int, int]:
    """B and T of the batch.

    Raises:
        InputError: no track, an unknown one, one without ``present``, or shapes that do not fit.
    """
    if not tracks:
        raise InputError(f"tracks: expected any of {', '.join(widths)}, got none")
    shape = tuple(next(iter(tracks.values())).shape[:2])
    for name, track in tracks.items():
        if name not in widths:
            raise InputError(f"tracks: expected any of {', '.join(widths)}, got {name!r}")
        wanted = (*shape, widths[name])
        if tuple(track.shape) != wanted:
            raise InputError(f"track {name!r}: expected {wanted}, got {tuple(track.shape)}")
        if name not in present:
            raise InputError(f"present: expected the frames of track {name!r}, got none")
        if tuple(present[name].shape) != shape or present[name].dtype != torch.bool:
            raise InputError(
                f"present {name!r}: expected {shape} of bool, got {tuple(present[name].shape)} of "
                f"{present[name].dtype}"
            )
    return shape[0], shape[1]


class TrackEncoder(nn.Module):
    """``f_i = E_i(P_i)`` (Eq. 1): ``(..., W)`` -> ``(..., D)``, each frame on its own.

    Choice: two layers on numbers with the training data's mean and spread taken out
    (`set_statistics`), as pixels, metres and radians come side by side. Beside each number stands a
    flag, 1 where it is not known: the 0 that is put there is no place.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.layers = nn.Sequential(
            nn.Linear(2 * width, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
        )

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Mean and spread ``(W,)`` of each number over the frames of the training data."""
        for name, values in (("mean", mean), ("std", std)):
            if values.shape != self.mean.shape or not bool(values.isfinite().all()):
                raise InputError(
                    f"{name}: expected {tuple(self.mean.shape)} finite numbers, got "
                    f"{tuple(values.shape)}"
                )
        self.mean.copy_(mean)
        # A number that never changes is left as large as it is.
        self.std.copy_(std.where(std > _SMALLEST, 1.0))

    def forward(self, track: Tensor) -> Tensor:
        known = track.isfinite()
        scaled = ((track - self.mean) / self.std).where(known, 0.0)
        encoded: Tensor = self.layers(torch.cat([scaled, (~known).to(scaled.dtype)], -1))
        return encoded


class TrackFusion(nn.Module):
    """``f_fused = MultiHeadAttention(f_1, ..., f_S)`` (Eq. 2), over the tracks of one frame.

    Choice: self-attention gives a vector a track; each is added to what it was made from,
    normalised, and their mean over the tracks that are there is f_fused. A frame without any track
    is a vector that is learnt.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)
        self.missing = nn.Parameter(torch.zeros(dim))

    def forward(self, encoded: Tensor, seen: Tensor) -> Tensor:
        """``encoded (B, T, S, D)``, ``seen (B, T, S)`` -> ``(B, T, D)``."""
        frames = encoded.flatten(0, 1)
        attended = self.attention(frames, frames, seen.flatten(0, 1).unsqueeze(1))
        fused: Tensor = self.norm(frames + attended).view_as(encoded)
        count = seen.sum(-1, keepdim=True)
        fused = fused.where(seen.unsqueeze(-1), 0.0).sum(2) / count.clamp_min(1)
        return fused.where(count > 0, self.missing)


class PoseEncoder(nn.Module):
    """Tracks of a batch -> ``f_fused (B, T, D)``."""

    def __init__(self, config: TracksConfig) -> None:
        super().__init__()
        if not config.widths or any("." in name or not name for name in config.widths):
            raise UsageError(
                f"widths: expected names of tracks, without dots, got {list(config.widths)}"
            )
        self.config = config
        self.encoders = nn.ModuleDict(
            {
                name: TrackEncoder(width, config.hidden, config.dropout)
                for name, width in config.widths.items()
            }
        )
        self.fusion = TrackFusion(config.hidden, config.heads)

    def track_encoder(self, name: str) -> TrackEncoder:
        """E_i; InputError for a track that the model does not know."""
        if name not in self.encoders:
            raise InputError(f"tracks: expected any of {', '.join(self.encoders)}, got {name!r}")
        encoder = self.encoders[name]
        assert isinstance(encoder, TrackEncoder)
        return encoder

    def forward(
        self, tracks: Mapping[str, Tensor], present: Mapping[str, Tensor], mask: Tensor
    ) -> Tensor:
        """``tracks``: ``(B, T, W)`` by name, any that the model knows, in any order; ``present``
        and ``mask``: ``(B, T)`` bool, which frames of each track and of each clip there are.

        Raises:
            InputError: see `check_tracks`.
        """
        check_tracks(tracks, present, self.config.widths)
        encoded, seen = [], []
        for name in self.config.widths:
            if name in tracks:
                there = present[name] & mask
                encoded.append(self.encoders[name](tracks[name].where(there.unsqueeze(-1), 0.0)))
                seen.append(there)
        fused: Tensor = self.fusion(torch.stack(encoded, 2), self._hide(torch.stack(seen, 2)))
        return fused

    def _hide(self, seen: Tensor) -> Tensor:
        """In training, some tracks of some clips are taken for missing."""
        if not self.training or self.config.drop_track <= 0:
            return seen
        shape = (len(seen), 1, seen.shape[-1])
        kept = seen & (torch.rand(shape, device=seen.device) >= self.config.drop_track)
        some = kept.flatten(1).any(1)
        return torch.where(some[:, None, None], kept, seen)


class DimensionMatch(nn.Module):
    """``z = PadMatch(f) (B, T, latent)`` (Eq. 3).

    Choice: the mean of each vector is taken out and its variance made 1 ("normalizing their
    dimensions"), so that noise of variance 1 means the same for every latent: otherwise Eq. 8 is
    made small by making z large.
    """

    def __init__(self, config: TracksConfig) -> None:
        super().__init__()
        if config.match not in ("linear", "pad"):
            raise UsageError(f"match: expected linear or pad, got {config.match!r}")
        if config.match == "pad" and config.latent < config.hidden:
            raise UsageError(
                f"latent: expected at least hidden = {config.hidden} to pad, got {config.latent}"
            )
        self.latent, self.padding = config.latent, config.latent - config.hidden
        self.linear = nn.Linear(config.hidden, config.latent) if config.match == "linear" else None

    def forward(self, fused: Tensor) -> Tensor:
        z = F.pad(fused, (0, self.padding)) if self.linear is None else self.linear(fused)
        return F.layer_norm(z, [self.latent])
