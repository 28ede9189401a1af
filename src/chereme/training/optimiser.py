"""Optimiser and learning rate of the recognisers that are trained from shards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True)
class OptimiserConfig:
    """The defaults are ours; the paper's (section 4.2) are Adam, 1e-4, "steps" at epochs 20 and 35
    by 0.1, as in ``configs/fingerspelling/paper.yaml``.

    ``schedule``: "steps" multiplies the rate by ``gamma`` when each of the epochs ``milestones``
    begins; "one_cycle" raises it to ``learning_rate`` in the first ``warm_up`` of all steps and
    lets it fall to almost 0 until the last.
    """

    name: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["steps", "one_cycle"] = "one_cycle"
    milestones: tuple[int, ...] = (20, 35)
    gamma: float = 0.1
    warm_up: float = 0.15

    def build(self, parameters: Iterable[nn.Parameter], total_steps: int) -> dict[str, Any]:
        """What ``LightningModule.configure_optimizers`` returns."""
        kind = torch.optim.Adam if self.name == "adam" else torch.optim.AdamW
        optimizer = kind(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        if self.schedule == "steps":
            schedule: Any = torch.optim.lr_scheduler.MultiStepLR(
                optimizer, list(self.milestones), self.gamma
            )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedule, "interval": "epoch"},
            }
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=total_steps, pct_start=self.warm_up
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
