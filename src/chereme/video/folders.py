"""Folders as people have them: the frames of one recording, or many recordings."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from itertools import pairwise
from pathlib import Path

from chereme.errors import InputError, some

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
FILMS = frozenset((
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg",
    ".mpeg", ".m2v", ".vob", ".3gp", ".3g2", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".mxf",
    ".dv", ".mjpeg", ".mjpg", ".h264", ".h265", ".hevc", ".ivf", ".gif", ".apng",
))  # fmt: skip
SYSTEM_FOLDERS = ("__macosx", "__pycache__", "$recycle.bin", "system volume information", "@eadir")
"""Folders that people did not make, in lower case."""
_DIGITS = re.compile(r"(\d+)")


def expand(inputs: Iterable[Path], others: Collection[str] = ()) -> tuple[list[Path], list[str]]:
    """``inputs`` with the recordings in each folder of these in the place of the folder, and what
    is to be said of what was left out.

    A folder of videos gives them; one of numbered pictures stays, as one recording; one of neither
    gives its files that end in one of ``others``. Names are ordered as people count: 2 before 10.
    """
    paths: list[Path] = []
    remarks = []
    for path in inputs:
        try:
            files = _files_in(path) if os.path.isdir(path) else []
        except InputError:  # which is told when it is that folder's turn
            files = []
        films = [file for file in files if file.suffix.lower() in FILMS]
        pictures = [file for file in files if file.suffix.lower() in PICTURES]
        rest = [file for file in files if file.suffix.lower() in others]
        if films and pictures:
            remarks.append(f"{path}: videos in it ({len(films)}) are read, pictures are not")
        if films and (deeper := _folders_in(path)):
            remarks.append(
                f"{path}: folders in it ({some(deeper, 4)}) are not looked into; give them too"
            )
        paths += films or ([path] if pictures else rest) or [path]
    return paths, remarks


def numbered_pictures(folder: Path) -> tuple[list[tuple[int, Path]], tuple[str, ...]]:
    """The pictures of a folder in the order of their numbers, and what is to be said of the others.

    The number may stand anywhere (0001.jpg, image (1).jpg, clip_001_out.jpg): it is that which
    differs. InputError if there are none, or more than one series.
    """
    series: dict[tuple[str, ...], list[tuple[tuple[int, ...], Path]]] = {}
    unnumbered = []
    films = []
    for path in _files_in(folder):
        if path.suffix.lower() in FILMS:
            films.append(path.name)
        if path.suffix.lower() in PICTURES:
            parts = _DIGITS.split(path.stem)
            if len(parts) == 1:
                unnumbered.append(path.name)
                continue
            numbers = tuple(map(int, parts[1::2]))
            series.setdefault(tuple(parts[::2]), []).append((numbers, path))
    if not series:
        if films:
            raise InputError(
                f"{folder}: expected a recording, got a folder of {len(films)} videos "
                f"({some(films, 4)}); give these one by one"
            )
        if unnumbered:
            raise InputError(
                f"{folder}: expected a folder of numbered frames (0001.jpg, 0002.jpg, ...), but "
                f"none of its {len(unnumbered)} pictures has a number ({some(unnumbered, 4)}); "
                "give single photos one by one, or number the frames of a recording"
            )
        raise InputError(
            f"{folder}: expected a folder of numbered frames (0001.jpg, 0002.jpg, ...; "
            f"{' '.join(sorted(PICTURES))}), but there is none in it; give the folder that holds "
            "the frames themselves"
        )
    names = ["N".join(parts) for parts in sorted(series)]
    files = sorted(next(iter(series.values())))
    place = _differing([numbers for numbers, _ in files])
    if len(series) > 1 or place is None:
        raise InputError(
            f"{folder}: expected one series of numbered frames, but there are several "
            f"({some(names, 4)}, or one number twice); put each into a folder of its own"
        )
    remarks = (f"{len(unnumbered)} pictures without a number were left out",) if unnumbered else ()
    return [(numbers[place], path) for numbers, path in files], remarks


def _differing(rows: list[tuple[int, ...]]) -> int | None:
    """The place of the number that counts sorted ``rows``: the only one that differs, or of several
    the first that is another, and higher, in each row. None where there is no such."""
    differing = [
        place for place, column in enumerate(zip(*rows, strict=True)) if len({*column}) > 1
    ]
    rising = [
        place
        for place in differing
        if all(one[place] < other[place] for one, other in pairwise(rows))
    ]
    if rising:
        return rising[0]
    return None if len(rows) > 1 else len(rows[0]) - 1


def _files_in(folder: Path) -> list[Path]:
    """The files of a folder that people put there, as they count: 2 before 10."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check access") from error
    files = [folder / name for name in names if not name.startswith(".")]
    files = [path for path in files if os.path.isfile(path)]
    return sorted(files, key=lambda path: _as_counted(path.name))


def _folders_in(folder: Path) -> list[str]:
    """The names of the folders in a folder that people put there."""
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return [name for name in found if name[0] != "." and name.lower() not in SYSTEM_FOLDERS]


def _as_counted(name: str) -> tuple[tuple[str, int], ...]:
    parts = _DIGITS.split(name.casefold())
    return tuple(
        (text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], "0"], strict=True)
    )
