"""How well joints are restored: errors, and figures of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chereme.datasets.pose_clips import Entry, PoseClip
from chereme.systems.signbert.data import collate_poses
from chereme.systems.signbert.decoder import DecoderConfig
from chereme.systems.signbert.encoder import EncoderConfig
from chereme.systems.signbert.gesture import GestureConfig
from chereme.systems.signbert.masking import MaskingConfig
from chereme.systems.signbert.recognizer import SignBertConfig, SignBertPretraining
from chereme.systems.signbert.reconstruction_scores import (
    Reconstructed,
    reconstruct,
    reconstruction_figures,
    reconstruction_scores,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def val_outputs(
    found: list[float], clips: tuple[str, ...], l_rec: float, chosen: int
) -> Reconstructed:
    errors = np.repeat(np.array(found)[:, None], 21, axis=1)
    masked = np.zeros(errors.shape, bool)
    return Reconstructed(
        l_rec, chosen, np.full_like(errors, np.inf), errors, clips, masked, np.ones((len(found), 1))
    )


def restorer(masking: MaskingConfig) -> SignBertPretraining:
    torch.manual_seed(0)
    small = EncoderConfig(
        gesture=GestureConfig(widths=(4, 4)), dim=8, layers=1, heads=2, feed_forward=8
    )
    return SignBertPretraining(SignBertConfig(small, DecoderConfig(kind="fc1"), masking)).eval()


def test_batches_count_by_what_is_in_them() -> None:
    batches = [val_outputs([10.0, 30.0], ("a", "a"), 2.0, 3), val_outputs([50.0], ("b",), 4.0, 1)]
    figures = reconstruction_figures(batches)
    assert figures["l_rec"] == pytest.approx((2 * 3 + 4 * 1) / 4)
    assert figures["pck20"] == pytest.approx(100 / 3)
    assert figures["auc"] == pytest.approx((100 + 50 + 0) / 3)  # 30 is within half the thresholds
    assert figures["input_pck20"] == figures["input_auc"] == 0.0


def test_intervals_are_of_signers() -> None:
    entries = [Entry(name, "", who, "dev", 25.0, 1) for name, who in (("a", "x"), ("b", "x"))]
    batches = [val_outputs([10.0, 30.0], ("a", "b"), 1.0, 1)]
    scores = reconstruction_scores(batches, entries)
    # One signer: every draw is the same. Clips of nobody known are drawn apart.
    assert scores["pck20_interval"] == [50.0, 50.0]
    assert (scores["clips"], scores["tokens"], scores["signers"]) == (2, 2, 1)
    unknown = [Entry(name, "", "", "dev", 25.0, 1) for name in "ab"]
    scores = reconstruction_scores(batches, unknown)
    assert scores["pck20_interval"] == [0.0, 100.0]
    assert scores["signers"] == 0


def test_clips_without_hands_have_no_figures() -> None:
    empty = np.zeros((0, 21))
    none = Reconstructed(0.0, 0, empty, empty, (), empty.astype(bool), empty[:, :1])
    scores = reconstruction_scores([none], [])
    assert scores["pck20"] is scores["masked_pck20"] is None
    assert not [name for name in scores if "interval" in name]


def test_masked_joints_are_scored_apart_too() -> None:
    # Of two hands: two joints masked in the one, one of which the input had 30 pixels off and the
    # other not at all; one joint that nobody saw in the other.
    given, found = np.zeros((2, 21)), np.full((2, 21), 5.0)
    masked = np.zeros((2, 21), bool)
    masked[0, :2] = True
    given[0, :2], found[0, :2] = (30.0, np.inf), (10.0, 35.0)
    given[1, 0] = found[1, 0] = np.nan
    batch = Reconstructed(1.0, 1, given, found, ("a", "b"), masked, np.array([[0.5], [5.0]]))
    entries = [Entry(name, "", name, "dev", 25.0, 1) for name in "ab"]
    scores = reconstruction_scores([batch], entries)
    assert scores["input_pck20"] == pytest.approx(100 * 39 / 41, abs=1e-4)
    assert scores["pck20"] == pytest.approx(100 * 40 / 41, abs=1e-4)
    assert (scores["masked_input_pck20"], scores["masked_pck20"]) == (0.0, 50.0)
    assert (scores["masked_input_auc"], scores["masked_auc"]) == (25.0, 62.5)
    assert scores["masked_pck20_interval"] == [50.0, 50.0]  # the other signer has none
    # In the picture the first hand is half as large, and the other 5 times: errors of 25 pixels.
    assert scores["picture_input_pck20"] == pytest.approx(100 * 40 / 41, abs=1e-4)
    assert scores["picture_pck20"] == pytest.approx(100 * 21 / 41, abs=1e-4)
    unmasked = reconstruction_scores([batch._replace(masked=masked & False)], entries)
    assert unmasked["masked_pck20"] is None
    assert "masked_pck20_interval" not in unmasked
    assert unmasked["pck20"] == scores["pck20"]


def test_masked_joints_are_infinitely_wrong_in_the_input_and_no_others_are() -> None:
    masking = MaskingConfig(operations=("frame",), share=0.5)
    model = restorer(masking)
    joints = np.random.default_rng(0).normal(100, 20, (4, 2, 21, 2)).astype(np.float32)
    confidence = np.ones((4, 2, 21), np.float32)
    confidence[:, 0] = 0  # the left hand is never seen
    batch = collate_poses([(PoseClip(Entry("c", "", "", "", 25.0, 4), joints, confidence), 0)])
    found = reconstruct(model, batch, 0)
    assert found.clips == ("c",) * 4
    assert found.chosen == 2
    assert sorted(found.inputs[:, 0]) == [0, 0, np.inf, np.inf]
    assert np.isfinite(found.found).all()
    np.testing.assert_array_equal(found.masked, np.isinf(found.inputs))
    np.testing.assert_array_equal(found.inputs, reconstruct(model, batch, 0).inputs)
    others = [reconstruct(model, batch, index).inputs for index in range(1, 8)]
    assert any(not np.array_equal(found.inputs, other) for other in others)


def test_errors_in_the_picture_are_of_its_pixels() -> None:
    model = restorer(MaskingConfig(operations=("joint",), share=1.0))
    joints = np.random.default_rng(0).uniform(0, 1, (3, 2, 21, 2)).astype(np.float32)
    joints[:, :, 0], joints[:, :, 1] = 0, 1  # a hand of 1 x 1: 1.25 are the crop's 256 pixels
    joints[:, 1] *= 40  # 50 are
    clip = PoseClip(Entry("c", "", "", "", 25.0, 3), joints, np.ones((3, 2, 21), np.float32))
    found = reconstruct(model, collate_poses([(clip, 0)]), 0)
    assert found.pixel.shape == (6, 1)
    assert sorted(found.pixel.ravel()) == pytest.approx([1.25 / 256] * 3 + [50 / 256] * 3)


def test_disturbed_joints_count_as_masked() -> None:
    masking = MaskingConfig(operations=("joint",), share=1.0, max_joints=3, count="up_to")
    model = restorer(masking)
    joints = np.random.default_rng(0).normal(100, 20, (8, 2, 21, 2)).astype(np.float32)
    confidence = np.ones((8, 2, 21), np.float32)
    confidence[:, 0, 5] = 0
    batch = collate_poses([(PoseClip(Entry("c", "", "", "", 25.0, 8), joints, confidence), 0)])
    found = reconstruct(model, batch, 0)
    count = found.masked.sum(1)
    assert set(count) == {1, 2, 3}
    np.testing.assert_array_equal(found.masked, np.nan_to_num(found.inputs) > 0)
    assert np.isinf(found.inputs[found.masked]).any()
    assert np.isfinite(found.inputs[found.masked]).any()
