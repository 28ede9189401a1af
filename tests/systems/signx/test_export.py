"""Checkpoints of SignX as bundles: what the serving half reads is what PyTorch reads."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.decoding.generation import GenerationConfig
from chereme.errors import BundleError
from chereme.formats.tracks import PoseTracks, TrackSpec, register_track
from chereme.recognition.config import Windows
from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
from chereme.systems.signx.context import ContextConfig
from chereme.systems.signx.decoder import DecoderConfig
from chereme.systems.signx.diffusion import DiffusionConfig
from chereme.systems.signx.export import export_continuous, kind_of
from chereme.systems.signx.losses import LossConfig
from chereme.systems.signx.onnx_networks import example_tracks
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.systems.signx.tracks import TracksConfig
from chereme.systems.signx.video2pose import Video2Gloss, Video2PoseConfig, ViTConfig
from chereme.text.glosses import GlossVocabulary

WIDTHS = {"test_export_hands": 6, "test_export_face": 3}
for name, width in WIDTHS.items():
    register_track(TrackSpec(name, width, "numbers"))
VOCABULARY = GlossVocabulary(tuple(f"G{n}" for n in range(8)))
GENERATION = GenerationConfig(repetition_penalty=1.2, max_length=6, beam_size=3)
SMALL = Pose2GlossConfig(
    tracks=TracksConfig(WIDTHS, 16, 2, latent=24, origins={"test_export_hands": 1}, motion=(1, 3)),
    context=ContextConfig(kind="gru", layers=2),
    diffusion=DiffusionConfig(dim=16, halvings=2, heads=2),
    decoder=DecoderConfig(vocabulary=len(VOCABULARY), dim=16, layers=2, heads=2, max_length=6),
    loss=LossConfig(ctc_weight=1.0),
    ctc=True,
    embedding=8,
)


def build(config: Pose2GlossConfig = SMALL, seed: int = 0) -> Pose2Gloss:
    """A model whose weights are far from where nothing is decided, with statistics of its own."""
    torch.manual_seed(seed)
    model = Pose2Gloss(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 2
    for name, width in config.tracks.widths.items():
        mean = 100 * torch.randn(width, generator=generator)
        std = 1 + torch.rand(width, generator=generator)
        model.pose_encoder.track_encoder(name).set_statistics(mean, std)
    return model.eval()


def save(path: Path, model: Pose2Gloss | Video2Gloss, **changes: Any) -> Path:
    pose2gloss = model.pose2gloss if isinstance(model, Video2Gloss) else model
    about: dict[str, Any] = {
        "kind": "pose2gloss",
        "config": asdict(pose2gloss.config),
        "tokens": list(VOCABULARY.tokens),
        "units": "glosses",
        "rate": 20.0,
        "read_with": "decoder",
        "generation": asdict(GENERATION),
        "ctc_beam": 3,
    }
    if isinstance(model, Video2Gloss):
        about |= {"kind": "video2gloss", "video2pose": asdict(model.video2pose.config)}
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "signx": about | changes}, path)
    return path


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
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pose2Gloss, Path]:
    folder, model = tmp_path_factory.mktemp("exported"), build()
    checkpoint = save(folder / "best.ckpt", model)
    return model, export_continuous(checkpoint, folder / "model")


def test_the_bundle_reads_what_pytorch_reads(exported: tuple[Pose2Gloss, Path]) -> None:
    model, folder = exported
    bundle = load_continuous(folder)
    recognizer = ContinuousRecognizer(bundle)
    said = set()
    for frames in (1, 2, 5, 16, 31):
        clip = clip_of(model, frames)
        emissions = recognizer.reader.hear(recognizer.reader.onnx_inputs(clip))
        wanted = model.ctc_log_probs(*tensors(clip))[0]
        assert emissions.log_probs is not None
        np.testing.assert_allclose(emissions.log_probs, wanted.numpy(), atol=1e-4)
        read = recognizer.recognize(clip)
        if not any("CTC head instead" in warning for warning in read.warnings):
            assert tuple(read.text.split()) == glosses_of(model, clip)
        said.add(read.text)
    assert len(said) > 1
    config = bundle.config
    assert (config.generation, config.ctc_beam) == (GENERATION, 3)
    assert (config.preprocessing.rate, config.readers) == (20.0, ("decoder", "ctc"))
    assert [track.name for track in config.tracks] == list(WIDTHS)
    compared = config.metrics[-1]
    assert compared["log_probability_difference"] < 1e-3
    assert compared["readings_changed"] == 0
    assert "Reads continuous signing as glosses" in (folder / "MODEL_CARD.md").read_text()


def test_a_track_that_is_missing_is_masked_as_in_pytorch(exported: tuple[Pose2Gloss, Path]) -> None:
    model, folder = exported
    reader = ContinuousRecognizer(load_continuous(folder)).reader
    for name in WIDTHS:
        clip = clip_of(model, 12).only([name])
        emissions = reader.hear(reader.onnx_inputs(clip))
        assert emissions.log_probs is not None
        wanted = model.ctc_log_probs(*tensors(clip))[0]
        np.testing.assert_allclose(emissions.log_probs, wanted.numpy(), atol=1e-4)
    nothing = PoseTracks(20.0, clip.values, {name: np.zeros(12, bool)})
    emissions = reader.hear(reader.onnx_inputs(nothing))
    assert emissions.log_probs is not None
    assert np.isfinite(emissions.log_probs).all()
    wanted = model.ctc_log_probs(*tensors(nothing))[0]
    np.testing.assert_allclose(emissions.log_probs, wanted.numpy(), atol=1e-4)


VARIANTS = {
    "transformer": replace(SMALL, context=ContextConfig(kind="transformer", layers=1, heads=2)),
    "ctc_only": replace(
        SMALL,
        context=ContextConfig(),
        diffusion=DiffusionConfig(enabled=False),
        loss=replace(SMALL.loss, text_weight=0.0, word_weight=0.0, ngram_weight=0.0),
    ),
    "decoder_only": replace(
        SMALL,
        tracks=TracksConfig({"test_export_hands": 6}, 16, 2, latent=24, match="pad"),
        diffusion=replace(SMALL.diffusion, start=0),
        loss=replace(SMALL.loss, ctc_weight=0.0),
        ctc=False,
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_other_models(name: str, tmp_path: Path) -> None:
    model = build(VARIANTS[name])
    reader = "ctc" if name == "ctc_only" else "decoder"
    checkpoint = save(tmp_path / "best.ckpt", model, read_with=reader, rate=None)
    bundle = load_continuous(export_continuous(checkpoint, tmp_path / "model"))
    assert bundle.config.preprocessing.rate is None
    assert (bundle.decoder is None) == (name == "ctc_only")
    clip = clip_of(model, 11)
    read = ContinuousRecognizer(bundle).recognize(clip)
    if name == "decoder_only":
        assert tuple(read.text.split()) == glosses_of(model, clip)
        assert {(one.start, one.end) for one in read.glosses} <= {(None, None)}
    assert all(0 <= one.probability <= 1 for one in read.glosses)


def test_smaller_weights_are_compared(tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "best.ckpt", build())
    folder = export_continuous(checkpoint, tmp_path / "model", int8=True, half=True)
    exact, changed = load_continuous(folder).config.metrics
    assert changed["test_set"].startswith(
        "int8 products and half-precision weights against float32"
    )
    assert changed["log_probability_difference"] > exact["log_probability_difference"]


def test_what_is_told_of_it(tmp_path: Path) -> None:
    about = {
        "name": "mine",
        "windows": {"seconds": 8.0, "overlap": 2.0},
        "generation": asdict(GENERATION) | {"beam_size": 2, "max_length": 60},
        "licence": {"code": "MIT", "weights": "CC0-1.0", "data": "mine"},
    }
    (tmp_path / "about.json").write_text(json.dumps(about))
    (tmp_path / "card.md").write_text("# Mine")
    checkpoint = save(tmp_path / "best.ckpt", build())
    folder = export_continuous(
        checkpoint,
        tmp_path / "model",
        description=tmp_path / "about.json",
        model_card=tmp_path / "card.md",
    )
    config = load_continuous(folder).config
    assert (config.name, config.windows) == ("mine", Windows(8.0, 2.0))
    # No longer than what the decoder was built for.
    assert (config.generation.beam_size, config.generation.max_length) == (2, 6)
    assert (folder / "MODEL_CARD.md").read_text() == "# Mine"
    with pytest.raises(BundleError, match="unknown key 'colour'"):
        export_continuous(checkpoint, tmp_path / "other", description={"colour": "red"})
    (tmp_path / "about.json").write_text("[1]")
    with pytest.raises(BundleError, match="expected a JSON object"):
        export_continuous(checkpoint, tmp_path / "a", description=tmp_path / "about.json")


@pytest.mark.parametrize("changes", [{"noise": "always"}, {"eta": 1.0}], ids=["noise", "eta"])
def test_a_model_that_draws_noise_when_it_reads_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    config = replace(SMALL, diffusion=replace(SMALL.diffusion, **changes))
    checkpoint = save(tmp_path / "best.ckpt", build(config))
    with pytest.raises(BundleError, match="draws noise when it reads"):
        export_continuous(checkpoint, tmp_path / "model")
    # Of a start at level 0 nothing is drawn, nor without diffusion.
    assert not (tmp_path / "model").exists()


def test_files_that_are_no_such_checkpoint(tmp_path: Path) -> None:
    assert kind_of(save(tmp_path / "a.ckpt", build())) == "pose2gloss"
    (tmp_path / "b.ckpt").write_text("text")
    torch.save({"state_dict": {}}, tmp_path / "c.ckpt")
    for name in "bc":
        assert kind_of(tmp_path / f"{name}.ckpt") is None
        with pytest.raises(BundleError, match="expected a checkpoint of SignX"):
            export_continuous(tmp_path / f"{name}.ckpt", tmp_path / "model")
    broken = build()
    assert broken.ctc is not None
    broken.ctc.classifier.bias.data[0] = torch.nan
    with pytest.raises(BundleError, match="other log-probabilities than PyTorch's, by up to nan"):
        export_continuous(save(tmp_path / "d.ckpt", broken), tmp_path / "model")


def test_the_command_line_exports_it_too(tmp_path: Path) -> None:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["export", *map(str, arguments)])

    checkpoint = save(tmp_path / "best.ckpt", build(VARIANTS["ctc_only"]), read_with="ctc")
    done = run(checkpoint, "-o", tmp_path / "model", "--half")
    assert done.exit_code == 0, done.stderr
    assert "half-precision weights against float32: 5 readings of random clips" in done.stderr
    assert "model, sha256" in done.stderr
    assert load_continuous(tmp_path / "model").config.readers == ("ctc",)
    wrong = run(checkpoint, "-o", tmp_path / "model", "--lm", tmp_path / "lm.onnx")
    assert wrong.exit_code == 2
    assert "--lm is of models that read letters" in wrong.stderr


# -- video -----------------------------------------------------------------------------------------
def test_video_gives_the_tracks_that_pytorch_gives(tmp_path: Path) -> None:
    torch.manual_seed(1)
    sizes = ViTConfig(image_size=32, patch_size=8, dim=16, layers=2, heads=2)
    model = Video2Gloss(Video2PoseConfig(vit=sizes, dim=16, layers=2, heads=2), build()).eval()
    checkpoint = save(tmp_path / "best.ckpt", model, read_with="ctc")
    assert kind_of(checkpoint) == "video2gloss"
    bundle = load_continuous(export_continuous(checkpoint, tmp_path / "model"))
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
        reader = ContinuousRecognizer(bundle).reader
        emissions = reader.hear(reader.onnx_inputs(clip))
        assert emissions.log_probs is not None
        read = model.pose2gloss.ctc_log_probs(*tensors(clip))[0]
        np.testing.assert_allclose(emissions.log_probs, read.numpy(), atol=1e-3)
