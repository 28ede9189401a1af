"""ChicagoFSWild and ChicagoFSWild+: fingerspelling cut out of videos on the web, as frames.

B. Shi et al., *American Sign Language fingerspelling recognition in the wild* (SLT 2018), and
*Fingerspelling recognition in the wild with iterative visual attention* (ICCV 2019). A table
(``ChicagoFSWild.csv``, ``ChicagoFSWildPlus.csv``) has a row per clip; its frames are
``<frames>/<filename>/0001.jpg`` and so on, numbered from 1. The official partition is
signer-independent. There is no frame rate in either; readers of frame folders assume one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.metadata import escapes, first_file, read_table, split_of
from chereme.datasets.registry import Kind, dataset
from chereme.formats.manifests import Item, whole_number
from chereme.text.alphabet import CHICAGO

LANGUAGE = "ase"
_NEEDED = ("filename", "number_of_frames", "label_proc", "partition", "signer")

# Clips with a label, as the papers count them.
PUBLISHED = {
    "ChicagoFSWild": {"all": 7304, "train": 5455, "dev": 981, "test": 868},
    "ChicagoFSWildPlus": {"all": 55232, "train": 50402, "dev": 3115, "test": 1715},
}


@dataset("chicagofswild", Kind.SPELLING)
def read(root: str | Path, frames: str | Path | None = None) -> Corpus:
    """ChicagoFSWild: American Sign Language on the web, 7,304 clips of frames.

    The partition is the official one. Dropped and counted: rows with no file name, no label, a
    partition other than train, dev or test, a file name that leaves the folder of the frames or
    comes a second time, characters that the alphabet (:data:`CHICAGO`) does not have, and clips
    that are not on disk or lack too many frames. A part of the data set is enough.

    Args:
        root: the folder of ChicagoFSWild.csv.
        frames: the folder that the file names of the table start from; if not given it is looked
            for in the root folder, by the names that unpacking the archive leaves.

    InputError if the table is lacking, has other columns, or no row can be used.
    """
    return _read(Path(root), "ChicagoFSWild", frames)


@dataset("chicagofswildplus", Kind.SPELLING)
def read_plus(root: str | Path, frames: str | Path | None = None) -> Corpus:
    """ChicagoFSWild+: the same from many more signers, 55,232 clips.

    Args:
        root: the folder of ChicagoFSWildPlus.csv.
        frames: as of chicagofswild.
    """
    return _read(Path(root), "ChicagoFSWildPlus", frames)


def _read(root: Path, name: str, frames: str | Path | None) -> Corpus:
    table = first_file(root, f"{name}.csv", hint="the folder into which the archive was unpacked")
    rows = list(read_table(table, _NEEDED, loose=True))
    if frames is None:
        folder = _find_frames(root, name, [row["filename"].strip() for _, row in rows if row])
    else:
        folder = Path(frames)
    builder = CorpusBuilder(name, CHICAGO)
    for where, row in rows:
        with builder.row(_text(row, "filename") or where if row else where):
            builder.add(_item(row, folder), first_number=1)
    return builder.build(PUBLISHED[name])


def _item(row: Mapping[str, str], folder: Path) -> Item:
    if not row:
        raise Unusable("row of another length than the header")
    file, label = _text(row, "filename"), row["label_proc"]
    if not file:
        raise Unusable("no file name")
    if escapes(file):
        raise Unusable("file name leaves the folder of the clips", file)
    # Only 'NaN' as programs write it is a gap. Readers that also take 'nan', 'null' or 'na' for one
    # lose clips in which somebody spells just that.
    if label.strip() in ("", "NaN"):
        raise Unusable("no label", row.get("label_notes", "").strip())
    return Item(
        path=folder / file,
        label=label,
        id=file,
        signer=_text(row, "signer") or None,
        split=split_of(row, "partition"),
        language=LANGUAGE,
        frames=_positive(row["number_of_frames"]),
        width=_positive(row.get("width", "")),
        height=_positive(row.get("height", "")),
    )


def _find_frames(root: Path, name: str, files: Iterable[str]) -> Path:
    """The first folder, by the names that are in use, that holds any of the clips; else ``root``.

    The frames are an archive of their own (``<name>-Frames.tgz``) without a fixed place.
    """
    archive = f"{name}-Frames"
    usable = [file for file in files if not escapes(file)]
    places = (".", archive, f"{archive}/{archive}", f"{archive}/{name}", name, "frames")
    for place in (*places, f"frames/{name}"):
        folder = root / place
        if folder.is_dir() and any((folder / file).is_dir() for file in usable):
            return folder
    return root


def _text(row: Mapping[str, str], column: str) -> str:
    """A cell, empty where there is ``nan``."""
    cell = row[column].strip()
    return "" if cell.lower() == "nan" else cell


def _positive(cell: str) -> int | None:
    number = whole_number(cell)
    return number if number and number > 0 else None
