"""``chereme hand-model``: files of the parametric hand, and pictures of what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme.cli.console import say, warn
from chereme.errors import UsageError

app = typer.Typer(
    help="The parametric hand: files of MANO, and pictures of handshapes.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="MANO_RIGHT.pkl or MANO_LEFT.pkl.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The .safetensors file to write.")
    ],
    right: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With a left hand: MANO_RIGHT.pkl, to find and mend mirrored shape directions.",
        ),
    ] = None,
) -> None:
    """Write an official MANO file as .safetensors, which chereme reads; nothing of it is run."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    require("torch", extra="train")
    mano_file = require("chereme.hand_model.mano_file", extra="train")
    hand = mano_file.read_mano(source, right=right)
    if hand.side == "left" and right is None:
        warn(
            str(source),
            "in released left hands the x of the shape directions is not mirrored, and betas "
            "deform them wrongly; give --right MANO_RIGHT.pkl to find and mend this",
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    hand.save(output)
    vertices, _, betas = hand.shapedirs.shape
    say(
        f"{output}: {hand.name}, {hand.side} hand, {vertices} vertices, {len(hand.faces)} faces, "
        f"{len(hand.parents)} joints, {betas} betas, {len(hand.components)} pose components, "
        f"fingertips {', '.join(hand.tips)}"
    )
    say(f"licence: {hand.licence}")


@app.command()
def sheet(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="The picture to write: .jpg or .png."),
    ],
    table: Annotated[
        Path | None,
        typer.Argument(
            metavar="TABLE",
            help="A table of handshapes (CSV).",
            show_default="that of the ASL letters and digits",
        ),
    ] = None,
) -> None:
    """Draw every handshape of a table as the hand model shows it to the camera.

    Rows without angles are left out, so a table can be looked at while it is being filled.
    """
    require("torch", extra="train")
    shown = require("chereme.synthesis.sheet", extra="train").write_sheet(output, table)
    letters = len({handshape.letter for handshape in shown})
    say(f"{output}: {len(shown)} handshapes of {letters} letters")
