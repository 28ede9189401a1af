"""``chereme synthesize``: recordings of made-up signers who spell, with the truth about them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from chereme._imports import require
from chereme.cli import options
from chereme.cli.console import ProgressBar, say
from chereme.errors import UsageError
from chereme.formats.outputs import check_output, check_output_folder

_VIDEOS = (".mp4", ".mov", ".mkv")
_LANDMARKS = (".pose", ".npz")


def synthesize(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A video (.mp4 .mov .mkv) or landmarks (.pose .npz); of a corpus the folder.",
        ),
    ],
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT]", help="What is spelled: letters, digits, spaces."),
    ] = None,
    corpus: Annotated[
        int | None,
        typer.Option(metavar="N", help="Make N clips of words, in train, dev and test."),
    ] = None,
    signers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Signers of a corpus.", show_default="a 20th of the clips"),
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the video, in pixels.")] = "640x480",
    backgrounds: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures to put behind the signers.")
    ] = None,
    exemplars: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For landmarks: hands of chereme prepare exemplars."),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that make a corpus.", min=1)
    ] = 1,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same files.", min=0)
    ] = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a video of a made-up signer who spells TEXT.

    Beside the video: its transcript (.json) with the times of the letters, and its truth (.npz):
    landmarks, joints, pose and shape of the hand model, camera.

    With --corpus N: a folder of N such clips and its manifest.csv; no signer is in two splits. A
    run that was stopped goes on where it was.
    """
    require("scipy", extra="train")
    if (text is None) == (corpus is None):
        raise UsageError("expected either a TEXT to spell or --corpus N")
    suffix = output.suffix.lower()
    if text is not None and suffix not in (*_VIDEOS, *_LANDMARKS):
        raise UsageError(
            f"{output}: expected a name that ends in {', '.join((*_VIDEOS, *_LANDMARKS))}, "
            f"got {suffix!r}"
        )
    if exemplars is not None and suffix not in _LANDMARKS:
        raise UsageError(f"--exemplars gives landmarks (.pose, .npz) alone, got -o {output}")
    if text is not None:
        beside = (".json", ".npz") if suffix in _VIDEOS else ()
        for path in (output, *map(output.with_suffix, beside)):
            check_output(path, overwrite=overwrite)
    if text is not None and suffix in _LANDMARKS:
        synthesis = require("chereme.synthesis", extra="train")
        synthesis.write(text, output, exemplars=exemplars, seed=seed)
        say(f"{output}: {text}")
        return
    module = require("chereme.synthesis.corpus", extra="train")
    pictures = module.Pictures(*_pixels(size), backgrounds)
    if text is not None:
        module.write_clip(text, output, seed=seed, pictures=pictures)
        say(f"{output}: {text}")
        return
    check_output_folder(output, overwrite=overwrite, resumed=True)
    with ProgressBar(output.name, unit="clips") as progress:
        module.write_corpus(
            corpus,
            output,
            signers=signers,
            seed=seed,
            pictures=pictures,
            workers=workers,
            progress=progress,
        )
    say(f"{output / 'manifest.csv'}: {corpus} clips")


def _pixels(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if match is None:
        raise UsageError(f"size: expected WIDTHxHEIGHT, as 640x480, got {size!r}")
    return int(match[1]), int(match[2])
