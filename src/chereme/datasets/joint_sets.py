"""Sequences of hands whose joints are known in space: what reconstruction is measured on.

Their readers give a `JointSequence` for each sequence: where a camera sees the 21 joints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.pose_clips import Entry, JointSequence, PoseClip
from chereme.formats.manifests import Split
from chereme.hands.both import SIDES
from chereme.hands.camera import Camera
from chereme.types import NUM_JOINTS, Handedness
from chereme.video.reader import FOLDER_RATE

Array = NDArray[np.floating[Any]]


def joint_sequence(
    id: str,
    path: Path,
    split: Split,
    joints: Array,
    camera: Camera,
    side: Handedness = "right",
) -> JointSequence:
    """One hand over consecutive frames of the file ``path``, as ``camera`` sees it.

    ``joints (T, 21, 3)`` in MediaPipe order, metres of the camera's frame: x right, y down, z away
    from it. ``side``: of the hand; right where nothing says it. Choice: as many frames a second as
    folders of frames have, since neither data set says it.
    """
    frames = len(joints)
    pixels = np.full((frames, len(SIDES), NUM_JOINTS, 2), np.nan, np.float32)
    confidence = np.zeros(pixels.shape[:-1], np.float32)
    pixels[:, SIDES.index(side)] = camera.project(joints)
    confidence[:, SIDES.index(side)] = 1.0
    entry = Entry(id, "", "", split, FOLDER_RATE, frames)
    return JointSequence(
        path=path, id=id, split=split, frames=frames, clip=PoseClip(entry, pixels, confidence)
    )


def before_camera(joints: Array) -> NDArray[np.bool_]:
    """Which of the hands ``(T, 21, 3)`` are finite and wholly before the camera."""
    finite = np.all(np.isfinite(joints), axis=(1, 2))
    seen: NDArray[np.bool_] = finite & np.all(joints[..., 2] > 0, axis=1)
    return seen
