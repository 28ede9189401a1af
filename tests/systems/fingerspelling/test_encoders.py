"""Frame encoders: what each makes of a frame, and of frames that are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from chereme.errors import UsageError
from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.systems.fingerspelling.encoders import (
    HandEncoder,
    HandEncoderConfig,
    LandmarkEncoder,
    LandmarkEncoderConfig,
    VectorEncoder,
    VectorEncoderConfig,
)

LANDMARKS = LandmarkEncoderConfig(features_per_frame=10, hidden=12, feature_dim=8, dropout=0.0)
TINY = ResNetEncoderConfig(depths=(1, 1), widths=(4, 6), image_size=32)


# -- landmarks ------------------------------------------------------------------------------------
def test_landmarks_are_standardised_and_absent_frames_hidden() -> None:
    torch.manual_seed(0)
    encoder = LandmarkEncoder(LANDMARKS).eval()
    frames = torch.randn(50, 10) * 3 + 2
    frames[:, -1] = 1.0
    encoder.set_statistics(frames)
    torch.testing.assert_close(encoder.mean, frames.mean(0))
    torch.testing.assert_close(encoder.std[:9], frames[:, :9].std(0))
    assert encoder.std[9] > 0  # the last feature is constant
    x = ((frames - encoder.mean) / encoder.std).clamp(-6, 6)
    torch.testing.assert_close(encoder(frames), encoder.layers(x))
    frames[7] = 0.0
    out = encoder(frames)
    assert not out[7].any()
    assert out[6].any()
    outlier, further = frames.clone(), frames.clone()
    outlier[6, 0], further[6, 0] = 1e9, 1e12
    torch.testing.assert_close(encoder(outlier), encoder(further))


def test_landmarks_are_read_frame_by_frame() -> None:
    encoder, frames = LandmarkEncoder(LANDMARKS).eval(), torch.ones(2, 5, 10)
    frames[1, 2, :9] = torch.randn(9)
    torch.testing.assert_close(encoder(frames)[1, 2], encoder(frames[1, 2]))


# -- landmarks and vectors ------------------------------------------------------------------------
HAND = HandEncoderConfig(LANDMARKS, 7, hidden=9, feature_dim=6, dropout=0.0, branch_dropout=0.3)


def hand_frames(*shape: int) -> torch.Tensor:
    frames = torch.randn(*shape, 17) * 3 + 2
    frames[..., 9] = 1.0
    return frames


def test_both_branches_are_standardised() -> None:
    torch.manual_seed(0)
    encoder, frames = HandEncoder(HAND).eval(), hand_frames(50)
    frames[30:, 10:] = 0.0  # hands of which there is no picture
    encoder.set_statistics(frames)
    torch.testing.assert_close(encoder.landmarks.mean, frames[:, :10].mean(0))
    torch.testing.assert_close(encoder.vectors.mean, frames[:30, 10:].mean(0))
    torch.testing.assert_close(encoder.vectors.std, frames[:30, 10:].std(0))
    out = encoder(frames)
    assert out.shape == (50, encoder.feature_dim) == (50, 14)
    torch.testing.assert_close(out[:, :8], encoder.landmarks(frames[:, :10]))
    x = ((frames[:30, 10:] - encoder.vectors.mean) / encoder.vectors.std).clamp(-6, 6)
    torch.testing.assert_close(out[:30, 8:], encoder.vectors.layers(x))
    assert not out[30:, 8:].any()
    encoder.set_statistics(frames[30:])  # not one vector: the statistics stay
    torch.testing.assert_close(encoder.vectors.mean, frames[:30, 10:].mean(0))


def test_hands_are_read_frame_by_frame_and_only_inside_the_mask() -> None:
    encoder, frames = HandEncoder(HAND).eval(), hand_frames(2, 5)
    torch.testing.assert_close(encoder(frames)[1, 2], encoder(frames[1, 2]))
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[0, 3:] = False
    out = encoder(frames, mask)
    assert not out[~mask].any()
    torch.testing.assert_close(out[mask], encoder(frames)[mask])


def test_a_branch_is_left_out_of_whole_clips_in_training() -> None:
    torch.manual_seed(0)
    encoder, frames = HandEncoder(HAND).train(), hand_frames(2000, 3)
    kept = torch.stack([part.flatten(1).any(1) for part in encoder(frames).split([8, 6], -1)])
    assert kept.any(0).all()  # never both
    torch.testing.assert_close(kept.float().mean(1), torch.tensor([0.7, 0.7]), atol=0.04, rtol=0)
    each_frame = encoder(frames)[..., 8:].any(-1)
    assert (each_frame.all(1) | ~each_frame.any(1)).all()
    assert encoder.eval()(frames).split([8, 6], -1)[1].any(-1).all()


# -- crops ----------------------------------------------------------------------------------------
def test_crops_are_standardised_by_imagenet() -> None:
    torch.manual_seed(0)
    encoder, crops = ResNetEncoder(TINY).eval(), torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    standard = ((crops.movedim(1, -1) - mean) / std).movedim(-1, 1)
    expected = encoder.resnet(standard).last_hidden_state.mean((2, 3))  # global average pooling
    torch.testing.assert_close(encoder(crops), expected)
    assert encoder(crops).shape == (2, 6)
    assert not {"mean", "std"} & encoder.state_dict().keys()


def test_crops_are_read_frame_by_frame() -> None:
    encoder, crops = ResNetEncoder(TINY).eval(), torch.rand(2, 3, 3, 32, 32)
    assert encoder(crops).shape == (2, 3, 6)
    torch.testing.assert_close(encoder(crops)[1, 2:], encoder(crops[1, 2:]))


def test_features_of_another_width() -> None:
    encoder = ResNetEncoder(replace(TINY, features=9)).eval()
    crops = torch.rand(2, 3, 3, 32, 32)
    assert encoder.feature_dim == 9
    plain = ResNetEncoder(TINY).eval()
    plain.resnet.load_state_dict(encoder.resnet.state_dict())
    assert encoder.head is not None
    torch.testing.assert_close(encoder(crops), encoder.head(plain(crops)))


def test_only_crops_inside_the_mask_go_through_the_network() -> None:
    encoder, seen = ResNetEncoder(TINY).train(), []
    encoder.resnet.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    mask = torch.tensor([[True, True, True], [True, False, False]])
    crops = torch.rand(2, 3, 3, 32, 32)
    crops[~mask] = float("nan")
    out = encoder(crops, mask)
    assert seen == [4]
    assert not out[~mask].any()
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics(frozen: bool) -> None:
    config = ResNetEncoderConfig(TINY.depths, TINY.widths, 32, frozen_statistics=frozen)
    encoder = ResNetEncoder(config).train()
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    crops = torch.rand(5, 3, 32, 32)
    encoder(crops).sum().backward()
    unchanged = [torch.equal(v, before[n]) for n, v in encoder.named_buffers() if "running" in n]
    assert unchanged == [frozen] * len(unchanged)
    assert unchanged
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.weight.grad is not None for norm in norms)  # scale and shift still learn
    assert encoder.training
    assert not encoder.eval().training


def test_depths_and_widths_go_together() -> None:
    with pytest.raises(UsageError, match=r"one of each a stage, got \(3, 4, 6, 3\) and \(8, 9\)"):
        ResNetEncoder(ResNetEncoderConfig(widths=(8, 9)))


def test_default_is_the_resnet34() -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder(ResNetEncoderConfig())
    assert encoder.feature_dim == 512
    # 21,797,672 of the published ResNet34, less its classifier of 512 x 1000 + 1000.
    assert sum(p.numel() for p in encoder.parameters()) == 21_797_672 - 513_000


# -- teacher vectors ------------------------------------------------------------------------------
def test_vectors_are_passed_on() -> None:
    vectors = torch.randn(2, 3, 5)
    assert torch.equal(VectorEncoder(VectorEncoderConfig(5))(vectors), vectors)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    vectors[1, 1:] = float("nan")
    out = VectorEncoder(VectorEncoderConfig(5))(vectors, mask)
    assert not out[1, 1:].any()
    assert torch.equal(out[mask], vectors[mask])


def test_vectors_brought_to_one_scale() -> None:
    vectors = torch.randn(2, 3, 50) * 20 + 4
    layer = VectorEncoder(VectorEncoderConfig(50, "layer"))(vectors)
    torch.testing.assert_close(layer.mean(-1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.var(-1, correction=0), torch.ones(2, 3))
    torch.testing.assert_close(
        layer.diff(dim=-1) / layer.diff(dim=-1)[..., :1],
        vectors.diff(dim=-1) / vectors.diff(dim=-1)[..., :1],
        rtol=1e-3,
        atol=1e-3,
    )
    length = VectorEncoder(VectorEncoderConfig(50, "length"))(vectors)
    torch.testing.assert_close(length * vectors.norm(dim=-1, keepdim=True), vectors)
    assert not VectorEncoder(VectorEncoderConfig(50, "layer"))(torch.zeros(1, 50)).any()
