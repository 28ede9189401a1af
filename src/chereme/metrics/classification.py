"""How often the right class is among the first k: per instance and per class, as papers report it.

Per instance is the share of the clips, per class the mean over the classes of their shares (WLASL,
MS-ASL; H. Joze and O. Koller, *MS-ASL*, BMVC 2019, give both).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError, UsageError
from chereme.metrics.bootstrap import RESAMPLES, percentiles

Per = Literal["instance", "class"]

UNRANKED = np.iinfo(np.int64).max
"""The rank of a class that was not predicted at all: of a clip that could not be read, say."""


def ranks(scores: ArrayLike, classes: ArrayLike) -> NDArray[np.int64]:
    """The rank ``(N,)``, from 1, of the right class in each row of ``scores (N, C)``.

    ``classes (N,)`` are the columns of the right classes. Scores may be of any kind of which more
    is better. Choice: other classes with an equal score go first, so that a model that says the
    same of all classes is right about none; which of them a sort puts first is chance.

    Raises InputError for shapes that do not fit, a class without a column, or scores that are NaN.
    """
    table = np.asarray(scores, float)
    truth = np.asarray(classes)
    if table.ndim != 2 or truth.shape != table.shape[:1]:
        raise InputError(
            f"ranks: expected scores (N, C) and classes (N,), got {table.shape} and {truth.shape}"
        )
    if truth.size and (
        truth.dtype.kind not in "iu" or not 0 <= truth.min() <= truth.max() < table.shape[1]
    ):
        raise InputError(
            f"ranks: expected classes that are columns 0 to {table.shape[1] - 1}, got "
            f"{truth.dtype} from {truth.min()} to {truth.max()}"
        )
    if np.isnan(table).any():
        row = int(np.isnan(table).any(axis=1).argmax())
        raise InputError(f"ranks: expected numbers, got NaN in row {row}; check the model")
    right = np.take_along_axis(table, truth.astype(np.int64)[:, None], axis=1)
    counted: NDArray[np.int64] = (table >= right).sum(axis=1, dtype=np.int64)
    return counted


@dataclass(frozen=True, slots=True)
class TopK:
    """Accuracies in percent: the right class is among the first ``k``.

    ``classes`` is how many classes there are clips of, and ``per_class`` the mean over these.
    """

    k: int
    per_instance: float
    per_class: float
    instances: int
    classes: int


def top_k(ranked: Sequence[int] | NDArray[Any], labels: Sequence[Hashable], k: int = 1) -> TopK:
    """Accuracy from the rank of the right class of each clip (:func:`ranks`) and its label.

    Raises InputError if there is no clip, or not one label for each rank; UsageError for k < 1.
    """
    hits, of, names = _hits(ranked, labels, k)
    shares = np.bincount(of, hits) / np.bincount(of)
    return TopK(k, float(100 * hits.mean()), float(100 * shares.mean()), len(hits), names)


def top_k_interval(
    ranked: Sequence[int] | NDArray[Any],
    labels: Sequence[Hashable],
    k: int = 1,
    *,
    per: Per = "instance",
    groups: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval, of 95 %, of :func:`top_k`, in percent.

    Clips are drawn with replacement; with ``groups``, one per clip (say, the signer), whole groups
    are drawn, which is the honest interval for unseen signers. Per class, a resample is the mean
    over the classes that are in it. The same clips give the same interval.

    Where all clips are right, or none is, every draw says the same; the other end is then that of
    Clopper and Pearson (1934) for as many independent draws as there are clips, or groups.
    """
    if per not in ("instance", "class"):
        raise UsageError(f"per: expected instance or class, got {per!r}")
    hits, of, names = _hits(ranked, labels, k)
    if per == "instance":
        of, names = np.zeros_like(of), 1
    if groups is None:
        place = np.arange(len(hits))
    elif len(groups) == len(hits):
        known = {group: i for i, group in enumerate(dict.fromkeys(groups))}
        place = np.array([known[group] for group in groups])
    else:
        raise InputError(f"expected a group for each of {len(hits)} clips, got {len(groups)}")
    drawn = int(place.max()) + 1
    if len(set(hits.tolist())) == 1:
        bound = 100 * 0.025 ** (1 / drawn)
        return (bound, 100.0) if hits[0] else (0.0, 100.0 - bound)
    rng = np.random.default_rng(0)
    values = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        times = rng.multinomial(drawn, np.full(drawn, 1 / drawn))[place]
        right = np.bincount(of, times * hits, minlength=names)
        there = np.bincount(of, times, minlength=names)
        values[i] = (right[there > 0] / there[there > 0]).mean()
    return percentiles(100 * values)


def _hits(
    ranked: Sequence[int] | NDArray[Any], labels: Sequence[Hashable], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Whether each clip is right, the number of its class, and how many classes there are."""
    if k < 1:
        raise UsageError(f"k: expected 1 or more, got {k}")
    found = np.asarray(ranked)
    if len(found) != len(labels):
        raise InputError(
            f"expected one label per rank, got {len(found)} ranks, {len(labels)} labels"
        )
    if not len(found):
        raise InputError("accuracy: expected at least one clip, got none; check the split")
    if found.min() < 1:
        raise InputError(f"ranks: expected whole numbers from 1, got {found.min()}")
    known = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return (
        (found <= k).astype(np.float64),
        np.array([known[label] for label in labels], dtype=np.int64),
        len(known),
    )
