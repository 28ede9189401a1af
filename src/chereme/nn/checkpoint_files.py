"""Files of torch, read without running anything that they hold."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chereme.errors import BundleError, InputError
from chereme.formats.files import open_file

_NAMED = re.compile(r"(?:GLOBAL|class) ([\w.]+)")


def load_tensors(
    path: str | Path,
    *,
    mmap: bool = False,
    expected: str = "a checkpoint of tensors and plain values, as 'chereme train' writes",
) -> Any:
    """What a file of torch holds, on the CPU: tensors and plain values, and nothing else.

    ``mmap``: leave the weights on disk until they are used. ``expected``: for messages. Raises
    BundleError, in words of this package, for a file that is lacking or damaged, and for one with
    other objects: to load these could run code.
    """
    try:
        open_file(path).close()
    except InputError as error:
        missing = not Path(path).exists()
        raise BundleError(f"{path}: no such checkpoint" if missing else str(error)) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # on bytes that are no such file torch may stumble in any way
        # torch's own words advise to switch this protection off.
        named = _NAMED.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
        got = (
            f"an object that could run code ({named[1]}). Nothing of the file was loaded; do not "
            "trust it"
            if named
            else f"something else, or a damaged one ({type(error).__name__})"
        )
        raise BundleError(f"{path}: expected {expected}; got {got}") from None


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of weights: of the name of each, in their order, and of its numbers as they are in
    memory. It is that of the weights, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        # Bytes, since numpy has no bfloat16.
        values = weights[name].detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
