"""Named recognisers, the training of Table 2, and what to leave out to see its worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chereme.errors import UsageError
from chereme.systems.signx.context import ContextConfig
from chereme.systems.signx.decoder import DecoderConfig
from chereme.systems.signx.diffusion import DiffusionConfig
from chereme.systems.signx.losses import LossConfig, Schedule
from chereme.systems.signx.pose2gloss import Pose2GlossConfig
from chereme.systems.signx.tracks import TracksConfig

PRESETS: Mapping[str, Pose2GlossConfig] = {
    # What the paper states, and our choices where it is silent.
    "paper": Pose2GlossConfig(),
    # For a laptop: the same parts, and layers that see the whole sentence before the latent.
    "small": Pose2GlossConfig(
        tracks=TracksConfig(hidden=192, heads=4, latent=384, drop_track=0.2),
        context=ContextConfig(kind="transformer", layers=3, heads=4),
        diffusion=DiffusionConfig(dim=192, halvings=1, heads=4),
        decoder=DecoderConfig(dim=192, layers=2, heads=4),
        loss=LossConfig(ctc_weight=1.0),
        ctc=True,
        embedding=128,
    ),
    # RWTH-BOSTON-104 as tracks of both hands and the nose: 161 sentences, 112 glosses.
    "boston104": Pose2GlossConfig(
        tracks=TracksConfig(
            widths={"boston104": 6},
            hidden=96,
            heads=1,
            dropout=0.2,
            latent=128,
            origins={"boston104": 2},
            motion=(1, 2),
        ),
        context=ContextConfig(kind="gru", layers=2, dropout=0.3),
        diffusion=DiffusionConfig(start=20, steps=1, dim=64, halvings=1, heads=4, dropout=0.0),
        decoder=DecoderConfig(
            vocabulary=116, dim=96, layers=1, heads=4, dropout=0.2, max_length=16
        ),
        loss=LossConfig(
            teacher_forcing=Schedule(1.0, 0.5),
            fed_at_once=True,
            contrast_weight=0.1,
            ctc_weight=3.0,
        ),
        ctc=True,
        embedding=64,
    ),
}


def preset(name: str) -> Pose2GlossConfig:
    """The recogniser of that name; UsageError with the names there are."""
    if name not in PRESETS:
        raise UsageError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


@dataclass(frozen=True)
class TrainingTable:
    """A column of Table 2, for AdamW.

    ``warm_up``: share of all steps. ``floor``: the least rate, as a share of ``learning_rate``,
    where the cosine ends. ``accumulation``: batches a step; Table 2 prints 0 for stage II, which is
    1 here.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    floor: float = 0.05
    warm_up: float = 0.1
    epochs: int = 500
    batch_size: int = 32
    accumulation: int = 4
    clip: float = 7.0


# Choice: of "2%-10% of total steps" the longest warm-up, of "500-1000" epochs the fewest.
STAGE_1 = TrainingTable()
STAGE_2 = TrainingTable(floor=0.01, epochs=300, accumulation=1, clip=1.0)


def ablations(base: Pose2GlossConfig) -> dict[str, Pose2GlossConfig]:
    """``base``, and it without each of its parts, by name."""

    def loss(**changes: float) -> Pose2GlossConfig:
        return replace(base, loss=replace(base.loss, **changes))  # type: ignore[arg-type]

    rows = {
        "whole": base,
        "no_diffusion": replace(base, diffusion=replace(base.diffusion, enabled=False)),
        "no_noise": replace(base, loss=replace(base.loss, noise_weight=Schedule(0.0, 0.0))),
        "no_word": loss(word_weight=0.0),
        "no_contrast": loss(contrast_weight=0.0),
        "no_ngram": loss(ngram_weight=0.0),
        "no_smoothing": loss(label_smoothing=0.0),
        "learnable": replace(base, loss=replace(base.loss, learnable=True)),
    }
    if base.ctc:
        rows["no_ctc"] = replace(loss(ctc_weight=0.0), ctc=False)
        rows["ctc_only"] = replace(
            base,
            diffusion=replace(base.diffusion, enabled=False),
            loss=replace(
                base.loss,
                teacher_forcing=Schedule(1.0, 1.0),  # what the decoder says trains nothing
                text_weight=0.0,
                word_weight=0.0,
                contrast_weight=0.0,
                ngram_weight=0.0,
            ),
        )
    return rows
