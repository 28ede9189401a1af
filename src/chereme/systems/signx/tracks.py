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
from chereme.systems.signx.layers import Attention

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
    "project" and calls it PadMatch. ``drop_track``: fraction of the tracks of clips hidden in
    training, never all of a clip's, so that any subset works (the paper has all five always).

    What an encoder sees beside the numbers, nothing in the paper: ``origins``: tracks, all of whose
    numbers are (x, y) places in turn, by the number of the place that all are seen from as well (a
    nose: where the signer stands then matters less); ``motion``: how each number changes over so
    many frames before and after.
    """

    widths: dict[str, int] = field(default_factory=lambda: dict(WIDTHS))
    hidden: int = 512
    heads: int = 8
    dropout: float = 0.1
    latent: int = 2048
    match: Literal["linear", "pad"] = "linear"
    drop_track: float = 0.0
    origins: dict[str, int] = field(default_factory=dict)
    motion: tuple[int, ...] = ()


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
    """``f_i = E_i(P_i)`` (Eq. 1): ``(B, T, W)`` -> ``(B, T, D)``, each frame on its own but for its
    ``motion``.

    Choice: two layers on numbers with the training data's mean and spread taken out
    (`set_statistics`), as pixels, metres and radians come side by side. Beside each number stands a
    flag, 1 where it is not known: the 0 that is put there is no place. ``origin``, ``motion``: see
    `TracksConfig`; a difference of which one number is not known is 0.

    Raises:
        UsageError: an origin outside the track, or motion over less than a frame.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        width: int,
        hidden: int,
        dropout: float,
        origin: int | None = None,
        motion: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        if origin is not None and (width % 2 or not 0 <= origin < width // 2):
            raise UsageError(
                f"origins: expected the number of one of {width // 2} places, in a track of (x, y) "
                f"pairs, got {origin} for a width of {width}"
            )
        if any(frames < 1 for frames in motion):
            raise UsageError(f"motion: expected numbers of frames from 1 on, got {list(motion)}")
        self.origin, self.motion = origin, motion
        seen = width * (1 + (origin is not None) + len(motion))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.layers = nn.Sequential(
            nn.Linear(seen + width, hidden),
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
        centred = (track - self.mean).where(known, 0.0)
        seen = [centred / self.std]
        if self.origin is not None:
            column = slice(2 * self.origin, 2 * self.origin + 2)
            there = known & _repeated(known[..., column], track)
            away = (centred - _repeated(centred[..., column], track)) / self.std
            seen.append(away.where(there, 0.0))
        seen += [_change(seen[0], known, frames) for frames in self.motion]
        encoded: Tensor = self.layers(torch.cat([*seen, (~known).to(centred.dtype)], -1))
        return encoded


def _repeated(pair: Tensor, track: Tensor) -> Tensor:
    """``(..., 2)`` beside itself, as often as ``track (..., W)`` has pairs."""
    return pair.repeat(*[1] * (pair.ndim - 1), track.shape[-1] // 2)


def _change(values: Tensor, known: Tensor, frames: int) -> Tensor:
    """What ``values (B, T, W)`` are ``frames`` later less what they were as long before, 0 where
    one of both is not known or beyond the ends."""

    padded = F.pad(values, (0, 0, frames, frames))
    there = F.pad(known.to(values.dtype), (0, 0, frames, frames))
    count = values.shape[1]
    both = there[:, :count] * there[:, 2 * frames : 2 * frames + count]
    return both * (padded[:, 2 * frames : 2 * frames + count] - padded[:, :count])


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
        if strange := sorted(config.origins.keys() - config.widths.keys()):
            raise UsageError(f"origins: expected any of {list(config.widths)}, got {strange}")
        self.config = config
        self.encoders = nn.ModuleDict(
            {
                name: TrackEncoder(
                    width, config.hidden, config.dropout, config.origins.get(name), config.motion
                )
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
                hidden = tracks[name].where(there.unsqueeze(-1), torch.nan)
                encoded.append(self.encoders[name](hidden))
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
