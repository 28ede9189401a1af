"""The recognisers of whole frames."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from chereme.nn.keypoint_layouts import LAYOUTS, keypoint_layout
from chereme.nn.resnet3d import ResNet3dConfig
from chereme.nn.st_gcn import StGcnConfig
from chereme.systems.hand_aware.baselines import (
    HandKeypointConfig,
    HandKeypointRecognizer,
    KeypointConfig,
    KeypointRecognizer,
    RgbConfig,
    RgbRecognizer,
)

GRAPH = StGcnConfig(channels=(4, 6), strides=(1, 2), kernel=3)


def keypoints(name: str, seed: int = 0) -> KeypointRecognizer:
    torch.manual_seed(seed)
    return KeypointRecognizer(KeypointConfig(classes=3, layout=name, graph=GRAPH))


@pytest.mark.parametrize("name", LAYOUTS)
def test_keypoints_of_every_layout(name) -> None:
    recognizer = keypoints(name).train()
    size = keypoint_layout(name).size
    places, confidence = torch.rand(2, 5, size, 2), torch.rand(2, 5, size)
    logits = recognizer(places, confidence)
    assert logits.shape == (2, 3)
    F.cross_entropy(logits, torch.tensor([0, 2])).backward()
    for parameter_name, parameter in recognizer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.any(), parameter_name


def test_only_the_points_of_the_layout_are_read() -> None:
    layout = keypoint_layout("mediapipe_holistic")
    recognizer = keypoints("mediapipe_holistic").eval()
    places, confidence = torch.rand(1, 4, 543, 2), torch.rand(1, 4, 543) + 0.1
    before = recognizer(places, confidence)
    inner = sorted(set(range(543)) - set(layout.source))
    assert len(inner) == 340
    places[:, :, inner] = torch.nan
    torch.testing.assert_close(recognizer(places, confidence), before)
    places[:, :, layout.source[100]] += 0.1
    assert not torch.allclose(recognizer(places, confidence), before)


@pytest.mark.parametrize("training", [True, False])
def test_what_is_not_seen_changes_nothing(training) -> None:
    one, two = (keypoints("openpose_137").train(training) for _ in range(2))
    places, confidence = torch.rand(2, 5, 137, 2), torch.rand(2, 5, 137) + 0.1
    confidence[0, 1, 4], confidence[1, 2] = 0.0, 0.0
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    before = one(places, confidence, mask)
    places[confidence == 0] = torch.nan
    places = F.pad(places, (0, 0, 0, 0, 0, 3), value=torch.nan)
    longer = F.pad(confidence, (0, 0, 0, 3), value=1.0)
    after = two(places, longer, F.pad(mask, (0, 3)))
    torch.testing.assert_close(before, after)
    nobody = one(places, torch.zeros_like(longer))
    torch.testing.assert_close(nobody, one.classifier.bias.expand(2, 3))


def test_frames() -> None:
    torch.manual_seed(0)
    sizes = ResNet3dConfig(depths=(1, 1), widths=(4, 6))
    recognizer = RgbRecognizer(RgbConfig(classes=3, resnet=sizes)).eval()
    frames = torch.rand(2, 4, 3, 32, 32)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    logits = recognizer(frames, mask)
    frames[1, 2:] = torch.nan
    torch.testing.assert_close(recognizer(frames, mask), logits)
    torch.testing.assert_close(recognizer(frames[1:, :2])[0], logits[1])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    standard = ((frames[:1].movedim(2, -1) - mean) / std).movedim(-1, 2)
    expected = recognizer.classifier(recognizer.resnet(standard))
    torch.testing.assert_close(logits[:1], expected)


# -- detected hands --------------------------------------------------------------------------------
@pytest.mark.parametrize("fusion", ["concatenate", "mean"])
def test_detected_hands_are_read_from_the_wrist_on_and_where_they_were_seen(fusion) -> None:
    torch.manual_seed(0)
    network = HandKeypointRecognizer(HandKeypointConfig(classes=3, graph=GRAPH, fusion=fusion))
    places, confidence = torch.rand(2, 2, 5, 21, 2), torch.rand(2, 2, 5, 21) + 0.1
    present = torch.ones(2, 2, 5, dtype=torch.bool)
    present[0, 1], present[1, :, 3:] = False, False
    confidence[0, 0, 2, 7] = 0
    F.cross_entropy(network(places, confidence, present), torch.tensor([0, 2])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    network.eval()
    logits = network(places, confidence, present)
    moved = places + torch.rand(2, 2, 5, 1, 2)
    torch.testing.assert_close(network(moved, confidence, present), logits)
    hidden = places.clone()
    hidden[0, 1], hidden[1, :, 3:], hidden[0, 0, 2, 7] = torch.nan, torch.nan, torch.nan
    torch.testing.assert_close(network(hidden, confidence, present), logits)
    assert not torch.allclose(network(1.5 * places, confidence, present), logits)
