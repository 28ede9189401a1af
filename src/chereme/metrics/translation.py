"""Measures of sequences of glosses: BLEU, word error rate, top-n, best score.

SignX (section 5.1) reports BLEU, Top-n, Best Score and WER, "computed using NLTK's BLEU
implementation with a brevity penalty, averaged over 100 test samples". Each is here as that says,
and as the field usually does: BLEU and WER of the corpus, where counts are pooled before dividing.
BLEU is the library sacrebleu's, with glosses as the words, none of them split or changed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError, UsageError
from chereme.metrics.edits import EditCounts, check_same_length, edit_counts, pool

Glosses = Sequence[str]

ORDERS = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class GlossScores:
    """Everything of `score_glosses`. Percentages but for ``sentences``.

    ``bleu`` and ``sentence_bleu``: BLEU-1 to BLEU-4 of the corpus, and means over the sentences.
    ``best``: the highest BLEU-1 of a sentence. ``edits``: pooled, ``.error_rate`` is the WER.
    ``mean_wer``: the mean of the sentences' WERs. ``exact``: sentences read without a fault.
    """

    bleu: tuple[float, float, float, float]
    sentence_bleu: tuple[float, float, float, float]
    best: float
    edits: EditCounts
    mean_wer: float
    exact: float
    sentences: int


def score_glosses(references: Sequence[Glosses], hypotheses: Sequence[Glosses]) -> GlossScores:
    """All measures that need one reading per sentence. InputError as `bleu`."""
    counts = gloss_edits(references, hypotheses)
    corpus = [bleu(references, hypotheses, order) for order in ORDERS]
    means = [float(sentence_bleu(references, hypotheses, order).mean()) for order in ORDERS]
    return GlossScores(
        bleu=(corpus[0], corpus[1], corpus[2], corpus[3]),
        sentence_bleu=(means[0], means[1], means[2], means[3]),
        best=best_score(references, hypotheses),
        edits=pool(counts),
        mean_wer=float(np.mean([count.error_rate for count in counts])),
        exact=100.0 * float(np.mean([count.edits == 0 for count in counts])),
        sentences=len(counts),
    )


def bleu(
    references: Sequence[Glosses],
    hypotheses: Sequence[Glosses],
    order: int = 4,
) -> float:
    """BLEU of the corpus, 0 to 100, with n-grams up to ``order`` (Papineni et al., ACL 2002).

    100 BP (p_1 ... p_N)^(1/N): p_n is the share of the n-grams of all hypotheses that are in their
    references, each counted there at most as often as the reference has it; the brevity penalty BP
    is exp(1 - r / h) where the h glosses read are fewer than the r of the references, else 1.
    Choice: nothing is smoothed: it is 0 where no n-gram of some order fits, as the definition says.

    Raises InputError unless there is a reading for each of one or more sentences, none of them
    without a reference; UsageError for an ``order`` below 1.
    """
    metric = _metric(order)
    ours, theirs = _lines(references, hypotheses)
    return float(metric.corpus_score(theirs, [ours]).score)


def sentence_bleu(
    references: Sequence[Glosses],
    hypotheses: Sequence[Glosses],
    order: int = 4,
) -> NDArray[np.float64]:
    """BLEU of each sentence ``(N,)``, 0 to 100, each with its own brevity penalty; see `bleu`.

    The paper's BLEU is their mean, by NLTK, which does not smooth unless it is told to; so a
    sentence without a matching n-gram of some order, or of fewer than ``order`` glosses, counts 0.
    """
    metric = _metric(order)
    ours, theirs = _lines(references, hypotheses)
    scores = [
        metric.corpus_score([read], [[true]]).score for read, true in zip(theirs, ours, strict=True)
    ]
    return np.array(scores, dtype=np.float64)


def best_score(references: Sequence[Glosses], hypotheses: Sequence[Glosses]) -> float:
    """The "Best Score" of the paper: the highest BLEU-1 of a sentence, 0 to 100."""
    return float(sentence_bleu(references, hypotheses, 1).max())


def gloss_edits(references: Sequence[Glosses], hypotheses: Sequence[Glosses]) -> list[EditCounts]:
    """Substitutions, deletions and insertions of each sentence, at unit cost.

    WER in percent is 100 (S + D + I) / N: of the corpus ``pool(...).error_rate``, N being all
    glosses of the references, as the field does; "averaged over samples" is the mean of the
    sentences' ``error_rate``. `accuracy_interval` says how sure the pooled one is.

    Raises InputError as `bleu`.
    """
    _check(references, hypotheses)
    return [
        edit_counts(tuple(true), tuple(read), "unit")
        for true, read in zip(references, hypotheses, strict=True)
    ]


def sentence_top_n(
    references: Sequence[Glosses], candidates: Sequence[Sequence[Glosses]], n: int = 5
) -> float:
    """Percentage of the sentences of which one of the first ``n`` candidates (the hypotheses of a
    beam, the best first) is exactly right.

    Raises InputError as `bleu`; UsageError for n < 1.
    """
    if n < 1:
        raise UsageError(f"n: expected 1 or more, got {n}")
    _check(references, candidates)
    right = [
        any(tuple(read) == tuple(true) for read in beam[:n])
        for true, beam in zip(references, candidates, strict=True)
    ]
    return 100.0 * float(np.mean(right))


def gloss_top_n(ranks: Sequence[Sequence[int]], n: int = 5) -> float:
    """Mean over the sentences of the percentage of their glosses that are among the model's ``n``
    likeliest at their place.

    ``ranks[i][j]``: of gloss j of sentence i, from 1, given the true glosses before it
    (:func:`chereme.metrics.ranks`).

    Choice: the paper counts "samples where the ground-truth gloss is among the top-n predictions",
    and gives 23.42 for 100 samples, which is no share of 100 sentences (`sentence_top_n`); so it is
    a mean over samples of a share of their glosses.

    Raises InputError if there is no sentence, one has no gloss, or a rank is below 1; UsageError
    for n < 1.
    """
    if n < 1:
        raise UsageError(f"n: expected 1 or more, got {n}")
    if not ranks or any(len(sentence) == 0 or min(sentence) < 1 for sentence in ranks):
        raise InputError("ranks: expected sentences of one gloss or more, with ranks from 1")
    return 100.0 * float(np.mean([np.mean([rank <= n for rank in row]) for row in ranks]))


def _check(references: Sequence[Sequence[Hashable]], others: Sequence[object]) -> None:
    check_same_length(references, others)
    if not references:
        raise InputError("glosses: expected at least one sentence, got none; check the split")
    if empty := [number for number, true in enumerate(references) if not len(true)]:
        raise InputError(f"glosses: expected a reference for each sentence, got none for {empty}")


def _lines(
    references: Sequence[Glosses], hypotheses: Sequence[Glosses]
) -> tuple[list[str], list[str]]:
    _check(references, hypotheses)
    # A gloss of two words is one word to BLEU.
    ours = [" ".join("_".join(gloss.split()) for gloss in true) for true in references]
    theirs = [" ".join("_".join(gloss.split()) for gloss in read) for read in hypotheses]
    return ours, theirs


def _metric(order: int):  # type: ignore[no-untyped-def]
    if order < 1:
        raise UsageError(f"order: expected 1 or more, got {order}")
    return require("sacrebleu", extra="train").metrics.BLEU(
        tokenize="none", force=True, max_ngram_order=order, smooth_method="none"
    )
