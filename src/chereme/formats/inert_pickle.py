"""Takes a pickle apart without running anything that it asks for.

A pickle is a program: what ``pickle.load`` reads may run any code. Here its operations and the
names that it mentions are held to allow-lists, and what the allowed names stand for is never
imported, called or changed: a call becomes a ``Note`` of what would have been called with what.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, LimitError
from chereme.formats.files import read_file

MAX_READS = 200_000  # reads from the file, one or two an operation; MANO's files have some hundreds
_MAX_PLAIN_READS = 50_000_000  # of lists of tens of thousands of clips, some hundreds each

RECONSTRUCTOR, OBJECT = "copy_reg._reconstructor", "object"
ARRAY, NDARRAY, DTYPE, SCALAR = "numpy array", "numpy.ndarray", "numpy.dtype", "numpy scalar"
ENCODE = "_codecs.encode"
OUTSIDE = "object from outside of the file"
# Names of plain objects and arrays, as Python 2 and 3 and numpy 1 and 2 spell them, and what they
# are noted as.
PLAIN_NAMES = {
    ("copy_reg", "_reconstructor"): RECONSTRUCTOR,
    ("copyreg", "_reconstructor"): RECONSTRUCTOR,
    ("__builtin__", "object"): OBJECT,
    ("builtins", "object"): OBJECT,
    ("__builtin__", "set"): "set",
    ("builtins", "set"): "set",
    ("_codecs", "encode"): ENCODE,  # how Python 3 writes bytes for Python 2
    ("numpy.core.multiarray", "_reconstruct"): ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): ARRAY,
    ("numpy.core.multiarray", "scalar"): SCALAR,
    ("numpy._core.multiarray", "scalar"): SCALAR,
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): DTYPE,
}
_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_MAX_DIMENSIONS = 8

# Operations of protocols 0 to 4, without those that make instances of old-style classes, or set
# memory aside before there is anything to fill it.
_OPERATIONS = (
    *("PROTO", "FRAME", "MARK", "STOP", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND"),
    *("APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET"),
    *("GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
    *("GLOBAL", "STACK_GLOBAL", "BINPERSID"),
)


@dataclass(frozen=True)
class Name:
    """An allowed name, noted as ``what``."""

    what: str


@dataclass(eq=False)
class Note:
    """An object that the pickle would have made: of ``what``, from ``args``, then set to
    ``state``; ``items``: of a mapping. What is put into a list or a set is left away."""

    what: str
    args: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, item: Any) -> None:
        pass

    extend = add = append


class _CountedFile(io.BytesIO):
    """Refuses a pickle of endless operations: each may take a hundred times its byte."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.reads, self.most = 0, most

    def _count(self) -> None:
        self.reads += 1
        if self.reads > self.most:
            raise LimitError(f"expected a pickle of at most {self.most} reads, got more")

    def read(self, size: int | None = -1, /) -> bytes:
        self._count()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self._count()
        return super().readline(size)


# Choice: the standard library's unpickler in Python, not the one in C. Its table of operations can
# be cut down, and its memo is a dict: in C a few bytes can ask for a memo of gigabytes.
class _Reader(pickle._Unpickler):
    stack: list[Any]
    append: Callable[[Any], None]

    def __init__(
        self, data: bytes, names: Mapping[tuple[str, str], str] | None, max_reads: int
    ) -> None:
        super().__init__(_CountedFile(data, max_reads), encoding="latin1")
        self.names = names

    def persistent_load(self, pid: Any) -> Note:
        if self.names is not None:
            raise InputError("it takes objects from outside of the file, which is not allowed")
        return Note(OUTSIDE, pid if isinstance(pid, tuple) else (pid,))

    def find_class(self, module: str, name: str) -> Name:
        what = f"{module}.{name}" if self.names is None else self.names.get((module, name))
        if what is None:
            raise InputError(
                f"it asks for {f'{module}.{name}'[:200]!r}, which this reader does not allow; "
                "nothing of it was run"
            )
        return Name(what)

    def _call(self) -> None:
        """REDUCE and NEWOBJ: note a call instead of calling."""
        args = self.stack.pop()
        function = self.stack.pop()
        if not isinstance(function, Name) or not isinstance(args, tuple):
            raise InputError("it calls something that is not an allowed name; nothing was run")
        if function.what == RECONSTRUCTOR:
            if not args or not isinstance(args[0], Name):
                raise InputError("it makes an object of no allowed class; nothing was run")
            function, args = args[0], ()
        self.append(Note(function.what, args))

    def _set_state(self) -> None:
        """BUILD: note the state of an object instead of setting it."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Note) or target.state is not None:
            raise InputError("it changes something that it has not made itself; nothing was run")
        target.state = state


def _refuse(code: int) -> Callable[[Any], None]:
    def refuse(reader: Any) -> None:
        raise InputError(
            f"it has the operation {_CODES.get(code, hex(code))}, which this reader does not allow"
        )

    return refuse


_CODES = {
    value[0]: name
    for name, value in vars(pickle).items()
    if name.isupper() and isinstance(value, bytes) and len(value) == 1
}
_Reader.dispatch = {code: _refuse(code) for code in range(256)} | {
    code: pickle._Unpickler.dispatch[code] for code, name in _CODES.items() if name in _OPERATIONS
}
_Reader.dispatch |= {
    pickle.REDUCE[0]: _Reader._call,
    pickle.NEWOBJ[0]: _Reader._call,
    pickle.BUILD[0]: _Reader._set_state,
}


def read_inert(
    data: bytes, names: Mapping[tuple[str, str], str] | None, *, max_reads: int = MAX_READS
) -> Any:
    """What a pickle holds: plain values, and ``Note`` for every other object.

    Byte strings of Python 2 come as text, one character (latin-1) a byte.

    Args:
        data: the pickle.
        names: each allowed (module, name), and what it is noted as (see ``PLAIN_NAMES``). None
            allows every name, noted as ``module.name``, and objects from outside of the file,
            noted as ``OUTSIDE``.
        max_reads: reads from the file, one or two an operation.

    Raises:
        InputError: it asks for anything else, or is damaged.
        LimitError: it has more operations than a file of arrays needs.
    """
    try:
        return _Reader(data, names, max_reads).load()
    except InputError:
        raise
    except Exception as error:  # damaged bytes may stumble in any way
        raise InputError(
            f"expected a pickle, but it cannot be read as one ({type(error).__name__})"
        ) from error


def as_array(value: Any) -> NDArray[Any]:
    """The array of numbers that a note describes.

    Raises:
        InputError: it is no array, an array of objects, or its data do not fill its shape.
    """
    if not isinstance(value, Note) or value.what != ARRAY:
        raise InputError(f"expected an array of numbers, got {_kind(value)}")
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        raise InputError("expected an array of numbers, got one without data")
    _, shape, dtype, fortran, raw = value.state
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise InputError("expected an array of numbers, got one without a shape")
    sizes = tuple(map(as_integer, shape))
    kind, content = _as_dtype(dtype), _as_bytes(raw)
    if min(sizes, default=0) < 0 or math.prod(sizes) * kind.itemsize != len(content):
        raise InputError(f"expected data that fill an array of shape {sizes}, got others")
    return np.frombuffer(content, kind).reshape(sizes, order="F" if fortran else "C")


def as_integer(value: Any) -> int:
    """A whole number, Python's or numpy's."""
    if isinstance(value, Note) and value.what == SCALAR and len(value.args) == 2:
        kind, content = _as_dtype(value.args[0]), _as_bytes(value.args[1])
        if kind.kind in "iu" and len(content) == kind.itemsize:
            return int(np.frombuffer(content, kind)[0])
    if not isinstance(value, int) or abs(value) >= 2**31:
        raise InputError(f"expected a whole number of a size, got {_kind(value)}")
    return value


def _as_dtype(value: Any) -> np.dtype[Any]:
    code = value.args[0] if isinstance(value, Note) and value.what == DTYPE and value.args else None
    if not isinstance(code, str) or code not in _NUMBERS:
        raise InputError("expected an array of numbers, got one of other things")
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "|"
    if order not in ("<", ">", "|", "="):
        raise InputError("expected a byte order, got something else")
    return np.dtype(f"{order}{code}")


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, Note) and value.what == ENCODE and len(value.args) == 2:
        value = value.args[0] if value.args[1] == "latin1" else None
    if isinstance(value, str):
        try:
            return value.encode("latin1")
        except UnicodeEncodeError:
            value = None
    if not isinstance(value, bytes):
        raise InputError("expected an array of numbers, got one without bytes")
    return value


def _kind(value: Any) -> str:
    return value.what if isinstance(value, (Note, Name)) else type(value).__name__


def read_plain(path: Path) -> Any:
    """The lists, dictionaries, texts and numbers that a pickle file holds. InputError, naming it,
    if it holds anything else, or cannot be read as a pickle."""
    try:
        return read_inert(read_file(path), {}, max_reads=_MAX_PLAIN_READS)
    except InputError as error:
        raise InputError(
            f"{path}: expected a pickle of lists, dictionaries, texts and numbers; {error}"
        ) from error
