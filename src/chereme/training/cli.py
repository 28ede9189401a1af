"""``chereme train``: Lightning's Trainer, set by a YAML file and options that override it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from chereme.errors import OutputError
from chereme.nn.checkpoint_files import load_tensors
from chereme.training.memory import keep_freed_memory


class TrainingCLI(LightningCLI):
    """LightningCLI with an output folder, logs in it, and a way to go on from a checkpoint."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--output", type=str, default="runs/last", help="Folder of the results."
        )
        parser.add_argument("--resume", type=str, default=None, help="Checkpoint to go on from.")
        parser.link_arguments("output", "trainer.default_root_dir")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        if self.config["trainer"]["logger"] in (None, True):
            # A folder of its own each time that training is begun or gone on with.
            table = CSVLogger(self.config["output"], "logs")
            board = TensorBoardLogger(self.config["output"], "logs", version=table.version)
            kwargs["logger"] = [board, table]
        return super().instantiate_trainer(**kwargs)


def main(args: Sequence[str], *, keep: bool = False) -> TrainingCLI:
    """Train as ``args`` say (``--config FILE --a.b=c ...``) and write the results.

    The task's ``finish(output, cli)``, where it has one, writes what remains after training.
    ``keep``: raise OutputError where the output has checkpoints of a training that is not gone on
    with, which would be replaced.
    """
    keep_freed_memory()
    cli = TrainingCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        save_config_kwargs={"overwrite": True},
        # The data modules give each process its own share.
        trainer_defaults={"use_distributed_sampler": False},
        args=list(args),
    )
    resume: Any = cli.config["resume"]
    output = Path(cli.config["output"])
    # Of several processes the others come when the first may have begun.
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    if keep and first and resume is None and (found := sorted(output.glob("*.ckpt"))):
        raise OutputError(
            f"{output} holds a training ({', '.join(path.name for path in found[:3])}), which was "
            f"left as it is: give --resume {found[-1]} to go on with it, another --output, or "
            "--overwrite"
        )
    if resume is not None:
        load_tensors(resume, mmap=True)  # what is refused is refused in our words, and now
    # A task without anything to learn (late fusion) has nothing but results to write.
    if any(parameter.requires_grad for parameter in cli.model.parameters()):
        cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=resume, weights_only=True)
    output.mkdir(parents=True, exist_ok=True)
    finish = getattr(cli.model, "finish", None)
    if finish is not None:
        finish(output, cli)
    return cli
