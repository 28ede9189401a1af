"""ResNet of basic layers on pictures of hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chereme._imports import require
from chereme.errors import UsageError
from chereme.nn.masking import scatter_masked

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ResNetEncoderConfig:
    """Sizes of `ResNetEncoder`; the defaults are the paper's ResNet34 (section 3.2.1).

    ``image_size`` is the side of the crops that it is trained on and served with, in pixels.
    ``frozen_statistics`` keeps batch normalisation at the statistics that were loaded: at two clips
    a batch, those of neighbouring frames say little about other clips. ``features``: width of a
    linear layer after the pooling; None, as in the paper: there is none.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    image_size: int = 256
    frozen_statistics: bool = False
    features: int | None = None


class ResNetEncoder(nn.Module):
    """ResNet of basic layers and global average pooling on hand crops (section 3.2.1).

    Crops are RGB, float, 0 to 1: ``(..., 3, S, S)`` -> ``(..., D)``, D the last width. ImageNet's
    mean and spread are taken out here, so that training and serving cannot differ in it.

    Only the crops inside the mask go through the network: padding neither touches the statistics of
    batch normalisation (the paper's masked batch normalisation) nor costs time.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ResNetEncoderConfig) -> None:
        super().__init__()
        if len(config.depths) != len(config.widths):
            raise UsageError(
                f"depths and widths: expected one of each a stage, got {config.depths} and "
                f"{config.widths}"
            )
        self.config = config
        self.feature_dim = config.features or config.widths[-1]
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        resnet: Any = require("transformers.models.resnet", extra="train")
        self.resnet: nn.Module = resnet.ResNetModel(
            resnet.ResNetConfig(
                embedding_size=config.widths[0],
                hidden_sizes=list(config.widths),
                depths=list(config.depths),
                layer_type="basic",
            )
        )
        self.head = nn.Linear(config.widths[-1], config.features) if config.features else None

    def train(self, mode: bool = True) -> ResNetEncoder:
        super().train(mode)
        if self.config.frozen_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            return scatter_masked(self.forward(frames[mask]), mask)
        crops = (frames.flatten(0, -4) - self.mean) / self.std
        if not torch.onnx.is_in_onnx_export():  # ONNX knows no such thing
            # Convolutions follow the layout of what they read; weights are packed anew anyway.
            crops = crops.contiguous(memory_format=torch.channels_last)
        pooled: Tensor = self.resnet(crops).pooler_output.flatten(1)
        if self.head is not None:
            pooled = self.head(pooled)
        return pooled.reshape(*frames.shape[:-3], self.feature_dim)
