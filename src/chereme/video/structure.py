"""Whether a container file ends before it should, from its outermost structure alone.

The demuxers of FFmpeg end a cut file as quietly as a whole one. Both ISO media (mp4, mov) and
Matroska (webm, mkv) announce the length of each part in front of it, so a part that reaches past
the end of the file tells a cut one.
"""

from __future__ import annotations

import os
from typing import BinaryIO

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def is_cut(file: BinaryIO) -> bool:
    """True if the file announces more bytes than it holds; False for formats that cannot tell."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] == _EBML.to_bytes(4, "big"):
        return _matroska_is_cut(file, size)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return any(end > size for _, end in _iso_boxes(file, size))
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WEBP"):
        return int.from_bytes(head[4:8], "little") + 8 > size
    return False


def lacks_index(file: BinaryIO) -> bool:
    """True for an ISO media file without its whole index, which nothing can decode.

    The index is ``moov``, or ``meta`` of the pictures that share the format (avif, heic).
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(12)[4:8] != b"ftyp":
        return False
    boxes = _iso_boxes(file, size)
    return not any(kind in (b"moov", b"meta") and end <= size for kind, end in boxes)


def _iso_boxes(file: BinaryIO, size: int) -> list[tuple[bytes, int]]:
    """Type and end offset of the top-level boxes."""
    boxes: list[tuple[bytes, int]] = []
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # a 64-bit length follows the type
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:  # up to the end of the file, however long that is
            length = size - position
        if length < 8:  # not a box: damage, of which the decoder will tell
            break
        boxes.append((header[4:8], position + length))
        position += length
    return boxes


def _matroska_is_cut(file: BinaryIO, size: int) -> bool:
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(12)
        id_length = 9 - header[0].bit_length()
        if id_length > 4:  # not an element: damage, of which the decoder will tell
            return False
        if len(header) <= id_length:
            return True
        identity = int.from_bytes(header[:id_length], "big")
        size_length = 9 - header[id_length].bit_length()
        if size_length > 8:
            return False
        if len(header) < id_length + size_length:
            return True
        mask = (1 << 7 * size_length) - 1
        length = int.from_bytes(header[id_length : id_length + size_length], "big") & mask
        position += id_length + size_length
        if length == mask:  # unknown length, as live recordings have: look at what is inside
            if identity not in (_SEGMENT, _CLUSTER):
                return False
            continue
        if identity == _SEGMENT:
            return position + length > size
        position += length
        if position > size:
            return True
    return False
