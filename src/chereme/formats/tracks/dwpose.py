"""DWPose's whole body as a pose track."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError
from chereme.formats.tracks import PAPER_RATE, PoseTracks, one_track

Floats = NDArray[np.float32]

# COCO whole body -> the 18 points of OpenPose, as DWPose gives them: nose, neck, right shoulder,
# elbow, wrist, left ..., right hip, knee, ankle, left ..., right eye, left eye, both ears.
_BODY_OF_COCO = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_SHOULDERS = (5, 6)
_FACE, _LEFT, _RIGHT = slice(23, 91), slice(91, 112), slice(112, 133)


def dwpose(
    keypoints: ArrayLike, scores: ArrayLike, width: int, height: int, rate: float = PAPER_RATE
) -> PoseTracks:
    """DWPose's whole body of one person: ``keypoints (T, 133, 2)`` pixels, ``scores (T, 133)``.

    The 133 points of COCO whole body become the 128 of the paper as in DWPose's own code: 17 of
    the body with the neck between the shoulders are the 18 of OpenPose, the feet are left out.
    Points of score 0 or less are NaN.
    """
    points: Floats = np.array(keypoints, np.float32)
    score: Floats = np.array(scores, np.float32)
    if points.shape[1:] != (133, 2) or score.shape != points.shape[:2]:
        raise InputError(
            "dwpose: expected keypoints (frames, 133, 2) and scores (frames, 133), got "
            f"{points.shape} and {score.shape}"
        )
    if width < 1 or height < 1:
        raise InputError(f"dwpose: expected the size of the picture, got {width} x {height}")
    points /= np.array([width, height], np.float32)
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
        found: Floats = np.all(points >= 0, axis=-1).astype(np.float32)
        return found
    return np.array(scores, np.float32).reshape(points.shape[:2])


def _dwpose(parts: Iterable[tuple[Floats, Floats]], rate: float) -> PoseTracks:
    rows = []
    for points, score in parts:
        seen = (score > 0) & np.isfinite(points).all(-1)
        triple = np.concatenate([points, score[..., None]], axis=-1)
        rows.append(np.where(seen[..., None], triple, np.nan).reshape(len(points), -1))
    return one_track("dwpose", np.concatenate(rows, axis=1), rate)
