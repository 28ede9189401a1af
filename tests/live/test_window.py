"""The picture with its hands; the window itself needs a display."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

import fakes
from chereme.errors import UsageError
from chereme.hands.detector import Detection
from chereme.live.window import WIDTH, Window, with_hands
from chereme.types import Frame

HAND = fakes.draw_hand("v").astype(np.float32)
HANDS = [Detection(HAND, HAND / 1000, "right", 0.9)]


def test_hands_are_drawn_where_they_are() -> None:
    frame = Frame(np.zeros((fakes.HEIGHT, fakes.WIDTH, 3), np.uint8), 0.0)
    assert not with_hands(frame, []).any()
    shown = with_hands(frame, HANDS)
    assert shown.shape == frame.image.shape
    x, y = HAND[8, :2].astype(int)
    assert shown[y, x].any()
    assert not frame.image.any()


def test_large_pictures_are_shown_smaller() -> None:
    frame = Frame(np.full((1080, 1920, 3), 7, np.uint8), 0.0)
    assert with_hands(frame, []).shape == (540, WIDTH, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="others always have a display")
def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(UsageError, match="--window: expected a display"):
        Window("test")


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="there is no display")
def test_a_window_shows_pictures_until_it_is_closed() -> None:
    window = Window("test")
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 0.0)
    window.show(frame, [], "dab", "30 frames/s")
    assert not window.closed
    window.close()
    assert window.closed
    window.show(frame, [], "", "")
