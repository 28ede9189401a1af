"""What a file of torch may hold, and in which words the rest is refused."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from chereme.errors import BundleError
from chereme.nn.checkpoint_files import load_tensors


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("mmap", [True, False])
def test_tensors_and_plain_values(tmp_path: Path, mmap: bool) -> None:
    torch.save({"w": torch.arange(3.0), "name": "a", "many": [1, 2.5, None]}, tmp_path / "a.ckpt")
    found = load_tensors(tmp_path / "a.ckpt", mmap=mmap)
    assert found["w"].tolist() == [0, 1, 2]
    assert (found["name"], found["many"]) == ("a", [1, 2.5, None])


def hostile(kind: str, path: Path, mark: Path) -> None:
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(mark)))
    elif kind == "namespace":  # harmless, but a class
        torch.save({"state_dict": {}, "hparams": argparse.Namespace(a=1)}, path)
    elif kind in ("zipped", "plain"):
        torch.save({"x": Bomb(mark)}, path, _use_new_zipfile_serialization=kind == "zipped")
    else:
        contents = {"empty": b"", "text": b"hello", "cut": b"PK\x03\x04 cut", "zeros": bytes(999)}
        path.write_bytes(contents[kind])


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    "kind", ["zipped", "plain", "pickle", "namespace", "empty", "text", "cut", "zeros"]
)
def test_the_rest_is_refused_in_our_words(tmp_path: Path, kind: str, mmap: bool) -> None:
    path, mark = tmp_path / "last.ckpt", tmp_path / "executed"
    hostile(kind, path, mark)
    with pytest.raises(BundleError, match=r"last\.ckpt: expected a checkpoint of ten") as refused:
        load_tensors(path, mmap=mmap)
    said = str(refused.value)
    assert not any(word in said for word in ("weights_only", "PyTorch", "safe_globals", "\n"))
    assert not mark.exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.ckpt: no such checkpoint"):
        load_tensors(tmp_path / "none.ckpt")
    os.mkfifo(tmp_path / "pipe.ckpt")
    for place in (tmp_path, tmp_path / "pipe.ckpt"):
        with pytest.raises(BundleError, match=r"(expected a regular file|cannot be read)"):
            load_tensors(place)
