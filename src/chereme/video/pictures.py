"""Single pictures, and folders of numbered pictures, as sources of frames."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chereme.errors import InputError, LimitError
from chereme.formats.files import MemoryFile, read_file
from chereme.video.picture_header import (
    PictureHeader,
    pixels_of_png,
    read_header,
)
from chereme.video.source import Decoded, Limits
from chereme.video.structure import is_cut

if TYPE_CHECKING:
    import av

# Times that a JPEG may go over its picture. Decoders go over all of it for each, however little it
# says; progressive pictures of cameras and editors have about ten.
MAX_SCANS = 256


class PictureSource:
    """Pictures given as files. See :class:`chereme.video.source.Source`.

    Picture ``n`` of a folder is shown at ``(n - first n) / rate`` seconds, so that a missing number
    leaves a gap in time.
    """

    truncated = False
    video_stream: int | None = None
    video_streams: tuple[tuple[int, int], ...] = ()

    def __init__(
        self,
        files: Sequence[tuple[int, Path | MemoryFile]],
        *,
        limits: Limits,
        rate: float,
        strict: bool,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self.remarks = remarks
        self._files = files
        self._limits = limits
        self._strict = strict
        self.bad_packets = 0
        self.is_still = len(files) == 1
        self.expected_frames: int | None = len(files)
        self.nominal_rate = rate

    def decoded(self) -> Iterator[Decoded]:
        """See :meth:`chereme.video.source.Source.decoded`."""
        first: int | None = None
        for number, path in self._files:
            data = read_picture(path, self._limits, still=self.is_still)
            header = read_header(data)
            frame = None
            if header is not None and header.animated and not self.is_still:
                raise InputError(
                    f"{path}: expected a picture of a series, got an animation; give it alone, or "
                    "put the pictures into a folder of their own"
                )
            if header is not None:
                if header.codec == "mjpeg" and data.count(b"\xff\xda") > MAX_SCANS:
                    raise LimitError(
                        f"{path}: expected a JPEG of at most {MAX_SCANS} scans, got more; save it "
                        "anew with another program"
                    )
                if header.others:
                    self.remarks = (
                        f"the file holds {header.others + 1} pictures: the first was read",
                    )
                self._limits.check_pixels(
                    str(path), header.width, header.height, still=self.is_still
                )
                frame = self._decode(header, data, whole=True)
            if frame is None:
                self.bad_packets += 1
                if self._strict:
                    raise InputError(
                        f"{path}: strict reading, and this picture is damaged; "
                        "read without strict to get the rest"
                    )
                # A hole in a series is bridged by what follows; a single picture is all there is.
                if header is not None and self.is_still:
                    frame = self._decode(header, data, whole=False)
            if header is not None and frame is not None:
                first = number if first is None else first
                yield Decoded(frame, (number - first) / self.nominal_rate, header.orientation)

    def _decode(self, header: PictureHeader, data: bytes, *, whole: bool) -> av.VideoFrame | None:
        """The picture, or None; ``whole`` refuses one with any damage."""
        import av

        if header.codec == "png":
            data = pixels_of_png(data)
        context = av.CodecContext.create(header.codec, "r")
        context.options = self._limits.decoder_options(still=self.is_still)
        if whole:
            context.options = {**context.options, "err_detect": "explode"}
        try:
            frames = context.decode(av.Packet(data))
        except av.FFmpegError:
            return None
        if not frames or (whole and frames[0].is_corrupt):
            return None
        return frames[0]

    def close(self) -> None:
        """See :meth:`chereme.video.source.Source.close`; no file is open between frames."""


class WebpAnimation:
    """An animated WebP, which FFmpeg does not decode. See :class:`chereme.video.source.Source`."""

    is_still = False
    video_stream: int | None = None
    video_streams: tuple[tuple[int, int], ...] = ()
    remarks: tuple[str, ...] = ()

    def __init__(
        self, path: Path | MemoryFile, *, limits: Limits, rate: float, strict: bool
    ) -> None:
        from PIL import Image, features

        self._name, self._strict = str(path), strict
        data = read_picture(path, limits, still=False)
        header = read_header(data)
        assert header is not None  # told by the caller from the same bytes
        limits.check_pixels(self._name, header.width, header.height)
        if not features.check("webp"):
            raise InputError(
                f"{path}: this installation of Pillow reads no animated WebP; convert it to mp4"
            )
        self._orientation = header.orientation
        self.bad_packets = 0
        self.truncated = is_cut(io.BytesIO(data))
        try:
            self._image = Image.open(io.BytesIO(data), formats=["WEBP"])
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{path}: the animated WebP is damaged ({error}); try another copy"
            ) from error
        self.expected_frames: int | None = getattr(self._image, "n_frames", None)
        self.nominal_rate = rate

    def decoded(self) -> Iterator[Decoded]:
        """See :meth:`chereme.video.source.Source.decoded`."""
        import av

        shown = 0.0  # seconds, of the frames so far
        for number in range(self.expected_frames or 1):
            try:
                self._image.seek(number)
                picture = np.asarray(self._image.convert("RGB"))
            except (OSError, EOFError, ValueError) as error:
                self.bad_packets += 1
                self.truncated = True
                if self._strict:
                    raise InputError(
                        f"{self._name}: strict reading, and frame {number} is damaged; read "
                        "without strict to get the rest"
                    ) from error
                return
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            yield Decoded(frame, shown, self._orientation)
            shown += float(self._image.info.get("duration", 0)) / 1000

    def close(self) -> None:
        """See :meth:`chereme.video.source.Source.close`."""
        self._image.close()


def read_picture(path: Path | MemoryFile, limits: Limits, *, still: bool) -> bytes:
    """The content of a picture's file, of at most eight bytes a pixel of the limit."""
    return read_file(path, 8 * limits.pixels(still))
