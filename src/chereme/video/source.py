"""What the reader needs from a source of pictures: a container file, or pictures as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from chereme.errors import LimitError, UsageError
from chereme.video.upright import Orientation

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Limits:
    """How large an input may be; ``max_seconds`` and ``max_frames`` None are no limit.

    Of recordings and of files of landmarks alike. A single photo may be larger than the frames of a
    recording: telephones take 12 to 50 Mpx, and film in 8K. Raises ``UsageError`` for a limit that
    is not above 0.
    """

    max_pixels: int = 8192 * 4320
    max_still_pixels: int = 8192 * 6144
    max_seconds: float | None = 4 * 3600
    max_frames: int | None = 1_000_000

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_still_pixels", "max_seconds", "max_frames"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # NaN fails this too
                option = "--" + name.replace("_still", "").replace("_", "-")
                raise UsageError(f"{option}: expected a number above 0, got {value}")

    def pixels(self, still: bool) -> int:
        """The limit for one picture: of a recording, or single."""
        return self.max_still_pixels if still else self.max_pixels

    def decoder_options(self, *, still: bool = False) -> dict[str, str]:
        """Options that keep a decoder from allocating what a damaged or hostile header asks for.

        Twice the limit and a margin, for decoders count padded frames; the limit itself is held by
        :meth:`check_pixels`.
        """
        return {"max_pixels": str(2 * self.pixels(still) + (1 << 20))}

    def check_pixels(self, name: str, width: int, height: int, *, still: bool = False) -> None:
        """Raise LimitError if a picture of this size is over the limit."""
        if width * height > self.pixels(still):
            raise LimitError(
                f"{name}: {width}x{height} is over the limit of {self.pixels(still):,} pixels; "
                "make the picture smaller, or raise the limit with --max-pixels, in Python with "
                f"Limits.max_{'still_' if still else ''}pixels"
            )

    def check_seconds(self, name: str, seconds: float) -> None:
        """Raise LimitError if a recording that lasts as long is over the limit."""
        if self.max_seconds is not None and seconds > self.max_seconds:
            raise LimitError(
                f"{name}: the recording lasts {seconds:.2f} s at least, over the limit of "
                f"{self.max_seconds:g} s; cut it into parts, or raise the limit with "
                "--max-seconds, in Python with Limits.max_seconds"
            )

    def check_frames(self, name: str, frames: int) -> None:
        """Raise LimitError if a recording of as many frames is over the limit."""
        if self.max_frames is not None and frames > self.max_frames:
            raise LimitError(
                f"{name}: more than the limit of {self.max_frames:,} frames; cut it into parts, or "
                "raise the limit with --max-frames, in Python with Limits.max_frames"
            )


class Decoded(NamedTuple):
    """A decoded picture as it is stored, and what is needed to show it.

    ``seconds`` is its time by the clock of the recording, None where the file has no timestamp;
    ``aspect`` is the width of a stored pixel over its height.
    """

    frame: av.VideoFrame
    seconds: float | None
    orientation: Orientation
    aspect: float = 1.0


class Source(Protocol):
    """A one-pass source of decoded pictures that keeps count of the damage it meets."""

    bad_packets: int
    truncated: bool
    is_still: bool
    expected_frames: int | None
    nominal_rate: float
    video_stream: int | None
    video_streams: tuple[tuple[int, int], ...]
    remarks: tuple[str, ...]
    """What was not read of the file, for people."""

    def decoded(self) -> Iterator[Decoded]:
        """Decoded pictures in the order in which they are shown."""

    def close(self) -> None:
        """Release the file."""
