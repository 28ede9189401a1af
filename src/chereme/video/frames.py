"""Pictures in memory as a source of frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.types import Frame
from chereme.video.source import Decoded
from chereme.video.upright import UPRIGHT


@dataclass(frozen=True)
class FrameSeries:
    """``frames``: pictures ``(H, W, 3)`` uint8 RGB, or pairs of a picture and its seconds, or each
    a :class:`chereme.types.Frame`; ``still``: it is a single picture."""

    frames: Iterable[Any] = field(repr=False)
    still: bool = False

    def __str__(self) -> str:
        """Its name in messages."""
        return "the frames in memory"

    @property
    def once(self) -> bool:
        """Whether it can be read but once, as what comes from a camera."""
        return iter(self.frames) is self.frames

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
        """Pictures and their seconds, None where they have none. InputError as of `check_picture`
        and `check_seconds`, and where some have seconds and others not."""
        last: float | None = None
        for number, item in enumerate(self.frames):
            name = f"frame {number} of {self}"
            pair = (item.image, item.timestamp) if isinstance(item, Frame) else item
            timed = isinstance(pair, tuple | list)
            if number and timed != (last is not None):
                raise InputError(
                    f"{name}: expected {'no' if timed else 'its'} seconds, as of the frames "
                    "before; give all frames their seconds, or none"
                )
            if timed and len(pair) != 2:
                raise InputError(
                    f"{name}: expected a picture and its seconds, got {len(pair)} values"
                )
            image, seconds = pair if timed else (pair, None)
            if timed:
                last = seconds = check_seconds(seconds, last, name)
            yield check_picture(image, name), seconds


def check_picture(image: Any, name: str) -> NDArray[np.uint8]:
    """``image``; InputError, which calls it ``name``, unless it is ``(H, W, 3)`` uint8."""
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"{name}: expected a picture as an array (height, width, 3) of uint8, RGB, got "
            f"{type(image).__name__}; make one with numpy.asarray"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(
            f"{name}: expected an array (height, width, 3) of uint8, RGB, got {image.shape} of "
            f"{image.dtype}; bring the colours to 0 to 255 and to the last axis"
        )
    return image


def check_seconds(seconds: Any, last: float | None, name: str) -> float:
    """``seconds``; InputError unless they are a number from 0 on, after those of the ``last``."""
    valid = isinstance(seconds, int | float | np.number) and 0 <= seconds < math.inf
    if not valid or (last is not None and seconds <= last):
        after = "" if last is None else f" after {last:g}, those of the frame before"
        raise InputError(
            f"{name}: expected its seconds, from 0 on, as a finite number{after}; got {seconds!r}"
        )
    return float(seconds)


class SeriesSource:
    """A series of frames, ``rate`` a second where they have no seconds. See
    :class:`chereme.video.source.Source`."""

    bad_packets = 0
    truncated = False
    video_stream: int | None = None
    video_streams: tuple[tuple[int, int], ...] = ()
    remarks: tuple[str, ...] = ()

    def __init__(self, series: FrameSeries, rate: float) -> None:
        self._series = series
        self.is_still = series.still
        self.nominal_rate = rate
        frames = series.frames
        self.expected_frames: int | None = len(frames) if isinstance(frames, Sized) else None

    def decoded(self) -> Iterator[Decoded]:
        """See :meth:`chereme.video.source.Source.decoded`."""
        import av

        for number, (image, seconds) in enumerate(self._series):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            yield Decoded(
                frame, number / self.nominal_rate if seconds is None else seconds, UPRIGHT
            )

    def close(self) -> None:
        """See :meth:`chereme.video.source.Source.close`; there is nothing to release."""
