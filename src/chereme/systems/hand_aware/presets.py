"""Named recognisers, and how the paper trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from chereme.errors import UsageError
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.nn.st_gcn import StGcnConfig
from chereme.systems.hand_aware.losses import LossConfig
from chereme.systems.hand_aware.recognizer import HandAwareConfig

PRESETS: Mapping[str, HandAwareConfig] = {
    # What the paper prints, to the letter: joints as Eq. 2 gives them, Eq. 4 with its exponents,
    # and the partition of the code that it builds on.
    "paper": HandAwareConfig(
        frame="hand", graph=StGcnConfig(normalisation="printed"), distances="upstream"
    ),
    # The same sizes, with our readings.
    "default": HandAwareConfig(),
    # For a laptop: a ResNet18 of half the widths on 112 x 112 crops, and half an ST-GCN.
    "small": HandAwareConfig(
        rgb=ResNetEncoderConfig(depths=(2, 2, 2, 2), widths=(32, 64, 128, 256), image_size=112),
        graph=StGcnConfig(channels=(32, 32, 64, 64, 128), strides=(1, 1, 2, 1, 2)),
    ),
}
# The losses as printed but for the order of alpha, which the paper's own words contradict.
PAPER_LOSSES = LossConfig(root_weight=0.0, reduction="sum")


def preset(name: str) -> HandAwareConfig:
    """The recogniser of that name; UsageError with the names there are."""
    if name not in PRESETS:
        raise UsageError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


@dataclass(frozen=True)
class OptimiserConfig:
    """Stochastic gradient descent; the rate is multiplied by ``factor`` when the validation loss
    has not fallen for ``patience`` epochs. Choice: 5; the paper says "saturated"."""

    learning_rate: float = 5e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    factor: float = 0.1
    patience: int = 5

    def build(
        self, parameters: Iterable[nn.Parameter]
    ) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.ReduceLROnPlateau]:
        """The optimiser, and the schedule to be told of each epoch's validation loss."""
        optimizer = torch.optim.SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=self.factor, patience=self.patience
        )
