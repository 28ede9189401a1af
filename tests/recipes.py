"""The files of ``configs/`` as ``chereme train`` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chereme.training.cli import TrainingCLI

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"


def parsed(*files: str, options: tuple[str, ...] = ()) -> Any:
    """Trainer, task and data module of these files of ``configs/``, each changing what those before
    it say, and of ``options``."""
    return TrainingCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        args=[
            *(f"--config={CONFIGS / file}" for file in files),
            "--trainer.accelerator=cpu",
            "--trainer.logger=false",
            *options,
        ],
    )
