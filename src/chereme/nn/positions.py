"""Where a step is in its sequence, as numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def temporal_embedding(steps: int, dim: int, like: Tensor) -> Tensor:
    """``f_o (T, D)``: sines, then cosines, of the frame's index (Vaswani et al. 2017, 3.5)."""
    time = torch.arange(steps, device=like.device, dtype=like.dtype)[:, None]
    half = torch.arange(dim // 2, device=like.device, dtype=like.dtype)
    angle = time * torch.exp(half * (-2 * math.log(10_000.0) / dim))
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
