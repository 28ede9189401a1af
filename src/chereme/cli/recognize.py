"""``chereme recognize``: what videos, images, folders of frames, and landmark files show."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chereme._imports import find
from chereme.cli import options
from chereme.cli.console import ProgressBar, say, tell_json, warn
from chereme.cli.outputs import ALL, Job, parse_forms, plan
from chereme.errors import UsageError
from chereme.formats.escapes import escape
from chereme.recognition.tasks import TASKS, Task

if TYPE_CHECKING:
    from chereme.formats.eaf_writing import ElanStyle
    from chereme.types import Transcript

TOP = 5  # glosses that are given of a single sign


class Probability(StrEnum):
    """Where the probabilities stand in an ELAN file."""

    none = "none"
    value = "value"
    tier = "tier"


@options.reads_source
def recognize(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="Videos, images, folders of videos or of numbered frames, .pose or .npz files.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=options.MODEL,
            show_default="of the task",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help=f"{', '.join(TASKS)}.",
            show_default="of the model, else fingerspelling",
        ),
    ] = None,
    stream: options.ReadStream = options.Stream.auto,
    forms: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMS",
            help="txt, json, srt, vtt, tsv or eaf; several with commas between, or all, with -o.",
            show_default="txt",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K", min=1, help="Glosses to give for an isolated sign.", show_default=str(TOP)
        ),
    ] = None,
    min_probability: options.MinProbability = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Folder for the files of each input; or the file of one input (clip.srt).",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Leave out inputs of which all files are there already."
        ),
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Add tiers to this annotation of the one input (.eaf), and change nothing else.",
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For ELAN: the tier of words or glosses; letters go to NAME-letters.",
            show_default="words, glosses",
        ),
    ] = None,
    participant: Annotated[
        str | None, typer.Option(metavar="NAME", help="For ELAN: who signs.")
    ] = None,
    probability: Annotated[
        Probability,
        typer.Option(
            metavar="PLACE",
            help="For ELAN: of each letter or gloss, behind it (value), in a tier of its own "
            "(tier), or left out (none).",
        ),
    ] = Probability.none,
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
    words: options.Words = None,
    threads: options.Threads = None,
    *,
    source_options: dict[str, Any],
) -> None:
    """Read the signing in each INPUT and print it.

    One input prints its text alone, several print path<TAB>text; as json each is an object on a
    line. Of an isolated sign these are the likeliest glosses; of one input with their
    probabilities. Of continuous signing they are its glosses in order; a .npz may hold pose tracks.

    With -o, files are written too, with --into tiers of an ELAN file that is there. No file is
    replaced without --overwrite. A bad input, or a file that cannot be written, does not stop the
    others.
    """
    from chereme.recognition.hand_landmarks import LANDMARK_SUFFIXES
    from chereme.recognition.word_lists import read_words
    from chereme.video.folders import expand

    inputs, remarks = expand(inputs, LANDMARK_SUFFIXES)
    for remark in remarks:
        say(f"warning: {remark}")
    asked = parse_forms(forms or (), output, len(inputs))
    if skip_existing and (overwrite or (output is None and overlay is None)):
        raise UsageError(
            "--skip-existing is of files that -o and --overlay write, and not with --overwrite"
        )
    _check_elan(inputs, asked, into, tier, participant, probability)
    name, found = _model(model, task)
    chosen = options.task_options(
        found,
        name,
        {
            "stream": stream,
            "hand": hand,
            "read_with": read_with,
            "min_probability": min_probability,
            "beam_width": beam_width,
            "lm": lm,
            "greedy": greedy,
            "words": words and read_words(words),
        },
    )
    kind = find(found.recognizer)
    if overlay is not None and "overlay" not in signature(kind.recognize).parameters:
        raise UsageError(f"--overlay is of letters, but the model {name!r} is for {found.reads}")
    if top is not None and kind.result.unit != "sign":
        raise UsageError(f"--top is of single signs, but the model {name!r} is for {found.reads}")
    recognizer = found.load(name, threads=threads, **chosen, **source_options)
    from chereme.formats.eaf_writing import ElanStyle
    from chereme.formats.transcripts import TIMED, WRITERS, check_format, save, write

    if asked == (ALL,):
        asked = tuple(form for form in WRITERS if recognizer.timed or form not in TIMED)
    for form in (*asked, *(["eaf"] if into else [])):
        check_format(form, timed=recognizer.timed)
    if kind.result.unit == "sign":
        top = top or TOP
    style = ElanStyle(tier, participant, probability.value)
    jobs = plan(inputs, asked, output, overlay)
    if into is not None:
        from chereme.formats.eaf_tiers import check_tiers

        if any(os.path.realpath(path) == os.path.realpath(into) for path in jobs[0].files.values()):
            raise UsageError(
                f"{into} cannot be written by -o and get tiers by --into: leave out one"
            )
        check_tiers(into, kind.result.unit, style)
        jobs[0].into = into
    for job in jobs:
        job.check(overwrite=overwrite, skip_existing=skip_existing)
    unprinted: OSError | None = None
    for job in jobs:
        if job.done:
            continue
        result = _read(recognizer, job)
        if result is None:
            continue
        for message in result.warnings:
            warn(str(job.source), message)
        for form, path in job.files.items():
            with job.failing():
                target = {"top": top, "elan": style, "directory": path.parent}
                save(write(result, job.source, form, **target), path, overwrite=overwrite)
        if job.into is not None:
            with job.failing():
                _annotate(job.into, result, style, job.source)
        filed = output is not None or (into is not None and asked == ("eaf",))
        try:
            form = asked[0] if asked == ("json",) or not filed else "txt"
            _print(result, job.source, form, several=len(inputs) > 1, top=top, elan=style)
        except OSError as error:  # nobody reads what is printed, or it has no room
            if not any((other.files or other.film or other.into) for other in jobs):
                raise
            unprinted = error
    if unprinted is not None:
        raise unprinted
    if any(job.failed for job in jobs):
        raise typer.Exit(1)


def _check_elan(
    inputs: list[Path],
    forms: tuple[str, ...],
    into: Path | None,
    tier: str | None,
    participant: str | None,
    probability: Probability,
) -> None:
    wrong = [
        name
        for name, is_given in (
            ("--tier", tier is not None),
            ("--participant", participant is not None),
            ("--probability", probability is not Probability.none),
        )
        if is_given
    ]
    if wrong and into is None and not {"eaf", ALL} & set(forms):
        raise UsageError(f"{wrong[0]} is of ELAN files: give --format eaf or --into FILE")
    if into is not None and len(inputs) > 1:
        raise UsageError(f"--into is of one input, got {len(inputs)}: an annotation has one video")
    if tier is not None and not tier.strip():
        raise UsageError("--tier: expected a name, got none")


def _annotate(path: Path, result: Transcript, style: ElanStyle, source: Path) -> None:
    from chereme.formats.eaf_tiers import add_tiers

    for message in add_tiers(path, result, style, source):
        warn(str(source), message)


def _model(model: str | None, task: str | None) -> tuple[str, Task]:
    """The name or folder of the model, and its task."""
    from chereme.recognition.registry import family_for, task_of

    if task is not None and task not in TASKS:
        raise UsageError(f"--task: expected {', '.join(TASKS)}, got {task!r}")
    name = model or family_for(task or next(iter(TASKS)))
    found = task_of(name)
    if task is not None and found != task:
        raise UsageError(
            f"the model {name!r} is for {found}, not for {task}; "
            f"leave out --task, or give a model for {task}"
        )
    return name, TASKS[found]


def _read(recognizer: Any, job: Job) -> Transcript | None:
    """What the input shows; None, after the reason was printed, if it cannot be read."""
    result: Transcript | None = None
    film = {} if job.film is None else {"overlay": job.film}
    with job.failing() as failure, ProgressBar(job.source.name) as progress:
        result = recognizer.recognize(job.source, progress=progress, **film)
    # A film that could not be written takes nothing from the text.
    return getattr(failure.error, "result", None) if result is None else result


def _print(
    result: Transcript, source: Path, form: str, *, several: bool, top: int | None, **target: Any
) -> None:
    from chereme.formats.transcripts import one_line, write

    if several and form == "txt":
        typer.echo(f"{escape(str(source))}\t{one_line(result, top)}")
        return
    text = write(result, source, form, top=top, **target)
    if form == "json":
        tell_json(json.loads(text))
    else:
        typer.echo(text.rstrip("\n"))
