"""``chereme synthesize``: recordings of a made-up hand that spells a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme.cli import options
from chereme.cli.console import say


def synthesize(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the hand spells.")],
    output: options.OutputFile,
    exemplars: Annotated[
        Path, typer.Option(metavar="FILE", help="Made by: chereme prepare exemplars.")
    ],
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same recording.")
    ] = 0,
) -> None:
    """Write the landmarks of a hand that spells TEXT."""
    require("scipy", extra="train")
    synthesis = require("chereme.synthesis", extra="train")
    output.parent.mkdir(parents=True, exist_ok=True)
    synthesis.write(text, output, exemplars=exemplars, seed=seed)
    say(f"{output}: {text}")
