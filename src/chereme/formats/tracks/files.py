"""Files and folders that pose tools write, as pose tracks.

How the tools' files are called is inferred: a number for each frame.
The module of each tool says what their numbers are taken for.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, UsageError
from chereme.formats.arrays import plain_arrays
from chereme.formats.files import File, read_file
from chereme.formats.poses import read_landmarks
from chereme.formats.tracks import (
    PAPER_RATE,
    PoseTracks,
    is_tracks_file,
    one_track,
    read_tracks,
    together,
    track_spec,
)
from chereme.formats.tracks.dwpose import dwpose, dwpose_of_frames
from chereme.formats.tracks.maps import primedepth, sapiens
from chereme.formats.tracks.mediapipe import mediapipe, mediapipe_of_landmarks, mediapipe_of_pose
from chereme.formats.tracks.smplerx import smplerx

# <frame>, <frame>_<person>, <frame>_seg, with or without letters before.
_NUMBERED = re.compile(r"^\D*(\d+)(?:_\d+)?(?:_seg)?$")
_MAPS = {"primedepth": primedepth, "sapiens": sapiens}


def open_tracks(path: str | File, rate: float | None = None) -> PoseTracks:
    """The tracks of a file or its content: all of a tracks file, mediapipe of landmarks (``.npz``,
    ``.pose``). ``rate``: frames a second of landmarks that state none."""
    path = Path(path) if isinstance(path, str) else path
    if path.suffix.lower() == ".npz" and is_tracks_file(path):
        return read_tracks(path)
    return import_track("mediapipe", path, rate=rate)


def import_tracks(sources: Mapping[str, str | Path], **options: Any) -> PoseTracks:
    """Several tracks of one clip, by name; ``options`` as of :func:`import_track`."""
    return together(import_track(name, path, **options) for name, path in sources.items())


def import_track(
    name: str,
    path: str | File,
    *,
    rate: float | None = None,
    frames: int | None = None,
    first: int | None = None,
    width: int | None = None,
    height: int | None = None,
) -> PoseTracks:
    """The track ``name`` of what its tool wrote for one clip.

    - mediapipe: ``.pose``; landmarks ``.npz`` of this package; ``.npy`` of ``(T, 258)``; a folder
      of ``<frame>.npy`` of 258 numbers.
    - dwpose: ``.npz`` with ``keypoints (T, 133, 2)`` and ``scores (T, 133)``; ``.json``, a list of
      what its detector gives for each frame. ``width`` and ``height`` of the picture for the first.
    - smplerx: a folder of ``<frame>.npz`` or ``<frame>_<person>.npz`` (the lowest person is taken);
      one ``.npz`` of arrays ``(T, ...)``.
    - primedepth, sapiens: a folder of ``<frame>.npy``; one ``.npy`` of ``(T, H, W)``.
    - any registered track: ``.npy`` of ``(T, W)``, NaN where nothing is known; a folder of
      ``<frame>.npy`` of W numbers.

    In a folder ``first`` is the number of the first frame (None: the lowest there is) and
    ``frames`` how many there are (None: to the highest): numbers that are lacking are frames in
    which nothing was found. ``rate``: frames a second where the file states none, 30 by default.
    Pickled objects are never loaded.

    Raises InputError for a file of another layout or width, UsageError for a track that has no
    importer for such a file.
    """
    path, spec = Path(path) if isinstance(path, str) else path, track_spec(name)
    stated = PAPER_RATE if rate is None else rate
    if isinstance(path, Path) and path.is_dir():
        return _of_folder(name, path, stated, frames, first)
    match name, path.suffix.lower():
        case _, ".npy":
            values = _array(path)
            if name in _MAPS and values.ndim == 3:
                return _MAPS[name](list(values), stated)
            if values.ndim != 2 or values.shape[1] != spec.width:
                raise InputError(
                    f"{path}: expected (frames, {spec.width}) numbers of track {name!r}, got "
                    f"{values.shape}"
                )
            return _of_rows(name, values, stated)
        case "mediapipe", ".pose":
            return mediapipe_of_pose(path, rate)
        case "mediapipe", ".npz":
            return mediapipe_of_landmarks(read_landmarks(path, fps=rate), stated)
        case "dwpose", ".npz":
            arrays = plain_arrays(path)
            points, scores = arrays.get("keypoints"), arrays.get("scores")
            if points is None or scores is None or width is None or height is None:
                raise InputError(
                    f"{path}: expected keypoints and scores in the file, and the width and height "
                    f"of the picture, got {', '.join(arrays)} and {width} x {height}"
                )
            return dwpose(points, scores, width, height, stated)
        case "dwpose", ".json":
            return dwpose_of_frames(_json_frames(path), stated)
        case "smplerx", ".npz":
            return smplerx(_by_frame(plain_arrays(path)), stated)
    raise UsageError(f"track {name!r}: there is no importer for a file like {path}")


def _of_rows(name: str, rows: NDArray[Any], rate: float) -> PoseTracks:
    return mediapipe(rows, rate) if name == "mediapipe" else one_track(name, rows, rate)


def _of_folder(
    name: str, folder: Path, rate: float, frames: int | None, first: int | None
) -> PoseTracks:
    suffix = ".npz" if name == "smplerx" else ".npy"
    files: dict[int, Path] = {}
    for path in sorted(folder.glob(f"*{suffix}"), key=lambda p: (len(p.stem), p.stem)):
        if match := _NUMBERED.match(path.stem):
            files.setdefault(int(match[1]), path)
    if not files:
        raise InputError(f"{folder}: expected <frame>{suffix}, numbered by frame, got none")
    start = min(files) if first is None else first
    count = max(files) - start + 1 if frames is None else frames
    if outside := [path.name for n, path in files.items() if not start <= n < start + count]:
        raise InputError(
            f"{folder}: expected frames {start} to {start + count - 1}, got {outside[0]} too"
        )
    there = [files.get(number) for number in range(start, start + count)]
    if name == "smplerx":
        return smplerx([None if path is None else plain_arrays(path) for path in there], rate)
    arrays = [None if path is None else _array(path) for path in there]
    if name in _MAPS:
        return _MAPS[name](arrays, rate)
    rows = np.full((count, track_spec(name).width), np.nan, np.float32)
    for file, row, array in zip(there, rows, arrays, strict=True):
        if array is not None:
            if array.shape != row.shape:
                raise InputError(
                    f"{file}: expected {len(row)} numbers of track {name!r}, got {array.shape}"
                )
            row[:] = array
    return _of_rows(name, rows, rate)


def _by_frame(arrays: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Arrays of all frames as those of each; what is not of frames (gender) is left out."""
    length = len(np.atleast_1d(arrays.get("body_pose", ())))
    of_frames = {name: array for name, array in arrays.items() if array.shape[:1] == (length,)}
    return [{name: array[i] for name, array in of_frames.items()} for i in range(length)]


def _array(path: File) -> NDArray[Any]:
    try:
        loaded: NDArray[Any] = np.load(io.BytesIO(read_file(path)), allow_pickle=False)
        return loaded.astype(np.float32)
    except Exception as error:  # damage shows as any of several exceptions
        raise InputError(
            f"{path}: expected a plain array of numbers; it is damaged, pickled (never loaded) or "
            f"something else ({error})"
        ) from error


def _json_frames(path: File) -> list[Mapping[str, Any] | None]:
    try:
        content = json.loads(read_file(path))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON ({error})") from error
    frames = content.get("pose_score") if isinstance(content, dict) else content
    if not isinstance(frames, list):
        raise InputError(f"{path}: expected a list with an object for each frame")
    return frames
