"""Pose tracks of what each tool writes (:mod:`chereme.formats.tracks`).

The paper gives the widths of the five tracks and says of DWPose's what they are. What the numbers
of the others are is inferred from the tools, and said so at each function. What a tool did not find
is NaN here, whatever it writes for it. :mod:`chereme.formats.track_files` reads their files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError
from chereme.formats.dot_pose import held, parse_pose
from chereme.formats.files import read_file
from chereme.formats.landmark_units import check_size, rate_of
from chereme.formats.tracks import PAPER_RATE, PoseTracks, one_track, track_spec
from chereme.types import Landmarks

Floats = NDArray[np.float32]

CELLS = 24
"""Rows and columns of the grid of PrimeDepth and Sapiens: 24 x 24 = 576."""

SMPLX_ORDER = (
    ("global_orient", 1),
    ("body_pose", 21),
    ("jaw_pose", 1),
    ("leye_pose", 1),
    ("reye_pose", 1),
    ("left_hand_pose", 15),
    ("right_hand_pose", 15),
)
_POSE_POINTS, _HAND_POINTS = 33, 21

# COCO whole body -> the 18 points of OpenPose, as DWPose gives them: nose, neck, right shoulder,
# elbow, wrist, left ..., right hip, knee, ankle, left ..., right eye, left eye, both ears.
_BODY_OF_COCO = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_SHOULDERS = (5, 6)
_FACE, _LEFT, _RIGHT = slice(23, 91), slice(91, 112), slice(112, 133)


# -- MediaPipe -------------------------------------------------------------------------------------
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


_MEDIAPIPE_PARTS = (slice(0, 132), slice(132, 195), slice(195, 258))


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


def mediapipe_of_pose(path: str | Path, rate: float | None = None) -> PoseTracks:
    """A ``.pose`` file of MediaPipe Holistic: the components POSE_LANDMARKS (33 points; the
    confidence is taken for the visibility), LEFT_HAND_LANDMARKS and RIGHT_HAND_LANDMARKS (21), any
    of which may be missing.

    Of several people the first. Coordinates in pixels become fractions of the picture. ``rate``:
    in the place of what the file says. Raises InputError for a damaged file, or one with none of
    the components.
    """
    path = Path(path)
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


# -- DWPose ----------------------------------------------------------------------------------------
def dwpose(
    keypoints: ArrayLike, scores: ArrayLike, width: int, height: int, rate: float = PAPER_RATE
) -> PoseTracks:
    """DWPose's whole body of one person: ``keypoints (T, 133, 2)`` pixels, ``scores (T, 133)``.

    The 133 points of COCO whole body become the 128 of the paper as in DWPose's own code: 17 of
    the body with the neck between the shoulders are the 18 of OpenPose, the feet are left out.
    Points of score 0 or less are NaN.
    """
    points, score = np.array(keypoints, np.float32), np.array(scores, np.float32)
    if points.shape[1:] != (133, 2) or score.shape != points.shape[:2]:
        raise InputError(
            "dwpose: expected keypoints (frames, 133, 2) and scores (frames, 133), got "
            f"{points.shape} and {score.shape}"
        )
    if width < 1 or height < 1:
        raise InputError(f"dwpose: expected the size of the picture, got {width} x {height}")
    points = points / np.array([width, height], np.float32)
    body, body_score = points[:, list(_BODY_OF_COCO)], score[:, list(_BODY_OF_COCO)]
    body[:, 1] = points[:, list(_SHOULDERS)].mean(axis=1)
    body_score[:, 1] = score[:, list(_SHOULDERS)].min(axis=1)
    parts = [(body, body_score)]
    parts += [(points[:, part], score[:, part]) for part in (_LEFT, _RIGHT, _FACE)]
    return _dwpose(parts, rate)


def dwpose_of_frames(
    frames: Sequence[Mapping[str, Any] | None], rate: float = PAPER_RATE
) -> PoseTracks:
    """What DWPose's detector for ControlNet returns for each frame, None where it found nobody.

    ``bodies``: 18 points a person, with ``candidate`` and ``score`` in it or ``body_scores``
    beside; ``hands``: the left hands of all people, then the right ones; ``faces``: 68 points;
    scores of these under ``hands_score(s)``, ``faces_score(s)``; all in fractions of the picture
    (keys as in the copies of its code that are public). The first person is taken. Body "scores"
    that are numbers of points or -1 (what some copies leave there) are 1 and 0; without scores,
    points that are not -1 have 1. InputError for another layout.
    """
    rows: list[list[tuple[Floats, Floats]]] = []
    nothing = [
        (np.full((n, 2), np.nan, np.float32), np.zeros(n, np.float32)) for n in (18, 21, 21, 68)
    ]
    for number, frame in enumerate(frames):
        try:
            rows.append(nothing if frame is None else _dwpose_frame(frame))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"dwpose, frame {number}: expected bodies, hands and faces of 18, 21 and 68 points "
                f"with their scores, got another layout ({error!r})"
            ) from error
    if not rows:
        raise InputError("dwpose: expected at least one frame, got none")
    return _dwpose(
        [
            (np.stack([row[i][0] for row in rows]), np.stack([row[i][1] for row in rows]))
            for i in range(4)
        ],
        rate,
    )


def _dwpose_frame(frame: Mapping[str, Any]) -> list[tuple[Floats, Floats]]:
    bodies = frame["bodies"] if "bodies" in frame else frame["body"]
    if isinstance(bodies, Mapping):
        body, scores = bodies["candidate"], bodies.get("score", bodies.get("subset"))
    else:
        body, scores = bodies, frame.get("body_scores", frame.get("body_score"))
    points = np.array(body, np.float32).reshape(-1, 18, 2)
    hands = np.array(frame["hands"], np.float32).reshape(-1, 21, 2)
    faces = np.array(frame["faces"], np.float32).reshape(-1, 68, 2)
    people = len(points)
    if len(hands) != 2 * people or len(faces) < 1 or not people:
        raise ValueError(f"{people} bodies, {len(hands)} hands, {len(faces)} faces")
    hand_scores = _scores(frame.get("hands_scores", frame.get("hands_score")), hands)
    face_scores = _scores(frame.get("faces_scores", frame.get("faces_score")), faces)
    score = _scores(scores, points)
    if (score == np.round(score)).all() and (score.max() > 1 or score.min() < 0):
        score = (score >= 0).astype(np.float32)
    return [
        (points[0], score[0]),
        (hands[0], hand_scores[0]),
        (hands[people], hand_scores[people]),
        (faces[0], face_scores[0]),
    ]


def _scores(scores: Any, points: Floats) -> Floats:
    if scores is None:
        found: Floats = (points >= 0).all(-1).astype(np.float32)
        return found
    return np.array(scores, np.float32).reshape(points.shape[:2])


def _dwpose(parts: Iterable[tuple[Floats, Floats]], rate: float) -> PoseTracks:
    rows = []
    for points, score in parts:
        seen = (score > 0) & np.isfinite(points).all(-1)
        triple = np.concatenate([points, score[..., None]], axis=-1)
        rows.append(np.where(seen[..., None], triple, np.nan).reshape(len(points), -1))
    return one_track("dwpose", np.concatenate(rows, axis=1), rate)


# -- SMPLer-X --------------------------------------------------------------------------------------
def smplerx(
    frames: Sequence[Mapping[str, ArrayLike] | None], rate: float = PAPER_RATE
) -> PoseTracks:
    """SMPL-X parameters of each frame as SMPLer-X writes them (``global_orient``, ``body_pose``,
    ``jaw_pose``, ``leye_pose``, ``reye_pose``, ``left_hand_pose``, ``right_hand_pose``; axis-angle
    in radians), None where nobody was found. Shape, expression and place are left out."""
    if not frames:
        raise InputError("smplerx: expected at least one frame, got none")
    rows = np.full((len(frames), track_spec("smplerx").width), np.nan, np.float32)
    for number, frame in enumerate(frames):
        if frame is None:
            continue
        start = 0
        for name, joints in SMPLX_ORDER:
            values = np.asarray(frame.get(name, ()), np.float32).ravel()
            if len(values) != 3 * joints:
                raise InputError(
                    f"smplerx, frame {number}: expected {name} of {joints} x 3 numbers "
                    f"(axis-angle, not rotation matrices or PCA), got {len(values)}"
                )
            rows[number, start : start + len(values)] = values
            start += len(values)
    return one_track("smplerx", rows, rate)


# -- maps ------------------------------------------------------------------------------------------
def primedepth(maps: Sequence[ArrayLike | None], rate: float = PAPER_RATE) -> PoseTracks:
    """Depth maps ``(H, W)`` of each frame, None where there is none: the mean of what is finite in
    each of 24 x 24 cells. The unit is the tool's (relative depth)."""
    return _grid("primedepth", maps, rate, np.mean)


def sapiens(maps: Sequence[ArrayLike | None], rate: float = PAPER_RATE) -> PoseTracks:
    """Class maps ``(H, W)`` of body part segmentation of each frame, None where there is none: the
    most frequent class of each of 24 x 24 cells, the lowest of equals. Background is a class."""

    def most_frequent(cell: NDArray[Any]) -> float:
        classes, counts = np.unique(cell, return_counts=True)
        return float(classes[counts.argmax()])

    return _grid("sapiens", maps, rate, most_frequent)


def _grid(
    name: str,
    maps: Sequence[ArrayLike | None],
    rate: float,
    pool: Callable[[NDArray[Any]], Any],
) -> PoseTracks:
    if not maps:
        raise InputError(f"{name}: expected at least one frame, got none")
    rows = np.full((len(maps), CELLS * CELLS), np.nan, np.float32)
    for number, picture in enumerate(maps):
        if picture is None:
            continue
        values = np.squeeze(np.asarray(picture, np.float32))
        if values.ndim != 2 or min(values.shape) < CELLS:
            raise InputError(
                f"{name}, frame {number}: expected a map (height, width) of at least {CELLS} x "
                f"{CELLS}, got {values.shape}"
            )
        values[~np.isfinite(values)] = np.nan
        for row, strip in enumerate(np.array_split(values, CELLS)):
            for column, cell in enumerate(np.array_split(strip, CELLS, axis=1)):
                known = cell[~np.isnan(cell)]
                if known.size:
                    rows[number, row * CELLS + column] = pool(known)
    return one_track(name, rows, rate)
