"""Writing frames as a video that plays everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, OutputError, UsageError
from chereme.formats.outputs import new_file

# Time units a second: exact for 24, 25, 30, 50, 60 and 30000/1001 frames/s, and few enough for
# MPEG-4 part 2, which allows 65,535.
_TICKS = 60_000

SUFFIXES = (".mp4", ".mov", ".mkv")


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    rate: float,
    *,
    timestamps: Sequence[float] | None = None,
    rotation: int = 0,
    quality: int = 20,
) -> None:
    """Write RGB ``frames`` ``(H, W, 3)`` uint8, even H and W, as H.264 (MPEG-4 part 2 without it).

    The suffix of ``path`` gives the container (.mp4, .mov, .mkv). Frame i is shown at ``i / rate``
    seconds, or at ``timestamps[i]``, strictly rising, to 1/60,000 s. ``rotation`` (0, 90, 180, 270)
    is how many degrees clockwise a player shall turn the picture. ``quality`` is a constant rate
    factor: 0 best, 20 fine, 30 rough. The file appears, or replaces another, when it is complete.

    Raises InputError for frames and times that cannot be written, another suffix and a folder that
    is not there; OutputError for a path that cannot be written.
    """
    import av

    if rotation not in (0, 90, 180, 270):
        raise UsageError(f"rotation: expected 0, 90, 180 or 270 degrees, got {rotation}")
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: expected a file name that ends in {', '.join(SUFFIXES)}, got {path.suffix!r}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written (no such folder); check the folder")
    with new_file(path, overwrite=True) as part:
        try:
            with av.open(str(part), "w", options={"movflags": "+faststart"}) as container:
                _encode(container, frames, rate, timestamps, rotation, quality)
        except av.FFmpegError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); check the space on the disk"
            ) from error


def _encode(
    container: Any,
    frames: Iterable[NDArray[np.uint8]],
    rate: float,
    timestamps: Sequence[float] | None,
    rotation: int,
    quality: int,
) -> None:
    import av

    stream: Any = None
    last = -1
    for index, image in enumerate(frames):
        if stream is None:
            stream = _add_stream(container, image, rate, rotation, quality)
        if image.dtype != np.uint8 or image.shape != (stream.height, stream.width, 3):
            raise InputError(
                f"frame {index}: expected uint8 {(stream.height, stream.width, 3)}, "
                f"got {image.dtype} {image.shape}"
            )
        if timestamps is not None and index >= len(timestamps):
            raise InputError(f"timestamps: expected one per frame, got {len(timestamps)} only")
        seconds = index / rate if timestamps is None else timestamps[index]
        ticks = round(seconds * _TICKS)
        if ticks <= last:
            raise InputError(
                f"timestamps: expected strictly rising seconds from 0, got {seconds} at {index}"
            )
        last = ticks
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS)
        container.mux(stream.encode(frame))
    if stream is None:
        raise InputError("frames: expected at least one, got none")
    container.mux(stream.encode())


def _add_stream(
    container: Any, image: NDArray[np.uint8], rate: float, rotation: int, quality: int
) -> Any:
    import av

    if image.ndim != 3 or image.shape[0] % 2 or image.shape[1] % 2:
        raise InputError(
            f"frames: expected (H, W, 3) with even height and width, got {image.shape}"
        )
    frame_rate = Fraction(rate).limit_denominator(1001)
    if "libx264" in av.codecs_available:
        stream = container.add_stream("libx264", rate=frame_rate)
        # Without its macroblock tree, which on machines with AVX-512 gives other bytes in each run.
        params = {"preset": "veryfast", "x264-params": "mbtree=0"}
        stream.options = {"crf": str(quality), **params}
    else:
        stream = container.add_stream("mpeg4", rate=frame_rate)
        stream.codec_context.qscale = True
        stream.codec_context.global_quality = max(1, quality // 5) * 118  # FF_QP2LAMBDA
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, _TICKS)
    if rotation:
        stream.set_display_rotation(-rotation)
    return stream
