"""What the tasks that read isolated signs share: clips to glosses."""

from __future__ import annotations

import time
from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from chereme.metrics import top_k
from chereme.training.isolated_scoring import TOP, Predictions, gloss_ranks, score_glosses
from chereme.training.task import Task


class IsolatedSignTask(Task):
    """Clips to glosses. The glosses are those of the training clips (``data.classes``), whatever
    the network's config says of their number (``set_classes``)."""

    monitor = "dev/top1"

    # -- what a kind of network does ---------------------------------------------------------------
    @abstractmethod
    def logits(self, batch: Any) -> Tensor:
        """``(B, K)``: of the K classes."""

    def losses(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the losses by their names; ``total`` is what is minimised."""
        logits = self.logits(batch)
        return logits, {"total": F.cross_entropy(logits.float(), batch.classes)}

    @abstractmethod
    def set_classes(self, classes: int) -> None:
        """Give the network a classifier of so many classes, with random weights, unless it has."""

    # -- training ----------------------------------------------------------------------------------
    def setup(self, stage: str) -> None:
        # Known from the data alone. A checkpoint that training goes on from fills it after.
        self.set_classes(len(self.data.classes) + bool(self.data.others))

    def training_step(self, batch: Any, index: int) -> Tensor:
        logits, losses = self.losses(batch)
        self.check_losses(losses, batch.ids, logits)
        right = (logits.argmax(1) == batch.classes).float().mean()
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict({**values, "train/top1": 100 * right}, batch_size=len(batch.ids))
        return losses["total"]

    # -- validation --------------------------------------------------------------------------------
    def on_validation_epoch_start(self) -> None:
        self._val_logits: list[NDArray[np.float32]] = []

    def predict(self, batch: Any) -> NDArray[np.float32]:
        """`logits` without gradients. Choice: in full precision, whatever training is in."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            found: NDArray[np.float32] = self.logits(batch).float().cpu().numpy()
        return found

    def validation_step(self, batch: Any, index: int) -> None:
        self._val_logits.append(self.predict(batch))

    def on_validation_epoch_end(self) -> None:
        # Every process has read all clips. The sanity check before training reads a few.
        logits, classes = np.concatenate(self._val_logits), self.data.classes
        labels = [entry.label for entry in self.data.entries("dev")][: len(logits)]
        ranks = gloss_ranks(logits, labels, classes)
        for k in TOP:
            found = top_k(ranks, labels, k)
            self.log(f"dev/top{k}", found.per_instance, prog_bar=k == 1)
            self.log(f"dev/top{k}_class", found.per_class)
        column = {name: number for number, name in enumerate(classes)}
        known = [row for row, label in enumerate(labels) if label in column]
        if known:
            truth = torch.tensor([column[labels[row]] for row in known])
            loss = F.cross_entropy(torch.from_numpy(logits[known]), truth).item()
            self.log("dev/loss", loss)
            self.on_dev_loss(loss)

    def on_dev_loss(self, loss: float) -> None:
        """Called with the loss of the clips of dev whose gloss is known."""

    # -- the score ---------------------------------------------------------------------------------
    def facts(self) -> dict[str, Any]:
        return super().facts() | {"glosses": len(self.data.classes)}

    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        entries, classes = self.data.entries(split), self.data.classes
        if not entries:
            return None
        read, times = [], []
        for batch in self.batches(split):
            began = time.perf_counter()
            read.append(self.predict(batch))
            times.append((time.perf_counter() - began) / len(batch.ids))
        logits = np.concatenate(read)  # with one more column where there are other signs
        dropped, subsets = self.data.dropped(split), self.data.subsets(split)
        known = logits[:, : len(classes)]
        self._predictions[split] = Predictions.of([*entries, *dropped], classes, known, subsets)
        ranks = gloss_ranks(logits, [entry.label for entry in entries], classes)
        scored = score_glosses(ranks, entries, classes, dropped, subsets)
        return scored | {"ms_per_clip": round(1e3 * float(np.median(times)), 3)}

    def scores(self, output: Path) -> dict[str, Any]:
        """Also writes the predictions, ``dev.npz`` and ``test.npz``."""
        self._predictions: dict[str, Predictions] = {}
        found = super().scores(output)
        for split, predictions in self._predictions.items():
            predictions.save(output / f"{split}.npz")
        return found
