"""Scoring a recogniser of continuous signing on the items of a manifest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chereme.errors import InputError, MissingDependencyError, UsageError
from chereme.formats.manifests import Item
from chereme.metrics import (
    accuracy_interval,
    edit_pairs,
    gloss_edits,
    pool,
    score_glosses,
    sentence_top_n,
)
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.evaluation import versions
from chereme.text.glosses import LONGEST
from chereme.types import ContinuousResult

TOP = 5


@dataclass(frozen=True, slots=True)
class SentencePrediction:
    """One item as it was read: ``result`` is None, and ``error`` says why, if it could not be.

    ``reference``: the glosses of its label.
    """

    item: Item
    reference: tuple[str, ...]
    result: ContinuousResult | None
    error: str | None = None

    @property
    def read(self) -> tuple[str, ...]:
        """The glosses that were read."""
        return () if self.result is None else tuple(one.gloss for one in self.result.glosses)


def predict_sentences(
    recognizer: ContinuousRecognizer,
    items: Sequence[Item],
    progress: Callable[[int, int | None], None] | None = None,
) -> list[SentencePrediction]:
    """Read every item. What cannot be read is kept with its error and does not stop the others.

    A model of video reads the ``video`` of items that have one beside their tracks.
    """
    watches = recognizer.bundle.config.input == "rgb"
    predictions = []
    for done, item in enumerate(items, start=1):
        reference = tuple(item.label.split())
        source = item.video if watches and item.video is not None else item.path
        try:
            result = recognizer.recognize(source, start=item.start, end=item.end)
        except (InputError, UsageError) as error:  # UsageError: video for a model of tracks
            predictions.append(SentencePrediction(item, reference, None, str(error)))
        else:
            predictions.append(SentencePrediction(item, reference, result))
        if progress is not None:
            progress(done, len(items))
    return predictions


def evaluate_sentences(
    recognizer: ContinuousRecognizer,
    items: Sequence[Item],
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[dict[str, Any], list[SentencePrediction]]:
    """Metrics of ``items`` as a JSON object, and the predictions behind them.

    Labels are glosses with white space between. ``wer`` is pooled over the glosses of the items
    that could be read, in percent, with its 95 % bootstrap over signers where there are two or
    more, else over items; ``mean_wer`` is the mean of the items'. ``bleu`` and ``sentence_bleu``:
    BLEU-1 to BLEU-4 of the corpus and means over items, None where sacrebleu is not installed.
    ``top5``: items of which one of the first five hypotheses is right, of those read in one piece.
    Glosses that the model does not know (``unknown_glosses``) count as read wrongly, as nothing
    else can come of them; ``too_long``: items of more glosses than the decoder says. Items without
    a label are left out, and counted.

    Raises ``InputError`` if there are no items with a label or none could be read.
    """
    labelled = [item for item in items if item.label.split()]
    if not labelled:
        raise InputError(
            f"nothing to evaluate: expected at least one item with a label, got {len(items)} "
            "without; check the manifest and split"
        )
    began = time.perf_counter()
    predictions = predict_sentences(recognizer, labelled, progress)
    found = [p for p in predictions if p.result is not None]
    if not found:
        raise InputError(
            f"none of the {len(labelled)} items could be read; the first: {predictions[0].error}"
        )
    references, read = [p.reference for p in found], [p.read for p in found]
    counts = gloss_edits(references, read)
    total = pool(counts)
    signers = [p.item.signer for p in found]
    known_signers = None not in signers and len(set(signers)) > 1
    low, high = accuracy_interval(counts, groups=signers if known_signers else None)
    vocabulary = recognizer.reader.vocabulary
    unknown = Counter(gloss for true in references for gloss in true if gloss not in vocabulary)
    mistakes = Counter(
        pair
        for true, said in zip(references, read, strict=True)
        for pair in edit_pairs(true, said, "unit")
        if pair[0] != pair[1]
    )
    longest = min(LONGEST, recognizer.options.generation.max_length)
    result: dict[str, Any] = {
        "task": "continuous",
        "model": recognizer.name,
        "sha256": recognizer.bundle.sha256,
        "read_with": recognizer.options.reader,
        "search": recognizer.info["search"],
        "items": len(items),
        "items_read": len(found),
        "items_unlabelled": len(items) - len(labelled),
        "unreadable": [{"id": p.item.id, "error": p.error} for p in predictions if p.error],
        "items_empty": sum(not said for said in read),
        "too_long": sum(len(true) > longest for true in references),
        "longest": longest,
        "glosses": total.reference_length,
        "model_glosses": len(vocabulary.tokens),
        "units": vocabulary.units,
        "unknown": unknown.total(),
        "unknown_glosses": dict(unknown.most_common()),
        "wer": round(total.error_rate, 2),
        "wer_interval": [round(100 - high, 2), round(100 - low, 2)],
        "interval_over": "signers" if known_signers else "items",
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
        "mean_wer": round(sum(count.error_rate for count in counts) / len(counts), 2),
        "exact_match": round(100.0 * sum(c.edits == 0 for c in counts) / len(counts), 2),
        **_bleu(references, read),
        **_top(found),
        "per_signer": _per_signer(found),
        "mistakes": [
            {"gloss": true, "read": said, "count": count}
            for (true, said), count in mistakes.most_common()
        ],
        "versions": versions(),
        "seconds": round(time.perf_counter() - began, 2),
    }
    return result, predictions


def _bleu(references: Sequence[tuple[str, ...]], read: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    try:
        scores = score_glosses(references, read)
    except MissingDependencyError:
        return {"bleu": None, "sentence_bleu": None, "best": None}
    return {
        "bleu": [round(value, 2) for value in scores.bleu],
        "sentence_bleu": [round(value, 2) for value in scores.sentence_bleu],
        "best": round(scores.best, 2),
    }


def _top(found: Sequence[SentencePrediction]) -> dict[str, Any]:
    whole = [p for p in found if p.result is not None and p.result.hypotheses]
    share = None
    if whole:
        beams = [p.result.hypotheses for p in whole if p.result is not None]
        share = round(sentence_top_n([p.reference for p in whole], beams, TOP), 2)
    return {f"top{TOP}": share, f"top{TOP}_items": len(whole)}


def _per_signer(found: Sequence[SentencePrediction]) -> dict[str, dict[str, Any]]:
    table = {}
    for signer in sorted({p.item.signer for p in found if p.item.signer is not None}):
        own = [p for p in found if p.item.signer == signer]
        total = pool(gloss_edits([p.reference for p in own], [p.read for p in own]))
        table[signer] = {
            "items": len(own),
            "glosses": total.reference_length,
            "wer": round(total.error_rate, 2),
        }
    return table
