"""From a decoded picture to an upright RGB one: orientation, square pixels, colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Orientation:
    """How to turn a stored picture upright: swap the axes first, then flip left-right, up-down."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, a: int, b: int, c: int, d: int) -> Orientation:
        """The nearest right-angled orientation of a display matrix.

        The matrix takes a stored point (p, q), y down, to ``(a p + c q, b p + d q)``.
        """
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls(flip_x=a < 0, flip_y=d < 0)

    @classmethod
    def from_exif(cls, value: int) -> Orientation:
        """EXIF tag 0x0112, 1..8; other values mean nothing and leave the picture as it is."""
        return {
            2: cls(flip_x=True),
            3: cls(flip_x=True, flip_y=True),
            4: cls(flip_y=True),
            5: cls(transpose=True),
            6: cls(transpose=True, flip_x=True),
            7: cls(transpose=True, flip_x=True, flip_y=True),
            8: cls(transpose=True, flip_y=True),
        }.get(value, cls())

    @property
    def rotation(self) -> int:
        """Degrees clockwise that are applied (before a left-right flip, if there is one)."""
        if self.transpose:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    def turned(self, degrees: int) -> Orientation:
        """This, and then ``degrees`` clockwise, a multiple of 90."""
        turned = self
        for _ in range(degrees // 90 % 4):
            # A quarter turn swaps the axes, which makes of one flip the other, and flips x.
            turned = Orientation(not turned.transpose, not turned.flip_y, turned.flip_x)
        return turned

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 as stored to upright, contiguous."""
        if self == UPRIGHT:
            return image
        # Moved as whole 3-byte pixels: three times quicker than by channels.
        pixels = np.ascontiguousarray(image).view("V3")[..., 0]
        if self.transpose:
            pixels = pixels.T
        if self.flip_x:
            pixels = pixels[:, ::-1]
        if self.flip_y:
            pixels = pixels[::-1]
        height, width = pixels.shape
        return np.ascontiguousarray(pixels).view(np.uint8).reshape(height, width, 3)


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Orientation from the display matrix that came with a frame of a container."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists no side data at all beside a kind that it does not know
        quarter = round(-frame.rotation / 90) % 4  # its angle is counter-clockwise
        return Orientation.from_exif((1, 6, 3, 8)[quarter])
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    return Orientation.from_matrix(a, b, c, d)


class RgbConverter:
    """Converts the frames of one recording to RGB at one size, reusing the scaler.

    The first frame sets the size: its own, with square pixels. Later frames of another size (a
    browser changes it while it records) are fitted into that, with black borders if their shape
    differs.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def convert(self, frame: av.VideoFrame, aspect: float) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB, not yet turned. ``aspect``: pixel width over pixel height."""
        natural = (max(1, round(frame.width * aspect)), frame.height)
        if self._size is None:
            self._size = natural
        width, height = self._size
        scale = min(width / natural[0], height / natural[1])
        # A frame that fills the picture to a pixel fills it: the rest is rounding of its size.
        w, h = round(natural[0] * scale), round(natural[1] * scale)
        if width - w <= 1 and height - h <= 1:
            return self._scaled(frame, width, height)
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - h) // 2, (width - w) // 2
        canvas[top : top + h, left : left + w] = self._scaled(frame, max(1, w), max(1, h))
        return canvas

    def _scaled(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        rgb = self._reformatter.reformat(frame, width, height, "rgb24", threads=1)
        image: NDArray[np.uint8] = np.ascontiguousarray(rgb.to_ndarray())
        return image
