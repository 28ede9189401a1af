"""What became of each clip of a data set that is being prepared: ``status.csv``.

A row is written when a clip is done with, in one piece, after the clip itself is on the disk. A row
that was cut off when the machine went down does not count.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from chereme.errors import InputError
from chereme.formats.manifests import Item, read_manifest

NAME = "status.csv"
MANIFEST = "manifest.csv"
"""What is prepared in a folder, beside the status."""


@dataclass(frozen=True, slots=True)
class Row:
    """One clip. ``reason`` is one of a few fixed phrases, to count by; ``detail`` has the rest.

    ``stage`` says who left a clip out: the ``reader`` of the data set, before anything was looked
    at, or the ``preparation``. A reason beside ``done`` is a remark. ``shard`` is the tar in which
    a clip is; ``frames`` how many it has and ``seen`` in how many of them the hand was seen.
    """

    id: str
    split: str
    status: Literal["done", "dropped"]
    reason: str = ""
    detail: str = ""
    stage: Literal["reader", "preparation"] = "preparation"
    shard: str = ""
    frames: int = 0
    seen: int = 0


_COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def read_status(folder: str | Path) -> list[Row]:
    """The rows of ``status.csv`` in ``folder``, none where there is no such file.

    InputError if it is something else.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if reader.fieldnames is None:
        return []
    if tuple(reader.fieldnames) != _COLUMNS:
        raise InputError(
            f"{path}: expected the columns {','.join(_COLUMNS)}, got "
            f"{','.join(reader.fieldnames)!r}; this is no folder of prepared clips, name another"
        )
    cells = list(reader)
    if cells and (None in cells[-1].values() or not text.endswith("\n")):
        del cells[-1]
    try:
        return [_row(row) for row in cells]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: expected rows of {len(_COLUMNS)} cells, got others ({error}); delete the "
            "folder and prepare the data again"
        ) from error


def dropped_items(folder: str | Path, split: str) -> list[Item]:
    """The items of a split, with a label, that the preparation in ``folder`` could not use.

    A score counts them as read wrongly: whoever leaves them out scores easier data than others.
    """
    rows = [row for row in read_status(folder) if row.status == "dropped" and row.split == split]
    ids = {row.id for row in rows if row.stage == "preparation"}
    if not ids:
        return []
    items = read_manifest(Path(folder) / MANIFEST)
    return [item for item in items if item.id in ids and item.label]


def subsets(folder: str | Path) -> Iterator[tuple[str, str]]:
    """Id and subset of each clip of ``folder`` that its manifest says to be of one."""
    path = Path(folder) / MANIFEST
    for item in read_manifest(path) if path.exists() else ():
        if item.subset:
            yield item.id, item.subset


def _row(cells: dict[str, str]) -> Row:
    values: dict[str, Any] = {**cells}
    return Row(**{**values, "frames": int(cells["frames"]), "seen": int(cells["seen"])})


class StatusFile:
    """``status.csv`` in ``folder``, written anew with ``rows`` and open for more."""

    def __init__(self, folder: str | Path, rows: Iterable[Row]) -> None:
        path = Path(folder) / NAME
        self.rows = list(rows)
        fresh = path.with_suffix(".csv.part")
        with fresh.open("w", encoding="utf-8", newline="") as file:
            file.write(_line(_COLUMNS))
            file.writelines(map(_row_line, self.rows))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        self._file: TextIO = path.open("a", encoding="utf-8", newline="")

    def add(self, row: Row) -> None:
        """Write one more row; it is on the disk when this returns."""
        self.rows.append(row)
        self._file.write(_row_line(row))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> StatusFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _row_line(row: Row) -> str:
    return _line(getattr(row, name) for name in _COLUMNS)


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
