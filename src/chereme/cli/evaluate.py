"""``chereme evaluate``: the score of a model on labelled recordings."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chereme.cli import options
from chereme.cli.console import ProgressBar, say, warn
from chereme.errors import UsageError

if TYPE_CHECKING:
    from chereme.runtime.evaluation import Prediction


class Split(StrEnum):
    """Parts of a data set."""

    train = "train"
    dev = "dev"
    test = "test"


class Format(StrEnum):
    """Forms of the result."""

    txt = "txt"
    json = "json"


def evaluate(
    data: Annotated[
        Path, typer.Option(metavar="MANIFEST", help="CSV with path,label and optional columns.")
    ],
    model: options.Model = "fingerspelling",
    stream: options.ReadStream = options.Stream.auto,
    split: Annotated[
        Split | None,
        typer.Option(metavar="SPLIT", help="train, dev or test.", show_default="all items"),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", "-f", metavar="FORM", help="txt or json.")
    ] = Format.txt,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what was read: one JSON object per item and line."
        ),
    ] = None,
    beam_width: options.BeamWidth = None,
    lm: options.UseLm = True,
    greedy: options.Greedy = False,
    threads: options.Threads = None,
) -> None:
    """Score a model on a manifest of labelled recordings.

    Recordings that are missing or cannot be read are counted, named, and left out of the score.
    """
    from chereme.formats.manifests import read_manifest
    from chereme.runtime.evaluation import evaluate as score
    from chereme.runtime.recognizer import Recognizer
    from chereme.runtime.streams import load_streams

    items = read_manifest(data)
    if split is not None:
        splits = sorted({item.split or "none" for item in items})
        items = [item for item in items if item.split == split]
        if not items:
            raise UsageError(f"{data} has no items of split {split}; it has: {', '.join(splits)}")
    streams = load_streams(model, stream.value, threads=threads)
    recognizer = Recognizer(streams, beam_width=beam_width, lm=lm, greedy=greedy)
    with ProgressBar(data.name, unit="items") as progress:
        result, read = score(recognizer, items, progress)
    result |= {"data": str(data), "split": split}
    if predictions is not None:
        predictions.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(_line(p), ensure_ascii=False) + "\n" for p in read]
        predictions.write_text("".join(lines), encoding="utf-8")
    for item in result["unreadable"]:
        warn(item["id"], f"left out: {item['error']}")
    if form is Format.json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        _print(result)
    if result["unreadable"]:
        say(f"{result['items_read']} of {result['items']} items could be read")
        raise typer.Exit(1)


def _line(prediction: Prediction) -> dict[str, Any]:
    item = prediction.item
    return {
        "id": item.id,
        "path": str(item.path),
        "signer": item.signer,
        "label": item.label,
        "reference": prediction.reference,
        "text": prediction.text,
        "stream": prediction.stream,
        "warnings": list(prediction.warnings),
        "error": prediction.error,
    }


def _print(result: dict[str, Any]) -> None:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} %"

    interval = result["letter_accuracy_interval"]
    between = f" ({percent(interval[0])} to {percent(interval[1])})" if interval else ""
    typer.echo(f"model            {result['model']}  {result['sha256'][:16]}")
    by_stream = ", ".join(f"{n} by {name}" for name, n in result["items_by_stream"].items())
    typer.echo(f"stream           {result['stream']} ({by_stream})")
    typer.echo(f"items            {result['items_read']} of {result['items']} read")
    typer.echo(f"letters          {result['letters']}")
    typer.echo(f"letter accuracy  {percent(result['letter_accuracy'])}{between}")
    typer.echo(f"  unit costs     {percent(result['letter_accuracy_unit'])}")
    typer.echo(f"exact match      {percent(result['exact_match'])}")
    typer.echo(
        f"edits            {result['substitutions']} substitutions, "
        f"{result['deletions']} deletions, {result['insertions']} insertions"
    )
    for signer, row in result["per_signer"].items():
        typer.echo(
            f"signer {signer}: {percent(row['letter_accuracy'])} of {row['letters']} letters, "
            f"{row['items']} items"
        )
