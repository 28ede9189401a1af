"""How sure a pooled rate is, given that other clips or other signers might have been recorded."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.metrics.edits import EditCounts, check_same_length


def accuracy_interval(
    counts: Sequence[EditCounts],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the pooled `EditCounts.accuracy`, in percent.

    Items are drawn with replacement; with ``groups``, one per item (say, the signer), whole groups
    are drawn, which is the honest interval for unseen signers. The same seed gives the same
    interval. InputError if there are no reference symbols.
    """
    if groups is not None:
        check_same_length(counts, groups)
    edits, length = resampled_totals(
        np.array([(c.edits, c.reference_length) for c in counts]).reshape(-1, 2),
        groups=groups,
        resamples=resamples,
        seed=seed,
    )
    if not length.sum():
        raise InputError("accuracy interval: expected at least one reference symbol, got none")
    accuracy = 100.0 - 100.0 * edits[length > 0] / length[length > 0]
    return percentiles(accuracy, confidence)


def resampled_totals(
    amounts: NDArray[np.number[Any]],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> NDArray[np.number[Any]]:
    """Sums ``(K, resamples)`` of ``amounts (N, K)`` over items, or groups, drawn with replacement.

    Items and groups that have nothing are not drawn.
    """
    keys = range(len(amounts)) if groups is None else groups
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    totals = np.zeros((len(place), amounts.shape[1]), dtype=amounts.dtype)
    np.add.at(totals, [place[key] for key in keys], amounts)
    totals = totals[totals.any(axis=1)]
    if not len(totals):
        return np.zeros((amounts.shape[1], resamples), dtype=amounts.dtype)
    rng = np.random.default_rng(seed)
    # Multiplicities of the draws: one matrix product instead of a loop over resamples.
    share = np.full(len(totals), 1 / len(totals))
    sums: NDArray[np.number[Any]] = (rng.multinomial(len(totals), share, resamples) @ totals).T
    return sums


def percentiles(values: NDArray[np.floating[Any]], confidence: float) -> tuple[float, float]:
    """The middle part of ``values`` that holds the share ``confidence`` of them."""
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
