"""``chereme export``: a checkpoint becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme.cli.console import say


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="The checkpoint of a trained recogniser.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of the new bundle.")
    ],
    lm: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="lm.onnx of a trained letter language model."),
    ] = None,
    description: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON: name, licence, training data, metrics."),
    ] = None,
    model_card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model card, Markdown.")
    ] = None,
) -> None:
    """Write a bundle (ONNX networks, config, hashes) that chereme recognize --model reads."""
    require("torch", extra="train")
    bundle = require("chereme.training.export", extra="train").export(
        checkpoint, output, lm=lm, description=description, model_card=model_card
    )
    say(f"{output}: {bundle.config.name}, sha256 {bundle.sha256}")
