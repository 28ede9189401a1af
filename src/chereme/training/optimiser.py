"""Optimiser and learning rate of the recognisers that are trained from shards."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True)
class OptimiserConfig:
    """The defaults are ours; the paper's (section 4.2) are Adam, 1e-4, "steps" at epochs 20 and 35
    by 0.1, as in ``configs/fingerspelling/recipes/paper.yaml``.

    ``schedule``: "steps" multiplies the rate by ``gamma`` when each of the epochs ``milestones``
    begins; "one_cycle" raises it to ``learning_rate`` in the first ``warm_up`` of all steps and
    lets it fall to almost 0 until the last; "warmup_cosine" raises it in a line likewise, and lets
    it fall along a cosine to ``floor`` times ``learning_rate`` at the last (SignX, Table 2).

    ``name``: "sgd" is stochastic gradient descent with Nesterov's momentum, 0.9, as ST-GCN's
    published code trains.
    """

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["steps", "one_cycle", "warmup_cosine"] = "one_cycle"
    milestones: tuple[int, ...] = (20, 35)
    gamma: float = 0.1
    warm_up: float = 0.15
    floor: float = 0.05

    def build(self, parameters: Iterable[nn.Parameter], total_steps: int) -> dict[str, Any]:
        """What ``LightningModule.configure_optimizers`` returns."""
        kinds: dict[str, Any] = {
            "adam": torch.optim.Adam,
            "adamw": torch.optim.AdamW,
            "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
        }
        optimizer = kinds[self.name](
            parameters, lr=self.learning_rate, weight_decay=self.weight_decay
        )
        if self.schedule == "steps":
            schedule: Any = torch.optim.lr_scheduler.MultiStepLR(
                optimizer, list(self.milestones), self.gamma
            )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedule, "interval": "epoch"},
            }
        if self.schedule == "warmup_cosine":
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: warmup_cosine(step, total_steps, self.warm_up, self.floor)
            )
        else:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, self.learning_rate, total_steps=total_steps, pct_start=self.warm_up
            )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@dataclass(frozen=True)
class PlateauConfig:
    """Stochastic gradient descent, as *Hand-Model-Aware Sign Language Recognition* trains: the rate
    is multiplied by ``factor`` when the validation loss has not fallen for ``patience`` epochs.
    Choice: 5; the paper says "saturated"."""

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


def warmup_cosine(step: int, total_steps: int, warm_up: float, floor: float) -> float:
    """The share of the rate at ``step`` (the first is 0): 1 when ``warm_up`` of the steps are done,
    ``floor`` at the last and after it."""
    rising = round(warm_up * total_steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    falling = total_steps - 1 - rising
    done = min(1.0, (step - rising) / falling) if falling > 0 else 1.0
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2
