"""Sequences of hands whose joints are known in space: what reconstruction is measured on.

Their readers give `JointSequence` items: where a camera sees the 21 joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.pose_clips import Entry, JointSequence, PoseClip
from chereme.errors import UsageError
from chereme.formats.manifests import Split
from chereme.hands.both import SIDES
from chereme.hands.camera import Camera
from chereme.types import NUM_JOINTS, Handedness
from chereme.video.reader import FOLDER_RATE

Array = NDArray[np.floating[Any]]


def joint_clips(
    id: str,
    path: Path,
    split: Split,
    joints: Array,
    camera: Camera,
    frames: int,
    side: Handedness = "right",
) -> Iterator[JointSequence]:
    """One hand over consecutive frames of the file ``path``, as ``camera`` sees it, in clips of
    ``frames`` frames, of which the last may be shorter.

    ``joints (T, 21, 3)`` in MediaPipe order, metres of the camera's frame: x right, y down, z away
    from it. ``side``: of the hand; right where nothing says it. Choice: as many frames a second as
    folders of frames have, since neither data set says it. The sequence stands for the signer, whom
    nothing names: its clips resemble each other.

    UsageError for clips without frames.
    """
    if frames < 1:
        raise UsageError(f"clip_frames: expected at least 1, got {frames}")
    shape = (len(joints), len(SIDES), NUM_JOINTS)
    pixels, confidence = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
    pixels[:, SIDES.index(side)] = camera.project(joints)
    confidence[:, SIDES.index(side)] = 1.0
    for start in range(0, len(joints), frames):
        part = slice(start, start + frames)
        name, count = f"{id}/{start:05d}", len(pixels[part])
        entry = Entry(name, "", id, split, FOLDER_RATE, count)
        clip = PoseClip(entry, pixels[part], confidence[part])
        yield JointSequence(path=path, id=name, signer=id, split=split, frames=count, clip=clip)


def before_camera(joints: Array) -> NDArray[np.bool_]:
    """Which of the hands ``(T, 21, 3)`` are finite and wholly before the camera."""
    finite = np.all(np.isfinite(joints), axis=(1, 2))
    seen: NDArray[np.bool_] = finite & np.all(joints[..., 2] > 0, axis=1)
    return seen
