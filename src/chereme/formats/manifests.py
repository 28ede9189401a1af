"""Manifests: CSV tables of recordings with their labels, the one form in which data sets come.

A header line, then one line per item. ``path`` and ``label`` are needed; ``id``, ``signer``,
``split``, ``start``, ``end``, ``hand``, ``language``, ``frames``, ``width``, ``height``, ``video``
and ``subset`` are optional, other columns are ignored. Paths are relative to the manifest's own
folder, with either slash, and found whether accents are composed or not; all other text becomes
NFC.
"""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from chereme.errors import InputError, some
from chereme.formats.paths import FileFinder, nfc
from chereme.formats.tables import read_rows

Split = Literal["train", "dev", "test"]
Hand = Literal["auto", "left", "right"]

COLUMNS = (
    *("path", "label", "id", "signer", "split", "start", "end", "hand", "language"),
    *("frames", "width", "height", "video", "subset"),
)
_NEEDED = COLUMNS[:2]
SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What tables and folders call the splits, in lower case."""


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, or the part of it from ``start`` up to ``end``, seconds as a player shows them.

    A frame that is shown at ``end`` is not of the part. ``start`` None is the beginning, ``end``
    None the end of the recording. ``label`` is what is signed; it is empty for a recording in which
    nothing is. ``id`` is unique in its manifest. ``hand`` is the signer's own hand that signs.
    ``language`` is a language code, as ``ase`` for American Sign Language. ``frames`` is the number
    of pictures of the item, ``width`` and ``height`` their size in pixels: what its source says,
    read without decoding, for statistics and planning. ``video`` is the recording that the poses of
    ``path`` were found in, from its beginning. ``subset`` names a part of the data set that is
    scored by itself too. All but path, label, id and hand are None where not
    stated.
    """

    path: Path
    label: str
    id: str
    signer: str | None = None
    split: Split | None = None
    start: float | None = None
    end: float | None = None
    hand: Hand = "auto"
    language: str | None = None
    frames: int | None = None
    width: int | None = None
    height: int | None = None
    video: Path | None = None
    subset: str | None = None


def read_manifest(path: str | Path) -> list[Item]:
    """Read all items, whether their files exist or not (see :func:`missing_files`).

    Tables are as :func:`chereme.formats.tables.read_rows` takes them. Cells that are lacking at the
    end of a row are empty, empty ones too many are ignored. Without an ``id`` an item is called by
    its path and, if it has one, its time span. A row that says again what an earlier one says is
    left out; a UserWarning counts and names such rows.

    Raises InputError, naming line and column, for a needed column or cell that is lacking, a value
    that cannot be, and an id, or a clip without one, that comes again with other content.
    """
    path = Path(path)
    columns: list[str] | None = None
    items: list[Item] = []
    first: dict[str, tuple[int, Item]] = {}
    repeated: list[str] = []
    finder = FileFinder(path.parent)
    for line, cells in read_rows(path):
        where = f"{path}, line {line}"
        if columns is None:
            columns = _columns(cells, where)
            continue
        item = _item(_pair(columns, cells, where), finder, where)
        earlier, same = first.setdefault(item.id, (line, item))
        if earlier == line:
            items.append(item)
        elif item == same:
            repeated.append(f"line {line} (as line {earlier})")
        else:
            raise InputError(
                f"{where}, column id: expected a name that is used once, got {item.id!r} "
                f"as in line {earlier}, which says something else of it (label {same.label!r}, "
                f"here {item.label!r}); correct one of them, or give each item its own id"
            )
    if columns is None:
        raise InputError(f"{path}: expected a header line with path,label; the file is empty")
    if repeated:
        warnings.warn(
            f"{path}: {len(repeated)} of {len(items) + len(repeated)} rows repeat an earlier one "
            f"and are left out: {some(repeated)}",
            stacklevel=2,
        )
    return items


def missing_files(items: Iterable[Item]) -> list[Item]:
    """The items whose file or folder does not exist; leave them out and say n of N."""
    return [item for item in items if not os.path.exists(item.path)]


def write_manifest(items: Sequence[Item], path: str | Path) -> None:
    """Write a manifest that reads back equal; paths are stored relative to its folder.

    Optional columns that no item uses are left out.
    """
    path = Path(path)
    folder = path.parent
    used = [
        name
        for name in COLUMNS
        if name in (*_NEEDED, "id") or any(_cell(item, name, folder) for item in items)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(used)
        writer.writerows([_cell(item, name, folder) for name in used] for item in items)


def _cell(item: Item, name: str, folder: Path) -> str:
    value = getattr(item, name)
    if isinstance(value, Path):
        try:
            return Path(os.path.relpath(value, folder)).as_posix()
        except ValueError:  # on another drive of Windows
            return value.absolute().as_posix()
    if value is None or (name == "hand" and value == "auto"):
        return ""
    return str(value)


def _columns(cells: list[str], where: str) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    lacking = [name for name in _NEEDED if name not in names]
    if lacking:
        raise InputError(
            f"{where}: expected a header with the columns path,label, got {','.join(names)!r}: "
            f"{' and '.join(lacking)} lacking"
        )
    for name in COLUMNS:
        if names.count(name) > 1:
            raise InputError(f"{where}: expected each column once, got {name!r} twice")
    return names


def _pair(columns: list[str], cells: list[str], where: str) -> dict[str, str]:
    values = [cell.strip() for cell in cells]
    while len(values) > len(columns) and not values[-1]:
        values.pop()
    needed = 1 + max(columns.index(name) for name in _NEEDED)
    if not needed <= len(values) <= len(columns):
        raise InputError(
            f"{where}: expected {len(columns)} cells ({','.join(columns)}), got {len(cells)}; put "
            "quotes round a cell that holds a separator"
        )
    values += [""] * (len(columns) - len(values))
    return {
        # Files keep the name that they have.
        name: value if name in ("path", "video") else nfc(value)
        for name, value in zip(columns, values, strict=True)
    }


def _item(row: dict[str, str], finder: FileFinder, where: str) -> Item:
    if not row["path"]:
        raise InputError(f"{where}, column path: expected a file or folder, got nothing")
    start, end = _seconds(row, "start", where), _seconds(row, "end", where)
    if end is not None and end <= (start or 0.0):
        raise InputError(
            f"{where}, column end: expected seconds after the start ({start or 0.0:g}), got {end:g}"
        )
    span = "" if start is None and end is None else f"#{row.get('start')}-{row.get('end')}"
    return Item(
        path=finder.find(row["path"]),
        label=row["label"],
        id=row.get("id") or nfc(row["path"]).replace("\\", "/") + span,
        signer=row.get("signer") or None,
        split=_split(row, where),
        start=start,
        end=end,
        hand=cast("Hand", _one_of(row, "hand", ("auto", "left", "right"), where) or "auto"),
        language=row.get("language") or None,
        frames=_count(row, "frames", where),
        width=_count(row, "width", where),
        height=_count(row, "height", where),
        video=finder.find(row["video"]) if row.get("video") else None,
        subset=row.get("subset") or None,
    )


def split_named(name: str) -> Split | None:
    """The split that people call ``name``, None if it is called otherwise."""
    return SPLIT_NAMES.get(name.lower())


def _split(row: dict[str, str], where: str) -> Split | None:
    text = row.get("split")
    split = split_named(text) if text else None
    if text and split is None:
        raise InputError(
            f"{where}, column split: expected train, dev (val, valid, validation), test or "
            f"nothing, got {text!r}"
        )
    return split


def _seconds(row: dict[str, str], column: str, where: str) -> float | None:
    text = row.get(column)
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))  # the decimal sign of half the world's spreadsheets
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{where}, column {column}: expected seconds from 0 on, got {text!r}")
    return value


def _count(row: dict[str, str], column: str, where: str) -> int | None:
    text = row.get(column)
    if not text:
        return None
    count = whole_number(text)
    if count is None or count < 1:
        raise InputError(f"{where}, column {column}: expected a whole number from 1, got {text!r}")
    return count


def whole_number(text: str) -> int | None:
    """The number that a cell holds, or None. Tables that had gaps once say ``22.0`` for 22."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _one_of(row: dict[str, str], column: str, allowed: Sequence[str], where: str) -> str | None:
    value = row.get(column, "").lower()
    if value and value not in allowed:
        raise InputError(
            f"{where}, column {column}: expected {', '.join(allowed)} or nothing, "
            f"got {row[column]!r}"
        )
    return value or None
