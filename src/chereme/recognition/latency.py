"""How soon a stream shows a letter, and the memory that it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.detector import Detection, HandDetector
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.profiling import FPS, enlarged, example_frames
from chereme.recognition.recognizer import BaseRecognizer
from chereme.types import Event, Frame, Token

PAUSE = 1.5  # seconds without a hand after each word of the example
EXAMPLE_RATE = 24.0  # of the example's own frames
MINUTE = 60.0
SELDOM = 5.0  # seconds between partial readings where memory is measured


@dataclass(frozen=True, slots=True)
class _Shown:
    event: Event
    elapsed: float  # seconds after the first frame
    cpu: float  # the same on a machine that does nothing else


def example_film(words: int) -> Iterator[Frame]:
    """The example clip so often, in a grey border of 720p at 30 frames a second, with pauses."""
    pictures = [enlarged(picture) for picture in example_frames()]
    spelled = int(len(pictures) * FPS / EXAMPLE_RATE)
    empty = np.full_like(pictures[0], 128)
    for number in range(words * (spelled + round(PAUSE * FPS))):
        place = number % (spelled + round(PAUSE * FPS))
        image = pictures[int(place * EXAMPLE_RATE / FPS)] if place < spelled else empty
        yield Frame(image, number / FPS)


def warm_up(recognizer: BaseRecognizer, picture: NDArray[np.uint8]) -> None:
    """Look at a picture, so that the first frame of a stream takes no longer than others."""
    with recognizer.stream() as stream:
        stream.push(picture, 0.0)


def measure_delays(recognizer: Recognizer, frames: Iterable[Frame]) -> dict[str, Any]:
    """Frames pushed to a stream as if they came from a camera, and when letters are shown.

    The delay of a letter goes from the last frame that shows it, by the final text, to the partial
    text from which on it is shown; letters that only the final text has are ``corrected``, and have
    none. Time is that of the frames and of the work on them, in which a frame waits for the one
    before; no frame is skipped. ``wall``: by the clock; ``cpu``: if nothing else were at work.
    """
    shown: list[_Shown] = []
    spent: list[tuple[float, float]] = []
    wall = cpu = 0.0
    stream = recognizer.stream()
    warmed = False
    for frame in frames:
        if not warmed:
            warm_up(recognizer, frame.image)
            warmed = True
        began = time.perf_counter(), time.process_time()
        events = stream.push(frame)
        took = time.perf_counter() - began[0], time.process_time() - began[1]
        spent.append(took)
        wall, cpu = (
            max(clock, frame.timestamp) + one for clock, one in zip((wall, cpu), took, strict=True)
        )
        shown += [_Shown(event, wall, cpu) for event in events]
    shown += [_Shown(event, wall, cpu) for event in stream.finish()]
    every = list(_delays(shown))
    delays = np.array([one for one in every if one is not None]).reshape(-1, 2)
    busy = np.array(spent)
    return {
        "letters": len(every),
        "corrected": len(every) - len(delays),
        "delay": {
            clock: {
                f"p{share}": round(float(np.percentile(delays[:, column], share)), 3)
                for share in (50, 95)
            }
            for column, clock in enumerate(("wall", "cpu"))
            if len(delays)
        },
        "frame_ms": {
            clock: round(1000 * float(busy[:, column].mean()), 2)
            for column, clock in enumerate(("wall", "cpu"))
        },
    }


def measure_memory(recognizer: Recognizer, frames: Sequence[Frame], minutes: float) -> list[float]:
    """Megabytes of this process after each minute of a stream of ``frames``, again and again.

    Hands are looked for the first time alone, so that an hour takes minutes. Empty where the system
    does not tell.
    """
    make_detector = recognizer.make_detector
    answers: list[list[Detection]] = []
    step = frames[1].timestamp - frames[0].timestamp
    found: list[float] = []
    recognizer.make_detector = lambda still: _Replaying(make_detector(still), answers, len(frames))
    try:
        with recognizer.stream(every=SELDOM) as stream:
            for number in range(int(minutes * MINUTE / step)):
                stream.push(frames[number % len(frames)].image, number * step)
                if (number + 1) * step >= MINUTE * (len(found) + 1) and (now := _megabytes()):
                    found.append(now)
    finally:
        recognizer.make_detector = make_detector
    return found


class _Replaying:
    """A detector that looks at ``count`` frames and then gives its answers anew."""

    def __init__(self, detector: HandDetector, answers: list[list[Detection]], count: int) -> None:
        self._detector, self._answers, self._count, self._next = detector, answers, count, 0

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        if len(self._answers) < self._count:
            self._answers.append(self._detector.detect(image, timestamp))
        found = self._answers[self._next % self._count]
        self._next += 1
        return found

    def reset(self) -> None:
        self._detector.reset()

    def close(self) -> None:
        self._detector.close()


def _delays(shown: Sequence[_Shown]) -> Iterator[tuple[float, float] | None]:
    """Of each letter of the final texts; None where only the final text has it."""
    partial: list[_Shown] = []
    for one in shown:
        if one.event.kind == "partial":
            partial.append(one)
            continue
        for letter in one.event.tokens:
            first = None
            for before in reversed(partial):
                if not any(_is_same(letter, other) for other in before.event.tokens):
                    break
                first = before
            if first is None:
                yield None
            else:
                yield first.elapsed - letter.end, first.cpu - letter.end
        partial = []


def _is_same(letter: Token, other: Token) -> bool:
    together = min(letter.end, other.end) - max(letter.start, other.start)
    return letter.text == other.text and together >= 0


def _megabytes() -> float | None:
    try:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
