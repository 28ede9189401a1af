"""Batches of pose tracks, and a SignX small enough for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from chereme.systems.signx.context import ContextConfig
from chereme.systems.signx.decoder import DecoderConfig
from chereme.systems.signx.diffusion import DiffusionConfig
from chereme.systems.signx.losses import LossConfig
from chereme.systems.signx.pose2gloss import Pose2GlossConfig
from chereme.systems.signx.tracks import TracksConfig

torch.set_num_threads(1)


class Batch(NamedTuple):
    """What Pose2Gloss takes."""

    tracks: dict[str, Tensor]
    present: dict[str, Tensor]
    lengths: Tensor
    glosses: Tensor


MakeBatch = Callable[..., Batch]
WIDTHS = {"hands": 4, "face": 3, "depth": 5}


@pytest.fixture
def make_batch() -> MakeBatch:
    """``lengths`` of clips -> tracks with gaps: not every track is there in every frame."""

    def make(lengths: tuple[int, ...] = (6, 4), seed: int = 0) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        clips, frames = len(lengths), max(lengths)
        tracks, present = {}, {}
        for name, width in WIDTHS.items():
            tracks[name] = torch.randn(clips, frames, width, generator=generator)
            present[name] = torch.rand(clips, frames, generator=generator) < 0.7
            present[name][:, 0] = True
        for there in present.values():  # a frame without any track
            there[:, min(lengths) - 1] = False
        glosses = torch.zeros(clips, 3, dtype=torch.long)
        for row in range(clips):
            said = 3 - row % 2
            glosses[row, :said] = torch.randint(4, 9, (said,), generator=generator)
        return Batch(tracks, present, torch.tensor(lengths), glosses)

    return make


@pytest.fixture
def small() -> Pose2GlossConfig:
    return Pose2GlossConfig(
        tracks=TracksConfig(widths=dict(WIDTHS), hidden=16, heads=2, dropout=0.0, latent=24),
        context=ContextConfig(kind="transformer", layers=1, heads=2, dropout=0.0),
        diffusion=DiffusionConfig(dim=16, halvings=1, heads=2, dropout=0.0),
        decoder=DecoderConfig(vocabulary=9, dim=16, layers=1, heads=2, dropout=0.0, max_length=8),
        loss=LossConfig(ctc_weight=1.0),
        ctc=True,
        embedding=8,
    )
