"""How far probabilities can be believed, and from which one on an answer is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError

Floats = NDArray[np.floating[Any]]

WARMEST = 20.0  # of several hundred classes even this leaves hardly any preference


def fit_temperature(log_probs: Floats, classes: Sequence[int]) -> float:
    """The temperature that makes the right classes likeliest (Guo et al. 2017, *On calibration of
    modern neural networks*, section 4.2), at least 1, at most ``WARMEST``.

    ``log_probs (N, K)`` or logits, ``classes (N,)`` what is right. Choice: never below 1. Of few
    clips that are all right the likeliest temperature is 0, and every answer certain.

    Raises ``InputError`` without clips.
    """
    scores, rows = np.asarray(log_probs, np.float64), np.arange(len(classes))
    if not len(rows):
        raise InputError("temperature: expected at least one clip, got none")
    right = scores[rows, list(classes)]

    def slope(temperature: float) -> float:
        """Of the log-likelihood by 1 / temperature, which is concave in it."""
        shares = np.exp((scores - scores.max(1, keepdims=True)) / temperature)
        return float((right - (shares * scores).sum(1) / shares.sum(1)).sum())

    low, high = 1.0, WARMEST
    if slope(low) >= 0:
        return low
    if slope(high) <= 0:
        return high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 0.5 * (low + high)


def calibration_error(probabilities: Floats, right: Sequence[bool], bins: int = 10) -> float:
    """The expected calibration error, 0..1 (Guo et al. 2017, Eq. 3): how far, in equal bins of the
    answers' ``probabilities (N,)``, their mean is from the share that is ``right (N,)``."""
    sure, correct = np.asarray(probabilities, np.float64), np.asarray(right, np.float64)
    if not len(sure):
        raise InputError("calibration error: expected at least one answer, got none")
    # A bin has its upper bound, as there.
    number = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(number, correct - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


def acceptance_threshold(probabilities: Floats, rejected: float) -> float:
    """The highest threshold below which no more than the share ``rejected`` of the
    ``probabilities (N,)`` of known signs lies; 0 without any.

    It is one of them: what is as probable as the threshold is accepted.
    """
    ordered = np.sort(np.asarray(probabilities, np.float64))
    return float(ordered[int(rejected * len(ordered))]) if len(ordered) else 0.0


def separation(known: Floats, unknown: Floats) -> float:
    """The area under the ROC curve, 0..1: how often a known sign has a higher score than an unknown
    one, ties counted half."""
    ordered, of = np.sort(np.asarray(unknown)), np.asarray(known)
    if not len(ordered) or not len(of):
        raise InputError("separation: expected known and unknown signs, got none of one")
    below, up_to = np.searchsorted(ordered, of, "left"), np.searchsorted(ordered, of, "right")
    return float((below + up_to).mean() / (2 * len(ordered)))
