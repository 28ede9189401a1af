"""WLASL: isolated signs of American Sign Language, collected from the web.

D. Li et al., *Word-level deep sign language recognition from video* (WACV 2020): 21,083 clips of
2,000 glosses; the subsets of 100, 300 and 1,000 are the most frequent ones. Three layouts of the
metadata are read: ``WLASL_v0.3.json`` (a list of ``{gloss, instances}``), the same for one subset
(``asl100.json``), and ``nslt_100.json`` (``{video_id: {subset, action: [class, start, end]}}``),
whose glosses are in ``wlasl_class_list.txt`` and which names no signers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.metadata import (
    ClipFiles,
    first_file,
    first_folder,
    numbered_words,
    one_of,
    read_json,
    signer_of,
    split_of,
    text_of,
    whole_of,
    youtube_id,
)
from chereme.datasets.registry import Kind, dataset
from chereme.errors import InputError
from chereme.formats.manifests import Item
from chereme.recognition.hand_landmarks import is_landmark_file
from chereme.video import frame_times

LANGUAGE = "ase"
# As the lists have it; of 2,000 the paper gives the whole.
PUBLISHED: dict[int, dict[str, int]] = {
    100: {"all": 2038, "train": 1442, "dev": 338, "test": 258},
    300: {"all": 5117, "train": 3549, "dev": 900, "test": 668},
    1000: {},
    2000: {"all": 21083},
}
RATE = 25.0
"""Frames a second of folders of frames and files of landmarks, which the authors do not have."""

_CUT = ("videos", "start_kit/videos", "WLASL2000", "data/WLASL2000")
_WHOLE = ("raw_videos_mp4", "raw_videos", "start_kit/raw_videos_mp4", "start_kit/raw_videos")


@dataset("wlasl", Kind.SIGNS)
def read(
    root: str | Path,
    classes: Literal[100, 300, 1000, 2000] = 2000,
    *,
    metadata: str | Path | None = None,
    videos: str | Path | None = None,
    whole: bool = False,
) -> Corpus:
    """WLASL: American Sign Language from the web, up to 2,000 glosses.

    Clips are called by their video id: videos, folders of frames, or files of landmarks. Dropped
    and counted: clips that are not on disk (many addresses are dead), that are listed twice, that
    lack a video id, a split or frame numbers that make sense, or whose recording is no video or
    ends before them. Boxes are not used.

    Args:
        root: the folder of the lists and the clips.
        classes: how many glosses, the most frequent: 100, 300, 1000 or 2000.
        metadata: WLASL_v0.3.json, asl100.json or nslt_100.json; if not given it is looked for in
            the root folder and start_kit, those with signers first.
        videos: the folder of the clips; if not given it is looked for by the names in use.
        whole: the files are whole recordings (of YouTube, called by the id there), which nobody has
            cut: items are then from the frame to the frame that the list names by their number.

    Raises InputError for metadata that is lacking, of another layout, or of fewer glosses than
    ``classes``, or if no clip is there; UsageError for another number of classes.
    """
    one_of("classes", classes, PUBLISHED)
    root = Path(root)
    names = ("WLASL_v0.3.json", f"asl{classes}.json", f"nslt_{classes}.json")
    places = [f"{folder}{name}" for name in names for folder in ("", "start_kit/")]
    table = Path(metadata) if metadata else first_file(root, *places, hint="the file as metadata")
    files = ClipFiles(Path(videos) if videos else first_folder(root, _WHOLE if whole else _CUT))
    builder = CorpusBuilder(f"WLASL{classes}")
    for where, row in _records(table, classes):
        with builder.row(str(row.get("video_id") or where)):
            builder.add(_item(row, files, whole))
    return builder.build(PUBLISHED[classes])


def _item(row: Mapping[str, Any], files: ClipFiles, whole: bool) -> Item:
    video = text_of(row, "video_id")
    first, last = whole_of(row, "frame_start"), whole_of(row, "frame_end")  # from 1; -1: the end
    if first < 1 or (last != -1 and last < first):
        raise Unusable("frame numbers that make no part", f"{first} to {last}")
    path = files.find(video)
    if whole:  # only videos of YouTube were downloaded under another name than the video id
        path = files.find(youtube_id(str(row.get("url", ""))) or video)
    start, end = _seconds(path, first, last) if whole else (None, None)
    return Item(
        path=path,
        label=text_of(row, "gloss"),
        id=video,
        signer=signer_of(row),
        split=split_of(row, "split"),
        start=start,
        end=end,
        language=LANGUAGE,
        frames=None if last == -1 or path.is_dir() else last - first + 1,
    )


def _seconds(path: Path, first: int, last: int) -> tuple[float | None, float | None]:
    """When the first frame is shown, and the one after the last; None: the whole begins or ends
    there. Without a file to look into frames are counted at ``RATE``."""
    times = _times(path) or tuple(n / RATE for n in range(max(first, last) + 1))
    if first > len(times):
        raise Unusable("recording ends before the clip", f"{len(times)} frames, {first} on")
    start = None if first == 1 else times[first - 1]
    return start, None if last == -1 or last >= len(times) else times[last]


@lru_cache(maxsize=256)
def _times(path: Path) -> tuple[float, ...]:
    """Of the frames of a recording; none where there is no such file, or it is no video."""
    if not path.is_file() or is_landmark_file(path):
        return ()
    try:
        return tuple(frame_times(path))
    except InputError as error:
        raise Unusable("cannot be read", str(error)) from error


def _records(table: Path, classes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records as in ``WLASL_v0.3.json`` with their gloss, each with its place in the file."""
    content = read_json(table)
    if _all_have(content, list, "instances"):
        glosses, rows = len(content), _of_glosses(content[:classes])
    elif isinstance(content, dict) and _all_have([*content.values()], list, "action"):
        highest = [entry["action"][0] for entry in content.values() if entry["action"]]
        glosses = 1 + max((c for c in highest if isinstance(c, int)), default=-1)
        names = numbered_words(first_file(table.parent, "wlasl_class_list.txt", hint=_CLASS_LIST))
        rows = _of_videos(content, names, classes)
    else:
        raise InputError(
            f"{table}: expected a list of gloss and instances (WLASL_v0.3.json) or an object of "
            "subset and action by video id (nslt_100.json), got another layout; use a file that "
            "comes with the data set"
        )
    if glosses < classes:
        raise InputError(
            f"{table}: expected at least {classes} glosses, got {glosses}; read the subset that "
            "the file is of, or use WLASL_v0.3.json, which has all"
        )
    return rows


_CLASS_LIST = "the list of glosses (of the code of WLASL) beside the file, which has numbers only"


def _all_have(rows: Any, kind: type, name: str) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get(name), kind) for row in rows
    )


def _of_glosses(content: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in content:
        for number, row in enumerate(entry["instances"]):
            fields = row if isinstance(row, dict) else {}
            yield f"{entry.get('gloss')} {number}", {**fields, "gloss": entry.get("gloss")}


def _of_videos(
    content: dict[str, dict[str, Any]], glosses: dict[int, str], classes: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for video, entry in content.items():
        number, first, last = (*entry["action"], None, None, None)[:3]
        if isinstance(number, int) and number >= classes:
            continue
        row = {"video_id": video, "split": entry.get("subset"), "gloss": glosses.get(number)}
        yield video, {**row, "frame_start": first, "frame_end": last}
