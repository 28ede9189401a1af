"""The 1D-CNN, its patterns of kernels, and masked batch normalisation."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.nn.masking import MaskedBatchNorm, length_mask
from chereme.systems.fingerspelling.temporal import (
    KERNELS,
    TemporalConv,
    parse_kernels,
    temporal_stride,
)


@pytest.mark.parametrize("pattern", [*KERNELS, "K3,P3,K5,P2,P2", "K1"])
def test_steps_are_those_that_the_network_leaves(pattern: str) -> None:
    conv = TemporalConv(pattern, 3, 4).eval()
    frames = torch.arange(1, 50)
    expected = [conv(torch.zeros(1, n, 3), None)[0].shape[1] for n in frames.tolist()]
    assert [-(-n // temporal_stride(pattern)) for n in frames.tolist()] == expected
    _, lengths = conv(torch.zeros(49, 49, 3), frames)
    assert lengths.tolist() == expected


def test_steps_of_the_published_recipe() -> None:
    """VAC pads each clip to 4 ceil(T / 4) + 12 frames for its unpadded K5, P2, K5, P2."""
    for frames in range(1, 60):
        padded = -(-frames // 4) * 4 + 12
        assert -(-frames // temporal_stride("vac")) == ((padded - 4) // 2 - 4) // 2
    assert [temporal_stride(name) for name in ("unpooled", "default", "vac")] == [1, 2, 4]


def test_convolution_and_pooling_by_hand() -> None:
    torch.manual_seed(0)
    conv = TemporalConv("K3,P2", 2, 3).eval()
    x = torch.randn(1, 5, 2)
    weight, bias = conv.layers[0].conv.weight, conv.layers[0].conv.bias
    around = F.pad(x[0], (0, 0, 1, 1))
    rows = torch.stack(
        [torch.einsum("oik,ki->o", weight, around[t : t + 3]) + bias for t in range(5)]
    )
    rows = torch.relu(rows / (1 + 1e-5) ** 0.5)
    expected = torch.stack([rows[0:2].amax(0), rows[2:4].amax(0), rows[4]])
    torch.testing.assert_close(conv(x, None)[0][0], expected)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "got ''"),
        ("5,2", "like 'K5,P2,K5', got '5,2'"),
        ("K5,P0", "got 'K5,P0'"),
        ("paper", "expected default, vac, unpooled, or"),
        ("P2,K5", "convolution first, got 'P2,K5'"),
        ("K5,K4", "odd sizes of convolutions, got 'K5,K4'"),
    ],
)
def test_patterns_that_cannot_be(pattern: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_kernels(pattern)


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
