"""WLASL: isolated signs of American Sign Language, collected from the web.

D. Li et al., *Word-level deep sign language recognition from video* (WACV 2020): 21,083 clips of
2,000 glosses; the subsets of 100, 300 and 1,000 are the most frequent ones. Three layouts of the
metadata are read: ``WLASL_v0.3.json`` (a list of ``{gloss, instances}``), the same for one subset
(``asl100.json``), and ``nslt_100.json`` (``{video_id: {subset, action: [class, start, end]}}``),
whose glosses are in ``wlasl_class_list.txt`` and which names no signers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from chereme.datasets.corpus import Corpus, CorpusBuilder
from chereme.datasets.metadata import (
    BadRow,
    ClipFiles,
    escapes,
    first_folder,
    read_json,
    read_text,
    split_of,
    text_of,
    whole_of,
    youtube_id,
)
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split
from chereme.recognition.hand_landmarks import is_landmark_file
from chereme.video import frame_times

LANGUAGE = "ase"
SUBSETS = (100, 300, 1000, 2000)
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


def read(
    root: str | Path,
    classes: int = 2000,
    *,
    metadata: str | Path | None = None,
    videos: str | Path | None = None,
    cut: bool = True,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read the subset of the first ``classes`` glosses (100, 300, 1000, 2000), as it was published.

    ``metadata`` is one of the files above; None looks for it in ``root`` and ``root/start_kit``,
    those with signers first. ``videos`` is the folder of the clips, which are called by their video
    id: videos, folders of frames, or files of landmarks; None looks for it in ``root`` by the names
    in use. With ``cut`` each file is one clip, as the start kit of the authors leaves them;
    without, it is the whole recording (of YouTube, called by the id there), and items have a start
    and an end: the times of the frames by whose number in the file the start kit cuts.
    ``check_frames`` and ``least_frames`` as in :class:`CorpusBuilder`.

    Dropped and counted: clips that are not on disk (many addresses are dead), that are listed
    twice, that lack a video id, a split or frame numbers that make sense, or whose recording is no
    video or ends before them. Boxes are not used.

    Raises InputError for metadata that is lacking, of another layout, or of fewer glosses than
    ``classes``, or if no clip is there; UsageError for another number of classes.
    """
    if classes not in SUBSETS:
        raise UsageError(f"classes: expected {', '.join(map(str, SUBSETS))}, got {classes}")
    root = Path(root)
    table = _find_metadata(root, classes) if metadata is None else Path(metadata)
    folder = first_folder(root, _CUT if cut else _WHOLE) if videos is None else Path(videos)
    files = ClipFiles(folder)
    builder = CorpusBuilder(
        f"WLASL{classes}", None, check_frames=check_frames, least_frames=least_frames
    )
    for where, row in _records(table, classes):
        try:
            builder.add(_item(row, files, cut))
        except BadRow as bad:
            builder.drop(str(row.get("video_id") or where), bad.reason, bad.detail)
    return builder.build(PUBLISHED[classes])


@dataclass(frozen=True)
class _Frames:
    """The part of a recording, by frame numbers from 1; ``last`` None is the end."""

    first: int
    last: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Frames:
        first, last = whole_of(row, "frame_start"), whole_of(row, "frame_end")
        if first < 1 or (last != -1 and last < first):
            raise BadRow("frame numbers that make no part", f"{first} to {last}")
        return cls(first, None if last == -1 else last)

    def seconds(self, path: Path) -> tuple[float | None, float | None]:
        """When the first frame is shown, and the one after the last; None: the whole begins or ends
        there. Without a file to look into frames are counted at ``RATE``."""
        times = _times(path)
        if not times:
            times = tuple(n / RATE for n in range(max(self.first, self.last or 0) + 1))
        if self.first > len(times):
            raise BadRow("recording ends before the clip", f"{len(times)} frames, {self.first} on")
        start = None if self.first == 1 else times[self.first - 1]
        return start, None if self.last is None or self.last >= len(times) else times[self.last]


@lru_cache(maxsize=256)
def _times(path: Path) -> tuple[float, ...]:
    """Of the frames of a recording; none where there is no such file, or it is no video."""
    if not path.is_file() or is_landmark_file(path):
        return ()
    try:
        return tuple(frame_times(path))
    except InputError as error:
        raise BadRow("cannot be read", str(error)) from error


def _item(row: Mapping[str, Any], files: ClipFiles, cut: bool) -> Item:
    video = text_of(row, "video_id")
    if escapes(video):
        raise BadRow("file name leaves the folder of the clips", video)
    part = _Frames.of(row)
    # Only videos of YouTube were downloaded under another name than the video id.
    path = files.find(video if cut else youtube_id(str(row.get("url", ""))) or video)
    counted = None if part.last is None or path.is_dir() else part.last - part.first + 1
    start, end = (None, None) if cut else part.seconds(path)
    return Item(
        path=path,
        label=text_of(row, "gloss"),
        id=video,
        signer=None if row.get("signer_id") in (None, -1) else str(row["signer_id"]),
        split=cast("Split", split_of(row, "split")),
        start=start,
        end=end,
        language=LANGUAGE,
        frames=counted,
    )


def _find_metadata(root: Path, classes: int) -> Path:
    names = ["WLASL_v0.3.json", f"asl{classes}.json", f"nslt_{classes}.json"]
    for name in names:
        for folder in (root, root / "start_kit"):
            if (folder / name).is_file():
                return folder / name
    raise InputError(
        f"{root}: expected {', '.join(names[:-1])} or {names[-1]}, got none of them; unpack "
        "WLASL_v0.3.zip there, or give the file as metadata"
    )


def _records(table: Path, classes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records as in ``WLASL_v0.3.json`` with their gloss, each with its place in the file."""
    content = read_json(table)
    if isinstance(content, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("instances"), list) for entry in content
    ):
        glosses = len(content)
        rows = _of_glosses(content[:classes])
    elif isinstance(content, dict) and all(
        isinstance(entry, dict) and isinstance(entry.get("action"), list)
        for entry in content.values()
    ):
        highest = [entry["action"][0] for entry in content.values() if entry["action"]]
        glosses = 1 + max((c for c in highest if isinstance(c, int)), default=-1)
        rows = _of_videos(content, _class_list(table.parent), classes)
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


def _of_glosses(content: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in content:
        for number, row in enumerate(entry["instances"]):
            where = f"{entry.get('gloss')} {number}"
            fields = row if isinstance(row, dict) else {}
            yield where, {**fields, "gloss": entry.get("gloss")}


def _of_videos(
    content: dict[str, dict[str, Any]], glosses: dict[int, str], classes: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for video, entry in content.items():
        number, first, last = (*entry["action"], None, None, None)[:3]
        if isinstance(number, int) and number >= classes:
            continue
        yield (
            video,
            {
                "video_id": video,
                "split": entry.get("subset"),
                "gloss": glosses.get(number) if isinstance(number, int) else None,
                "frame_start": first,
                "frame_end": last,
            },
        )


def _class_list(folder: Path) -> dict[int, str]:
    path = folder / "wlasl_class_list.txt"
    if not path.is_file():
        raise InputError(
            f"{path}: expected the list of glosses beside the file of clips, which has their "
            "numbers only; copy it there (it comes with the code of WLASL)"
        )
    glosses: dict[int, str] = {}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        number, _, gloss = text.strip().partition("\t")
        if number.isdecimal() and gloss.strip():
            glosses[int(number)] = gloss.strip()
        elif text.strip():
            raise InputError(
                f"{path}, line {line}: expected a number, a tab and a gloss, got {text!r}; use "
                "the list that comes with the code of WLASL"
            )
    return glosses
