"""Scoring a recogniser on the items of a manifest: what is the same for all tasks.

What is counted is each task's own: a class of :class:`Metrics`, which ``tasks.py`` names.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from chereme._imports import find
from chereme._version import __version__
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.recognition.hand_landmarks import Progress
from chereme.recognition.tasks import TASKS
from chereme.types import Transcript

LIBRARIES = ("numpy", "av", "pillow", "onnxruntime")
LISTED = 5  # names in a line for people, and alternatives of an item in the file of predictions
SHOWN = 10  # of what was taken for something else, in the table for people

Groups = Sequence[str | None] | None
"""The signers over whom a bootstrap goes; None: it goes over items."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One item as it was read: ``transcript`` is None, and ``error`` says why, if it could not
    be."""

    item: Item
    transcript: Transcript | None
    error: str | None = None

    @property
    def read(self) -> Transcript:
        """The transcript of an item that could be read."""
        assert self.transcript is not None
        return self.transcript

    def to_dict(self) -> dict[str, Any]:
        """The line of a file of predictions, as far as it is the same for all tasks."""
        found = self.transcript or Transcript()
        return {
            "id": self.item.id,
            "path": str(self.item.path),
            "source": found.info.get("source"),
            "signer": self.item.signer,
            "label": self.item.label,
            "text": None if self.transcript is None else found.text,
            "tokens": [
                [token.text, *_times(token.start, token.end), round(token.probability, 6)]
                for token in found.tokens
            ],
            "alternatives": [
                [text, None if probability is None else round(probability, 6)]
                for text, probability in found.alternatives[:LISTED]
            ],
            "warnings": list(found.warnings),
            "error": self.error,
        }


class Metrics(ABC):
    """What is counted of the predictions of one task, and how that is shown."""

    empty: ClassVar[str] = "without text"
    """What is written of items in which nothing was read."""

    def __init__(self, recognizer: Any) -> None:
        self.recognizer = recognizer

    def is_labelled(self, item: Item) -> bool:
        """Whether the item's label says what is signed; others are left out of the score."""
        return bool(item.label.split())

    @property
    def reads_unlabelled(self) -> bool:
        """Whether items without a label are read all the same."""
        return False

    def is_empty(self, prediction: Prediction) -> bool:
        """Whether nothing was read of an item."""
        return not prediction.read.tokens

    def source(self, item: Item) -> Path:
        """The file of the item that is read."""
        return item.path

    def options(self, item: Item) -> dict[str, Any]:
        """Options of ``recognize`` for an item."""
        return {"hand": None if item.hand == "auto" else item.hand}

    @abstractmethod
    def measure(
        self, scored: Sequence[Prediction], read: Sequence[Prediction], groups: Groups
    ) -> dict[str, Any]:
        """The metrics of items that have a label, ``scored``, among all that were ``read``."""

    @abstractmethod
    def of_signer(self, scored: Sequence[Prediction]) -> dict[str, Any]:
        """The metrics of the items of one signer."""

    def line(self, prediction: Prediction) -> dict[str, Any]:
        """An item in the file of predictions."""
        return prediction.to_dict()

    def remarks(self, result: dict[str, Any]) -> Iterator[str]:
        """Warnings of what a user should know of a result."""
        if result["items_unlabelled"] and not self.reads_unlabelled:
            yield f"{result['items_unlabelled']} items have no label: they are left out"

    @abstractmethod
    def table(self, result: dict[str, Any]) -> Iterator[str]:
        """Lines for people, between the items and the signers."""

    @abstractmethod
    def signer_line(self, row: dict[str, Any]) -> str:
        """What is written of one signer."""


def metrics_of(recognizer: Any) -> Metrics:
    """The metrics of a recogniser's task."""
    metrics: Metrics = find(TASKS[recognizer.task].evaluation)(recognizer)
    return metrics


def evaluate(
    recognizer: Any, items: Sequence[Item], progress: Progress | None = None
) -> tuple[dict[str, Any], list[Prediction]]:
    """Metrics of ``items`` as a JSON object, and the predictions behind them.

    All rates are in percent, of the items with a label that could be read. ``items_unlabelled``
    are left out, ``unreadable`` are those that could not be read, ``items_empty`` those in which
    nothing was. Intervals are 95 % bootstraps over signers where there are two or more, else over
    items (``interval_over``). ``model`` and ``sha256`` are of what reads recordings. The rest is
    documented where it is counted, in the task's class of :class:`Metrics`.

    Raises ``InputError`` if there are no items with a label or none could be read.
    """
    metrics = metrics_of(recognizer)
    labelled = [item for item in items if metrics.is_labelled(item)]
    if not labelled:
        raise InputError(
            f"nothing to evaluate: expected at least one item with a label, got {len(items)} "
            "without; check the manifest and split"
        )
    began = time.perf_counter()
    predictions = predict(metrics, items if metrics.reads_unlabelled else labelled, progress)
    read = [p for p in predictions if p.transcript is not None]
    scored = [p for p in read if metrics.is_labelled(p.item)]
    unreadable = [{"id": p.item.id, "error": p.error} for p in predictions if p.error]
    if not scored:
        raise InputError(
            f"none of the {len(labelled)} items could be read; the first: {unreadable[0]['error']}"
        )
    signers = [p.item.signer for p in scored]
    by_signer = None not in signers and len(set(signers)) > 1
    info = {key: value for key, value in recognizer.info.items() if key != "chereme"}
    model = info.pop("model")
    result = {
        "task": recognizer.task,
        "model": model["name"],
        "sha256": model["sha256"],
        **info,
        "items": len(items),
        "items_read": len(read),
        "items_unlabelled": len(items) - len(labelled),
        "items_empty": sum(map(metrics.is_empty, read)),
        "unreadable": unreadable,
        **metrics.measure(scored, read, signers if by_signer else None),
        "interval_over": "signers" if by_signer else "items",
        "per_signer": {
            signer: {"items": len(own), **metrics.of_signer(own)}
            for signer in sorted({signer for signer in signers if signer is not None})
            if (own := [p for p in scored if p.item.signer == signer])
        },
        "versions": versions(),
        "seconds": round(time.perf_counter() - began, 2),
    }
    return result, predictions


def predict(
    metrics: Metrics, items: Sequence[Item], progress: Progress | None = None
) -> list[Prediction]:
    """Read every item. What cannot be read is kept with its error and does not stop the others."""
    predictions = []
    for done, item in enumerate(items, start=1):
        try:
            transcript = metrics.recognizer.recognize(
                metrics.source(item), start=item.start, end=item.end, **metrics.options(item)
            )
        except (InputError, UsageError) as error:  # UsageError: a source that the model cannot read
            predictions.append(Prediction(item, None, error=str(error)))
        else:
            predictions.append(Prediction(item, transcript))
        if progress is not None:
            progress(done, len(items))
    return predictions


def table(metrics: Metrics, result: dict[str, Any]) -> Iterator[str]:
    """A result as lines for people."""
    yield row("model", f"{result['model']}  {result['sha256'][:16]}")
    yield row(
        "items",
        f"{result['items_read']} of {result['items']} read, "
        f"{result['items_empty']} {metrics.empty}",
    )
    yield from metrics.table(result)
    for signer, about in result["per_signer"].items():
        yield f"signer {signer}: {metrics.signer_line(about)}"


def row(name: str, value: str) -> str:
    """A line of the table."""
    return f"{name:<17}{value}"


def percent(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A rate as it is printed, with its interval."""
    if value is None:
        return "-"
    between = f" ({interval[0]:.1f} to {interval[1]:.1f})" if interval else ""
    return f"{value:.1f} %{between}"


def rounded(value: float) -> float | None:
    """A rate as it stands in JSON, which has no NaN: that is a rate over nothing."""
    return round(value, 2) if value == value else None


def some(names: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return ", ".join(every[:LISTED]) + more


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


def _times(*seconds: float) -> list[float | None]:
    return [round(time, 4) if time == time else None for time in seconds]
