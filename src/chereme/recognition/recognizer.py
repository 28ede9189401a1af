"""What the recognisers of all tasks share: how a source is read, and what is known of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from chereme.errors import UsageError
from chereme.hands.detector import find_detector
from chereme.hands.tracking import Watch
from chereme.recognition.hand_landmarks import (
    HandLandmarks,
    MakeDetector,
    Progress,
    detect_hands,
)
from chereme.recognition.report import Hand
from chereme.recognition.sources import find_source
from chereme.recognition.stages import Stages
from chereme.types import Transcript
from chereme.video import Limits
from chereme.video.reader import check_rate, check_rotate

R = TypeVar("R", bound=Transcript)


class BaseRecognizer(ABC):
    """Reads sources with one model. May be used for any number of inputs, one at a time.

    Args:
        mirrored: the recording is a mirror image, as many front cameras make.
        strict: fail at the first damage of a video instead of reading the rest.
        rate: frames a second of folders of frames and of frames in memory (default 30), and of
            landmark files in the place of what they say.
        limits: the largest recording to accept.
        rotate: degrees clockwise (0, 90, 180, 270) by which to turn the pictures, beyond what the
            file says.
        video_stream: the number, from 0, of the stream to read of a video that has several; None
            takes the largest picture.
        detector: the name of a hand detector, see ``chereme.hands.detector.find_detector``.
        make_detector: makes the hand detector in the place of ``detector``: called once for each
            input, with True if that is a single picture; the detector is closed after it.
    """

    task: ClassVar[str]
    """Its name in ``tasks.py``."""
    result: ClassVar[type[Transcript]]
    """What it makes of an input; its ``unit`` says what a token is."""
    adds_up: ClassVar[bool] = False
    """Whether several models together can be loaded, whose predictions are added up."""

    def __init__(
        self,
        *,
        mirrored: bool = False,
        strict: bool = False,
        rate: float | None = None,
        limits: Limits | None = None,
        rotate: int | None = None,
        video_stream: int | None = None,
        detector: str = "onnx",
        make_detector: MakeDetector | None = None,
    ) -> None:
        check_rate(rate)
        check_rotate(rotate)
        self.mirrored, self.rotate = mirrored, rotate
        self.make_detector: MakeDetector = make_detector or find_detector(detector)
        self.video_options: dict[str, Any] = {
            "strict": strict,
            "rate": rate,
            "limits": limits or Limits(),
            "rotate": rotate,
            "video_stream": video_stream,
        }

    @classmethod
    @abstractmethod
    def load(cls, model: Any, *, threads: int | None = None, **options: Any) -> Any:
        """A recogniser with a model's name or folder; ``threads`` of the networks (None: all
        cores), ``options`` those of the class."""

    @property
    @abstractmethod
    def info(self) -> dict[str, Any]:
        """What a result tells of the model: ``model``, with its ``name`` and ``sha256``, and how
        it is read."""

    @property
    def timed(self) -> bool:
        """Whether the tokens have times."""
        return True

    @abstractmethod
    def recognize(
        self,
        source: Any,
        *,
        start: float | None = None,
        end: float | None = None,
        rate: float | None = None,
        progress: Progress | None = None,
    ) -> Transcript:
        """Read one source, whatever ``chereme.recognition.sources.find_source`` makes one of, or
        the part from ``start`` to ``end`` (seconds) of it. A ``rate`` takes the place of the
        recogniser's own."""

    def stream(self, *given: Any, **options: Any) -> Any:
        """What reads signing while it comes; ``UsageError`` where a model reads whole clips."""
        raise UsageError(f"a model for {self.task} reads whole clips: give each to recognize")

    @classmethod
    def is_live(cls, config: Any) -> bool:
        """Whether ``stream`` reads pictures with a model of this ``config``."""
        return False

    @property
    def reads_video(self) -> bool:
        """Whether the model can be given a video."""
        return True

    def parts(self, rng: np.random.Generator) -> dict[str, tuple[Callable[[], Any], int]]:
        """Networks and searches that can be measured by themselves: runs of them on random input,
        and the frames in each."""
        return {}

    def reading(self, rate: float | None) -> dict[str, Any]:
        """How a source is read; a ``rate`` takes the place of the recogniser's own."""
        check_rate(rate)
        return self.video_options if rate is None else {**self.video_options, "rate": rate}

    def detect(
        self,
        source: Any,
        start: float | None,
        end: float | None,
        progress: Progress | None,
        stages: Stages,
        watch: Watch | None = None,
        *,
        rate: float | None = None,
        vectors: bool = False,
        sections: bool = False,
    ) -> HandLandmarks:
        """The hands in a source of any kind, see ``detect_hands``; its seconds are added to
        ``stages``. A ``rate`` takes the place of the recogniser's own."""
        detected = detect_hands(
            find_source(source),
            start=start,
            end=end,
            mirrored=self.mirrored,
            make_detector=self.make_detector,
            progress=progress,
            watch=watch,
            vectors=vectors,
            sections=sections,
            **self.reading(rate),
        )
        stages.add(detected.timings)
        return detected


def with_timings(result: R, stages: Stages) -> R:
    """``result`` with the seconds of each stage in its info."""
    return replace(result, info={**result.info, "timings": stages.timings})


def check_hand(hand: Hand) -> Hand:
    """UsageError for what is no signing hand."""
    if hand not in ("auto", "left", "right"):
        raise UsageError(f"hand: expected auto, left or right, got {hand!r}")
    return hand
