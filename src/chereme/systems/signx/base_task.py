"""What both stages of SignX have in common: checkpoints, seeds of steps, and the end of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from chereme.systems.signx.data import Split
from chereme.training.checkpoints import LastCheckpoint
from chereme.training.scoring import write_metrics

SPLITS: tuple[Split, ...] = ("dev", "test")


class _WholeSteps(LastCheckpoint):
    """``last.ckpt`` as `LastCheckpoint` writes it, but not between the batches of one step: the
    gradients of those before would be lost."""

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class SentenceTask(lightning.LightningModule):
    """A task on `SentenceData`. ``monitor``: what is watched on dev, the lowest being the best.

    Args:
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
    """

    monitor: ClassVar[Literal["dev/wer", "dev/loss"]]

    def __init__(self, save_every: int) -> None:
        super().__init__()
        self.save_every = save_every

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def configure_callbacks(self) -> list[ModelCheckpoint]:
        folder = self.trainer.default_root_dir
        last = _WholeSteps(folder, self.save_every)
        if not self._data.watch:
            return [last]
        best = ModelCheckpoint(
            folder, "best", monitor=self.monitor, mode="min", enable_version_counter=False
        )
        return [best, last]

    def on_fit_start(self) -> None:
        self.seed = torch.initial_seed()

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        # So that noise and dropout are the same in a run that was resumed, and others in each batch
        # and process.
        trainer = self.trainer
        number = trainer.current_epoch * self._data.steps + index
        torch.manual_seed(self.seed + number * trainer.world_size + trainer.global_rank)

    def score(self, split: Split) -> tuple[dict[str, Any] | None, list[dict[str, str]]]:
        """What ``metrics.json`` and ``readings.json`` say of a split."""
        raise NotImplementedError

    def scored(self, output: Path) -> str:
        """The checkpoint to score. Where the epochs are fewer than those between two looks at dev,
        there is no best."""
        watched = self._data.watch and (output / "best.ckpt").is_file()
        return "best.ckpt" if watched else "last.ckpt"

    def write_scores(self, output: Path, about: dict[str, Any]) -> None:
        """``metrics.json``, with what is said ``about`` the run, and ``readings.json``."""
        scores = {split: self.score(split) for split in SPLITS}
        readings = [row for _, rows in scores.values() for row in rows]
        write_metrics(output / "readings.json", {"sentences": readings})
        found = {split: result for split, (result, _) in scores.items()}
        write_metrics(output / "metrics.json", about | found)
