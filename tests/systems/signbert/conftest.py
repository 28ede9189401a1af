"""Clips of hand poses, and a SignBERT small enough for tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from chereme.systems.signbert.decoder import DecoderConfig
from chereme.systems.signbert.encoder import EncoderConfig
from chereme.systems.signbert.gesture import GestureConfig
from chereme.systems.signbert.recognizer import HeadConfig, SignBertConfig
from chereme.systems.signbert.tokens import HandPoses

MakePoses = Callable[..., HandPoses]


@pytest.fixture
def make_poses() -> MakePoses:
    """``lengths`` of clips -> poses in pixels, all joints seen with confidences 0.3 to 1."""

    def make(lengths: tuple[int, ...], hands: int = 2, seed: int = 0) -> HandPoses:
        generator = torch.Generator().manual_seed(seed)
        clips, frames = len(lengths), max(lengths)
        joints = 300 + 80 * torch.randn(clips, frames, hands, 21, 2, generator=generator)
        confidence = 0.3 + 0.7 * torch.rand(clips, frames, hands, 21, generator=generator)
        right = (torch.arange(hands) % 2 == 1).expand(clips, hands)
        mask = torch.arange(frames)[None] < torch.tensor(lengths)[:, None]
        return HandPoses(joints, confidence, right, mask)

    return make


@pytest.fixture
def small() -> SignBertConfig:
    return SignBertConfig(
        encoder=EncoderConfig(
            gesture=GestureConfig(widths=(6, 8)),
            dim=16,
            layers=2,
            heads=2,
            feed_forward=24,
            dropout=0.0,
        ),
        decoder=DecoderConfig(hidden=12),
        head=HeadConfig(classes=7, dropout=0.0),
    )
