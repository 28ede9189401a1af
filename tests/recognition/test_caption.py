"""The strip under a film: which letters when, and that they can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.recognition.caption import (
    ACCENT,
    GROUND,
    SHORTEST_HIGHLIGHT,
    TEXT,
    Caption,
    Captions,
    draw_strip,
    strip_height,
)
from chereme.types import Token, Transcript

SIZES = [(192, 19), (320, 34), (1280, 72)]


def transcript(text: str, *starts: float, length: float = 0.1) -> Transcript:
    letters = [c for c in text if c != " "]
    tokens = [Token(c, s, s + length, 1.0) for c, s in zip(letters, starts, strict=True)]
    return Transcript(text, tuple(tokens))


def count(strip: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((strip == colour).all(axis=2).sum())


def extent(strip: np.ndarray) -> int:
    """The last column on the left half of the strip that is not ground."""
    columns = np.flatnonzero((strip[:, : strip.shape[1] // 2] != GROUND).any(axis=(0, 2)))
    return int(columns[-1])


def test_letters_appear_when_they_start_and_stay() -> None:
    captions = Captions(transcript("am so", 1.0, 1.2, 5.0, 6.0))
    assert captions.at(0.999) == Caption("")
    assert captions.at(1.0) == Caption("", "a")
    assert captions.at(1.19) == Caption("", "a")  # longer than its span, up to the next letter
    assert captions.at(1.2) == Caption("a", "m")
    assert captions.at(1.2 + SHORTEST_HIGHLIGHT + 0.01) == Caption("am")
    assert captions.at(5.1) == Caption("am ", "s")
    assert captions.at(100.0) == Caption("am so")


def test_a_long_letter_stays_current_to_its_end() -> None:
    captions = Captions(transcript("a", 1.0, length=3.0))
    assert captions.at(3.9) == Caption("", "a")
    assert captions.at(4.1) == Caption("a")


def test_nothing_read_is_an_empty_caption() -> None:
    assert Captions(Transcript("")).at(1.0) == Caption("")


@pytest.mark.parametrize("size", SIZES)
def test_the_current_letter_is_highlighted(size: tuple[int, int]) -> None:
    nothing = draw_strip(Caption(""), 1.0, size)
    assert (nothing.shape, nothing.dtype) == ((size[1], size[0], 3), np.uint8)
    assert count(nothing, ACCENT) == 0
    current = draw_strip(Caption("he", "l"), 1.0, size)
    assert count(current, ACCENT) > 0.1 * size[1] ** 2
    done = draw_strip(Caption("hel"), 1.0, size)
    assert count(done, ACCENT) == 0
    assert count(done, TEXT) > count(current, TEXT) > 0
    # The time stands where it stood.
    right = np.s_[:, size[0] - size[1] :]
    np.testing.assert_array_equal(nothing[right], current[right])


@pytest.mark.parametrize("size", SIZES)
def test_the_time_is_seen_and_changes(size: tuple[int, int]) -> None:
    early, late = (draw_strip(Caption(""), seconds, size) for seconds in (0.0, 3661.5))
    assert (early != GROUND).any()
    assert (early != late).any()
    np.testing.assert_array_equal(early, draw_strip(Caption(""), 0.004, size))


def test_the_end_of_a_long_text_is_shown_beside_the_time() -> None:
    size = (320, 34)
    empty = draw_strip(Caption(""), 1.0, size)
    clock = np.flatnonzero((empty != GROUND).any(axis=(0, 2)))[0]
    for text in ("w" * 60, "w" * 5000):
        strip = draw_strip(Caption(text, "x"), 1.0, size)
        np.testing.assert_array_equal(strip[:, clock:], empty[:, clock:])
        assert (strip[:, :clock] != GROUND).any(axis=(0, 2))[-60:].any()
        columns = np.flatnonzero((strip == ACCENT).all(axis=2).any(axis=0))
        assert 0.4 * size[0] < columns[0] < columns[-1] < clock
    tail = draw_strip(Caption("i" * 100 + "wwww", ""), 1.0, size)
    np.testing.assert_array_equal(tail, draw_strip(Caption("i" * 300 + "wwww", ""), 1.0, size))


def test_other_alphabets_are_drawn_and_not_as_boxes() -> None:
    size = (640, 60)
    letters = "aαβжяłễőß"
    drawn = {draw_strip(Caption(letter), 0.0, size).tobytes() for letter in letters}
    assert len(drawn) == len(letters)
    assert extent(draw_strip(Caption("α"), 0.0, size)) > 0


def test_a_strip_grows_with_the_picture() -> None:
    heights = [strip_height(*size) for size in ((64, 48), (320, 240), (1280, 720), (1920, 1080))]
    assert heights == sorted(heights)
    assert heights[0] >= 14
    assert strip_height(1080, 1920) == strip_height(1920, 1080)
