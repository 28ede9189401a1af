"""A window with the picture, the hands that were found in it, and the text."""

from __future__ import annotations

from typing import Any

import numpy as np

from chereme._imports import require
from chereme.errors import UsageError
from chereme.hands.detector import Detection
from chereme.hands.draw import draw_hands
from chereme.types import Frame
from chereme.video.letterbox import resized

WIDTH = 960  # pixels at most
TEXT = 40  # letters of the text that are shown: the last ones


class Window:
    """Shows frames until it is ``closed``. UsageError where there is no display."""

    def __init__(self, title: str) -> None:
        self._tkinter: Any = require("tkinter")
        self.closed = False
        try:
            self._root = self._tkinter.Tk()
        except self._tkinter.TclError as error:
            raise UsageError(
                f"--window: expected a display, but there is none ({error}); "
                "leave it out: the text comes in the terminal"
            ) from error
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._picture = self._tkinter.Label(self._root)
        self._picture.pack()
        self._text = self._tkinter.Label(self._root, font=("TkDefaultFont", 28))
        self._text.pack()
        self._status = self._tkinter.Label(self._root)
        self._status.pack()

    def show(self, frame: Frame, hands: list[Detection], text: str, status: str) -> None:
        """The next frame, as it is, with the ``hands`` in it."""
        if self.closed:
            return
        image = with_hands(frame, hands)
        height, width = image.shape[:2]
        header = f"P6 {width} {height} 255 ".encode()
        # Without a reference to it the picture would not be shown.
        self._shown = self._tkinter.PhotoImage(data=header + image.tobytes(), format="PPM")
        self._picture.configure(image=self._shown)
        self._text.configure(text=text[-TEXT:])
        self._status.configure(text=status)
        self._root.update()

    def close(self) -> None:
        """Take it away."""
        if not self.closed:
            self._close()

    def _close(self) -> None:
        self.closed = True
        self._root.destroy()


def with_hands(frame: Frame, hands: list[Detection]) -> np.ndarray:
    """``(H, W, 3)`` uint8: the picture with its hands drawn on it, 960 pixels wide at most."""
    image = frame.image
    if hands:
        image = draw_hands(image, np.stack([hand.landmarks for hand in hands]))
    height, width = image.shape[:2]
    if width > WIDTH:
        image = resized(image, WIDTH, max(1, height * WIDTH // width))
    return np.ascontiguousarray(image)
