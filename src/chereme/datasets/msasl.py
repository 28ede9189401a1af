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
from pathlib import Path
from typing import Any, cast

from chereme.datasets.corpus import Corpus, CorpusBuilder
from chereme.datasets.metadata import (
    BadRow,
    ClipFiles,
    escapes,
    first_folder,
    number_of,
    read_json,
    text_of,
    whole_of,
    youtube_id,
)
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split

LANGUAGE = "ase"
SUBSETS = (100, 200, 500, 1000)
PUBLISHED = {
    100: {"all": 5736, "train": 3789, "dev": 1190, "test": 757},
    200: {"all": 9719},
    500: {"all": 17823},
    1000: {"all": 25513, "train": 16054, "dev": 5287, "test": 4172},
}

_SPLITS = {"train": "train", "val": "dev", "test": "test"}
_FIELDS = ("split", "row", "label", "text", "clean_text", "signer_id", "youtube")


def read(
    root: str | Path,
    classes: int = 1000,
    *,
    videos: str | Path | None = None,
    clips: str | None = None,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read the subset of the labels below ``classes`` (100, 200, 500, 1000), as it was published.

    The lists are looked for in ``root`` by the names of the data set, or as the lists of one subset
    are named elsewhere (``MS_ASL_SI_ASL100_train.json``); those of a part of the splits are enough.
    ``videos`` is the folder of the videos; None looks for ``videos`` or ``raw_videos`` in ``root``.
    They are whole recordings called by their YouTube id, and items have a start and an end in
    seconds. No way to name clips that have been cut out of them is published: ``clips`` is the
    pattern of their names without suffix, as ``{split}/{row:05d}``, of the fields split (train,
    val, test), row (in the list of its split, from 0), label, text, clean_text, signer_id and
    youtube.
    ``check_frames`` and ``least_frames`` as in :class:`CorpusBuilder`.

    Dropped and counted: clips that are not on disk, that are no part of a video on YouTube (where
    ``clips`` is None), that lack a label or times in seconds, or end before they begin.

    Raises InputError for lists that are lacking or of another layout, or if no clip is there;
    UsageError for another number of classes or a pattern that cannot be filled in.
    """
    if classes not in SUBSETS:
        raise UsageError(f"classes: expected {', '.join(map(str, SUBSETS))}, got {classes}")
    root = Path(root)
    lists = {split: path for split in _SPLITS if (path := _list(root, split, classes))}
    if not lists:
        raise InputError(
            f"{root}: expected MSASL_train.json, MSASL_val.json or MSASL_test.json, got none of "
            "them; unpack MS-ASL.zip there"
        )
    names = _class_names(root / "MSASL_classes.json", classes)
    folder = first_folder(root, ("videos", "raw_videos")) if videos is None else Path(videos)
    files = ClipFiles(folder)
    builder = CorpusBuilder(
        f"MS-ASL{classes}", None, check_frames=check_frames, least_frames=least_frames
    )
    for split, path in lists.items():
        for row, record in enumerate(_records(path)):
            id = f"{split}/{row:05d}"
            label = record.get("label")
            if isinstance(label, int) and label >= classes:
                continue
            try:
                builder.add(_item(id, record, names, files, clips))
            except BadRow as bad:
                builder.drop(id, bad.reason, bad.detail)
    return builder.build(PUBLISHED[classes])


def _item(
    id: str, row: Mapping[str, Any], names: list[str] | None, files: ClipFiles, clips: str | None
) -> Item:
    label = whole_of(row, "label")
    if label < 0:
        raise BadRow("no label", str(label))
    video = youtube_id(str(row.get("url", "")))
    start = end = None
    if clips is None:
        if video is None:
            raise BadRow("not a video of YouTube", str(row.get("url", "")))
        # Lists of subsets may give frame numbers alone, and of no known rate.
        start, end = number_of(row, "start_time"), number_of(row, "end_time")
        if not 0 <= start < end:
            raise BadRow("ends before it begins", f"{start:g} to {end:g} s")
        name = video
    else:
        name = _fill(clips, id, {**row, "youtube": video})
    split = id.partition("/")[0]
    path = files.find(name)
    return Item(
        path=path,
        label=text_of(row, "text") if names is None else names[label],
        id=id,
        signer=None if row.get("signer_id") in (None, -1) else str(row["signer_id"]),
        split=cast("Split", _SPLITS[split]),
        start=start,
        end=end,
        language=LANGUAGE,
        frames=None if path.is_dir() else _frames(row),
    )


def _frames(row: Mapping[str, Any]) -> int | None:
    first, last = row.get("start"), row.get("end")
    counted = last - first if isinstance(first, int) and isinstance(last, int) else 0
    return counted if counted > 0 else None


def _fill(pattern: str, id: str, row: Mapping[str, Any]) -> str:
    split, _, number = id.partition("/")
    fields = {name: row.get(name) for name in _FIELDS} | {"split": split, "row": int(number)}
    try:
        name = pattern.format(**fields)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"clips: expected a pattern of {', '.join(f'{{{name}}}' for name in _FIELDS)}, got "
            f"{pattern!r} ({type(error).__name__}: {error})"
        ) from error
    if escapes(name):
        raise BadRow("file name leaves the folder of the clips", name)
    return name


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
