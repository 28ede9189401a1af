"""NMFs-CSL: words of Chinese Sign Language, many of which differ only by face or body.

H. Hu et al., *Global-local enhancement network for NMFs-aware sign language recognition* (TOMM
2021): 1,067 words, of which 610 are confusing and 457 normal; 32,010 clips, to be had on signing
an agreement. The lists ``uni_trainlist01.csv`` and ``uni_testlist01.csv`` have a row
``<folder>/<clip>,<number of the word>`` for each clip, without a header; the frames of a clip are
``jpg_video/<folder>/<clip>/image_00001.jpg`` and so on.

Which words are confusing is not public in a form that could be checked, and so is not guessed: it
comes from a table of words that the user gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from chereme.datasets.corpus import Corpus, CorpusBuilder
from chereme.datasets.metadata import ClipFiles, distinct, escapes, first_folder
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split, whole_number
from chereme.formats.tables import read_rows

Subset = Literal["all", "confusing", "normal"]

LANGUAGE = "csl"
CLASSES = 1067
PUBLISHED = {"all": 32010, "train": 25608, "test": 6402}

_LISTS = {"train": "uni_trainlist01.csv", "test": "uni_testlist01.csv"}
_WORDS = ("label", "word", "kind")


def read(
    root: str | Path,
    subset: Subset = "all",
    *,
    clips: str | Path | None = None,
    words: str | Path | None = None,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read the clips of the two lists in ``root``, or of the one that is there.

    ``clips`` is the folder that the lists start from; None is ``jpg_video`` in ``root``, or
    ``root``. ``words`` is a table with the header ``label,word,kind`` and a row for each word: its
    number in the lists, its name, and ``confusing`` or ``normal``; None takes ``words.csv`` in
    ``root`` if it is there. Without it labels are the numbers, and ``subset`` has to be all. No
    signer is named in the lists. ``check_frames`` and ``least_frames`` as in
    :class:`CorpusBuilder`.

    Dropped and counted: rows of another length, or whose label is no number of a word, names that
    leave the folder of the clips, and clips that are not on disk. Raises InputError for lists or a
    table that are lacking or of another layout, or if no clip is there; UsageError for another
    subset.
    """
    if subset not in ("all", "confusing", "normal"):
        raise UsageError(f"subset: expected all, confusing or normal, got {subset!r}")
    root = Path(root)
    lists = {split: root / name for split, name in _LISTS.items() if (root / name).is_file()}
    if not lists:
        raise InputError(
            f"{root}: expected {' or '.join(_LISTS.values())}, got neither; give the folder that "
            "holds the lists of the data set"
        )
    names, kinds = _words(root, words)
    if subset != "all" and not kinds:
        raise InputError(
            f"{root}: expected a table of words to tell which are {subset}, got none; write "
            "words.csv with the header label,word,kind and a row for each word"
        )
    files = ClipFiles(first_folder(root, ("jpg_video",)) if clips is None else Path(clips))
    builder = CorpusBuilder(
        "NMFs-CSL" if subset == "all" else f"NMFs-CSL, {subset} words",
        None,
        check_frames=check_frames,
        least_frames=least_frames,
    )
    for split, path in lists.items():
        for line, cells in read_rows(path):
            where = f"{path.name} line {line}"
            if len(cells) != 2:
                builder.drop(where, "row of another length than clip,label")
                continue
            clip, label = cells[0].strip(), whole_number(cells[1])
            if subset != "all" and (label is None or kinds.get(label) != subset):
                continue
            if escapes(clip):
                builder.drop(where, "file name leaves the folder of the clips", clip)
            elif label is None or not 0 <= label < CLASSES or (names and label not in names):
                builder.drop(clip, "label is no number of a word", cells[1].strip())
            else:
                builder.add(_item(clip, names.get(label, f"{label:04d}"), split, files))
    # The papers count the clips of all words only.
    return builder.build(PUBLISHED if subset == "all" else {})


def _item(clip: str, label: str, split: str, files: ClipFiles) -> Item:
    return Item(
        path=files.find(clip),
        label=label,
        id=clip,
        split=cast("Split", split),
        language=LANGUAGE,
    )


def _words(root: Path, table: str | Path | None) -> tuple[Mapping[int, str], Mapping[int, str]]:
    """Names and kinds by number; both empty where there is no table."""
    path = root / "words.csv" if table is None else Path(table)
    if table is None and not path.is_file():
        return {}, {}
    names: dict[str, str] = {}
    kinds: dict[int, str] = {}
    header: list[str] | None = None
    for line, cells in read_rows(path):
        cells = [cell.strip() for cell in cells]
        if header is None:
            header = [cell.lower() for cell in cells]
            if sorted(header) != sorted(_WORDS):
                raise InputError(
                    f"{path}, line {line}: expected the header {','.join(_WORDS)}, got "
                    f"{','.join(cells)!r}"
                )
            continue
        row = dict(zip(header, cells, strict=False))
        number = whole_number(row.get("label", ""))
        if number is None or not row.get("word") or row.get("kind") not in ("confusing", "normal"):
            raise InputError(
                f"{path}, line {line}: expected a number, a word and confusing or normal, got "
                f"{','.join(cells)!r}"
            )
        names[f"{number:04d}"] = row["word"]
        kinds[number] = row["kind"]
    return {int(number): name for number, name in distinct(names).items()}, kinds
