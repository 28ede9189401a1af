"""Choosing the weights of the language model on a development set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from chereme.decoding.beam import beam_search
from chereme.decoding.language_model import LanguageModel
from chereme.errors import InputError
from chereme.metrics.edits import EditCounts, letter_accuracy


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of the beam search and the edits that it made."""

    width: int
    alpha: float
    beta: float
    counts: EditCounts


def tune(
    log_probs: Sequence[ArrayLike],
    references: Sequence[Sequence[int]],
    *,
    lm: LanguageModel | None,
    alphas: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8),
    betas: Sequence[float] = (-0.5, 0.0, 0.5, 1.0, 1.5),
    widths: Sequence[int] = (5,),
) -> list[Trial]:
    """Every setting of the grid on ``log_probs`` (one ``(T, V)`` per clip), best first.

    ``references`` are symbol indices, as `Alphabet.encode` gives them. Settings are ranked by
    letter accuracy; between equals the narrower beam, then the smaller weights win, for they cost
    less and fit the development set less closely. InputError without clips or with unequal numbers.
    """
    if not log_probs or len(log_probs) != len(references):
        raise InputError(
            "tuning: expected at least one clip and one reference for each, "
            f"got {len(log_probs)} clips and {len(references)} references"
        )
    targets = [tuple(reference) for reference in references]
    trials = []
    for width in widths:
        for alpha in alphas:
            for beta in betas:
                readings = [
                    beam_search(clip, width=width, lm=lm, alpha=alpha, beta=beta)[0].symbols
                    for clip in log_probs
                ]
                counts = letter_accuracy(targets, readings)
                trials.append(Trial(width, alpha, beta, counts))
    return sorted(trials, key=lambda t: (t.counts.edits, t.width, t.alpha, abs(t.beta)))
