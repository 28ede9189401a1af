"""``chereme recognize``: what videos, images, folders of frames, and landmark files show."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from chereme.cli import options
from chereme.cli.console import ProgressBar, debugging, report, warn
from chereme.errors import CheremeError, UsageError


class Task(StrEnum):
    """What is signed."""

    fingerspelling = "fingerspelling"
    isolated = "isolated"
    continuous = "continuous"


class Format(StrEnum):
    """Forms of a transcript; ranked glosses of a single sign are txt, json or tsv."""

    txt = "txt"
    json = "json"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    eaf = "eaf"


def recognize(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="Videos, images, folders of numbered frames, .pose or .npz files.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A bundled model (see: chereme models), or a folder.",
            show_default="of the task",
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            metavar="TASK",
            help="fingerspelling, isolated or continuous.",
            show_default="of the model, else fingerspelling",
        ),
    ] = None,
    stream: options.ReadStream = options.Stream.auto,
    form: Annotated[
        Format,
        typer.Option("--format", "-f", metavar="FORM", help="txt, json, srt, vtt, tsv or eaf."),
    ] = Format.txt,
    top: Annotated[
        int,
        typer.Option(metavar="K", min=1, help="Glosses to give for an isolated sign."),
    ] = 5,
    output: options.OutputDir = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Also write a film with the hands and letters drawn on it: a file (.mp4, .mov, "
            ".mkv); for several inputs a folder.",
        ),
    ] = None,
    hand: options.SigningHand = options.Hand.auto,
    read_with: options.ReadWith = None,
    beam_width: options.BeamWidth = None,
    lm: options.UseLm = True,
    greedy: options.Greedy = False,
    mirrored: options.Mirrored = False,
    rate: options.Rate = None,
    strict: options.Strict = False,
    threads: options.Threads = None,
) -> None:
    """Read the signing in each INPUT and print it.

    One input prints its text alone, several print path<TAB>text (as json: one object a line). Of an
    isolated sign these are the likeliest glosses; of one input with their probabilities. Of
    continuous signing they are its glosses in order; a .npz may hold pose tracks.

    With -o, files are written too. A bad input does not stop the others.
    """
    if len(inputs) > 1 and output is None and form not in (Format.txt, Format.json):
        raise UsageError(
            f"several inputs as {form} do not fit one output: give a folder with -o DIR"
        )
    from chereme.formats.transcripts import output_paths, save
    from chereme.runtime.registry import family_for, task_of

    if model is None and task is Task.continuous:
        raise UsageError(
            "no model of continuous signing comes with chereme: train one with chereme train "
            "--config configs/signx/..., make a bundle with chereme export, and give --model MODEL"
        )
    chosen = model or family_for(task or Task.fingerspelling)
    found = task_of(chosen)
    if task is not None and found != task:
        raise UsageError(
            f"the model {chosen!r} is for {found}, not for {task}; "
            f"leave out --task, or give a model for {task}"
        )
    common: dict[str, Any] = {"mirrored": mirrored, "rate": rate, "strict": strict}
    search: dict[str, Any] = {"beam_width": beam_width, "greedy": greedy}
    of_letters = {"--no-lm": not lm, "--overlay": overlay is not None}
    of_search = {"--beam-width": beam_width is not None, "--greedy": greedy}
    of_signing = {"--read-with": read_with is not None}
    of_hands = {
        "--hand": hand is not options.Hand.auto,
        "--stream": stream is not options.Stream.auto,
    }
    reader: _Reader
    if found == Task.isolated:
        _refuse(of_letters | of_search, "letters", chosen, "single signs")
        _refuse(of_signing, "continuous signing", chosen, "single signs")
        reader = _Signs(chosen, stream, threads, common | {"hand": hand.value}, form, top)
    elif found == Task.continuous:
        _refuse(of_letters, "letters", chosen, "continuous signing")
        _refuse(of_hands, "models of hands", chosen, "continuous signing")
        chosen_reader = None if read_with is None else read_with.value
        reader = _Signing(chosen, threads, common | search | {"read_with": chosen_reader}, form)
    else:
        _refuse(of_signing, "continuous signing", chosen, "letters")
        settings = common | search | {"lm": lm, "hand": hand.value}
        reader = _Letters(chosen, stream, threads, settings, form)
    films = _films(inputs, overlay)
    files = output_paths(inputs, output, form.value) if output else [None for _ in inputs]
    failed = False
    for source, file, film in zip(inputs, files, films, strict=True):
        try:
            with ProgressBar(source.name) as progress:
                result = reader.read(source, film, progress)
        except CheremeError as error:
            if debugging():
                raise
            report(error)
            failed = True
            continue
        for message in result.warnings:
            warn(str(source), message)
        if file is not None:
            save(reader.document(result, source, output), file)
        if file is not None or form is Format.txt:
            one = reader.text(result, several=len(inputs) > 1)
            typer.echo(one if len(inputs) == 1 else f"{source}\t{one}")
        elif len(inputs) == 1:
            typer.echo(reader.document(result, source, None).rstrip("\n"))
        else:
            document = json.loads(reader.document(result, source, None))
            typer.echo(json.dumps(document, ensure_ascii=False))
    if failed:
        raise typer.Exit(1)


def _refuse(given: dict[str, bool], kind: str, model: str, task: str) -> None:
    """UsageError for an option of another task."""
    if wrong := [name for name, there in given.items() if there]:
        raise UsageError(f"{wrong[0]} is of {kind}, but the model {model!r} is for {task}")


def _films(inputs: list[Path], overlay: Path | None) -> list[Path] | list[None]:
    from chereme.runtime.overlay import overlay_paths

    return overlay_paths(inputs, overlay) if overlay else [None for _ in inputs]


class _Reader(Protocol):
    """What a task reads, and how that is told."""

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        """What ``source`` shows."""

    def text(self, result: Any, *, several: bool) -> str:
        """What is printed of one of ``several`` inputs, or of the only one."""

    def document(self, result: Any, source: Path, folder: Path | None) -> str:
        """What is written to a file in ``folder``."""


class _Letters:
    """Fingerspelling."""

    def __init__(
        self,
        model: str,
        stream: options.Stream,
        threads: int | None,
        settings: dict[str, Any],
        form: Format,
    ) -> None:
        from chereme.runtime.recognizer import Recognizer
        from chereme.runtime.streams import load_streams

        streams = load_streams(model, stream.value, threads=threads)
        self.recognizer, self.form = Recognizer(streams, **settings), form

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        return self.recognizer.recognize(source, progress=progress, overlay=film)

    def text(self, result: Any, *, several: bool) -> str:
        return str(result.text)

    def document(self, result: Any, source: Path, folder: Path | None) -> str:
        from chereme.formats.transcripts import write

        return write(result, source, self.form.value, folder)


class _Signs:
    """Isolated signs."""

    def __init__(
        self,
        model: str,
        stream: options.Stream,
        threads: int | None,
        settings: dict[str, Any],
        form: Format,
        top: int,
    ) -> None:
        from chereme.formats.glosses import check_form
        from chereme.runtime.isolated import IsolatedRecognizer, load_isolated

        check_form(form.value)
        bundle = load_isolated(model, stream.value, threads=threads)
        self.recognizer = IsolatedRecognizer(bundle, **settings)
        self.form, self.top = form, top

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        return self.recognizer.recognize(source, progress=progress)

    def text(self, result: Any, *, several: bool) -> str:
        from chereme.formats.glosses import write_glosses

        if several:
            return "\t".join(gloss for gloss, _ in result.glosses[: self.top])
        return write_glosses(result, None, "txt", self.top).rstrip("\n")

    def document(self, result: Any, source: Path, folder: Path | None) -> str:
        from chereme.formats.glosses import write_glosses

        return write_glosses(result, source, self.form.value, self.top)


class _Signing:
    """Continuous signing."""

    def __init__(
        self, model: str, threads: int | None, settings: dict[str, Any], form: Format
    ) -> None:
        from chereme.runtime.continuous import ContinuousRecognizer, load_continuous

        self.recognizer = ContinuousRecognizer(load_continuous(model, threads=threads), **settings)
        self.form = form

    def read(self, source: Path, film: Path | None, progress: ProgressBar) -> Any:
        return self.recognizer.recognize(source, progress=progress)

    def text(self, result: Any, *, several: bool) -> str:
        return str(result.text)

    def document(self, result: Any, source: Path, folder: Path | None) -> str:
        from chereme.formats.signing import write_signing

        return write_signing(result, source, self.form.value, folder)
