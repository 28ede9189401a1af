"""Losses of system A on the two classifiers (section 3.3 of the paper)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from chereme.models.fingerspelling.recognizer import length_mask


class FingerspellingLosses(NamedTuple):
    """``total = l_seq + l_vis + kd_weight * l_kd``."""

    total: Tensor
    l_seq: Tensor
    l_vis: Tensor
    l_kd: Tensor


def ctc_loss(logits: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Mean over clips of ``-ln p(target)``; clips too short for their label count as zero."""
    loss = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        targets,
        lengths,
        target_lengths,
        blank=0,
        reduction="none",
        zero_infinity=True,
    )
    return loss.mean()


def kd_loss(
    visual: Tensor,
    sequence: Tensor,
    lengths: Tensor,
    *,
    temperature: float = 2.0,
    blank: bool = True,
) -> Tensor:
    """KL divergence from the BiGRU's softened prediction (teacher, detached) to the 1D-CNN's.

    Mean over the steps inside the clips, times temperature squared. ``blank=False`` leaves class 0
    out. Choice: the paper is silent on mask, blank and the squared temperature; ours is masked,
    with blank.
    """
    mask = length_mask(lengths, visual.shape[1])
    first = 0 if blank else 1
    student = (visual[mask][:, first:] / temperature).log_softmax(-1)
    teacher = (sequence.detach()[mask][:, first:] / temperature).softmax(-1)
    return F.kl_div(student, teacher, reduction="batchmean") * temperature**2


def fingerspelling_losses(
    sequence: Tensor,
    visual: Tensor,
    lengths: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
    *,
    kd_weight: float = 5.0,
    temperature: float = 2.0,
) -> FingerspellingLosses:
    """All losses for logits ``(B, T', V)``; ``targets (B, L)`` with blank 0 as padding."""
    l_seq = ctc_loss(sequence, lengths, targets, target_lengths)
    l_vis = ctc_loss(visual, lengths, targets, target_lengths)
    l_kd = kd_loss(visual, sequence, lengths, temperature=temperature)
    return FingerspellingLosses(l_seq + l_vis + kd_weight * l_kd, l_seq, l_vis, l_kd)


def infeasible(lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """``(B,)`` True where CTC cannot spell the target: fewer steps than letters plus doubles."""
    doubles = (targets[:, 1:] == targets[:, :-1]) & length_mask(
        target_lengths - 1, targets.shape[1] - 1
    )
    return torch.as_tensor(lengths < target_lengths + doubles.sum(1))
