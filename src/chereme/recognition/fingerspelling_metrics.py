"""How well letters were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from chereme.formats.manifests import Item
from chereme.metrics import EditCounts, accuracy_interval, confusions, edit_counts, pool
from chereme.recognition.evaluation import (
    Groups,
    Metrics,
    Prediction,
    percent,
    rounded,
    row,
    some,
)


class FingerspellingMetrics(Metrics):
    """Letters, pooled over the items that could be read.

    ``letter_accuracy`` is with HTK's alignment, ``letter_accuracy_unit`` with unit costs.
    ``models`` are all that were at hand, and ``items_by_stream`` says which streams read how many
    of the items.

    Labels and texts are compared in lower case and, where the model has no symbol for them, without
    accents and spaces. ``unknown_characters`` counts in how many labels each character stands that
    the model cannot write, and ``items_with_unknown`` such labels; each such character counts as a
    letter that was not read.
    """

    def is_labelled(self, item: Item) -> bool:
        """An empty label says that nothing is spelled."""
        return True

    def reference(self, prediction: Prediction) -> str:
        """The letters of the label."""
        text: str = self.recognizer.alphabet.as_written(prediction.item.label)
        return text

    def text(self, prediction: Prediction) -> str:
        """The letters that were read."""
        text: str = self.recognizer.alphabet.normalise(prediction.read.text)
        return text

    def _counts(self, scored: Sequence[Prediction], costs: Any) -> list[EditCounts]:
        return [edit_counts(self.reference(p), self.text(p), costs) for p in scored]

    def measure(
        self, scored: Sequence[Prediction], read: Sequence[Prediction], groups: Groups
    ) -> dict[str, Any]:
        references, texts = [self.reference(p) for p in scored], [self.text(p) for p in scored]
        counts = self._counts(scored, "htk")
        total, unit = pool(counts), pool(self._counts(scored, "unit"))
        interval = None
        if total.reference_length:
            interval = [rounded(bound) for bound in accuracy_interval(counts, groups=groups)]
        unknown = [self.recognizer.alphabet.unknown(reference) for reference in references]
        return {
            "items_by_stream": dict(Counter(sorted(p.read.info["stream"] for p in read))),
            "items_with_unknown": sum(map(bool, unknown)),
            "unknown_characters": dict(sorted(Counter("".join(unknown)).items())),
            "letters": total.reference_length,
            "letter_accuracy": rounded(total.accuracy),
            "letter_accuracy_unit": rounded(unit.accuracy),
            "letter_accuracy_interval": interval,
            "cer": rounded(unit.error_rate),
            "exact_match": self._exact(scored),
            "substitutions": total.substitutions,
            "deletions": total.deletions,
            "insertions": total.insertions,
            "per_letter": _per_letter(references, texts),
        }

    def _exact(self, scored: Sequence[Prediction]) -> float | None:
        right = sum(self.reference(p) == self.text(p) for p in scored)
        return rounded(100.0 * right / len(scored))

    def of_signer(self, scored: Sequence[Prediction]) -> dict[str, Any]:
        total = pool(self._counts(scored, "htk"))
        return {
            "letters": total.reference_length,
            "letter_accuracy": rounded(total.accuracy),
            "exact_match": self._exact(scored),
        }

    def line(self, prediction: Prediction) -> dict[str, Any]:
        found = prediction.transcript
        return {
            **prediction.to_dict(),
            "reference": self.reference(prediction),
            "text": None if found is None else self.text(prediction),
            "stream": None if found is None else found.info["stream"],
        }

    def remarks(self, result: dict[str, Any]) -> Iterator[str]:
        yield from super().remarks(result)
        if unknown := result["unknown_characters"]:
            yield (
                f"the labels of {result['items_with_unknown']} items have characters that the "
                f"model cannot write ({some(map(repr, unknown))}): they count as not read"
            )

    def table(self, result: dict[str, Any]) -> Iterator[str]:
        by_stream = ", ".join(f"{n} by {name}" for name, n in result["items_by_stream"].items())
        yield row("stream", f"{result['stream']} ({by_stream})")
        yield row("letters", f"{result['letters']}")
        if unknown := result["unknown_characters"]:
            yield row(
                "  unknown",
                f"{some(map(repr, unknown))} in {result['items_with_unknown']} items, counted as "
                "not read",
            )
        interval = result["letter_accuracy_interval"]
        yield row("letter accuracy", percent(result["letter_accuracy"], interval))
        yield row("  unit costs", percent(result["letter_accuracy_unit"]))
        yield row("exact match", percent(result["exact_match"]))
        yield row("edits", edits(result))

    def signer_line(self, row: dict[str, Any]) -> str:
        return (
            f"{percent(row['letter_accuracy'])} of {row['letters']} letters, {row['items']} items"
        )


def edits(result: dict[str, Any]) -> str:
    """The numbers of edits of a result, for people."""
    return (
        f"{result['substitutions']} substitutions, {result['deletions']} deletions, "
        f"{result['insertions']} insertions"
    )


def _per_letter(references: Sequence[str], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    found = confusions(references, texts)
    counts, recall = found.counts(), found.recall()
    return {
        str(letter): {"count": counts[letter], "recall": rounded(100.0 * recall[letter])}
        for letter in sorted(counts, key=str)
    }
