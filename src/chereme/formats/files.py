"""Opening and reading the files that people give: regular ones only, and of a bounded size.

A file may also be given as its content (:class:`MemoryFile`), and is then read as one on the disk.

A pipe or a device (``/dev/zero``) may never end, or wait for ever, whatever its name says.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO

from chereme.errors import InputError, LimitError

MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class MemoryFile:
    """The ``content`` of a file, and the ``name`` that it had, if it had one."""

    content: bytes = field(repr=False)
    name: str | None = None

    def __str__(self) -> str:
        """Its name in messages."""
        return self.name or "the file in memory"

    @property
    def suffix(self) -> str:
        """That of its name, as of a path."""
        return PurePath(self.name or "").suffix


File = Path | MemoryFile


def open_file(path: str | File) -> BinaryIO:
    """A regular file, to read from. Raises InputError for anything else, and for no access."""
    if isinstance(path, MemoryFile):
        return io.BytesIO(path.content)
    path = Path(path)
    try:
        # Without waiting: a pipe that nobody writes to would block the opening itself.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise InputError(
                f"{path}: cannot be read: expected a regular file, got a folder, pipe or "
                "device; copy what it holds into a file"
            )
        return os.fdopen(number, "rb")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error


def file_size(file: BinaryIO) -> int:
    """Bytes of what `open_file` has opened; 0 also of the system's own files, as /proc/kmsg."""
    if isinstance(file, io.BytesIO):
        return file.getbuffer().nbytes
    return os.fstat(file.fileno()).st_size


def read_file(path: str | File, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file. Raises as `open_file`, and LimitError above ``max_bytes``."""
    with open_file(path) as file:
        try:
            size = file_size(file)
            # None: a file of the system, as /proc/kmsg, that has nothing at the moment.
            content = b"" if size > max_bytes else file.read(max_bytes + 1) or b""
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); check the disk"
            ) from error
    if max(size, len(content)) > max_bytes:
        raise LimitError(
            f"{path}: expected at most {max_bytes:,} bytes, got {max(size, len(content)):,}; "
            "split the recording, or give the right file"
        )
    return content


_BINARY = getattr(os, "O_BINARY", 0)  # Windows alone tells text from bytes
