"""ResNet50 over space and time, for clips of whole frames.

"pseudo": pseudo-3D residual networks (Qiu, Yao and Mei 2017), which paper B cites as 3D-R50: a
convolution over space and one over time, in three arrangements that take turns. "full": every
3 x 3 convolution inflated to 3 x 3 x 3 (Carreira and Zisserman 2017), whose training it follows.

Shapes: B clips, T frames, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import BundleError, UsageError, some
from chereme.nn.frame_norm import FrameNorm, stride_mask, zero_padding

Kind = Literal["pseudo", "full"]
Arrangement = Literal["a", "b", "c", "full"]

_EXPANSION = 4
_ARRANGEMENTS: tuple[Arrangement, ...] = ("a", "b", "c")
_STEM_FRAMES: Mapping[str, int] = {"pseudo": 1, "full": 7}


@dataclass(frozen=True)
class ResNet3dConfig:
    """Sizes of `ResNet3d`; the defaults are those of ResNet50.

    ``widths``: channels inside the blocks of each stage; four times as many leave it.
    """

    kind: Kind = "pseudo"
    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (and over time), 1 x 1 convolutions beside a shortcut.

    Args:
        arrangement: of the convolutions over space S and time T: "a": T(S(x)); "b": S(x) + T(x);
            "c": S(x) + T(S(x)); "full": one over both.
    """

    def __init__(self, channels: int, width: int, stride: int, arrangement: Arrangement) -> None:
        super().__init__()
        self.arrangement = arrangement
        space = (1, stride, stride)
        frames = 3 if arrangement == "full" else 1
        self.conv1 = nn.Conv3d(channels, width, 1, bias=False)
        self.bn1 = FrameNorm(width)
        self.conv2 = nn.Conv3d(width, width, (frames, 3, 3), space, (frames // 2, 1, 1), bias=False)
        self.bn2 = FrameNorm(width)
        if arrangement != "full":
            time = space if arrangement == "b" else (1, 1, 1)
            self.temporal = nn.Conv3d(width, width, (3, 1, 1), time, (1, 0, 0), bias=False)
            self.temporal_norm = FrameNorm(width)
        self.conv3 = nn.Conv3d(width, width * _EXPANSION, 1, bias=False)
        self.bn3 = FrameNorm(width * _EXPANSION)
        self.downsample: nn.ModuleList | None = None
        if stride != 1 or channels != width * _EXPANSION:
            self.downsample = nn.ModuleList(
                [
                    nn.Conv3d(channels, width * _EXPANSION, 1, space, bias=False),
                    FrameNorm(width * _EXPANSION),
                ]
            )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(B, T, C, H, W)``, zero outside ``mask (B, T)`` -> the same of more channels."""
        y = _apply(self.conv1, self.bn1, x, mask).relu()
        space = _apply(self.conv2, self.bn2, y, mask).relu()
        if self.arrangement == "full":
            y = space
        else:
            source = y if self.arrangement == "b" else space
            y = _apply(self.temporal, self.temporal_norm, source, mask).relu()
            y = y if self.arrangement == "a" else y + space
        y = _apply(self.conv3, self.bn3, y, mask)
        if self.downsample is not None:
            conv, norm = self.downsample
            x = _apply(conv, norm, x, mask)
        return (x + y).relu()


class ResNet3d(nn.Module):
    """Clips ``(B, T, 3, H, W)`` -> features ``(B, D)``.

    Choice: time is halved after the stem and after every stage but the last two, by the larger of
    every two frames, so that of 32 frames the four stages see 16, 8, 4 and 4.

    Raises:
        UsageError: an unknown kind, or not one depth for each width.
    """

    def __init__(self, config: ResNet3dConfig) -> None:
        super().__init__()
        if config.kind not in _STEM_FRAMES:
            raise UsageError(f"kind: expected pseudo or full, got {config.kind!r}")
        if len(config.depths) != len(config.widths):
            raise UsageError(
                f"depths and widths: expected one of each a stage, got {config.depths} and "
                f"{config.widths}"
            )
        self.config = config
        channels, frames = config.widths[0], _STEM_FRAMES[config.kind]
        self.feature_dim = config.widths[-1] * _EXPANSION
        self.conv1 = nn.Conv3d(
            3, channels, (frames, 7, 7), (1, 2, 2), (frames // 2, 3, 3), bias=False
        )
        self.bn1 = FrameNorm(channels)
        self.stages: list[str] = []
        place = 0
        for stage, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
            blocks = nn.ModuleList()
            for block in range(depth):
                turn = _ARRANGEMENTS[place % 3]
                blocks.append(
                    Bottleneck(
                        channels,
                        width,
                        stride=2 if stage and not block else 1,
                        arrangement=turn if config.kind == "pseudo" else "full",
                    )
                )
                channels, place = width * _EXPANSION, place + 1
            self.stages.append(f"layer{stage + 1}")
            self.add_module(self.stages[-1], blocks)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """``mask (B, T)``: the frames that exist; what the others hold is never read.

        A clip of no frames gives zeros.
        """
        if mask is None:
            mask = frames.new_ones(frames.shape[:2]).bool()
        x = _apply(self.conv1, self.bn1, zero_padding(frames, mask), mask).relu()
        x = F.max_pool3d(x.transpose(1, 2), (1, 3, 3), (1, 2, 2), (0, 1, 1)).transpose(1, 2)
        x, mask = _halve_time(x, mask)
        for number, name in enumerate(self.stages, 1):
            for block in self.get_submodule(name).children():
                x = block(x, mask)
            if number <= len(self.stages) - 2:
                x, mask = _halve_time(x, mask)
        return x.mean((3, 4)).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)


def load_inflated(network: ResNet3d, weights: Mapping[str, Tensor]) -> None:
    """Set what ``network`` shares with a ResNet of pictures, in torchvision's layout.

    A kernel of pictures is repeated over time and divided by the number of frames, so that a clip
    that stands still gives what the picture gives (Carreira and Zisserman 2017, section 2.4.1).
    Kernels over time alone stay as they are.

    Raises:
        BundleError: weights that are missing or of another shape; nothing is changed then.
    """
    own = network.state_dict()
    # Files written by old versions of torchvision lack the counters, which nothing here reads.
    shared = [k for k in own if "temporal" not in k and not k.endswith("num_batches_tracked")]
    new: dict[str, Tensor] = {}
    wrong: list[str] = []
    for name in shared:
        kernel, found = own[name], weights.get(name)
        if found is not None and kernel.ndim == 5 and found.ndim == 4:
            times = kernel.shape[2]
            found = found[:, :, None].repeat(1, 1, times, 1, 1) / times
        if found is None or found.shape != kernel.shape:
            wrong.append(name)
        else:
            new[name] = found
    if wrong:
        raise BundleError(
            "weights of a ResNet: expected torchvision's layout and the sizes of the network; "
            f"missing or of another shape: {some(wrong)}"
        )
    network.load_state_dict(own | new)


def _apply(conv: nn.Module, norm: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    out: Tensor = norm(conv(x.transpose(1, 2)).transpose(1, 2), mask)
    return out


def _halve_time(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The larger of every two frames of ``x (B, T, C, H, W) >= 0``; a last odd one stays."""
    pairs = F.pad(x, (0, 0, 0, 0, 0, 0, 0, x.shape[1] % 2))
    pairs = pairs.reshape(len(x), -1, 2, *x.shape[2:])
    return torch.amax(pairs, 2), stride_mask(mask, 2)
