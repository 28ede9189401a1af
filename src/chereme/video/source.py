"""What the reader needs from a source of pictures: a container file, or pictures as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from chereme.errors import LimitError
from chereme.video.upright import Orientation

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Limits:
    """How large an input may be; ``max_seconds`` None is no limit.

    A single photo may be larger than the frames of a recording: telephones take 12 to 50 Mpx.
    """

    max_pixels: int = 3840 * 2160
    max_still_pixels: int = 8192 * 6144
    max_seconds: float | None = 4 * 3600

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
                f"make the picture smaller, or raise Limits.max_{'still_' if still else ''}pixels"
            )

    def check_seconds(self, name: str, seconds: float) -> None:
        """Raise LimitError if a recording that reaches this time is over the limit."""
        if self.max_seconds is not None and seconds > self.max_seconds:
            raise LimitError(
                f"{name}: the recording reaches {seconds:.1f} s, over the limit of "
                f"{self.max_seconds:g} s; cut it into parts, or raise Limits.max_seconds"
            )


class Decoded(NamedTuple):
    """A decoded picture as it is stored, and what is needed to show it.

    ``seconds`` is the time since the first picture, None where the file has no timestamp;
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

    def decoded(self) -> Iterator[Decoded]:
        """Decoded pictures in the order in which they are shown."""

    def close(self) -> None:
        """Release the file."""
