"""What validation logs of isolated signs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chereme.training.isolated_task import IsolatedSignTask


class Toy(IsolatedSignTask):
    data: Any = SimpleNamespace(  # type: ignore[assignment]
        classes=("a", "b"),
        entries=lambda split: [SimpleNamespace(label=label) for label in ("a", "c", "b")],
    )

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def logits(self, batch: Any) -> Any:
        raise NotImplementedError

    def set_classes(self, classes: int) -> None:
        raise NotImplementedError

    def log(self, name: str, value: Any, **how: Any) -> None:
        self._values[name] = value

    def on_dev_loss(self, loss: float) -> None:
        self._values["told"] = loss


@pytest.mark.parametrize("clips", [3, 2, 1])
def test_the_loss_is_of_the_clips_whose_gloss_is_known(clips: int) -> None:
    task = Toy()
    rows = np.log(np.array([[0.8, 0.2], [0.5, 0.5], [0.6, 0.4]], np.float32))
    task._val_logits = [rows[:1], rows[1:clips]]
    task.on_validation_epoch_end()
    chances = {3: [0.8, 0.4], 2: [0.8], 1: [0.8]}[clips]
    assert task._values["dev/loss"] == pytest.approx(-np.mean(np.log(chances)), abs=1e-6)
    assert task._values["told"] == task._values["dev/loss"]
    # The clip of another gloss counts as wrong.
    assert task._values["dev/top1"] == pytest.approx(100 / clips)
