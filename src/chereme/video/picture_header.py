"""Size and EXIF orientation of a picture, read from its first bytes before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chereme.video.upright import UPRIGHT, Orientation

_ORIENTATION_TAG = 0x0112
_MP_ENTRIES, _MULTI_FRAME = 0xB002, 0x02


_CHANGES_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")  # beside the critical chunks, in capitals


@dataclass(frozen=True)
class PictureHeader:
    """What a picture says of itself. The size is 0x0 where its kind is left to the decoder.

    ``animated``: the file holds a film; ``others``: how many more pictures of the same scene, as
    cameras with two lenses take, come after the first.
    """

    codec: str
    width: int = 0
    height: int = 0
    orientation: Orientation = UPRIGHT
    animated: bool = False
    others: int = 0


def read_header(data: bytes) -> PictureHeader | None:
    """The header of a JPEG, PNG, WebP or BMP picture; None for anything else.

    A damaged header gives what there is of it; the decoder says whether that is enough.
    """
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return PictureHeader("bmp")
    return None


def _jpeg(data: bytes) -> PictureHeader:
    width = height = others = 0
    orientation = UPRIGHT
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # filling between segments
            position += 1
            continue
        if marker == 0xDA:  # the picture data begin
            break
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        # SOF0..SOF15 without DHT, JPG and DAC, which lie in the same range
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 5:
            height, width = struct.unpack(">HH", body[1:5])
        elif marker == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = _exif_orientation(body)
        elif marker == 0xE2 and body[:4] == b"MPF\0":
            others = _further_views(body[4:])
        position += 2 + length
    return PictureHeader("mjpeg", width, height, orientation, others=others)


def _further_views(block: bytes) -> int:
    """The pictures beside the first of a multi-picture file (CIPA DC-007) that show what it shows.

    Not previews, nor the brightness maps of telephones, which have other types.
    """
    for tag, count, value in _tiff_entries(block):
        if tag == _MP_ENTRIES:
            types = [block[value + i : value + i + 4] for i in range(0, count, 16)]
            big = block[:2] == b"MM"
            found = [t[1] if big else t[2] for t in types if len(t) == 4]
            return max(0, found.count(_MULTI_FRAME) - 1)
    return 0


def _png(data: bytes) -> PictureHeader:
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    orientation, animated = UPRIGHT, False
    for kind, start, end in _png_chunks(data):
        if kind == b"eXIf":
            orientation = _exif_orientation(data[start + 8 : end - 4])
        # One of no frames is a picture for every program that shows it.
        animated |= kind == b"acTL" and data[start + 8 : start + 12] != bytes(4)
    return PictureHeader("png", width, height, orientation, animated)


def pixels_of_png(data: bytes) -> bytes:
    """The same PNG without the chunks that say nothing of its pixels.

    Decoders unpack texts and colour profiles of any size before they come to the picture.
    """
    kept = [
        memoryview(data)[start:end]
        for kind, start, end in _png_chunks(data)
        if not kind[:1].islower() or kind in _CHANGES_PIXELS
    ]
    return data[:8] + b"".join(kept)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk; the last may be cut."""
    position = 8
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 8], position, position + 12 + length
        position += 12 + length


def _webp(data: bytes) -> PictureHeader:
    width = height = 0
    animated = False
    if data[12:16] == b"VP8X" and len(data) >= 30:
        animated = bool(data[20] & 0x02)
        width, height = (1 + int.from_bytes(data[i : i + 3], "little") for i in (24, 27))
    exif = next((body for kind, body in _webp_chunks(data) if kind == b"EXIF"), b"")
    return PictureHeader("webp", width, height, _exif_orientation(exif), animated)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        yield data[position : position + 4], data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _exif_orientation(block: bytes) -> Orientation:
    """Tag 0x0112 of the first directory of an EXIF block; upright where it says nothing."""
    tiff = block.removeprefix(b"Exif\0\0")
    order: Literal["big", "little"] = "big" if tiff[:2] == b"MM" else "little"
    for tag, _, value in _tiff_entries(tiff):
        if tag == _ORIENTATION_TAG:  # a short, in the first two of the four bytes
            first = value.to_bytes(4, order)[:2]
            return Orientation.from_exif(int.from_bytes(first, order))
    return UPRIGHT


def _tiff_entries(tiff: bytes) -> Iterator[tuple[int, int, int]]:
    """Tag, count and value, or where it lies, of the entries of the first directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, _, count, value = struct.unpack_from(f"{order}HHII", tiff, start + 2 + 12 * entry)
            yield tag, count, value
    except struct.error:  # a directory that ends early says nothing
        return
