"""Checkpoints of SignX as bundles: what the serving half reads is what PyTorch reads."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_models import (
    GENERATION,
    SIGNX,
    VOCABULARY,
    WIDTHS,
    save_signx,
    signx,
    signx_video,
)

from chereme.decoding import NGramLanguageModel
from chereme.errors import BundleError
from chereme.formats.tracks import PoseTracks
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Windows
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.systems.signx.batch_decoder import BatchDecoder
from chereme.systems.signx.context import ContextConfig
from chereme.systems.signx.diffusion import DiffusionConfig
from chereme.systems.signx.export import example_tracks
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.systems.signx.tracks import TracksConfig
from chereme.training.export import export

pytestmark = pytest.mark.usefixtures("one_thread")


def clip_of(model: Pose2Gloss, frames: int) -> PoseTracks:
    """Random tracks, with numbers and frames that are missing."""
    *both, _ = (part[0].numpy() for part in example_tracks(model, (frames,)))
    names = list(model.config.tracks.widths)
    values = dict(zip(names, both[: len(names)], strict=True))
    return PoseTracks(20.0, values, dict(zip(names, both[len(names) :], strict=True)))


def tensors(clip: PoseTracks) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    return (
        {name: torch.from_numpy(track)[None] for name, track in clip.values.items()},
        {name: torch.from_numpy(there)[None] for name, there in clip.present.items()},
    )


def glosses_of(model: Pose2Gloss, clip: PoseTracks) -> tuple[str, ...]:
    found = model.generate(*tensors(clip), config=GENERATION)
    return VOCABULARY.decode(found.glosses[0, 0])


# -- tracks ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pose2Gloss, Bundle]:
    folder, model = tmp_path_factory.mktemp("exported"), signx()
    return model, export(save_signx(folder / "best.ckpt", model), folder / "model")


def test_the_bundle_reads_what_pytorch_reads(exported: tuple[Pose2Gloss, Bundle]) -> None:
    model, bundle = exported
    recognizer = ContinuousRecognizer(bundle)
    said = set()
    for frames in (1, 2, 5, 16, 31):
        clip = clip_of(model, frames)
        emissions = recognizer.decoder.emit(recognizer.decoder.onnx_inputs(clip))
        wanted = model.ctc_log_probs(*tensors(clip))[0]
        assert emissions.log_probs is not None
        np.testing.assert_allclose(emissions.log_probs, wanted.numpy(), atol=1e-4)
        read = recognizer.recognize(clip)
        both = BatchDecoder(model, VOCABULARY, GENERATION, 3)
        lengths = torch.tensor([frames])
        assert tuple(read.text.split()) == both.beam(*tensors(clip), lengths)["joint"][0][0]
        said.add(read.text)
    assert len(said) > 1
    config = bundle.config
    assert (config.generation, config.ctc_beam) == (GENERATION, 3)
    assert (config.preprocessing.rate, config.readers) == (20.0, ("decoder", "ctc"))
    assert [track.name for track in config.tracks] == list(WIDTHS)
    card = (bundle.directory / "MODEL_CARD.md").read_text()
    assert "Reads continuous signing as glosses" in card


def test_a_track_that_is_missing_is_masked_as_in_pytorch(
    exported: tuple[Pose2Gloss, Bundle],
) -> None:
    model, bundle = exported
    reader = ContinuousRecognizer(bundle).decoder
    for name in WIDTHS:
        clip = clip_of(model, 12).only([name])
        emissions = reader.emit(reader.onnx_inputs(clip))
        assert emissions.log_probs is not None
        wanted = model.ctc_log_probs(*tensors(clip))[0]
        np.testing.assert_allclose(emissions.log_probs, wanted.numpy(), atol=1e-4)
    nothing = PoseTracks(20.0, clip.values, {name: np.zeros(12, bool)})
    emissions = reader.emit(reader.onnx_inputs(nothing))
    assert emissions.log_probs is not None
    assert np.isfinite(emissions.log_probs).all()
    wanted = model.ctc_log_probs(*tensors(nothing))[0]
    np.testing.assert_allclose(emissions.log_probs, wanted.numpy(), atol=1e-4)


VARIANTS = {
    "transformer": replace(SIGNX, context=ContextConfig(kind="transformer", layers=1, heads=2)),
    "ctc_only": replace(
        SIGNX,
        context=ContextConfig(),
        diffusion=DiffusionConfig(enabled=False),
        loss=replace(SIGNX.loss, text_weight=0.0, word_weight=0.0, ngram_weight=0.0),
    ),
    "decoder_only": replace(
        SIGNX,
        tracks=TracksConfig({"fake_hands": 6}, 16, 2, latent=24, match="pad"),
        diffusion=replace(SIGNX.diffusion, start=0),
        loss=replace(SIGNX.loss, ctc_weight=0.0),
        ctc=False,
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_other_models(name: str, tmp_path: Path) -> None:
    model = signx(VARIANTS[name])
    reader = "ctc" if name == "ctc_only" else "decoder"
    checkpoint = save_signx(tmp_path / "best.ckpt", model, read_with=reader, rate=None)
    bundle = export(checkpoint, tmp_path / "model")
    assert bundle.config.preprocessing.rate is None
    assert (bundle.decoder is None) == (name == "ctc_only")
    clip = clip_of(model, 11)
    read = ContinuousRecognizer(bundle).recognize(clip)
    if name == "decoder_only":
        assert tuple(read.text.split()) == glosses_of(model, clip)
        assert not any(token.is_timed for token in read.tokens)
    assert all(0 <= one.probability <= 1 for one in read.tokens)


def test_what_is_told_of_it(tmp_path: Path) -> None:
    about = {
        "windows": {"seconds": 8.0, "overlap": 2.0},
        "generation": asdict(GENERATION) | {"beam_size": 2, "max_length": 60},
    }
    checkpoint = save_signx(tmp_path / "best.ckpt", signx())
    config = export(checkpoint, tmp_path / "model", description=about).config
    assert config.windows == Windows(8.0, 2.0)
    # No longer than what the decoder was built for.
    assert (config.generation.beam_size, config.generation.max_length) == (2, 6)


def test_ngrams_and_weights_go_along(tmp_path: Path) -> None:
    said = NGramLanguageModel.train([(4, 5), (5,)], VOCABULARY.said)
    weights = {"alpha": 0.4, "beta": 1.0, "joint": {"ctc_weight": 0.2, "alpha": 0.1, "beta": 0.0}}
    checkpoint = save_signx(tmp_path / "best.ckpt", signx(), lm=said.arpa(), weights=weights)
    bundle = export(checkpoint, tmp_path / "model")
    assert asdict(bundle.config.weights) == weights
    assert bundle.language_model.arpa() == said.arpa()
    # In the place of these, others.
    own = tmp_path / "own.arpa"
    own.write_text(NGramLanguageModel.train([(4, 4, 4)], VOCABULARY.said, 2).arpa())
    bundle = export(checkpoint, tmp_path / "model", lm=own)
    assert (tmp_path / "model" / "lm.arpa").read_text() == own.read_text()
    (tmp_path / "model" / "lm.arpa").write_text(said.arpa())
    with pytest.raises(BundleError, match=r"lm\.arpa has changed"):
        Bundle.load(tmp_path / "model")
    own.write_text("none")
    with pytest.raises(BundleError, match="expected a model of n-grams"):
        export(checkpoint, tmp_path / "other", lm=own)
    assert (
        "lm.arpa"
        not in export(save_signx(tmp_path / "a.ckpt", signx()), tmp_path / "c").config.files
    )


@pytest.mark.parametrize("changes", [{"noise": "always"}, {"eta": 1.0}], ids=["noise", "eta"])
def test_a_model_that_draws_noise_when_it_reads_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    config = replace(SIGNX, diffusion=replace(SIGNX.diffusion, **changes))
    checkpoint = save_signx(tmp_path / "best.ckpt", signx(config))
    with pytest.raises(BundleError, match="draws noise when it reads"):
        export(checkpoint, tmp_path / "model")
    # Of a start at level 0 nothing is drawn, nor without diffusion.
    assert not (tmp_path / "model").exists()


# -- video -----------------------------------------------------------------------------------------
def test_video_gives_the_tracks_that_pytorch_gives(tmp_path: Path) -> None:
    model = signx_video()
    checkpoint = save_signx(tmp_path / "best.ckpt", model, read_with="ctc")
    bundle = export(checkpoint, tmp_path / "model")
    assert (bundle.config.input, bundle.config.preprocessing.picture) == ("rgb", 32)
    rng = np.random.default_rng(0)
    for frames in (1, 9):
        pictures = rng.integers(0, 256, (frames, 3, 32, 32), np.uint8)
        features = bundle.encoder.run(None, {"frames": pictures})[0]
        given = {"features": features[None], "lengths": np.array([frames])}
        with torch.no_grad():
            wanted = model(torch.from_numpy(pictures)[None].float() / 255)
        for (name, truth), made in zip(wanted.items(), bundle.tracks.run(None, given), strict=True):
            np.testing.assert_allclose(made, truth.numpy(), atol=1e-3, err_msg=name)
        there = dict.fromkeys(wanted, np.ones(frames, bool))
        clip = PoseTracks(20.0, {n: t[0].numpy() for n, t in wanted.items()}, there)
        reader = ContinuousRecognizer(bundle).decoder
        emissions = reader.emit(reader.onnx_inputs(clip))
        assert emissions.log_probs is not None
        read = model.pose2gloss.ctc_log_probs(*tensors(clip))[0]
        np.testing.assert_allclose(emissions.log_probs, read.numpy(), atol=1e-3)
