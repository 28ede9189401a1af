"""What a recogniser can be given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chereme.errors import InputError, LimitError, UsageError
from chereme.formats.files import MAX_BYTES, MemoryFile
from chereme.types import Landmarks
from chereme.video.frames import FrameSeries
from chereme.video.reader import Recording

T = TypeVar("T")
Source = Recording | Landmarks
"""What is read: what holds pictures, a file of landmarks, or landmarks."""
EXPECTED = (
    "the path of a recording, its content (bytes, or a file opened with 'rb'), pictures (an array "
    "(frames, height, width, 3) of uint8, or what gives pictures or pairs of a picture and its "
    "seconds), or Landmarks"
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def find_source(source: Any, *others: type[T]) -> Source | T:
    """What ``source`` is to be read as, whatever it was given as; of the types ``others`` as it is.

    A file is read from where it stands to its end. Raises ``UsageError`` for what is no source,
    ``InputError`` for an array that holds no pictures, ``LimitError`` for a file that is too large
    to be read into memory.
    """
    if isinstance(source, others):
        return source
    if isinstance(source, Landmarks | MemoryFile | FrameSeries):
        return source
    if isinstance(source, str | os.PathLike):
        return _path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return MemoryFile(bytes(source))
    if hasattr(source, "read"):
        return _content(source)
    if isinstance(source, np.ndarray):
        return _pictures(source)
    if isinstance(source, list | tuple) and source and isinstance(source[0], str | os.PathLike):
        raise UsageError(
            f"source: expected one recording, got {len(source)} paths; call recognize once for each"
        )
    if isinstance(source, Iterable) and not isinstance(source, Mapping | set | frozenset):
        return FrameSeries(source)
    raise UsageError(f"source: expected {EXPECTED}; got {type(source).__name__}")


def name_of(source: str | Recording) -> str | None:
    """The path or file name of a recording, if it has one."""
    if isinstance(source, MemoryFile):
        return source.name
    return str(source) if isinstance(source, str | Path) else None


def check_readable_twice(source: Source, why: str) -> None:
    """``UsageError`` for what can be read but once, as frames from a camera; ``why``: what has to
    read it again."""
    if isinstance(source, FrameSeries) and source.once:
        raise UsageError(
            f"{source}: {why}, but they come from an iterator, which gives them once; put them "
            "into a list or an array"
        )


def _path(source: str | os.PathLike[str]) -> Path:
    path = os.fspath(source)
    if isinstance(path, str) and _ADDRESS.match(path) and not os.path.exists(path):
        raise UsageError(
            f"{path}: expected the path of a file, got an address; download it first: chereme "
            "opens no connections"
        )
    return Path(os.fsdecode(path))


def _content(file: Any) -> MemoryFile:
    content = file.read(MAX_BYTES + 1)
    if not isinstance(content, bytes):
        raise UsageError(
            f"source: expected a file that gives bytes, got one that gives {type(content).__name__}"
            "; open it with the mode 'rb'"
        )
    name = getattr(file, "name", None)
    named = MemoryFile(content, name if isinstance(name, str) else None)
    if len(content) > MAX_BYTES:
        raise LimitError(
            f"{named}: expected at most {MAX_BYTES:,} bytes; give the path of the file, which is "
            "then not read into memory"
        )
    return named


def _pictures(array: np.ndarray) -> FrameSeries:
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or array.dtype != np.uint8:
        raise InputError(
            f"source: expected an array (frames, height, width, 3) of uint8, RGB, got "
            f"{array.shape} of {array.dtype}; bring the colours to 0 to 255 and to the last axis"
        )
    return FrameSeries([array], still=True) if array.ndim == 3 else FrameSeries(array)
