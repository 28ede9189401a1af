"""How well continuous signing was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chereme._installation import install_command
from chereme.errors import MissingDependencyError
from chereme.formats.manifests import Item
from chereme.metrics import (
    accuracy_interval,
    edit_pairs,
    gloss_edits,
    pool,
    score_glosses,
    sentence_top_n,
)
from chereme.recognition.evaluation import (
    SHOWN,
    Groups,
    Metrics,
    Prediction,
    percent,
    row,
    some,
)
from chereme.recognition.fingerspelling_metrics import edits
from chereme.text.glosses import LONGEST

TOP = 5
Glosses = tuple[str, ...]


class ContinuousMetrics(Metrics):
    """Glosses, which stand in labels with white space between.

    ``wer`` is pooled over the glosses; ``mean_wer`` is the mean of the items'. ``bleu`` and
    ``sentence_bleu``: BLEU-1 to BLEU-4 of the corpus and means over items, None where sacrebleu is
    not installed. ``top5``: items of which one of the first five sentences of the search is right,
    of those read in one window. Glosses that the model does not know (``unknown_glosses``) count as
    read wrongly, as nothing else can come of them; ``too_long``: items of more glosses than the
    decoder gives.

    A model of video reads the ``video`` of items that have one beside their tracks.
    """

    empty = "without a gloss"

    def source(self, item: Item) -> Path:
        video = item.video if self.recognizer.bundle.config.input == "rgb" else None
        return video or item.path

    def options(self, item: Item) -> dict[str, Any]:
        return {}

    def measure(
        self, scored: Sequence[Prediction], read: Sequence[Prediction], groups: Groups
    ) -> dict[str, Any]:
        references, predicted = [reference(p) for p in scored], [glosses(p) for p in scored]
        counts = gloss_edits(references, predicted)
        total = pool(counts)
        low, high = accuracy_interval(counts, groups=groups)
        vocabulary = self.recognizer.decoder.vocabulary
        unknown = Counter(gloss for true in references for gloss in true if gloss not in vocabulary)
        mistakes = Counter(
            pair
            for true, found in zip(references, predicted, strict=True)
            for pair in edit_pairs(true, found, "unit")
            if pair[0] != pair[1]
        )
        longest = min(LONGEST, self.recognizer.options.generation.max_length)
        return {
            "too_long": sum(len(true) > longest for true in references),
            "longest": longest,
            "glosses": total.reference_length,
            "model_glosses": len(vocabulary.tokens),
            "units": vocabulary.units,
            "unknown": unknown.total(),
            "unknown_glosses": dict(unknown.most_common()),
            "wer": round(total.error_rate, 2),
            "wer_interval": [round(100 - high, 2), round(100 - low, 2)],
            "substitutions": total.substitutions,
            "deletions": total.deletions,
            "insertions": total.insertions,
            "mean_wer": round(sum(count.error_rate for count in counts) / len(counts), 2),
            "exact_match": round(100.0 * sum(c.edits == 0 for c in counts) / len(counts), 2),
            **_bleu(references, predicted),
            **_top(scored),
            "mistakes": [
                {"gloss": true, "read": found, "count": count}
                for (true, found), count in mistakes.most_common()
            ],
        }

    def of_signer(self, scored: Sequence[Prediction]) -> dict[str, Any]:
        total = pool(gloss_edits([reference(p) for p in scored], [glosses(p) for p in scored]))
        return {"glosses": total.reference_length, "wer": round(total.error_rate, 2)}

    def remarks(self, result: dict[str, Any]) -> Iterator[str]:
        yield from super().remarks(result)
        if result["unknown"]:
            yield (
                f"{result['unknown']} of {result['glosses']} glosses "
                f"({some(result['unknown_glosses'])}) are not known to the model: they count as "
                "read wrongly"
            )
        if result["too_long"]:
            yield (
                f"{result['too_long']} items are longer than {result['longest']} glosses, the most "
                "that the model gives of a segment; cut them into sentences"
            )
        if result["bleu"] is None:
            yield f"no BLEU without the library sacrebleu: {install_command('train')}"

    def table(self, result: dict[str, Any]) -> Iterator[str]:
        yield row("read with", result["read_with"])
        yield row("glosses", f"{result['glosses']}, {result['unknown']} not known to the model")
        yield row("word error rate", percent(result["wer"], result["wer_interval"]))
        yield row("  edits", edits(result))
        yield row("  mean of items", percent(result["mean_wer"]))
        yield row("exact match", percent(result["exact_match"]))
        if result["top5"] is not None:
            yield row("  one of five", f"{percent(result['top5'])} of {result['top5_items']} items")
        if result["bleu"] is not None:
            for name, key in (("BLEU-1 to 4", "bleu"), ("  mean of items", "sentence_bleu")):
                yield row(name, ", ".join(f"{value:.1f}" for value in result[key]))
        for mistake in result["mistakes"][:SHOWN]:
            true, predicted = mistake["gloss"] or "nothing", mistake["read"] or "nothing"
            yield f"{true} read as {predicted}: {mistake['count']}"

    def signer_line(self, row: dict[str, Any]) -> str:
        return f"{row['wer']:.1f} % of {row['glosses']} glosses, {row['items']} items"


def reference(prediction: Prediction) -> Glosses:
    """The glosses of the label."""
    return tuple(prediction.item.label.split())


def glosses(prediction: Prediction) -> Glosses:
    """The glosses that were read."""
    return tuple(token.text for token in prediction.read.tokens)


def _bleu(references: Sequence[Glosses], predicted: Sequence[Glosses]) -> dict[str, Any]:
    try:
        scores = score_glosses(references, predicted)
    except MissingDependencyError:
        return {"bleu": None, "sentence_bleu": None, "best": None}
    return {
        "bleu": [round(value, 2) for value in scores.bleu],
        "sentence_bleu": [round(value, 2) for value in scores.sentence_bleu],
        "best": round(scores.best, 2),
    }


def _top(scored: Sequence[Prediction]) -> dict[str, Any]:
    whole = [p for p in scored if p.read.alternatives]
    one_of_five = None
    if whole:
        beams = [[tuple(text.split()) for text, _ in p.read.alternatives] for p in whole]
        one_of_five = round(sentence_top_n([reference(p) for p in whole], beams, TOP), 2)
    return {f"top{TOP}": one_of_five, f"top{TOP}_items": len(whole)}
