"""Losses of system A on the two classifiers (section 3.2.3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from chereme.nn.masking import length_mask


@dataclass(frozen=True)
class LossConfig:
    """Weights and readings of ``l_m = seq l_seq + vis l_vis + kd l_kd`` (section 3.2.3).

    ``kd_*``: see `kd_loss`; ``ctc_normalise``: see `ctc_loss`. ``entropy_weight``, not of the
    paper, takes so many times the `entropy` of the sequence classifier off ``l_m``, so that it is
    not surer than it is right (Pereyra et al. 2017, "confidence penalty").
    """

    seq_weight: float = 1.0
    vis_weight: float = 1.0
    kd_weight: float = 5.0
    temperature: float = 2.0
    kd_blank: bool = True
    kd_masked: bool = True
    kd_squared: bool = True
    ctc_normalise: Literal["clip", "letter"] = "clip"
    entropy_weight: float = 0.0


class FingerspellingLosses(NamedTuple):
    """The three losses, the entropy, and ``total``, their weighted sum."""

    total: Tensor
    l_seq: Tensor
    l_vis: Tensor
    l_kd: Tensor
    entropy: Tensor


def ctc_loss(
    logits: Tensor,
    lengths: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
    *,
    normalise: Literal["clip", "letter"] = "clip",
) -> Tensor:
    """Mean over clips of ``-ln p(target)``; clips too short for their label count as zero.

    Choice: the paper does not say what is averaged. "clip" is the sum of a clip as it is, as VAC
    has it: long words weigh more. "letter" divides that of each clip by its number of letters
    first, as ``torch.nn.CTCLoss`` does by default.
    """
    loss = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        targets,
        lengths,
        target_lengths,
        blank=0,
        reduction="none",
        zero_infinity=True,
    )
    if normalise == "letter":
        loss = loss / target_lengths.clamp_min(1)
    return loss.mean()


def kd_loss(
    visual: Tensor,
    sequence: Tensor,
    lengths: Tensor,
    *,
    temperature: float = 2.0,
    blank: bool = True,
    masked: bool = True,
    squared: bool = True,
) -> Tensor:
    """KL divergence from the BiGRU's softened prediction (teacher, detached) to the 1D-CNN's.

    Mean over steps. Choice: the paper is silent on all of the following. ``blank=False`` leaves
    class 0 out; ``masked=False`` counts the padded steps too; ``squared`` multiplies by the squared
    temperature, so that gradients keep their size as it grows. VAC: no blank, not masked, squared.
    """
    if masked:
        mask = length_mask(lengths, visual.shape[1])
        visual, sequence = visual[mask], sequence[mask]
    else:
        visual, sequence = visual.flatten(0, 1), sequence.flatten(0, 1)
    first = 0 if blank else 1
    student = (visual[:, first:] / temperature).log_softmax(-1)
    teacher = (sequence.detach()[:, first:] / temperature).softmax(-1)
    loss = F.kl_div(student, teacher, reduction="batchmean")
    return loss * temperature**2 if squared else loss


def entropy(logits: Tensor, lengths: Tensor) -> Tensor:
    """Entropy of the predictions ``(B, T', V)`` in nats: summed over the steps of a clip, as CTC's
    loss is, mean over clips."""
    log_probs = logits.log_softmax(-1)
    steps = -(log_probs.exp() * log_probs).sum(-1)
    return (steps * length_mask(lengths, logits.shape[1])).sum(1).mean()


def fingerspelling_losses(
    sequence: Tensor,
    visual: Tensor,
    lengths: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
    config: LossConfig = LossConfig(),
) -> FingerspellingLosses:
    """All losses for logits ``(B, T', V)``; ``targets (B, L)`` with blank 0 as padding."""
    l_seq, l_vis = (
        ctc_loss(logits, lengths, targets, target_lengths, normalise=config.ctc_normalise)
        for logits in (sequence, visual)
    )
    l_kd = kd_loss(
        visual,
        sequence,
        lengths,
        temperature=config.temperature,
        blank=config.kd_blank,
        masked=config.kd_masked,
        squared=config.kd_squared,
    )
    unsure = entropy(sequence, lengths)
    total = config.seq_weight * l_seq + config.vis_weight * l_vis + config.kd_weight * l_kd
    total = total - config.entropy_weight * unsure
    return FingerspellingLosses(total, l_seq, l_vis, l_kd, unsure)


def infeasible(lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """``(B,)`` True where CTC cannot spell the target: fewer steps than letters plus doubles.

    ``lengths`` are steps of the output: before encoding, see ``temporal_stride``.
    """
    doubles = (targets[:, 1:] == targets[:, :-1]) & length_mask(
        target_lengths - 1, targets.shape[1] - 1
    )
    return torch.as_tensor(lengths < target_lengths + doubles.sum(1))
