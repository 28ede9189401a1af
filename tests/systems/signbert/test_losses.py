"""Each loss against a computation by hand."""

from __future__ import annotations

import math

import pytest
import torch

from chereme.systems.signbert.decoder import Decoded, HandParameters
from chereme.systems.signbert.losses import LossConfig, pretraining_losses, rec_loss, reg_loss
from chereme.systems.signbert.tokens import Tokens


def tokens_of(joints: torch.Tensor, confidence: torch.Tensor) -> Tokens:
    """One clip of one right hand: ``(T, 21, 2)`` and ``(T, 21)``."""
    seen = confidence > 0
    mask = torch.ones(1, len(joints), dtype=torch.bool)
    right = torch.ones(1, 1, dtype=torch.bool)
    given = joints[None, :, None], seen[None, :, None], confidence[None, :, None]
    return Tokens(*given, right, mask, torch.zeros(1, len(joints), 1, 2), torch.ones(1, 1, 1))


def test_rec_loss_by_hand() -> None:
    confidence = torch.zeros(3, 21)
    confidence[0, :3] = torch.tensor([0.5, 0.49, 0.8])  # 0.49 is below epsilon, 0.5 is not
    confidence[1, 4] = 1.0  # of a token that is not chosen
    confidence[2, 20] = 0.9
    tokens = tokens_of(torch.zeros(3, 21, 2), confidence)
    decoded = torch.full((1, 3, 1, 21, 2), 50.0)  # where nothing counts
    decoded[0, 0, 0, :3] = torch.tensor([[0.1, -0.2], [7.0, 7.0], [0.0, 0.5]])
    decoded[0, 2, 0, 20] = torch.tensor([-1.0, 2.0])
    chosen = torch.tensor([True, False, True])[None, :, None]
    expected = 0.5 * (0.1 + 0.2) + 0.8 * 0.5 + 0.9 * (1 + 2)
    assert rec_loss(decoded, tokens, chosen, 0.5).item() == pytest.approx(expected)


def hand_of(pose: torch.Tensor, betas: torch.Tensor) -> HandParameters:
    nothing = torch.zeros(1)
    return HandParameters(pose, betas, nothing, nothing, nothing, nothing)


def test_reg_loss_by_hand() -> None:
    pose, betas = torch.zeros(1, 3, 2, 25), torch.zeros(1, 3, 2, 10)
    pose[0, 0, 0, :2] = torch.tensor([3.0, 4.0])  # 25
    pose[0, 1, 0, 0] = 100.0  # not chosen
    betas[0, 1, 0, 0] = 1.0  # not chosen, but frame 2 is compared with it
    betas[0, 2, 0, 0] = 3.0
    betas[0, 2, 1, 5] = 2.0
    chosen = torch.tensor([[True, False], [False, False], [True, True]])[None]
    beta, delta = 10 * (9 + 4), 100 * ((3 - 1) ** 2 + (2 - 0) ** 2)
    found = reg_loss(pose, betas, chosen, beta_weight=10.0, delta_weight=100.0)
    assert found.item() == pytest.approx(25 + beta + delta)


@pytest.mark.parametrize(("divide_by", "parts"), [("token", 2), ("clip", 1)])
def test_the_total_has_the_papers_weights(divide_by: str, parts: int) -> None:
    config = LossConfig(divide_by=divide_by)  # type: ignore[arg-type]
    assert (config.confidence_threshold, config.reg_weight) == (0.5, 0.01)
    assert (config.beta_weight, config.delta_weight) == (10.0, 100.0)
    tokens = tokens_of(torch.zeros(2, 21, 2), torch.ones(2, 21))
    joints = torch.full((1, 2, 1, 21, 2), 0.5)
    pose, betas = torch.full((1, 2, 1, 25), 2.0), torch.ones(1, 2, 1, 10)
    betas[:, 1] = 2.0
    chosen = torch.ones(1, 2, 1, dtype=torch.bool)
    losses = pretraining_losses(Decoded(joints, hand_of(pose, betas)), tokens, chosen, config)
    rec = 2 * 42 * 0.5
    reg = 2 * 25 * 4 + 10 * (10 + 40) + 100 * 10
    assert losses.l_rec.item() == pytest.approx(rec / parts)
    assert losses.l_reg.item() == pytest.approx(reg / parts)
    assert losses.total.item() == pytest.approx((rec + 0.01 * reg) / parts)


def test_without_a_hand_model_there_is_nothing_to_regularise() -> None:
    tokens = tokens_of(torch.zeros(1, 21, 2), torch.ones(1, 21))
    chosen = torch.ones(1, 1, 1, dtype=torch.bool)
    losses = pretraining_losses(Decoded(torch.ones(1, 1, 1, 21, 2), None), tokens, chosen)
    assert losses.l_reg.item() == 0
    assert losses.total.item() == losses.l_rec.item() == 42


def test_nothing_chosen_is_no_loss() -> None:
    tokens = tokens_of(torch.zeros(1, 21, 2), torch.zeros(1, 21))
    chosen = torch.zeros(1, 1, 1, dtype=torch.bool)
    hand = hand_of(torch.ones(1, 1, 1, 25), torch.ones(1, 1, 1, 10))
    losses = pretraining_losses(Decoded(torch.ones(1, 1, 1, 21, 2), hand), tokens, chosen)
    assert losses.total.item() == 0
    assert math.isfinite(losses.l_reg.item())
