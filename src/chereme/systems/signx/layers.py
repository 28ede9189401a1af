"""Attention that several parts of SignX are made of, none of it given a size by the paper.

Masks are True where something may be attended to. They become finite biases, so that a clip without
frames attends to all alike and no NaN can spread.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import UsageError


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, 3.2.2) of ``x`` to ``memory``."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise UsageError(f"heads: expected a divisor of the width {dim}, got {heads}")
        self.heads = heads
        self.dropout_rate = dropout
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.merge = nn.Linear(dim, dim)

    def forward(self, x: Tensor, memory: Tensor, allowed: Tensor) -> Tensor:
        """``x (B, L, D)``, ``memory (B, S, D)``, ``allowed`` bool that broadcasts to
        ``(B, L, S)``."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), *self.key_value(memory).chunk(2, -1))
        )
        bias = torch.where(allowed, 0.0, torch.finfo(x.dtype).min).to(x.dtype).unsqueeze(1)
        rate = self.dropout_rate if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, bias, dropout_p=rate)
        out: Tensor = self.merge(seen.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """A Transformer layer, normalised before each part: self-attention, attention to a memory
    (``cross``), feed forward network of 4 times the width."""

    def __init__(self, dim: int, heads: int, dropout: float, *, cross: bool = False) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(dim)
        self.self_attention = Attention(dim, heads, dropout)
        self.cross_norm = nn.LayerNorm(dim) if cross else None
        self.cross_attention = Attention(dim, heads, dropout) if cross else None
        self.feed_norm = nn.LayerNorm(dim)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        allowed: Tensor,
        memory: Tensor | None = None,
        memory_allowed: Tensor | None = None,
    ) -> Tensor:
        """``x (B, L, D)``; ``allowed``, ``memory_allowed``: see `Attention`."""
        normed = self.self_norm(x)
        x = x + self.dropout(self.self_attention(normed, normed, allowed))
        if self.cross_attention is not None and self.cross_norm is not None:
            x = x + self.dropout(self.cross_attention(self.cross_norm(x), memory, memory_allowed))
        out: Tensor = x + self.dropout(self.feed_forward(self.feed_norm(x)))
        return out
