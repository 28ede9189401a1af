"""ONNX networks from files of other people: what they hold is checked before they are opened.

An ONNX file is a protocol buffer. It can name other files as the place of its weights, and hold
programs with loops. ONNX Runtime follows both, so that the file is read here first, strictly: the
whole structure in which such things can stand, written as every exporter writes it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chereme._imports import require
from chereme.errors import BundleError, UsageError

MAX_FIELDS = 1_000_000  # of the structure; weights are one each
MAX_MEMORY = 2 << 30  # bytes for weights and numbers of all networks of this process

# The messages of onnx.proto3 in which networks, weights or programs can stand: by the number of a
# field the message in it, or why it is refused.
_SUBGRAPH = "has a part that runs in a loop or on a condition"
_SPARSE = "has sparse weights"
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "!holds a training program", 25: "!defines functions"},
    "graph": {1: "node", 5: "tensor", 15: f"!{_SPARSE}"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: f"!{_SUBGRAPH}",
        10: "tensor",
        11: f"!{_SUBGRAPH}",
        22: f"!{_SPARSE}",
        23: f"!{_SPARSE}",
    },
    "tensor": {13: "!keeps its weights in another file"},
}
_DATA_LOCATION = 14  # of a tensor: 0 is in the file itself
_DOMAIN = 7  # of a node
_STANDARD = (b"", b"ai.onnx")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    number: int
    kind: int
    value: int  # of a varint
    start: int  # of bytes
    end: int


def check_network(content: bytes, path: Path) -> None:
    """BundleError unless ``content`` is an ONNX network without loops and whole in itself."""
    if not content.startswith(b"\x08"):  # field 1, the version of the format, as all write it first
        kind = "a pickle" if content[:1] == b"\x80" or content[:2] == b"PK" else "something else"
        raise BundleError(
            f"{path}: expected an ONNX network, but the file is {kind}; it was not loaded. "
            "Do not trust this bundle"
        )
    try:
        _check(content)
    except _Refused as error:
        raise BundleError(
            f"{path} {error}, which is refused; export it again, with its weights inside "
            "(external_data=False)"
        ) from error
    except ValueError as error:
        raise BundleError(
            f"{path}: expected an ONNX network, got a damaged one ({error}); fetch the bundle again"
        ) from error


class _Refused(Exception):
    """What a network has that it must not have."""


def _check(content: bytes) -> None:
    waiting = [("model", 0, len(content))]
    graphs = fields = 0
    while waiting:
        message, start, end = waiting.pop()
        for field in _fields(content, start, end):
            fields += 1
            if fields > MAX_FIELDS:
                raise ValueError(f"expected at most {MAX_FIELDS:,} fields")
            found = _MESSAGES[message].get(field.number)
            if found is not None and found.startswith("!"):
                raise _Refused(found[1:])
            if found is not None:
                if field.kind != _BYTES:
                    raise ValueError(f"field {field.number} of a {message} is no message")
                graphs += found == "graph"
                waiting.append((found, field.start, field.end))
            elif message == "tensor" and field.number == _DATA_LOCATION and field.value:
                raise _Refused(_MESSAGES["tensor"][13][1:])
            elif message == "node" and field.number == _DOMAIN:
                domain = content[field.start : field.end]
                if domain not in _STANDARD:
                    raise _Refused(f"uses operators of {domain[:40].decode(errors='replace')!r}")
    if graphs != 1:
        raise ValueError(f"expected one graph, got {graphs}")


def _fields(content: bytes, place: int, end: int) -> Iterator[_Field]:
    """The fields of the message from ``place`` to ``end``; ValueError for what none writes."""
    while place < end:
        tag, place = _varint(content, place, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"field {number}")
        value, start = 0, place
        if kind == _VARINT:
            value, place = _varint(content, place, end)
        elif kind == _BYTES:
            length, start = _varint(content, place, end)
            place = start + length
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of type {kind}")
        if place > end:
            raise ValueError("a field ends after what it is in")
        yield _Field(number, kind, value, start, place)


def _varint(content: bytes, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            # A number with zeros to spare is read by others, but written by nobody.
            if (byte == 0 and shift > 7) or value >= 1 << 64:
                raise ValueError("a number that is not written in the shortest way")
            return value, place
    raise ValueError("a number without end")


class Network:
    """A session of ONNX Runtime, whose errors are of this package.

    Its outputs are numbers of the shapes that it declares. BundleError where it declares none.
    """

    def __init__(self, session: Any, path: Path) -> None:
        self._session, self.path = session, path
        ports = [*session.get_inputs(), *session.get_outputs()]
        if odd := [port for port in ports if not port.type.startswith("tensor(") or not port.shape]:
            raise BundleError(
                f"{path}: expected inputs and outputs that say their sizes, got "
                f"{odd[0].name[:40]!r}, {odd[0].type}, without; export it again"
            )
        self._shapes = {port.name: port.shape for port in session.get_outputs()}

    def get_inputs(self) -> list[Any]:
        """The inputs: ``name``, ``type`` and ``shape`` of each."""
        return list(self._session.get_inputs())

    def get_outputs(self) -> list[Any]:
        """The outputs, as `get_inputs`."""
        return list(self._session.get_outputs())

    def run(self, outputs: Sequence[str] | None, feed: Mapping[str, Any]) -> list[Any]:
        """The ``outputs`` (None: all). BundleError where the network fails."""
        try:
            found = list(self._session.run(outputs, feed))
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise BundleError(
                f"{self.path}: the network failed ({_short(error)}); fetch or export it again"
            ) from error
        for name, array in zip(outputs or self._shapes, found, strict=True):
            shape = self._shapes[name]  # a size that the file leaves open is a name
            fits = len(shape) == array.ndim and all(
                not isinstance(size, int) or size == real
                for size, real in zip(shape, array.shape, strict=True)
            )
            if not fits or array.dtype.kind != "f":
                raise BundleError(
                    f"{self.path}: expected {name!r} as numbers of {shape}, as the file says, got "
                    f"{array.dtype} of {array.shape}; fetch or export it again"
                )
        return found


def open_network(content: bytes, path: Path, threads: int | None) -> Network:
    """A network, checked, on ``threads`` (None: all); ``path`` is for messages.

    All networks of a process together have 2 GiB. Raises BundleError as `check_network`, and where
    ONNX Runtime cannot load it; UsageError for no threads.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads: expected 1 or more, got {threads}")
    check_network(content, path)
    ort = require("onnxruntime")
    _bound_memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # errors are raised
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Else a file that begins like one of its own format would be read as that, unchecked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise BundleError(f"{path}: ONNX Runtime cannot load it ({_short(error)})") from error
    return Network(session, path)


@functools.cache
def _bound_memory() -> None:
    """One allocator for all sessions, with an end: a network can ask for any number of zeros."""
    ort = require("onnxruntime")
    info = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": MAX_MEMORY}))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
