"""Views of a frame: the whole, the whole with a border, or an enlarged part.

MediaPipe's palm detector sees 192 x 192 pixels of what it is given, and needs some room round a
hand. A fist that fills the picture is found only with a border round it; a hand that is smaller
than a twentieth of the picture only in an enlarged part: one in which something moves, or one of
those that tile the picture. A view is a rectangle in the frame, which
may reach over its edges; what is found in a view is mapped back to pixels of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Longest side of a rendered view with a border. The hand is large there: nothing is lost.
BORDERED_SIDE = 960
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

    def render(self, image: NDArray[np.uint8]) -> Rendered:
        """The view of ``image (H, W, 3)``."""
        import cv2

        height, width = image.shape[:2]
        left, right = max(self.left, 0), min(self.right, width)
        top, bottom = max(self.top, 0), min(self.bottom, height)
        inside = image[top:bottom, left:right]
        borders = (top - self.top, self.bottom - bottom, left - self.left, self.right - right)
        if not any(borders):
            return Rendered(inside, (left, top), (1.0, 1.0))
        scale = min(1.0, BORDERED_SIDE / max(self.right - self.left, self.bottom - self.top))
        columns = max(1, round((right - left) * scale))
        rows = max(1, round((bottom - top) * scale))
        if scale < 1:
            inside = cv2.resize(inside, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        above, below, before, after = (round(border * scale) for border in borders)
        mode = cv2.BORDER_REPLICATE if self.replicate else cv2.BORDER_CONSTANT
        picture = cv2.copyMakeBorder(inside, above, below, before, after, mode, value=(0, 0, 0))
        # The scale that came out after rounding to whole pixels, so that mapping back is exact.
        pixel = ((right - left) / columns, (bottom - top) / rows)
        origin = (left - before * pixel[0], top - above * pixel[1])
        return Rendered(picture, origin, pixel)  # type: ignore[arg-type]

    def enlarges(self, image: NDArray[np.uint8]) -> bool:
        """True if the view's longer side is shorter than that of ``image``."""
        return max(self.right - self.left, self.bottom - self.top) < max(image.shape[:2])

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
class Rendered:
    """A view's picture; ``origin`` is where its corner lies in the frame, ``pixel`` the width and
    height of one of its pixels in pixels of the frame."""

    image: NDArray[np.uint8]
    origin: tuple[float, float]
    pixel: tuple[float, float]

    def to_frame(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Landmarks ``(..., 3)`` in fractions of this picture -> pixels of the frame.

        z comes as a fraction of the picture's width, and goes to the scale of x.
        """
        height, width = self.image.shape[:2]
        size = np.array([width * self.pixel[0], height * self.pixel[1], width * self.pixel[0]])
        frame: NDArray[np.float32] = (landmarks * size + [*self.origin, 0.0]).astype(np.float32)
        return frame


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
        import cv2

        height, width = image.shape[:2]
        step = max(1, max(height, width) // MOVING_SIDE)
        # Pixels of a grid, then means of blocks: a 4K frame costs as little as others. Green is
        # grey enough.
        grid = max(1, step // 4)
        small = np.ascontiguousarray(image[::grid, ::grid, 1])
        size = (max(1, width // step), max(1, height // step))
        now: NDArray[np.float32] = cv2.resize(  # type: ignore[assignment]
            small, size, interpolation=cv2.INTER_AREA
        ).astype(np.float32)
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
