"""Frames in chunks: the same features, gradients and statistics, in less memory."""

from __future__ import annotations

import copy

import pytest
import torch

from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.systems.fingerspelling.encoders import (
    EarlyFusion,
    VectorEncoder,
    VectorEncoderConfig,
    resnet_of,
)
from chereme.training.memory import ChunkedResNet

pytestmark = pytest.mark.usefixtures("one_thread")


def pair(frozen: bool) -> tuple[ResNetEncoder, ResNetEncoder]:
    torch.manual_seed(0)
    config = ResNetEncoderConfig((1, 1), (4, 8), 16, frozen_statistics=frozen)
    encoder = ResNetEncoder(config).train()
    return encoder, copy.deepcopy(encoder)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = mask[0, 1] = False
    return torch.rand(2, 5, 3, 16, 16), mask


@pytest.mark.parametrize("frames", [1, 3, 7, 100])
def test_same_features_and_gradients(batch, frames: int) -> None:
    crops, mask = batch
    one, other = pair(frozen=True)
    whole, chunked = one(crops, mask), ChunkedResNet(other, frames)(crops, mask)
    torch.testing.assert_close(chunked, whole)
    for features in (whole, chunked):
        features.square().sum().backward()
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-4, atol=1e-6)


def test_no_activations_are_kept(batch) -> None:
    """The graph holds the crops and the mask, and nothing of the layers between."""
    crops, mask = batch
    _, encoder = pair(frozen=True)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: kept.append(x.numel()) or x, lambda x: x
    ):
        encoder(crops, mask)
        whole = sum(kept)
        kept.clear()
        ChunkedResNet(encoder, 2)(crops, mask)
    assert sum(kept) <= crops[mask].numel() + mask.numel() < whole / 3


def test_chunks_count_once_in_the_statistics(batch) -> None:
    crops, mask = batch
    expected, encoder = pair(frozen=False)
    for part in crops[mask].split(4):
        expected(part)
    ChunkedResNet(encoder, 4)(crops, mask).sum().backward()
    for (name, one), other in zip(expected.named_buffers(), encoder.buffers(), strict=True):
        if "num_batches" not in name:
            torch.testing.assert_close(other, one, msg=name)
    assert {m.momentum for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}


def test_evaluation_is_not_chunked(batch) -> None:
    crops, mask = batch
    one, other = pair(frozen=False)
    torch.testing.assert_close(ChunkedResNet(other, 2).eval()(crops, mask), one.eval()(crops, mask))


def test_which_resnet() -> None:
    encoder, _ = pair(frozen=False)
    vectors = VectorEncoder(VectorEncoderConfig(4))
    assert resnet_of(encoder) is encoder
    assert resnet_of(EarlyFusion([encoder, vectors])) is encoder
    assert resnet_of(vectors) is None
