"""ChicagoFSWild and ChicagoFSWild+: fingerspelling cut out of videos on the web, as frames.

B. Shi et al., *American Sign Language fingerspelling recognition in the wild* (SLT 2018), and
*Fingerspelling recognition in the wild with iterative visual attention* (ICCV 2019). A table
(``ChicagoFSWild.csv``, ``ChicagoFSWildPlus.csv``) has a row per clip; its frames are
``<frames>/<filename>/0001.jpg`` and so on, numbered from 1. The official partition is
signer-independent. There is no frame rate in either; readers of frame folders assume one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import cast

from chereme.datasets.corpus import SPLITS, Corpus, CorpusBuilder
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split, whole_number
from chereme.formats.tables import read_rows
from chereme.text.alphabet import CHICAGO

LANGUAGE = "ase"
_NEEDED = ("filename", "number_of_frames", "label_proc", "partition", "signer")

# Clips with a label, as the papers count them.
PUBLISHED = {
    "ChicagoFSWild": {"all": 7304, "train": 5455, "dev": 981, "test": 868},
    "ChicagoFSWildPlus": {"all": 55232, "train": 50402, "dev": 3115, "test": 1715},
}


def read(
    root: str | Path,
    *,
    name: str | None = None,
    frames: str | Path | None = None,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read the data set in ``root`` by its own table, with the official partition.

    ``name`` is ``ChicagoFSWild`` or ``ChicagoFSWildPlus``; None takes the one whose table is there.
    ``frames`` is the folder that the file names of the table start from; None looks for it under
    ``root``, by the names that unpacking the archive leaves. ``check_frames`` and ``least_frames``
    as in :class:`CorpusBuilder`.

    Dropped and counted: rows with no file name, no label, a partition other than train, dev or
    test, a file name that leaves the folder of the frames or comes a second time, characters that
    the alphabet of these data sets (:data:`CHICAGO`) does not have, and clips that are not on disk
    or lack too many frames. A part of the data set is enough.

    Raises InputError if the table is lacking, has other columns, or no row can be used;
    UsageError for a name that is no data set of these, or if both are there and none is named.
    """
    root = Path(root)
    name = name or _find_name(root)
    if name not in PUBLISHED:
        raise UsageError(f"name: expected {' or '.join(PUBLISHED)}, got {name!r}")
    rows = list(_rows(root / f"{name}.csv"))
    if frames is None:
        folder = _find_frames(root, name, [row["filename"] for _, row in rows if row])
    else:
        folder = Path(frames)

    builder = CorpusBuilder(name, CHICAGO, check_frames=check_frames, least_frames=least_frames)
    for line, row in rows:
        if row is None:
            builder.drop(f"line {line}", "row of another length than the header")
            continue
        file, partition = row["filename"], row["partition"].lower()
        if reason := _bad_file(file):
            builder.drop(f"line {line}", reason, file)
        elif not _has_label(row["label_proc"]):
            builder.drop(file, "no label", row.get("label_notes", ""))
        elif partition not in SPLITS:
            builder.drop(file, "partition is not train, dev or test", row["partition"])
        else:
            item = Item(
                path=folder / file,
                label=row["label_proc"],
                id=file,
                signer=row["signer"] if _has(row["signer"]) else None,
                split=cast("Split", partition),
                language=LANGUAGE,
                frames=_positive(row["number_of_frames"]),
                width=_positive(row.get("width", "")),
                height=_positive(row.get("height", "")),
            )
            builder.add(item, first_number=1)
    return builder.build(PUBLISHED[name])


def read_lists(
    lists: str | Path,
    frames: str | Path,
    *,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read ``train.csv``, ``dev.csv`` and ``test.csv`` in the folder ``lists``, or those there are.

    They are the lists that the code of the ICCV 2019 paper works with: no header, a row
    ``file name,label,number of frames`` for each clip. They name no signer, so that nobody can
    check by them that the splits share none. Otherwise as :func:`read`, and ``frames`` is needed.
    """
    lists, frames = Path(lists), Path(frames)
    there = [split for split in SPLITS if (lists / f"{split}.csv").is_file()]
    if not there:
        raise InputError(
            f"{lists}: expected train.csv, dev.csv or test.csv (file name,label,number of frames; "
            "no header), got none of them; give the folder that holds the lists"
        )
    builder = CorpusBuilder(
        lists.name, CHICAGO, check_frames=check_frames, least_frames=least_frames
    )
    for split in there:
        for line, cells in read_rows(lists / f"{split}.csv"):
            where = f"{split}.csv line {line}"
            if len(cells) != 3:
                builder.drop(where, "row of another length than file name,label,frames")
                continue
            file, label, count = cells[0].strip(), cells[1], cells[2]
            if reason := _bad_file(file):
                builder.drop(where, reason, file)
            elif not _has_label(label):
                builder.drop(file, "no label")
            else:
                item = Item(
                    path=frames / file,
                    label=label,
                    id=file,
                    split=cast("Split", split),
                    language=LANGUAGE,
                    frames=_positive(count),
                )
                builder.add(item, first_number=1)
    return builder.build()


def _find_name(root: Path) -> str:
    there = [name for name in PUBLISHED if (root / f"{name}.csv").is_file()]
    if not there:
        raise InputError(
            f"{root}: expected {' or '.join(f'{name}.csv' for name in PUBLISHED)}, got neither; "
            "give the folder into which the archive was unpacked"
        )
    if len(there) > 1:
        raise UsageError(f"{root}: has {' and '.join(there)}; say which by name")
    return there[0]


def _find_frames(root: Path, name: str, files: Iterable[str]) -> Path:
    """The first folder, by the names that are in use, that holds any of the clips; else ``root``.

    The frames are an archive of their own (``<name>-Frames.tgz``) without a fixed place.
    """
    archive = f"{name}-Frames"
    usable = [file for file in files if not _bad_file(file)]
    places = (".", archive, f"{archive}/{archive}", f"{archive}/{name}", name, "frames")
    for place in (*places, f"frames/{name}"):
        folder = root / place
        if folder.is_dir() and any((folder / file).is_dir() for file in usable):
            return folder
    return root


def _rows(table: Path) -> Iterable[tuple[int, dict[str, str] | None]]:
    """Rows by column, with their lines; None for a row of another length than the header.

    Columns go by name: copies of the table differ in whether a nameless one with row numbers leads.
    """
    header: Sequence[str] | None = None
    for line, cells in read_rows(table):
        if header is None:
            header = [cell.strip() for cell in cells]
            lacking = [column for column in _NEEDED if column not in header]
            if lacking:
                raise InputError(
                    f"{table}, line {line}: expected a header with {','.join(_NEEDED)}, got "
                    f"{','.join(header)!r}: {' and '.join(lacking)} lacking; use the table that "
                    "comes with the data set"
                )
        elif len(cells) == len(header):
            row = dict(zip(header, cells, strict=True))
            yield line, {name: c if name == "label_proc" else c.strip() for name, c in row.items()}
        else:
            yield line, None
    if header is None:
        raise InputError(f"{table}: expected a header with {','.join(_NEEDED)}; the file is empty")


def _has(cell: str) -> bool:
    return cell.lower() not in ("", "nan")


def _has_label(cell: str) -> bool:
    # Only 'NaN' as programs write it is a gap. Readers that also take 'nan', 'null' or 'na' for one
    # lose clips in which somebody spells just that.
    return cell.strip() not in ("", "NaN")


def _bad_file(file: str) -> str | None:
    """Why a file name is none, or None."""
    if not _has(file):
        return "no file name"
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return "file name leaves the folder of the frames"
    return None


def _positive(cell: str) -> int | None:
    number = whole_number(cell)
    return number if number and number > 0 else None
