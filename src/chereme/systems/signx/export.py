"""What is exported of SignX: everything between the tracks and what reads them is one network, with
its masks and flags; the text decoder is another; of video, the ViT of single frames and what joins
them are two more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chereme.decoding import GlossWeights
from chereme.decoding.generation import PAPER_GENERATION
from chereme.errors import BundleError
from chereme.formats.tracks import track_spec
from chereme.nn.checkpoint_files import load_tensors
from chereme.nn.masking import length_mask
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import (
    DECODER,
    ENCODER,
    NGRAMS,
    OUTPUTS,
    SEQUENCE,
    TRACKS,
    ContinuousConfig,
    track_ports,
)
from chereme.recognition.gloss_decoding import GlossDecoder, GlossOptions, OnnxInputs
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.systems.signx.task import load_signx
from chereme.systems.signx.video2pose import Video2Gloss
from chereme.systems.signx.video_task import load_video2gloss
from chereme.text.glosses import BOS, EOS, UNK
from chereme.training.compression import int8_products
from chereme.training.export import ExportSpec, Outputs, Traced

_LENGTHS = ((9,), (1,), (24, 17, 5))  # frames of the clips of the examples
_PICTURES = (1, 3)  # frames of the films of the examples
_TRACED = (7, 4)  # frames of two clips; all sizes are free in what is exported
_SPREAD = 1.5  # of the numbers of random clips, in units of their spread in training
_LONGEST = 8  # glosses of a sentence that are compared: of random clips a decoder may find no end


# -- networks --------------------------------------------------------------------------------------
class SequenceNetwork(nn.Module):
    """Tracks, where they are present, and lengths -> what decoder and CTC head give."""

    def __init__(self, model: Pose2Gloss) -> None:
        super().__init__()
        self.model, self.readers = model, model.config.readers
        self.names = list(model.config.tracks.widths)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        *both, lengths = inputs
        count = len(self.names)
        tracks = dict(zip(self.names, both[:count], strict=True))
        present = dict(zip(self.names, both[count:], strict=True))
        latent, _ = self.model.latent(tracks, present, lengths)
        outputs = {}
        if "decoder" in self.readers:
            outputs["decoder"] = self.model.decoder.read(latent)
        if "ctc" in self.readers:
            assert self.model.ctc is not None
            outputs["ctc"] = self.model.ctc(latent).log_softmax(-1)
        return tuple(outputs[reader] for reader in OUTPUTS if reader in outputs)


class DecoderNetwork(nn.Module):
    """``ids (N, L)``, ``memory (1 or N, T, D)``, ``lengths (1 or N,)`` -> logits ``(N, L, V)``."""

    def __init__(self, model: Pose2Gloss) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(self, ids: Tensor, memory: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = self.decoder(ids, memory, length_mask(lengths, memory.shape[1]))
        return logits


class FrameNetwork(nn.Module):
    """Frames ``(N, 3, S, S)`` uint8 -> features ``(N, F)``: the ViT."""

    def __init__(self, model: Video2Gloss) -> None:
        super().__init__()
        self.video2pose = model.video2pose

    def forward(self, frames: Tensor) -> Tensor:
        features: Tensor = self.video2pose.features(frames.float() / 255)
        return features


class TracksNetwork(nn.Module):
    """``features (B, T, F)`` and ``lengths (B,)`` -> each track ``(B, T, W)`` in its units."""

    def __init__(self, model: Video2Gloss) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        mask = length_mask(lengths, features.shape[1])
        tracks = self.model.in_units(self.model.video2pose.predict(features, mask))
        return tuple(tracks.values())


@torch.no_grad()
def _networks(pose2gloss: Pose2Gloss, video: Video2Gloss | None) -> dict[str, Traced]:
    tracks, sequence = example_tracks(pose2gloss, _TRACED), SequenceNetwork(pose2gloss).eval()
    networks = {SEQUENCE: Traced(sequence, tracks)}
    if "decoder" in pose2gloss.config.readers:
        ids = torch.tensor([[BOS, UNK, UNK], [BOS, UNK, EOS]])
        memory = sequence(*tracks)[0]
        networks[DECODER] = Traced(DecoderNetwork(pose2gloss), (ids, memory[:1], tracks[-1][:1]))
    if video is not None:
        pictures, encoder = example_pictures(video, 2), FrameNetwork(video).eval()
        features = encoder(pictures)
        clips = torch.stack([features, features.flip(0)])
        networks[ENCODER] = Traced(encoder, (pictures,))
        networks[TRACKS] = Traced(TracksNetwork(video), (clips, torch.tensor([2, 1])))
    return networks


# -- what is exported ------------------------------------------------------------------------------
def export_spec(checkpoint: str | Path, *, lm: str | Path | None = None) -> ExportSpec:
    """What is exported of a checkpoint of ``chereme.systems.signx.task`` (tracks to glosses) or of
    ``chereme.systems.signx.video_task`` (video to tracks to glosses).

    ``lm``: n-grams of its glosses in ARPA format, in the place of those of the training sentences.

    Raises BundleError for another checkpoint, and for a model that draws noise when it reads;
    InputError for a track that is not registered.
    """
    entry, video = load_tensors(checkpoint, mmap=True)["signx"], None
    if isinstance(entry, Mapping) and entry.get("kind") == "video2gloss":
        video, vocabulary, about = load_video2gloss(checkpoint)
        pose2gloss = video.pose2gloss
    else:
        pose2gloss, vocabulary, about = load_signx(checkpoint)
    _refuse_noise(pose2gloss, checkpoint)
    networks = _networks(pose2gloss, video)
    preprocessing: dict[str, Any] = {}
    if about.get("rate") is not None:
        preprocessing["rate"] = float(about["rate"])
    if video is not None:
        preprocessing["picture"] = video.video2pose.config.vit.image_size
    longest = pose2gloss.config.decoder.max_length
    ngrams: dict[str, Path | bytes] = {}
    if lm is not None:
        ngrams[NGRAMS] = Path(lm)
    elif about.get("lm") is not None:
        ngrams[NGRAMS] = str(about["lm"]).encode()
    clips = [example_tracks(pose2gloss, lengths) for lengths in _LENGTHS]
    films = [] if video is None else [example_pictures(video, count) for count in _PICTURES]
    return ExportSpec(
        known={
            "task": "continuous",
            "input": "tracks" if video is None else "rgb",
            "tokens": list(vocabulary.tokens),
            "units": vocabulary.units,
            "tracks": [asdict(track_spec(name)) for name in pose2gloss.config.tracks.widths],
            "readers": list(pose2gloss.config.readers),
            "preprocessing": preprocessing,
        },
        defaults={
            "read_with": about["read_with"],
            "generation": dict(about.get("generation") or asdict(PAPER_GENERATION)),
            "ctc_beam": about.get("ctc_beam", 5),
            "weights": dict(about.get("weights") or asdict(GlossWeights())),
        },
        finish_config=lambda config: replace(
            config, generation=_at_most(config.generation, longest)
        ),
        networks=networks,
        examples=[*clips, *films],
        run=_read,
        compared_on="batches of random clips",
        int8={SEQUENCE if video is None else ENCODER: int8_products},
        half=tuple(networks),
        files=ngrams,
    )


def _at_most(generation: Any, longest: int) -> Any:
    return replace(generation, max_length=min(generation.max_length, longest))


def _refuse_noise(model: Pose2Gloss, checkpoint: str | Path) -> None:
    diffusion = model.config.diffusion
    draws = diffusion.noise == "always" or diffusion.eta > 0
    if diffusion.enabled and diffusion.start and draws:
        raise BundleError(
            f"{checkpoint}: expected a model that reads the same video the same way each time, got "
            f"one that draws noise when it reads (diffusion: noise {diffusion.noise}, eta "
            f"{diffusion.eta:g}), which cannot be exported; train with noise: training and eta: 0"
        )


# -- whether they read the same --------------------------------------------------------------------
def _read(bundle: Bundle[ContinuousConfig], example: tuple[Tensor, ...] | Tensor) -> Outputs:
    """What is read of a batch of tracks, together and, as the recogniser does, one by one; or of
    the pictures of a film."""
    decoder = GlossDecoder(bundle.sequence, bundle.decoder, bundle.config)
    if isinstance(example, Tensor):
        return Outputs([_emitted(decoder.emit(_watch(bundle, example.numpy())))], [])
    numbers, frames = track_ports(track.name for track in bundle.config.tracks)
    arrays = (part.numpy() for part in example)
    batch = dict(zip([*numbers, *frames, "lengths"], arrays, strict=True))
    together = bundle.sequence.run(decoder.gives, batch)[-1]
    found: list[Any] = []
    symbols: list[str] = []
    for row, count in enumerate(batch["lengths"]):
        clip = {name: part[row : row + 1, :count] for name, part in batch.items() if part.ndim > 1}
        emissions = decoder.emit({**clip, "lengths": batch["lengths"][row : row + 1]})
        found += [together[row, :count], _emitted(emissions)]
        if not np.isfinite(found[-1]).all():
            break  # there is nothing to read
        if "decoder" in bundle.config.readers:
            ids = np.array([[BOS, *range(UNK, min(UNK + 4, len(decoder.vocabulary))), EOS]])
            found.append(torch.from_numpy(decoder.logits(ids, emissions)).log_softmax(-1).numpy())
        for reader in bundle.config.readers:
            generation = _at_most(bundle.config.generation, _LONGEST)
            options = GlossOptions(reader, generation, bundle.config.ctc_beam)
            for sentence in decoder.decode(emissions, options).hypotheses[:1]:
                symbols += sentence
    return Outputs(found, symbols)


def _watch(bundle: Bundle[ContinuousConfig], pictures: Any) -> OnnxInputs:
    """What a film of pictures ``(T, 3, S, S)`` gives ``sequence.onnx`` to read."""
    features = bundle.encoder.run(["features"], {"frames": pictures})[0]
    lengths = np.array([len(features)])
    numbers, frames = track_ports(track.name for track in bundle.config.tracks)
    tracks = bundle.tracks.run(numbers, {"features": features[None], "lengths": lengths})
    present = dict.fromkeys(frames, np.ones((1, len(features)), bool))
    return {**dict(zip(numbers, tracks, strict=True)), **present, "lengths": lengths}


def _emitted(emissions: Any) -> Any:
    """The log-probabilities of the CTC head, or what the decoder reads."""
    return emissions.memory[0] if emissions.log_probs is None else emissions.log_probs


def example_tracks(model: Pose2Gloss, lengths: Sequence[int]) -> tuple[Tensor, ...]:
    """Random inputs of ``sequence.onnx`` about the training data's mean: with padding, numbers that
    are not known, frames that are missing and, of the last clip, a track that is (if there are
    several)."""
    generator = torch.Generator().manual_seed(1000 * sum(lengths) + len(lengths))
    frames, names = max(lengths), list(model.config.tracks.widths)
    tracks, present = [], []
    for number, (name, width) in enumerate(model.config.tracks.widths.items()):
        encoder = model.pose_encoder.track_encoder(name)
        drawn = torch.randn(len(lengths), frames, width, generator=generator)
        lost = torch.rand(drawn.shape, generator=generator) < 0.1
        tracks.append((encoder.mean + _SPREAD * encoder.std * drawn).masked_fill(lost, torch.nan))
        there = torch.rand(len(lengths), frames, generator=generator) < 0.9
        if len(names) > 1 and number == len(names) - 1:
            there[-1] = False
        present.append(there)
    tracks = [t.where(p.unsqueeze(-1), torch.nan) for t, p in zip(tracks, present, strict=True)]
    return (*tracks, *present, torch.tensor(lengths))


def example_pictures(model: Video2Gloss, count: int) -> Tensor:
    """Random pictures ``(count, 3, S, S)`` uint8."""
    size = model.video2pose.config.vit.image_size
    generator = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
