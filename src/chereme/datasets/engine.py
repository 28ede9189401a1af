"""Many clips at once, in several processes or on a cluster; results come in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.datasets.corpus import Unusable
from chereme.formats.manifests import Item
from chereme.hands.detector import Detection, HandDetector
from chereme.recognition.hand_landmarks import MakeDetector

Found = TypeVar("Found")
Clip = TypeVar("Clip", covariant=True)
Job = TypeVar("Job")
Where = Literal["local", "ray"]
_AHEAD = 4  # clips for each worker that are finished or begun before their turn
_BLOCK = 4  # clips of a block, which is the unit of Ray's work and of its results


class Look(Protocol[Clip]):
    """What is made of a clip; it raises Unusable for one of which nothing can be made."""

    def __call__(self, item: Item, *, make_detector: MakeDetector) -> Clip: ...


@dataclass(frozen=True)
class Engine(Generic[Found]):
    """Looks at clips, as ``track_clip`` does. Workers make detectors of their own.

    With several workers ``look`` and ``make_detector`` are such as can be pickled. ``where``: on
    this machine, or on those of the Ray cluster that ``RAY_ADDRESS`` names (without one, Ray is
    started here). All machines must see the recordings under the same paths.
    """

    look: Look[Found]
    make_detector: MakeDetector
    workers: int = 1
    where: Where = "local"

    def run(self, items: Sequence[Item]) -> Iterator[Found | Unusable]:
        """What was made of each item, or why nothing was, in the order of the items.

        A clip on which the process itself dies (a fault in a decoder, too little memory) is
        Unusable too, where there are several workers. Deviation: Ray tries it again, and ends the
        run if that goes on; what is done stays done.
        """
        if self.where == "ray" and items:
            yield from self._on_ray(items)
            return
        if self.workers <= 1:
            with closing(Tracker(self)) as track:
                yield from map(track, items)
            return
        waiting = deque(items)
        while waiting:
            try:
                with self._pool(self.workers) as pool:
                    for outcome in in_order(pool, _work, tuple(waiting), self.workers * _AHEAD):
                        waiting.popleft()
                        yield outcome
            except BrokenProcessPool:
                # Which clip it was nobody knows: the first goes alone, the others once more.
                yield self._alone(waiting.popleft())

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

    def _on_ray(self, items: Sequence[Item]) -> Iterator[Found | Unusable]:
        """``workers`` actors of one CPU each."""
        data = require("ray.data", extra="ray")
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        rows = data.from_items(
            [{"item": item} for item in items], override_num_blocks=-(-len(items) // _BLOCK)
        )
        outcomes = rows.map(
            _Actor, fn_constructor_args=(self,), concurrency=self.workers, num_cpus=1
        )
        for row in outcomes.iter_rows():
            yield row["outcome"]


def in_order(
    pool: ProcessPoolExecutor, work: Callable[[Job], Found], jobs: Sequence[Job], most: int
) -> Iterator[Found]:
    """What ``work`` makes of the jobs, in their order, ``most`` of them begun before their turn."""
    waiting = iter(jobs)
    begun: deque[Future[Found]] = deque()
    try:
        begun.extend(pool.submit(work, job) for job in islice(waiting, most))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(work, job) for job in islice(waiting, 1))
            yield result
    finally:
        for future in begun:
            future.cancel()


def generate(work: Callable[[Job], Found], jobs: Sequence[Job], workers: int) -> Iterator[Found]:
    """What ``work`` makes of the jobs, in their order, in so many processes of one thread each.

    With several, ``work`` and the jobs can be pickled.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _one_thread) as pool:
        yield from in_order(pool, work, jobs, workers * _AHEAD)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


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


class _Actor:
    """A worker of Ray."""

    def __init__(self, engine: Engine[Any]) -> None:
        self._track = Tracker(engine)
        _draw_in_one_thread()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": self._track(row["item"])}


def _draw_in_one_thread() -> None:
    """Those of OpenCV, where what makes the clips draws with it."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)


_tracker: Tracker[Any]  # of a worker


def _start_worker(engine: Engine[Any]) -> None:
    global _tracker
    _tracker = Tracker(engine)
    _draw_in_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends, and ends this one
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)  # killed, the parent cannot say so

    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(item: Item) -> Any:
    return _tracker(item)
