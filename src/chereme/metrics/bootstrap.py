"""How sure a pooled rate is, given that other clips or other signers might have been recorded."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.metrics.edits import EditCounts, check_same_length

RESAMPLES = 1000


def accuracy_interval(
    counts: Sequence[EditCounts],
    *,
    groups: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval, of 95 %, of the pooled `EditCounts.accuracy`, in percent.

    Items are drawn with replacement; with ``groups``, one per item (say, the signer), whole groups
    are drawn, which is the honest interval for unseen signers. The same items give the
    same interval. InputError if there are no reference symbols.
    """
    if groups is not None:
        check_same_length(counts, groups)
    edits, length = resampled_totals(
        np.array([(c.edits, c.reference_length) for c in counts]).reshape(-1, 2),
        groups=groups,
    )
    if not length.sum():
        raise InputError("accuracy interval: expected at least one reference symbol, got none")
    accuracy = 100.0 - 100.0 * edits[length > 0] / length[length > 0]
    return percentiles(accuracy)


def resampled_totals(
    amounts: NDArray[np.number[Any]],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
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
    rng = np.random.default_rng(0)
    # Multiplicities of the draws: one matrix product instead of a loop over resamples.
    share = np.full(len(totals), 1 / len(totals))
    sums: NDArray[np.number[Any]] = (rng.multinomial(len(totals), share, resamples) @ totals).T
    return sums


def percentiles(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The middle part of ``values`` that holds 95 % of them."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
