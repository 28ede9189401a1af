"""Batches of clips of unequal length: what is padding must change nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """``(B,)`` -> ``(B, steps)`` bool, True inside each clip."""
    return torch.arange(steps, device=lengths.device)[None] < lengths[:, None]


def scatter_masked(values: Tensor, mask: Tensor) -> Tensor:
    """``(N, C)``, one row for each True of ``mask (B, T)`` -> ``(B, T, C)``, zero elsewhere."""
    out = values.new_zeros(*mask.shape, values.shape[-1])
    out[mask] = values
    return out


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(B, T, C)`` whose statistics padded steps never touch."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().forward(x.transpose(1, 2)).transpose(1, 2)
        return scatter_masked(super().forward(x[mask]), mask)
