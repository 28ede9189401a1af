"""``chereme evaluate``: the score of a model on labelled recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from chereme._imports import find, require
from chereme.cli import options
from chereme.cli.console import ProgressBar, report, say, tell, tell_json, warn
from chereme.errors import OutputError, UsageError
from chereme.recognition.tasks import TASKS


@options.reads_source
def evaluate(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST", help="CSV with path,label and optional columns.", show_default=False
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="With --fuse: the models.", show_default=False, hidden=True
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=options.MODEL,
            show_default="fingerspelling",
        ),
    ] = None,
    fuse: Annotated[
        bool,
        typer.Option(
            "--fuse",
            help=(
                "--fuse A B ...: add up the predictions of these models of isolated signs, or "
                "those in the test.npz of trainings, without --data."
            ),
        ),
    ] = False,
    stream: options.ReadStream = options.Stream.auto,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="train, dev (or val, validation), test.", show_default="all items"
        ),
    ] = None,
    form: options.ReportForm = options.Form.txt,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what was read: one JSON object per item and line."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    read_with: options.ReadWith = None,
    min_probability: options.MinProbability = None,
    beam_width: options.BeamWidth = None,
    lm: options.UseLm = True,
    greedy: options.Greedy = False,
    words: options.Words = None,
    threads: options.Threads = None,
    *,
    source_options: dict[str, Any],
) -> None:
    """Score a model on a manifest of labelled recordings.

    Recordings that are missing or cannot be read are counted, named, and left out of the score.
    """
    from chereme.formats.manifests import read_manifest, split_named
    from chereme.formats.outputs import check_output, write_file
    from chereme.recognition import evaluation
    from chereme.recognition.registry import task_of
    from chereme.recognition.word_lists import read_words

    part = split_named(split) if split is not None else None
    if split is not None and part is None:
        raise UsageError(f"--split: expected train, dev (val, validation) or test, got {split!r}")
    if predictions is not None:
        check_output(predictions, overwrite=overwrite)
    names = _models(models or [], model, fuse)
    if fuse and all(name.endswith(".npz") for name in names):
        _add_up(names, form, data)
        return
    if data is None:
        raise UsageError("--data: expected the manifest of what is to be read, got none")
    items = read_manifest(data)
    if part is not None:
        splits = sorted({item.split or "none" for item in items})
        items = [item for item in items if item.split == part]
        if not items:
            raise UsageError(f"{data} has no items of split {part}; it has: {', '.join(splits)}")
    task = TASKS[task_of(names[0])]
    if fuse and not find(task.recognizer).adds_up:
        raise UsageError(
            f"--fuse adds up probabilities, but the model {names[0]!r} is for {task.reads}, whose "
            "models cannot be added up"
        )
    chosen = options.task_options(
        task,
        names[0],
        {
            "stream": stream,
            "read_with": read_with,
            "min_probability": min_probability,
            "beam_width": beam_width,
            "lm": lm,
            "greedy": greedy,
            "words": words and read_words(words),
        },
    )
    recognizer = task.load(names if fuse else names[0], threads=threads, **chosen, **source_options)
    metrics = evaluation.metrics_of(recognizer)
    with ProgressBar(data.name, unit="items") as progress:
        result, read = evaluation.evaluate(recognizer, items, progress)
    for remark in metrics.remarks(result):
        say(f"warning: {remark}")
    result |= {"data": str(data), "split": part}
    failed = bool(result["unreadable"])
    if predictions is not None:
        lines = (json.dumps(metrics.line(one), ensure_ascii=False) + "\n" for one in read)
        try:
            content = "".join(lines).encode("utf-8", "replace")
            write_file(predictions, content, overwrite=overwrite)
        except OutputError as error:  # takes nothing from the score
            report(error)
            failed = True
    for item in result["unreadable"]:
        warn(item["id"], f"left out: {item['error']}")
    if form is options.Form.json:
        tell_json(result)
    else:
        for line in evaluation.table(metrics, result):
            tell(line)
    if result["unreadable"]:
        say(f"{result['items_read']} of {result['items']} items could be read")
    if failed:
        raise typer.Exit(1)


def _models(several: list[str], single: str | None, fuse: bool) -> list[str]:
    """The models to score: the one of --model, or those after --fuse."""
    if not fuse:
        if several:
            raise UsageError(
                f"expected no models beside --model, got {' '.join(several)}; to add up the "
                "predictions of several give --fuse A B"
            )
        return [single or "fingerspelling"]
    if single is not None:
        raise UsageError("--fuse A B names the models itself: leave out --model")
    if len(several) < 2:
        raise UsageError(f"--fuse: expected two models or more, got {' '.join(several) or 'none'}")
    return several


def _add_up(names: list[str], form: options.Form, data: Path | None) -> None:
    """The score of predictions that trainings have written, each alone and all together."""
    if data is not None:
        raise UsageError("--data: files of predictions know their items: leave it out")
    scoring = require("chereme.training.isolated_scoring", extra="train")
    each = [scoring.Predictions.load(name) for name in names]
    result = {
        "task": "isolated",
        "model": "+".join(names),
        **scoring.fuse(each).score(),
        "parts": {name: one.score() for name, one in zip(names, each, strict=True)},
    }
    if form is options.Form.json:
        tell_json(result)
        return
    for name, found in {**result["parts"], "together": result}.items():
        for subset, own in {"": found, **found.get("subsets", {})}.items():
            rates = ", ".join(
                f"top-{k} {own[f'top{k}']:.2f} ({own[f'top{k}_class']:.2f})" for k in scoring.TOP
            )
            tell(f"{name}{subset and ', '}{subset}: {rates} % of {own['clips']} clips (per class)")
