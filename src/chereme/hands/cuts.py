"""Where a film changes from one shot to the next, told from its pictures alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chereme.types import Frame

# A picture is compared with the one before in cells of means, which noise and a moving person leave
# alone. Measured on a film of 24 clips of unlike rooms: at cuts 66 % and more of the cells change,
# within clips at most 16 %.
ROWS, COLUMNS = 18, 32
SAMPLES = 4  # pixels looked at in each direction of a cell
CHANGED = 12.0  # of 255, in one of the colours
SHARE = 0.5
SHORTEST = 0.3  # seconds: what changes more often flickers


class CutFinder:
    """Looks at the pictures of a film, one after the other. Keeps 18 x 32 means, no picture."""

    def __init__(self) -> None:
        self._cells: NDArray[np.float32] | None = None
        self._last = -np.inf

    def is_cut(self, frame: Frame) -> bool:
        """Whether another shot begins with this frame. False for the first of a film.

        Jumps within one shot, before the same background, are not seen.
        """
        before, self._cells = self._cells, _cells(frame.image)
        if before is None or frame.timestamp - self._last < SHORTEST:
            return False
        changed = np.abs(self._cells - before).max(axis=-1) > CHANGED
        if changed.mean() <= SHARE:
            return False
        self._last = frame.timestamp
        return True


def _cells(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(ROWS, COLUMNS, 3)``: mean colours of the cells of ``image (H, W, 3)``."""
    height, width = image.shape[:2]
    rows = np.arange(ROWS * SAMPLES) * height // (ROWS * SAMPLES)
    columns = np.arange(COLUMNS * SAMPLES) * width // (COLUMNS * SAMPLES)
    sampled = image[rows[:, None], columns].reshape(ROWS, SAMPLES, COLUMNS, SAMPLES, 3)
    cells: NDArray[np.float32] = sampled.mean(axis=(1, 3), dtype=np.float32)
    return cells
