"""How well joints are restored: errors, and figures of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chereme.data.pose_clips import Entry, PoseClip
from chereme.models.signbert import (
    DecoderConfig,
    EncoderConfig,
    GestureConfig,
    MaskingConfig,
    SignBertConfig,
    SignBertPretraining,
)
from chereme.training.pose_data import collate_poses
from chereme.training.reconstruction import (
    Reconstructed,
    reconstruct,
    reconstruction_figures,
    reconstruction_scores,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def heard(found: list[float], clips: tuple[str, ...], l_rec: float, chosen: int) -> Reconstructed:
    errors = np.repeat(np.array(found)[:, None], 21, axis=1)
    return Reconstructed(l_rec, chosen, np.full_like(errors, np.inf), errors, clips)


def test_batches_count_by_what_is_in_them() -> None:
    batches = [heard([10.0, 30.0], ("a", "a"), 2.0, 3), heard([50.0], ("b",), 4.0, 1)]
    figures = reconstruction_figures(batches)
    assert figures["l_rec"] == pytest.approx((2 * 3 + 4 * 1) / 4)
    assert figures["pck20"] == pytest.approx(100 / 3)
    assert figures["auc"] == pytest.approx((100 + 50 + 0) / 3)  # 30 is within half the thresholds
    assert figures["input_pck20"] == figures["input_auc"] == 0.0


def test_intervals_are_of_signers() -> None:
    entries = [Entry(name, "", who, "dev", 25.0, 1) for name, who in (("a", "x"), ("b", "x"))]
    batches = [heard([10.0, 30.0], ("a", "b"), 1.0, 1)]
    scores = reconstruction_scores(batches, entries)
    # One signer: every draw is the same. Clips of nobody known are drawn apart.
    assert scores["pck20_interval"] == [50.0, 50.0]
    assert (scores["clips"], scores["tokens"], scores["signers"]) == (2, 2, 1)
    unknown = [Entry(name, "", "", "dev", 25.0, 1) for name in "ab"]
    scores = reconstruction_scores(batches, unknown)
    assert scores["pck20_interval"] == [0.0, 100.0]
    assert scores["signers"] == 0


def test_clips_without_hands_have_no_figures() -> None:
    none = Reconstructed(0.0, 0, np.zeros((0, 21)), np.zeros((0, 21)), ())
    scores = reconstruction_scores([none], [])
    assert scores["pck20"] is None
    assert "pck20_interval" not in scores


def test_masked_joints_are_infinitely_wrong_in_the_input_and_no_others_are() -> None:
    torch.manual_seed(0)
    small = EncoderConfig(
        gesture=GestureConfig(widths=(4, 4)), dim=8, layers=1, heads=2, feed_forward=8
    )
    masking = MaskingConfig(operations=("frame",), share=0.5)
    model = SignBertPretraining(SignBertConfig(small, DecoderConfig(kind="fc1"), masking)).eval()
    joints = np.random.default_rng(0).normal(100, 20, (4, 2, 21, 2)).astype(np.float32)
    confidence = np.ones((4, 2, 21), np.float32)
    confidence[:, 0] = 0  # the left hand is never seen
    batch = collate_poses([(PoseClip(Entry("c", "", "", "", 25.0, 4), joints, confidence), 0)])
    found = reconstruct(model, batch, 0)
    assert found.clips == ("c",) * 4
    assert found.chosen == 2
    assert sorted(found.given[:, 0]) == [0, 0, np.inf, np.inf]
    assert np.isfinite(found.found).all()
    np.testing.assert_array_equal(found.given, reconstruct(model, batch, 0).given)
    others = [reconstruct(model, batch, index).given for index in range(1, 8)]
    assert any(not np.array_equal(found.given, other) for other in others)
