"""Tensors out of other people's checkpoints, without running anything that is in them.

Two formats: safetensors, and the zip of torch >= 1.6, where ``data.pkl`` is a pickle of the whole
object and ``data/<key>`` the bytes of each storage. Lightning puts its settings beside the weights,
so that such a pickle names classes of the program that wrote it (and a hostile one names
``os.system``). `chereme.formats.inert_pickle` takes it apart: tensors become notes of where their
numbers are, and whatever else is named is never imported or called. Only the storages that were
asked for are read.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from chereme.errors import BundleError
from chereme.formats.inert_pickle import OUTSIDE, Name, Note, as_integer, read_inert

_STORAGES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
}


_MAX_READS = 50_000_000  # settings and the state of optimisers lie beside the weights

# What reading numbers raises: beyond a storage (torch), a wrong checksum or a missing entry (zip).
_DAMAGE = (OSError, RuntimeError, ValueError, LookupError, zipfile.BadZipFile, SafetensorError)


def read_tensors(
    path: str | Path, shapes: Mapping[str, torch.Size], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The tensors that ``shapes`` names, from the checkpoint at ``path``, as ``dtype``.

    A Lightning checkpoint (``state_dict`` inside), a plain state dict, or safetensors; what else
    it holds is neither read nor run. BundleError names the file if it is none of these, or damaged,
    and all tensors that are missing or of another shape.
    """
    path = Path(path)
    with ExitStack() as stack:
        source = _open(path, stack)
        _check(path, source, shapes)
        try:
            return {name: source.read(name).to(dtype) for name in shapes}
        except _DAMAGE as error:
            raise _damaged(path, error) from error


class _Source(Protocol):
    shapes: dict[str, tuple[int, ...]]

    def read(self, name: str) -> Tensor: ...


def _open(path: Path, stack: ExitStack) -> _Source:
    if not path.is_file():
        raise BundleError(f"{path}: expected a checkpoint, but there is no such file")
    if zipfile.is_zipfile(path):
        try:
            return _TorchZip(stack.enter_context(zipfile.ZipFile(path)))
        except Exception as error:  # a pickle can go wrong in any way
            raise _damaged(path, error) from error
    if path.suffix == ".safetensors":
        try:
            return _Safetensors(stack.enter_context(safe_open(str(path), "pt")))
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from error
    raise BundleError(
        f"{path}: expected a checkpoint of PyTorch 1.6 or later (a zip file) or a .safetensors "
        "file, got something else: a checkpoint in the older format, or a download that is not "
        "complete; write it again with a newer PyTorch, or get it again"
    )


def _check(path: Path, source: _Source, shapes: Mapping[str, torch.Size]) -> None:
    problems = []
    missing = [name for name in shapes if name not in source.shapes]
    if missing:
        problems.append(
            f"{len(missing)} of the {len(shapes)} tensors expected are missing: "
            + ", ".join(missing)
        )
    for name, shape in shapes.items():
        found = source.shapes.get(name)
        if found is not None and found != tuple(shape):
            problems.append(f"{name}: expected shape {tuple(shape)}, got {found}")
    if problems:
        raise BundleError(f"{path}: not a checkpoint of this model; " + "; ".join(problems))


def _damaged(path: Path, error: Exception) -> BundleError:
    return BundleError(
        f"{path}: expected a checkpoint of PyTorch or a safetensors file, but it cannot be read "
        f"({error}); get the file again"
    )


class _Safetensors:
    def __init__(self, file: Any) -> None:
        self.file = file
        self.shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self.file.get_tensor(name)
        return tensor


@dataclass(frozen=True)
class _Record:
    """Where the numbers of a tensor are: in the entry ``key`` of the zip, ``numel`` of them."""

    key: str
    dtype: torch.dtype | None  # None: of a kind that is of no use here
    numel: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, note: Note) -> _Record:
        """From a call of ``_rebuild_tensor_v2``."""
        storage, offset, shape, stride, *_ = note.args  # then requires_grad, hooks, metadata
        kind, dtype, key, _, numel = storage.args
        if storage.what != OUTSIDE or kind != "storage" or not isinstance(dtype, Name):
            raise ValueError(f"a storage was expected, it has {kind!r}")
        sizes = (tuple(map(as_integer, shape)), tuple(map(as_integer, stride)))
        kinds = _STORAGES.get(dtype.what)
        return cls(str(key), kinds, as_integer(numel), as_integer(offset), *sizes)


def _mapping(content: Any) -> Mapping[Any, Any]:
    if isinstance(content, Note) and content.what == "collections.OrderedDict":
        return content.items
    if not isinstance(content, dict):
        raise ValueError("a dict of tensors was expected, it has none")
    return content


class _TorchZip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"a zip file with one data.pkl was expected, it has {len(pickles)}")
        self.folder = pickles[0].removesuffix(".pkl")
        content = _mapping(read_inert(archive.read(pickles[0]), None, max_reads=_MAX_READS))
        self.records = {
            name: _Record.of(note)
            for name, note in _mapping(content.get("state_dict", content)).items()
            if isinstance(note, Note) and note.what == "torch._utils._rebuild_tensor_v2"
        }
        self.shapes = {name: record.shape for name, record in self.records.items()}

    def read(self, name: str) -> Tensor:
        record = self.records[name]
        if record.dtype is None:
            raise ValueError(f"{name}: expected floating-point numbers")
        size = record.numel * record.dtype.itemsize
        entry = f"{self.folder}/{record.key}"
        found = self.archive.getinfo(entry).file_size
        if found != size:
            raise ValueError(f"{name}: expected {size} bytes, got {found}")
        if not math.prod(record.shape):
            return torch.empty(record.shape, dtype=record.dtype)
        numbers = torch.frombuffer(bytearray(self.archive.read(entry)), dtype=record.dtype)
        # A view that reaches beyond the storage is refused by torch (RuntimeError).
        return numbers.as_strided(record.shape, record.stride, record.offset)
