"""Messages between the server and the processes that decode for it.

Each is its length in bytes, as four bytes, big-endian, and its content: JSON, or bytes as they are.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_LENGTH = struct.Struct(">I")
MAX_BYTES = 64 << 20
"""Of one message."""
SECONDS = struct.Struct("<d")
"""Before the JPEG of a frame: when it was shown."""
PICTURE, LANDMARKS = b"P", b"L"
"""The first byte of a frame that a child is given, before its seconds and JPEG, or its JSON."""


def pack(message: bytes) -> bytes:
    """The message with its length before it."""
    return _LENGTH.pack(len(message)) + message


def length(head: bytes) -> int:
    """The length that the ``HEAD`` bytes before a message say; ``ValueError`` above MAX_BYTES."""
    (size,) = _LENGTH.unpack(head)
    if size > MAX_BYTES:
        raise ValueError(f"expected a message of at most {MAX_BYTES:,} bytes, got {size:,}")
    return int(size)


HEAD = _LENGTH.size


def read(stream: BinaryIO) -> bytes | None:
    """The next message of a stream, or None where that has ended."""
    head = stream.read(HEAD)
    if len(head) < HEAD:
        return None
    message = stream.read(size := length(head))
    return message if len(message) == size else None
