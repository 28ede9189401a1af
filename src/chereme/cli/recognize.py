"""``chereme recognize``: what videos, images, folders of frames, and landmark files show."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import ProgressBar, say, tell_json, warn
from chereme.cli.outputs import ALL, Job, parse_forms, plan
from chereme.cli.readers import Letters, Reader, Signing, Signs
from chereme.errors import UsageError
from chereme.text.escapes import escape

if TYPE_CHECKING:
    from chereme.formats.eaf_writing import ElanStyle


class Task(StrEnum):
    """What is signed."""

    fingerspelling = "fingerspelling"
    isolated = "isolated"
    continuous = "continuous"


class Probability(StrEnum):
    """Where the probabilities stand in an ELAN file."""

    none = "none"
    value = "value"
    tier = "tier"


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
            metavar="K", min=1, help="Glosses to give for an isolated sign.", show_default="5"
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
    mirrored: options.Mirrored = False,
    rate: options.Rate = None,
    rotate: options.Rotate = None,
    video_stream: options.VideoStream = None,
    max_pixels: options.MaxPixels = None,
    max_seconds: options.MaxSeconds = None,
    max_frames: options.MaxFrames = None,
    strict: options.Strict = False,
    threads: options.Threads = None,
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
    chosen, found = _model(model, task)
    common: dict[str, Any] = {
        "mirrored": mirrored,
        "rate": rate,
        "rotate": rotate,
        "video_stream": video_stream,
        "limits": options.limits(max_pixels, max_seconds, max_frames),
        "strict": strict,
    }
    search: dict[str, Any] = {"beam_width": beam_width, "greedy": greedy}
    of_letters = {"--no-lm": not lm, "--overlay": overlay is not None}
    of_search = {"--beam-width": beam_width is not None, "--greedy": greedy}
    of_signs = {"--min-probability": min_probability is not None, "--top": top is not None}
    of_signing = {"--read-with": read_with is not None}
    of_hands = {
        "--hand": hand is not options.Hand.auto,
        "--stream": stream is not options.Stream.auto,
    }
    reader: Reader
    if found == Task.isolated:
        _refuse(of_letters | of_search, "letters", chosen, "single signs")
        _refuse(of_signing, "continuous signing", chosen, "single signs")
        settings = common | {"hand": hand.value, "min_probability": min_probability}
        reader = Signs(chosen, stream, threads, settings, 5 if top is None else top)
    elif found == Task.continuous:
        _refuse(of_letters, "letters", chosen, "continuous signing")
        _refuse(of_hands, "models of hands", chosen, "continuous signing")
        _refuse(of_signs, "single signs", chosen, "continuous signing")
        chosen_reader = None if read_with is None else read_with.value
        reader = Signing(chosen, threads, common | search | {"read_with": chosen_reader})
    else:
        _refuse(of_signing, "continuous signing", chosen, "letters")
        _refuse(of_signs, "single signs", chosen, "letters")
        settings = common | search | {"lm": lm, "hand": hand.value}
        reader = Letters(chosen, stream, threads, settings)
    if asked == (ALL,):
        asked = tuple(reader.forms)
    for form in (*asked, *(["eaf"] if into else [])):
        reader.check_form(form)
    from chereme.formats.eaf_writing import ElanStyle
    from chereme.formats.transcripts import save

    style = ElanStyle(tier, participant, probability.value)
    jobs = plan(inputs, asked, output, overlay)
    if into is not None:
        from chereme.formats.eaf_tiers import check_tiers

        if any(os.path.realpath(path) == os.path.realpath(into) for path in jobs[0].files.values()):
            raise UsageError(
                f"{into} cannot be written by -o and get tiers by --into: leave out one"
            )
        check_tiers(into, reader.spelled, style)
        jobs[0].into = into
    for job in jobs:
        job.check(overwrite=overwrite, skip_existing=skip_existing)
    unprinted: OSError | None = None
    for job in jobs:
        if job.done:
            continue
        result = _read(reader, job)
        if result is None:
            continue
        for message in result.warnings:
            warn(str(job.source), message)
        for form, path in job.files.items():
            with job.failing():
                text = reader.document(result, job.source, form, path.parent, style)
                save(text, path, overwrite=overwrite)
        if job.into is not None:
            with job.failing():
                _annotate(job.into, reader, result, style, job.source)
        filed = output is not None or (into is not None and asked == ("eaf",))
        try:
            _print(reader, result, job, asked, style, several=len(inputs) > 1, filed=filed)
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
    given = {
        "--tier": tier is not None,
        "--participant": participant is not None,
        "--probability": probability is not Probability.none,
    }
    wrong = [name for name, there in given.items() if there]
    if wrong and into is None and not {"eaf", ALL} & set(forms):
        raise UsageError(f"{wrong[0]} is of ELAN files: give --format eaf or --into FILE")
    if into is not None and len(inputs) > 1:
        raise UsageError(f"--into is of one input, got {len(inputs)}: an annotation has one video")
    if tier is not None and not tier.strip():
        raise UsageError("--tier: expected a name, got none")


def _annotate(path: Path, reader: Reader, result: Any, style: ElanStyle, source: Path) -> None:
    from chereme.formats.eaf_tiers import add_tiers

    for message in add_tiers(path, reader.elan(result), style, source):
        warn(str(source), message)


def _model(model: str | None, task: Task | None) -> tuple[str, str]:
    """The name or folder of the model, and its task."""
    from chereme.recognition.registry import family_for, task_of

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
    return chosen, found


def _refuse(given: dict[str, bool], kind: str, model: str, task: str) -> None:
    """UsageError for an option of another task."""
    if wrong := [name for name, there in given.items() if there]:
        raise UsageError(f"{wrong[0]} is of {kind}, but the model {model!r} is for {task}")


def _read(reader: Reader, job: Job) -> Any:
    """What the input shows; None, after the reason was told, if it cannot be read."""
    result = None
    with job.failing() as failure, ProgressBar(job.source.name) as progress:
        result = reader.read(job.source, job.film, progress)
    # A film that could not be written takes nothing from the text.
    return getattr(failure.error, "result", None) if result is None else result


def _print(
    reader: Reader,
    result: Any,
    job: Job,
    forms: tuple[str, ...],
    style: ElanStyle,
    *,
    several: bool,
    filed: bool,
) -> None:
    if forms == ("json",):
        tell_json(json.loads(reader.document(result, job.source, "json", None, style)))
    elif filed or forms == ("txt",):
        text = reader.text(result, several=several)
        typer.echo(f"{escape(str(job.source))}\t{text}" if several else text)
    else:
        typer.echo(reader.document(result, job.source, forms[0], None, style).rstrip("\n"))
