"""First weights of the ResNet: ImageNet's, or those of a file in torchvision's layout."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from chereme._imports import require
from chereme.errors import BundleError, UsageError, some
from chereme.nn.checkpoint_files import load_tensors, weights_sha256
from chereme.nn.resnet import ResNetEncoder
from chereme.nn.resnet3d import ResNet3d, load_inflated

_FULL_WIDTHS = (64, 128, 256, 512)
_IMAGENET: dict[type, dict[tuple[int, ...], str]] = {
    ResNetEncoder: {(3, 4, 6, 3): "microsoft/resnet-34", (2, 2, 2, 2): "microsoft/resnet-18"},
    ResNet3d: {(3, 4, 6, 3): "microsoft/resnet-50"},
}


class FirstWeights(NamedTuple):
    """What training began with: ``source`` is "scratch", a model of the hub or a file; ``sha256``
    is that of the weights (`weights_sha256`), None of random ones."""

    source: str
    sha256: str | None = None


def load_resnet_weights(network: ResNetEncoder | ResNet3d, source: str | Path) -> FirstWeights:
    """Set the weights of ``network`` from ``source``; what they are now, for the record.

    Args:
        network: changed in place; of a `ResNet3d` what it shares with a ResNet of pictures
            (`load_inflated`).
        source: "scratch" (nothing is done), "imagenet" (downloaded, or from the cache of
            transformers), "imagenet_or_scratch" (where these cannot be had, a warning and
            "scratch"), or the path of a state dict of torchvision's resnet18, resnet34 or, for
            `ResNet3d`, resnet50, ``.pth`` or ``.safetensors``.

    Raises:
        BundleError: the file cannot be read, or has not the weights of this ResNet; those that are
            missing, of another shape, or unknown are named. Or ImageNet's cannot be had.
        UsageError: "imagenet" for a ResNet of which no such weights exist.
    """
    if source == "scratch":
        return FirstWeights("scratch")
    if source in ("imagenet", "imagenet_or_scratch"):
        try:
            name, weights = _imagenet(network)
        except BundleError as error:
            if source == "imagenet":
                raise
            warnings.warn(f"{error}: training starts from random weights", stacklevel=2)
            return FirstWeights("scratch")
    else:
        name, weights = str(source), _read(Path(source))
    # Files written by old versions of torchvision lack the counters, which nothing here reads.
    weights = {
        key: value
        for key, value in weights.items()
        if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
    }
    if isinstance(network, ResNet3d):
        load_inflated(network, weights)
    else:
        _load(network, weights, name)
    return FirstWeights(name, weights_sha256(weights))


def _load(encoder: ResNetEncoder, weights: Mapping[str, Tensor], source: str) -> None:
    own = encoder.resnet.state_dict()
    names = {torchvision_name(k): k for k in own if not k.endswith("num_batches_tracked")}
    found = [name for name in names if name in weights]
    problems = {
        "missing": [name for name in names if name not in weights],
        "of another shape": [n for n in found if weights[n].shape != own[names[n]].shape],
        "unknown": [n for n in weights if n not in names],
    }
    if any(problems.values()):
        named = "; ".join(f"{kind}: {some(keys, 8)}" for kind, keys in problems.items() if keys)
        raise BundleError(
            f"{source}: expected the weights of a ResNet of depths {encoder.config.depths} and "
            f"widths {encoder.config.widths} in torchvision's layout, got {named}"
        )
    encoder.resnet.load_state_dict(own | {names[name]: weights[name] for name in found})


def torchvision_name(key: str) -> str:
    """What torchvision calls the weight that transformers calls ``key``, in a ResNet (resnet18,
    resnet34, resnet50)."""
    kinds = {"convolution": "conv", "normalization": "bn"}
    stem = re.fullmatch(r"embedder\.embedder\.(\w+)\.(\w+)", key)
    if stem:
        return f"{kinds[stem[1]]}1.{stem[2]}"
    block = re.fullmatch(r"encoder\.stages\.(\d)\.layers\.(\d+)\.(.+)\.(\w+)\.(\w+)", key)
    if block is None:
        raise ValueError(f"expected the name of a weight of transformers' ResNet, got {key!r}")
    stage, index, part, kind, name = block.groups()
    if part == "shortcut":
        part = f"downsample.{list(kinds).index(kind)}"
    else:
        part = f"{kinds[kind]}{int(part.removeprefix('layer.')) + 1}"
    return f"layer{int(stage) + 1}.{index}.{part}.{name}"


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise BundleError(
            f"{path}: no such file; expected 'scratch', 'imagenet' or a state dict of torchvision"
        )
    safetensors: Any = require("safetensors.torch", extra="train")
    try:
        if path.suffix == ".safetensors":
            state: Any = safetensors.load_file(path)
        else:
            state = load_tensors(path, expected="a state dict of tensors")
    except BundleError:
        raise
    except Exception as error:  # on bytes that are no such file safetensors stumbles in many ways
        raise BundleError(
            f"{path}: expected a state dict of tensors, got something else ({error})"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BundleError(f"{path}: expected a state dict of tensors, got {type(state).__name__}")
    return dict(state)


def _imagenet(network: ResNetEncoder | ResNet3d) -> tuple[str, dict[str, Tensor]]:
    """The name of the model, with its revision where that is known, and its weights in
    torchvision's layout."""
    config, known = network.config, _IMAGENET[type(network)]
    name = known.get(tuple(config.depths))
    if name is None or tuple(config.widths) != _FULL_WIDTHS:
        raise UsageError(
            f"imagenet: expected depths {' or '.join(map(str, known))} and widths "
            f"{_FULL_WIDTHS}, got {config.depths} and {config.widths}; take 'scratch'"
        )
    resnet: Any = require("transformers.models.resnet", extra="train")
    try:
        pretrained = resnet.ResNetModel.from_pretrained(name)
    except OSError as error:  # what transformers raises when it is offline
        raise BundleError(
            f"imagenet: the weights {name} can neither be downloaded nor found in the cache of "
            f"transformers ({error}); give a file in torchvision's layout, or take "
            "'imagenet_or_scratch' or 'scratch'"
        ) from error
    revision = getattr(pretrained.config, "_commit_hash", None)
    weights = {torchvision_name(key): value for key, value in pretrained.state_dict().items()}
    return (f"{name}@{revision}" if revision else name), weights
