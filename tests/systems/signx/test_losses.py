"""Eq. 8 to 12 by hand, and the schedules of Table 2."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.formats.tracks import NO_GLOSS
from chereme.systems.signx.decoder import answers
from chereme.systems.signx.losses import (
    UNKNOWN,
    Coefficients,
    LossConfig,
    Schedule,
    l_contrast,
    l_ctc,
    l_ngram,
    l_noise,
    l_text,
    l_time,
    l_word,
    weights_at,
)
from chereme.text.glosses import EOS

V = 8
ANSWERS = torch.tensor([[4, 5, 6, EOS], [7, EOS, 0, 0]])


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(2, 4, V, generator=torch.Generator().manual_seed(0))


def certain(rows: list[list[int]]) -> Tensor:
    """Logits that leave no doubt."""
    return 100.0 * F.one_hot(torch.tensor(rows), V).float()


def test_weights_of_table_2_at_start_middle_and_end() -> None:
    config = LossConfig()
    assert [config.noise_weight.at(p) for p in (0.0, 0.5, 1.0)] == [1.0, 0.5, 0.0]
    assert [config.teacher_forcing.at(p) for p in (0.0, 0.5, 1.0)] == [0.5, 0.25, 0.0]
    for progress in (0.0, 0.5, 1.0):
        assert weights_at(config, progress) == {
            "l_noise": 1.0 - progress,
            "l_text": 1.0,
            "l_word": 1.0,
            "l_contrast": 1.0,
            "l_ngram": 0.6,
            "l_ctc": 0.0,
            "l_time": 0.0,
        }
    assert config.label_smoothing == 0.1


def test_schedules_by_hand() -> None:
    cosine = Schedule(3.0, 1.0, "cosine")
    wanted = [3.0, 2 + math.cos(math.pi / 4), 2.0, 1.0]
    assert [cosine.at(p) for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(wanted)
    assert [Schedule(3.0, 1.0).at(p) for p in (-1.0, 0.25, 7.0)] == [3.0, 2.5, 1.0]
    with pytest.raises(UsageError, match="shape: expected linear or cosine, got 'step'"):
        Schedule(1.0, 0.0, "step").at(0.5)  # type: ignore[arg-type]


def test_equation_8_by_hand() -> None:
    noise = torch.tensor([[[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [torch.nan, 9.0]]])
    predicted = torch.tensor([[[0.0, 0.0], [0.0, 3.0]], [[3.0, 2.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    found = l_noise(noise, predicted, mask)
    assert found.item() == pytest.approx((1 + 4 + 0 + 4 + 0 + 4) / 6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equation_9_by_hand(smoothing: float, logits: Tensor) -> None:
    total, count = 0.0, 0
    for row, wanted in zip(logits, ANSWERS, strict=True):
        for scores, answer in zip(row, wanted.tolist(), strict=True):
            if answer:
                log_p = scores - scores.exp().sum().log()
                y = torch.full((V,), smoothing / V)
                y[answer] += 1 - smoothing
                total, count = total - (y * log_p).sum().item(), count + 1
    assert count == 6
    assert l_text(logits, ANSWERS, smoothing).item() == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("of", ["token", "sentence"])
def test_equation_10_by_hand(of: str, logits: Tensor) -> None:
    codebook = torch.randn(V, 3, requires_grad=True)
    total = 0.0
    for row, wanted in zip(logits.softmax(-1), ANSWERS, strict=True):
        count = int((wanted != 0).sum())
        predicted, true = row[:count] @ codebook, codebook[wanted[:count]]
        if of == "sentence":
            predicted, true = predicted.mean(0, keepdim=True), true.mean(0, keepdim=True)
        cosines = (predicted * true).sum(1) / (predicted.norm(dim=1) * true.norm(dim=1))
        total += (1 - cosines.mean()).item()
    logits.requires_grad_()
    found = l_word(logits, ANSWERS, codebook, of)  # type: ignore[arg-type]
    assert found.item() == pytest.approx(total / 2, rel=1e-4)
    found.backward()
    assert codebook.grad is None
    right = certain([[4, 5, 6, EOS], [7, EOS, 0, 0]])
    assert l_word(right, ANSWERS, codebook, of).item() == pytest.approx(0, abs=1e-5)  # type: ignore[arg-type]


def test_equation_11_by_hand() -> None:
    pose, text = torch.randn(3, 5), torch.randn(3, 5)
    cosine = torch.stack([F.cosine_similarity(p[None], text) for p in pose]) / 0.5
    p = cosine.exp()
    nothing = torch.eye(3, dtype=torch.bool)
    one_way = [-math.log(p[b, b] / p[b].sum()) for b in range(3)]
    assert l_contrast(pose, text, nothing, 0.5).item() == pytest.approx(sum(one_way) / 3, rel=1e-5)
    other = [-math.log(p[b, b] / p[:, b].sum()) for b in range(3)]
    found = l_contrast(pose, text, nothing, 0.5, both_ways=True).item()
    assert found == pytest.approx((sum(one_way) + sum(other)) / 6, rel=1e-5)
    # The first two say the same: neither is a wrong answer for the other.
    same = nothing.clone()
    same[0, 1] = same[1, 0] = True
    wanted = -math.log(p[0, 0] / (p[0, 0] + p[0, 2])) - math.log(p[1, 1] / (p[1, 1] + p[1, 2]))
    found = l_contrast(pose, text, same, 0.5).item()
    assert found == pytest.approx((wanted + one_way[2]) / 3, rel=1e-5)


def test_ngrams_of_certain_predictions_are_counted() -> None:
    """1 - F1 of n-grams as one counts them in texts."""
    answer = answers(torch.tensor([[4, 5, 4, 5]]))
    for said, n, f1 in (
        ([4, 5, 4, 5, EOS], 1, 1.0),
        ([4, 5, 4, 5, EOS], 2, 1.0),
        ([5, 4, 5, 4, EOS], 1, 1.0),  # the same glosses
        ([5, 4, 5, 4, EOS], 2, 2 * 2 / 6),  # 45 once of twice, 54 once
        ([4, 4, 4, 4, EOS], 1, 2 * 2 / 8),  # 4 is there twice, however often it is said
        ([4, 5, EOS, EOS, EOS], 1, 2 * 2 / 6),
        ([4, 5, EOS, EOS, EOS], 2, 2 * 1 / 4),
        ([6, 7, 6, 7, EOS], 2, 0.0),
    ):
        found = l_ngram(certain([said]), answer, (n,)).item()
        assert found == pytest.approx(1 - f1, abs=1e-5), (said, n)


def test_ngrams_of_a_doubt_are_expected_counts() -> None:
    answer = answers(torch.tensor([[4]]))
    p = torch.tensor([[[0, 0, 0.2, 0, 0.5, 0.3, 0, 0], [0, 0, 0.6, 0, 0.1, 0, 0.3, 0]]])
    # 4 is expected 0.6 times, and 0.8 + 0.4 glosses.
    assert l_ngram(p.log(), answer, (1,)).item() == pytest.approx(1 - 2 * 0.6 / 2.2, rel=1e-5)


def test_ngrams_do_not_see_padding_or_sentences_too_short(logits: Tensor) -> None:
    alone = l_ngram(logits[:1], ANSWERS[:1], (2,))
    assert l_ngram(logits, ANSWERS, (2,)).item() == pytest.approx(alone.item())
    spoilt = logits.clone()
    spoilt[1, 2:] = 50.0
    assert l_ngram(spoilt, ANSWERS, (1, 2)).equal(l_ngram(logits, ANSWERS, (1, 2)))
    assert l_ngram(logits, ANSWERS, (9,)).item() == 0.0


def test_ctc_by_enumeration() -> None:
    logits = torch.randn(1, 3, V)
    p = logits.softmax(-1)[0]
    paths = [(4, 4, 5), (4, 5, 5), (0, 4, 5), (4, 0, 5), (4, 5, 0)]
    probability = sum(p[0, a] * p[1, b] * p[2, c] for a, b, c in paths)
    wanted = -math.log(probability) / 2  # of two glosses
    glosses = torch.tensor([[4, 5, 0]])
    assert l_ctc(logits, torch.tensor([3]), glosses).item() == pytest.approx(wanted, rel=1e-4)
    assert l_ctc(logits, torch.tensor([1]), glosses).item() == 0.0  # it does not fit


def test_learnable_coefficients_of_equation_12() -> None:
    coefficients = Coefficients(("a", "b", "c"))
    losses = {"a": torch.tensor(2.0), "b": torch.tensor(0.5), "c": torch.tensor(9.0)}
    weights = {"a": 1.0, "b": 0.6, "c": 0.0}
    assert coefficients(losses, weights).item() == pytest.approx(2.0 + 0.6 * 0.5)
    optimizer = torch.optim.Adam(coefficients.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        coefficients(losses, weights).backward()
        optimizer.step()
    # Best where lambda = 1 / L; a loss without weight moves nothing.
    assert (-coefficients.s).exp().tolist() == pytest.approx([0.5, 2.0, 1.0], rel=1e-2)


def test_an_unknown_reading_is_refused(logits: Tensor) -> None:
    with pytest.raises(UsageError, match="word_of: expected token or sentence"):
        l_word(logits, ANSWERS, torch.randn(V, 3), "word")  # type: ignore[arg-type]


def test_a_gloss_is_said_while_it_is_signed(logits: Tensor) -> None:
    glosses = torch.tensor([[4, 5], [6, 0]])
    shown = torch.tensor([[0, NO_GLOSS, 1, 1], [NO_GLOSS, 0, UNKNOWN, UNKNOWN]])
    log_probs = logits.log_softmax(-1)
    wanted = [(0, 0, 4), (0, 1, 0), (0, 2, 5), (0, 3, 5), (1, 0, 0), (1, 1, 6)]
    by_hand = -sum(log_probs[place] for place in wanted) / len(wanted)
    torch.testing.assert_close(l_time(logits, glosses, shown), by_hand)
    assert l_time(logits, glosses, torch.full((2, 4), UNKNOWN)) == 0
    assert l_time(certain([[4, 0, 5, 5], [0, 6, 1, 1]]), glosses, shown) < 1e-6
