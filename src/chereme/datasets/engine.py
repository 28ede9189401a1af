"""Many clips at once: hands are looked for in several processes, results come in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.clips import TrackedClip, Unusable
from chereme.formats.manifests import Item
from chereme.hands.detector import Detection, HandDetector
from chereme.recognition.hand_landmarks import MakeDetector

Found = TypeVar("Found", covariant=True)
Outcome = TrackedClip | Unusable
_AHEAD = 4  # clips for each worker that are finished or begun before their turn


class Look(Protocol[Found]):
    """What is made of a clip; it raises Unusable for one of which nothing can be made."""

    def __call__(self, item: Item, *, make_detector: MakeDetector) -> Found: ...


@dataclass(frozen=True)
class Engine(Generic[Found]):
    """Looks at clips, as ``track_clip`` does. Workers make detectors of their own.

    With several workers ``look`` and ``make_detector`` are such as can be pickled.
    """

    look: Look[Found]
    make_detector: MakeDetector
    workers: int = 1

    def run(self, items: Sequence[Item]) -> Iterator[Found | Unusable]:
        """What was made of each item, or why nothing was, in the order of the items.

        A clip on which the process itself dies (a fault in a decoder, too little memory) is
        Unusable too, where there are several workers.
        """
        if self.workers <= 1:
            with closing(Tracker(self)) as track:
                yield from map(track, items)
            return
        waiting = deque(items)
        while waiting:
            try:
                yield from self._in_pool(waiting)
            except BrokenProcessPool:
                # Which clip it was nobody knows: the first goes alone, the others once more.
                yield self._alone(waiting.popleft())

    def _in_pool(self, waiting: deque[Item]) -> Iterator[Found | Unusable]:
        """Take items off ``waiting`` as their outcomes are given."""
        with self._pool(self.workers) as pool:
            begun: deque[Future[Found | Unusable]] = deque()
            try:
                while waiting:
                    for item in islice(waiting, len(begun), self.workers * _AHEAD):
                        begun.append(pool.submit(_work, item))
                    outcome = begun.popleft().result()
                    waiting.popleft()
                    yield outcome
            finally:
                for future in begun:
                    future.cancel()

    def _alone(self, item: Item) -> Found | Unusable:
        with self._pool(1) as pool:
            try:
                found: Found | Unusable = pool.submit(_work, item).result()
                return found
            except BrokenProcessPool:
                return Unusable("cannot be read", f"{item.path}: the process that read it died")

    def _pool(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, context, _start_worker, (self,))


class Tracker(Generic[Found]):
    """Looks at clips one after the other with the same detectors: making them takes 0.2 s."""

    def __init__(self, engine: Engine[Found]) -> None:
        self._engine = engine
        self._detectors: dict[bool, HandDetector] = {}

    def __call__(self, item: Item) -> Found | Unusable:
        try:
            return self._engine.look(item, make_detector=self._lend)
        except Unusable as unusable:
            return unusable
        # One clip in tens of thousands that trips over a fault of ours or of a library is no
        # reason to lose the others; it is reported, and they do not get its detector.
        except Exception as error:
            self.close()
            return Unusable("failed", f"{type(error).__name__}: {error}")

    def _lend(self, still: bool) -> HandDetector:
        if still not in self._detectors:
            self._detectors[still] = self._engine.make_detector(still)
        detector = self._detectors[still]
        detector.reset()
        return _Lent(detector)

    def close(self) -> None:
        """Free the detectors."""
        for detector in self._detectors.values():
            detector.close()
        self._detectors.clear()


class _Lent:
    """A detector whose borrower may close it without harm."""

    def __init__(self, detector: HandDetector) -> None:
        self._detector = detector

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        return self._detector.detect(image, timestamp)

    def reset(self) -> None:
        self._detector.reset()

    def close(self) -> None:
        pass


_tracker: Tracker[Any]  # of a worker


def _start_worker(engine: Engine[Any]) -> None:
    import cv2

    global _tracker
    _tracker = Tracker(engine)
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends, and ends this one
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)  # killed, the parent cannot say so

    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(item: Item) -> Any:
    return _tracker(item)
