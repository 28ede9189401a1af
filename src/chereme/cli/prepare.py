"""``chereme prepare``: what training reads, from collections of recordings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme.cli.console import ProgressBar, say


class Dataset(StrEnum):
    """What can be prepared."""

    exemplars = "exemplars"


def prepare(
    dataset: Annotated[
        Dataset,
        typer.Argument(
            metavar="DATASET", help="exemplars: handshapes of letters, from photographs."
        ),
    ],
    root: Annotated[Path, typer.Option(metavar="DIR", help="The folder with the collections.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ],
    variants: Annotated[
        int, typer.Option(metavar="N", help="Times that each photograph is looked at.")
    ] = 6,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same file.")] = 0,
) -> None:
    """Prepare DATASET for training."""
    module = require("chereme.data.exemplars", extra="train")
    from chereme.hands.detector import MediaPipeDetector

    with (
        MediaPipeDetector(still=True, max_hands=1) as detector,
        ProgressBar(dataset.value, unit="photographs") as progress,
    ):
        exemplars = module.build_exemplars(
            root, detector, variants=variants, seed=seed, progress=progress
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    exemplars.save(output)
    say(f"{output}: written")
