"""Single signs while they come: each section of a stream is the clip of one sign."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chereme.hands.detector import HandDetector
from chereme.recognition.section_stream import SectionStream
from chereme.types import Event, IsolatedResult, Landmarks

EVERY = 0.5  # seconds between partial readings


class SignStream(SectionStream):
    """Reads single signs as they come, see :class:`SectionStream`: between two of them the hands go
    out of sight for a second, or rest for three.

    A final event is the likeliest sign of what was seen between, or an empty text where none is
    probable enough and one was shown before; a partial one tells what it looks like so far, about
    ``every`` seconds, if that is news.

    Args:
        read: reads the landmarks of the clip of a sign.
        make_detector, options: as of :class:`SectionStream`.
    """

    vectors = False
    window = math.inf

    def __init__(
        self,
        read: Callable[[Landmarks], IsolatedResult],
        make_detector: Callable[[bool], HandDetector],
        **options: Any,
    ) -> None:
        super().__init__(make_detector, **options)
        self._read = read
        self._shown = ""

    def _whole(self, landmarks: Landmarks, *, is_still: bool) -> list[Event]:
        shown, self._shown = self._shown, ""
        found = self._read(landmarks)
        return [Event("final", found.text, found.tokens)] if found.text or shown else []

    def _so_far(self, landmarks: Landmarks, *, cut: bool) -> list[Event]:
        shown, found = self._shown, self._read(landmarks)
        self._shown = found.text
        return [] if found.text == shown else [Event("partial", found.text, found.tokens)]
