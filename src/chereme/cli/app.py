"""The command ``chereme`` and its verbs."""

from __future__ import annotations

import typer

from chereme._version import __version__
from chereme.cli import (
    bench,
    doctor,
    evaluate,
    export,
    hand_model,
    landmarks,
    live,
    models,
    prepare,
    recognize,
    serve,
    synthesize,
    train,
)
from chereme.cli.console import CheremeGroup, open_streams

app = typer.Typer(
    name="chereme",
    cls=CheremeGroup,
    help="Reads signing from video: fingerspelling to letters, isolated signs to glosses.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

READ = "Reading"
MAKE = "Making models"
LOOK = "Looking around"

app.command(rich_help_panel=READ)(recognize.recognize)
app.command(rich_help_panel=READ)(landmarks.landmarks)
app.command(rich_help_panel=READ)(live.live)
app.command(rich_help_panel=READ)(serve.serve)
app.command(rich_help_panel=MAKE)(evaluate.evaluate)
app.add_typer(prepare.app, name="prepare", rich_help_panel=MAKE)
app.command(rich_help_panel=MAKE, cls=train.TrainCommand)(train.train)
app.command(rich_help_panel=MAKE)(export.export)
app.command(rich_help_panel=MAKE)(synthesize.synthesize)
app.add_typer(hand_model.app, name="hand-model", rich_help_panel=MAKE)
app.add_typer(models.app, name="models", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(doctor.doctor)
app.command(rich_help_panel=LOOK)(bench.bench)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_show_version,
        is_eager=True,
        help="Print the version and stop.",
    ),
) -> None:
    pass


def main() -> None:
    """Entry point of the command ``chereme``."""
    open_streams()
    app()
