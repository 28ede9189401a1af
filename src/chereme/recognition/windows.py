"""What is long, in windows that overlap: constant memory, and a bounded delay.

A window is read when the frame after it has come, or the last one. Between two windows there is a
seam: what is read before it is the earlier one's, what is read after it the later one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """``items``, of which the first is number ``start``; ``last``: there are none after these;
    ``whole``: False where more will be added to it, so that what is read now may change."""

    items: tuple[T, ...]
    start: int
    last: bool
    whole: bool = True


def windows(
    items: Iterable[T], size: int, overlap: int, every: int | None = None
) -> Iterator[Window[T]]:
    """Windows of ``size`` items, each with the last ``overlap`` of the one before; fewer at the
    end, where at least one is new. None of no items. At most ``size`` are held.

    ``every``: after so many new items what there is of a window comes as well, not ``whole``.
    """
    held: list[T] = []
    start = fresh = 0
    for item in items:
        if len(held) == size:
            yield Window(tuple(held), start, False)
            kept = held[size - overlap :]
            start += size - len(kept)
            held, fresh = kept, 0
        held.append(item)
        fresh += 1
        if every is not None and fresh % every == 0 and len(held) < size:
            yield Window(tuple(held), start, False, False)
    if held:
        yield Window(tuple(held), start, True)


def seam(middles: Sequence[float], low: float, high: float) -> float:
    """Where between ``low`` and ``high`` to part two windows: in the middle of the widest gap
    between signs, of which ``middles`` are the middles, so that a sign which the later window sees
    a little earlier or later is neither lost nor read twice."""
    edges = [low, *sorted(m for m in middles if low < m < high), high]
    before, after = max(pairwise(edges), key=lambda gap: gap[1] - gap[0])
    return (before + after) / 2
