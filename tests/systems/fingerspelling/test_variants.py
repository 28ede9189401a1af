"""Every variant of the recogniser: it runs, learns, ignores padding, is saved and exported."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from chereme.formats.strict import read_as
from chereme.nn.masking import length_mask
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.recognition.config import Ports
from chereme.systems.fingerspelling.encoders import (
    EarlyFusion,
    HandEncoderConfig,
    LandmarkEncoderConfig,
    VectorEncoderConfig,
)
from chereme.systems.fingerspelling.fusion import LateFusion
from chereme.systems.fingerspelling.losses import fingerspelling_losses
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.training.export import to_onnx

SYMBOLS, SIDE = 7, 32
LANDMARKS = LandmarkEncoderConfig(features_per_frame=10, hidden=12, feature_dim=8, dropout=0.0)
LENGTHS = [9, 4, 1, 7]
BASE = FingerspellingConfig(
    landmarks=LANDMARKS,
    hand=HandEncoderConfig(LANDMARKS, 5, hidden=9, feature_dim=6, dropout=0.0, branch_dropout=0.0),
    rgb=ResNetEncoderConfig(depths=(1, 2), widths=(4, 6), image_size=SIDE),
    pose=VectorEncoderConfig(dim=5),
    sequence=SequenceConfig(num_symbols=SYMBOLS, conv_dim=10, gru_hidden=6, dropout=0.0),
)
VAC = replace(
    BASE.sequence,
    kernels="vac",
    gru_hidden=10,
    gru_hidden_is="total",
    shared_classifier=True,
    normalised_classifier=True,
)
CONFIGS = {
    "landmarks": BASE,
    "landmarks_unpooled": replace(BASE, sequence=replace(BASE.sequence, kernels="unpooled")),
    "landmarks_vac": replace(BASE, sequence=VAC),
    "landmarks_wide_pool": replace(BASE, sequence=replace(BASE.sequence, kernels="K3,P3,K1")),
    "hand": replace(BASE, stream="hand"),
    "rgb": replace(BASE, stream="rgb"),
    "rgb_frozen": replace(BASE, stream="rgb", rgb=replace(BASE.rgb, frozen_statistics=True)),
    "rgb_vac": replace(BASE, stream="rgb", sequence=VAC),
    "pose": replace(BASE, stream="pose"),
    "pose_normalised": replace(BASE, stream="pose", pose=VectorEncoderConfig(5, "layer")),
    "early_fusion": replace(BASE, stream="rgb+pose"),
}
VARIANTS = [*CONFIGS, "late_fusion"]
every_variant = pytest.mark.parametrize("variant", VARIANTS)

Frames = Tensor | list[Tensor]


def network(variant: str) -> FingerspellingRecognizer | LateFusion:
    """With random statistics of batch normalisation, as after training."""
    torch.manual_seed(4)
    model: FingerspellingRecognizer | LateFusion
    if variant == "late_fusion":
        parts = [FingerspellingRecognizer(CONFIGS[name]) for name in ("rgb", "pose")]
        model = LateFusion(parts)
    else:
        model = FingerspellingRecognizer(CONFIGS[variant])
    for norm in batch_norms(model):
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
    return model


def batch_norms(model: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def stride_of(variant: str) -> int:
    return {"unpooled": 1, "vac": 4, "pool": 3}.get(variant.split("_")[-1], 2)


def clips(variant: str, lengths: Sequence[int] = LENGTHS) -> list[Frames]:
    """Frames of each clip, ``(T, ...)``, or those of its two streams."""
    generator = torch.Generator().manual_seed(5)

    def stream(kind: str, length: int) -> Tensor:
        shape = {"landmarks": (10,), "hand": (15,), "rgb": (3, SIDE, SIDE), "pose": (5,)}[kind]
        frames = torch.rand(length, *shape, generator=generator) * (1 if kind == "rgb" else 4)
        if kind in ("landmarks", "hand"):
            frames[:, 9] = 1.0
            frames[length // 2 :: 5] = 0.0  # frames without a hand
        return frames

    kinds = ["rgb", "pose"] if "fusion" in variant else [variant.split("_")[0]]
    made = [[stream(kind, length) for kind in kinds] for length in lengths]
    return [streams if len(streams) > 1 else streams[0] for streams in made]


def per_stream(function: Callable[..., Tensor], *frames: Frames) -> Frames:
    if isinstance(frames[0], Tensor):
        return function(*frames)
    return [function(*streams) for streams in zip(*frames, strict=True)]


def batch(frames: Sequence[Frames], extra: int = 0, fill: float = 0.0) -> tuple[Frames, Tensor]:
    """Padded with ``fill`` to ``extra`` frames more than the longest, and the lengths."""
    first = [f if isinstance(f, Tensor) else f[0] for f in frames]
    longest = max(map(len, first)) + extra

    def pad(*streams: Tensor) -> Tensor:
        out = streams[0].new_full((len(streams), longest, *streams[0].shape[1:]), fill)
        for row, stream in zip(out, streams, strict=True):
            row[: len(stream)] = stream
        return out

    return per_stream(pad, *frames), torch.tensor([len(f) for f in first])


def alone(frames: Frames) -> Frames:
    return per_stream(lambda stream: stream[None], frames)


def objective(sequence: Tensor, visual: Tensor, lengths: Tensor) -> Tensor:
    targets = torch.tensor([[1, 2, 0], [4, 0, 0], [0, 0, 0], [5, 6, 0]])
    counts = torch.tensor([2, 1, 0, 1])  # one letter at most a step, even at a stride of 4
    return fingerspelling_losses(sequence, visual, lengths, targets, counts).total


@every_variant
@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_shapes(variant: str, frames: int) -> None:
    model, stride = network(variant).eval(), stride_of(variant)
    steps = -(-frames // stride)
    padded, _ = batch(clips(variant, [frames] * 3))
    for lengths in (None, torch.tensor([frames, 1, max(frames - 1, 1)])):
        sequence, visual, out = model(padded, lengths)
        assert sequence.shape == visual.shape == (3, steps, SYMBOLS)
        assert torch.isfinite(sequence).all()
        assert torch.isfinite(visual).all()
        if lengths is None:
            assert out is None
        else:
            assert out is not None
            assert out.tolist() == [-(-n // stride) for n in lengths.tolist()]


@every_variant
@pytest.mark.parametrize("extra", [0, 1, 6])
def test_padding_changes_nothing(variant: str, extra: int) -> None:
    """In a batch, however padded and with whatever, each clip gives what it gives alone."""
    model, single = network(variant).eval(), clips(variant)
    sequence, visual, lengths = model(*batch(single, extra, fill=7.0))
    assert lengths is not None
    for k, clip in enumerate(single):
        expected = model(alone(clip))
        n = int(lengths[k])
        assert expected[0].shape[1] == n
        torch.testing.assert_close(sequence[k, :n], expected[0][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(visual[k, :n], expected[1][0], atol=1e-5, rtol=1e-5)


@every_variant
def test_padding_leaves_training_alone(variant: str) -> None:
    """Outputs, running statistics and gradients do not know how far the batch was padded."""
    results = []
    for extra, fill in ((0, 0.0), (8, 7.0)):
        model = network(variant).train()
        sequence, visual, lengths = model(*batch(clips(variant), extra, fill))
        assert lengths is not None
        inside = length_mask(lengths, sequence.shape[1])
        (sequence[inside].square().sum() + visual[inside].square().sum()).backward()
        results.append(
            [sequence[inside], visual[inside], *model.buffers()]
            + [parameter.grad for parameter in model.parameters()]
        )
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if "rgb" in v or "fusion" in v])
def test_statistics_are_those_of_the_frames_that_exist(variant: str) -> None:
    """A padded batch and its clips end to end leave the same statistics behind in the ResNet."""
    results = []
    for joined in (False, True):
        model = network(variant).train()
        single = clips(variant)
        frames, lengths = batch(single, 3, fill=7.0)
        if joined:
            frames = alone(per_stream(lambda *streams: torch.cat(streams), *single))
            lengths = torch.tensor([sum(LENGTHS)])
        model(frames, lengths)
        results.append([b for n, b in model.named_buffers() if "resnet" in n])
    assert results[0]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@every_variant
def test_frames_without_a_hand(variant: str) -> None:
    """What they hold is never looked at: not by the outputs, not by the statistics."""
    results = []
    for content in (0.0, 7.0):
        model = network(variant).train()
        frames, lengths = batch(clips(variant), 2)
        present = torch.ones(len(LENGTHS), max(LENGTHS) + 2, dtype=torch.bool)
        present[0, 3:5] = present[3, 0] = False
        for stream in [frames] if isinstance(frames, Tensor) else frames:
            stream[~present] = content
        sequence, _, out = model(frames, lengths, present)
        assert out is not None
        results.append([sequence[length_mask(out, sequence.shape[1])], *model.buffers()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@every_variant
def test_every_parameter_learns(variant: str) -> None:
    model = network(variant).train()
    sequence, visual, lengths = model(*batch(clips(variant)))
    assert lengths is not None
    objective(sequence, visual, lengths).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A bias before batch normalisation is taken out again: its gradient is rounding.
        assert name.endswith("conv.bias") or parameter.grad.abs().max() > 1e-7, name


@every_variant
def test_half_precision(variant: str) -> None:
    model = network(variant).train()
    with torch.autocast("cpu", torch.bfloat16):
        sequence, visual, lengths = model(*batch(clips(variant), 2))
        assert lengths is not None
        loss = objective(sequence, visual, lengths)
    loss.backward()
    whole = objective(*model.train()(*batch(clips(variant), 2)))
    assert loss.item() == pytest.approx(whole.item(), rel=0.05)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@every_variant
def test_save_and_load(variant: str) -> None:
    model, file = network(variant).eval(), io.BytesIO()
    parts = list(model.models) if isinstance(model, LateFusion) else [model]
    torch.save([(asdict(m.config), m.state_dict()) for m in parts], file)
    file.seek(0)
    restored = []
    for config, state in torch.load(file, weights_only=True):
        part = FingerspellingRecognizer(read_as(FingerspellingConfig, config))
        part.load_state_dict(state)
        restored.append(part)
    assert [m.config for m in restored] == [m.config for m in parts]
    again = LateFusion(restored) if len(restored) > 1 else restored[0]
    padded = batch(clips(variant))
    for one, other in zip(model(*padded), again.eval()(*padded), strict=True):
        assert torch.equal(one, other)


class SequenceLogits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        return self.model(features)[0]


def exported(module: nn.Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    ports = [{name: ("float", ("batch", "time", None))} for name in ("input", "output")]
    content = to_onnx(module, (example,), Ports(*ports))
    session = onnxruntime.InferenceSession(content)
    return lambda x: torch.from_numpy(session.run(None, {"input": x.numpy()})[0])


@pytest.mark.parametrize("variant", CONFIGS)
def test_exported_networks_give_the_same(variant: str) -> None:
    """Encoders one by one, the sequence model on their features; batch and time are free."""
    model = network(variant).eval()
    assert isinstance(model, FingerspellingRecognizer)
    example = alone(clips(variant, [6])[0])
    streams = [example] if isinstance(example, Tensor) else example
    fused = isinstance(model.encoder, EarlyFusion)
    encoders = list(model.encoder.encoders) if fused else [model.encoder]
    sequence = exported(SequenceLogits(model.sequence), model.encode(example).detach())
    networks = [exported(*pair) for pair in zip(encoders, streams, strict=True)]
    for size, length in ((1, 1), (1, 2), (3, 5), (2, 40)):
        frames, _ = batch(clips(variant, [length] * size))
        parts = [frames] if isinstance(frames, Tensor) else frames
        features = torch.cat([run(x) for run, x in zip(networks, parts, strict=True)], -1)
        with torch.no_grad():
            torch.testing.assert_close(features, model.encode(frames), atol=1e-4, rtol=1e-4)
            expected = model(frames)[0]
        np.testing.assert_allclose(sequence(features), expected, atol=1e-4)
