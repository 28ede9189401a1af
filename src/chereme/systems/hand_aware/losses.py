"""Losses of system B (Eq. 6 to 9 of the paper).

Shapes: B clips, H hands, T frames. ``present (B, H, T)`` says which frames show that hand; what the
others hold counts for nothing, NaN too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from torch import Tensor
from torch.nn import functional as F

from chereme.errors import UsageError

if TYPE_CHECKING:
    from chereme.systems.hand_aware.recognizer import HandAwareOutput

Reduction = Literal["frame", "sum"]

ROOT = 0  # the wrist, MediaPipe order
# Choice: the paper names the groups S_i and does not list their joints. Palm: wrist and knuckles;
# terminal: fingertips; middle: what is between.
PALM = (0, 1, 5, 9, 13, 17)
MIDDLE = (2, 3, 6, 7, 10, 11, 14, 15, 18, 19)
TERMINAL = (4, 8, 12, 16, 20)
GROUPS = (PALM, MIDDLE, TERMINAL)


@dataclass(frozen=True)
class LossConfig:
    """Weights of Eq. 9 and settings of its terms.

    ``speed_weights``: alpha of palm, middle and terminal joints. Choice: the paper gives 1, 2.5 and
    4 for these in this order, and says that slower groups are penalised more, which the palm is;
    the numbers are taken the other way round, to agree with what is said.

    ``root_weight``: see `l_spa`.

    ``reduction``: of `l_spa` and `l_tem`, over time. "sum" over the frames of a clip is what is
    printed. Choice: "frame", the mean over all frames that count, so that neither the length of
    clips nor the number of hands changes what the weights mean: as a sum, in our unit, `l_spa` is
    some hundred times `l_cla`.
    """

    spa_weight: float = 0.1
    tem_weight: float = 0.1
    reg_weight: float = 0.1
    confidence: float = 0.4
    beta_weight: float = 10.0
    speed_weights: tuple[float, float, float] = (4.0, 2.5, 1.0)
    root_weight: float = 1.0
    reduction: Reduction = "frame"


class HandAwareLosses(NamedTuple):
    """The four losses, and ``total``, their weighted sum."""

    total: Tensor
    l_cla: Tensor
    l_spa: Tensor
    l_tem: Tensor
    l_reg: Tensor


def l_cla(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of logits ``(B, K)`` and class numbers ``(B,)``, mean over clips."""
    return F.cross_entropy(logits, classes)


def l_spa(
    projected: Tensor,
    landmarks: Tensor,
    confidence: Tensor,
    present: Tensor,
    *,
    threshold: float = 0.4,
    root_weight: float = 1.0,
    reduction: Reduction = "frame",
) -> Tensor:
    """Eq. 6: L1 distances of projected joints from detected ones, both relative to the wrist.

    Joints with less than ``threshold`` of confidence do not count; Choice: nor do frames whose
    wrist has less, since there is nothing then that the others are relative to.

    Choice: relative to the wrist, the wrist's own term is zero and nothing teaches ``c_o``. In its
    place stands ``root_weight`` times the distance of the wrist itself; 0 is the paper's form.

    Args:
        projected: ``(B, H, T, 21, 2)`` crop units.
        landmarks: ``(B, H, T, 21, 2)`` crop units, see ``decoder.crop_units``.
        confidence: ``(B, H, T, 21)`` from 0 to 1.
    """
    sure = (confidence >= threshold) & present[..., None]
    sure = sure & sure[..., ROOT, None]
    error = projected - landmarks.where(sure[..., None], 0.0)
    root = error[..., ROOT : ROOT + 1, :]
    relative = (error - root).abs().sum(-1)
    own = F.pad(root.abs().sum(-1) * root_weight, (ROOT, relative.shape[-1] - 1 - ROOT))
    terms = (relative + own).where(sure, 0.0)
    return _reduce(terms, sure[..., ROOT].sum(), reduction)


def l_tem(
    joints: Tensor,
    present: Tensor,
    *,
    weights: tuple[float, float, float] = (4.0, 2.5, 1.0),
    reduction: Reduction = "frame",
) -> Tensor:
    """Eq. 7: squared steps of joints ``(B, H, T, 21, 3)`` from frame to frame, weighted by group.

    Only steps between two frames that both show the hand count.
    """
    pairs = present[..., 1:] & present[..., :-1]
    shown = joints.where(present[..., None, None], 0.0)
    steps = (shown[..., 1:, :, :] - shown[..., :-1, :, :]).square().sum(-1)
    alpha = joints.new_zeros(joints.shape[-2])
    for group, weight in zip(GROUPS, weights, strict=True):
        alpha[list(group)] = weight
    terms = (alpha * steps).where(pairs[..., None], 0.0)
    return _reduce(terms, pairs.sum(), reduction)


def l_reg(theta: Tensor, betas: Tensor, present: Tensor, *, beta_weight: float = 10.0) -> Tensor:
    """Eq. 8: ``|theta|^2 + w_beta |betas|^2`` of ``(B, H, T, P)`` and ``(B, H, T, 10)``.

    Choice: mean over the frames that show a hand; Eq. 8, unlike 6 and 7, has no sum over time.
    """
    theta, betas = (values.where(present[..., None], 0.0) for values in (theta, betas))
    size = theta.square().sum() + beta_weight * betas.square().sum()
    return size / present.sum().clamp_min(1)


def hand_aware_losses(
    output: HandAwareOutput,
    classes: Tensor,
    landmarks: Tensor,
    confidence: Tensor,
    config: LossConfig = LossConfig(),
) -> HandAwareLosses:
    """All losses (Eq. 9) of a recogniser's output; arguments as in `l_cla` and `l_spa`."""
    cla = l_cla(output.logits, classes)
    spa = l_spa(
        output.hands.projected,
        landmarks,
        confidence,
        output.present,
        threshold=config.confidence,
        root_weight=config.root_weight,
        reduction=config.reduction,
    )
    tem = l_tem(
        output.joints, output.present, weights=config.speed_weights, reduction=config.reduction
    )
    reg = l_reg(
        output.state.theta, output.state.betas, output.present, beta_weight=config.beta_weight
    )
    total = cla + config.spa_weight * spa + config.tem_weight * tem + config.reg_weight * reg
    return HandAwareLosses(total, cla, spa, tem, reg)


def _reduce(terms: Tensor, frames: Tensor, reduction: Reduction) -> Tensor:
    """Terms ``(B, ...)``, zero where nothing counts: their sum for each clip or each frame."""
    if reduction == "sum":
        return terms.sum() / len(terms)
    if reduction == "frame":
        return terms.sum() / frames.clamp_min(1)
    raise UsageError(f"reduction: expected frame or sum, got {reduction!r}")
