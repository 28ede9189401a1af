"""Losses of Pose2Gloss (Eq. 8 to 12), their weights and schedules (Table 2).

Shapes: B sentences, T frames, L places of the answer (glosses and an end), V ids, C = width of the
codebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.formats.tracks import NO_GLOSS
from chereme.text.glosses import EOS, PAD, UNK

UNKNOWN = -2
"""What a frame shows whose sentence has no times, and what is no frame at all."""


@dataclass(frozen=True)
class Schedule:
    """A number that goes from ``start`` to ``end`` over the training.

    ``shape``: "linear" or "cosine" (slow at both ends). Choice: linear; the paper says "decay".
    """

    start: float
    end: float
    shape: Literal["linear", "cosine"] = "linear"

    def at(self, progress: float) -> float:
        """The number when ``progress`` of all training steps, 0 to 1, are done."""
        if self.shape not in ("linear", "cosine"):
            raise UsageError(f"shape: expected linear or cosine, got {self.shape!r}")
        done = min(max(progress, 0.0), 1.0)
        if self.shape == "cosine":
            done = float(0.5 - 0.5 * torch.tensor(done * torch.pi, dtype=torch.float64).cos())
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True)
class LossConfig:
    """Weights as in Table 2, and readings. A loss of weight 0 is not computed, but for l_noise.

    ``teacher_forcing``, ``fed_at_once``: the ratio of `decoder.mixed_inputs`, and how.
    ``ngram_weight``: Table 2 has it, Eq. 12 does not; ``ngrams``: the lengths compared (choice: the
    paper gives none). ``ctc_weight``: of the CTC head, which the paper has not; ``time_weight``: of
    when it says a gloss, of sentences with times. ``word_of``: see
    `l_word`. ``temperature``: tau of Eq. 11 (choice: that of CLIP). ``both_ways``: Eq. 11 from
    texts to poses as well. ``learnable``: coefficients of Eq. 12 that are learnt, see
    `Coefficients`.
    """

    noise_weight: Schedule = field(default_factory=lambda: Schedule(1.0, 0.0))
    teacher_forcing: Schedule = field(default_factory=lambda: Schedule(0.5, 0.0))
    fed_at_once: bool = False
    text_weight: float = 1.0
    word_weight: float = 1.0
    contrast_weight: float = 1.0
    ngram_weight: float = 0.6
    ctc_weight: float = 0.0
    time_weight: float = 0.0
    label_smoothing: float = 0.1
    word_of: Literal["token", "sentence"] = "token"
    temperature: float = 0.07
    both_ways: bool = False
    ngrams: tuple[int, ...] = (1, 2)
    learnable: bool = False


class Pose2GlossLosses(NamedTuple):
    """The losses before weighting (0 where not computed), and ``total`` (Eq. 12)."""

    total: Tensor
    l_noise: Tensor
    l_text: Tensor
    l_word: Tensor
    l_contrast: Tensor
    l_ngram: Tensor
    l_ctc: Tensor
    l_time: Tensor


def l_noise(noise: Tensor, predicted: Tensor, mask: Tensor) -> Tensor:
    """Eq. 8 for noise ``(B, T, D)`` and frames ``mask (B, T)``.

    Choice: the mean over the D numbers, not their sum, as DDPM's code has it: 2048 of them would
    drown the other losses.
    """
    squares = (noise - predicted).square().mean(-1)
    return squares.where(mask, 0.0).sum() / mask.sum().clamp_min(1)


def l_text(logits: Tensor, answers: Tensor, smoothing: float = 0.1) -> Tensor:
    """Eq. 9 for logits ``(B, L, V)``, ``answers (B, L)`` padded; with label smoothing (Table 2).

    Choice: the mean over all places of the batch, not the sum, so that long sentences do not weigh
    more for their length.
    """
    return F.cross_entropy(
        logits.transpose(1, 2), answers, ignore_index=PAD, label_smoothing=smoothing
    )


def l_word(
    logits: Tensor,
    answers: Tensor,
    codebook: Tensor,
    of: Literal["token", "sentence"] = "token",
) -> Tensor:
    """Eq. 10: 1 - cosine of the predicted and the true embedding, mean over the batch.

    Choice: the predicted embedding is the mean of the codebook ``(V, C)`` under the predicted
    probabilities, as the likeliest entry alone gives no gradient; the codebook is held fixed, as
    all its entries being one would make the loss 0. "token": cosines at each place, their mean in
    each sentence ("explicit token alignment"); "sentence": the cosine of both means.
    """
    if of not in ("token", "sentence"):
        raise UsageError(f"word_of: expected token or sentence, got {of!r}")
    fixed = codebook.detach()
    there = (answers != PAD).unsqueeze(-1)
    predicted = (logits.softmax(-1) @ fixed).where(there, 0.0)
    true = fixed[answers].where(there, 0.0)
    if of == "sentence":  # of sums: the number of places changes no cosine
        return (1 - F.cosine_similarity(predicted.sum(1), true.sum(1), dim=-1)).mean()
    distance = (1 - F.cosine_similarity(predicted, true, dim=-1)).where(there.squeeze(-1), 0.0)
    return (distance.sum(1) / there.sum((1, 2)).clamp_min(1)).mean()


def l_contrast(
    pose: Tensor, text: Tensor, same: Tensor, temperature: float = 0.07, *, both_ways: bool = False
) -> Tensor:
    """Eq. 11: each pose embedding ``(B, P)`` among the texts ``(B, P)`` of the batch.

    ``same (B, B)``: sentences of the same glosses. Choice: such are no wrong answer for each other
    and are left out of the sum.
    """
    similar = F.normalize(pose, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    own = torch.eye(len(pose), dtype=torch.bool, device=pose.device)
    similar = similar.masked_fill(same & ~own, -torch.inf)
    one_way = -similar.log_softmax(1).diagonal().mean()
    return (one_way - similar.log_softmax(0).diagonal().mean()) / 2 if both_ways else one_way


def l_ngram(logits: Tensor, answers: Tensor, ngrams: tuple[int, ...] = (1, 2)) -> Tensor:
    """1 - F1 of matched n-grams of glosses (section 4.3), mean over ``ngrams`` and sentences.

    Choice: expected counts under the predicted probabilities make it differentiable. An n-gram of
    the truth is matched as often as it is expected in the prediction, at most as often as it is
    true; the prediction has as many n-grams as places in a row that are expected to be glosses. F1
    is 2 matches / (n-grams of the prediction + of the truth). Sentences shorter than n do not
    count.
    """
    p = logits.softmax(-1)
    gloss = (answers != PAD) & (answers != EOS)
    ids = answers.where(gloss, PAD)
    inside = (answers != PAD).unsqueeze(-1)
    # hit[b, i, j]: place i says what stands at place j.
    hit = p.gather(2, ids.unsqueeze(1).expand(-1, ids.shape[1], -1)).where(inside, 0.0)
    says = p[..., UNK:].sum(-1).where(inside.squeeze(-1), 0.0)
    equal = (ids.unsqueeze(1) == ids.unsqueeze(2)) & gloss.unsqueeze(1) & gloss.unsqueeze(2)
    losses = []
    for n in ngrams:
        count = ids.shape[1] - n + 1
        if n < 1 or count < 1:
            continue
        span = [slice(k, k + count) for k in range(n)]
        true = torch.stack([gloss[:, s] for s in span]).all(0)
        expected = torch.stack([hit[:, s, s] for s in span]).prod(0).sum(1)
        times = torch.stack([equal[:, s, s] for s in span]).all(0).sum(1).clamp_min(1)
        # Each of the places of a repeated n-gram has its share of what is matched.
        matched = (torch.minimum(expected, times.to(expected)) / times).where(true, 0.0).sum(1)
        said = torch.stack([says[:, s] for s in span]).prod(0).sum(1)
        total = true.sum(1)
        f1 = 2 * matched / (said + total).clamp_min(torch.finfo(p.dtype).tiny)
        some = total > 0
        losses.append((1 - f1).where(some, 0.0).sum() / some.sum().clamp_min(1))
    return torch.stack(losses).mean() if losses else logits.new_zeros(())


def l_ctc(logits: Tensor, lengths: Tensor, glosses: Tensor) -> Tensor:
    """CTC on ``(B, T, V)``, per gloss, mean over the batch; sentences that do not fit count 0."""
    counts = (glosses != PAD).sum(1)
    loss = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        glosses,
        lengths,
        counts,
        blank=PAD,
        reduction="none",
        zero_infinity=True,
    )
    return (loss / counts.clamp_min(1)).mean()


def l_time(logits: Tensor, glosses: Tensor, shown: Tensor) -> Tensor:
    """Cross entropy of the CTC head ``(B, T, V)`` with what each frame shows: the place of a gloss
    in ``glosses (B, L)``, ``NO_GLOSS``, or ``UNKNOWN``, which does not count; mean over the frames.

    CTC is content wherever a gloss is said, if in order, and learns to say it before the sign or
    long after it. So it is said all the while that it is signed, and not between.
    """
    targets = glosses.gather(1, shown.clamp_min(0)).masked_fill(shown == NO_GLOSS, PAD)
    known = shown != UNKNOWN
    losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    return losses.where(known, 0.0).sum() / known.sum().clamp_min(1)


class Coefficients(nn.Module):
    """Learnable lambda of Eq. 12: ``sum of weight (lambda L - ln lambda)``, lambda = exp(-s).

    Choice: the paper does not say how they are learnt. Without the second term all would go to 0;
    with it (Kendall et al. 2018, without their factor) each is best at 1 / L. They start at 1.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.s = nn.Parameter(torch.zeros(len(names)))

    def forward(self, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
        """The total of the losses that have a weight."""
        terms = [
            weights[name] * ((-s).exp() * losses[name] + s)
            for name, s in zip(self.names, self.s, strict=True)
            if weights[name]
        ]
        return torch.stack(terms).sum()


def weights_at(config: LossConfig, progress: float) -> dict[str, float]:
    """The weight of each loss when ``progress`` of the training, 0 to 1, is done."""
    return {
        "l_noise": config.noise_weight.at(progress),
        "l_text": config.text_weight,
        "l_word": config.word_weight,
        "l_contrast": config.contrast_weight,
        "l_ngram": config.ngram_weight,
        "l_ctc": config.ctc_weight,
        "l_time": config.time_weight,
    }
