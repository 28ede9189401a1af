"""MS-ASL: isolated signs of American Sign Language, parts of videos on YouTube.

H. Joze and O. Koller, *MS-ASL: a large-scale data set and benchmark for understanding American
Sign Language* (BMVC 2019): 25,513 clips of 1,000 classes and 222 signers, by signer in train, val
and test. ``MSASL_train.json``, ``MSASL_val.json`` and ``MSASL_test.json`` are lists of records with
``url, start_time, end_time, label, signer_id, text``; ``MSASL_classes.json`` has the name of each
label. A subset of N classes is the labels below N. ``MSASL_synonym.json`` is not needed: the labels
have been merged by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.metadata import (
    ClipFiles,
    first_folder,
    number_of,
    one_of,
    read_json,
    signer_of,
    split_of,
    text_of,
    whole_of,
    youtube_id,
)
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sign_clips import SignerItem
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.hands.signer_box import Box, check_box

LANGUAGE = "ase"
PUBLISHED = {
    100: {"all": 5736, "train": 3789, "dev": 1190, "test": 757},
    200: {"all": 9719},
    500: {"all": 17823},
    1000: {"all": 25513, "train": 16054, "dev": 5287, "test": 4172},
}
_FIELDS = ("split", "row", "label", "text", "clean_text", "signer_id", "youtube")


@dataset("msasl", Kind.SIGNS)
def read(
    root: str | Path,
    classes: Literal[100, 200, 500, 1000] = 1000,
    *,
    videos: str | Path | None = None,
    names: str | None = None,
) -> Corpus:
    """MS-ASL: American Sign Language on YouTube, up to 1,000 glosses.

    The lists are found by the names of the data set, or as the lists of one subset are named
    elsewhere (``MS_ASL_SI_ASL100_train.json``); those of a part of the splits are enough. Videos
    are whole recordings called by their YouTube id, and items have a start and an end in seconds.
    No way to name clips that have been cut out of them is published: ``names`` says it. Hands are
    looked for in the signer's box, where the list has one, and a tenth of its size round it.

    Dropped and counted: clips that are not on disk, that are no part of a video on YouTube (without
    ``names``), that lack a label or times in seconds, end before they begin, or whose box is none.

    Args:
        root: the folder of the lists.
        classes: how many glosses, 100, 200, 500 or 1000.
        videos: the folder of the videos; if not given videos or raw_videos in the root folder.
        names: pattern of the names of cut clips, without suffix, as {split}/{row:05d}: of split
            (train, val, test), row (in the list of its split, from 0), label, text, clean_text,
            signer_id and youtube.

    Raises InputError for lists that are lacking or of another layout, or if no clip is there;
    UsageError for another number of classes or a pattern that cannot be filled in.
    """
    one_of("classes", classes, PUBLISHED)
    root = Path(root)
    lists = {
        split: path for split in ("train", "val", "test") if (path := _list(root, split, classes))
    }
    if not lists:
        raise InputError(
            f"{root}: expected MSASL_train.json, MSASL_val.json or MSASL_test.json, got none of "
            "them; unpack MS-ASL.zip there"
        )
    words = _class_names(root / "MSASL_classes.json", classes)
    files = ClipFiles(Path(videos) if videos else first_folder(root, ("videos", "raw_videos")))
    builder = CorpusBuilder(f"MS-ASL{classes}")
    for split, path in lists.items():
        for number, record in enumerate(_records(path)):
            row = {**record, "split": split, "row": number}
            label = row.get("label")
            if not (isinstance(label, int) and label >= classes):
                with builder.row(f"{split}/{number:05d}"):
                    builder.add(_item(row, words, files, names))
    return builder.build(PUBLISHED[classes])


def _item(
    row: Mapping[str, Any], words: list[str] | None, files: ClipFiles, names: str | None
) -> Item:
    label = whole_of(row, "label")
    if label < 0:
        raise Unusable("no label", str(label))
    video = youtube_id(str(row.get("url", "")))
    start = end = None
    if names is None:
        if video is None:
            raise Unusable("not a video of YouTube", str(row.get("url", "")))
        # Lists of subsets may give frame numbers alone, and of no known rate.
        start, end = number_of(row, "start_time"), number_of(row, "end_time")
        if not 0 <= start < end:
            raise Unusable("ends before it begins", f"{start:g} to {end:g} s")
        path = files.find(video)
    else:
        path = files.find(_fill(names, {**row, "youtube": video}))
    first, last = row.get("start"), row.get("end")
    counted = last - first if isinstance(first, int) and isinstance(last, int) else 0
    box = _box(row)
    return (Item if box is None else partial(SignerItem, box=box))(
        path=path,
        label=text_of(row, "text") if words is None else words[label],
        id=f"{row['split']}/{row['row']:05d}",
        signer=signer_of(row),
        split=split_of(row, "split"),
        start=start,
        end=end,
        language=LANGUAGE,
        frames=counted if counted > 0 and not path.is_dir() else None,
    )


def _box(row: Mapping[str, Any]) -> Box | None:
    """The signer's box, which the lists have as top, left, bottom, right."""
    if row.get("box") is None:
        return None
    try:
        top, left, bottom, right = (float(edge) for edge in row["box"])
        return check_box((left, top, right, bottom))
    except (InputError, TypeError, ValueError) as error:
        raise Unusable("box that is no part of the picture", str(row["box"])) from error


def _fill(pattern: str, row: Mapping[str, Any]) -> str:
    try:
        return pattern.format(**{name: row.get(name) for name in _FIELDS})
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"names: expected a pattern of {', '.join(f'{{{name}}}' for name in _FIELDS)}, got "
            f"{pattern!r} ({type(error).__name__}: {error})"
        ) from error


def _list(root: Path, split: str, classes: int) -> Path | None:
    names = (f"MSASL_{split}.json", f"MS_ASL_SI_ASL{classes}_{split}.json")
    return next((root / name for name in names if (root / name).is_file()), None)


def _records(path: Path) -> list[dict[str, Any]]:
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError(
            f"{path}: expected a list of records with url, start_time, end_time and label, got "
            "another layout; use the file that comes with the data set"
        )
    return content


def _class_names(path: Path, classes: int) -> list[str] | None:
    if not path.is_file():
        return None
    names = read_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: expected a list of names; use the file of the data set")
    if len(names) < classes:
        raise InputError(
            f"{path}: expected at least {classes} names, got {len(names)}; use the file of the "
            "data set, or read a smaller subset"
        )
    return names
