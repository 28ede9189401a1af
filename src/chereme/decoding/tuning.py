"""Choosing the temperature and the weights of the language model on a development set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chereme.decoding.beam import beam_search
from chereme.decoding.ctc import at_temperature, ctc_log_likelihood
from chereme.decoding.language_model import LanguageModel
from chereme.errors import InputError
from chereme.metrics.edits import EditCounts, letter_accuracy

TEMPERATURES = (0.2, 20.0)  # of a network that is all right, or knows nothing, the best has no end
_GOLDEN = 0.5 * (5**0.5 - 1)


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
    _check_pairs(log_probs, references)
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


def fit_temperature(
    log_probs: Sequence[ArrayLike], references: Sequence[Sequence[int]], tolerance: float = 0.01
) -> float:
    """The temperature, within ``TEMPERATURES``, at which the ``references`` are likeliest: the CTC
    loss of ``log_probs`` (one ``(T, V)`` per clip), summed over clips, is least.

    ``references`` are symbol indices, as `Alphabet.encode` gives them; clips with too few frames
    for theirs have no say. ``tolerance``: relative, of the result. Found by golden-section search,
    which takes the loss to have one minimum. InputError where no clip is left.
    """
    _check_pairs(log_probs, references)
    clips = [
        (np.asarray(clip), text)
        for clip, text in zip(log_probs, references, strict=True)
        if ctc_log_likelihood(clip, text) > -np.inf
    ]
    if not clips:
        raise InputError("temperature: expected a clip with frames enough for its text, got none")

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return -sum(ctc_log_likelihood(at_temperature(c, temperature), t) for c, t in clips)

    low, high = np.log(TEMPERATURES)
    first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_first, at_second = loss(first), loss(second)
    while high - low > tolerance:
        if at_first <= at_second:
            high, second, at_second = second, first, at_first
            first = high - _GOLDEN * (high - low)
            at_first = loss(first)
        else:
            low, first, at_first = first, second, at_second
            second = low + _GOLDEN * (high - low)
            at_second = loss(second)
    return float(np.exp(0.5 * (low + high)))


def _check_pairs(log_probs: Sequence[ArrayLike], references: Sequence[Sequence[int]]) -> None:
    if not log_probs or len(log_probs) != len(references):
        raise InputError(
            "tuning: expected at least one clip and one reference for each, "
            f"got {len(log_probs)} clips and {len(references)} references"
        )
