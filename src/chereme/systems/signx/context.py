"""What frames know of each other before the latent: nothing in the paper, layers here as an option.

Shapes: B clips, T frames, D numbers a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.nn.frame_norm import zero_padding
from chereme.nn.positions import temporal_embedding
from chereme.systems.signx.layers import Block


@dataclass(frozen=True)
class ContextConfig:
    """``kind``: "none" (the paper's: only its U-Net and its decoder see more than a frame), "gru"
    (both directions) or "transformer".

    Choice: the option, as with diffusion switched off, or with a CTC head, a model of single frames
    would be compared with one of sentences. ``heads``: of "transformer".
    """

    kind: Literal["none", "gru", "transformer"] = "none"
    layers: int = 2
    heads: int = 8
    dropout: float = 0.1


class _BothWays(nn.Module):
    """A GRU layer in both directions, D / 2 numbers each.

    Backwards, each clip is read from its own last frame: turned round by indices rather than
    packed, which an export could not follow.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(dim, dim // 2, batch_first=True)
        self.backwards = nn.GRU(dim, dim // 2, batch_first=True)

    def forward(self, x: Tensor, turned: Tensor) -> Tensor:
        ahead, _ = self.forwards(x)
        behind, _ = self.backwards(x.gather(1, turned.expand(-1, -1, x.shape[-1])))
        behind = behind.gather(1, turned.expand(-1, -1, behind.shape[-1]))
        return torch.cat([ahead, behind], -1)


class Context(nn.Module):
    """``(B, T, D)`` and ``mask (B, T)`` of clips that begin at frame 0 -> the same shape, zero
    outside the clips."""

    def __init__(self, config: ContextConfig, dim: int) -> None:
        super().__init__()
        if config.kind not in ("none", "gru", "transformer"):
            raise UsageError(f"context: expected none, gru or transformer, got {config.kind!r}")
        if config.kind != "none" and (config.layers < 1 or dim % 2):
            raise UsageError(
                f"context: expected at least 1 layer of an even width, got {config.layers} of {dim}"
            )
        self.config = config
        layers: list[nn.Module] = []
        if config.kind == "gru":
            layers = [_BothWays(dim) for _ in range(config.layers)]
        elif config.kind == "transformer":
            layers = [Block(dim, config.heads, config.dropout) for _ in range(config.layers)]
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = zero_padding(x, mask)
        if self.config.kind == "gru":
            time = torch.arange(x.shape[1], device=x.device)
            last = mask.sum(1, keepdim=True) - 1
            turned = torch.where(mask, last - time, time).unsqueeze(-1)
            for layer in self.layers:
                x = layer(self.dropout(x), turned)
        elif self.config.kind == "transformer":
            x = self.dropout(x + temporal_embedding(x.shape[1], x.shape[2], x))
            for layer in self.layers:
                x = layer(x, mask.unsqueeze(1))
        return zero_padding(x, mask)
