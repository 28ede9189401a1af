"""Stage I as a whole: padding, gradients, learning, reading, export."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from recipes import parsed
from torch import nn
from torch.nn import functional as F

from chereme.decoding.generation import GenerationConfig
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.strict import read_as
from chereme.formats.tracks import NO_GLOSS
from chereme.systems.signx.diffusion import DiffusionConfig
from chereme.systems.signx.losses import UNKNOWN, LossConfig, Schedule
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig

from .conftest import Batch, MakeBatch


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def padded(batch: Batch, frames: int, glosses: int) -> Batch:
    """With that many frames more, full of rubbish, and glosses of padding."""
    return Batch(
        {k: F.pad(v, (0, 0, 0, frames), value=torch.nan) for k, v in batch.tracks.items()},
        {k: F.pad(v, (0, frames), value=True) for k, v in batch.present.items()},
        batch.lengths,
        F.pad(batch.glosses, (0, glosses)),
    )


def build(config: Pose2GlossConfig) -> Pose2Gloss:
    torch.manual_seed(0)
    return Pose2Gloss(config)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("kind", ["none", "gru", "transformer"])
def test_padding_changes_nothing(
    kind: str, enabled: bool, small: Pose2GlossConfig, make_batch: MakeBatch
) -> None:
    config = replace(
        small,
        context=replace(small.context, kind=kind),  # type: ignore[arg-type]
        diffusion=replace(small.diffusion, enabled=enabled),
    )
    model, batch = build(config).eval(), make_batch()
    more = padded(batch, 5, 2)
    (wanted, mask), (found, _) = model.latent(*batch[:3]), model.latent(*more[:3])
    assert found[:, :6].allclose(wanted, atol=1e-5)
    assert found[:, 6:].abs().max() == 0
    assert wanted[~mask].abs().max() == 0
    outputs = [model(*given) for given in (batch, more)]
    assert outputs[1].logits[:, :4].allclose(outputs[0].logits, atol=1e-4)
    # Noise is drawn for padding too: l_noise is compared for what was drawn for the frames.
    values = [model.losses(out._replace(noised=None), 0.5) for out in outputs]
    for name, a, b in zip(values[0]._fields, *values, strict=True):
        assert a.item() == pytest.approx(b.item(), abs=1e-4), name
    read = [model.generate(*given[:3], GenerationConfig(max_length=4)) for given in (batch, more)]
    np.testing.assert_array_equal(read[0].glosses, read[1].glosses)
    np.testing.assert_allclose(read[0].scores, read[1].scores, atol=1e-4)


def test_a_batch_gives_what_each_clip_gives_alone(
    small: Pose2GlossConfig, make_batch: MakeBatch
) -> None:
    model, batch = build(small).eval(), make_batch((6, 4, 9))
    together = model.latent(*batch[:3])[0]
    for row, frames in enumerate((6, 4, 9)):
        alone = model.latent(
            {k: v[row : row + 1, :frames] for k, v in batch.tracks.items()},
            {k: v[row : row + 1, :frames] for k, v in batch.present.items()},
        )[0]
        assert together[row, :frames].allclose(alone[0], atol=1e-5)


def test_a_subset_of_tracks_and_clips_of_nothing(
    small: Pose2GlossConfig, make_batch: MakeBatch
) -> None:
    model, batch = build(small), make_batch()
    alone = {"face": batch.tracks["face"]}
    nothing = {k: torch.zeros_like(v) for k, v in batch.present.items()}
    for tracks, present, lengths in (
        (alone, batch.present, batch.lengths),
        (batch.tracks, nothing, batch.lengths),
        (batch.tracks, batch.present, torch.tensor([6, 0])),
    ):
        losses = model.losses(model(tracks, present, lengths, batch.glosses), 0.0)
        losses.total.backward()
        assert bool(losses.total.isfinite())
        assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_a_gradient_reaches_every_parameter(
    kind: str, enabled: bool, learnable: bool, small: Pose2GlossConfig, make_batch: MakeBatch
) -> None:
    config = replace(
        small,
        context=replace(small.context, kind=kind),  # type: ignore[arg-type]
        diffusion=replace(small.diffusion, enabled=enabled),
        loss=replace(small.loss, learnable=learnable),
    )
    model = build(config)
    out = model(*make_batch(), teacher_forcing=0.5, generator=seeded())
    model.losses(out, 0.0).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-9, name


def test_the_total_is_equation_12(small: Pose2GlossConfig, make_batch: MakeBatch) -> None:
    model = build(small)
    out = model(*make_batch(), generator=seeded())
    losses = model.losses(out, 0.25)
    assert losses.l_time == 0  # no times are given
    assert all(value.item() > 0 for value in losses[:-1])
    wanted = 0.75 * losses.l_noise + losses.l_text + losses.l_word + losses.l_contrast
    wanted = wanted + 0.6 * losses.l_ngram + losses.l_ctc
    assert losses.total.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert model.teacher_forcing(0.5) == 0.25
    # What has no weight is not computed.
    off = dict.fromkeys(("word_weight", "contrast_weight", "ngram_weight", "ctc_weight"), 0.0)
    model.config = replace(small, loss=replace(small.loss, **off))  # type: ignore[arg-type]
    found = model.losses(out, 1.0)
    assert found.total.item() == losses.l_text.item()
    assert [v.item() for v in found[3:]] == [0.0] * 5


def test_the_ctc_head_is_taught_when_glosses_are_signed(
    small: Pose2GlossConfig, make_batch: MakeBatch
) -> None:
    timed = replace(small, loss=replace(small.loss, time_weight=2.0))
    model, batch = build(timed), make_batch()
    out = model(*batch, generator=seeded())
    shown = torch.full(out.mask.shape, UNKNOWN)
    without = model.losses(out, 0.25, shown)
    assert without.l_time == 0
    shown[:, :2] = 0
    shown[:, 2] = NO_GLOSS
    losses = model.losses(out, 0.25, shown)
    assert losses.l_time > 0
    assert losses.total.item() == pytest.approx((without.total + 2 * losses.l_time).item())


def test_the_switch_of_diffusion(small: Pose2GlossConfig, make_batch: MakeBatch) -> None:
    batch = make_batch()
    off = build(replace(small, diffusion=DiffusionConfig(enabled=False))).eval()
    assert off.diffusion is None
    assert off.latent(*batch[:3])[0].equal(off.encode(*batch[:3])[0])
    assert off(*batch).noised is None
    on = build(small).eval()
    assert not on.latent(*batch[:3])[0].allclose(on.encode(*batch[:3])[0], atol=1e-3)
    start = build(replace(small, diffusion=replace(small.diffusion, start=0))).eval()
    assert start.latent(*batch[:3])[0].equal(start.encode(*batch[:3])[0])


def test_training_is_repeated_with_the_same_seed(
    small: Pose2GlossConfig, make_batch: MakeBatch
) -> None:
    model, batch = build(small), make_batch()
    values = [
        model.losses(model(*batch, teacher_forcing=0.5, generator=seeded(s)), 0.0).total.item()
        for s in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def learn(model: Pose2Gloss, batch: Batch, steps: int) -> list[float]:
    optimizer, draw = torch.optim.AdamW(model.parameters(), lr=5e-3), seeded()
    values = []
    for step in range(steps):
        progress = step / steps
        out = model(*batch, teacher_forcing=model.teacher_forcing(progress), generator=draw)
        losses = model.losses(out, progress)
        optimizer.zero_grad()
        losses.total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 7.0)
        optimizer.step()
        values.append(losses.total.item())
    model.eval()
    return values


@pytest.mark.parametrize("enabled", [True, False])
def test_sentences_are_learnt_by_heart(enabled: bool, small: Pose2GlossConfig) -> None:
    """Each gloss is a pattern held for some frames, in tracks with gaps."""
    sentences = [[4, 5, 6], [6, 5], [7, 4, 8, 5], [8]]
    patterns = torch.randn(9, 4, generator=seeded())
    held = [[i for gloss in s for i in (gloss, gloss, gloss, 0)] for s in sentences]
    lengths = torch.tensor([len(h) for h in held])
    frames = torch.tensor([h + [0] * (16 - len(h)) for h in held])
    present = {"hands": torch.rand(4, 16, generator=seeded(1)) < 0.9}
    glosses = torch.tensor([s + [0] * (4 - len(s)) for s in sentences])
    batch = Batch({"hands": patterns[frames]}, present, lengths, glosses)
    model = build(replace(small, diffusion=replace(small.diffusion, enabled=enabled)))
    values = learn(model, batch, 120)
    assert sum(values[-5:]) / 5 < 0.5 * values[0]
    for method in ("beam", "greedy"):
        config = GenerationConfig(method=method, repetition_penalty=1.0)  # type: ignore[arg-type]
        found = model.generate(*batch[:3], config)
        read = [
            row[0, : int(n[0])].tolist()
            for row, n in zip(found.glosses, found.lengths, strict=True)
        ]
        assert read == sentences
    log_probs = model.ctc_log_probs(*batch[:3])
    assert log_probs.exp().sum(-1).allclose(torch.ones(4, 16), atol=1e-4)
    for row, n, wanted in zip(log_probs.argmax(-1), lengths, sentences, strict=True):
        assert [i for i in row[:n].unique_consecutive().tolist() if i] == wanted


def test_what_does_not_fit_is_refused(small: Pose2GlossConfig, make_batch: MakeBatch) -> None:
    model, batch = build(small), make_batch()
    with pytest.raises(InputError, match=r"lengths: expected \(2,\), got \(3,\)"):
        model(*batch[:2], torch.tensor([1, 2, 3]), batch.glosses)
    with pytest.raises(InputError, match="glosses: expected at most 8"):
        model(*batch[:3], torch.full((2, 9), 4))
    without = replace(small, ctc=False, loss=LossConfig())
    with pytest.raises(UsageError, match="this model has no CTC head"):
        build(without).ctc_log_probs(*batch[:3])
    with pytest.raises(UsageError, match="ctc_weight: expected 0"):
        Pose2Gloss(replace(without, loss=small.loss))


def test_a_config_survives_json(small: Pose2GlossConfig) -> None:
    config = replace(small, loss=LossConfig(noise_weight=Schedule(1.0, 0.2, "cosine")), ctc=False)
    text = json.dumps(dataclasses.asdict(config))
    assert read_as(Pose2GlossConfig, json.loads(text)) == config
    with pytest.raises(BundleError, match="depth"):
        read_as(Pose2GlossConfig, {"decoder": {"depth": 3}})


def test_the_papers_sizes_are_the_defaults() -> None:
    paper = Pose2GlossConfig()
    assert paper.tracks.latent == 2048
    assert sum(paper.tracks.widths.values()) == 1959


@pytest.mark.parametrize("rows", [(), ("whole",), ("whole", "learnable"), ("whole", "no_ctc")])
def test_rows_of_boston104_learn_from_their_losses_alone(rows: tuple[str, ...]) -> None:
    files = ("boston104", *(f"rows/{row}" for row in rows))
    model = parsed(*(f"signx/{file}.yaml" for file in files)).model.model
    tracks = {"boston104": torch.randn(2, 7, 6)}
    present = {"boston104": torch.ones(2, 7, dtype=torch.bool)}
    out = model(tracks, present, torch.tensor([7, 5]), torch.tensor([[4, 9], [7, 0]]))
    losses = model.losses(out, 0.0)
    assert bool(losses.total.isfinite())
    assert (losses.l_ctc.item() == 0) == ("no_ctc" in rows)
    only = model.config.loss.ctc_weight * losses.l_ctc.item()
    assert (losses.total.item() == pytest.approx(only)) == (not rows)
