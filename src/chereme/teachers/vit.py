"""The Vision Transformer that HaMeR sees with: ViTPose's, without a class token.

Sources: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; Xu et al., "ViTPose",
NeurIPS 2022; geopavlakos/hamer for what the released weights need.

Choice: a module of our own rather than transformers' VitPose backbone. That one computes the same,
but splits ``attn.qkv`` into three layers, renames every key and adds experts that HaMeR has not:
translating the released weights takes about as many lines as this network, whose names are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ViTConfig:
    """Sizes; as they stand, those of ViT-H in HaMeR (630,912,000 parameters)."""

    image_height: int = 256
    image_width: int = 192
    patch_size: int = 16
    dim: int = 1280
    depth: int = 32
    heads: int = 16
    mlp_dim: int = 5120

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.image_height // self.patch_size, self.image_width // self.patch_size


# ViTPose's convolution pads each side by 2. The grid would be the same without, so that leaving it
# out loads and runs, and gives other features.
_PATCH_PADDING = 2
_NORM_EPS = 1e-6


class PatchEmbed(nn.Module):
    """Images ``(B, 3, H, W)`` to tokens ``(B, rows * columns, D)``, row by row."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(
            3, config.dim, config.patch_size, stride=config.patch_size, padding=_PATCH_PADDING
        )

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.proj(images)
        return tokens.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention of ``(B, N, D)``; queries, keys and values come from one layer."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)  # (B, heads, N, D / heads)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two layers with the exact (erf) GELU between."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.dim, config.mlp_dim)
        self.fc2 = nn.Linear(config.mlp_dim, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pre-norm Transformer block."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=_NORM_EPS)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.dim, eps=_NORM_EPS)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ViT(nn.Module):
    """Normalised images ``(B, 3, H, W)`` to features ``(B, D, rows, columns)``."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.grid = config.grid
        rows, columns = config.grid
        self.patch_embed = PatchEmbed(config)
        # The first is of a class token that HaMeR does not have; it is added to all others.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + rows * columns, config.dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.last_norm = nn.LayerNorm(config.dim, eps=_NORM_EPS)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.last_norm(x)
        return features.transpose(1, 2).reshape(len(x), -1, *self.grid)
