"""Checkpoints of all systems: what is none is refused, and nothing in it is run."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from chereme.errors import BundleError
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.systems.hand_aware.task import load_hand_aware
from chereme.systems.signbert.task import load_signbert
from chereme.systems.signx.task import load_signx
from chereme.systems.signx.video_task import load_video2gloss
from chereme.training.cli import main

LOADERS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "fingerspelling": (load_checkpoint, "recognizer", "the fingerspelling recogniser"),
    "hand_aware": (load_hand_aware, "hand_aware", "the hand-model-aware recogniser"),
    "signbert": (load_signbert, "signbert", "SignBERT"),
    "signx": (load_signx, "signx", "SignX"),
    "video": (load_video2gloss, "signx", "stage II of SignX"),
}


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("system", LOADERS)
def test_other_files_are_no_checkpoints(system: str, tmp_path: Path) -> None:
    load, entry, named = LOADERS[system]
    with pytest.raises(BundleError, match=r"none\.ckpt: no such checkpoint"):
        load(tmp_path / "none.ckpt")
    path = tmp_path / "last.ckpt"
    for content in (b"", b"hello", b"\x80", b"PK\x03\x04 cut off", b"\x80\x04N.", bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(BundleError, match=rf"last\.ckpt: expected a checkpoint of {named}"):
            load(path)
    strange: list[Any] = [
        [1, 2],
        torch.zeros(3),
        {"state_dict": {}},
        {"state_dict": {}, "other": {}},
        {"state_dict": {}, entry: 5},
        {"state_dict": {}, entry: {"kind": "feet", "config": {"wings": 2}, "rate": 30.0}},
        {"state_dict": {}, entry: {"kind": "recognizer", "config": {}, "rate": 30.0}},
    ]
    for values in strange:
        torch.save(values, path)
        with pytest.raises(BundleError, match=rf"last\.ckpt: expected a checkpoint of {named}"):
            load(path)


def resume(path: Path) -> None:
    systems = "chereme.systems.fingerspelling"
    main(
        [
            f"--resume={path}",
            f"--output={path.parent}",
            f"--model.class_path={systems}.task.RecognizerTask",
            "--model.init_args.config.stream=landmarks",
            f"--data.class_path={systems}.composed.ComposedData",
            "--data.init_args.exemplars=none",
        ]
    )


@pytest.mark.parametrize(
    ("load", "zipped"),
    [*product([load for load, *_ in LOADERS.values()], (True, False)), (resume, True)],
)
def test_nothing_of_a_checkpoint_is_run(
    load: Callable[[Path], Any], zipped: bool, tmp_path: Path
) -> None:
    mark, path = tmp_path / "executed", tmp_path / "hostile.ckpt"
    content = {"state_dict": {}, "recognizer": {}, "callbacks": Hostile(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BundleError, match=r"hostile\.ckpt.*could run code") as refused:
        load(path)
    # torch advises to switch the protection off.
    assert "weights_only" not in str(refused.value)
    assert "system" in str(refused.value)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the file would have done it
    assert mark.exists()
