"""Small data sets on disk, in the layout of the real ones."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture(scope="session")
def picture() -> bytes:
    """The bytes of a JPEG of 32x24 pixels."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height = 32, 24
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 30)
    image = np.full((24, 32, 3), 120, np.uint8)
    return bytes(context.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))[0])


@pytest.fixture(scope="session")
def clip(picture) -> Callable[[Path, Iterable[int]], Path]:
    """``clip(folder, numbers)``: a folder of frames 0001.jpg and so on with these numbers."""

    def make(folder: Path, numbers: Iterable[int]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            (folder / f"{number:04d}.jpg").write_bytes(picture)
        return folder

    return make


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of a data set are believed, without a look at the disk."""
    for module in ("corpus", "sentences"):
        monkeypatch.setattr(f"chereme.datasets.{module}.on_disk", lambda item: None)


@pytest.fixture(scope="session")
def table() -> Callable[..., Path]:
    """``table(path, header, *rows, encoding=..., end=...)``: a CSV table; ``end`` ends lines."""

    def write(
        path: Path, *rows: Iterable[object], encoding: str = "utf-8", end: str = "\n"
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, lineterminator=end).writerows(rows)
        return path

    return write
