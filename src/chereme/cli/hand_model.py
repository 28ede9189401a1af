"""``chereme hand-model``: files of the parametric hand, and pictures of what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chereme._imports import require
from chereme.cli import options
from chereme.cli.console import ProgressBar, say, tell, warn
from chereme.errors import UsageError
from chereme.formats.outputs import check_output, new_file

app = typer.Typer(
    help="The parametric hand: files of MANO, pictures of handshapes, meshes of recorded hands.",
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
    overwrite: options.Overwrite = False,
) -> None:
    """Write an official MANO file as .safetensors, which chereme reads; nothing of it is run."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    check_output(output, overwrite=overwrite)
    require("torch", extra="train")
    mano_file = require("chereme.hand_model.mano_file", extra="train")
    hand = mano_file.read_mano(source, right=right)
    if hand.side == "left" and right is None:
        warn(
            str(source),
            "in released left hands the x of the shape directions is not mirrored, and betas "
            "deform them wrongly; give --right MANO_RIGHT.pkl to find and mend this",
        )
    with new_file(output, overwrite=overwrite) as part:
        hand.save(part)
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
        typer.Option("--output", "-o", metavar="OUT", help="What to write: .jpg, .png or .svg."),
    ],
    table: Annotated[
        Path | None,
        typer.Argument(
            metavar="TABLE",
            help="A table of handshapes (CSV).",
            show_default="that of the ASL letters and digits",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Draw every handshape of a table as the hand model shows it to the camera.

    Rows without angles are left out, so a table can be looked at while it is being filled. An .svg
    has a line drawing of each letter's first row, as a symbol to be used in a page.
    """
    check_output(output, overwrite=overwrite)
    require("torch", extra="train")
    shown = require("chereme.synthesis.sheet", extra="train").write_sheet(output, table)
    letters = len({handshape.letter for handshape in shown})
    say(f"{output}: {len(shown)} handshapes of {letters} letters")


@app.command()
@options.reads_source
def reconstruct(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A video, image, or folder of frames.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A film of all frames (.mp4, .mov, .mkv) or a picture of some (.jpg, .png).",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="The meshes that a trained hand-model-aware recogniser makes.",
            show_default="the hand model fitted to the detected joints",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="HAND",
            help="The hand model that is fitted: open, or a file of chereme hand-model convert.",
            show_default="open",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    frames: Annotated[
        int, typer.Option(metavar="N", min=1, help="Frames that a picture shows at most.")
    ] = 6,
    *,
    source_options: dict[str, Any],
) -> None:
    """Show the hands of INPUT as pictures, detected joints and meshes, side by side.

    Prints how far the joints of the meshes lie from the detected ones in the picture: the mean over
    all frames, in per cent of the palm's length.
    """
    from chereme.hands.detector import find_detector

    if model is not None and template is not None:
        raise UsageError("--template is of the fit, but --model makes its own hands; give one")
    check_output(output, overwrite=overwrite)
    make_detector = find_detector(source_options.pop("detector"))
    require("torch", extra="train")
    film = require("chereme.systems.hand_aware.reconstruction_film", extra="train")
    if model is None:
        fitting = require("chereme.systems.hand_aware.reconstruction", extra="train")
        reconstructor = fitting.LandmarkFit(template or "open")
    else:
        found = require("chereme.systems.hand_aware.task", extra="train").load_hand_aware(model)
        if found.about["kind"] != "hands":
            raise UsageError(
                f"{model}: expected a recogniser that makes hands of crops, got one of kind "
                f"{found.about['kind']}, which makes none"
            )
        networks = require("chereme.systems.hand_aware.network_reconstruction", extra="train")
        reconstructor = networks.NetworkReconstruction(found.model)
    with ProgressBar(source.name) as progress:
        made = film.write_reconstruction(
            output,
            source,
            reconstructor,
            frames=frames,
            make_detector=make_detector,
            progress=progress,
            **source_options,
        )
    for message in made.warnings:
        warn(str(source), message)
    hands = ", ".join(
        f"{side} hand in {count} frame{'s' if count > 1 else ''}"
        for side, count in zip(made.hands, made.frames, strict=True)
    )
    say(f"{output}: {hands}")
    tell(f"mean 2-D re-projection error: {made.error:.2%} of the palm's length")
