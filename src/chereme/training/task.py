"""What the tasks of all systems share: optimiser, checkpoints, seeds, and the score of a run."""

from __future__ import annotations

import json
import platform
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from chereme.errors import InputError
from chereme.nn.resnet_weights import FirstWeights
from chereme.training.checkpoints import LastCheckpoint
from chereme.training.optimiser import OptimiserConfig

_HUGE = 1e4  # no weight of a network that learns; nor is NaN


class Task(lightning.LightningModule):
    """The base of all tasks. A system's own task has the network ``model``, the training step, the
    validation and the score.

    Class attributes:
        entry: the name under which a checkpoint describes the network (``checkpoint_entry``).
        kind: of the network, as its checkpoint says.
        load: reads such a checkpoint; the network is the ``model`` of what it returns.
        monitor, mode: the value of dev by which ``best.ckpt`` is chosen, and whether the highest
            or the lowest is best. None: there is only ``last.ckpt``.
        batch: what the data module calls the size of a batch.

    Args:
        optimiser: and learning rate.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
    """

    entry: ClassVar[str]
    kind: ClassVar[str]
    load: ClassVar[Any]  # of a path
    monitor: ClassVar[str | None] = None
    mode: ClassVar[Literal["min", "max"]] = "max"
    batch: ClassVar[str] = "batch_size"
    model: Any  # the network; each task says which

    def __init__(self, optimiser: OptimiserConfig, save_every: int = 0) -> None:
        super().__init__()
        self.optimiser, self.save_every = optimiser, save_every
        self.first_weights: FirstWeights | None = None
        """What training began with, where a task can begin with the weights of others."""

    # -- what a task says of itself ----------------------------------------------------------------
    def checkpoint_entry(self) -> dict[str, Any]:
        """What a checkpoint says of the network under ``entry``, in plain values, so that it can be
        read without unpickling any object."""
        config = asdict(self.model.config)
        return {"kind": self.kind, "config": config, **self.data.checkpoint_entry()}

    @abstractmethod
    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        """What ``metrics.json`` says of a split; None where it has no clips."""

    def tune(self, checkpoint: Path) -> None:
        """Settle, by dev, how the network of a checkpoint is read, and write it there; nothing
        where there is nothing to settle."""

    def facts(self) -> dict[str, Any]:
        """What ``metrics.json`` says of how the task was set."""
        return {"kind": self.kind}

    # -- training ----------------------------------------------------------------------------------
    @property
    def data(self) -> Any:
        """The data module; each task says which."""
        return self.trainer.datamodule  # type: ignore[attr-defined]

    @property
    def validates(self) -> bool:
        """Whether ``best.ckpt`` is chosen on dev."""
        return self.monitor is not None and bool(self.data.validate)

    def configure_callbacks(self) -> list[ModelCheckpoint]:
        folder = self.trainer.default_root_dir
        last = LastCheckpoint(folder, self.save_every)
        if not self.validates:
            return [last]
        best = ModelCheckpoint(
            folder, "best", monitor=self.monitor, mode=self.mode, enable_version_counter=False
        )
        return [best, last]

    def configure_optimizers(self) -> Any:
        learnt = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return self.optimiser.build(learnt, int(self.trainer.estimated_stepping_batches))

    def on_fit_start(self) -> None:
        self.seed = torch.initial_seed()

    @property
    def batch_seed(self) -> int:
        """The seed of a batch: another in each batch, also of one step, and in each process."""
        trainer = self.trainer
        number = trainer.fit_loop.epoch_loop.batch_progress.total.processed  # in all epochs
        return int(self.seed + number * trainer.world_size + trainer.global_rank)

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        # So that dropout, too, is the same in a run that was resumed.
        torch.manual_seed(self.batch_seed)

    def check_losses(
        self, losses: Mapping[str, Tensor], ids: Sequence[str], outputs: Tensor
    ) -> None:
        """End a training whose loss ``total`` is not finite.

        ``outputs (B, ...)``: of the network, for the clips ``ids``, to name those that broke it.

        Raises:
            InputError: it is NaN or infinite.
        """
        if torch.isfinite(losses["total"]):
            return
        names = ", ".join(name for name, value in losses.items() if not torch.isfinite(value).all())
        whole = torch.isfinite(outputs).flatten(1).all(1).tolist()
        broken = [name for name, good in zip(ids, whole, strict=True) if not good] or ids
        diverged = not all(bool((p.abs() < _HUGE).all()) for p in self.parameters())
        raise InputError(
            f"step {self.global_step}: expected finite losses, got NaN or infinity in {names}, of "
            f"the clips {', '.join(broken)}; "
            + (
                "weights have diverged: lower the learning rate or clip gradients "
                "(trainer.gradient_clip_val)"
                if diverged
                else "look at these clips, or train in full precision (trainer.precision=32)"
            )
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[self.entry] = self.checkpoint_entry()
        if self.first_weights is not None:
            checkpoint["first_weights"] = self.first_weights._asdict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        first = checkpoint.get("first_weights")
        self.first_weights = None if first is None else FirstWeights(**first)

    # -- results -----------------------------------------------------------------------------------
    def batches(self, split: str) -> Iterator[Any]:
        """The batches of a split, where the network is."""
        for batch in self.data.whole(split):
            yield self.transfer_batch_to_device(batch, self.device, 0)

    def scores(self, output: Path) -> dict[str, Any]:
        """What ``metrics.json`` says of dev and test; what does not belong there is written beside
        it, in the folder ``output``."""
        return {"dev": self.score("dev"), "test": self.score("test")}

    def finish(self, output: Path, cli: Any) -> None:
        """Score ``best.ckpt`` on dev and test, and write ``metrics.json``; nothing where training
        was cut off.

        ``last.ckpt`` is scored where there is no best: nothing was validated, or the epochs were
        fewer than those between two validations.
        """
        trainer = cli.trainer
        ended = trainer.global_step >= trainer.estimated_stepping_batches
        if not (trainer.is_global_zero and ended):
            return
        best = self.validates and (output / "best.ckpt").is_file()
        scored = "best.ckpt" if best else "last.ckpt"
        self.model = self.load(output / scored).model.to(self.device).eval()
        self.tune(output / scored)
        together = trainer.world_size * trainer.accumulate_grad_batches
        about = {
            "name": output.name,
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            self.batch: getattr(cli.datamodule, self.batch) * together,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "device": machine(self.device),
            "scored": scored,
        }
        if self.first_weights is not None:
            about["initial"] = self.first_weights._asdict()
        about |= cli.datamodule.facts() | self.facts()
        write_metrics(output / "metrics.json", about | self.scores(output))


def machine(device: torch.device) -> str:
    """What a network runs on, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """``metrics.json``, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
