"""Keypoints of whole people in the files of OpenPose and MMPose.

OpenPose writes a folder with a JSON file for each frame, ``<name>_000000000000_keypoints.json``:
of each person ``pose_keypoints_2d`` (BODY_25), ``face_keypoints_2d`` (70 points) and
``hand_left_keypoints_2d``, ``hand_right_keypoints_2d`` (21 each), rows of x, y, confidence. Tools
of MMPose leave arrays ``(T, 133, 3)`` (COCO whole body). Both list body, face, left and right hand.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chereme.errors import InputError
from chereme.formats.arrays import plain_arrays
from chereme.formats.files import read_file
from chereme.formats.landmark_units import check_size
from chereme.types import NUM_JOINTS, FloatArray, Handedness, Landmarks

LAYOUTS = {137: "openpose_137", 133: "mmpose_133", 543: "mediapipe_holistic"}
"""Layouts of ``chereme.nn.keypoint_layouts`` by the number of their points."""
ENDINGS = ("", ".json", ".npz", ".npy")
"""Of what `read_keypoints` reads; "": a folder."""

_PARTS = (
    *(("pose_keypoints_2d", 25), ("face_keypoints_2d", 70)),
    *(("hand_left_keypoints_2d", NUM_JOINTS), ("hand_right_keypoints_2d", NUM_JOINTS)),
)
_FRAME = re.compile(r"(\d+)(?:_keypoints)?$")
# Choice: detectors give joints of hands that nobody sees too, with next to no confidence.
SEEN = 0.15
SIDES: tuple[Handedness, Handedness] = ("left", "right")


@dataclass(frozen=True)
class Keypoints:
    """One person in each frame: ``points (T, N, 3)`` float32, x and y in pixels (x right, y down),
    or as parts of the frame, and the confidence, 0 where a point was not found."""

    points: FloatArray

    @property
    def layout(self) -> str:
        """Name of the layout, see ``chereme.nn.keypoint_layouts.keypoint_layout``."""
        return LAYOUTS[self.points.shape[1]]

    def fractions(self, width: int, height: int) -> FloatArray:
        """``(T, N, 3)``: x and y as parts of the frame's width and height, 0 where not found."""
        seen = self.points[..., 2] > 0
        size = (1, 1) if self._are_fractions else (width, height)
        places = np.where(seen[..., None], self.points[..., :2] / np.array(size, np.float32), 0)
        return np.concatenate([places, self.points[..., 2:]], -1).astype(np.float32)

    def hands(self, timestamps: FloatArray, width: int, height: int) -> Landmarks:
        """The left and the right hand, in pixels of a frame of that size, z 0. A hand counts as
        seen in frames in which its joints have a mean confidence of ``SEEN``."""
        points = self.fractions(width, height)[:, -2 * NUM_JOINTS :]
        points = points.reshape(len(points), 2, NUM_JOINTS, 3)
        shown = points[..., 2].mean(-1, keepdims=True) >= SEEN
        sure = np.where(shown, points[..., 2], 0)
        places = np.pad(points[..., :2] * [width, height], ((0, 0),) * 3 + ((0, 1),))
        places = np.where(sure[..., None] > 0, places, np.nan).astype(np.float32)
        return Landmarks(places, sure.astype(np.float32), timestamps, width, height, SIDES)

    @property
    def _are_fractions(self) -> bool:
        """OpenPose may be told to write parts of the frame (--keypoint_scale 3)."""
        found = self.points[self.points[..., 2] > 0, :2]
        return len(found) > 0 and bool((np.abs(found) <= 1.5).mean() > 0.99)


def read_keypoints(path: str | Path) -> Keypoints:
    """The keypoints of a recording.

    - A folder of OpenPose's JSON files, by the number of the frame; numbers that are lacking are
      frames in which nobody was found. A part that lacks (of a run without the face) was not found.
    - ``.json``: a list of what is in these files.
    - ``.npy``, or ``.npz`` with an array ``keypoints``: ``(T, N, 3)``, N of 133 (MMPose), 137
      (OpenPose) or 543 (MediaPipe Holistic); or ``(T, N, 2)`` with ``scores (T, N)``, called
      ``keypoint_scores`` by MMPose too.

    Choice: of several people in a frame the one with the largest sum of confidences is taken.

    Raises InputError for anything else; pickled objects are never loaded.
    """
    path = Path(path)
    if path.is_dir():
        points = _of_folder(path)
    elif path.suffix.lower() == ".json":
        frames = _json(path)
        if not isinstance(frames, list) or not frames:
            raise InputError(f"{path}: expected a list with OpenPose's object for each frame")
        points = np.stack([_frame(frame, f"{path}, frame {n}") for n, frame in enumerate(frames)])
    elif path.suffix.lower() in (".npy", ".npz"):
        points = _array(path)
    else:
        raise InputError(
            f"{path}: expected keypoints: a folder of OpenPose's JSON files, .json, .npy or .npz, "
            "got something else"
        )
    check_size(len(points), 1)
    points = np.where(np.isfinite(points).all(-1, keepdims=True), points, 0)
    points[..., 2] = points[..., 2].clip(0, 1)  # scores of detectors may be a little above 1
    return Keypoints(points.astype(np.float32))


def _of_folder(folder: Path) -> FloatArray:
    files = {
        int(match[1]): path
        for path in sorted(folder.glob("*.json"))
        if (match := _FRAME.search(path.stem))
    }
    if not files:
        raise InputError(f"{folder}: expected OpenPose's <name>_<frame>_keypoints.json, got none")
    numbers = range(min(files), max(files) + 1)
    check_size(len(numbers), 1)
    nobody: dict[str, Any] = {"people": []}
    return np.stack(
        [_frame(_json(files[n]) if n in files else nobody, files.get(n)) for n in numbers]
    )


def _frame(content: Any, where: object) -> FloatArray:
    """``(137, 3)`` of one frame."""
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise InputError(f"{where}: expected OpenPose's list of people in each frame, got none")
    found = [_person(person, where) for person in people]
    if not found:
        return np.zeros((137, 3))
    return max(found, key=lambda points: points[:, 2].sum())


def _person(person: Any, where: object) -> FloatArray:
    rows = []
    for name, count in _PARTS:
        values = person.get(name) if isinstance(person, dict) else None
        try:
            part = np.array(values or [0.0] * 3 * count, np.float64).reshape(-1, 3)
        except (TypeError, ValueError):
            part = np.empty((0, 3))
        if len(part) != count:
            raise InputError(
                f"{where}: expected {3 * count} numbers in {name} (OpenPose's BODY_25, face and "
                f"hands), got {len(values) if isinstance(values, list) else values!r}"
            )
        rows.append(part)
    return np.concatenate(rows)


def _array(path: Path) -> FloatArray:
    scores: FloatArray | None = None
    if path.suffix.lower() == ".npz":
        arrays = plain_arrays(path)
        points = arrays.get("keypoints", np.empty(0))
        scores = arrays.get("scores", arrays.get("keypoint_scores"))
    else:
        try:
            points = np.load(io.BytesIO(read_file(path)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{path}: expected a plain array ({error})") from error
    two = points.ndim == 3 and points.shape[-1] == 2
    if two and scores is not None and scores.shape == points.shape[:2]:
        points = np.concatenate([points, scores[..., None]], -1)
    fits = points.ndim == 3 and points.shape[-1] == 3 and points.shape[1] in LAYOUTS
    if not fits or not len(points) or points.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: expected keypoints (frames, {' or '.join(map(str, LAYOUTS))}, 3) of x, y and "
            f"confidence, or (…, 2) with scores, got {points.dtype} {points.shape}"
        )
    return points.astype(np.float64)


def _json(path: Path) -> Any:
    try:
        return json.loads(read_file(path))
    except ValueError as error:
        raise InputError(f"{path}: expected OpenPose's JSON ({error})") from error
