"""The fingerspelling networks and their losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chereme.decoding import ctc_log_likelihood
from chereme.models.fingerspelling import (
    FingerspellingConfig,
    FingerspellingRecognizer,
    fingerspelling_losses,
)
from chereme.models.fingerspelling.losses import ctc_loss, infeasible, kd_loss
from chereme.models.fingerspelling.recognizer import LandmarkEncoder, MaskedBatchNorm, length_mask

SMALL = FingerspellingConfig(
    num_symbols=7,
    features_per_frame=10,
    encoder_hidden=12,
    feature_dim=8,
    conv_dim=9,
    gru_hidden=6,
    dropout=0.0,
)
LENGTHS = [9, 4, 1, 7]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(**changes: object) -> FingerspellingRecognizer:
    torch.manual_seed(0)
    model = FingerspellingRecognizer(replace(SMALL, **changes))  # type: ignore[arg-type]
    for norm in (model.sequence.conv.norm1, model.sequence.conv.norm2):
        norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return model


def clips(lengths: list[int] = LENGTHS, features: int = 10) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    frames = [torch.randn(n, features, generator=generator) for n in lengths]
    for clip in frames:
        clip[:, -1] = 1.0
        clip[len(clip) // 2 :: 5] = 0.0  # frames without a hand
    return frames


def batch(frames: list[Tensor], extra: int = 0) -> tuple[Tensor, Tensor]:
    longest = max(map(len, frames)) + extra
    padded = torch.stack([F.pad(f, (0, 0, 0, longest - len(f))) for f in frames])
    return padded, torch.tensor([len(f) for f in frames])


# -- networks -------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_shapes(stride: int, steps: int) -> None:
    model = network(temporal_stride=stride).eval()
    frames = torch.randn(3, steps, 10)
    expected = -(-steps // stride)
    for lengths in (None, torch.tensor([steps, 1, max(steps - 1, 1)])):
        sequence, visual, out = model(frames, lengths)
        assert sequence.shape == visual.shape == (3, expected, 7)
        if lengths is None:
            assert out is None
        else:
            assert out.tolist() == [-(-n // stride) for n in lengths.tolist()]


@pytest.mark.parametrize("stride", [0, 3, 4])
def test_unknown_strides(stride: int) -> None:
    with pytest.raises(ValueError, match=f"expected 1 or 2, got {stride}"):
        network(temporal_stride=stride)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("extra", [0, 1, 6])
def test_padding_changes_nothing(stride: int, extra: int) -> None:
    """In a batch, however padded, each clip gives what it gives alone."""
    model = network(temporal_stride=stride).eval()
    frames = clips()
    sequence, visual, lengths = model(*batch(frames, extra))
    for k, clip in enumerate(frames):
        alone = model(clip[None])
        n = int(lengths[k])
        assert alone[0].shape[1] == n
        torch.testing.assert_close(sequence[k, :n], alone[0][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(visual[k, :n], alone[1][0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_padding_leaves_training_alone(stride: int) -> None:
    """Outputs, running statistics and gradients do not know how far the batch was padded."""
    results = []
    for extra in (0, 8):
        model = network(temporal_stride=stride).train()
        sequence, visual, lengths = model(*batch(clips(), extra))
        inside = length_mask(lengths, sequence.shape[1])
        (sequence[inside].square().sum() + visual[inside].square().sum()).backward()
        norms = (model.sequence.conv.norm1, model.sequence.conv.norm2)
        results.append(
            [sequence[inside], visual[inside]]
            + [b for norm in norms for b in (norm.running_mean, norm.running_var)]
            + [p.grad for p in model.parameters()]
        )
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_masked_batch_norm_against_the_plain_one() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 6, 4, generator=generator)
    mask = length_mask(torch.tensor([6, 2, 3]), 6)
    ours, plain = MaskedBatchNorm(4), torch.nn.BatchNorm1d(4)
    expected = plain(torch.cat([x[0], x[1, :2], x[2, :3]]))
    out = ours(x, mask)
    torch.testing.assert_close(out[mask], expected)
    assert not out[~mask].any()
    torch.testing.assert_close(ours.running_mean, plain.running_mean)
    torch.testing.assert_close(ours.running_var, plain.running_var)
    everywhere = torch.ones(3, 6, dtype=torch.bool)
    torch.testing.assert_close(ours.eval()(x), ours(x, everywhere))


def test_encoder_standardises_and_hides_absent_frames() -> None:
    torch.manual_seed(0)
    encoder = LandmarkEncoder(SMALL).eval()
    frames = torch.randn(50, 10) * 3 + 2
    frames[:, -1] = 1.0
    reference = encoder((frames - torch.cat([frames.mean(0)[:9], torch.ones(1)])) / 1.0)
    encoder.set_statistics(frames)
    torch.testing.assert_close(encoder.mean, frames.mean(0))
    torch.testing.assert_close(encoder.std[:9], frames[:, :9].std(0))
    assert encoder.std[9] > 0  # the last feature is constant
    assert reference.shape == (50, 8)
    x = ((frames - encoder.mean) / encoder.std).clamp(-6, 6)
    torch.testing.assert_close(encoder(frames), encoder.layers(x))
    frames[7] = 0.0
    out = encoder(frames)
    assert not out[7].any()
    assert out[6].any()
    outlier = frames.clone()
    outlier[6, 0] = 1e9
    further = frames.clone()
    further[6, 0] = 1e12
    torch.testing.assert_close(encoder(outlier), encoder(further))


def test_encoder_reads_frames_one_by_one() -> None:
    encoder = network().encoder.eval()
    frames, _ = batch(clips())
    torch.testing.assert_close(encoder(frames)[1, 2], encoder(frames[1, 2]))


@pytest.mark.parametrize("stride", [1, 2])
def test_every_parameter_learns(stride: int) -> None:
    model = network(temporal_stride=stride).train()
    sequence, visual, lengths = model(*batch(clips()))
    targets = torch.tensor([[1, 2, 3], [4, 0, 0], [0, 0, 0], [5, 6, 0]])
    losses = fingerspelling_losses(sequence, visual, lengths, targets, torch.tensor([3, 1, 0, 2]))
    losses.total.backward()
    # A bias before batch normalisation is taken out again: its gradient is zero but for rounding.
    idle = {"sequence.conv.conv1.bias", "sequence.conv.conv2.bias"}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert name in idle or parameter.grad.abs().max() > 1e-7, name


def test_default_model_is_small() -> None:
    """Under 8 MB as float32, encoder, CNN, BiGRU and both classifiers together."""
    model = FingerspellingRecognizer(FingerspellingConfig())
    assert sum(p.numel() for p in model.parameters()) * 4 < 8e6


# -- losses ---------------------------------------------------------------------------------------
def golden() -> tuple[Tensor, Tensor]:
    """conv = sin(k), seq = cos(k), k = 0..29, of shape (T, B, C) = (3, 2, 5), here (B, T, C)."""
    k = torch.arange(30, dtype=torch.float64).reshape(3, 2, 5)
    return k.sin().transpose(0, 1), k.cos().transpose(0, 1)


@pytest.mark.parametrize(
    ("temperature", "blank", "expected"),
    [
        (2.0, True, 0.44435858865),
        (2.0, False, 0.34036782925),
        (8.0, True, 0.45287634276),
        (8.0, False, 0.34869266163),
    ],
)
def test_distillation_golden_numbers(temperature: float, blank: bool, expected: float) -> None:
    """Made by running the published formula; see the reference facts of VAC."""
    loss = kd_loss(*golden(), torch.tensor([3, 3]), temperature=temperature, blank=blank)
    assert loss.item() == pytest.approx(expected, abs=1e-10)


def test_distillation_leaves_padding_out_and_the_teacher_alone() -> None:
    visual, sequence = (x.clone().requires_grad_() for x in golden())
    loss = kd_loss(visual, sequence, torch.tensor([3, 1]))
    rows = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 0]]).T
    student = (visual[tuple(rows)] / 2).log_softmax(-1)
    teacher = (sequence[tuple(rows)] / 2).softmax(-1)
    expected = 4 * (teacher * (teacher.log() - student)).sum() / 4
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert sequence.grad is None
    assert visual.grad is not None
    assert not visual.grad[1, 1:].any()
    assert visual.grad[0].abs().min() > 0


def test_distillation_of_equals_is_zero() -> None:
    logits = golden()[0]
    assert kd_loss(logits, logits + 5.0, torch.tensor([3, 2])).item() == pytest.approx(0, abs=1e-12)


def test_ctc_is_the_mean_negative_log_likelihood() -> None:
    torch.manual_seed(3)
    logits = torch.randn(4, 9, 7, dtype=torch.float64)
    lengths, texts = [9, 5, 3, 6], [[1, 1, 2], [6, 5, 4, 3], [2], []]
    targets = torch.tensor([t + [0] * (4 - len(t)) for t in texts])
    expected = [
        -ctc_log_likelihood(row[:n].log_softmax(-1).numpy(), text)
        for row, n, text in zip(logits, lengths, texts, strict=True)
    ]
    loss = ctc_loss(logits, torch.tensor(lengths), targets, torch.tensor([len(t) for t in texts]))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_too_short_clips_count_as_zero() -> None:
    torch.manual_seed(3)
    logits = torch.randn(2, 4, 7, dtype=torch.float64, requires_grad=True)
    targets, lengths = torch.tensor([[1, 2, 3], [4, 4, 4]]), torch.tensor([4, 4])
    loss = ctc_loss(logits, lengths, targets, torch.tensor([3, 3]))
    feasible = -ctc_log_likelihood(logits[0].detach().log_softmax(-1).numpy(), [1, 2, 3])
    assert loss.item() == pytest.approx(feasible / 2, rel=1e-9)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_infeasible_is_where_the_likelihood_is_zero(steps: int) -> None:
    texts = [[], [1], [1, 2], [1, 1], [1, 1, 1], [2, 1, 1, 3]]
    targets = torch.tensor([t + [0] * (4 - len(t)) for t in texts])
    uniform = np.full((steps, 7), -np.log(7))
    expected = [bool(np.isneginf(ctc_log_likelihood(uniform, t))) for t in texts]
    found = infeasible(torch.full((6,), steps), targets, torch.tensor([len(t) for t in texts]))
    assert found.tolist() == expected


def test_total_is_the_weighted_sum() -> None:
    torch.manual_seed(0)
    arguments = (
        torch.randn(2, 6, 7),
        torch.randn(2, 6, 7),
        torch.tensor([6, 4]),
        torch.tensor([[1, 2], [3, 0]]),
        torch.tensor([2, 1]),
    )
    losses = fingerspelling_losses(*arguments, kd_weight=3.0, temperature=4.0)
    assert losses.l_seq.item() == pytest.approx(ctc_loss(arguments[0], *arguments[2:]).item())
    assert losses.l_vis.item() == pytest.approx(ctc_loss(arguments[1], *arguments[2:]).item())
    kd = kd_loss(arguments[1], arguments[0], arguments[2], temperature=4.0)
    assert losses.l_kd.item() == pytest.approx(kd.item())
    assert losses.total.item() == pytest.approx((losses.l_seq + losses.l_vis + 3 * kd).item())
