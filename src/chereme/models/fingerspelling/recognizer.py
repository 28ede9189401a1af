"""Frame encoder -> 1D-CNN -> BiGRU -> CTC classifier, with an auxiliary classifier after the CNN.

Paper: "Seeing in 2D, Thinking in 3D", section 3.3 (sequence learning). Shapes: B clips, T frames,
T' = ceil(T / temporal_stride) steps, V symbols with the blank at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


@dataclass
class FingerspellingConfig:
    """Sizes of the landmark recogniser.

    Choice: the paper stacks four BiGRU layers of 512 on 512-d appearance features; landmarks carry
    less and the model has to stay under 8 MB, so two layers of 160 in each direction are our
    default.
    Choice: the paper's pattern of kernels is not stated; ours is one convolution before and one
    after the pooling. ``temporal_stride`` 1 leaves the pooling out; 4 would lose letters of quick
    spelling, since CTC needs a step for each letter.
    """

    num_symbols: int = 27
    features_per_frame: int = 235
    encoder_hidden: int = 256
    feature_dim: int = 128
    conv_dim: int = 160
    kernel_size: int = 5
    temporal_stride: int = 2
    gru_hidden: int = 160  # in each direction
    gru_layers: int = 2
    dropout: float = 0.25


class LandmarkEncoder(nn.Module):
    """Features of each frame on their own: ``(..., F)`` -> ``(..., D)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: FingerspellingConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.features_per_frame))
        self.register_buffer("std", torch.ones(config.features_per_frame))
        self.layers = nn.Sequential(
            nn.Linear(config.features_per_frame, config.encoder_hidden),
            nn.LayerNorm(config.encoder_hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.encoder_hidden, config.feature_dim),
            nn.LayerNorm(config.feature_dim),
            nn.ReLU(),
        )

    def set_statistics(self, frames: Tensor) -> None:
        """Standardise by mean and spread of ``frames (N, F)``, present ones only."""
        self.mean.copy_(frames.mean(0))
        self.std.copy_(frames.std(0).clamp_min(1e-3))

    def forward(self, frames: Tensor) -> Tensor:
        # The last feature says whether the hand is seen; standardising must not hide that.
        present = frames[..., -1:]
        x = ((frames - self.mean) / self.std).clamp(-6.0, 6.0) * present
        out: Tensor = self.layers(x) * present
        return out


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """``(B,)`` -> ``(B, steps)`` bool, True inside each clip."""
    return torch.arange(steps, device=lengths.device)[None] < lengths[:, None]


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(B, T, C)`` whose statistics padded steps never touch."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().forward(x.transpose(1, 2)).transpose(1, 2)
        out = torch.zeros_like(x)
        out[mask] = super().forward(x[mask])
        return out


class TemporalConv(nn.Module):
    """1D-CNN over time with max pooling: ``(B, T, D)`` -> ``(B, T', C)``, and the new lengths."""

    def __init__(self, config: FingerspellingConfig) -> None:
        super().__init__()
        if config.temporal_stride not in (1, 2):
            raise ValueError(f"temporal_stride: expected 1 or 2, got {config.temporal_stride}")
        if config.kernel_size % 2 == 0:  # would change the number of steps
            raise ValueError(f"kernel_size: expected an odd number, got {config.kernel_size}")
        self.stride = config.temporal_stride
        pad = config.kernel_size // 2
        self.conv1 = nn.Conv1d(config.feature_dim, config.conv_dim, config.kernel_size, padding=pad)
        self.norm1 = MaskedBatchNorm(config.conv_dim)
        self.conv2 = nn.Conv1d(config.conv_dim, config.conv_dim, config.kernel_size, padding=pad)
        self.norm2 = MaskedBatchNorm(config.conv_dim)
        self.pool = nn.MaxPool1d(2, ceil_mode=True)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        mask = None if lengths is None else length_mask(lengths, x.shape[1])
        x = self.conv1(x.transpose(1, 2)).transpose(1, 2)
        x = torch.relu(self.norm1(x, mask))  # padded steps stay zero
        if self.stride == 2:
            x = self.pool(x.transpose(1, 2)).transpose(1, 2)
            if lengths is not None:
                lengths = (lengths + 1) // 2
                mask = length_mask(lengths, x.shape[1])
        x = self.conv2(x.transpose(1, 2)).transpose(1, 2)
        return torch.relu(self.norm2(x, mask)), lengths


class SequenceModel(nn.Module):
    """Frame features ``(B, T, D)`` -> ``log_probs (B, T', V)`` of both classifiers."""

    def __init__(self, config: FingerspellingConfig) -> None:
        super().__init__()
        self.conv = TemporalConv(config)
        self.gru = nn.GRU(
            config.conv_dim,
            config.gru_hidden,
            config.gru_layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.gru_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.visual_classifier = nn.Linear(config.conv_dim, config.num_symbols)
        self.classifier = nn.Linear(2 * config.gru_hidden, config.num_symbols)

    def forward(
        self, features: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits after the BiGRU and after the 1D-CNN, ``(B, T', V)`` each, and lengths ``(B,)``.

        Without ``lengths`` all clips fill the whole time axis (as at inference, one at a time).
        """
        visual, lengths = self.conv(features, lengths)
        if lengths is None:
            hidden, _ = self.gru(visual)
        else:
            packed = pack_padded_sequence(
                visual, lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            hidden, _ = pad_packed_sequence(
                self.gru(packed)[0], batch_first=True, total_length=visual.shape[1]
            )
        sequence_logits = self.classifier(self.dropout(hidden))
        visual_logits = self.visual_classifier(self.dropout(visual))
        return sequence_logits, visual_logits, lengths


class FingerspellingRecognizer(nn.Module):
    """The whole network: ``frames (B, T, F)`` and ``lengths (B,)`` -> logits of both heads."""

    def __init__(self, config: FingerspellingConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = LandmarkEncoder(config)
        self.sequence = SequenceModel(config)

    def forward(
        self, frames: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See ``SequenceModel.forward``; padded frames must be zero (absent)."""
        out: tuple[Tensor, Tensor, Tensor | None] = self.sequence(self.encoder(frames), lengths)
        return out
