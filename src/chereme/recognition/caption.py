"""The strip under a film: the text so far, the letter that is being read, and the time."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.formats.words import split_words
from chereme.types import Transcript

GROUND = (18, 20, 26)
TEXT = (238, 240, 244)
ACCENT = (255, 196, 64)
QUIET = (140, 146, 158)
# The network often gives a letter two or three frames, too short to be seen as the current one.
SHORTEST_HIGHLIGHT = 0.4  # seconds, where the next letter leaves the time
_LONGEST_LINE = 240  # letters looked at to fill one line
_Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Caption:
    """``before``: the text read so far, without ``current``, the letter of this moment, or ''."""

    before: str
    current: str = ""


class Captions:
    """The captions of a transcript, by time."""

    def __init__(self, transcript: Transcript) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._captions: list[Caption] = []
        text = ""
        for number, word in enumerate(split_words(transcript)):
            text += " " if number else ""
            for token in word.tokens:
                self._starts.append(token.start)
                self._ends.append(max(token.end, token.start + SHORTEST_HIGHLIGHT))
                self._captions.append(Caption(text, token.text))
                text += token.text

    def at(self, seconds: float) -> Caption:
        """The caption of a frame at ``seconds``: letters that have started by then."""
        last = bisect.bisect_right(self._starts, seconds) - 1
        if last < 0:
            return Caption("")
        caption = self._captions[last]
        if seconds < self._ends[last]:
            return caption
        return Caption(caption.before + caption.current)


def strip_height(width: int, height: int) -> int:
    """Pixels that suit a picture of this size."""
    return 14 + round(0.08 * min(width, height))


def draw_strip(caption: Caption, seconds: float, size: _Size) -> NDArray[np.uint8]:
    """A strip ``(height, width, 3)`` uint8 RGB for ``size = (width, height)`` pixels.

    Of a text that is too long its end is shown, after an ellipsis.
    """
    draw_module = require("PIL.ImageDraw")
    width, height = size
    clock = font(round(0.4 * height))
    time = _clock(seconds)
    left = width - _margin(height) - clock.getlength(time)
    strip = _text_strip(caption, size, int(left) - _margin(height)).copy()
    draw = draw_module.Draw(strip)
    draw.text((left, height / 2), time, QUIET, clock, anchor="lm")
    return np.asarray(strip)


@lru_cache(maxsize=4)  # frames that follow each other mostly have one text
def _text_strip(caption: Caption, size: _Size, right: int) -> Any:
    """The strip without its time, as a picture of Pillow; the text ends before x = ``right``."""
    image_module, draw_module = require("PIL.Image"), require("PIL.ImageDraw")
    height = size[1]
    strip = image_module.new("RGB", size, GROUND)
    draw = draw_module.Draw(strip)
    face = font(round(0.56 * height))
    pad = 0.16 * height
    margin = _margin(height)
    current = caption.current.strip()
    boxed = face.getlength(current) + 2 * pad if current else 0.0
    gap = 0.06 * height
    before = _tail(caption.before, face, right - margin - gap - boxed)
    # All letters stand on one line, wherever it is drawn.
    baseline = round(0.7 * height)
    draw.text((margin, baseline), before, TEXT, face, anchor="ls")
    if current:
        x = margin + (face.getlength(before) + gap if before else 0.0)
        box = (x, 0.1 * height, x + boxed, 0.9 * height)
        draw.rounded_rectangle(box, radius=0.14 * height, fill=ACCENT)
        draw.text((x + pad, baseline), current, GROUND, face, anchor="ls")
    return strip


def _tail(text: str, face: Any, room: float) -> str:
    """The end of ``text`` that is at most ``room`` pixels wide."""
    text = text if len(text) <= _LONGEST_LINE else "…" + text[-_LONGEST_LINE:]
    while face.getlength(text) > room and len(text.lstrip("…")) > 0:
        text = "…" + text.lstrip("…")[1:]
    return text if face.getlength(text) <= room else ""


def _margin(height: int) -> int:
    return round(0.3 * height)


def _clock(seconds: float) -> str:
    minutes, hundredths = divmod(round(100 * abs(seconds)), 6000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    whole = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{whole}:{hundredths // 100:02d}.{hundredths % 100:02d}"


@lru_cache(maxsize=8)
def font(size: int) -> Any:
    """DejaVu Sans Bold as a font of Pillow, ``size`` pixels high, at least 6.

    Its file has the Latin, Greek and Cyrillic letters (Pillow's own font has no
    accents), and digits of one width.
    """
    file = Path(__file__).parent / "font" / "DejaVuSans-Bold.ttf"
    return require("PIL.ImageFont").truetype(str(file), max(size, 6))
