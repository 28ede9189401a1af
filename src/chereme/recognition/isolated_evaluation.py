"""Scoring a recogniser of isolated signs on the items of a manifest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.formats.paths import nfc
from chereme.metrics import UNRANKED, ranks, top_k, top_k_interval
from chereme.metrics.confusion import Confusions
from chereme.recognition.evaluation import versions
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.types import IsolatedResult

TOP = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class SignPrediction:
    """One item as it was read: ``result`` is None, and ``error`` says why, if it could not be.

    ``rank``: of the right gloss, from 1; None where no hand was seen or the model does not know it.
    """

    item: Item
    result: IsolatedResult | None
    rank: int | None = None
    error: str | None = None


def predict_signs(
    recognizer: IsolatedRecognizer,
    items: Sequence[Item],
    progress: Callable[[int, int | None], None] | None = None,
) -> list[SignPrediction]:
    """Read every item. What cannot be read is kept with its error and does not stop the others."""
    place = {nfc(gloss): number for number, gloss in enumerate(recognizer.glosses)}
    predictions = []
    for done, item in enumerate(items, start=1):
        try:
            result = recognizer.recognize(
                item.path,
                start=item.start,
                end=item.end,
                hand=None if item.hand == "auto" else item.hand,
            )
        except (InputError, UsageError) as error:  # UsageError: landmarks for a model of pictures
            predictions.append(SignPrediction(item, None, error=str(error)))
        else:
            rank = None
            if result.glosses and item.label in place:
                scores = np.zeros(len(place))
                for gloss, probability in result.glosses:
                    scores[place[nfc(gloss)]] = probability
                rank = int(ranks(scores[None], [place[item.label]])[0])
            predictions.append(SignPrediction(item, result, rank))
        if progress is not None:
            progress(done, len(items))
    return predictions


def evaluate_signs(
    recognizer: IsolatedRecognizer,
    items: Sequence[Item],
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[dict[str, Any], list[SignPrediction]]:
    """Metrics of ``items`` as a JSON object, and the predictions behind them.

    ``top1``, ``top2``, ``top5`` are the shares of the items, in percent, whose gloss is among the
    first so many; ``top1_class`` the mean over the glosses of their own shares. Items in which no
    hand was seen, and those of a gloss that the model does not know (``unknown_glosses``), count as
    read wrongly; items without a label are left out. Intervals are 95 % bootstraps over signers
    where there are two or more, else over items. ``confusion`` lists what was taken for what, the
    most frequent first; ``read`` is None where there was no answer.

    These are of what is ranked first, answer or not. Of answers tell ``answered``, the share of the
    items that have one, ``accuracy`` of all items and ``accuracy_answered`` of those. Items of a
    gloss that the model does not know are right there without an answer; so are those without a
    label, which are read too where the model abstains (``min_probability`` above 0).

    Raises ``InputError`` if there are no items with a label or none could be read.
    """
    labelled = [item for item in items if item.label]
    if not labelled:
        raise InputError(
            f"nothing to evaluate: expected at least one item with a label, got {len(items)} "
            "without; check the manifest and split"
        )
    began = time.perf_counter()
    asked = items if recognizer.min_probability > 0 else labelled
    predictions = predict_signs(recognizer, asked, progress)
    every = [p for p in predictions if p.result is not None]
    read = [p for p in every if p.item.label]
    if not read:
        raise InputError(
            f"none of the {len(labelled)} items could be read; the first: {predictions[0].error}"
        )
    labels = [p.item.label for p in read]
    first = [nfc(p.result.text) or None for p in read if p.result is not None]
    places = [UNRANKED if p.rank is None else p.rank for p in read]
    signers = [p.item.signer for p in read]
    known_signers = None not in signers and len(set(signers)) > 1
    known = set(map(nfc, recognizer.glosses))
    unknown = Counter(label for label in labels if label not in known)
    confused = Confusions(Counter(zip(labels, first, strict=True)))
    counts, recall = confused.counts(), confused.recall()
    result: dict[str, Any] = {
        "task": "isolated",
        "model": recognizer.name,
        "sha256": recognizer.sha256,
        "stream": recognizer.info["stream"],
        "models": recognizer.info["models"],
        "items": len(items),
        "items_read": len(every),
        "items_unlabelled": len(items) - len(labelled),
        "unreadable": [{"id": p.item.id, "error": p.error} for p in predictions if p.error],
        "items_empty": sum(p.result is not None and not p.result.glosses for p in every),
        **_answers(every, recognizer),
        "items_unknown": unknown.total(),
        "unknown_glosses": dict(sorted(unknown.items())),
        "glosses": len(set(labels)),
        "model_glosses": len(recognizer.glosses),
        **_accuracies(places, labels, signers if known_signers else None),
        "interval_over": "signers" if known_signers else "items",
        "per_signer": _per_signer(read),
        "per_gloss": {
            gloss: {"count": counts[gloss], "top1": round(100.0 * recall[gloss], 2)}
            for gloss in sorted(set(labels))
        },
        "confusion": [
            {"label": label, "read": gloss, "count": count}
            for (label, gloss), count in confused.mistakes()
        ],
        "versions": versions(),
        "seconds": round(time.perf_counter() - began, 2),
    }
    return result, predictions


def _accuracies(
    places: Sequence[int], labels: Sequence[str], groups: Sequence[str | None] | None
) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for k in TOP:
        found = top_k(places, labels, k)
        table[f"top{k}"] = round(found.per_instance, 2)
        bounds = top_k_interval(places, labels, k, groups=groups)
        table[f"top{k}_interval"] = [round(bound, 2) for bound in bounds]
        table[f"top{k}_class"] = round(found.per_class, 2)
        bounds = top_k_interval(places, labels, k, per="class", groups=groups)
        table[f"top{k}_class_interval"] = [round(bound, 2) for bound in bounds]
    return table


def _answers(every: Sequence[SignPrediction], recognizer: IsolatedRecognizer) -> dict[str, Any]:
    """What is told of answers, and of where there is none."""
    texts = np.array([p.result.text if p.result else "" for p in every])
    unlikely = np.array([p.result is not None and not p.result.answered for p in every])
    known = np.array([p.item.label in recognizer.glosses for p in every])
    answered = texts != ""
    right = np.where(known, texts == np.array([p.item.label for p in every]), ~answered)

    def percent(values: np.ndarray) -> float | None:
        return round(100.0 * float(values.mean()), 2) if len(values) else None

    return {
        "min_probability": recognizer.min_probability,
        "items_abstained": int(unlikely.sum()),
        "answered": percent(answered),
        "accuracy": percent(right),
        "accuracy_answered": percent(right[answered]),
        "false_rejections": percent(~answered[known]),
        "false_acceptances": percent(answered[~known]),
    }


def _per_signer(read: Sequence[SignPrediction]) -> dict[str, dict[str, Any]]:
    table = {}
    for signer in sorted({p.item.signer for p in read if p.item.signer is not None}):
        own = [p.rank == 1 for p in read if p.item.signer == signer]
        table[signer] = {"items": len(own), "top1": round(100.0 * sum(own) / len(own), 2)}
    return table
