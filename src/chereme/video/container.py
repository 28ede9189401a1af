"""Decoding of a video file through PyAV, packet by packet, so that damage costs one packet only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from chereme.errors import InputError, UsageError
from chereme.formats.files import MemoryFile, open_file
from chereme.video.source import Decoded, Limits
from chereme.video.structure import is_cut, lacks_index
from chereme.video.upright import UPRIGHT, orientation_of

if TYPE_CHECKING:
    import av

# Demuxers of single files. Playlists (hls, dash, concat, sdp) stay out: a text file named .mp4
# could make them open other files or addresses.
FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,ivf,gif,apng,h264,hevc,obu,m4v,mjpeg,"
    "mxf,dv,wtv,rm,nut,swf"
)


MAX_START = 1e6  # seconds from a recording's start to its first picture


class ContainerSource:
    """A video file. See :class:`chereme.video.source.Source`.

    ``file``: what to read in the place of what is at ``path``.
    """

    is_still = False

    def __init__(
        self,
        path: Path | MemoryFile,
        *,
        limits: Limits,
        rate: float,
        strict: bool,
        video_stream: int | None = None,
        file: BinaryIO | None = None,
    ) -> None:
        self._name = str(path)
        self._strict = strict
        self.video_stream: int | None = None
        self.remarks: tuple[str, ...] = ()
        self.bad_packets = 0
        self._file = open_file(path) if file is None else file
        try:
            self.truncated = is_cut(self._file)
            if strict and self.truncated:
                raise InputError(f"{path}: strict reading, and the file ends before it should")
            self._container = self._open(limits)
            self._stream = self._pick_stream(limits, video_stream)
        except BaseException:
            self._file.close()
            raise
        context = self._stream.codec_context
        # Slices and not whole frames in parallel: frame threads hold pictures back, and an error
        # while they are drained at the end would lose the pictures behind it.
        context.thread_type = "SLICE"
        context.options = limits.decoder_options()
        if strict:
            context.options = {**context.options, "err_detect": "explode"}
        claimed = float(self._stream.guessed_rate or 0)
        self.nominal_rate = claimed if 1 <= claimed <= 1000 else rate
        self.expected_frames = self._guess_frames()

    def _open(self, limits: Limits) -> av.container.InputContainer:
        import av

        try:
            self._file.seek(0)
            return av.open(
                self._file,
                mode="r",
                container_options={"format_whitelist": FORMATS},
                # Also holds while the file is probed, which may decode a frame.
                options=limits.decoder_options(),
                buffer_size=1 << 18,
                **_metadata_options(),
            )
        except (av.FFmpegError, OSError) as error:
            self._refuse_without_index()
            raise InputError(
                f"{self._name}: expected a video or a picture (jpg, png, webp, bmp), but this is "
                f"none that can be read ({_reason(error)}); check the file, or convert it to mp4"
            ) from error

    def _refuse_without_index(self) -> None:
        if lacks_index(self._file):
            raise InputError(
                f"{self._name}: the file ends before its index (moov), without which nothing of it "
                "can be decoded; copy or download it again, or repair it with the device that "
                "recorded it"
            )

    def _pick_stream(self, limits: Limits, wanted: int | None) -> av.VideoStream:
        streams = [s for s in self._container.streams.video if _is_film(s)]
        # A single picture beside a film is what stands for it where it is not played (avif).
        streams = [s for s in streams if s.frames != 1] or streams
        self.video_streams = tuple(map(_size, streams))
        if not streams:
            self._refuse_without_index()
            kinds = ", ".join(sorted({s.type for s in self._container.streams})) or "nothing"
            raise InputError(
                f"{self._name}: expected a video stream, but the file holds only: {kinds}; "
                "give the file that has the picture"
            )
        decodable = [s for s in streams if s.codec_context is not None]
        if not decodable:
            raise InputError(
                f"{self._name}: there is no decoder for its video codec; convert it to H.264 mp4"
            )
        if wanted is None:
            stream = max(decodable, key=lambda s: math.prod(_size(s)))
            if len(streams) > 1:
                sizes = ", ".join(f"{n} is {w}x{h}" for n, (w, h) in enumerate(self.video_streams))
                self.remarks = (
                    f"there are {len(streams)} video streams ({sizes}): {streams.index(stream)} "
                    "was read; for another give --video-stream N, in Python video_stream=N",
                )
        elif not 0 <= wanted < len(streams) or streams[wanted] not in decodable:
            there = ", ".join(str(n) for n, s in enumerate(streams) if s in decodable)
            raise UsageError(
                f"{self._name}: expected one of its video streams ({there}, counted from 0), got "
                f"{wanted}"
            )
        else:
            stream = streams[wanted]
        self.video_stream = streams.index(stream)
        limits.check_pixels(self._name, stream.width, stream.height)
        return stream

    def _guess_frames(self) -> int | None:
        if self._stream.frames > 0:
            return int(self._stream.frames)
        if self._container.duration:
            seconds = self._container.duration / 1e6
            if self._stream.start_time is not None and self._container.start_time is not None:
                late = float(self._stream.start_time * self._stream.time_base)
                late -= self._container.start_time / 1e6
                seconds -= late if 0 < late < seconds else 0
            return int(seconds * self.nominal_rate) or 1
        return None

    def decoded(self) -> Iterator[Decoded]:
        """See :meth:`chereme.video.source.Source.decoded`."""
        import av

        context = self._stream.codec_context
        origin: Fraction | None = None
        orientation = UPRIGHT
        turned: int | None = None
        last_is_short = False
        counted: set[int | None] = set()  # timestamps of packets already counted as bad
        for packet in self._packets():
            if packet.size:
                last_is_short = packet.is_corrupt
            try:
                frames = context.decode(packet)
            except av.FFmpegError as error:
                self._damage(f"a packet that cannot be decoded ({_reason(error)})", packet.pts)
                continue
            if packet.is_corrupt:
                self._damage("a packet that the container marks as damaged", packet.pts)
                counted.add(packet.pts)
            for frame in frames:
                if frame.is_corrupt and frame.pts not in counted:
                    self._damage("a frame with damaged parts", frame.pts)
                if turned is None or frame.rotation != turned:
                    orientation, turned = orientation_of(frame), frame.rotation
                stamp = frame.dts if frame.pts is None else frame.pts
                seconds = None
                if stamp is not None:
                    if origin is None:
                        origin = self._origin(frame.pts, frame.dts)
                    seconds = float(stamp * self._stream.time_base - origin)
                yield Decoded(frame, seconds, orientation, self._pixel_aspect())
        self.truncated |= last_is_short

    def times(self) -> list[float]:
        """The seconds at which the frames are shown, rising, without decoding any; none where the
        file has no timestamps."""
        stamps = sorted(
            packet.dts if packet.pts is None else packet.pts
            for packet in self._packets()
            if packet.size and not packet.is_discard and (packet.pts, packet.dts) != (None, None)
        )
        origin = self._origin(stamps[0], stamps[0]) if stamps else Fraction(0)
        return [float(stamp * self._stream.time_base - origin) for stamp in stamps]

    def _origin(self, pts: int | None, dts: int) -> Fraction:
        """The seconds by the stream's timestamps at which a player's clock shows 0, given those of
        the first frame: the start of whichever stream starts first, sound or picture."""
        streams = (*self._container.streams.audio, *filter(_is_film, self._container.streams.video))
        starts = [s.start_time * s.time_base for s in streams if s.start_time is not None]
        stamp = own = dts if pts is None else pts
        if pts is None:
            # Times of decoding run ahead of those of showing, by what the decoder holds back.
            own = stamp if self._stream.start_time is None else self._stream.start_time
        begins = own * self._stream.time_base
        late = begins - min([begins, *starts])
        # What is later than that is no clock of a recording: times of the day, or damage.
        origin: Fraction = stamp * self._stream.time_base - (late if late <= MAX_START else 0)
        return origin

    def _packets(self) -> Iterator[av.Packet]:
        """Packets of the stream up to the flushing one, also beyond errors of the demuxer."""
        import av

        failed = False
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    failed = False
                    # An empty packet with a time means 'repeat'; one without flushes the decoder.
                    if packet.size or packet.pts is None:
                        yield packet
                return
            except (av.FFmpegError, OSError) as error:
                self._damage(f"a part that cannot be read ({_reason(error)})", None)
                if failed:  # twice without a packet between: there is no way on
                    self.truncated = True
                    return
                failed = True

    def _damage(self, what: str, stamp: int | None) -> None:
        self.bad_packets += 1
        if self._strict:
            where = "" if stamp is None else f" at {float(stamp * self._stream.time_base):.3f} s"
            raise InputError(
                f"{self._name}: strict reading, and there is {what}{where}; "
                "read without strict to get the rest"
            )

    def _pixel_aspect(self) -> float:
        aspect = float(self._stream.sample_aspect_ratio or 1)
        return aspect if 0.25 <= aspect <= 4 else 1.0

    def close(self) -> None:
        """See :meth:`chereme.video.source.Source.close`."""
        self._container.close()
        self._file.close()


def _metadata_options() -> dict[str, str]:
    """Of ``av.open``: names that are not UTF-8 are no error. PyAV 19 sees to it by itself."""
    import av

    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def _size(stream: av.VideoStream) -> tuple[int, int]:
    """Width and height as stored; 0 where no decoder knows the codec."""
    return (0, 0) if stream.codec_context is None else (stream.width, stream.height)


def _is_film(stream: av.VideoStream) -> bool:
    """Not cover art of music, nor a tile of a large photo, which are video streams by name only."""
    from av.stream import Disposition

    return not stream.disposition & (Disposition.attached_pic | Disposition.dependent)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
