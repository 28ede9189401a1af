"""Landmark files: ``.pose`` (pose-format 0.0, 0.1, 0.2) and ``.npz``, to and from Landmarks.

Files in the wild differ in what their numbers mean; :mod:`chereme.formats.landmark_units` says how
they are brought to pixels, and what cannot be. An ``.npz`` written here says that it is in pixels
(key ``units``) and is taken as it is, bit by bit.
"""

from __future__ import annotations

from pathlib import Path

from chereme.errors import InputError, UsageError
from chereme.formats.dot_npz import npz_bytes, read_npz
from chereme.formats.dot_pose import pose_bytes, read_pose
from chereme.formats.files import File, read_file
from chereme.formats.landmark_units import MAKE_ANEW, is_rate
from chereme.formats.outputs import write_file
from chereme.types import Landmarks


def read_landmarks(path: str | File, *, fps: float | None = None) -> Landmarks:
    """Read the hands of a ``.pose`` or ``.npz`` file, or of the content of one.

    ``.pose``: the 21-point components LEFT_HAND... and RIGHT_HAND... (MediaPipe Holistic, COCO
    whole body) or hand_left... and hand_right... (OpenPose); all others are ignored. H has one
    track for each of these components, then those further people's hands that are ever seen. Time
    starts at 0.

    ``.npz``: ``landmarks (T,H,21,3)``, ``width``, ``height``, ``handedness (H,)``, and
    ``timestamps (T,)`` in seconds or a rate ``fps``; optionally ``confidence (T,H,21)`` (default:
    1 where there are finite coordinates), ``world_landmarks (T,H,21,3)`` in metres and
    ``handedness_score (H,)``. Never unpickles.

    ``fps`` (frames/s) goes before whatever rate or times the file states.

    Returns landmarks float32 in pixels (:mod:`chereme.formats.landmark_units` says what is brought
    to pixels and what cannot be), NaN where missing; z relative to the wrist, 0 in 2-D files.

    Raises InputError if the file is missing, damaged, has no hand, no frame, or no rate that a
    camera has (1 to 240 frames/s); LimitError above 1,500,000 frames, of all hands together, or
    1000 hands.
    """
    path = Path(path) if isinstance(path, str) else path
    readers = {".pose": read_pose, ".npz": read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: expected a landmark file (.pose or .npz), got {path.suffix!r}")
    if fps is not None and not is_rate(fps):
        raise UsageError(f"fps: expected a positive number of frames a second, got {fps!r}")
    raw = read_file(path)
    if not raw:
        raise InputError(f"{path}: the file is empty; {MAKE_ANEW}")
    return reader(path, raw, fps)


def write_landmarks(landmarks: Landmarks, path: str | Path) -> None:
    """Write ``.npz`` (everything, exactly) or ``.pose`` v0.2 (one hand a side, float32).

    A ``.pose`` file has one rate: the effective one, (T - 1) / (last - first timestamp), 30 for a
    single frame. Its time starts at 0. Where a timestamp is more than a quarter of a frame off that
    regular grid the hands are resampled onto it (linear between two seen frames, else the nearer
    one). Missing joints are written as zeros with confidence 0. World landmarks are not stored. Of
    several tracks of one hand the one seen in most frames is kept; a track of unknown handedness
    takes a side that is free, the right one first. Both come with a UserWarning, and so does a side
    that was doubtful (``handedness_score``), which ``.pose`` cannot say. The file appears, or
    replaces another, when it is complete.

    Raises UsageError for another suffix, InputError for what ``.pose`` cannot hold (no frame, sides
    above 65,535 pixels).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        content = npz_bytes(landmarks)
    elif suffix == ".pose":
        content = pose_bytes(landmarks)
    else:
        raise UsageError(f"{path}: expected a name that ends in .pose or .npz, got {suffix!r}")
    write_file(path, content, overwrite=True)
