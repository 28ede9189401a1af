"""Scoring a recogniser on the items of a manifest."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chereme._version import __version__
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.metrics import (
    EditCounts,
    accuracy_interval,
    confusions,
    edit_counts,
    pool,
)
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.streams import describe

LIBRARIES = ("numpy", "av", "mediapipe", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One item as it was read: ``text`` is None, and ``error`` says why, if it could not be.

    ``stream`` is what read it.
    """

    item: Item
    reference: str
    text: str | None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    stream: str | None = None


def predict(
    recognizer: Recognizer,
    items: Sequence[Item],
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Prediction]:
    """Read every item. What cannot be read is kept with its error and does not stop the others.

    Labels and texts are compared in lower case and, where the model has no symbol for them, without
    accents and spaces. Other characters of a label that the model cannot write stay: each counts as
    a letter that was not read.
    """
    alphabet = recognizer.alphabet
    predictions = []
    for done, item in enumerate(items, start=1):
        reference = alphabet.as_written(item.label)
        try:
            transcript = recognizer.recognize(
                item.path,
                start=item.start,
                end=item.end,
                hand=None if item.hand == "auto" else item.hand,
            )
        except (InputError, UsageError) as error:  # UsageError: landmarks for a model of pictures
            predictions.append(Prediction(item, reference, None, error=str(error)))
        else:
            text = alphabet.normalise(transcript.text)
            stream = transcript.info["stream"]
            predictions.append(
                Prediction(item, reference, text, transcript.warnings, stream=stream)
            )
        if progress is not None:
            progress(done, len(items))
    return predictions


def evaluate(
    recognizer: Recognizer,
    items: Sequence[Item],
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[dict[str, Any], list[Prediction]]:
    """Metrics of ``items`` as a JSON object, and the predictions behind them.

    All rates are in percent and pooled over the letters of the items that could be read.
    ``letter_accuracy`` is with HTK's alignment, ``letter_accuracy_unit`` with unit costs. The
    interval is a 95 % bootstrap over signers where there are two or more, else over items.
    ``model``, ``sha256`` and ``stream`` are of what reads recordings; ``models`` are all that were
    at hand, and ``items_by_stream`` says which streams read how many of the items.
    ``unknown_characters`` counts in how many labels each character stands that the model cannot
    write, and ``items_with_unknown`` such labels; these characters count as not read.

    Raises ``InputError`` if there are no items or none could be read.
    """
    if not items:
        raise InputError(
            "nothing to evaluate: expected at least one item in the manifest and split"
        )
    began = time.perf_counter()
    predictions = predict(recognizer, items, progress)
    read = [p for p in predictions if p.text is not None]
    if not read:
        raise InputError(
            f"none of the {len(items)} items could be read; the first: {predictions[0].error}"
        )
    references = [p.reference for p in read]
    texts = [p.text or "" for p in read]
    counts = [edit_counts(r, t, "htk") for r, t in zip(references, texts, strict=True)]
    total = pool(counts)
    unit = pool(edit_counts(r, t, "unit") for r, t in zip(references, texts, strict=True))
    signers = [p.item.signer for p in read]
    known_signers = None not in signers and len(set(signers)) > 1
    readers = recognizer.streams.for_recordings
    unknown = [recognizer.alphabet.unknown(reference) for reference in references]
    result: dict[str, Any] = {
        "task": recognizer.streams.bundles[0].config.task,
        "model": readers.name,
        "sha256": readers.sha256,
        "stream": readers.stream,
        "models": describe(recognizer.streams.bundles),
        "items_by_stream": dict(Counter(sorted(p.stream for p in read if p.stream is not None))),
        "items": len(items),
        "items_read": len(read),
        "unreadable": [{"id": p.item.id, "error": p.error} for p in predictions if p.text is None],
        "items_empty": sum(not text for text in texts),
        "items_with_unknown": sum(map(bool, unknown)),
        "unknown_characters": dict(sorted(Counter("".join(unknown)).items())),
        "letters": total.reference_length,
        "letter_accuracy": _round(total.accuracy),
        "letter_accuracy_unit": _round(unit.accuracy),
        "letter_accuracy_interval": _interval(counts, signers if known_signers else None),
        "interval_over": "signers" if known_signers else "items",
        "cer": _round(unit.error_rate),
        "exact_match": _round(
            100.0 * sum(r == t for r, t in zip(references, texts, strict=True)) / len(read)
        ),
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
        "per_signer": _per_signer(read, counts),
        "per_letter": _per_letter(references, texts),
        "decoding": recognizer.decoding_info,
        "versions": versions(),
        "seconds": round(time.perf_counter() - began, 2),
    }
    return result, predictions


def versions() -> dict[str, str | None]:
    """Versions of chereme, Python and the libraries that decide a result."""
    found: dict[str, str | None] = {
        "chereme": __version__,
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            found[library] = None
    return found


def _interval(
    counts: Sequence[EditCounts], groups: Sequence[str | None] | None
) -> list[float | None] | None:
    if not any(count.reference_length for count in counts):
        return None
    return [_round(bound) for bound in accuracy_interval(counts, groups=groups)]


def _per_signer(
    read: Sequence[Prediction], counts: Sequence[EditCounts]
) -> dict[str, dict[str, Any]]:
    table = {}
    for signer in sorted({p.item.signer for p in read if p.item.signer is not None}):
        own = [(p, c) for p, c in zip(read, counts, strict=True) if p.item.signer == signer]
        total = pool(count for _, count in own)
        table[signer] = {
            "items": len(own),
            "letters": total.reference_length,
            "letter_accuracy": _round(total.accuracy),
            "exact_match": _round(100.0 * sum(p.reference == p.text for p, _ in own) / len(own)),
        }
    return table


def _per_letter(references: Sequence[str], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = confusions(references, texts)
    counts, recall = found.counts(), found.recall()
    return {
        str(letter): {"count": counts[letter], "recall": _round(100.0 * recall[letter])}
        for letter in sorted(counts, key=str)
    }


def _round(percent: float) -> float | None:
    # JSON has no NaN, which is what a rate over nothing is.
    return round(percent, 2) if percent == percent else None
