"""Options that several verbs take, written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chereme.video import Limits


class Hand(StrEnum):
    """The signing hand."""

    auto = "auto"
    left = "left"
    right = "right"


class Stream(StrEnum):
    """What of the hand is read."""

    auto = "auto"
    landmarks = "landmarks"
    rgb = "rgb"
    fused = "fused"


class Reader(StrEnum):
    """What reads the glosses of continuous signing."""

    decoder = "decoder"
    ctc = "ctc"


Model = Annotated[
    str, typer.Option(metavar="NAME", help="A bundled model (see: chereme models), or a folder.")
]
ReadStream = Annotated[
    Stream,
    typer.Option(
        "--stream",
        metavar="STREAM",
        help="What of the hand is read: its landmarks, pictures of it (rgb), both (fused), or the "
        "model's best (auto).",
    ),
]
SigningHand = Annotated[
    Hand,
    typer.Option(metavar="HAND", help="The hand that spells: auto (it moves most), left, right."),
]
BeamWidth = Annotated[
    int | None,
    typer.Option(metavar="N", help="Width of the beam search.", show_default="of the model"),
]
ReadWith = Annotated[
    Reader | None,
    typer.Option(
        metavar="READER",
        help="Of continuous signing: the text decoder, or the CTC head (ctc).",
        show_default="of the model",
    ),
]
UseLm = Annotated[bool, typer.Option("--lm/--no-lm", help="Use the letter language model.")]
Greedy = Annotated[
    bool, typer.Option("--greedy", help="Best letter of each frame: no search, no language model.")
]
MinProbability = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        min=0.0,
        max=1.0,
        help="Of an isolated sign: give no answer where no gloss has this probability (0: always "
        "give the likeliest).",
        show_default="of the model",
    ),
]
Mirrored = Annotated[
    bool, typer.Option("--mirrored", help="The recording is a mirror image, as of many webcams.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail at the first damage instead of reading the rest.")
]
Rate = Annotated[
    float | None,
    typer.Option(
        metavar="FPS",
        help="Frames a second of a folder of frames (30), and of a landmark file in the place of "
        "what it says.",
        show_default=False,
    ),
]
Rotate = Annotated[
    int | None,
    typer.Option(
        metavar="DEGREES",
        help="Turn the picture clockwise by 90, 180 or 270 degrees, beyond what the file says.",
        show_default="as the file says",
    ),
]
VideoStream = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Of a file with several video streams the one to read, counted from 0.",
        show_default="the largest",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Pixels that a picture may have.", show_default="8192x4320, photos more"
    ),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Seconds that a recording may last.", show_default="4 hours"),
]
MaxFrames = Annotated[
    int | None,
    typer.Option(metavar="N", help="Frames that a recording may have.", show_default="1000000"),
]
Threads = Annotated[
    int | None,
    typer.Option(metavar="N", help="Threads of the network.", show_default="all cores"),
]
OutputFile = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="The file to write: .pose or .npz.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
]


def limits(max_pixels: int | None, max_seconds: float | None, max_frames: int | None) -> Limits:
    """What a recording may be: the package's limits, but for those that are given."""
    from chereme.video import Limits

    given = {
        "max_pixels": max_pixels,
        "max_still_pixels": max_pixels,
        "max_seconds": max_seconds,
        "max_frames": max_frames,
    }
    return Limits(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
