"""The one way to read moving or still pictures: upright RGB frames with true timestamps."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from chereme.errors import InputError, UsageError
from chereme.formats.files import MemoryFile, file_size, open_file
from chereme.types import RAREST, Frame, Video
from chereme.video.container import ContainerSource
from chereme.video.folders import numbered_pictures
from chereme.video.frames import FrameSeries, SeriesSource
from chereme.video.gif import GIF, timed_gif
from chereme.video.picture_header import pixels_of_png, read_header
from chereme.video.pictures import (
    PictureSource,
    WebpAnimation,
    read_picture,
)
from chereme.video.source import Limits, Source
from chereme.video.upright import RgbConverter

Recording = Path | MemoryFile | FrameSeries
"""What holds pictures: a file or folder, the content of a file, or pictures in memory."""

FOLDER_RATE = 30.0
# A time set back by more than this is taken for a recording that starts anew, less for jitter.
_JOIN_SECONDS = 1.0


class VideoReader:
    """Reads a video file, a picture, a folder of numbered pictures or pictures in memory; one pass,
    in constant memory.

    Iterating gives :class:`chereme.types.Frame`: upright RGB of one size, and the time in seconds,
    strictly rising: of a video by the clock that a player shows, which starts with the sound or the
    picture, whichever comes first. A damaged packet is counted and skipped; ``strict``
    raises at the first damage instead. ``rate`` (frames/s, 30 by default) times folders of
    pictures, pictures in memory and files without timestamps. ``rotate`` (0, 90, 180, 270) turns
    the picture clockwise by as many degrees, beyond what the file itself says. ``video_stream`` is
    the number, from 0, of the stream to read where a file has several; None takes the largest
    picture. Opening decodes the first frame, so that what cannot be read fails here.

    Raises InputError for what is missing, empty, damaged throughout or not a picture, LimitError
    for what is over ``limits``, UsageError for a stream that there is not or an impossible rate.
    """

    def __init__(
        self,
        source: str | Recording,
        *,
        limits: Limits | None = None,
        rate: float | None = None,
        strict: bool = False,
        rotate: int = 0,
        video_stream: int | None = None,
    ) -> None:
        check_rate(rate)
        rate = FOLDER_RATE if rate is None else rate
        self._rotate = check_rotate(rotate)
        self._name = str(source)
        self._limits = limits or Limits()
        self._source = _open_source(as_recording(source), self._limits, rate, strict, video_stream)
        self._converter = RgbConverter()
        self._clock = _Clock(1 / self._source.nominal_rate)
        self._size = (0, 0)
        self._rotation = 0
        self._count = 0
        self._first = self._last = 0.0
        self._steps, self._moving = 0, 0.0  # those of one motion, and the seconds that they take
        self._frames = self._read()
        try:
            self._peeked = next(self._frames, None)
            if self._peeked is None:
                raise InputError(
                    f"{self._name}: expected at least one frame, but none could be decoded "
                    f"({self._source.bad_packets} were damaged, or far over the limit of "
                    f"{self._limits.pixels(self.is_still):,} pixels); try another copy"
                )
        except BaseException:
            self.close()
            raise

    def _read(self) -> Generator[Frame, None, None]:
        for number, picture in enumerate(self._source.decoded(), start=1):
            self._limits.check_frames(self._name, number)
            frame, aspect = picture.frame, picture.aspect
            self._limits.check_pixels(
                self._name, round(frame.width * aspect), frame.height, still=self.is_still
            )
            timestamp = self._clock.stamp(picture.seconds)
            if self._size == (0, 0):
                self._first = timestamp
            self._limits.check_seconds(self._name, timestamp - self._first)
            orientation = picture.orientation.turned(self._rotate)
            image = orientation.apply(self._converter.convert(frame, aspect))
            if self._size == (0, 0):
                self._size = (image.shape[1], image.shape[0])
                self._rotation = orientation.rotation
            yield Frame(image, timestamp)

    def __iter__(self) -> Iterator[Frame]:
        """The frames that are left."""
        return self

    def __next__(self) -> Frame:
        frame, self._peeked = self._peeked, None
        if frame is None:
            frame = next(self._frames)
        step = frame.timestamp - self._last
        if self._count and step <= RAREST:
            self._steps += 1
            self._moving += step
        self._count += 1
        self._last = frame.timestamp
        return frame

    @property
    def facts(self) -> Video:
        """What reading has shown so far: complete when the iteration has ended."""
        passed = self._last - self._first if self._count else 0.0
        moving = (self._steps, self._moving) if self._steps else (self._count - 1, passed)
        fps = moving[0] / moving[1] if self._count > 1 else None
        step = 0.0 if self.is_still or not self._count else 1 / (fps or self._source.nominal_rate)
        return Video(
            source=self._name,
            width=self._size[0],
            height=self._size[1],
            frames=self._count,
            duration=passed + step,
            fps=fps,
            rotation=self._rotation,
            bad_packets=self._source.bad_packets,
            truncated=self._source.truncated,
            start=self._first,
            video_stream=self._source.video_stream,
            video_streams=self._source.video_streams,
        )

    @property
    def expected_frames(self) -> int | None:
        """How many frames the file claims to have. For a progress bar and nothing else."""
        return self._source.expected_frames

    @property
    def is_still(self) -> bool:
        """True for a single picture."""
        return self._source.is_still

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was not read of the file, for people: other streams, other pictures."""
        return self._source.remarks

    def close(self) -> None:
        """Release the file. Frames already read stay valid."""
        self._peeked = None
        self._frames.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


open_video = VideoReader


def frame_times(path: str | Path) -> list[float]:
    """The seconds at which the frames of a video file are shown, as reading it gives them, without
    decoding it; none where the file has no timestamps. InputError for what is no video file."""
    source = _open_source(Path(path), Limits(), FOLDER_RATE, strict=False, video_stream=None)
    with closing(source):
        if not isinstance(source, ContainerSource):
            raise InputError(f"{path}: expected a video file, got pictures")
        return source.times()


def check_rate(rate: float | None) -> None:
    """UsageError for frames a second that are no finite number above 0; None is nothing said."""
    if rate is not None and not 0 < rate < math.inf:
        raise UsageError(
            f"rate: expected a finite number of frames a second, above 0, got {rate:g}"
        )


def check_rotate(rotate: int | None) -> int:
    """The degrees clockwise by which to turn a picture; UsageError for other than right angles."""
    if rotate not in (None, 0, 90, 180, 270):
        raise UsageError(f"rotate: expected 0, 90, 180 or 270 degrees clockwise, got {rotate}")
    return rotate or 0


def as_recording(source: str | Recording) -> Recording:
    """``source``; a name is that of a file or folder."""
    return Path(source) if isinstance(source, str) else source


def _open_source(
    path: Recording, limits: Limits, rate: float, strict: bool, video_stream: int | None
) -> Source:
    if isinstance(path, FrameSeries):
        return SeriesSource(path, rate)
    # os.path and not pathlib, which raises for a name that is too long for the system.
    if isinstance(path, Path) and os.path.isdir(path):
        files, remarks = numbered_pictures(path)
        return PictureSource(files, limits=limits, rate=rate, strict=strict, remarks=remarks)
    if isinstance(path, Path) and not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder; check the path")
    with open_file(path) as file:
        # Files of the system, as /proc/kmsg, have no size, and cannot be read twice.
        head = file.read(32) if file_size(file) else b""
    if not head:
        raise InputError(f"{path}: the file is empty (0 bytes); copy or download it again")
    header = read_header(head)
    if header is not None and header.codec == "webp" and header.animated:
        return WebpAnimation(path, limits=limits, rate=rate, strict=strict)
    if header is not None and header.codec == "png":
        data = read_picture(path, limits, still=True)
        if _animated(data):
            film = io.BytesIO(pixels_of_png(data))
            return ContainerSource(path, limits=limits, rate=rate, strict=strict, file=film)
    if header is not None:
        return PictureSource([(0, path)], limits=limits, rate=rate, strict=strict)
    gif = timed_gif(path) if head.startswith(GIF) else None
    return ContainerSource(
        path, limits=limits, rate=rate, strict=strict, video_stream=video_stream, file=gif
    )


def _animated(data: bytes) -> bool:
    header = read_header(data)
    return header is not None and header.animated


class _Clock:
    """Makes the times of a recording rise strictly, from 0 at the earliest, changing true ones only
    then."""

    def __init__(self, step: float) -> None:
        self._step = step  # s between frames that have no time of their own
        self._shift = 0.0
        self._last: float | None = None

    def stamp(self, seconds: float | None) -> float:
        """Time in seconds at which to show a frame that claims ``seconds`` (None: no claim)."""
        if self._last is None:
            self._last = max(seconds or 0.0, 0.0)
            return self._last
        time = self._last + self._step if seconds is None else seconds + self._shift
        if self._last - time > _JOIN_SECONDS:
            self._shift += self._last + self._step - time
            time = self._last + self._step
        elif time <= self._last:
            time = self._last + self._step / 2
        self._last = time
        return time
