"""Animated GIFs whose pictures have no times.

Programs leave out the block with the time of a picture where it is 0. FFmpeg takes all pictures up
to the next such block for one, and shows the first of them alone.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from chereme.formats.files import MemoryFile, file_size, open_file, read_file

GIF = b"GIF8"
MAX_BYTES = 64 << 20  # larger ones are left as they are
_CONTROL = bytes((0x21, 0xF9, 4, 0, 0, 0, 0, 0))  # at once: FFmpeg makes 0.1 s of it, as browsers


def timed_gif(path: Path | MemoryFile) -> BinaryIO | None:
    """The GIF with a time, 0, for each picture that has none; None where all have theirs."""
    with open_file(path) as file:
        if file_size(file) > MAX_BYTES:
            return None
    data = read_file(path, MAX_BYTES)
    begins = [0]
    position, timed = 13 + _colours(data, 10), False
    while position + 1 < len(data) and data[position] in (0x21, 0x2C):
        if data[position] == 0x21:
            timed |= data[position + 1] == 0xF9
            position = _behind(data, position + 2)
            continue
        if not timed:
            begins.append(position)
        timed = False
        position = _behind(data, position + 11 + _colours(data, position + 9))
    if len(begins) == 1:
        return None
    ends = [*begins[1:], len(data)]
    return io.BytesIO(
        _CONTROL.join(data[begin:end] for begin, end in zip(begins, ends, strict=True))
    )


def _colours(data: bytes, flags: int) -> int:
    """Bytes of the table of colours that the flags at this place announce."""
    if flags >= len(data) or not data[flags] & 0x80:
        return 0
    return 3 << ((data[flags] & 7) + 1)


def _behind(data: bytes, position: int) -> int:
    """The place behind the parts from here on: each a length and as many bytes; 0 ends them."""
    while position < len(data) and data[position]:
        position += data[position] + 1
    return position + 1
