"""The ResNet over space and time: masks, and weights that come from a ResNet of pictures."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from chereme.errors import BundleError, UsageError
from chereme.nn.resnet3d import ResNet3d, ResNet3dConfig, load_inflated

KINDS = ["pseudo", "full"]


def tiny(kind: str, seed: int = 0) -> ResNet3d:
    torch.manual_seed(seed)
    return ResNet3d(ResNet3dConfig(kind=kind, depths=(1, 1, 1), widths=(4, 4, 6)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_nothing(kind: str, training: bool) -> None:
    network, other = tiny(kind).train(training), tiny(kind).train(training)
    frames = torch.rand(2, 5, 3, 32, 32)
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    padded = torch.full((2, 8, 3, 32, 32), torch.nan)
    padded[:, :5] = frames.where(mask[..., None, None, None], torch.inf)
    out = network(frames, mask)
    torch.testing.assert_close(out, other(padded, F.pad(mask, (0, 3))))
    for (name, one), two in zip(network.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two, msg=name)
    assert out.shape == (2, network.feature_dim) == (2, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_one_frame_and_none(kind: str) -> None:
    network, frames = tiny(kind).train(), torch.rand(2, 3, 3, 32, 32)
    mask = torch.tensor([[True, False, False], [False] * 3])
    out = network(frames, mask)
    assert torch.isfinite(out).all()
    assert out[0].any()
    assert not out[1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_time_matters_and_every_parameter_learns(kind: str) -> None:
    network = tiny(kind).train()
    frames = torch.rand(2, 6, 3, 32, 32)
    (network(frames) * torch.randn(24)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    network.eval()
    swapped = frames[:, [0, 1, 4, 5, 2, 3]]
    assert not torch.allclose(network(frames), network(swapped))


def test_arrangements_take_turns() -> None:
    network = ResNet3d(ResNet3dConfig(depths=(2, 2), widths=(4, 4)))
    blocks = [*network.layer1, *network.layer2]
    assert [block.arrangement for block in blocks] == ["a", "b", "c", "a"]
    x = torch.rand(1, 3, 16, 8, 8)
    mask = torch.ones(1, 3, dtype=torch.bool)
    for block in blocks[1:]:
        block.eval()
        torch.nn.init.zeros_(block.temporal.weight)  # what is left is S(x), or nothing
        x = block(x, mask)
    y = torch.rand(1, 3, 16, 4, 4)
    last = blocks[3]
    torch.testing.assert_close(
        last(y, mask),
        (y + last.bn3(last.conv3(torch.zeros(1, 4, 3, 4, 4)).transpose(1, 2), mask)).relu(),
    )


def picture_weights(network: ResNet3d) -> dict[str, torch.Tensor]:
    """What a ResNet of pictures of the same sizes would have, kernels 4-D."""
    weights = {}
    for name, value in network.state_dict().items():
        if "temporal" not in name:
            weights[name] = torch.randn_like(value[:, :, 0]) if value.ndim == 5 else value
    return weights | {"fc.weight": torch.zeros(2, 24)}


def test_inflated_kernels_see_a_still_clip_as_the_picture() -> None:
    network = tiny("full").eval()
    weights = picture_weights(network)
    load_inflated(network, weights)
    picture = torch.rand(1, 3, 32, 32)
    still = picture[:, None].expand(1, 9, 3, 32, 32)
    got = network.conv1(still.transpose(1, 2))[:, :, 4]  # 7 frames fit inside there
    expected = F.conv2d(picture, weights["conv1.weight"], stride=2, padding=3)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_kernels_over_time_are_kept_and_missing_weights_named() -> None:
    network = tiny("pseudo")
    before = network.layer1[0].temporal.weight.clone()
    weights = picture_weights(network)
    load_inflated(network, weights)
    torch.testing.assert_close(network.layer1[0].temporal.weight, before)
    torch.testing.assert_close(
        network.layer2[0].conv2.weight[:, :, 0], weights["layer2.0.conv2.weight"]
    )
    del weights["layer2.0.conv2.weight"]
    weights["conv1.weight"] = torch.zeros(4, 3, 3, 3)
    with pytest.raises(BundleError, match=r"conv1\.weight, layer2\.0\.conv2\.weight"):
        load_inflated(network, weights)


def test_wrong_settings_are_told() -> None:
    with pytest.raises(UsageError, match="pseudo or full"):
        ResNet3d(ResNet3dConfig(kind="2d"))
    with pytest.raises(UsageError, match="one of each"):
        ResNet3d(ResNet3dConfig(depths=(1, 1)))
