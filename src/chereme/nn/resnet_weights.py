"""First weights of the ResNet: ImageNet's, or those of a file in torchvision's layout."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from chereme._imports import require
from chereme.errors import BundleError, UsageError, some
from chereme.nn.checkpoint_files import load_tensors
from chereme.nn.resnet import ResNetEncoder

_FULL_WIDTHS = (64, 128, 256, 512)
_IMAGENET: dict[tuple[int, ...], str] = {
    (3, 4, 6, 3): "microsoft/resnet-34",
    (2, 2, 2, 2): "microsoft/resnet-18",
}


def load_resnet_weights(encoder: ResNetEncoder, source: str | Path) -> str:
    """Set the weights of ``encoder`` from ``source``; what they are now, for the record.

    Args:
        encoder: changed in place.
        source: "scratch" (nothing is done), "imagenet" (downloaded, or from the cache of
            transformers; where neither can be had, a warning and "scratch"), or the path of a
            state dict of torchvision's resnet18 or resnet34, ``.pth`` or ``.safetensors``.

    Raises:
        BundleError: the file cannot be read, or has not the weights of this ResNet; those that are
            missing, of another shape, or unknown are named.
        UsageError: "imagenet" for a ResNet of which no such weights exist.
    """
    if source == "scratch":
        return "scratch"
    if source == "imagenet":
        return _load_imagenet(encoder)
    weights, own = _read(Path(source)), encoder.resnet.state_dict()
    names = {torchvision_name(key): key for key in own}
    # Files written by old versions of torchvision lack the counters, which nothing here reads.
    needed = [name for name in names if not name.endswith("num_batches_tracked")]
    found = [name for name in names if name in weights]
    problems = {
        "missing": [name for name in needed if name not in weights],
        "of another shape": [n for n in found if weights[n].shape != own[names[n]].shape],
        "unknown": [n for n in weights if n not in names and not n.startswith("fc.")],
    }
    if any(problems.values()):
        named = "; ".join(f"{kind}: {some(keys, 8)}" for kind, keys in problems.items() if keys)
        raise BundleError(
            f"{source}: expected the weights of a ResNet of depths {encoder.config.depths} and "
            f"widths {encoder.config.widths} in torchvision's layout, got {named}"
        )
    encoder.resnet.load_state_dict(own | {names[name]: weights[name] for name in found})
    return str(source)


def torchvision_name(key: str) -> str:
    """What torchvision calls the weight that transformers calls ``key``, in a ResNet of basic
    layers (resnet18, resnet34)."""
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


def _load_imagenet(encoder: ResNetEncoder) -> str:
    config = encoder.config
    name = _IMAGENET.get(tuple(config.depths))
    if name is None or tuple(config.widths) != _FULL_WIDTHS:
        raise UsageError(
            f"imagenet: expected depths {' or '.join(map(str, _IMAGENET))} and widths "
            f"{_FULL_WIDTHS}, got {config.depths} and {config.widths}; take 'scratch'"
        )
    resnet: Any = require("transformers.models.resnet", extra="train")
    try:
        pretrained = resnet.ResNetModel.from_pretrained(name)
    except OSError as error:  # what transformers raises when it is offline
        warnings.warn(
            f"the ImageNet weights {name} can neither be downloaded nor found in the cache "
            f"({error}): training starts from random weights",
            stacklevel=3,
        )
        return "scratch"
    encoder.resnet.load_state_dict(pretrained.state_dict())
    return name
