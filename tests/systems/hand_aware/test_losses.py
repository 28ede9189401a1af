"""Each loss against its equation, term by term."""

from __future__ import annotations

import math

import pytest
import torch

from chereme.errors import UsageError
from chereme.systems.hand_aware.losses import (
    GROUPS,
    LossConfig,
    hand_aware_losses,
    l_cla,
    l_reg,
    l_spa,
    l_tem,
)

B, H, T = 2, 2, 4
PALM = {"wrist", "thumb_cmc", "index_mcp", "middle_mcp", "ring_mcp", "little_mcp"}


@pytest.fixture
def batch():
    torch.manual_seed(0)
    present = torch.ones(B, H, T, dtype=torch.bool)
    present[0, 1] = False
    present[1, 0, 2] = False
    present[1, :, 3] = False
    confidence = torch.rand(B, H, T, 21)
    confidence[..., 0] = 0.9
    confidence[1, 1, 0, 0] = 0.39  # a wrist that is not seen well
    confidence[0, 0, 0, 5], confidence[0, 0, 0, 6] = 0.4, 0.399  # the threshold itself counts
    return torch.randn(B, H, T, 21, 2), torch.randn(B, H, T, 21, 2), confidence, present


def spatial_terms(projected, landmarks, confidence, present, root_weight):
    """Eq. 6 in plain numbers: a list of terms, and how many frames they are of."""
    terms, frames = [], 0
    for b in range(B):
        for h in range(H):
            for t in range(T):
                if not present[b, h, t] or confidence[b, h, t, 0] < 0.4:
                    continue
                frames += 1
                ours, theirs = projected[b, h, t].tolist(), landmarks[b, h, t].tolist()
                for j in range(21):
                    if confidence[b, h, t, j] < 0.4:
                        continue
                    terms.append(
                        sum(
                            abs(ours[j][c] - ours[0][c] - theirs[j][c] + theirs[0][c])
                            for c in (0, 1)
                        )
                    )
                    if j == 0:
                        terms[-1] += root_weight * sum(
                            abs(ours[0][c] - theirs[0][c]) for c in (0, 1)
                        )
    return terms, frames


@pytest.mark.parametrize("root_weight", [0.0, 0.5])
def test_spatial_consistency(batch, root_weight) -> None:
    terms, frames = spatial_terms(*batch, root_weight)
    summed = l_spa(*batch, root_weight=root_weight, reduction="sum")
    assert summed.item() == pytest.approx(sum(terms) / B, rel=1e-5)
    each = l_spa(*batch, root_weight=root_weight)
    assert each.item() == pytest.approx(sum(terms) / frames, rel=1e-5)
    assert frames == 8
    assert 90 < len(terms) < B * H * T * 21


def test_spatial_consistency_of_one_joint_by_hand() -> None:
    projected, landmarks = torch.zeros(1, 1, 1, 21, 2), torch.zeros(1, 1, 1, 21, 2)
    confidence = torch.zeros(1, 1, 1, 21)
    confidence[..., [0, 8]] = 1.0
    landmarks[..., 0, :] = torch.tensor([0.1, 0.2])
    landmarks[..., 8, :] = torch.tensor([0.4, -0.3])
    present = torch.ones(1, 1, 1, dtype=torch.bool)
    relative = abs(0.4 - 0.1) + abs(-0.3 - 0.2)
    arguments = (projected, landmarks, confidence, present)
    assert l_spa(*arguments, root_weight=0.0).item() == pytest.approx(relative)
    assert l_spa(*arguments, root_weight=1.0).item() == pytest.approx(relative + 0.1 + 0.2)
    shifted = landmarks + 5.0  # relative to the wrist, a shift is nothing
    assert l_spa(projected, shifted, confidence, present, root_weight=0.0).item() == pytest.approx(
        relative, rel=1e-5
    )


def test_temporal_consistency(batch) -> None:
    present, joints = batch[3], torch.randn(B, H, T, 21, 3)
    weight = {j: w for group, w in zip(GROUPS, (4.0, 2.5, 1.0), strict=True) for j in group}
    total, count = 0.0, 0
    for b in range(B):
        for h in range(H):
            for t in range(1, T):
                if present[b, h, t] and present[b, h, t - 1]:
                    count += 1
                    for j in range(21):
                        step = (joints[b, h, t, j] - joints[b, h, t - 1, j]).tolist()
                        total += weight[j] * sum(x * x for x in step)
    assert count == 3 + 1 + 2
    summed = l_tem(joints, present, reduction="sum")
    assert summed.item() == pytest.approx(total / B, rel=1e-5)
    assert l_tem(joints, present).item() == pytest.approx(total / count, rel=1e-5)


def test_groups_part_the_hand_and_the_palm_is_held_stillest() -> None:
    from chereme.hands.skeleton import JOINT_NAMES, TIPS

    assert sorted(j for group in GROUPS for j in group) == list(range(21))
    assert {JOINT_NAMES[j] for j in GROUPS[0]} == PALM
    assert GROUPS[2] == TIPS
    assert LossConfig().speed_weights == (4.0, 2.5, 1.0)
    present = torch.ones(1, 1, 2, dtype=torch.bool)
    for joint, expected in ((0, 4.0), (6, 2.5), (8, 1.0)):
        joints = torch.zeros(1, 1, 2, 21, 3)
        joints[0, 0, 1, joint, 2] = 3.0
        assert l_tem(joints, present).item() == pytest.approx(9 * expected)


def test_regularisation(batch) -> None:
    present, theta, betas = batch[3], torch.randn(B, H, T, 6), torch.randn(B, H, T, 10)
    sizes = [
        (theta[i] ** 2).sum().item() + 10 * (betas[i] ** 2).sum().item()
        for i in map(tuple, present.nonzero().tolist())
    ]
    assert l_reg(theta, betas, present).item() == pytest.approx(sum(sizes) / len(sizes), rel=1e-5)


def test_classification() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    expected = (math.log(2) - math.log(0.25)) / 2
    assert l_cla(logits, torch.tensor([0, 1])).item() == pytest.approx(expected)


@pytest.mark.parametrize("reduction", ["sum", "frame"])
def test_what_is_absent_counts_for_nothing(batch, reduction) -> None:
    projected, landmarks, confidence, present = batch
    joints, theta, betas = (
        torch.randn(B, H, T, 21, 3),
        torch.randn(B, H, T, 6),
        torch.randn(B, H, T, 10),
    )

    def losses():
        return [
            l_spa(projected, landmarks, confidence, present, reduction=reduction),
            l_tem(joints, present, reduction=reduction),
            l_reg(theta, betas, present),
        ]

    before = losses()
    for tensor in (landmarks, joints, theta, betas):
        tensor[~present] = torch.nan
    landmarks[confidence < 0.4] = torch.nan
    for tensor in (projected, joints, theta, betas):
        tensor.requires_grad_()
    after = losses()
    for one, two in zip(before, after, strict=True):
        torch.testing.assert_close(one, two.detach())
    sum(after).backward()
    for tensor in (projected, joints, theta, betas):
        assert tensor.grad is not None
        assert not tensor.grad[~present].any()
        assert tensor.grad.isfinite().all()
    nothing = torch.zeros_like(present)
    assert l_spa(projected, landmarks, confidence, nothing, reduction=reduction).item() == 0
    assert l_tem(joints, nothing, reduction=reduction).item() == 0
    assert l_reg(theta, betas, nothing).item() == 0


def test_total_is_weighted_as_the_paper_states(tiny, clips) -> None:
    crops, present = clips
    output = tiny().eval()(crops, present)
    landmarks, confidence = torch.randn(2, 2, 5, 21, 2), torch.rand(2, 2, 5, 21)
    for config in (LossConfig(), LossConfig(root_weight=0.0, reduction="sum")):
        losses = hand_aware_losses(output, torch.tensor([0, 3]), landmarks, confidence, config)
        weighted = losses.l_cla + 0.1 * (losses.l_spa + losses.l_tem + losses.l_reg)
        torch.testing.assert_close(losses.total, weighted)
        assert min(losses).item() > 0
    torch.testing.assert_close(
        losses.l_spa,
        l_spa(
            output.hands.projected,
            landmarks,
            confidence,
            present,
            root_weight=0.0,
            reduction="sum",
        ),
    )
    torch.testing.assert_close(losses.l_tem, l_tem(output.joints, present, reduction="sum"))
    torch.testing.assert_close(losses.l_reg, l_reg(output.state.theta, output.state.betas, present))


def test_wrong_shapes_and_names_are_told(batch) -> None:
    with pytest.raises(UsageError, match="frame or sum"):
        l_spa(*batch, reduction="none")
