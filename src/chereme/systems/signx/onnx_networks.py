"""The networks of a model of continuous signing as ONNX, and random clips to compare them on.

``chereme.recognition.continuous_bundle`` says what each takes and gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chereme.nn.masking import length_mask
from chereme.recognition.bundle import DECODER, ENCODER, SEQUENCE, TRACKS
from chereme.recognition.continuous_bundle import OUTPUTS, track_ports
from chereme.systems.fingerspelling.export import trace_to_onnx
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.systems.signx.video2pose import Video2Gloss
from chereme.text.glosses import BOS, EOS, UNK

_TRACED = (7, 4)  # frames of two clips; all sizes are free in what is exported
_SPREAD = 1.5  # of the numbers of random clips, in units of their spread in training
_CLIPS = {0: "clips", 1: "frames"}


class SequenceNetwork(nn.Module):
    """Tracks, where they are present, and lengths -> what decoder and CTC head say of."""

    def __init__(self, model: Pose2Gloss) -> None:
        super().__init__()
        self.model, self.readers = model, model.config.readers
        self.names = list(model.config.tracks.widths)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        *both, lengths = given
        count = len(self.names)
        tracks = dict(zip(self.names, both[:count], strict=True))
        present = dict(zip(self.names, both[count:], strict=True))
        latent, _ = self.model.latent(tracks, present, lengths)
        said = {}
        if "decoder" in self.readers:
            said["decoder"] = self.model.decoder.read(latent)
        if "ctc" in self.readers:
            assert self.model.ctc is not None
            said["ctc"] = self.model.ctc(latent).log_softmax(-1)
        return tuple(said[reader] for reader in OUTPUTS if reader in said)


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


def reading_networks(model: Pose2Gloss) -> dict[str, bytes]:
    """``sequence.onnx`` and, where it is trained, ``decoder.onnx``."""
    numbers, frames = track_ports(model.config.tracks.widths)
    given = example_tracks(model, _TRACED)
    readers = [reader for reader in OUTPUTS if reader in model.config.readers]
    networks = {
        SEQUENCE: trace_to_onnx(
            SequenceNetwork(model),
            given,
            {**dict.fromkeys([*numbers, *frames], _CLIPS), "lengths": {0: "clips"}},
            {OUTPUTS[reader]: _CLIPS for reader in readers},
        )
    }
    if "decoder" in readers:
        with torch.no_grad():
            memory = SequenceNetwork(model).eval()(*given)[0]
        networks[DECODER] = trace_to_onnx(
            DecoderNetwork(model),
            (torch.tensor([[BOS, UNK, UNK], [BOS, UNK, EOS]]), memory[:1], given[-1][:1]),
            {
                "ids": {0: "hypotheses", 1: "places"},
                "memory": {0: "sentences", 1: "frames"},
                "lengths": {0: "sentences"},
            },
            {"logits": {0: "hypotheses", 1: "places"}},
        )
    return networks


def video_networks(model: Video2Gloss) -> dict[str, bytes]:
    """``encoder.onnx`` and ``tracks.onnx``."""
    pictures = example_pictures(model, 2)
    with torch.no_grad():
        features = FrameNetwork(model).eval()(pictures)
    numbers, _ = track_ports(model.video2pose.widths)
    lengths = torch.tensor([2, 1])
    return {
        ENCODER: trace_to_onnx(
            FrameNetwork(model), (pictures,), {"frames": {0: "frames"}}, {"features": {0: "frames"}}
        ),
        TRACKS: trace_to_onnx(
            TracksNetwork(model),
            (torch.stack([features, features.flip(0)]), lengths),
            {"features": _CLIPS, "lengths": {0: "clips"}},
            dict.fromkeys(numbers, _CLIPS),
        ),
    }


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
