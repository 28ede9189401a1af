"""When a hand goes from one hold to the next, in numbers that describe it frame by frame.

Everywhere ``times (N,)`` are rising seconds and ``values (N, D)`` the numbers. A hand's movement
from hold to hold is taken to be of minimum jerk (Flash and Hogan 1985), of which the beginning and
the end are found by least squares; what the hand looks like in the holds comes out of the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bases = Callable[[Floats, Floats, Floats], Floats]
"""``times (N,)``, beginnings and ends ``(M,)`` of moves -> the fraction ``(M, K, N)`` that each of
K
poses has in each frame."""

SHORTEST, LONGEST = 0.04, 0.8  # seconds of a move
LONGEST_RETURN = 1.2
_REACH = 0.8  # seconds on either side of a change that say when it was
_FAST = 0.1  # seconds
_FRAMES = 48  # that are looked at
_FEWEST = 4
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Move:
    """A move that begins at ``start`` and has ended at ``end`` (seconds). ``size``: how far the
    values are from each other before it and after it, Euclidean."""

    start: float
    end: float
    size: float

    def at(self, fraction: float) -> float:
        """The time after that fraction of its duration."""
        return self.start + fraction * (self.end - self.start)


def find_move(times: Floats, values: Floats) -> Move | None:
    """The move from the hold with which the frames begin to that with which they end.

    Either may be cut off. None where there are too few frames to tell.
    """
    return _find(times, values, _change, _there, LONGEST)


def find_return(times: Floats, values: Floats) -> Move | None:
    """As `find_move`, of a move that goes away and comes back, to the same place or another.

    Half of its time it goes away. ``size`` is the distance between the two holds.
    """
    return _find(times, values, _fastest, _there_and_back, LONGEST_RETURN)


def _find(
    times: Floats,
    values: Floats,
    near: Callable[[Floats, Floats], int],
    bases: Bases,
    longest: float,
) -> Move | None:
    if len(times) < _FEWEST:
        return None
    times, values = _around(times, values, times[near(times, values)])
    start, end = (side.ravel() for side in np.meshgrid(times, times, indexing="ij"))
    fits = (end - start >= SHORTEST - 1e-9) & (end - start <= longest)
    if not fits.any():
        return None
    start, end = start[fits], end[fits]
    shares = bases(times, start, end)
    # The residual of least squares needs only the products of frames with each other.
    products = values @ values.T
    gram = np.einsum("mkn,mln->mkl", shares, shares) + _RIDGE * np.eye(shares.shape[1])
    with_frames = np.einsum("mkn,mln->mkl", shares @ products, shares)
    explained = np.trace(np.linalg.solve(gram, with_frames), axis1=1, axis2=2)
    best = int(explained.argmax())
    poses = np.linalg.lstsq(shares[best].T, values, rcond=1e-3)[0]
    first, last = shares[best][:, [0, -1]].T @ poses
    return Move(float(start[best]), float(end[best]), float(np.linalg.norm(last - first)))


def _there(times: Floats, start: Floats, end: Floats) -> Floats:
    moved = _minimum_jerk(times, start, end)
    return np.stack([1 - moved, moved], axis=1)


def _there_and_back(times: Floats, start: Floats, end: Floats) -> Floats:
    turn = (start + end) / 2
    away, back = _minimum_jerk(times, start, turn), _minimum_jerk(times, turn, end)
    return np.stack([1 - away, away - back, back], axis=1)


def _minimum_jerk(times: Floats, start: Floats, end: Floats) -> Floats:
    """``(M, N)``: 0 before each start, 1 after the end."""
    s = np.clip((times - start[:, None]) / (end - start)[:, None], 0.0, 1.0)
    moved: Floats = s**3 * (10 - 15 * s + 6 * s * s)
    return moved


def _change(times: Floats, values: Floats) -> int:
    """The first frame after the cut that leaves the least variance on both sides of it."""
    count, sums = len(times), np.cumsum(values, axis=0)
    before = np.arange(1, count)
    gain = (sums[:-1] ** 2).sum(axis=1) / before
    gain += ((sums[-1] - sums[:-1]) ** 2).sum(axis=1) / (count - before)
    return int(gain.argmax()) + 1


def _fastest(times: Floats, values: Floats) -> int:
    """The middle of the tenth of a second or more in which the values change most."""
    half = int(np.searchsorted(times, times[0] + _FAST / 2))
    half = min(max(1, half), (len(times) - 1) // 2)
    change = np.linalg.norm(values[2 * half :] - values[: -2 * half], axis=1)
    return int(change.argmax()) + half


def _around(times: Floats, values: Floats, middle: float) -> tuple[Floats, Floats]:
    """What is near to ``middle``, in few frames."""
    near = np.abs(times - middle) <= _REACH
    if times[-1] - times[0] > 2 * _REACH and near.sum() >= _FEWEST:
        times, values = times[near], values[near]
    if len(times) > _FRAMES:
        at = np.linspace(times[0], times[-1], _FRAMES)
        values = np.stack([np.interp(at, times, column) for column in values.T], axis=1)
        times = at
    return times, values
