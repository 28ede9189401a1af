"""Weights of torchvision's layout mean the same in our ResNet as in torchvision's."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
import torch
import transformers.models.resnet as resnet
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from chereme.errors import BundleError, UsageError
from chereme.nn import resnet_weights
from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.nn.resnet3d import ResNet3d, ResNet3dConfig
from chereme.nn.resnet_weights import load_resnet_weights, torchvision_name

DEPTHS, WIDTHS = (2, 1, 1, 2), (4, 6, 8, 10)
CONFIG = ResNetEncoderConfig(depths=DEPTHS, widths=WIDTHS, image_size=64)


def torchvision_state() -> dict[str, Tensor]:
    """A small ResNet in the layout of torchvision's resnet34, with its classifier."""
    torch.manual_seed(0)
    state: dict[str, Tensor] = {}

    def conv(name: str, outputs: int, inputs: int, size: int) -> None:
        state[f"{name}.weight"] = (
            torch.randn(outputs, inputs, size, size) / (inputs * size**2) ** 0.5
        )

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width) + 0.5
        state[f"{name}.bias"] = torch.randn(width) * 0.1
        state[f"{name}.running_mean"] = torch.randn(width) * 0.1
        state[f"{name}.running_var"] = torch.rand(width) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    conv("conv1", WIDTHS[0], 3, 7)
    norm("bn1", WIDTHS[0])
    inputs = WIDTHS[0]
    for stage, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True), start=1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", width, inputs, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if stage > 1 and block == 0:
                conv(f"{name}.downsample.0", width, inputs, 1)
                norm(f"{name}.downsample.1", width)
            inputs = width
    state["fc.weight"], state["fc.bias"] = torch.randn(5, inputs), torch.randn(5)
    return state


def torchvision_forward(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """He et al.'s ResNet of basic blocks, up to global average pooling, in plain functions."""

    def norm(name: str, x: Tensor) -> Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{part}"] for part in parts))

    x = norm("bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3))
    x = F.max_pool2d(torch.relu(x), 3, stride=2, padding=1)
    for stage, depth in enumerate(DEPTHS, start=1):
        for block in range(depth):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            y = torch.relu(norm(f"{name}.bn1", y))
            y = norm(f"{name}.bn2", F.conv2d(y, state[f"{name}.conv2.weight"], padding=1))
            if stride == 2:
                short = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=2)
                x = norm(f"{name}.downsample.1", short)
            x = torch.relu(x + y)
    return x.mean((2, 3))


def encoder(config: ResNetEncoderConfig = CONFIG) -> ResNetEncoder:
    torch.manual_seed(1)
    return ResNetEncoder(config).eval()


def by_hand(state: dict[str, Tensor]) -> str:
    """The hash of the names and numbers of what the network takes."""
    taken = sorted(k for k in state if not k.startswith("fc.") and "num_batches" not in k)
    return sha256(b"".join(k.encode() + state[k].numpy().tobytes() for k in taken)).hexdigest()


@pytest.mark.parametrize("name", ["resnet.pth", "resnet.safetensors"])
@pytest.mark.parametrize("counters", [True, False])
def test_a_file_in_torchvisions_layout(tmp_path: Path, name: str, counters: bool) -> None:
    state = torchvision_state()
    if not counters:  # as the files of old versions
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
    model, crops = encoder(), torch.rand(3, 3, 64, 64)
    before = model(crops)
    first = load_resnet_weights(model, tmp_path / name)
    assert first == (str(tmp_path / name), by_hand(state))
    expected = torchvision_forward(state, (crops - model.mean) / model.std)
    torch.testing.assert_close(model(crops), expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(model(crops), before, atol=1e-2)


def test_what_is_missing_misshapen_or_unknown_is_named(tmp_path: Path) -> None:
    state = torchvision_state()
    del state["layer3.0.bn2.bias"]
    state["layer4.1.conv2.weight"] = torch.zeros(10, 10, 1, 1)
    state["layer1.0.conv3.weight"] = torch.zeros(4, 4, 1, 1)  # as the bottlenecks of a ResNet50
    torch.save(state, tmp_path / "odd.pth")
    model = encoder()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(BundleError, match=r"odd\.pth: expected .*torchvision's layout") as error:
        load_resnet_weights(model, tmp_path / "odd.pth")
    message = str(error.value)
    assert "missing: layer3.0.bn2.bias;" in message
    assert "another shape: layer4.1.conv2.weight;" in message
    assert message.endswith("unknown: layer1.0.conv3.weight")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_deeper_network_is_refused(tmp_path: Path) -> None:
    torch.save(torchvision_state(), tmp_path / "resnet.pth")
    deeper = encoder(ResNetEncoderConfig(depths=(3, 4, 6, 3), widths=WIDTHS))
    with pytest.raises(BundleError, match=r"missing: layer1\.2\.conv1\.weight.* and \d+ more"):
        load_resnet_weights(deeper, tmp_path / "resnet.pth")


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["none", "text", "list", "numbers", "hostile", "safetensors"])
def test_files_of_something_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("odd.safetensors" if kind == "safetensors" else "odd.pth")
    if kind in ("text", "safetensors"):
        path.write_text("hello")
    elif kind != "none":
        contents = {"list": [1], "numbers": {"fc": 3}, "hostile": Hostile(tmp_path / "executed")}
        torch.save(contents[kind], path)
    message = "no such file" if kind == "none" else "expected a state dict of tensors"
    with pytest.raises(BundleError, match=rf"odd.*: {message}"):
        load_resnet_weights(encoder(), path)
    assert not (tmp_path / "executed").exists()


def test_scratch_changes_nothing() -> None:
    model, same = encoder(), encoder()
    assert load_resnet_weights(model, "scratch") == ("scratch", None)
    for one, other in zip(model.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(one, other)


SMALLEST = ResNetEncoderConfig(depths=(2, 2, 2, 2))


@pytest.mark.parametrize("revision", ["1a2b", None])
def test_imagenet(monkeypatch: pytest.MonkeyPatch, revision: str | None) -> None:
    asked, source = [], encoder(SMALLEST)
    source.resnet.config._commit_hash = revision
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.fill_(0.5)

    def download(name: str) -> object:
        asked.append(name)
        return source.resnet

    model = encoder(SMALLEST)
    monkeypatch.setattr(resnet.ResNetModel, "from_pretrained", staticmethod(download))
    first = load_resnet_weights(model, "imagenet")
    assert first.source == "microsoft/resnet-18" + ("@1a2b" if revision else "")
    state = source.resnet.state_dict()
    assert first.sha256 == by_hand({torchvision_name(k): v for k, v in state.items()})
    assert asked == ["microsoft/resnet-18"]
    assert all((p == 0.5).all() for p in model.parameters())


def test_imagenet_of_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures' bottleneck ResNet50 of transformers, inflated, sees what it saw."""
    monkeypatch.setattr(resnet_weights, "_FULL_WIDTHS", (4, 8))
    monkeypatch.setitem(resnet_weights._IMAGENET, ResNet3d, {(1, 2): "microsoft/resnet-50"})
    config = resnet.ResNetConfig(
        embedding_size=4, hidden_sizes=[16, 32], depths=[1, 2], layer_type="bottleneck"
    )
    torch.manual_seed(0)
    pictures = resnet.ResNetModel(config).eval()
    pretrained = staticmethod(lambda name: pictures)
    monkeypatch.setattr(resnet.ResNetModel, "from_pretrained", pretrained)
    network = ResNet3d(ResNet3dConfig("full", (1, 2), (4, 8))).eval()
    assert load_resnet_weights(network, "imagenet").source == "microsoft/resnet-50"
    crop = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        for name, kernel in network.named_parameters():
            # Of a clip that stands still; at its ends frames are missing, so the middle alone.
            if kernel.ndim == 5 and kernel.shape[2] > 1:
                middle = torch.zeros_like(kernel)
                middle[:, :, kernel.shape[2] // 2] = kernel.sum(2)
                network.get_parameter(name).copy_(middle)
        still = network(crop[:, None].expand(1, 9, 3, 32, 32))
        seen = pictures(crop).pooler_output.flatten(1)
    torch.testing.assert_close(still, seen, atol=1e-5, rtol=1e-4)


def test_imagenet_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str) -> object:
        raise OSError("offline")

    model = encoder(SMALLEST)
    before = [p.clone() for p in model.parameters()]
    monkeypatch.setattr(resnet.ResNetModel, "from_pretrained", staticmethod(download))
    with pytest.raises(BundleError, match=r"microsoft/resnet-18 can neither .*offline"):
        load_resnet_weights(model, "imagenet")
    with pytest.warns(UserWarning, match=r"microsoft/resnet-18 .*offline.* random weights"):
        assert load_resnet_weights(model, "imagenet_or_scratch") == ("scratch", None)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("source", ["imagenet", "imagenet_or_scratch"])
def test_imagenet_for_a_network_that_has_none(source: str) -> None:
    with pytest.raises(UsageError, match=r"imagenet: expected depths .*got \(2, 1, 1, 2\)"):
        load_resnet_weights(encoder(), source)
