"""A trained model of continuous signing -> a bundle that the serving half runs.

The checkpoint is one of ``chereme.systems.signx.task`` ("pose2gloss": tracks to glosses) or of
``chereme.systems.signx.video_task`` ("video2gloss": video to tracks to glosses); these modules say
what they hold. Everything between the tracks and what reads them is one network, with its masks and
flags; the text decoder is another; of video, the ViT of single frames and what joins them two more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from chereme.decoding.generation import PAPER_GENERATION
from chereme.errors import BundleError
from chereme.formats.tracks import track_spec
from chereme.nn.checkpoint_files import load_tensors
from chereme.recognition.bundle import DECODER, ENCODER, MODEL_CARD, SEQUENCE, TRACKS
from chereme.recognition.config import SCHEMA_VERSION, ContinuousConfig, parse_config
from chereme.recognition.continuous_bundle import track_ports, write_continuous
from chereme.recognition.gloss_decoding import GlossDecoder, OnnxInputs, ReadingOptions
from chereme.systems.signx.onnx_networks import (
    DecoderNetwork,
    FrameNetwork,
    SequenceNetwork,
    TracksNetwork,
    example_pictures,
    example_tracks,
    reading_networks,
    video_networks,
)
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.systems.signx.task import load_signx
from chereme.systems.signx.video2pose import Video2Gloss
from chereme.systems.signx.video_task import load_video2gloss
from chereme.text.glosses import BOS, EOS, UNK, GlossVocabulary
from chereme.training.compression import half_weights, int8_products

TOLERANCE = 1e-3  # of log-probabilities: what the exported networks may differ from PyTorch's
_LENGTHS = ((9,), (1,), (24, 17, 5))  # frames of the clips that both are compared on
_PICTURES = 3  # of a clip that networks of video are compared on
_SAID = 8  # glosses of a sentence that are compared

Kind = Literal["pose2gloss", "video2gloss"]
Model = Pose2Gloss | Video2Gloss


def kind_of(checkpoint: str | Path) -> Kind | None:
    """What kind of SignX a file says to be the checkpoint of; None for another file."""
    try:
        found = load_tensors(checkpoint, mmap=True)
        kind: Kind = found["signx"]["kind"]
        return kind
    except (BundleError, LookupError, TypeError):
        return None


def export_continuous(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    description: str | Path | Mapping[str, Any] | None = None,
    model_card: str | Path | None = None,
    int8: bool = False,
    half: bool = False,
) -> Path:
    """Write the bundle of a checkpoint, after comparing its networks with PyTorch's; where it is.

    Args:
        checkpoint: written by ``chereme.systems.signx.task`` or
        ``chereme.systems.signx.video_task``.
        folder: of the bundle; an older bundle there is replaced.
        description: what training cannot know, as a mapping or a JSON file: name, licence,
            training_data, metrics, and what is to be other than in training or by default:
            generation, ctc_beam, read_with, windows, preprocessing.needs_hands (as in
            ``chereme.recognition.config.ContinuousConfig``).
        model_card: Markdown that goes along; None: one is written from what is known.
        int8: quantise the ViT of a model that reads video, else the network of the tracks.
        half: store weights in half precision.

    Raises:
        BundleError: another checkpoint or description, one that draws noise when it reads, or the
            networks give other log-probabilities than PyTorch's, by over 0.001, or other glosses;
            what int8 and half precision change is stated in the metrics and refused in no case.
        InputError: a track that is not registered.
    """
    model: Model
    if kind_of(checkpoint) == "video2gloss":
        model, vocabulary, about = load_video2gloss(checkpoint)
    else:
        model, vocabulary, about = load_signx(checkpoint)
    return export_model(
        model,
        vocabulary,
        about,
        folder,
        description=description,
        model_card=model_card,
        int8=int8,
        half=half,
        name=str(checkpoint),
    )


def export_model(
    model: Model,
    vocabulary: GlossVocabulary,
    about: Mapping[str, Any],
    folder: str | Path,
    *,
    description: str | Path | Mapping[str, Any] | None = None,
    model_card: str | Path | None = None,
    int8: bool = False,
    half: bool = False,
    name: str = "the model",
) -> Path:
    """`export_continuous` of a network that is loaded already; ``about``: ``rate``, ``read_with``,
    and ``generation`` and ``ctc_beam`` where they are known. ``name`` is for messages."""
    pose2gloss = model.pose2gloss if isinstance(model, Video2Gloss) else model
    _refuse_noise(pose2gloss, name)
    config = _config(model, vocabulary, about, Path(folder), description)
    files = reading_networks(pose2gloss)
    if isinstance(model, Video2Gloss):
        files |= video_networks(model)
    exact = compare(torch_form(model, config), onnx_form(files, config), model)
    if not exact.difference <= TOLERANCE or exact.changed:
        raise BundleError(
            f"{name}: the exported networks give other log-probabilities than PyTorch's, by up to "
            f"{exact.difference:.3g}, and other glosses in {exact.changed} of {exact.readings} "
            "readings; this should not happen, please report it"
        )
    metrics = [exact.as_metric("ONNX Runtime against PyTorch")]
    stored = dict(files)
    if int8:
        large = ENCODER if ENCODER in stored else SEQUENCE
        stored[large] = int8_products(stored[large])
    if half:
        stored = {file: half_weights(network) for file, network in stored.items()}
    if int8 or half:
        kept = [*["int8 products"] * int8, *["half-precision weights"] * half]
        changed = compare(onnx_form(files, config), onnx_form(stored, config), model)
        metrics.append(changed.as_metric(f"{' and '.join(kept)} against float32"))
    config = replace(config, metrics=(*config.metrics, *metrics))
    card = _card(config).encode() if model_card is None else Path(model_card)
    return write_continuous(folder, config, {**stored, MODEL_CARD: card}).directory


def _refuse_noise(model: Pose2Gloss, name: str) -> None:
    diffusion = model.config.diffusion
    draws = diffusion.noise == "always" or diffusion.eta > 0
    if diffusion.enabled and diffusion.start and draws:
        raise BundleError(
            f"{name}: expected a model that reads the same video the same way each time, got one "
            f"that draws noise when it reads (diffusion: noise {diffusion.noise}, eta "
            f"{diffusion.eta:g}), which cannot be exported; train with noise: training and eta: 0"
        )


# -- whether they read the same --------------------------------------------------------------------
@dataclass(frozen=True)
class Form:
    """The networks of one form, PyTorch's or ONNX Runtime's; ``encoder``, ``tracks``: of video."""

    reader: GlossDecoder
    encoder: Any = None
    tracks: Any = None

    def watch(self, pictures: Tensor) -> OnnxInputs:
        """What a clip of pictures ``(T, 3, S, S)`` gives ``sequence.onnx`` to read."""
        features = self.encoder.run(None, {"frames": pictures.numpy()})[0]
        lengths = np.array([len(features)])
        made = self.tracks.run(None, {"features": features[None], "lengths": lengths})
        tracks, frames = track_ports(track.name for track in self.reader.config.tracks)
        present = dict.fromkeys(frames, np.ones((1, len(features)), bool))
        return {**dict(zip(tracks, made, strict=True)), **present, "lengths": lengths}


@dataclass(frozen=True, slots=True)
class Compared:
    """``difference``: the largest of any log-probability; ``changed``: of all ``readings``, each
    of a clip with one of the readers, those with other glosses."""

    difference: float
    readings: int
    changed: int

    def as_metric(self, what: str) -> dict[str, Any]:
        """An entry of a bundle's metrics."""
        return {
            "test_set": f"{what}: {self.readings} readings of random clips",
            "log_probability_difference": round(self.difference, 7),
            "readings_changed": self.changed,
        }


class _TorchSession:
    """A network of PyTorch that is run as one of ONNX Runtime."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    def run(self, names: Any, given: Mapping[str, Any]) -> list[Any]:
        with torch.no_grad():
            said = self.module(*(torch.from_numpy(np.asarray(value)) for value in given.values()))
        return [part.numpy() for part in (said if isinstance(said, tuple) else (said,))]


def torch_form(model: Model, config: ContinuousConfig) -> Form:
    """PyTorch's own."""
    pose2gloss = model.pose2gloss if isinstance(model, Video2Gloss) else model
    reader = GlossDecoder(
        _TorchSession(SequenceNetwork(pose2gloss)),
        _TorchSession(DecoderNetwork(pose2gloss)),
        config,
    )
    if not isinstance(model, Video2Gloss):
        return Form(reader)
    return Form(reader, _TorchSession(FrameNetwork(model)), _TorchSession(TracksNetwork(model)))


def onnx_form(files: Mapping[str, bytes], config: ContinuousConfig) -> Form:
    """ONNX Runtime's."""
    opened = {
        name: onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
        for name, network in files.items()
    }
    reader = GlossDecoder(opened[SEQUENCE], opened.get(DECODER), config)
    return Form(reader, opened.get(ENCODER), opened.get(TRACKS))


def compare(ours: Form, theirs: Form, model: Model) -> Compared:
    """Both on random clips of several lengths, one by one as the recogniser reads them, and of
    tracks as batches, in which padding must change nothing; ``model`` says what clips it takes."""
    config = ours.reader.config
    # Of random clips a decoder may find no end.
    quick = replace(config.generation, max_length=min(config.generation.max_length, _SAID))
    largest, readings, changed = 0.0, 0, 0

    def differ(one: Any, other: Any) -> None:
        nonlocal largest
        worst = np.abs(one - other).max()
        largest = float(np.maximum(largest, worst))  # NaN stays NaN

    pose2gloss = model.pose2gloss if isinstance(model, Video2Gloss) else model
    for clip, wanted in _clips(ours, pose2gloss):
        emissions = [form.reader.hear(clip) for form in (ours, theirs)]
        differ(wanted, _said(emissions[1]))
        if not np.isfinite(largest):
            break  # there is nothing to read
        for name in config.readers:
            options = ReadingOptions(name, quick, config.ctc_beam)
            read = [
                f.reader.read(h, options) for f, h in zip((ours, theirs), emissions, strict=True)
            ]
            readings += 1
            changed += read[0].hypotheses[:1] != read[1].hypotheses[:1]
        if "decoder" in config.readers:
            ids = np.array([[BOS, *range(UNK, min(UNK + 4, len(ours.reader.vocabulary))), EOS]])
            logits = [
                f.reader.logits(ids, h) for f, h in zip((ours, theirs), emissions, strict=True)
            ]
            differ(*(torch.from_numpy(said).log_softmax(-1).numpy() for said in logits))
    if isinstance(model, Video2Gloss):
        for count in (1, _PICTURES):
            pictures = example_pictures(model, count)
            differ(*(_said(form.reader.hear(form.watch(pictures))) for form in (ours, theirs)))
    return Compared(largest, readings, changed)


def _clips(form: Form, model: Pose2Gloss) -> Iterator[tuple[OnnxInputs, Any]]:
    """Clips, one by one, and what ``form`` says of each in a batch with others."""
    numbers, frames = track_ports(model.config.tracks.widths)
    names = [*numbers, *frames, "lengths"]
    for lengths in _LENGTHS:
        batch = [part.numpy() for part in example_tracks(model, lengths)]
        said = form.reader.sequence.run(None, dict(zip(names, batch, strict=True)))
        for row, count in enumerate(lengths):
            alone = [part[row : row + 1, :count] for part in batch[:-1]]
            clip = dict(zip(names, [*alone, batch[-1][row : row + 1]], strict=True))
            yield clip, said[-1][row, :count]


def _said(emissions: Any) -> Any:
    """The log-probabilities of the CTC head, or what the decoder reads."""
    return emissions.memory[0] if emissions.log_probs is None else emissions.log_probs


# -- what is written of it -------------------------------------------------------------------------
def _config(
    model: Model,
    vocabulary: GlossVocabulary,
    about: Mapping[str, Any],
    folder: Path,
    description: str | Path | Mapping[str, Any] | None,
) -> ContinuousConfig:
    pose2gloss = model.pose2gloss if isinstance(model, Video2Gloss) else model
    described: dict[str, Any] = {
        "name": folder.resolve().name,
        "licence": {"code": "MIT", "weights": "not stated", "data": "not stated"},
        "training_data": [],
        "metrics": [],
        "read_with": about["read_with"],
        "generation": dict(about.get("generation") or asdict(PAPER_GENERATION)),
        "ctc_beam": about.get("ctc_beam", 5),
    }
    given: dict[str, Any] = {}
    if isinstance(description, Mapping):
        given = dict(description)
    elif description is not None:
        try:
            given = dict(json.loads(Path(description).read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise BundleError(f"{description}: expected a JSON object ({error})") from error
    preprocessing = dict(given.pop("preprocessing", {}))
    if about.get("rate") is not None:
        preprocessing["rate"] = float(about["rate"])
    if isinstance(model, Video2Gloss):
        preprocessing["picture"] = model.video2pose.config.vit.image_size
    described |= given
    described |= {
        "schema_version": SCHEMA_VERSION,
        "task": "continuous",
        "input": "rgb" if isinstance(model, Video2Gloss) else "tracks",
        "tokens": list(vocabulary.tokens),
        "units": vocabulary.units,
        "tracks": [asdict(track_spec(name)) for name in pose2gloss.config.tracks.widths],
        "readers": list(pose2gloss.config.readers),
        "preprocessing": preprocessing,
    }
    longest = pose2gloss.config.decoder.max_length
    generation = described["generation"]
    if isinstance(generation, dict):  # else it is refused below
        generation["max_length"] = min(generation.get("max_length", longest), longest)
    where = str(description) if isinstance(description, str | Path) else "description"
    config = parse_config(described, where)
    assert isinstance(config, ContinuousConfig)  # as its task says
    return config


def _card(config: ContinuousConfig) -> str:
    """A model card of what is known."""
    licence, given = config.licence, config.preprocessing
    what = "pose tracks"
    if config.input == "rgb":
        what = f"video, from pictures of {given.picture} x {given.picture} pixels, or pose tracks"
    rate = "any number of" if given.rate is None else f"{given.rate:g}"
    units = {"glosses": "glosses", "pieces": "pieces that glosses are made of"}[config.units]
    how = {"decoder": "its text decoder", "ctc": "its CTC head"}[config.read_with]
    lines = [
        f"# {config.name}",
        "",
        f"Reads continuous signing as glosses, from {what}. It knows {len(config.tokens)} {units}, "
        "and takes any other sign for one of these. Glosses are labels of signs, no translation.",
        "",
        f"It reads {rate} frames a second, with {how}, and what is longer in windows of "
        f"{config.windows.seconds:g} s.",
        "",
        f"Licence: code {licence.code}; weights {licence.weights}; data {licence.data}.",
        "",
        "## Tracks",
        "",
        *(f"- {track.name}, {track.width} numbers: {track.meaning}" for track in config.tracks),
        "",
        f"## {units.capitalize()}",
        "",
        ", ".join(config.tokens),
    ]
    for title, entries in (("Training data", config.training_data), ("Metrics", config.metrics)):
        lines += ["", f"## {title}", ""]
        lines += [
            "- " + "; ".join(f"{key}: {value}" for key, value in entry.items()) for entry in entries
        ] or ["Not stated."]
    return "\n".join(lines) + "\n"
