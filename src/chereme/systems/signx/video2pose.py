"""Stage II, Video2Pose: frames of a video -> pose tracks -> glosses (sections 3.3 and 4.2).

Shapes: B clips, T frames of H x W pixels, RGB, 0 to 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from chereme._imports import require
from chereme.decoding.generation import PAPER_GENERATION, Generated, GenerationConfig
from chereme.errors import BundleError, UsageError
from chereme.nn.frame_norm import zero_padding
from chereme.nn.masking import length_mask, scatter_masked
from chereme.nn.positions import temporal_embedding
from chereme.systems.signx.layers import Block
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.systems.signx.tracks import check_tracks

# What Google's ViT were trained with: 0 to 1 becomes -1 to 1.
_MIDDLE = 0.5
_WAVES = 0.2  # size of the first positions: about that of what a new ViT makes of a patch


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of the ViT of a frame; as they stand, ViT-B/16 (Dosovitskiy et al. 2021).

    ``stem``: how a patch becomes a vector: "patches", by one linear layer; "convolutions", by
    layers of stride 2 (Xiao et al. 2021), which learn from far fewer pictures.
    """

    image_size: int = 224
    patch_size: int = 16
    dim: int = 768
    layers: int = 12
    heads: int = 12
    dropout: float = 0.0
    stem: Literal["patches", "convolutions"] = "patches"


@dataclass(frozen=True)
class Video2PoseConfig:
    """``vit``; ``weights``: "scratch", or the name or folder of a ViT that transformers can load
    (``google/vit-base-patch16-224-in21k``), of the sizes of ``vit``. ``layers``, ``heads``: of the
    temporal attention, ``dim`` its width. ``patch_width``: so many numbers of each patch are read
    side by side, 0: the mean of the patches. ``frames_at_once``: that the ViT sees, for memory.

    Choice: all of it; the paper names ViT and gives no size.
    """

    vit: ViTConfig = field(default_factory=ViTConfig)
    weights: str = "scratch"
    dim: int = 512
    layers: int = 4
    heads: int = 8
    dropout: float = 0.1
    patch_width: int = 0
    frames_at_once: int = 256


def build_vit(config: Video2PoseConfig) -> nn.Module:
    """The ViT, with its weights; a warning and random ones where they cannot be reached.

    Raises:
        BundleError: weights of other sizes.
    """
    vit: Any = require("transformers.models.vit", extra="train")
    sizes = config.vit
    wanted = vit.ViTConfig(
        image_size=sizes.image_size,
        patch_size=sizes.patch_size,
        hidden_size=sizes.dim,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=4 * sizes.dim,
        hidden_dropout_prob=sizes.dropout,
        attention_probs_dropout_prob=sizes.dropout,
    )
    network: nn.Module = vit.ViTModel(wanted, add_pooling_layer=False)
    positions = _WAVES * _positions(sizes.image_size // sizes.patch_size, sizes.dim)
    network.get_parameter("embeddings.position_embeddings").data[0, 1:] = positions
    if sizes.stem == "convolutions":
        if config.weights != "scratch":
            raise UsageError("stem: expected patches, of which ViT's weights are, got convolutions")
        network.get_submodule("embeddings.patch_embeddings").projection = _convolutions(sizes)
    if config.weights == "scratch":
        return network
    try:
        found: Any = vit.ViTModel.from_pretrained(config.weights, add_pooling_layer=False)
    except OSError as error:  # what transformers raises when it is offline
        warnings.warn(
            f"the weights {config.weights} can neither be downloaded nor found in the cache "
            f"({error}): training starts from random weights",
            stacklevel=3,
        )
        return network
    state, own = found.state_dict(), network.state_dict()
    wrong = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if wrong or len(state) != len(own):
        raise BundleError(
            f"{config.weights}: expected a ViT of {sizes}, got one of {found.config.hidden_size} "
            f"numbers and {found.config.num_hidden_layers} layers for "
            f"{found.config.image_size} pixels"
        )
    network.load_state_dict(state)
    return network


class _Convolutions(nn.Sequential):
    @property
    def weight(self) -> Tensor:
        """Of the first: transformers asks it for its type."""
        return self.get_parameter("0.weight")


def _convolutions(sizes: ViTConfig) -> nn.Module:
    """``(N, 3, H, W)`` -> ``(N, dim, H / patch_size, W / patch_size)``."""
    halvings = sizes.patch_size.bit_length() - 1
    if sizes.patch_size != 1 << halvings or sizes.dim % (1 << halvings):
        raise UsageError(
            "stem convolutions: expected a patch_size that is a power of 2 and divides dim, got "
            f"{sizes.patch_size} and {sizes.dim}"
        )
    layers: list[nn.Module] = []
    before = 3
    for number in range(halvings):
        width = sizes.dim >> (halvings - 1 - number)
        convolution = nn.Conv2d(before, width, 3, stride=2, padding=1)
        nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, nn.GELU()]
        before = width
    return _Convolutions(*layers, nn.Conv2d(before, sizes.dim, 1))


def _positions(side: int, dim: int) -> Tensor:
    """``(side * side, dim)`` sines and cosines of the column and the row of each patch.

    Choice: what random weights begin with; noise, as transformers has it, is so small beside what a
    patch shows that a ViT is slow to learn where hands are (Beyer et al. 2022 use sines too).
    """
    rates = 10_000.0 ** -(torch.arange(dim // 4) / (dim // 4))
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [at.flatten()[:, None] * rates for at in (column, row)]
    waves = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)
    return nn.functional.pad(waves, (0, dim - waves.shape[1]))


class Video2Pose(nn.Module):
    """Frames -> a prediction of every track (Eq. 5 to 7).

    ``v_t`` (Eq. 5) is the ViT's class token beside the mean of its patches, or, with
    ``patch_width``, beside a few numbers of each of them. Choice: that is how "multi-scale feature
    aggregation" (section 1, nothing more) is read: the whole, and its parts. The mean has to learn
    where things are; patches side by side say so, which takes far fewer pictures to learn from.
    Temporal attention (Eq. 6) is Transformer layers over the frames of the clip.

    Args:
        config: sizes.
        widths: numbers of each track.
    """

    def __init__(self, config: Video2PoseConfig, widths: Mapping[str, int]) -> None:
        super().__init__()
        counts = (config.layers, config.frames_at_once, config.patch_width + 1)
        if config.dim % 2 or min(counts) < 1:
            raise UsageError(
                "video2pose: expected an even dim, at least 1 layer and 1 frame at once, and a "
                f"patch_width of 0 or more, got {config.dim}, {config.layers}, "
                f"{config.frames_at_once} and {config.patch_width}"
            )
        self.config = config
        self.widths = dict(widths)
        self.vit = build_vit(config)
        sizes = config.vit
        patches = (sizes.image_size // sizes.patch_size) ** 2
        read = patches * config.patch_width or sizes.dim
        self.patch = nn.Linear(sizes.dim, config.patch_width) if config.patch_width else None
        self.enter = nn.Linear(sizes.dim + read, config.dim)
        self.layers = nn.ModuleList(
            Block(config.dim, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.projections = nn.ModuleDict(
            {name: nn.Linear(config.dim, width) for name, width in self.widths.items()}
        )

    def features(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W)``, all at once, -> ``(N, F)`` (Eq. 5)."""
        tokens = self.vit(pixel_values=(frames - _MIDDLE) / _MIDDLE).last_hidden_state
        whole, patches = tokens[:, 0], tokens[:, 1:]
        parts = patches.mean(1) if self.patch is None else self.patch(patches).flatten(1)
        return torch.cat([whole, parts], -1)

    def frame_features(self, frames: Tensor) -> Tensor:
        """`features` of any number of frames, ``frames_at_once`` of them at a time."""
        return torch.cat(
            [self.features(some) for some in torch.split(frames, self.config.frames_at_once)]
        )

    def predict(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Features of frames ``(B, T, F)`` and ``mask (B, T)`` -> what `forward` gives
        (Eq. 6 and 7)."""
        x = self.enter(features)
        x = x + temporal_embedding(x.shape[1], x.shape[2], x)
        for layer in self.layers:
            x = layer(x, mask.unsqueeze(1))
        x = self.norm(x)
        return {name: zero_padding(layer(x), mask) for name, layer in self.projections.items()}

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """``(B, T, 3, H, W)`` and ``mask (B, T)`` -> each track ``(B, T, W)``, zero outside the
        clips; the numbers have mean 0 and spread 1 over the training data (`Video2Gloss`).
        """
        if mask is None:
            features = self.frame_features(frames.flatten(0, 1)).view(*frames.shape[:2], -1)
            mask = torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device)
        else:
            features = scatter_masked(self.frame_features(frames[mask]), mask)
        return self.predict(features, mask)


class Video2Gloss(nn.Module):
    """Video2Pose before a Pose2Gloss that is frozen: recognition without any pose extractor.

    The tracks are those that Pose2Gloss knows, in its own units. Numbers that no training data knew
    (`set_known`) are NaN: Pose2Gloss has never seen them otherwise.
    """

    def __init__(self, config: Video2PoseConfig, pose2gloss: Pose2Gloss) -> None:
        super().__init__()
        self.pose2gloss = pose2gloss.requires_grad_(False).eval()
        self.video2pose = Video2Pose(config, pose2gloss.config.tracks.widths)
        for name, width in self.video2pose.widths.items():
            self.register_buffer(f"known_{name}", torch.ones(width, dtype=torch.bool))

    def set_known(self, name: str, known: Tensor) -> None:
        """Which numbers ``(W,)`` bool of a track the training data knows."""
        buffer = self.get_buffer(f"known_{name}")
        buffer.copy_(known)

    def train(self, mode: bool = True) -> Video2Gloss:
        super().train(mode)
        self.pose2gloss.eval()
        return self

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """``P_i`` as predicted (Eq. 7), ``(B, T, W)`` by name, in the units of the tracks."""
        mask = None if lengths is None else length_mask(lengths, frames.shape[1])
        return self.in_units(self.video2pose(frames, mask))

    def in_units(self, predicted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What `Video2Pose` gives, in the units of the tracks; NaN where nothing was known."""
        tracks = {}
        for name, values in predicted.items():
            encoder = self.pose2gloss.pose_encoder.track_encoder(name)
            # In full precision, also under autocast: places differ by less than bfloat16 tells.
            track = values.float() * encoder.std + encoder.mean
            tracks[name] = track.where(self.get_buffer(f"known_{name}"), torch.nan)
        return tracks

    def reconstruction_loss(
        self,
        predicted: Mapping[str, Tensor],
        tracks: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
    ) -> Tensor:
        """Eq. 13 over the numbers that are known in the frames of the tracks that are there.

        Choice: a track's part is the mean over these, in units of the spread of each number, and
        the parts are summed over tracks: pixels do not drown radians, nor a wide track a narrow
        one.

        Raises:
            InputError: see `tracks.check_tracks`.
        """
        check_tracks(tracks, present, self.video2pose.widths)
        parts = []
        for name, track in tracks.items():
            there = present[name].unsqueeze(-1) & track.isfinite()
            std = self.pose2gloss.pose_encoder.track_encoder(name).std
            away = predicted[name].where(there, 0.0) - track.where(there, 0.0)
            parts.append((away / std).square().sum() / there.sum().clamp_min(1))
        return torch.stack(parts).sum()

    @torch.no_grad()
    def generate(
        self,
        frames: Tensor,
        lengths: Tensor | None = None,
        config: GenerationConfig = PAPER_GENERATION,
        generator: torch.Generator | None = None,
    ) -> Generated:
        """Glosses of each clip, best hypothesis first."""
        tracks = self(frames, lengths)
        everywhere = torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device)
        present = dict.fromkeys(tracks, everywhere)
        return self.pose2gloss.generate(tracks, present, lengths, config, generator)
