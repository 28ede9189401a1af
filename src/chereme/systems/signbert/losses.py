"""Losses of pre-training (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from chereme.systems.signbert.decoder import Decoded
from chereme.systems.signbert.tokens import Tokens


@dataclass(frozen=True)
class LossConfig:
    """Weights of ``L = l_rec + lambda l_reg`` (Eq. 6 to 8); the defaults are the paper's.

    ``confidence_threshold``: epsilon; ``reg_weight``: lambda; ``beta_weight``: w_beta;
    ``delta_weight``: w_delta. ``divide_by``: Eq. 7 and 8 are sums over tokens; "token" divides both
    by the number of chosen tokens, "clip" by that of clips. Choice: "token", so that long clips do
    not weigh more; the two losses keep their ratio.
    """

    confidence_threshold: float = 0.5
    reg_weight: float = 0.01
    beta_weight: float = 10.0
    delta_weight: float = 100.0
    divide_by: Literal["token", "clip"] = "token"


class PretrainingLosses(NamedTuple):
    """``total = l_rec + lambda l_reg``, and the two."""

    total: Tensor
    l_rec: Tensor
    l_reg: Tensor


def rec_loss(decoded: Tensor, tokens: Tokens, chosen: Tensor, threshold: float) -> Tensor:
    """Eq. 7, a sum: L1 distances of ``decoded (B, T, H, 21, 2)`` to the joints as detected, in crop
    units, of chosen tokens and of joints at least as confident as the threshold, times the
    confidence."""
    counts = tokens.seen & (tokens.confidence >= threshold) & chosen[..., None]
    weight = tokens.confidence * counts
    return (weight[..., None] * (decoded - tokens.joints).abs()).sum()


def reg_loss(
    hand_pose: Tensor,
    betas: Tensor,
    chosen: Tensor,
    *,
    beta_weight: float,
    delta_weight: float,
) -> Tensor:
    """Eq. 8, a sum over chosen tokens: ``hand_pose (B, T, H, n)``, ``betas (B, T, H, 10)``.

    Choice: beta of a chosen token is compared with that of the frame before it, chosen or not; the
    first frame has none. Each hand has its own.
    """
    size = hand_pose.square().sum(-1) + beta_weight * betas.square().sum(-1)
    change = (betas[:, 1:] - betas[:, :-1]).square().sum(-1)
    return (size * chosen).sum() + delta_weight * (change * chosen[:, 1:]).sum()


def pretraining_losses(
    decoded: Decoded, tokens: Tokens, chosen: Tensor, config: LossConfig = LossConfig()
) -> PretrainingLosses:
    """All losses. ``tokens``: as they were before masking. A decoder without a hand model has no
    ``l_reg``: it is 0."""
    l_rec = rec_loss(decoded.joints, tokens, chosen, config.confidence_threshold)
    l_reg = torch.zeros_like(l_rec)
    if decoded.hand is not None:
        l_reg = reg_loss(
            decoded.hand.hand_pose,
            decoded.hand.betas,
            chosen,
            beta_weight=config.beta_weight,
            delta_weight=config.delta_weight,
        )
    parts = chosen.sum().clamp_min(1) if config.divide_by == "token" else len(chosen)
    l_rec, l_reg = l_rec / parts, l_reg / parts
    return PretrainingLosses(l_rec + config.reg_weight * l_reg, l_rec, l_reg)
