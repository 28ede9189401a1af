"""When checkpoints are written, so that a run can be cut off anywhere and go on."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint


class LastCheckpoint(ModelCheckpoint):
    """``last.ckpt``: after each epoch, every ``save_every`` batches (0: not), and where
    ``trainer.max_time`` or a signal ends training within an epoch.

    Lightning would count an epoch that was cut short as whole.
    """

    def __init__(self, folder: str, save_every: int = 0) -> None:
        super().__init__(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)
        self._every = save_every

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        due = self._every and (batch_idx + 1) % self._every == 0
        if not last and (due or trainer.should_stop):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)
