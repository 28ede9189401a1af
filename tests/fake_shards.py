"""Shards of clips whose letters are colours; one thread: tiny networks gain nothing from more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from chereme.datasets.clips import CropSettings
from chereme.datasets.prepare_crops import check_settings
from chereme.datasets.shards import Sample, jpeg_of, write
from chereme.datasets.status import MANIFEST, Row, StatusFile
from chereme.formats.manifests import Item, write_manifest

COLOURS = {"a": (220, 40, 40), "b": (40, 200, 60), "c": (50, 70, 230), " ": (120, 120, 120)}
SIZE = 24
DIM = 6  # of the teacher's vectors
MADE = CropSettings(size=SIZE, padding=0.31, smoothing=1.5)  # as the folders say


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def vectors_of(shown: str, mirrored: bool) -> np.ndarray:
    """The letter's number; the last column tells mirrored crops."""
    vectors = np.zeros((len(shown), DIM), np.float32)
    for row, letter in zip(vectors, shown, strict=True):
        row[list(COLOURS).index(letter)] = 1.0
    vectors[:, -1] = -1.0 if mirrored else 1.0
    return vectors


def coloured_clip(
    name: str,
    label: str,
    split: str = "train",
    *,
    hold: int = 4,
    absent: tuple[int, ...] = (),
    teacher: bool = True,
    mirrored: bool = True,
) -> Sample:
    """``hold`` frames of each letter's colour and 2 of grey after it; the left half is darker."""
    shown = "".join(letter * hold + "  " for letter in label) or "    "
    rng = np.random.default_rng(sum(map(ord, name + label)))
    jpegs: list[bytes | None] = []
    for frame, letter in enumerate(shown):
        crop = np.full((SIZE, SIZE, 3), COLOURS[letter], np.float64) + rng.normal(0, 4, 3)
        crop[:, : SIZE // 2] *= 0.5
        jpegs.append(None if frame in absent else jpeg_of(crop.clip(0, 255).astype(np.uint8)))
    frames = len(shown)
    return Sample(
        id=name,
        label=label,
        signer=f"signer {name[0]}",
        split=split,
        rate=25.0,
        handedness="right",
        jpegs=tuple(jpegs),
        landmarks=np.zeros((frames, 21, 3), np.float32),
        confidence=np.ones((frames, 21), np.float32),
        boxes=np.tile(np.array([0, 0, SIZE, SIZE], np.float32), (frames, 1)),
        teacher={"toy": vectors_of(shown, False)} if teacher else {},
        teacher_mirrored={"toy": vectors_of(shown, True)} if teacher and mirrored else {},
        size=SIZE,
    )


LABELS = ("abc", "cab", "b", "aa", "bca", "cb", "acca", "ba", "c", "bac", "ab", "ccb")


@pytest.fixture(scope="session")
def coloured_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips in train, three shards; the first six again in dev and test."""
    folder = tmp_path_factory.mktemp("shards")
    for start in range(0, len(LABELS), 4):
        few = LABELS[start : start + 4]
        write([coloured_clip(f"t{start + i}", few[i]) for i in range(4)], folder)
    for split in ("dev", "test"):
        write([coloured_clip(f"{split}{i}", LABELS[i], split) for i in range(6)], folder)
    check_settings(folder, "coloured", MADE, {"toy": DIM})
    return folder


@pytest.fixture
def make_clip() -> Callable[..., Sample]:
    return coloured_clip


def with_dropped(folder: Path, target: Path, label: str) -> Path:
    """A copy of prepared clips as they are where no hand was seen in one more, of the test, with
    that label. One that the data set's reader could not use is beside it."""
    shutil.copytree(folder, target)
    items = [Item(target / name, label, name, "s", "test") for name in ("unseen", "unread")]
    write_manifest(items, target / MANIFEST)
    rows = [
        Row("unseen", "test", "dropped", "no hand seen"),
        Row("unread", "", "dropped", "not on disk", stage="reader"),
    ]
    StatusFile(target, rows).__exit__()
    return target
