"""MediaPipe Holistic as a pose track."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError
from chereme.formats.dot_pose import held, parse_pose
from chereme.formats.files import File, read_file
from chereme.formats.landmark_units import check_size, rate_of
from chereme.formats.tracks import PAPER_RATE, PoseTracks, one_track, track_spec
from chereme.types import Landmarks

Floats = NDArray[np.float32]
_MEDIAPIPE_PARTS = (slice(0, 132), slice(132, 195), slice(195, 258))
_POSE_POINTS, _HAND_POINTS = 33, 21


def mediapipe(values: ArrayLike, rate: float = PAPER_RATE) -> PoseTracks:
    """MediaPipe Holistic as rows ``(T, 258)``: pose 33 x (x, y, z, visibility), left hand 21 x
    (x, y, z), right hand 21 x (x, y, z), the way they are commonly written in one row.

    A part (pose, left or right hand) that is all zeros, as such rows say for "not found", is NaN.
    """
    rows = np.array(values, np.float32)
    if rows.ndim != 2 or rows.shape[1] != track_spec("mediapipe").width:
        raise InputError(f"mediapipe: expected (frames, 258) numbers, got {rows.shape}")
    for part in _MEDIAPIPE_PARTS:
        rows[(rows[:, part] == 0).all(axis=1), part] = np.nan
    return one_track("mediapipe", rows, rate)


def mediapipe_of_landmarks(seen: Landmarks, rate: float = PAPER_RATE) -> PoseTracks:
    """Both hands of landmarks of this package; the pose, which they do not have, is NaN.

    Pixels become fractions of the picture, z of its width, as MediaPipe gives them. Of several
    tracks of a hand, and of unknown ones, see :meth:`chereme.types.Landmarks.tracks_by_side`.
    ``rate``: of a single frame, which has none.
    """
    frames = len(seen.timestamps)
    if frames > 1:
        rate = float((frames - 1) / (seen.timestamps[-1] - seen.timestamps[0]))
    size = np.array([seen.width, seen.height, seen.width], np.float32)
    rows = np.full((frames, 258), np.nan, np.float32)
    for part, tracks in zip(_MEDIAPIPE_PARTS[1:], seen.tracks_by_side(), strict=True):
        for track in tracks:
            joints = np.where(
                seen.confidence[:, track, :, None] > 0, seen.landmarks[:, track] / size, np.nan
            )
            free = np.isnan(rows[:, part]).all(axis=1)
            rows[free, part] = joints.reshape(frames, -1)[free]
    clip = one_track("mediapipe", rows, rate)
    return replace(clip, start=float(seen.timestamps[0]) if frames else 0.0)


def mediapipe_of_pose(path: str | File, rate: float | None = None) -> PoseTracks:
    """A ``.pose`` file of MediaPipe Holistic: the components POSE_LANDMARKS (33 points; the
    confidence is taken for the visibility), LEFT_HAND_LANDMARKS and RIGHT_HAND_LANDMARKS (21), any
    of which may be missing.

    Of several people the first. Coordinates in pixels become fractions of the picture. ``rate``:
    in the place of what the file says. Raises InputError for a damaged file, or one with none of
    the components.
    """
    path = Path(path) if isinstance(path, str) else path
    raw = read_file(path)
    pose = parse_pose(path, raw)
    if not pose.data.shape[1]:
        raise InputError(f"{path}: expected a person, got none")
    data, confidence = pose.data[:, 0], np.nan_to_num(pose.confidence[:, 0])
    try:
        own = rate_of(pose.fps, rate)
        check_size(len(data), hands=2)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
    size = np.array([pose.width, pose.height], np.float32)
    rows = np.full((len(data), 258), np.nan, np.float32)
    wanted = {
        "POSE_LANDMARKS": (_POSE_POINTS, _MEDIAPIPE_PARTS[0]),
        "LEFT_HAND_LANDMARKS": (_HAND_POINTS, _MEDIAPIPE_PARTS[1]),
        "RIGHT_HAND_LANDMARKS": (_HAND_POINTS, _MEDIAPIPE_PARTS[2]),
    }
    start, found = 0, False
    for component in pose.components:
        count = component.points
        points, part = wanted.get(component.name.upper(), (-1, slice(0)))
        if count == points and component.format[:3].upper() == "XYZ":
            found = True
            place = slice(start, start + count)
            rows[:, part] = _mediapipe_part(
                data[:, place, :3], confidence[:, place], size, count == _POSE_POINTS
            )
        start += count
    if not found:
        raise InputError(
            f"{path}: expected {', '.join(wanted)} of MediaPipe Holistic in 3-D, got "
            f"{held(pose.components)}"
        )
    return one_track("mediapipe", rows, own)


def _mediapipe_part(xyz: Floats, score: Floats, size: Floats, with_score: bool) -> Floats:
    seen = (score > 0) & np.isfinite(xyz).all(-1)
    seen &= ~(xyz == 0).all(axis=(1, 2))[:, None]
    xyz = np.where(seen[..., None], xyz, np.nan)
    known = xyz[seen]
    # pose-format multiplies x and y by the picture's size, and leaves z a fraction of its width.
    if len(known) and np.abs(known[:, :2]).max() > 2 and size.min() > 0:
        xyz[..., :2] /= size
        if np.abs(known[:, 2]).max() > 20:  # no part of a body is so deep
            xyz[..., 2] /= size[0]
    if with_score:
        xyz = np.concatenate([xyz, np.where(seen, score, np.nan)[..., None]], axis=-1)
    flat: Floats = xyz.reshape(len(xyz), -1)
    return flat
