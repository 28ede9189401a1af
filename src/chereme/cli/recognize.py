"""``chereme recognize``: the letters of videos, images, folders of frames, and landmark files."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
    """Forms of a transcript."""

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
        Task, typer.Option(metavar="TASK", help="fingerspelling, isolated or continuous.")
    ] = Task.fingerspelling,
    stream: options.ReadStream = options.Stream.auto,
    form: Annotated[
        Format,
        typer.Option("--format", "-f", metavar="FORM", help="txt, json, srt, vtt, tsv or eaf."),
    ] = Format.txt,
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
    beam_width: options.BeamWidth = None,
    lm: options.UseLm = True,
    greedy: options.Greedy = False,
    mirrored: options.Mirrored = False,
    rate: options.Rate = None,
    strict: options.Strict = False,
    threads: options.Threads = None,
) -> None:
    """Read the signing in each INPUT and print it.

    One input prints its text alone, several print path<TAB>text (as json: one object a line).

    With -o, files are written too. A bad input does not stop the others.
    """
    if len(inputs) > 1 and output is None and form not in (Format.txt, Format.json):
        raise UsageError(
            f"several inputs as {form} do not fit one output: give a folder with -o DIR"
        )
    from chereme.formats.transcripts import output_paths, save, write
    from chereme.runtime.overlay import overlay_paths
    from chereme.runtime.recognizer import Recognizer
    from chereme.runtime.registry import family_for
    from chereme.runtime.streams import load_streams

    films = overlay_paths(inputs, overlay) if overlay else [None for _ in inputs]
    streams = load_streams(model or family_for(task), stream.value, threads=threads)
    config = streams.bundles[0].config
    if config.task != task:
        raise UsageError(
            f"the model {config.name!r} is for {config.task}, not for {task}; "
            f"leave out --task, or give a model for {task}"
        )
    recognizer = Recognizer(
        streams,
        hand=hand.value,
        beam_width=beam_width,
        lm=lm,
        greedy=greedy,
        mirrored=mirrored,
        rate=rate,
        strict=strict,
    )
    files = output_paths(inputs, output, form.value) if output else [None for _ in inputs]
    failed = False
    for source, file, film in zip(inputs, files, films, strict=True):
        try:
            with ProgressBar(source.name) as progress:
                transcript = recognizer.recognize(source, progress=progress, overlay=film)
        except CheremeError as error:
            if debugging():
                raise
            report(error)
            failed = True
            continue
        for message in transcript.warnings:
            warn(str(source), message)
        if file is not None:
            save(write(transcript, source, form.value, output), file)
        if file is not None or form is Format.txt:
            typer.echo(transcript.text if len(inputs) == 1 else f"{source}\t{transcript.text}")
        elif len(inputs) == 1:
            typer.echo(write(transcript, source, form.value).rstrip("\n"))
        else:
            document = json.loads(write(transcript, source, form.value))
            typer.echo(json.dumps(document, ensure_ascii=False))
    if failed:
        raise typer.Exit(1)
