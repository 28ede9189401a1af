"""The whole network: what it reads, what it leaves out, what it learns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import parsed
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.formats.strict import read_as
from chereme.nn.st_gcn import StGcnConfig
from chereme.systems.hand_aware.encoder import HandState
from chereme.systems.hand_aware.losses import hand_aware_losses
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer
from chereme.training.optimiser import PlateauConfig
from fake_hands import random_template

VARIANTS = [("camera", "concatenate"), ("hand", "mean")]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("frame", "fusion"), VARIANTS)
def test_padding_and_absent_hands_change_nothing(tiny, clips, training, frame, fusion) -> None:
    crops, present = clips
    one, two = (tiny(frame=frame, fusion=fusion).train(training) for _ in range(2))
    out = one(crops, present)
    longer = torch.full((2, 2, 8, 3, 32, 32), torch.nan)
    longer[:, :, :5] = crops.where(present[..., None, None, None], torch.inf)
    padded = two(longer, F.pad(present, (0, 3)))
    torch.testing.assert_close(out.logits, padded.logits)
    torch.testing.assert_close(out.joints, padded.joints[:, :, :5])
    for (name, first), second in zip(one.named_buffers(), two.buffers(), strict=True):
        torch.testing.assert_close(first, second, msg=name)
    if not training:  # nor does the rest of the batch
        torch.testing.assert_close(one(crops[1:, :, :3]).logits, out.logits[1:])


@pytest.mark.parametrize(("frame", "fusion"), VARIANTS)
def test_a_gradient_reaches_every_parameter(tiny, clips, frame, fusion) -> None:
    recognizer = tiny(frame=frame, fusion=fusion).train()
    output = recognizer(*clips)
    losses = hand_aware_losses(
        output, torch.tensor([1, 2]), torch.randn(2, 2, 5, 21, 2), torch.ones(2, 2, 5, 21)
    )
    losses.total.backward()
    for name, parameter in recognizer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    # Each number of the state too: theta, betas, c_r, c_o, c_s.
    assert recognizer.encoder.state.weight.grad.any(1).all()


def test_joints_given_on_are_those_of_the_hand_model(tiny, clips) -> None:
    crops, present = clips
    for frame, name in (("camera", "turned"), ("hand", "joints")):
        out = tiny(frame=frame).eval()(crops, present)
        joints = getattr(out.hands, name)
        torch.testing.assert_close(out.joints, 10 * (joints - joints[..., :1, :]))
        assert out.logits.shape == (2, 4)
        assert out.hands.vertices.shape[:3] == (2, 2, 5)


def test_orientation_alone_is_seen_in_the_camera_frame_only(tiny) -> None:
    joints = torch.randn(1, 2, 4, 21, 3)
    present = torch.ones(1, 2, 4, dtype=torch.bool)
    recognizer = tiny().eval()
    turned = joints * torch.tensor([-1.0, -1.0, 1.0])  # by half a turn
    assert not torch.allclose(
        recognizer.classify(joints, present), recognizer.classify(turned, present)
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fusion", ["concatenate", "mean"])
def test_missing_hands(tiny, clips, training, fusion) -> None:
    crops, _ = clips
    crops = crops.clone()
    for absent in ([(0, 0)], [(0, 0), (0, 1)], [(0, 0), (0, 1), (1, 0), (1, 1)]):
        recognizer = tiny(fusion=fusion).train(training)
        present = torch.ones(2, 2, 5, dtype=torch.bool)
        for index in absent:
            present[index] = False
        crops[~present] = torch.nan
        output = recognizer(crops, present)
        landmarks = torch.full((2, 2, 5, 21, 2), torch.nan).where(~present[..., None, None], 0.0)
        losses = hand_aware_losses(
            output, torch.tensor([0, 1]), landmarks, present[..., None].expand(2, 2, 5, 21).float()
        )
        assert all(loss.isfinite() for loss in losses)
        losses.total.backward()
        for name, parameter in recognizer.named_parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), name
        if len(absent) == 2:  # nothing seen: what the classifier says of no evidence
            torch.testing.assert_close(output.logits[0], recognizer.classifier.bias)
        for name, buffer in recognizer.named_buffers():
            assert buffer.isfinite().all(), name


def test_mean_fusion_counts_the_hands_that_are_seen(tiny, clips) -> None:
    crops, _ = clips
    recognizer = tiny(fusion="mean").eval()
    present = torch.ones(2, 2, 5, dtype=torch.bool)
    both = recognizer(torch.cat([crops[:, :1]] * 2, 1), present).logits
    present[:, 1] = False
    torch.testing.assert_close(recognizer(crops, present).logits, both)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("hands", [1, 2])
def test_clips_of_one_frame(tiny, training, hands) -> None:
    recognizer = tiny().train(training)
    present = torch.tensor([[[True], [hands == 2]]])
    output = recognizer(torch.rand(1, 2, 1, 3, 32, 32), present)
    losses = hand_aware_losses(
        output, torch.tensor([0]), torch.rand(1, 2, 1, 21, 2), torch.ones(1, 2, 1, 21)
    )
    assert losses.l_tem.item() == 0
    assert all(loss.isfinite() for loss in losses)
    losses.total.backward()


def test_it_learns_two_signs(tiny) -> None:
    torch.manual_seed(0)
    recognizer = tiny().train()
    crops = torch.rand(4, 2, 3, 3, 32, 32)
    crops[:2] *= torch.linspace(0, 1, 32)  # dark to the left
    classes = torch.tensor([0, 0, 1, 1])
    landmarks, confidence = torch.zeros(4, 2, 3, 21, 2), torch.zeros(4, 2, 3, 21)
    optimizer, _ = PlateauConfig(learning_rate=0.02).build(recognizer.parameters())
    seen = []
    for _ in range(25):
        losses = hand_aware_losses(recognizer(crops), classes, landmarks, confidence)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        seen.append(losses.l_cla.item())
    assert seen[-1] < 0.5 * seen[0]


# -- settings -------------------------------------------------------------------------------------
def test_configs_survive_being_written() -> None:
    config = HandAwareConfig(frame="hand", graph=StGcnConfig(normalisation="printed"))
    assert read_as(HandAwareConfig, asdict(config)) == config


def test_the_papers_rate_falls_when_the_loss_does_not() -> None:
    optimizer, schedule = PlateauConfig().build([torch.nn.Parameter(torch.zeros(1))])
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (5e-3, 0.9, 1e-4)
    for _ in range(7):
        schedule.step(1.0)  # a loss that does not fall
    assert group["lr"] == pytest.approx(5e-4)


def test_the_overlay_has_mano_and_the_fingertips_of_the_paper(tmp_path: Path) -> None:
    random_template(pose_mean=np.zeros(45)).save(tmp_path / "mano.safetensors")
    option = f"--model.init_args.config.template={tmp_path / 'mano.safetensors'}"
    files = ("hand_aware/paper.yaml", "hand_aware/mano.yaml")
    decoder = parsed(*files, options=(option,)).model.model.decoder
    still = HandState(
        *(torch.zeros(1, n) for n in (6, 10)), torch.eye(3)[None], *torch.zeros(2, 1, 2)
    )
    hand = decoder(still._replace(scale=torch.ones(1)))
    tips = hand.vertices[0, [734, 333, 443, 555, 678]]
    torch.testing.assert_close(hand.joints[0, [4, 8, 12, 16, 20]], tips)


def test_st_gcn_trains_as_its_paper_says() -> None:
    task = parsed("hand_aware/paper.yaml", "hand_aware/table_2/keypoints.yaml").model
    assert task.plateau is None
    made = task.optimiser.build([torch.nn.Parameter(torch.zeros(1))], 1)
    group = made["optimizer"].param_groups[0]
    values = [group[key] for key in ("lr", "momentum", "nesterov", "weight_decay")]
    assert values == [0.01, 0.9, True, 1e-4]
    schedule, rates = made["lr_scheduler"]["scheduler"], []
    for _ in range(21):
        rates.append(group["lr"])
        made["optimizer"].step()
        schedule.step()
    assert [rates[n] for n in (9, 10, 20)] == pytest.approx([0.01, 0.001, 0.0001])


def test_wrong_input_is_told() -> None:
    with pytest.raises(UsageError, match="concatenate or mean"):
        HandAwareRecognizer(HandAwareConfig(fusion="sum"))
