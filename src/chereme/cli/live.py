"""``chereme live``: signing read as it comes, before a camera or in a recording."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import tell, warn
from chereme.formats.escapes import escape
from chereme.recognition.tasks import TASKS

if TYPE_CHECKING:
    from chereme.live.session import Session, Update
    from chereme.types import Frame

CAMERA = "the camera"


def live(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A video, which is read at the speed at which it plays; or a camera, as the "
            "system names it (/dev/video1, 0, video=NAME).",
            show_default="the first camera",
        ),
    ] = None,
    model: options.Model = "fingerspelling",
    stream: options.ReadStream = options.Stream.auto,
    hand: options.SigningHand = options.Hand.auto,
    words: options.Words = None,
    mirrored: options.Mirrored = False,
    detector: options.Detector = "onnx",
    window: Annotated[
        bool, typer.Option("--window", help="Show the picture too, with the hands in it.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what was read: .txt, .json, .srt, .vtt, .tsv or .eaf."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    threads: options.Threads = options.STREAM_THREADS,
) -> None:
    """Read signing as it comes, letters, single signs or glosses; Ctrl-C ends it.

    On a terminal the last line is what is being signed, and how the machine keeps up; else each
    text is printed when it is final. Where the machine is too slow, frames are skipped.
    """
    from chereme.live.session import Session
    from chereme.live.sources import Newest
    from chereme.recognition.registry import task_of
    from chereme.recognition.word_lists import read_words

    if save is not None:
        _check(save, overwrite)
    task = TASKS[task_of(model)]
    given = {"stream": stream, "hand": hand, "words": words and read_words(words)}
    chosen = options.task_options(task, model, given)
    recognizer = task.load(model, threads=threads, mirrored=mirrored, detector=detector, **chosen)
    with ExitStack() as stack:
        frames = stack.enter_context(_frames(source))
        session = Session(recognizer, Newest(frames))
        stack.enter_context(session.stream)
        shown = stack.enter_context(_show(session, window))
        try:
            _read(session, shown)
        finally:  # a camera that is unplugged ends the reading, and takes nothing with it
            transcript = session.transcript(source)
            for message in transcript.warnings:
                warn(source or CAMERA, message)
            if save is not None and transcript.info["frames"]:
                transcript.save(save, overwrite=overwrite)


def _read(session: Session, shown: Any) -> None:
    """Until the end, or until the user has enough; the last word is read also after an error."""
    try:
        for update in session:
            if not shown(update):
                break
    except KeyboardInterrupt:
        pass
    finally:
        shown(session.finish())


def _check(save: Path, overwrite: bool) -> None:
    from chereme.formats.outputs import check_output
    from chereme.formats.transcripts import check_format

    check_format(save.suffix.lower().removeprefix("."), timed=True)
    check_output(save, overwrite=overwrite)


@contextmanager
def _frames(source: str | None) -> Iterator[Iterator[Frame]]:
    from chereme.live.sources import in_real_time, open_camera
    from chereme.video import open_video

    if source is not None and Path(source).is_file():
        with open_video(source) as reader:
            yield in_real_time(reader)
    else:
        with open_camera(source) as frames:
            yield frames


@contextmanager
def _show(session: Session, window: bool) -> Iterator[Any]:
    """What shows an update and says whether to go on."""
    with ExitStack() as stack:
        picture: Any = None
        if window:
            from chereme.live.window import Window

            picture = Window("chereme live")
            stack.callback(picture.close)
        line = None
        if sys.stdout.isatty():
            from rich.live import Live
            from rich.text import Text

            line = stack.enter_context(Live(refresh_per_second=10, transient=True))

        def show(update: Update) -> bool:
            for event in update.events:
                if event.kind == "final" and event.text:
                    if line is None:
                        tell(event.text)
                    else:
                        line.console.print(escape(event.text), markup=False, highlight=False)
            if line is not None:
                line.update(Text(f"{escape(session.partial)}\n{session.status}"))
            if picture is not None and update.frame is not None:
                hands = session.stream.detections or []
                picture.show(update.frame, hands, session.partial, str(session.status))
            return picture is None or not picture.closed

        yield show
