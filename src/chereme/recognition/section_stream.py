"""What is read section by section while it comes.

A section (``chereme.hands.sections``) is read when it has ended: that is its final text. Meanwhile
its last seconds are read again and again: that is the partial one. Hands are looked for once in
each frame.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from chereme.errors import InputError, UsageError
from chereme.hands.detector import Detection, HandDetector
from chereme.hands.sections import FrameSections, LandmarkSections, Section
from chereme.recognition.bundle import Bundle
from chereme.recognition.event_stream import EventStream, Item
from chereme.recognition.hand_landmarks import turned, unmirror
from chereme.types import Event, Frame, Landmarks
from chereme.video.upright import UPRIGHT


def check_no_crops(bundles: Sequence[Bundle[Any]]) -> None:
    """UsageError for a model that reads crops of the hands: which hand is which is known too late
    for it."""
    if crops := [bundle.config.name for bundle in bundles if bundle.config.input == "rgb"]:
        raise UsageError(
            f"the model {crops[0]!r} reads crops of the hand, which a stream does not cut; "
            "take one that reads landmarks or the hand network's vectors"
        )


class SectionStream(EventStream):
    """Reads hands, or pictures of them, as they come, see :class:`EventStream`.

    A final event comes when the hands have been away for a second or have rested for three, sooner
    where somebody signs on for more than 20 seconds; 60 seconds of signing at most are one event.

    A recording that lies on its side is not noticed: give ``rotate``.

    Args:
        make_detector: makes the detector of hands in pictures.
        every: seconds of the stream between partial readings.
        mirrored, rotate: as of the recogniser.
    """

    vectors: ClassVar[bool]
    """Whether those of the detections are kept."""
    window: ClassVar[float]
    """Seconds that a partial reading looks at."""

    def __init__(
        self,
        make_detector: Callable[[bool], HandDetector],
        *,
        every: float,
        mirrored: bool = False,
        rotate: int = 0,
    ) -> None:
        super().__init__()
        if not every > 0:
            raise UsageError(f"every: expected more than 0 seconds, got {every}")
        self._make_detector = make_detector
        self._mirrored, self._rotate, self._every = mirrored, rotate, every
        self._sections: FrameSections | LandmarkSections | None = None
        self._detector: HandDetector | None = None
        self._size: tuple[int, ...] | None = None
        self._frames = 0
        self._now = self._due = 0.0
        self._news = -math.inf

    @property
    def detections(self) -> list[Detection]:
        return self._sections.detections if isinstance(self._sections, FrameSections) else []

    @property
    def _reads_pictures(self) -> bool:
        return isinstance(self._sections, FrameSections)

    @abstractmethod
    def _whole(self, landmarks: Landmarks, *, is_still: bool) -> list[Event]:
        """The final event of a section, if there is one; ``is_still``: there is one picture."""

    @abstractmethod
    def _so_far(self, landmarks: Landmarks, *, cut: bool) -> list[Event]:
        """The partial event of the last seconds of a section, if it is news; ``cut``: what was
        before them is not seen."""

    def _push(self, item: Item) -> Iterable[Event]:
        if isinstance(item, Landmarks):
            ended = self._of_landmarks().update(turned(item, self._rotate))
            self._frames += len(item.timestamps)
            self._now = float(item.timestamps[-1]) if len(item.timestamps) else self._now
        else:
            section = self._of_frames().update(self._upright(item))
            ended = [] if section is None else [section]
            self._frames += 1
            self._now = item.timestamp
        return [event for section in ended for event in self._final(section)]

    def _of_frames(self) -> FrameSections:
        if self._sections is None:
            self._detector = self._make_detector(False)
            self._sections = FrameSections(self._detector, vectors=self.vectors, rests=False)
        if not isinstance(self._sections, FrameSections):
            raise UsageError("frame: expected landmarks, as before, got a picture")
        return self._sections

    def _of_landmarks(self) -> LandmarkSections:
        if self._sections is None:
            self._sections = LandmarkSections(rests=False)
        if not isinstance(self._sections, LandmarkSections):
            raise UsageError("frame: expected a picture, as before, got landmarks")
        return self._sections

    def _upright(self, frame: Frame) -> Frame:
        self._size = self._size or frame.image.shape
        if frame.image.shape != self._size:
            raise InputError(
                f"frame: expected a picture of {self._size[:2]}, as before, got "
                f"{frame.image.shape[:2]} (height, width); begin another stream for it"
            )
        return Frame(UPRIGHT.turned(self._rotate).apply(frame.image), frame.timestamp)

    def _partial(self) -> list[Event]:
        if self._sections is None or self._sections.finder.resting or self._now < self._due:
            return []
        news, self._news = self._news, self._sections.finder.news
        if self._news == news:
            return []
        self._due = self._now + self._every
        landmarks = self._sections.latest(self.window)
        cut = float(landmarks.timestamps[0]) > self._sections.finder.began
        return self._so_far(self._unmirrored(landmarks), cut=cut)

    def _finish(self) -> list[Event]:
        section = None if self._sections is None else self._sections.finish()
        return [] if section is None else self._final(section, is_still=self._frames == 1)

    def _final(self, section: Section, *, is_still: bool = False) -> list[Event]:
        return self._whole(self._unmirrored(section.landmarks), is_still=is_still)

    def _unmirrored(self, landmarks: Landmarks) -> Landmarks:
        return unmirror(landmarks) if self._mirrored else landmarks

    def _close(self) -> None:
        if self._detector is not None:
            self._detector.close()
