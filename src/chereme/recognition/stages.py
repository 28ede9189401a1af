"""The seconds that are spent in each stage of reading."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stages:
    """Adds up the seconds of each stage: ``with stages("network"): ...``.

    Stages that run in several threads overlap.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """The time of the block is the stage's."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - began})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what was measured elsewhere."""
        for stage, spent in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def iterate(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time spent inside their iterator is the stage's."""
        iterator = iter(items)
        end = object()
        while True:
            with self(stage):
                item = next(iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each stage, to a tenth of a millisecond."""
        return {stage: round(seconds, 4) for stage, seconds in self.seconds.items()}
