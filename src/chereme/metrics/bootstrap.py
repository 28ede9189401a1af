"""How sure a pooled rate is, given that other clips or other signers might have been recorded."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

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
    keys = range(len(counts)) if groups is None else groups
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    totals = np.zeros((len(place), 2), dtype=np.int64)  # edits, reference symbols
    for key, count in zip(keys, counts, strict=True):
        totals[place[key]] += count.edits, count.reference_length
    totals = totals[totals.any(axis=1)]
    if not totals[:, 1].sum():
        raise InputError("accuracy interval: expected at least one reference symbol, got none")
    rng = np.random.default_rng(seed)
    # Multiplicities of the draws: one matrix product instead of a loop over resamples.
    share = np.full(len(totals), 1 / len(totals))
    edits, length = (rng.multinomial(len(totals), share, size=resamples) @ totals).T
    accuracy = 100.0 - 100.0 * edits[length > 0] / length[length > 0]
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(accuracy, [tail, 100 - tail])
    return float(low), float(high)
