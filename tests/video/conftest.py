"""Small clips whose frames can be told apart, and turned or mirrored ones from upright ones."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Image = NDArray[np.uint8]
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))  # clockwise from the top left


def _picture(index: int, width: int, height: int) -> Image:
    image = np.full((height, width, 3), 40, np.uint8)
    h, w = height // 3, width // 3
    for corner, colour in zip(
        (np.s_[:h, :w], np.s_[:h, -w:], np.s_[-h:, -w:], np.s_[-h:, :w]), COLOURS, strict=True
    ):
        image[corner] = colour
    image[h:-h, w:-w] = 8 + index % 60 * 4  # the frame's number, as grey
    return image


@pytest.fixture(scope="session")
def pictures() -> Callable[..., list[Image]]:
    """``pictures(count, width, height)``: four coloured corners, and the number as grey inside."""

    def make(count: int, width: int = 96, height: int = 64) -> list[Image]:
        return [_picture(index, width, height) for index in range(count)]

    return make


@pytest.fixture(scope="session")
def number_of() -> Callable[[Image], int]:
    """The number that the grey middle of a frame shows, 0 to 59."""

    def read(image: Image) -> int:
        h, w = image.shape[0] // 2, image.shape[1] // 2
        return round((float(image[h - 4 : h + 4, w - 4 : w + 4].mean()) - 8) / 4)

    return read


@pytest.fixture(scope="session")
def encode() -> Callable[..., Path]:
    """Encodes with any codec and muxer, which ``write_video`` does not offer."""

    def write(
        path: Path,
        frames: list[Image],
        *,
        codec: str = "libx264",
        rate: int = 30,
        times: list[float] | None = None,
        target: object = None,
        muxer: str | None = None,
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        aspect: Fraction | None = None,
    ) -> Path:
        with av.open(
            target or str(path), "w", format=muxer, options=container_options or {}
        ) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.options = (
                {"crf": "8", **(options or {})} if codec == "libx264" else options or {}
            )
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            if times:
                stream.codec_context.time_base = Fraction(1, 1000)
            for index, image in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                if times:
                    frame.pts, frame.time_base = round(times[index] * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    """The bytes of a JPEG picture."""

    def compress(image: Image) -> bytes:
        context = av.CodecContext.create("mjpeg", "w")
        context.height, context.width = image.shape[:2]
        context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 30)
        context.options = {"qmin": "2", "qmax": "2"}
        return bytes(context.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))[0])

    return compress
