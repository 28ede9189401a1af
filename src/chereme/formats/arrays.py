"""``.npz`` archives of plain arrays, whose sizes are known before anything is unpacked.

A megabyte of such a file can claim, and unpack to, gigabytes; numpy finds that out on the way.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from chereme.errors import InputError, LimitError
from chereme.formats.files import File, read_file

MAX_ARRAYS = 1000
MAX_UNPACKED_BYTES = 1 << 30  # a quarter of an hour of all five tracks is 0.2 GiB
_HEADER_BYTES = 16 << 10  # numpy refuses headers above 10,000 characters
_PIECE = 1 << 20
_KINDS = "biufSU"  # truth values, numbers and text
_ENTRY = b"PK\x01\x02"  # begins each entry of the directory of an archive


class Header(NamedTuple):
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ArrayFile:
    """The arrays of an ``.npz`` by name; ``headers`` are read at once, arrays when asked for.

    Pickled objects are never loaded. Raises ValueError for what is no such archive, or damaged,
    and for other arrays than of truth values, numbers and text; LimitError for more than 1000.
    """

    headers: Mapping[str, Header]

    def __init__(self, content: bytes) -> None:
        if content.count(_ENTRY) > MAX_ARRAYS:
            raise LimitError(f"expected at most {MAX_ARRAYS:,} arrays, got more")
        headers = {}
        with _as_value_errors():
            self._archive = zipfile.ZipFile(io.BytesIO(content))
            for member in self._archive.infolist():
                if not member.filename.endswith(".npy"):
                    raise ValueError(f"expected .npy files in it, got {member.filename!r}")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{member.filename}: expected it stored or deflated")
                with self._archive.open(member) as file:
                    headers[member.filename.removesuffix(".npy")] = _read_header(file)
        self.headers = MappingProxyType(headers)

    @property
    def bytes(self) -> int:
        """Of all arrays, unpacked."""
        return sum(header.bytes for header in self.headers.values())

    def read(self, name: str, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """An array, as ``dtype`` if one is given. ValueError where its data end too early."""
        header = self.headers[name]
        shape = header.shape[::-1] if header.fortran_order else header.shape
        array = np.empty(shape, dtype or header.dtype)
        flat = array.reshape(-1)
        step = max(1, _PIECE // max(header.dtype.itemsize, 1))
        with _as_value_errors(), self._archive.open(f"{name}.npy") as file:
            _read_header(file)
            for start in range(0, flat.size, step):
                part = flat[start : start + step]
                piece = file.read(len(part) * header.dtype.itemsize)
                if len(piece) != len(part) * header.dtype.itemsize:
                    raise ValueError(f"the array {name!r} ends too early")
                part[...] = np.frombuffer(piece, header.dtype) if piece else b""
        return array.T if header.fortran_order else array

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()


def plain_arrays(path: str | File) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz``. InputError if it is no such, LimitError above 1 GiB of them."""
    try:
        with ArrayFile(read_file(path)) as file:
            if file.bytes > MAX_UNPACKED_BYTES:
                raise LimitError(
                    f"it unpacks to {file.bytes:,} bytes, expected at most "
                    f"{MAX_UNPACKED_BYTES:,}; split it, or give the right file"
                )
            return {name: file.read(name) for name in file.headers}
    except LimitError as error:
        raise LimitError(f"{path}: {error}") from error
    except ValueError as error:
        raise InputError(
            f"{path}: expected an .npz archive of plain arrays, got something else, or a damaged "
            f"one ({error})"
        ) from error


@contextmanager
def expected_archive(path: str | Path, what: str, command: str) -> Iterator[None]:
    """Whatever is wrong with the arrays of ``path`` is told as an InputError: that ``what`` was
    expected, and by which ``command`` it is made."""
    try:
        yield
    except (InputError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: expected {what} (.npz), got {error!r}; make one with '{command}'"
        ) from error


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A compressed ``.npz`` of that very name: numpy itself would add .npz to one without."""
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """The errors of zipfile, zlib, numpy and Python's parser have no common class."""
    try:
        yield
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _read_header(file: Any) -> Header:
    """The header of an array; ``file`` is left where the data begin."""
    version = npy.read_magic(file)  # type: ignore[no-untyped-call]
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"expected an array of format 1.0 or 2.0, got {version}")
    size = 2 if version == (1, 0) else 4
    length = file.read(size)
    announced = int.from_bytes(length, "little")
    if announced > _HEADER_BYTES:  # before it is read: it may be compressed, and endless
        raise ValueError(f"expected a header of at most {_HEADER_BYTES:,} bytes, got {announced:,}")
    head = io.BytesIO(length + file.read(announced))
    read: Any = npy.read_array_header_1_0 if size == 2 else npy.read_array_header_2_0
    shape, fortran_order, dtype = read(head)
    if dtype.kind not in _KINDS:
        raise ValueError(
            f"expected truth values, numbers or text, got {dtype}; pickled objects are never loaded"
        )
    if any(size < 0 for size in shape):
        raise ValueError(f"expected sizes from 0, got {shape}")
    return Header(shape, dtype, fortran_order)
