"""Options that several verbs take, written once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from chereme.errors import UsageError

if TYPE_CHECKING:
    from chereme.recognition.tasks import Task
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


class Form(StrEnum):
    """Forms of a report."""

    txt = "txt"
    json = "json"


ReportForm = Annotated[Form, typer.Option("--format", "-f", metavar="FORM", help="txt or json.")]
MODEL = "A bundled model (see: chereme models), a folder, or hf://OWNER/NAME@REVISION."
Model = Annotated[str, typer.Option(metavar="NAME", help=MODEL)]
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
UseLm = Annotated[bool, typer.Option("--lm/--no-lm", help="Use the language model.")]
Greedy = Annotated[
    bool, typer.Option("--greedy", help="Best letter of each frame: no search, no language model.")
]
Words = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Names and words that are expected to be spelled: a text file, one a line.",
        show_default=False,
    ),
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
Detector = Annotated[
    str,
    typer.Option(metavar="NAME", help="The hand detector: onnx, or module:class of your own."),
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
STREAM_THREADS = 1  # of a live stream, by default: more wait for each other on so little work
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


def _source_options(
    mirrored: Mirrored = False,
    rate: Rate = None,
    rotate: Rotate = None,
    video_stream: VideoStream = None,
    max_pixels: MaxPixels = None,
    max_seconds: MaxSeconds = None,
    max_frames: MaxFrames = None,
    strict: Strict = False,
    detector: Detector = "onnx",
) -> dict[str, Any]:
    return {
        "mirrored": mirrored,
        "rate": rate,
        "rotate": rotate,
        "video_stream": video_stream,
        "limits": limits(max_pixels, max_seconds, max_frames),
        "strict": strict,
        "detector": detector,
    }


def reads_source(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb that takes, in the place of its parameter ``source_options``, the options of how a
    recording is read: it is given their values as a dictionary of keywords."""
    own, added = inspect.signature(verb), inspect.signature(_source_options)
    shown = [p for p in own.parameters.values() if p.name != "source_options"]

    @functools.wraps(verb)
    def with_options(**values: Any) -> None:
        reading = _source_options(**{name: values.pop(name) for name in added.parameters})
        verb(**values, source_options=reading)

    hints = get_type_hints(verb, include_extras=True)
    hints |= get_type_hints(_source_options, include_extras=True)
    with_options.__annotations__ = {n: h for n, h in hints.items() if n != "source_options"}
    with_options.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name])
            for p in (*shown, *added.parameters.values())
        ]
    )
    return with_options


def task_options(task: Task, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that the user gave, as keywords of the task's recogniser.

    An option has its default where it is None, False or "auto", and ``lm`` where it is True.
    Raises UsageError for one that is of other tasks.
    """
    from chereme._imports import find
    from chereme.recognition.tasks import TASKS, option_names

    given = {
        name: getattr(value, "value", value)
        for name, value in options.items()
        if (
            not value
            if name == "lm"
            else value is not None and value is not False and value != "auto"
        )
    }
    for name in given:
        if name in option_names(find(task.recognizer)):
            continue
        flag = "--no-lm" if name == "lm" else f"--{name.replace('_', '-')}"
        others = [
            other.reads for other in TASKS.values() if name in option_names(find(other.recognizer))
        ]
        raise UsageError(
            f"{flag} is of {' and '.join(others)}, but the model {model!r} is for {task.reads}"
        )
    return given
