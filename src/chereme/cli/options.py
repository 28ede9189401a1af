"""Options that several verbs take, written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
