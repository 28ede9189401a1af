"""How near joints are to where they should be: PCK at a threshold, and the area under its curve.

PCK is the share of the joints within a circle round the truth; SignBERT (Hu et al., ICCV 2021,
§4.1) reports it at 20 pixels, and the area under the curve from 20 to 40.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError, UsageError
from chereme.metrics.bootstrap import percentiles, resampled_totals

Floats = NDArray[np.float64]

_THRESHOLD, _HIGHEST = 20.0, 40.0  # pixels; of the area, from the one to the other


def joint_errors(predicted: ArrayLike, truth: ArrayLike) -> Floats:
    """Distances ``(N, J)`` between joints ``(N, J, 2)`` or ``(N, J, 3)``, in their unit.

    A joint whose truth is not known (NaN) has the error NaN, and counts in no measure; one that is
    known and was not predicted (NaN or infinite) has an infinite error, and is never correct.
    """
    ours, theirs = np.asarray(predicted, float), np.asarray(truth, float)
    if ours.shape != theirs.shape or ours.ndim != 3 or ours.shape[2] not in (2, 3):
        raise InputError(
            "joint errors: expected two arrays (N, J, 2) or (N, J, 3) of one shape, got "
            f"{ours.shape} and {theirs.shape}"
        )
    known = np.isfinite(theirs).all(axis=2)
    predicted_too = np.isfinite(ours).all(axis=2)
    difference = np.where((known & predicted_too)[..., None], ours - theirs, 0.0)
    errors: Floats = np.linalg.norm(difference, axis=2)
    errors[~predicted_too] = np.inf
    errors[~known] = np.nan
    return errors


def pck(errors: ArrayLike, threshold: float = _THRESHOLD) -> float:
    """The share of the known joints of which the error is at most ``threshold``, in percent.

    Raises InputError if no joint is known; UsageError for a negative threshold.
    """
    return _pooled(_within(_table(errors), threshold))


def pck_auc(errors: ArrayLike) -> float:
    """The mean of :func:`pck` over all thresholds from 20 to 40 pixels, in percent.

    It is the exact area, which sums over a grid of thresholds come near to: a joint adds the share
    of the thresholds that its error does not exceed. Raises InputError if no joint is known.
    """
    return _pooled(_area(_table(errors)))


def pck_interval(
    errors: ArrayLike, *, groups: Sequence[Hashable] | None = None
) -> tuple[float, float]:
    """Percentile bootstrap interval of :func:`pck`, in percent.

    Hands, the rows of ``errors (N, J)``, are drawn with replacement; with ``groups``, one per hand
    (say, the sequence), whole groups are, since the frames of a sequence say nearly the same.
    """
    return _interval(_within(_table(errors), _THRESHOLD), groups)


def pck_auc_interval(
    errors: ArrayLike, *, groups: Sequence[Hashable] | None = None
) -> tuple[float, float]:
    """Percentile bootstrap interval of :func:`pck_auc`, in percent; as :func:`pck_interval`."""
    return _interval(_area(_table(errors)), groups)


def _table(errors: ArrayLike) -> Floats:
    table = np.asarray(errors, float)
    if table.ndim != 2:
        raise InputError(f"errors: expected (N, J), got {table.shape}")
    if not (~np.isnan(table)).any():
        raise InputError("errors: expected at least one joint whose truth is known, got none")
    return table


def _within(errors: Floats, threshold: float) -> Floats:
    """1 for a correct joint, 0 for another, NaN for an unknown one."""
    if not threshold >= 0:
        raise UsageError(f"threshold: expected 0 or more, got {threshold:g}")
    return np.where(np.isnan(errors), np.nan, (errors <= threshold).astype(float))


def _area(errors: Floats) -> Floats:
    area: Floats = np.clip((_HIGHEST - errors) / (_HIGHEST - _THRESHOLD), 0.0, 1.0)
    return area


def _pooled(parts: Floats) -> float:
    return float(100 * np.nanmean(parts))


def _interval(parts: Floats, groups: Sequence[Hashable] | None) -> tuple[float, float]:
    if groups is not None and len(groups) != len(parts):
        raise InputError(f"expected a group for each of {len(parts)} hands, got {len(groups)}")
    amounts: NDArray[Any] = np.stack(
        [np.nansum(parts, axis=1), (~np.isnan(parts)).sum(axis=1).astype(float)], axis=1
    )
    right, known = resampled_totals(amounts, groups=groups)
    return percentiles(100 * right[known > 0] / known[known > 0])
