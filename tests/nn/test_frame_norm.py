"""Batch normalisation that frames which do not exist leave alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chereme.nn.frame_norm import FrameNorm, stride_mask, zero_padding

MASK = torch.tensor([[True, True, False, True], [False, True, False, False]])


def trained_norm() -> FrameNorm:
    torch.manual_seed(0)
    norm = FrameNorm(3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean = torch.randn(3)
    norm.running_var = torch.rand(3) + 0.5
    return norm


@pytest.mark.parametrize("training", [True, False])
def test_normalises_the_frames_inside_as_a_batch_of_their_own(training: bool) -> None:
    norm, packed_norm = trained_norm().train(training), nn.BatchNorm2d(3).train(training)
    packed_norm.load_state_dict(norm.state_dict())
    x = torch.randn(2, 4, 3, 5, 2)
    x[~MASK] = torch.nan
    out = norm(x, MASK)
    torch.testing.assert_close(out[MASK], packed_norm(x[MASK]))
    assert not out[~MASK].any()
    torch.testing.assert_close(norm.running_mean, packed_norm.running_mean)
    torch.testing.assert_close(norm.running_var, packed_norm.running_var)


def test_without_a_mask_all_frames_count() -> None:
    norm, x = trained_norm(), torch.randn(2, 4, 3)
    torch.testing.assert_close(norm(x), norm(x, torch.ones(2, 4, dtype=torch.bool)))


@pytest.mark.parametrize("frames", [0, 1])
def test_too_few_values_are_normalised_by_the_running_statistics(frames: int) -> None:
    norm = trained_norm().train()
    mean, x = norm.running_mean.clone(), torch.randn(1, 3, 3)
    mask = torch.arange(3)[None] < frames
    out = norm(x, mask)
    torch.testing.assert_close(out, norm.eval()(x, mask))
    torch.testing.assert_close(norm.running_mean, mean)


def test_hidden_frames_are_zeros_and_send_no_gradient() -> None:
    x = torch.randn(2, 4, 3)
    x[~MASK] = torch.inf
    x.requires_grad_()
    hidden = zero_padding(x, MASK)
    torch.testing.assert_close(hidden[MASK], x[MASK])
    assert not hidden[~MASK].any()
    hidden.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, MASK[..., None].expand(2, 4, 3).float())


def test_a_strided_mask_keeps_a_step_that_any_frame_is_in() -> None:
    mask = torch.tensor([[True, True, True, False, False], [False, False, False, True, True]])
    expected = torch.tensor([[True, True, False], [False, True, True]])
    assert torch.equal(stride_mask(mask, 2), expected)
    assert torch.equal(stride_mask(mask, 1), mask)
