"""``chereme evaluate``: the score of a model on labelled recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chereme._installation import install_command
from chereme.cli import options
from chereme.cli.console import ProgressBar, report, say, tell, tell_json, warn
from chereme.errors import OutputError, UsageError

if TYPE_CHECKING:
    from chereme.formats.manifests import Item
    from chereme.recognition.continuous_evaluation import SentencePrediction
    from chereme.recognition.evaluation import Prediction
    from chereme.recognition.isolated_evaluation import SignPrediction


SHOWN = 10  # of what was taken for something else, in the table for people
LISTED = 5  # glosses of an item, in the file of predictions


class Format(StrEnum):
    """Forms of the result."""

    txt = "txt"
    json = "json"


def evaluate(
    data: Annotated[
        Path, typer.Option(metavar="MANIFEST", help="CSV with path,label and optional columns.")
    ],
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
            help="A bundled model (see: chereme models), or a folder.",
            show_default="fingerspelling",
        ),
    ] = None,
    fuse: Annotated[
        bool,
        typer.Option(
            "--fuse",
            help="--fuse A B ...: add up the predictions of these models of isolated signs.",
        ),
    ] = False,
    stream: options.ReadStream = options.Stream.auto,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT", help="train, dev (or val, validation), test.", show_default="all items"
        ),
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
    overwrite: options.Overwrite = False,
    read_with: options.ReadWith = None,
    min_probability: options.MinProbability = None,
    beam_width: options.BeamWidth = None,
    lm: options.UseLm = True,
    greedy: options.Greedy = False,
    rotate: options.Rotate = None,
    video_stream: options.VideoStream = None,
    max_pixels: options.MaxPixels = None,
    max_seconds: options.MaxSeconds = None,
    max_frames: options.MaxFrames = None,
    threads: options.Threads = None,
) -> None:
    """Score a model on a manifest of labelled recordings.

    Recordings that are missing or cannot be read are counted, named, and left out of the score.
    """
    from chereme.formats.manifests import read_manifest, split_named
    from chereme.formats.outputs import check_output, write_file
    from chereme.recognition.registry import task_of

    part = split_named(split) if split is not None else None
    if split is not None and part is None:
        raise UsageError(f"--split: expected train, dev (val, validation) or test, got {split!r}")
    if predictions is not None:
        check_output(predictions, overwrite=overwrite)
    names = _models(models or [], model, fuse)
    items = read_manifest(data)
    if part is not None:
        splits = sorted({item.split or "none" for item in items})
        items = [item for item in items if item.split == part]
        if not items:
            raise UsageError(f"{data} has no items of split {part}; it has: {', '.join(splits)}")
    search: dict[str, Any] = {"beam_width": beam_width, "greedy": greedy}
    reading: dict[str, Any] = {
        "rotate": rotate,
        "video_stream": video_stream,
        "limits": options.limits(max_pixels, max_seconds, max_frames),
    }
    task = "isolated" if fuse else task_of(names[0])
    if min_probability is not None and task != "isolated":
        raise UsageError(f"--min-probability is of single signs, but the model is for {task}")
    if read_with is not None and task != "continuous":
        raise UsageError(f"--read-with is of continuous signing, but the model is for {task}")
    with ProgressBar(data.name, unit="items") as progress:
        if task == "isolated":
            if beam_width is not None or greedy or not lm:
                raise UsageError(
                    "--beam-width, --greedy and --no-lm are of letters, but the model is for signs"
                )
            settings = reading | {"min_probability": min_probability}
            result, lines = _score_signs(names, stream, threads, settings, items, progress)
        elif task == "continuous":
            if not lm or stream is not options.Stream.auto:
                raise UsageError(
                    "--no-lm and --stream are not of continuous signing; leave them out"
                )
            search["read_with"] = None if read_with is None else read_with.value
            settings = search | reading
            result, lines = _score_sentences(names[0], threads, settings, items, progress)
        else:
            search["lm"] = lm
            settings = search | reading
            result, lines = _score_letters(names[0], stream, threads, settings, items, progress)
    result |= {"data": str(data), "split": part}
    failed = bool(result["unreadable"])
    if predictions is not None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        try:
            write_file(predictions, text.encode("utf-8", "replace"), overwrite=overwrite)
        except OutputError as error:  # takes nothing from the score
            report(error)
            failed = True
    for item in result["unreadable"]:
        warn(item["id"], f"left out: {item['error']}")
    if form is Format.json:
        tell_json(result)
    elif task == "isolated":
        _print_signs(result)
    elif task == "continuous":
        _print_sentences(result)
    else:
        _print(result)
    if result["unreadable"]:
        say(f"{result['items_read']} of {result['items']} items could be read")
    if failed:
        raise typer.Exit(1)


def _models(several: list[str], one: str | None, fuse: bool) -> list[str]:
    """The models to score: the one of --model, or those after --fuse."""
    if not fuse:
        if several:
            raise UsageError(
                f"expected no models beside --model, got {' '.join(several)}; to add up the "
                "predictions of several give --fuse A B"
            )
        return [one or "fingerspelling"]
    if one is not None:
        raise UsageError("--fuse A B names the models itself: leave out --model")
    if len(several) < 2:
        raise UsageError(f"--fuse: expected two models or more, got {' '.join(several) or 'none'}")
    return several


def _score_letters(
    model: str,
    stream: options.Stream,
    threads: int | None,
    settings: dict[str, Any],
    items: list[Item],
    progress: ProgressBar,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from chereme.recognition.evaluation import evaluate as score
    from chereme.recognition.fingerspelling import Recognizer
    from chereme.recognition.streams import load_streams

    streams = load_streams(model, stream.value, threads=threads)
    result, read = score(Recognizer(streams, **settings), items, progress)
    if unknown := result["unknown_characters"]:
        say(
            f"warning: the labels of {result['items_with_unknown']} items have characters that the "
            f"model cannot write ({_some(map(repr, unknown))}): they count as not read"
        )
    return result, [_line(prediction) for prediction in read]


def _score_signs(
    models: list[str],
    stream: options.Stream,
    threads: int | None,
    settings: dict[str, Any],
    items: list[Item],
    progress: ProgressBar,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from chereme.recognition.isolated import IsolatedRecognizer, load_isolated
    from chereme.recognition.isolated_evaluation import evaluate_signs

    bundles = [load_isolated(name, stream.value, threads=threads) for name in models]
    result, read = evaluate_signs(IsolatedRecognizer(bundles, **settings), items, progress)
    if result["unknown_glosses"]:
        say(
            f"warning: {result['items_unknown']} items are of {len(result['unknown_glosses'])} "
            f"glosses that the model does not know ({_some(result['unknown_glosses'])}): they "
            "count as read wrongly"
        )
    return result, [_sign_line(prediction) for prediction in read]


def _score_sentences(
    model: str,
    threads: int | None,
    settings: dict[str, Any],
    items: list[Item],
    progress: ProgressBar,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from chereme.recognition.continuous import ContinuousRecognizer, load_continuous
    from chereme.recognition.continuous_evaluation import evaluate_sentences

    recognizer = ContinuousRecognizer(load_continuous(model, threads=threads), **settings)
    result, read = evaluate_sentences(recognizer, items, progress)
    if result["unknown"]:
        say(
            f"warning: {result['unknown']} of {result['glosses']} glosses "
            f"({_some(result['unknown_glosses'])}) are not known to the model: they count as read "
            "wrongly"
        )
    if result["items_unlabelled"]:
        say(f"warning: {result['items_unlabelled']} items have no label: they are left out")
    if result["too_long"]:
        say(
            f"warning: {result['too_long']} items are longer than {result['longest']} glosses, the "
            "most that the model says of a stretch; cut them into sentences"
        )
    if result["bleu"] is None:
        say(f"warning: no BLEU without the library sacrebleu: {install_command('train')}")
    return result, [_sentence_line(prediction) for prediction in read]


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


def _sign_line(prediction: SignPrediction) -> dict[str, Any]:
    item, result = prediction.item, prediction.result
    return {
        "id": item.id,
        "path": str(item.path),
        "signer": item.signer,
        "label": item.label,
        "text": None if result is None else result.text,
        "rank": prediction.rank,
        "glosses": []
        if result is None
        else [[gloss, round(share, 6)] for gloss, share in result.glosses[:LISTED]],
        "warnings": [] if result is None else list(result.warnings),
        "error": prediction.error,
    }


def _sentence_line(prediction: SentencePrediction) -> dict[str, Any]:
    item, result = prediction.item, prediction.result
    return {
        "id": item.id,
        "path": str(item.path),
        "read": None if result is None else result.info["source"],
        "signer": item.signer,
        "label": item.label,
        "text": None if result is None else result.text,
        "glosses": []
        if result is None
        else [[g.gloss, g.start, g.end, round(g.probability, 6)] for g in result.glosses],
        "hypotheses": []
        if result is None
        else [" ".join(glosses) for glosses in result.hypotheses[:LISTED]],
        "warnings": [] if result is None else list(result.warnings),
        "error": prediction.error,
    }


def _print_sentences(result: dict[str, Any]) -> None:
    low, high = result["wer_interval"]
    tell(f"model            {result['model']}  {result['sha256'][:16]}")
    tell(f"read with        {result['read_with']}")
    tell(
        f"items            {result['items_read']} of {result['items']} read, "
        f"{result['items_empty']} without a gloss"
    )
    tell(f"glosses          {result['glosses']}, {result['unknown']} not known to the model")
    tell(f"word error rate  {result['wer']:.1f} % ({low:.1f} to {high:.1f})")
    tell(
        f"  edits          {result['substitutions']} substitutions, "
        f"{result['deletions']} deletions, {result['insertions']} insertions"
    )
    tell(f"  mean of items  {result['mean_wer']:.1f} %")
    tell(f"exact match      {result['exact_match']:.1f} %")
    if result["top5"] is not None:
        tell(f"  one of five    {result['top5']:.1f} % of {result['top5_items']} items")
    if result["bleu"] is not None:
        for name, key in (("BLEU-1 to 4", "bleu"), ("  mean of items", "sentence_bleu")):
            tell(f"{name:<17}{', '.join(f'{value:.1f}' for value in result[key])}")
    for row in result["mistakes"][:SHOWN]:
        true, read = row["gloss"] or "nothing", row["read"] or "nothing"
        tell(f"{true} read as {read}: {row['count']}")
    for signer, row in result["per_signer"].items():
        tell(
            f"signer {signer}: {row['wer']:.1f} % of {row['glosses']} glosses, {row['items']} items"
        )


def _print_signs(result: dict[str, Any]) -> None:
    def percent(name: str) -> str:
        low, high = result[f"{name}_interval"]
        return f"{result[name]:.1f} % ({low:.1f} to {high:.1f})"

    tell(f"model            {result['model']}  {result['sha256'][:16]}")
    tell(f"stream           {result['stream']}")
    tell(
        f"items            {result['items_read']} of {result['items']} read, "
        f"{result['items_empty']} without a hand"
    )
    tell(
        f"glosses          {result['glosses']} in the data, {result['model_glosses']} in the model"
    )
    if unknown := result["unknown_glosses"]:
        tell(
            f"  unknown        {_some(unknown)}: {result['items_unknown']} items, counted as read "
            "wrongly"
        )
    for k in (1, 2, 5):
        tell(f"top-{k}            {percent(f'top{k}')}")
        tell(f"  per class      {percent(f'top{k}_class')}")
    if result["min_probability"] > 0:
        _print_answers(result)
    nothing = "nothing" if result["items_abstained"] else "no hand"
    for row in result["confusion"][:SHOWN]:
        read = nothing if row["read"] is None else row["read"]
        tell(f"{row['label']} read as {read}: {row['count']}")
    for signer, row in result["per_signer"].items():
        tell(f"signer {signer}: top-1 {row['top1']:.1f} % of {row['items']} items")


def _print_answers(result: dict[str, Any]) -> None:
    def percent(key: str) -> str:
        return "-" if result[key] is None else f"{result[key]:.1f} %"

    tell(
        f"answered         {percent('answered')} of all items, from a probability of "
        f"{result['min_probability']:.2f} on"
    )
    tell(f"  right          {percent('accuracy')} of all items, with no answer to unknown ones")
    tell(f"                 {percent('accuracy_answered')} of the answers")
    tell(f"  rejected       {percent('false_rejections')} of the items of known glosses")
    tell(f"  accepted       {percent('false_acceptances')} of the others")


def _some(names: Iterable[str]) -> str:
    first = list(names)
    more = f" and {len(first) - LISTED} more" if len(first) > LISTED else ""
    return ", ".join(first[:LISTED]) + more


def _print(result: dict[str, Any]) -> None:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} %"

    interval = result["letter_accuracy_interval"]
    between = f" ({percent(interval[0])} to {percent(interval[1])})" if interval else ""
    tell(f"model            {result['model']}  {result['sha256'][:16]}")
    by_stream = ", ".join(f"{n} by {name}" for name, n in result["items_by_stream"].items())
    tell(f"stream           {result['stream']} ({by_stream})")
    tell(f"items            {result['items_read']} of {result['items']} read")
    tell(f"letters          {result['letters']}")
    if unknown := result["unknown_characters"]:
        tell(
            f"  unknown        {_some(map(repr, unknown))} in {result['items_with_unknown']} items"
            ", counted as not read"
        )
    tell(f"letter accuracy  {percent(result['letter_accuracy'])}{between}")
    tell(f"  unit costs     {percent(result['letter_accuracy_unit'])}")
    tell(f"exact match      {percent(result['exact_match'])}")
    tell(
        f"edits            {result['substitutions']} substitutions, "
        f"{result['deletions']} deletions, {result['insertions']} insertions"
    )
    for signer, row in result["per_signer"].items():
        tell(
            f"signer {signer}: {percent(row['letter_accuracy'])} of {row['letters']} letters, "
            f"{row['items']} items"
        )
