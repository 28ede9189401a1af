"""Fingerspelling while it comes.

A section (``chereme.hands.sections``) is read when it has ended, as ``recognize`` reads it: that is
its final text. Meanwhile its last seconds are read again and again: that is the partial one. Hands
are looked for once in each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chereme.errors import InputError, UsageError
from chereme.hands.detector import Detection, HandDetector
from chereme.hands.sections import FrameSections, LandmarkSections, Section
from chereme.recognition.event_stream import EventStream, Item
from chereme.recognition.hand_landmarks import turned, unmirror
from chereme.recognition.letter_reading import LetterReader
from chereme.recognition.stages import Stages
from chereme.types import Event, Frame, Landmarks, Token
from chereme.video.upright import UPRIGHT

EVERY = 0.2  # seconds between partial readings
WINDOW = 4.0  # seconds that a partial reading looks at
EDGE = 0.5  # of these, at their beginning, where a letter may be cut
TAKEN_BACK = 2  # letters at most

MakeReader = Callable[[Landmarks, bool], LetterReader]
"""Makes what reads landmarks; the second argument says whether they are of pictures."""


@dataclass(frozen=True, slots=True)
class _Letter:
    token: Token
    first: bool  # of a word


class LetterStream(EventStream):
    """Reads fingerspelling as it comes, see :class:`EventStream`.

    A final event comes when the hand has been away for a second or has rested for three, sooner
    where somebody spells on for more than 20 seconds; 60 seconds of spelling at most are one event.
    A partial one tells what the hand has spelled since, about ``every`` seconds, if that is news:
    of the letters of the one before it takes back two at most. The final text may correct more.

    A recording that lies on its side is not noticed: give ``rotate``.

    Args:
        make_reader: makes what reads landmarks.
        make_detector: makes the detector of hands in pictures.
        mirrored, rotate: as of the recogniser.
        every: seconds of the stream between partial readings.
    """

    def __init__(
        self,
        make_reader: MakeReader,
        make_detector: Callable[[bool], HandDetector],
        *,
        mirrored: bool = False,
        rotate: int = 0,
        every: float = EVERY,
    ) -> None:
        super().__init__()
        if not every > 0:
            raise UsageError(f"every: expected more than 0 seconds, got {every}")
        self._make_reader, self._make_detector = make_reader, make_detector
        self._mirrored, self._rotate, self._every = mirrored, rotate, every
        self._readers: dict[bool, LetterReader] = {}
        self._sections: FrameSections | LandmarkSections | None = None
        self._detector: HandDetector | None = None
        self._size: tuple[int, ...] | None = None
        self._frames = 0
        self._now = self._due = 0.0
        self._news = -math.inf
        self._shown: list[_Letter] = []

    @property
    def detections(self) -> list[Detection]:
        """The hands in the last picture that was pushed, in pixels of it when it is upright."""
        return self._sections.detections if isinstance(self._sections, FrameSections) else []

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
            self._sections = FrameSections(self._detector, vectors=True, rests=False)
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
        before = _text(self._shown)
        landmarks = self._sections.latest(WINDOW)
        self._shown = _joined(self._shown, self._letters(landmarks), landmarks.timestamps[0])
        text = _text(self._shown)
        return [] if text == before else [Event("partial", text, _tokens(self._shown))]

    def _finish(self) -> list[Event]:
        section = None if self._sections is None else self._sections.finish()
        return [] if section is None else self._final(section, is_still=self._frames == 1)

    def _final(self, section: Section, *, is_still: bool = False) -> list[Event]:
        shown, self._shown = self._shown, []
        letters = self._letters(section.landmarks, is_still=is_still)
        return [Event("final", _text(letters), _tokens(letters))] if letters or shown else []

    def _letters(self, landmarks: Landmarks, *, is_still: bool = False) -> list[_Letter]:
        if self._mirrored:
            landmarks = unmirror(landmarks)
        known = landmarks.vectors is not None or not landmarks.handedness
        if known not in self._readers:
            pictures = isinstance(self._sections, FrameSections)
            self._readers[known] = self._make_reader(landmarks, pictures)
        reader = self._readers[known]
        hands = reader.hands(landmarks, reader.turns(landmarks))
        letters = reader.read(hands, Stages(), is_still=is_still)
        judged = [reader.judged(one, hand) for one, hand in zip(letters, hands, strict=True)]
        return [
            _Letter(token, first=number == 0)
            for turn in judged
            for segment in turn.segments
            for number, token in enumerate(segment.tokens)
        ]

    def _close(self) -> None:
        if self._detector is not None:
            self._detector.close()


def _joined(shown: Sequence[_Letter], read: Sequence[_Letter], start: float) -> list[_Letter]:
    """What is shown next: of the letters ``shown`` all but the last two stay, and those before the
    window, which begins at ``start``; after them comes what was ``read`` there."""
    settled = sum(letter.token.end < start + EDGE for letter in shown)
    kept = list(shown[: max(settled, len(shown) - TAKEN_BACK)])
    if not kept:
        return list(read)
    last = kept[-1].token
    same = [
        number
        for number, letter in enumerate(read)
        if letter.token.text == last.text
        and letter.token.start < last.end
        and letter.token.end > last.start
    ]
    if same:
        return kept + list(read[same[-1] + 1 :])
    return kept + [one for one in read if (one.token.start + one.token.end) / 2 > last.end]


def _text(letters: Sequence[_Letter]) -> str:
    spaced = [" " * letter.first + letter.token.text for letter in letters]
    return "".join(spaced).strip()


def _tokens(letters: Sequence[_Letter]) -> tuple[Token, ...]:
    return tuple(letter.token for letter in letters)
