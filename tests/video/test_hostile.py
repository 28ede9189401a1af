"""What hostile pictures and recordings may cost: the numbers of docs/limits.md."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fakes
from chereme.formats.poses import write_landmarks
from chereme.types import Landmarks
from chereme.video import write_video
from child import NEEDS_PROC, run_child

MEGABYTES = 150  # a small picture or a slow recording, whatever comes with it
LARGE_MEGABYTES = 900  # a video in 8K
WEBP_MEGABYTES = 1300  # an animated WebP of as many pixels
READ = """
import sys
from chereme.video import open_video
with open_video(sys.argv[1]) as video:
    print(sum(1 for _ in video))
"""


def swelling(gigabytes: int) -> bytes:
    """A zlib stream that unpacks to so much."""
    packer = zlib.compressobj(9)
    start = packer.compress(bytes(1 << 16)) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (64 * gigabytes)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@NEEDS_PROC
@pytest.mark.parametrize(
    ("kind", "start"),
    [(b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")],
)
@pytest.mark.parametrize("count", [1, 3])
def test_what_comes_with_a_png_is_not_unpacked(
    tmp_path: Path, pictures, kind: bytes, start: bytes, count: int
) -> None:
    buffer = io.BytesIO()
    first, *others = [Image.fromarray(image) for image in pictures(count)]
    first.save(buffer, "PNG", save_all=count > 1, append_images=others)
    png = buffer.getvalue()
    bomb = chunk(kind, start + swelling(2))
    path = tmp_path / "bomb.png"
    path.write_bytes(png[:33] + bomb + png[33:])  # behind the header
    ended = run_child(READ, path)
    assert ended.output == str(count)
    assert ended.peak < MEGABYTES


SLOW = """
import sys
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
print(repr(Recognizer(Bundle.load(sys.argv[1])).recognize(sys.argv[2]).text))
"""


@NEEDS_PROC
def test_long_gaps_cost_nothing(tmp_path: Path) -> None:
    """29 frames in 3.9 hours were resampled to 421,000."""
    fakes.make_bundle(tmp_path / "bundle")
    one = fakes.spell("b", fps=30.0)
    seen = Landmarks(
        np.repeat(one.landmarks[:1], 29, axis=0),
        np.ones((29, one.landmarks.shape[1], 21), np.float32),
        np.arange(29) * 484.0,
        one.width,
        one.height,
        one.handedness,
    )
    write_landmarks(seen, tmp_path / "slow.npz")
    ended = run_child(SLOW, tmp_path / "bundle", tmp_path / "slow.npz")
    assert ended.output == "''"
    assert ended.peak < MEGABYTES


@NEEDS_PROC
@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height", "megabytes"),
    [(4096, 2160, LARGE_MEGABYTES / 2), (8192, 4320, LARGE_MEGABYTES)],
)
def test_films_as_cameras_and_telephones_make_them(
    tmp_path: Path, width: int, height: int, megabytes: float
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    write_video(tmp_path / "film.mp4", [image] * 4, 30.0, quality=40)
    ended = run_child(READ, tmp_path / "film.mp4")
    assert ended.output == "4"
    assert ended.peak < megabytes


@NEEDS_PROC
@pytest.mark.slow
def test_an_animated_webp_of_the_largest_size(tmp_path: Path) -> None:
    first, *others = [Image.new("RGB", (5900, 5900), (40 * n, 0, 0)) for n in range(3)]
    options = {"duration": 40, "quality": 10, "method": 0}
    first.save(tmp_path / "large.webp", save_all=True, append_images=others, **options)
    ended = run_child(READ, tmp_path / "large.webp")
    assert ended.output == "3"
    assert ended.peak < WEBP_MEGABYTES
