"""When checkpoints are written, so that a run can be cut off anywhere and go on; and how they are
read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from chereme.errors import BundleError
from chereme.nn.checkpoint_files import load_tensors


class LastCheckpoint(ModelCheckpoint):
    """``last.ckpt``: after each epoch, every ``save_every`` batches (0: not), and where
    ``trainer.max_time`` or a signal ends training within an epoch.

    Lightning would count an epoch that was cut short as whole. Between the batches of one step
    (``trainer.accumulate_grad_batches``) nothing is written: the gradients of those before would be
    lost.
    """

    def __init__(self, folder: str, save_every: int = 0) -> None:
        super().__init__(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True)
        self._every = save_every

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        number = batch_idx + 1
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        due = trainer.should_stop or (self._every and number % self._every == 0)
        if due and not last and number % trainer.accumulate_grad_batches == 0:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)


@contextmanager
def read_checkpoint(
    path: str | Path, entry: str, of: str
) -> Iterator[tuple[Mapping[str, Any], dict[str, Tensor]]]:
    """What the checkpoint of a task says under ``entry``, and the weights of the task's ``model``.
    Nothing but tensors and plain values is read.

    Raises:
        BundleError: the file is none of ``of``, in words, or what is made of it within the ``with``
            does not fit.
    """
    prefix = "model."
    expected = (
        f"a checkpoint of {of}, with the entry {entry!r} and weights that fit it, as "
        "'chereme train' writes"
    )
    checkpoint = load_tensors(path, expected=expected)
    try:
        state = checkpoint["state_dict"].items()
        yield checkpoint[entry], {k[len(prefix) :]: v for k, v in state if k.startswith(prefix)}
    except Exception as error:  # a stranger's values may be missing, or fit in no way
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise BundleError(f"{path}: expected {expected}; got something else ({first})") from error
