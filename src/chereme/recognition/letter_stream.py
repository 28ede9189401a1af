"""Fingerspelling while it comes: a section is read as ``recognize`` reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chereme.hands.detector import HandDetector
from chereme.recognition.letter_reading import LetterReader
from chereme.recognition.section_stream import SectionStream
from chereme.recognition.stages import Stages
from chereme.types import Event, Landmarks, Token

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


class LetterStream(SectionStream):
    """Reads fingerspelling as it comes, see :class:`SectionStream`.

    A partial event tells what the hand has spelled since the last final one, about ``every``
    seconds, if that is news: of the letters of the one before it takes back two at most. The final
    text may correct more.

    Args:
        make_reader: makes what reads landmarks.
        make_detector, options: as of :class:`SectionStream`.
    """

    vectors = True
    window = WINDOW

    def __init__(
        self,
        make_reader: MakeReader,
        make_detector: Callable[[bool], HandDetector],
        **options: Any,
    ) -> None:
        super().__init__(make_detector, **options)
        self._make_reader = make_reader
        self._readers: dict[bool, LetterReader] = {}
        self._shown: list[_Letter] = []

    def _so_far(self, landmarks: Landmarks, *, cut: bool) -> list[Event]:
        before = _text(self._shown)
        whole_from = float(landmarks.timestamps[0]) + EDGE if cut else -math.inf
        self._shown = _joined(self._shown, self._letters(landmarks), whole_from)
        text = _text(self._shown)
        return [] if text == before else [Event("partial", text, _tokens(self._shown))]

    def _whole(self, landmarks: Landmarks, *, is_still: bool) -> list[Event]:
        shown, self._shown = self._shown, []
        letters = self._letters(landmarks, is_still=is_still)
        return [Event("final", _text(letters), _tokens(letters))] if letters or shown else []

    def _letters(self, landmarks: Landmarks, *, is_still: bool = False) -> list[_Letter]:
        known = landmarks.vectors is not None or not landmarks.handedness
        if known not in self._readers:
            self._readers[known] = self._make_reader(landmarks, self._reads_pictures)
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


def _joined(shown: Sequence[_Letter], read: Sequence[_Letter], whole_from: float) -> list[_Letter]:
    """What is shown next: of the letters ``shown`` all but the last two stay, and those that end
    before ``whole_from`` seconds, which the window may not show whole; after them comes what was
    ``read`` there."""
    settled = sum(letter.token.end < whole_from for letter in shown)
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
