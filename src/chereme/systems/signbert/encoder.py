"""Embedding of tokens and the Transformer encoder (section 3.1, Eq. 1).

Shapes: B clips, T frames, H hands, D = ``dim``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.nn.positions import temporal_embedding
from chereme.systems.signbert.gesture import GestureConfig, GestureEmbedding
from chereme.systems.signbert.tokens import CropConfig, HandPoses, Tokens, tokenise

_PLACE, _STEP = 0.3, 4.0  # about one over what is usual of each


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of `SignBertEncoder`. The paper gives ``layers`` (Table 6: 3 is best) alone.

    Choice: the others are such that a clip of 32 frames takes a processor a few milliseconds.

    ``feed_forward``: width inside each feed forward network, by default 4 times ``dim`` as in its
    reference (Vaswani et al. 2017). ``path``: add an embedding of where each hand is
    (``Tokens.place``) and where it has come from. Deviation: the paper's crops know nothing of it,
    so that signs that differ in their movement alone are one to it.
    """

    crop: CropConfig = field(default_factory=CropConfig)
    gesture: GestureConfig = field(default_factory=GestureConfig)
    dim: int = 192
    layers: int = 3
    heads: int = 6
    feed_forward: int = 768
    dropout: float = 0.1
    path: bool = False


class PathEmbedding(nn.Module):
    """Where a hand is and how far it has moved since the frame before -> one vector.

    Places are some half sides of a crop, steps a fraction of one: both are brought to about 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, dim)
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(self, place: Tensor, present: Tensor) -> Tensor:
        """``place (B, T, H, 2)`` and ``present (B, T, H)`` -> ``(B, T, H, D)``, 0 where False."""
        seen = present.unsqueeze(-1)
        # A frame that pre-training has masked does not tell its place either.
        place = place.where(seen, 0.0)
        step = (place[:, 1:] - place[:, :-1]).where(seen[:, 1:] & seen[:, :-1], 0.0)
        step = torch.cat([torch.zeros_like(place[:, :1]), step], dim=1)
        known = torch.cat([_PLACE * place, _STEP * step], dim=-1)
        embedded: Tensor = self.output(self.hidden(known).relu())
        return embedded.where(seen, 0.0)


class EncoderLayer(nn.Module):
    """``F~ = L(M(F) + F)``, then ``L(C(F~) + F~)`` (Eq. 1): normalised after each sum."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout_rate = config.dropout
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.merge = nn.Linear(config.dim, config.dim)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.dim, config.feed_forward),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feed_forward, config.dim),
        )
        self.feed_forward_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """``x (B, S, D)``; ``bias (B, 1, 1, S)`` is added to the attention paid to each token."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        rate = self.dropout_rate if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, bias, dropout_p=rate)
        x = self.attention_norm(x + self.dropout(self.merge(seen.transpose(1, 2).flatten(2))))
        out: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return out


class SignBertEncoder(nn.Module):
    """Tokens of both hands -> features, one for each token.

    A token whose hand was not seen takes part as a masked frame does in pre-training (choice: the
    paper does not tell); padding never does.
    """

    def __init__(self, config: EncoderConfig = EncoderConfig()) -> None:
        super().__init__()
        if config.dim % 2 or config.dim % config.heads:
            raise UsageError(
                f"dim: expected an even multiple of heads, got {config.dim} for {config.heads}"
            )
        if config.layers < 1:
            raise UsageError(f"layers: expected at least 1, got {config.layers}")
        self.config = config
        self.gesture = GestureEmbedding(config.gesture, config.dim)
        self.chirality = nn.Embedding(2, config.dim)  # 'L', 'R'
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.path = PathEmbedding(config.dim) if config.path else None

    def tokens(self, poses: HandPoses) -> Tokens:
        """Tokens as this encoder is trained on; InputError where shapes do not fit."""
        return tokenise(poses, self.config.crop)

    def embed(self, tokens: Tokens) -> Tensor:
        """``F_0 = f_p + f_o + f_h (B, T, H, D)``, and the path's embedding, if there is one."""
        inside = tokens.mask.unsqueeze(-1).expand(tokens.joints.shape[:3])
        state: Tensor = self.gesture(tokens.joints, tokens.seen, inside)
        time = temporal_embedding(state.shape[1], self.config.dim, state)
        hand: Tensor = self.chirality(tokens.right.long())
        embedded = state + time[None, :, None] + hand[:, None]
        if self.path is None:
            return embedded
        path: Tensor = self.path(tokens.place, tokens.present)
        return embedded + path

    def forward(self, tokens: Tokens) -> Tensor:
        """``F_N (B, T, H, D)``, zero outside the clips."""
        x: Tensor = self.dropout(self.embed(tokens))
        frames, hands = x.shape[1:3]
        inside = tokens.mask.unsqueeze(-1).expand(x.shape[:3])
        # Finite, so that a clip without frames attends to all alike and no NaN can spread.
        bias = torch.where(inside.flatten(1), 0.0, torch.finfo(x.dtype).min)
        bias = bias[:, None, None].to(x.dtype)
        x = x.flatten(1, 2)
        for layer in self.layers:
            x = layer(x, bias)
        features = x.view(-1, frames, hands, self.config.dim)
        return features.where(inside.unsqueeze(-1), 0.0)
