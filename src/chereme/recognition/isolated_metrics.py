"""How well single signs were recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chereme.formats.paths import nfc
from chereme.metrics import UNRANKED, ranks, top_k, top_k_interval
from chereme.metrics.confusion import Confusions
from chereme.recognition.evaluation import (
    SHOWN,
    Groups,
    Metrics,
    Prediction,
    percent,
    row,
    some,
)

TOP = (1, 2, 5)


class IsolatedMetrics(Metrics):
    """Signs, one an item.

    ``top1``, ``top2``, ``top5`` are the rates of items whose gloss is among the first so many;
    ``top1_class`` the mean over the glosses of their own rates. Items in which no hand was seen,
    and those of a gloss that the model does not know (``unknown_glosses``), count as read wrongly.
    ``confusion`` lists what was taken for what, the most frequent first; ``read`` is None where
    there was no answer.

    These are of what is ranked first, answer or not. Of answers tell ``answered``, the rate of
    items that have one, ``accuracy`` of all items and ``accuracy_answered`` of those. Items of a
    gloss that the model does not know are right there without an answer; so are those without a
    label, which are read too where the model abstains (``min_probability`` above 0).
    """

    empty = "without a hand"

    def __init__(self, recognizer: Any) -> None:
        super().__init__(recognizer)
        self._index = {nfc(gloss): number for number, gloss in enumerate(recognizer.glosses)}

    @property
    def reads_unlabelled(self) -> bool:
        return bool(self.recognizer.min_probability > 0)

    def is_empty(self, prediction: Prediction) -> bool:
        return not prediction.read.alternatives

    def rank(self, prediction: Prediction) -> int | None:
        """Of the right gloss, from 1; None where no hand was seen or the model does not know it."""
        found, label = prediction.transcript, prediction.item.label
        if found is None or not found.alternatives or label not in self._index:
            return None
        scores = np.zeros(len(self._index))
        for gloss, probability in found.alternatives:
            scores[self._index[nfc(gloss)]] = probability
        return int(ranks(scores[None], [self._index[label]])[0])

    def measure(
        self, scored: Sequence[Prediction], read: Sequence[Prediction], groups: Groups
    ) -> dict[str, Any]:
        labels = [p.item.label for p in scored]
        found_ranks = [self.rank(p) or UNRANKED for p in scored]
        unknown = Counter(label for label in labels if label not in self._index)
        predicted = [nfc(p.read.text) or None for p in scored]
        confused = Confusions(Counter(zip(labels, predicted, strict=True)))
        counts, recall = confused.counts(), confused.recall()
        return {
            **self._answers(read),
            "items_unknown": unknown.total(),
            "unknown_glosses": dict(sorted(unknown.items())),
            "glosses": len(set(labels)),
            "model_glosses": len(self.recognizer.glosses),
            **_accuracies(found_ranks, labels, groups),
            "per_gloss": {
                gloss: {"count": counts[gloss], "top1": round(100.0 * recall[gloss], 2)}
                for gloss in sorted(set(labels))
            },
            "confusion": [
                {"label": label, "read": gloss, "count": count}
                for (label, gloss), count in confused.mistakes()
            ],
        }

    def _answers(self, read: Sequence[Prediction]) -> dict[str, Any]:
        """What is reported of answers, and of where there is none."""
        texts = np.array([p.read.text for p in read])
        abstained = sum(bool(p.read.alternatives and not p.read.tokens) for p in read)
        known = np.array([p.item.label in self._index for p in read])
        answered = texts != ""
        right = np.where(known, texts == np.array([p.item.label for p in read]), ~answered)

        def rate(values: np.ndarray) -> float | None:
            return round(100.0 * float(values.mean()), 2) if len(values) else None

        return {
            "items_abstained": abstained,
            "answered": rate(answered),
            "accuracy": rate(right),
            "accuracy_answered": rate(right[answered]),
            "false_rejections": rate(~answered[known]),
            "false_acceptances": rate(answered[~known]),
        }

    def of_signer(self, scored: Sequence[Prediction]) -> dict[str, Any]:
        right = sum(self.rank(p) == 1 for p in scored)
        return {"top1": round(100.0 * right / len(scored), 2)}

    def line(self, prediction: Prediction) -> dict[str, Any]:
        return {**prediction.to_dict(), "rank": self.rank(prediction)}

    def remarks(self, result: dict[str, Any]) -> Iterator[str]:
        yield from super().remarks(result)
        if unknown := result["unknown_glosses"]:
            yield (
                f"{result['items_unknown']} items are of {len(unknown)} glosses that the model "
                f"does not know ({some(unknown)}): they count as read wrongly"
            )

    def table(self, result: dict[str, Any]) -> Iterator[str]:
        yield row("stream", result["stream"])
        yield row(
            "glosses", f"{result['glosses']} in the data, {result['model_glosses']} in the model"
        )
        if unknown := result["unknown_glosses"]:
            yield row(
                "  unknown",
                f"{some(unknown)}: {result['items_unknown']} items, counted as read wrongly",
            )
        for k in TOP:
            for name, key in ((f"top-{k}", f"top{k}"), ("  per class", f"top{k}_class")):
                yield row(name, percent(result[key], result[f"{key}_interval"]))
        if result["min_probability"] > 0:
            yield row(
                "answered",
                f"{percent(result['answered'])} of all items, from a probability of "
                f"{result['min_probability']:.2f} on",
            )
            right = percent(result["accuracy"])
            yield row("  right", f"{right} of all items, with no answer to unknown ones")
            yield row("", f"{percent(result['accuracy_answered'])} of the answers")
            rejected, accepted = result["false_rejections"], result["false_acceptances"]
            yield row("  rejected", f"{percent(rejected)} of the items of known glosses")
            yield row("  accepted", f"{percent(accepted)} of the others")
        nothing = "nothing" if result["items_abstained"] else "no hand"
        for mistake in result["confusion"][:SHOWN]:
            predicted = nothing if mistake["read"] is None else mistake["read"]
            yield f"{mistake['label']} read as {predicted}: {mistake['count']}"

    def signer_line(self, row: dict[str, Any]) -> str:
        return f"top-1 {row['top1']:.1f} % of {row['items']} items"


def _accuracies(
    found_ranks: Sequence[int], labels: Sequence[str], groups: Groups
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for k in TOP:
        found = top_k(found_ranks, labels, k)
        result[f"top{k}"] = round(found.per_instance, 2)
        bounds = top_k_interval(found_ranks, labels, k, groups=groups)
        result[f"top{k}_interval"] = [round(bound, 2) for bound in bounds]
        result[f"top{k}_class"] = round(found.per_class, 2)
        bounds = top_k_interval(found_ranks, labels, k, per="class", groups=groups)
        result[f"top{k}_class_interval"] = [round(bound, 2) for bound in bounds]
    return result
