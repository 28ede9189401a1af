"""Size and EXIF orientation of a picture, read from its first bytes before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from chereme.video.upright import UPRIGHT, Orientation

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class PictureHeader:
    """What a picture says of itself. The size is 0x0 where its kind is left to the decoder."""

    codec: str
    width: int = 0
    height: int = 0
    orientation: Orientation = UPRIGHT


def read_header(data: bytes) -> PictureHeader | None:
    """The header of a JPEG, PNG, WebP or BMP picture; None for anything else.

    A damaged header gives what there is of it; the decoder says whether that is enough.
    """
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        exif = dict(_webp_chunks(data)).get(b"EXIF", b"")
        return PictureHeader("webp", orientation=_exif_orientation(exif))
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return PictureHeader("bmp")
    return None


def _jpeg(data: bytes) -> PictureHeader:
    width = height = 0
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
        position += 2 + length
    return PictureHeader("mjpeg", width, height, orientation)


def _png(data: bytes) -> PictureHeader:
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    orientation = UPRIGHT
    position = 8
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
            break
        position += 12 + length
    return PictureHeader("png", width, height, orientation)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        yield data[position : position + 4], data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _exif_orientation(block: bytes) -> Orientation:
    """Tag 0x0112 of the first directory of an EXIF block; upright where it says nothing."""
    tiff = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return Orientation.from_exif(value)
    except struct.error:  # a directory that ends early says nothing
        pass
    return UPRIGHT
