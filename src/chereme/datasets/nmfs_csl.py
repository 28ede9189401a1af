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

from pathlib import Path
from typing import Literal

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.metadata import ClipFiles, distinct, first_folder, one_of, read_table
from chereme.datasets.registry import Kind, dataset
from chereme.errors import InputError
from chereme.formats.manifests import Item, Split, whole_number
from chereme.formats.tables import read_rows

LANGUAGE = "csl"
CLASSES = 1067
PUBLISHED = {"all": 32010, "train": 25608, "test": 6402}

_LISTS: dict[Split, str] = {"train": "uni_trainlist01.csv", "test": "uni_testlist01.csv"}


@dataset("nmfs-csl", Kind.SIGNS)
def read(
    root: str | Path,
    subset: Literal["all", "confusing", "normal"] = "all",
    *,
    videos: str | Path | None = None,
    metadata: str | Path | None = None,
) -> Corpus:
    """NMFs-CSL: Chinese Sign Language, 1,067 words that differ by face or body.

    Of the two lists one is enough. They name no signer. Dropped and counted: rows of another
    length, or whose label is no number of a word, names that leave the folder of the clips, and
    clips that are not on disk.

    Args:
        root: the folder of the lists.
        subset: which words; needs the table of words. Of all words the score of a training tells
            these apart.
        videos: the folder that the lists start from; if not given jpg_video in the root folder, or
            the root folder.
        metadata: a table label,word,kind with a row for each word, its number in the lists, its
            name, and confusing or normal; if not given words.csv in the root folder. Without it
            labels are the numbers.

    Raises InputError for lists or a table that are lacking or of another layout, or if no clip is
    there; UsageError for another subset.
    """
    one_of("subset", subset, ("all", "confusing", "normal"))
    root = Path(root)
    lists = {split: root / name for split, name in _LISTS.items() if (root / name).is_file()}
    if not lists:
        raise InputError(
            f"{root}: expected {' or '.join(_LISTS.values())}, got neither; give the folder that "
            "holds the lists of the data set"
        )
    table = Path(metadata) if metadata else root / "words.csv"
    names, kinds = _words(table) if metadata or table.is_file() else ({}, {})
    if subset != "all" and not kinds:
        raise InputError(
            f"{root}: expected a table of words to tell which are {subset}, got none; write "
            "words.csv with the header label,word,kind and a row for each word"
        )
    files = ClipFiles(Path(videos) if videos else first_folder(root, ("jpg_video",)))
    builder = CorpusBuilder("NMFs-CSL" if subset == "all" else f"NMFs-CSL, {subset} words")
    for split, path in lists.items():
        for line, cells in read_rows(path):
            clip, label = cells[0].strip(), whole_number(cells[-1])
            if len(cells) == 2 and subset != "all" and kinds.get(label) != subset:  # type: ignore[arg-type]
                continue
            where = f"{path.name} line {line}"
            with builder.row(where if len(cells) != 2 or not clip else clip):
                if len(cells) != 2:
                    raise Unusable("row of another length than clip,label")
                found = files.find(clip)
                if label is None or not 0 <= label < CLASSES or (names and label not in names):
                    raise Unusable("label is no number of a word", cells[1].strip())
                word, kind = names.get(label, f"{label:04d}"), kinds.get(label)
                builder.add(Item(found, word, clip, split=split, language=LANGUAGE, subset=kind))
    # The papers count the clips of all words only.
    return builder.build(PUBLISHED if subset == "all" else {})


def _words(table: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Names and kinds of the words by number."""
    names: dict[int, str] = {}
    kinds: dict[int, str] = {}
    for where, row in read_table(table, ("label", "word", "kind")):
        number = whole_number(row["label"])
        if number is None or not row["word"] or row["kind"] not in ("confusing", "normal"):
            raise InputError(
                f"{where}: expected a number, a word and confusing or normal, got "
                f"{','.join(row.values())!r}"
            )
        names[number], kinds[number] = row["word"], row["kind"]
    return distinct(names, 4), kinds
