"""The seconds that are spent in each stage of reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Stages:
    """Adds up the seconds of each stage. Stages that run in several threads overlap."""

    def __init__(self, timings: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(timings or {})

    def run(self, stage: str, function: Callable[[], T]) -> T:
        """What ``function`` gives; its time is the stage's."""
        began = time.perf_counter()
        try:
            return function()
        finally:
            spent = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def iterate(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time spent inside their iterator is the stage's."""
        iterator = iter(items)
        end = object()
        while True:
            item = self.run(stage, lambda: next(iterator, end))
            if item is end:
                return
            yield item  # type: ignore[misc]
