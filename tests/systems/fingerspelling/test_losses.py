"""The losses on the two classifiers, against closed forms and published numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from chereme.decoding import ctc_log_likelihood
from chereme.systems.fingerspelling.losses import (
    LossConfig,
    ctc_loss,
    entropy,
    fingerspelling_losses,
    infeasible,
    kd_loss,
)


def golden() -> tuple[Tensor, Tensor]:
    """conv = sin(k), seq = cos(k), k = 0..29, of shape (T, B, C) = (3, 2, 5), here (B, T, C)."""
    k = torch.arange(30, dtype=torch.float64).reshape(3, 2, 5)
    return k.sin().transpose(0, 1), k.cos().transpose(0, 1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    ("temperature", "blank", "expected"),
    [
        (2.0, True, 0.44435858865),
        (2.0, False, 0.34036782925),
        (8.0, True, 0.45287634276),
        (8.0, False, 0.34869266163),
    ],
)
def test_distillation_golden_numbers(
    temperature: float, blank: bool, expected: float, masked: bool
) -> None:
    """Made by running the published formula; see the reference facts of VAC."""
    loss = kd_loss(
        *golden(), torch.tensor([3, 3]), temperature=temperature, blank=blank, masked=masked
    )
    assert loss.item() == pytest.approx(expected, abs=1e-10)


def kl(visual: Tensor, sequence: Tensor) -> Tensor:
    """Of rows of logits, at temperature 2, not yet times 4."""
    student, teacher = (visual / 2).softmax(-1), (sequence / 2).softmax(-1)
    return (teacher * (teacher / student).log()).sum() / len(visual)


def test_distillation_leaves_padding_out_and_the_teacher_alone() -> None:
    visual, sequence = (x.clone().requires_grad_() for x in golden())
    loss = kd_loss(visual, sequence, torch.tensor([3, 1]))
    rows = tuple(torch.tensor([[0, 0], [0, 1], [0, 2], [1, 0]]).T)
    torch.testing.assert_close(loss, 4 * kl(visual[rows], sequence[rows]))
    loss.backward()
    assert sequence.grad is None
    assert visual.grad is not None
    assert not visual.grad[1, 1:].any()
    assert visual.grad[0].abs().min() > 0


def test_other_readings_of_the_distillation() -> None:
    visual, sequence = golden()
    lengths = torch.tensor([3, 1])
    every = kl(visual.reshape(6, 5), sequence.reshape(6, 5))
    torch.testing.assert_close(kd_loss(visual, sequence, lengths, masked=False), 4 * every)
    plain = kd_loss(visual, sequence, lengths, masked=False, squared=False)
    torch.testing.assert_close(plain, every)
    letters = kd_loss(visual, sequence, lengths, masked=False, squared=False, blank=False)
    torch.testing.assert_close(letters, kl(*(x[..., 1:].reshape(6, 4) for x in golden())))


def test_distillation_of_equals_is_zero() -> None:
    logits = golden()[0]
    assert kd_loss(logits, logits + 5.0, torch.tensor([3, 2])).item() == pytest.approx(0, abs=1e-12)


def ctc_case() -> tuple[Tensor, Tensor, Tensor, Tensor, list[float]]:
    torch.manual_seed(3)
    logits = torch.randn(4, 9, 7, dtype=torch.float64)
    lengths, texts = [9, 5, 3, 6], [[1, 1, 2], [6, 5, 4, 3], [2], []]
    targets = torch.tensor([t + [0] * (4 - len(t)) for t in texts])
    each = [
        -ctc_log_likelihood(row[:n].log_softmax(-1).numpy(), text)
        for row, n, text in zip(logits, lengths, texts, strict=True)
    ]
    return logits, torch.tensor(lengths), targets, torch.tensor([len(t) for t in texts]), each


def test_ctc_is_the_mean_negative_log_likelihood() -> None:
    *arguments, each = ctc_case()
    assert ctc_loss(*arguments).item() == pytest.approx(np.mean(each), rel=1e-9)


def test_ctc_for_each_letter_is_the_mean_of_torch() -> None:
    logits, lengths, targets, counts, each = ctc_case()
    loss = ctc_loss(logits, lengths, targets, counts, normalise="letter")
    assert loss.item() == pytest.approx(np.mean(np.divide(each, [3, 4, 1, 1])), rel=1e-9)
    reference = torch.nn.CTCLoss()  # "mean" divides by the length of the target
    expected = reference(logits.log_softmax(-1).transpose(0, 1), targets, lengths, counts)
    torch.testing.assert_close(loss, expected)


def test_too_short_clips_count_as_zero() -> None:
    torch.manual_seed(3)
    logits = torch.randn(2, 4, 7, dtype=torch.float64, requires_grad=True)
    targets, lengths = torch.tensor([[1, 2, 3], [4, 4, 4]]), torch.tensor([4, 4])
    loss = ctc_loss(logits, lengths, targets, torch.tensor([3, 3]))
    feasible = -ctc_log_likelihood(logits[0].detach().log_softmax(-1).numpy(), [1, 2, 3])
    assert loss.item() == pytest.approx(feasible / 2, rel=1e-9)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_infeasible_is_where_the_likelihood_is_zero(steps: int) -> None:
    texts = [[], [1], [1, 2], [1, 1], [1, 1, 1], [2, 1, 1, 3]]
    targets = torch.tensor([t + [0] * (4 - len(t)) for t in texts])
    uniform = np.full((steps, 7), -np.log(7))
    expected = [bool(np.isneginf(ctc_log_likelihood(uniform, t))) for t in texts]
    found = infeasible(torch.full((6,), steps), targets, torch.tensor([len(t) for t in texts]))
    assert found.tolist() == expected


def test_total_is_the_weighted_sum() -> None:
    torch.manual_seed(0)
    lengths, targets, counts = (torch.tensor(x) for x in ([6, 4], [[1, 2], [3, 0]], [2, 1]))
    sequence, visual = torch.randn(2, 6, 7), torch.randn(2, 6, 7)
    config = LossConfig(
        seq_weight=0.5,
        vis_weight=2.0,
        kd_weight=3.0,
        temperature=4.0,
        kd_blank=False,
        kd_masked=False,
        kd_squared=False,
        ctc_normalise="letter",
    )
    l_seq, l_vis = (
        ctc_loss(x, lengths, targets, counts, normalise="letter") for x in (sequence, visual)
    )
    l_kd = kd_loss(
        visual, sequence, lengths, temperature=4.0, blank=False, masked=False, squared=False
    )
    losses = fingerspelling_losses(sequence, visual, lengths, targets, counts, config)
    for one, other in zip(losses[1:4], (l_seq, l_vis, l_kd), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(losses.total, 0.5 * l_seq + 2 * l_vis + 3 * l_kd)
    masked = fingerspelling_losses(
        sequence, visual, lengths, targets, counts, replace(config, kd_masked=True)
    )
    assert masked.l_kd != losses.l_kd


def test_weights_of_the_paper() -> None:
    config = LossConfig()
    assert (config.seq_weight, config.vis_weight, config.kd_weight) == (1.0, 1.0, 5.0)
    assert config.temperature == 2.0


def test_entropy_is_summed_over_the_steps_that_exist() -> None:
    logits = torch.zeros(2, 5, 4)
    logits[0, 0, 1] = 50.0  # a step that is sure
    logits[1, 3:] = torch.randn(2, 4)  # padding
    expected = (4 * np.log(4) + 3 * np.log(4)) / 2
    assert float(entropy(logits, torch.tensor([5, 3]))) == pytest.approx(expected, rel=1e-5)


def test_entropy_is_taken_off_the_total() -> None:
    sequence, visual = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    targets, lengths = torch.tensor([[1, 2], [3, 0]]), torch.tensor([6, 5])
    batch = sequence, visual, lengths, targets, torch.tensor([2, 1])
    without = fingerspelling_losses(*batch, LossConfig())
    with_it = fingerspelling_losses(*batch, LossConfig(entropy_weight=0.5))
    assert torch.allclose(with_it.total, without.total - 0.5 * entropy(sequence, lengths))
