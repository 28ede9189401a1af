"""The 1D-CNN over time, and how many steps it leaves for CTC to spell with."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.nn.masking import MaskedBatchNorm, length_mask

KERNELS = {
    # Choice: the paper says "varying kernel sizes" and no more. Ours pools once: CTC needs a step
    # for each letter, and ceil(T / 2) steps leave 0.7 % of the official ChicagoFSWild/+ test clips
    # impossible to spell, ceil(T / 4) 14.6 %.
    "default": "K5,P2,K5",
    # The recipe that the paper's own follows point by point (VAC) pools twice.
    "vac": "K5,P2,K5,P2",
    "unpooled": "K5,K5",
}


class Layer(NamedTuple):
    """``K5``: a convolution over 5 steps; ``P2``: the maximum of each 2 steps."""

    kind: Literal["K", "P"]
    size: int


def parse_kernels(pattern: str) -> list[Layer]:
    """Layers of a pattern such as ``"K5,P2,K5"`` or of a name in ``KERNELS``.

    Raises:
        UsageError: the pattern cannot be read, begins with a pooling (padded frames would win
            against negative features), or has an even kernel (the number of steps would change).
    """
    layers = []
    for part in KERNELS.get(pattern, pattern).split(","):
        found = re.fullmatch(r"([KP])([1-9]\d?)", part.strip())
        if found is None:
            raise UsageError(
                f"kernels: expected {', '.join(KERNELS)}, or K (convolution) and P (max pooling) "
                f"with sizes like 'K5,P2,K5', got {pattern!r}"
            )
        layers.append(Layer("K" if found[1] == "K" else "P", int(found[2])))
    if layers[0].kind == "P":
        raise UsageError(f"kernels: expected a convolution first, got {pattern!r}")
    if any(kind == "K" and size % 2 == 0 for kind, size in layers):
        raise UsageError(f"kernels: expected odd sizes of convolutions, got {pattern!r}")
    return layers


def temporal_stride(pattern: str) -> int:
    """Frames for each step that the pattern of kernels leaves: of a clip ``ceil(frames / stride)``.

    Choice: convolutions are padded with zeros and the last, incomplete window of a pooling counts.
    VAC pads each clip with copies of its first and last frame instead, to the same number of steps;
    without either, 12 frames would be lost in each clip and most official clips with them.
    """
    stride = 1
    for kind, size in parse_kernels(pattern):
        stride *= size if kind == "P" else 1
    return stride


class ConvLayer(nn.Module):
    """Convolution, masked batch normalisation, ReLU: ``(B, T, C)`` -> ``(B, T, C')``."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self.norm = MaskedBatchNorm(outputs)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return torch.relu(self.norm(x, mask))  # padded steps stay zero


class TemporalConv(nn.Module):
    """1D-CNN with max pooling (section 3.2.1): ``(B, T, D)`` -> ``(B, T', C)``, new lengths.

    What lies beyond ``lengths`` must be zero, and is zero in the output.
    """

    def __init__(self, pattern: str, feature_dim: int, conv_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = feature_dim
        self.pattern = parse_kernels(pattern)
        for kind, size in self.pattern:
            if kind == "K":
                layers.append(ConvLayer(width, conv_dim, size))
                width = conv_dim
            else:
                layers.append(nn.MaxPool1d(size, ceil_mode=True))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        for layer, (kind, size) in zip(self.layers, self.pattern, strict=True):
            if kind == "K":
                x = layer(x, None if lengths is None else length_mask(lengths, x.shape[1]))
            else:
                x = layer(x.transpose(1, 2)).transpose(1, 2)
                lengths = None if lengths is None else -(-lengths // size)
        return x, lengths
