"""``chereme train``: a recogniser of one's own signs, or whatever the trainer is told to train."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from chereme._imports import require
from chereme._installation import find_recipe
from chereme.cli import options
from chereme.cli.console import ProgressBar, say, tell
from chereme.errors import UsageError
from chereme.formats.outputs import check_output_folder

_TRAINER = "chereme.trainer"  # of the context: the arguments of the trainer's own command line
_OF_TRAINER = re.compile(r"--(config\b|print_config\b|resume\b|[a-z_]+\.)|--$")
_OVERWRITE = "--overwrite"


class TrainCommand(TyperCommand):
    """Leaves the arguments of the trainer's own command line as they are: ``--config``, options
    with a dot, and everything behind ``--``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if any(_OF_TRAINER.match(argument) for argument in args):
            ctx.meta[_TRAINER] = [argument for argument in args if argument != "--"]
            args = []
        return super().parse_args(ctx, args)


def train(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="A folder for each sign, called by its gloss, with its clips: videos, folders of "
            "frames, .pose or .npz. Or folders train and test with such folders, or a manifest.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="MODEL",
            help="The folder of the new model; MODEL.training gets the report.",
        ),
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the signer in SIGN/CLIP, as '/([^_]+)_' for hello/ann_1.mp4. Then the "
            "test is of signers that were not trained on.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How often each clip is seen.", show_default="by their number", min=1
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(metavar="CHECKPOINT", help="A pre-training of SignBERT, to fine-tune."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Train on all clips and keep none for a test.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="FPS",
            help="Frames a second of folders of frames (30), and of landmark files in the place of "
            "what they say.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that look for hands.", min=1)
    ] = 1,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same split and model.")
    ] = 0,
    max_pixels: options.MaxPixels = None,
    max_seconds: options.MaxSeconds = None,
    max_frames: options.MaxFrames = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Teach chereme your own signs: chereme train FOLDER -o MODEL.

    Both hands are looked for in each clip, some clips are kept for a test, a recogniser is trained
    on the others (SignBERT's) and becomes a model for chereme recognize. MODEL.training/report.md
    says how well it reads. A run that was stopped goes on where it was.

    With --config FILE [--a.b=c ...] a recipe is trained (configs/... come with chereme), by
    Lightning's command line, to which all arguments go. Its own help: chereme train -- --help
    """
    require("lightning", extra="train")
    if _TRAINER in context.meta:
        trainer = require("chereme.training.cli", extra="train")
        given = [argument for argument in context.meta[_TRAINER] if argument != _OVERWRITE]
        trainer.main(_with_recipes(given), keep=len(given) == len(context.meta[_TRAINER]))
        return
    if folder is None or output is None:
        raise UsageError(
            "train: expected FOLDER -o MODEL, a folder of your own signs (<gloss>/<clip>) and the "
            "name of the new model; or --config FILE, a recipe of the trainer"
        )
    own_signs = require("chereme.systems.own_signs.recipe", extra="train")
    # A model of an earlier run becomes that of all clips that are there now.
    ours = own_signs.work_folder(output).is_dir() or not (output / own_signs.CONFIG).is_file()
    check_output_folder(output, overwrite=overwrite or ours)
    report = own_signs.train_signs(
        folder,
        output,
        signer=signer,
        epochs=epochs,
        initial=initial,
        test=not everything,
        workers=workers,
        seed=seed,
        limits=options.limits(max_pixels, max_seconds, max_frames),
        bars=ProgressBar,
        say=say,
        **({} if rate is None else {"rate": rate}),
    )
    say(f"{output}: reads {len(report.glosses):,} signs; {report.summary()}")
    say(f"report: {own_signs.work_folder(output) / own_signs.REPORT}")
    tell(report.command)


def _with_recipes(arguments: list[str]) -> list[str]:
    """The trainer's arguments, with the files of ``--config`` found."""
    found: list[str] = []
    for argument in arguments:
        option, given, path = argument.partition("=")
        if found and found[-1] == "--config":
            argument = find_recipe(argument)
        elif option == "--config" and given:
            argument = f"--config={find_recipe(path)}"
        found.append(argument)
    return found
