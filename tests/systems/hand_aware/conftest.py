"""Networks and clips small enough for tests."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from chereme.nn.resnet import ResNetEncoderConfig
from chereme.nn.st_gcn import StGcnConfig
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer

TINY = HandAwareConfig(
    classes=4,
    rgb=ResNetEncoderConfig(depths=(1, 1), widths=(4, 6), image_size=32),
    graph=StGcnConfig(channels=(6, 8), strides=(1, 2), kernel=3),
)


@pytest.fixture
def tiny():
    """A function of changes to the tiny config that makes the recogniser."""

    def make(seed: int = 0, **changes) -> HandAwareRecognizer:
        torch.manual_seed(seed)
        recognizer = HandAwareRecognizer(replace(TINY, **changes))
        # Far enough from the mean hand that crops differ in what is made of them.
        torch.nn.init.normal_(recognizer.encoder.state.weight, std=0.3)
        return recognizer

    return make


@pytest.fixture
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Crops ``(2, 2, 5, 3, 32, 32)`` and which of them exist: gaps, a short clip, a hand unseen."""
    generator = torch.Generator().manual_seed(1)
    crops = torch.rand(2, 2, 5, 3, 32, 32, generator=generator)
    present = torch.ones(2, 2, 5, dtype=torch.bool)
    present[0, 1, 2] = False
    present[1, :, 3:] = False
    return crops, present
