"""What is masked, and how often."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from chereme.errors import UsageError
from chereme.metrics import joint_errors, pck, pck_auc
from chereme.systems.signbert.masking import OPERATIONS, Masked, MaskingConfig, mask_tokens
from chereme.systems.signbert.tokens import Tokens, to_pixels, tokenise

from .conftest import MakePoses

JOINT, FRAME, IDENTITY = range(3)
# Table 1 of the paper: PCK at 20 pixels and AUC of the masked input.
TABLE_1 = {
    3: (88.81, 91.02),
    5: (82.26, 85.65),
    7: (76.19, 80.91),
    9: (70.85, 76.63),
    11: (66.29, 72.85),
}
# Table 2, masked joints alone.
TABLE_2_JOINTS = (86.38, 89.02)


def masked(tokens: Tokens, seed: int = 0, **settings: object) -> Masked:
    generator = torch.Generator().manual_seed(seed)
    return mask_tokens(tokens, MaskingConfig(**settings), generator)  # type: ignore[arg-type]


@pytest.fixture
def many(make_poses: MakePoses) -> Tokens:
    return tokenise(make_poses((60,) * 50))  # 6,000 tokens


def test_half_of_the_tokens_and_a_third_of_these_for_each_operation(many: Tokens) -> None:
    out = masked(many)
    assert OPERATIONS == ("joint", "frame", "identity")
    assert torch.equal(out.chosen.flatten(1).sum(1), torch.full((50,), 60))
    assert torch.equal(out.operation >= 0, out.chosen)
    shares = [(out.operation == kind).sum().item() / 3000 for kind in range(3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.035)  # 4 standard deviations
    # Both hands and all frames are chosen alike.
    assert out.chosen.float().mean((0, 1)).tolist() == pytest.approx([0.5, 0.5], abs=0.04)
    assert out.chosen.float().mean((0, 2)).std() < 0.08


def test_each_operation_does_what_it_says(many: Tokens) -> None:
    out = masked(many, max_joints=7, count="up_to")
    same = (out.tokens.joints == many.joints).all(-1) & (out.tokens.seen == many.seen)
    assert bool(same[out.operation == IDENTITY].all())
    assert bool(same[~out.chosen].all())
    assert not bool(out.tokens.seen[out.operation == FRAME].any())
    assert out.tokens.joints[out.operation == FRAME].abs().max() == 0
    assert torch.equal(out.tokens.confidence, many.confidence)

    touched = ~same[out.operation == JOINT]
    counts = torch.bincount(touched.sum(-1), minlength=8)
    assert counts[0] == 0
    assert len(counts) == 8
    share = counts[1:] / counts.sum()  # m is uniform from 1 to M
    assert share.tolist() == pytest.approx([1 / 7] * 7, abs=0.045)
    by_joint = touched.float().mean(0)  # and all joints are alike
    assert by_joint.tolist() == pytest.approx([4 / 21] * 21, abs=0.055)


@pytest.mark.parametrize("per", ["joint", "token"])
def test_masked_joints_are_zero_or_disturbed_by_halves(per: str, many: Tokens) -> None:
    out = masked(
        many,
        operations=("joint",),
        max_joints=5,
        noise="uniform",
        disturbance=0.3,
        zero_or_disturb=per,
    )
    zero = many.seen & ~out.tokens.seen
    shift = (out.tokens.joints - many.joints)[out.tokens.seen]
    moved = (out.tokens.joints != many.joints).all(-1) & out.tokens.seen
    total = zero.sum() + moved.sum()
    assert (zero.sum() / total).item() == pytest.approx(0.5, abs=0.04)
    assert out.tokens.joints[zero].abs().max() == 0
    both = zero.any(-1) & moved.any(-1)
    assert bool(both.any()) == (per == "joint")
    # Uniform in a square: each joint goes its own way.
    shift = (out.tokens.joints - many.joints)[moved]
    assert shift.abs().max() <= 0.3 + 1e-6
    assert shift.std(0).tolist() == pytest.approx([0.3 / 3**0.5] * 2, rel=0.05)
    assert abs(torch.corrcoef(shift.T)[0, 1].item()) < 0.06
    several = (moved.sum(-1) >= 2).nonzero()[0]
    b, t, h = several.tolist()
    ways = (out.tokens.joints - many.joints)[b, t, h][moved[b, t, h]]
    assert not ways[0].allclose(ways[1], atol=1e-4)


def scores(tokens: Tokens, **settings: object) -> tuple[float, float]:
    """PCK at 20 pixels and AUC of the input of a masking."""
    out = masked(tokens, **settings)
    found = to_pixels(out.tokens.joints).masked_fill(~out.tokens.seen[..., None], math.nan)
    errors = joint_errors(
        found.flatten(0, 2).numpy(), to_pixels(tokens.joints).flatten(0, 2).numpy()
    )
    return pck(errors), pck_auc(errors)


def right_by_hand(most: int, within: float) -> float:
    """Of M draws from 21 joints with replacement half are zero and the others moved; of these the
    share ``within`` stays near enough."""
    return 100 - 100 * (1 - (20 / 21) ** most) * (1 - within / 2)


@pytest.mark.parametrize("most", TABLE_1)
def test_the_inputs_of_table_1(most: int, many: Tokens) -> None:
    settings: dict[str, object] = {"share": 1.0, "operations": ("joint",), "max_joints": most}
    found = scores(many, **settings)
    assert found == pytest.approx(TABLE_1[most], abs=0.95)
    # The length of a normal shift of 20 pixels' deviation has the distribution of Rayleigh.
    shares = 1 - np.exp(-(np.linspace(1, 2, 2001) ** 2) / 2)
    by_hand = right_by_hand(most, shares[0]), right_by_hand(most, shares.mean())
    assert found == pytest.approx(by_hand, abs=0.4)
    # A uniform shift up to 30 pixels: the circle of 20 pixels in a square of 60.
    uniform = scores(many, **settings, noise="uniform", disturbance=30 / 128)
    assert uniform == pytest.approx(TABLE_1[most], abs=1.2)
    assert uniform[0] == pytest.approx(right_by_hand(most, math.pi * 400 / 3600), abs=0.4)
    # As many as the text says are too few.
    assert scores(many, **settings, count="up_to")[0] > TABLE_1[most][0] + 2.5


def test_the_input_of_table_2_with_masked_joints_alone(many: Tokens) -> None:
    found = scores(many, operations=("joint",), max_joints=8)
    assert found == pytest.approx(TABLE_2_JOINTS, abs=0.95)
    assert found[0] == pytest.approx(50 + right_by_hand(8, 1 - math.exp(-0.5)) / 2, abs=0.3)


def test_m_joints_are_drawn_with_replacement_from_the_seen_ones(make_poses: MakePoses) -> None:
    poses = make_poses((60,) * 20)
    confidence = poses.confidence.clone()
    confidence[..., 4:] = 0  # 4 joints are seen
    tokens = tokenise(poses._replace(confidence=confidence))
    out = masked(tokens, share=1.0, operations=("joint",), max_joints=3)
    touched = (out.tokens.joints != tokens.joints).any(-1) | (out.tokens.seen != tokens.seen)
    assert not bool(touched[..., 4:].any())
    met = touched[..., :4].flatten(0, 2)
    # All three draws alike: 1 / 16; all different: 3/4 x 2/4 = 6 / 16.
    shares = torch.bincount(met.sum(-1), minlength=5) / len(met)
    assert shares.tolist() == pytest.approx([0, 1 / 16, 9 / 16, 6 / 16, 0], abs=0.045)
    assert met.float().mean(0).tolist() == pytest.approx([37 / 64] * 4, abs=0.045)


def test_hands_that_were_not_seen_are_never_chosen(make_poses: MakePoses) -> None:
    poses = make_poses((6, 4))
    confidence = poses.confidence.clone()
    confidence[0, :, 0] = 0
    confidence[..., 10] = 0
    tokens = tokenise(poses._replace(confidence=confidence))
    for seed in range(20):
        out = masked(tokens, seed, max_joints=21, operations=("joint",), count="up_to")
        assert not bool((out.chosen & ~tokens.present).any())
        assert out.chosen.flatten(1).sum(1).tolist() == [3, 4]  # of 6 and of 8
        assert not bool(out.tokens.seen[..., 10].any())
        assert out.tokens.joints[..., 10, :].abs().max() == 0


def test_a_clip_of_one_frame_and_one_without_hands(make_poses: MakePoses) -> None:
    tokens = tokenise(make_poses((1,), hands=1))
    assert bool(masked(tokens).chosen.all())
    none = make_poses((3,))
    none = none._replace(confidence=torch.zeros_like(none.confidence))
    assert not bool(masked(tokenise(none)).chosen.any())


def test_padding_is_not_chosen_and_the_generator_alone_decides(make_poses: MakePoses) -> None:
    tokens = tokenise(make_poses((6, 2)))
    first, second = masked(tokens, 3), masked(tokens, 3)
    assert not bool(first.chosen[1, 2:].any())
    assert torch.equal(first.tokens.joints, second.tokens.joints)
    state = torch.get_rng_state()
    assert not torch.equal(masked(tokens, 4).chosen, first.chosen)
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_that_make_no_sense_are_refused() -> None:
    for settings, message in (
        ({"share": 0.0}, "share: expected more than 0"),
        ({"operations": ()}, "operations: expected some of joint, frame, identity"),
        ({"operations": ("joint", "hand")}, "operations"),
        ({"max_joints": 22}, r"max_joints: expected 1\.\.21, got 22"),
        ({"zero_or_disturb": "clip"}, "zero_or_disturb: expected joint or token, got 'clip'"),
        ({"count": "most"}, "count: expected draws or up_to"),
        ({"noise": "square"}, "noise: expected normal or uniform"),
    ):
        with pytest.raises(UsageError, match=message):
            MaskingConfig(**settings)  # type: ignore[arg-type]
