"""Views of a frame: the whole, the whole with a border, or an enlarged part.

The palm detector sees 192 x 192 pixels, and needs some room round a hand. A fist that fills the
picture is found only with a border round it; a hand that is smaller than a twentieth of the picture
only in an enlarged part: one in which something moves, or one of those that tile the picture. A
view is a rectangle in the frame, which may reach over its edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The longest side of the small pictures whose differences tell what moves.
MOVING_SIDE = 160
# Least difference of grey values (0..255) that is motion and no noise.
MOVING_LEAST = 6.0
# What a motion still counts one frame later.
MOVING_MEMORY = 0.9
# How much larger than what moves a view of it is.
MOVING_ROOM = 2.0


@dataclass(frozen=True, slots=True)
class View:
    """A rectangle from (left, top) to (right, bottom) in pixels of the frame, edges not included.

    Where it reaches over the frame's edge it is black, or with ``replicate`` shows the edge's
    pixels.
    """

    left: int
    top: int
    right: int
    bottom: int
    replicate: bool = False

    def sample(self, image: NDArray[np.uint8], side: int) -> Sampled:
        """The view of ``image (H, W, 3)`` in the middle of a black square of ``side`` pixels."""
        length = max(self.right - self.left, self.bottom - self.top)
        pixel = length / side
        origin = (
            (self.left + self.right - length) / 2,
            (self.top + self.bottom - length) / 2,
        )
        height, width = image.shape[:2]
        across = self._places(origin[0], pixel, side, (self.left, self.right), width)
        down = self._places(origin[1], pixel, side, (self.top, self.bottom), height)
        # Only the pixels that count: the frame is much larger.
        pixels = image.take(down.taken, axis=0).take(across.taken, axis=1)
        rows = down.mix(pixels.reshape(len(pixels), 3 * len(across.taken)), 0)
        sums = across.mix(rows.astype(np.uint32), 1)
        square = np.zeros((side, side, 3), np.uint8)
        part = square[down.to, across.to]
        part[:] = (sums.reshape(part.shape) + 512) >> 10
        return Sampled(square, origin, pixel)

    def _places(
        self, origin: float, pixel: float, side: int, span: tuple[int, int], length: int
    ) -> _Places:
        """Where along one axis the pixels of a square come from; ``span``: of the view there."""
        # As MediaPipe has it: the corner of a pixel stands for its centre, before and after, and
        # places are rounded to 1/32 of a pixel. Small pictures of hands are found or not by this.
        at = np.rint((origin + np.arange(side) * pixel) * 32).astype(np.intp)
        first, far = at >> 5, (at & 31).astype(np.uint16)
        near = 32 - far
        if not self.replicate:  # what is beyond the frame is black
            span = (-1, length)
            near, far = near * (first >= 0), far * (first + 1 < length)
        to = slice(*np.searchsorted(first, span))
        taken = np.clip(first[to] + [[0], [1]], 0, length - 1)
        return _Places(to, taken.ravel(), near[to], far[to])

    def enlarges(self, image: NDArray[np.uint8]) -> bool:
        """True if the view's longer side is shorter than that of ``image``."""
        return bool(max(self.right - self.left, self.bottom - self.top) < max(image.shape[:2]))

    def holds(self, points: NDArray[np.floating], image: NDArray[np.uint8], margin: float) -> bool:
        """True unless ``points (N, 2)`` come within ``margin`` pixels of an edge behind which the
        frame ``image`` goes on."""
        height, width = image.shape[:2]
        (low_x, low_y), (high_x, high_y) = points.min(axis=0), points.max(axis=0)
        return bool(
            (self.left <= 0 or low_x - margin >= self.left)
            and (self.top <= 0 or low_y - margin >= self.top)
            and (self.right >= width or high_x + margin <= self.right)
            and (self.bottom >= height or high_y + margin <= self.bottom)
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Pixels ``to`` of an axis, each ``near`` times one pixel of the frame and ``far`` times the
    next, in 32nds; ``taken``: first all of the one, then all of the next."""

    to: slice
    taken: NDArray[np.intp]
    near: NDArray[np.uint16]
    far: NDArray[np.uint16]

    def mix(self, pixels: NDArray[Any], axis: int) -> NDArray[Any]:
        """``pixels (H, W * 3)``: those that are ``taken``, along ``axis``. 32 times their mean."""
        weights = np.stack([self.near, self.far])
        near, far = weights[..., None] if axis == 0 else weights.repeat(3, axis=1)
        one, following = np.split(pixels, 2, axis)
        mixed: NDArray[Any] = one * near
        mixed += following * far
        return mixed


@dataclass(frozen=True, slots=True)
class Sampled:
    """A view's picture ``(S, S, 3)``; ``origin``: where its corner lies in the frame, ``pixel``:
    the length of one of its pixels in pixels of the frame."""

    image: NDArray[np.uint8]
    origin: tuple[float, float]
    pixel: float

    def to_frame(self, points: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """``points (..., 2)`` in fractions of this picture -> pixels of the frame."""
        return points * (self.pixel * len(self.image)) + self.origin


def whole(width: int, height: int) -> View:
    """The frame itself."""
    return View(0, 0, width, height)


def bordered(width: int, height: int, fraction: float, replicate: bool = False) -> View:
    """The frame with a border of ``fraction`` times its longer side all round."""
    border = round(fraction * max(width, height))
    return View(-border, -border, width + border, height + border, replicate)


def tiles(width: int, height: int) -> list[View]:
    """Overlapping squares, half as long as the frame's longer side: twofold enlargement.

    They overlap by half, so that a hand that is cut by one is whole in another; the middle, where a
    signer's hands mostly are, comes first.
    """
    side = min(-(-max(width, height) // 2), width, height)
    columns, rows = (
        np.unique(np.linspace(0, length - side, 1 + -(-(length - side) * 2 // side)).round())
        for length in (width, height)
    )
    squares = [View(int(x), int(y), int(x) + side, int(y) + side) for y in rows for x in columns]
    middle = np.array([width, height]) / 2

    def distance(view: View) -> float:
        centre = np.array([view.left + view.right, view.top + view.bottom]) / 2
        return float(np.linalg.norm(centre - middle))

    return sorted(squares, key=distance)


class MovingPart:
    """Finds the part of a recording in which something moves, from a small picture of each frame.

    A signer who is small in the picture is mostly what moves in it. What moved a moment ago counts
    less and less, so a hand that stops is still found.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next frame begins another recording."""
        self._last: NDArray[np.float32] | None = None
        self._moved: NDArray[np.float32] | None = None

    def view(self, image: NDArray[np.uint8]) -> View | None:
        """A square in ``image (H, W, 3)`` about what moved in it and in the frames before.

        None where nothing moves, or too much of the picture to enlarge a part of it.
        """
        height, width = image.shape[:2]
        step = max(1, max(height, width) // MOVING_SIDE)
        # Pixels of a grid, then means of blocks: a 4K frame costs as little as others. Green is
        # grey enough.
        grid = max(1, step // 4)
        block = step // grid
        small = image[::grid, ::grid, 1]
        rows, columns = (max(1, length // block) for length in small.shape)
        step = block * grid
        small = small[: rows * block, : columns * block]
        blocks = small.reshape(rows, -1, columns, small.shape[1] // columns)
        # A mean over both axes at once takes three times as long.
        sums = blocks.sum(axis=1, dtype=np.float32).sum(axis=2)
        now: NDArray[np.float32] = sums / blocks[0, :, 0].size
        last, self._last = self._last, now
        if last is None or last.shape != now.shape:
            self._moved = None
            return None
        change = np.abs(now - last)
        change[change < MOVING_LEAST + 3 * float(np.median(change))] = 0.0
        if self._moved is not None:
            change = np.maximum(change, MOVING_MEMORY * self._moved)
            change[change < MOVING_LEAST / 2] = 0.0
        self._moved = change
        if not change.any():
            return None
        spans = []
        for axis in (0, 1):
            fraction = np.cumsum(change.sum(axis=axis))
            low, high = np.searchsorted(fraction, np.array([0.05, 0.95]) * fraction[-1])
            spans.append((float(low), float(high) + 1.0))
        (left, right), (top, bottom) = (np.array(span) * step for span in spans)
        longest = max(width, height)
        side = max(MOVING_ROOM * max(right - left, bottom - top), longest / 8)
        if side > longest / 2:
            return None
        centre = np.array([left + right, top + bottom]) / 2
        return _square(centre, side, width, height)


def around(points: NDArray[np.floating], factor: float) -> View:
    """A square about ``points (N, 2)``, ``factor`` times as large as they."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = factor * float((high - low).max()) / 2
    x, y = (low + high) / 2
    return View(int(x - half), int(y - half), int(x + half) + 1, int(y + half) + 1)


def _square(centre: NDArray[np.floating], side: float, width: int, height: int) -> View:
    """A square about ``centre``, moved into the frame where it would reach over an edge."""
    whole = round(min(side, width, height))
    left, top = (
        int(min(max(c - whole / 2, 0), length - whole))
        for c, length in zip(centre, (width, height), strict=True)
    )
    return View(left, top, left + whole, top + whole)
