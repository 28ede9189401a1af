"""HaMeR's head: a Transformer decoder with a single query.

Source: Pavlakos et al., "Reconstructing Hands in 3D with Transformers", CVPR 2024, section 3;
geopavlakos/hamer and its released configuration for the sizes. Names of modules are those of the
released weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class PoseTransformerConfig:
    """Sizes; as they stand, those of the released HaMeR. ``head_dim`` is of one attention head."""

    dim: int = 1024
    depth: int = 6
    heads: int = 8
    head_dim: int = 64
    mlp_dim: int = 1024
    context_dim: int = 1280


class PreNorm(nn.Module):
    """``fn(norm(x), ...)``; what else ``fn`` is given stays as it is."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)  # eps 1e-5, where the ViT has 1e-6
        self.fn = fn

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        out: Tensor = self.fn(self.norm(x), *others)
        return out


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention of ``(B, N, inner)`` queries over ``(B, M, inner)`` keys and values."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    def __init__(self, config: PoseTransformerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads = config.heads
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.to_qkv(x).chunk(3, dim=-1)
        out: Tensor = self.to_out(_attend(q, k, v, self.heads))
        return out


class CrossAttention(nn.Module):
    """``x`` looks at the context, which is not normalised again."""

    def __init__(self, config: PoseTransformerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads = config.heads
        self.to_q = nn.Linear(config.dim, inner, bias=False)
        self.to_kv = nn.Linear(config.context_dim, 2 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        k, v = self.to_kv(context).chunk(2, dim=-1)
        out: Tensor = self.to_out(_attend(self.to_q(x), k, v, self.heads))
        return out


class FeedForward(nn.Module):
    def __init__(self, config: PoseTransformerConfig) -> None:
        super().__init__()
        # Dropout, which is 0 in the released model, keeps the second layer at its index, 3.
        self.net = nn.Sequential(
            nn.Linear(config.dim, config.mlp_dim),
            nn.GELU(),
            nn.Dropout(0.0),
            nn.Linear(config.mlp_dim, config.dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class DecoderLayer(nn.ModuleList):
    """Self-attention, cross-attention and feed-forward, each added to what it was given."""

    def __init__(self, config: PoseTransformerConfig) -> None:
        parts = SelfAttention(config), CrossAttention(config), FeedForward(config)
        super().__init__(PreNorm(config.dim, part) for part in parts)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        self_attention, cross_attention, feed_forward = self
        x = x + self_attention(x)
        x = x + cross_attention(x, context)
        out: Tensor = x + feed_forward(x)
        return out


class TransformerCrossAttn(nn.Module):
    """Decoder layers; no normalisation at the end."""

    def __init__(self, config: PoseTransformerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.depth))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, context)
        return x


class PoseTransformer(nn.Module):
    """Image tokens ``(B, N, context_dim)`` to one token ``(B, dim)``, the residual stream as it is.

    The query is made of a scalar that the released model sets to zero, so that of
    ``to_token_embedding`` only the bias counts.
    """

    def __init__(self, config: PoseTransformerConfig) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, config.dim)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.transformer = TransformerCrossAttn(config)

    def forward(self, context: Tensor) -> Tensor:
        scalar = context.new_zeros(len(context), 1, 1)
        query = self.to_token_embedding(scalar) + self.pos_embedding
        token: Tensor = self.transformer(query, context)
        return token.squeeze(1)


class ManoHead(nn.Module):
    """`PoseTransformer`, by its place in the released model. What follows there, the layers from
    its token to MANO's parameters, teachers do not need."""

    def __init__(self, config: PoseTransformerConfig) -> None:
        super().__init__()
        self.transformer = PoseTransformer(config)
