"""A stream that is watched: its text, and how well the machine keeps up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chereme.live.sources import Newest
from chereme.recognition.event_stream import EventStream, joined
from chereme.recognition.latency import warm_up
from chereme.recognition.profiling import HEIGHT, WIDTH
from chereme.recognition.recognizer import BaseRecognizer
from chereme.types import Event, Frame, Transcript

RECENT = 5.0  # seconds that the figures are of


@dataclass(frozen=True, slots=True)
class Status:
    """How it goes, of the last seconds.

    ``fps``: frames read a second; ``delay``: seconds from a frame's arrival until it was read;
    ``coverage``: fraction of the frames with a hand, None where the stream does not tell;
    ``skipped``: frames that were not read, of all.
    """

    fps: float = 0.0
    delay: float = 0.0
    coverage: float | None = None
    skipped: int = 0

    def __str__(self) -> str:
        hand = "" if self.coverage is None else f" · hand in {self.coverage:.0%}"
        slow = f" · too slow: {self.skipped} frames skipped" if self.skipped else ""
        return f"{self.fps:.0f} frames/s · delay {self.delay:.2f} s{hand}{slow}"


@dataclass(frozen=True, slots=True)
class Update:
    """What a frame has brought; None: the end."""

    frame: Frame | None
    events: list[Event]


class Session:
    """Reads the frames of ``newest`` with a stream of ``recognizer``.

    ``stream`` is that stream, ``status`` and ``partial``, the text that is being signed, are those
    of the last frame; ``options`` of the stream.
    """

    def __init__(self, recognizer: BaseRecognizer, newest: Newest, **options: Any) -> None:
        self.stream: EventStream = recognizer.stream(**options)
        self.status, self.partial = Status(), ""
        self._recognizer, self._newest = recognizer, newest
        self._recent: deque[tuple[float, float, bool]] = deque()
        self._finals: list[Event] = []
        self._frames = self._seen = 0
        self._first = self._last = 0.0

    def __iter__(self) -> Iterator[Update]:
        """An update a frame, until there are no more."""
        warm_up(self._recognizer, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        with self._newest as arriving:
            for frame, at in arriving:
                events = self._took(self.stream.push(frame))
                self._count(frame, at)
                yield Update(frame, events)

    def finish(self) -> Update:
        """The last events."""
        return Update(None, self._took(self.stream.finish()))

    def transcript(self, source: str | None) -> Transcript:
        """All final texts so far, in one."""
        skipped = self._newest.skipped
        info = {
            **self._recognizer.info,
            "source": source,
            "kind": "live",
            "frames": self._frames,
            "skipped": skipped,
            "start": self._first,
            "duration": round(self._last - self._first, 4),
        }
        if self.stream.detections is not None:
            coverage = self._seen / self._frames if self._frames else 0.0
            info["hand_coverage"] = round(coverage, 4)
        warnings = (f"the machine was too slow: {skipped} frames were skipped",) if skipped else ()
        return self._recognizer.result(*joined(self._finals), info, warnings)

    def _took(self, events: list[Event]) -> list[Event]:
        for event in events:
            self.partial = event.text if event.kind == "partial" else ""
        self._finals += [event for event in events if event.kind == "final"]
        return events

    def _count(self, frame: Frame, at: float) -> None:
        now, hands = time.monotonic(), self.stream.detections
        seen = bool(hands)
        if not self._frames:
            self._first = frame.timestamp
        self._last = frame.timestamp
        self._frames += 1
        self._seen += seen
        self._recent.append((now, now - at, seen))
        while now - self._recent[0][0] > RECENT:
            self._recent.popleft()
        count = len(self._recent)
        passed = now - self._recent[0][0]
        self.status = replace(
            self.status,
            fps=(count - 1) / passed if passed > 0 else 0.0,
            delay=sum(delay for _, delay, _ in self._recent) / count,
            coverage=None if hands is None else sum(one for *_, one in self._recent) / count,
            skipped=self._newest.skipped,
        )
