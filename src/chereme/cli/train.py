"""``chereme train``: hands its arguments to the trainer."""

from __future__ import annotations

import typer

from chereme._imports import require


def train(context: typer.Context) -> None:
    """Train a model: chereme train --config FILE [--a.b=c ...].

    All options go to Lightning's command line. Its own help: chereme train -- --help
    """
    require("lightning", extra="train")
    require("chereme.training.cli", extra="train").main(list(context.args))
