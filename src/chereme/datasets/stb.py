"""STB, the stereo hand pose tracking benchmark: a left hand before six backgrounds.

J. Zhang et al., *A hand pose tracking benchmark from stereo matching* (ICIP 2017): twelve sequences
of 1,500 frames, ``B1Counting`` to ``B6Random``, filmed by a stereo camera (``BB``) and by a depth
camera (``SK``) at once. ``labels/B1Counting_SK.mat`` holds ``handPara (3, 21, 1500)``: millimetres
in the frame of the left stereo camera (``BB``), or of the depth sensor (``SK``). The joints are the
middle of the palm, then little, ring, middle, index finger and thumb, each from palm to tip.
Cameras and order are those of the README of the data set.

SignBERT (Hu et al., ICCV 2021, §4.1) trains on 15,000 frames and tests on the 3,000 of the first
background, following Zimmermann and Brox (ICCV 2017).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chereme._imports import require
from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.joint_sets import Array, before_camera, joint_clips
from chereme.datasets.metadata import one_of
from chereme.datasets.registry import Kind, dataset
from chereme.errors import InputError
from chereme.formats.manifests import Split
from chereme.hands.camera import Camera

View = Literal["color", "depth", "left", "right"]

SEQUENCES = tuple(f"B{n}{kind}" for n in range(1, 7) for kind in ("Counting", "Random"))
TEST_SEQUENCES = ("B1Counting", "B1Random")
TO_MEDIAPIPE = (0, *range(17, 21), *range(13, 17), *range(9, 13), *range(5, 9), *range(1, 5))
"""The place of each joint of MediaPipe's order in that of STB."""

_STEREO = Camera(822.79041, 822.79041, 318.47345, 250.31296, 640, 480)
_CAMERAS = {
    "color": Camera(607.92271, 607.88192, 314.78337, 236.42484, 640, 480),
    "depth": Camera(475.62768, 474.77709, 336.41179, 238.77962, 640, 480),
    "left": _STEREO,
    "right": _STEREO,
}
_FILES = {"color": "SK", "depth": "SK", "left": "BB", "right": "BB"}
# From the frame of the colour sensor to that of the depth sensor: rotation vector, and mm.
_ROTATION = (0.00531, -0.01196, 0.00301)
_TRANSLATION = (-24.0381, -0.4563, -1.2326)
_BASELINE = 120.054  # mm from the left to the right stereo camera


@dataset("stb", Kind.JOINTS)
def read(
    root: str | Path,
    view: View = "color",
    *,
    wrist: Literal["estimated", "palm"] = "estimated",
    clip_frames: int = 1,
) -> Corpus:
    """STB: a left hand before six backgrounds, 18,000 frames of four cameras with 21 joints.

    The data set has the middle of the palm and no wrist. Choice: ``estimated`` takes the palm for
    the middle between the wrist and the knuckle of the middle finger, so that the wrist is 2 palm -
    knuckle; ``palm`` leaves the palm in the place of the wrist. Compare scores on equal terms only.

    Dropped and counted: sequences that are not there, or whose file is of another layout, and
    single hands that are not wholly before the camera.

    Args:
        root: the folder of the labels, or that of the data set.
        view: the camera.
        wrist: what is taken for it.
        clip_frames: frames of a clip; single ones, as SignBERT has it.

    Raises InputError if no sequence is there; UsageError for another view or wrist, or clips
    without frames.
    """
    one_of("view", view, _CAMERAS)
    one_of("wrist", wrist, ("estimated", "palm"))
    root = Path(root)
    folder = root / "labels" if (root / "labels").is_dir() else root
    builder = CorpusBuilder(f"STB, {view}", allow_empty=True)
    for name in SEQUENCES:
        path = folder / f"{name}_{_FILES[view]}.mat"
        with builder.row(name):
            if not path.is_file():
                raise Unusable("not on disk", str(path))
            try:
                joints = _in_view(_hand_para(path), view)[:, TO_MEDIAPIPE] / 1000
            except InputError as error:
                raise Unusable("file of another layout", str(error)) from error
            if wrist == "estimated":
                joints[:, 0] = 2 * joints[:, 0] - joints[:, 9]
            seen = before_camera(joints)
            for frame in np.flatnonzero(~seen):
                builder.drop(f"{name} frame {frame}", "hand not before the camera")
            if seen.any():
                split: Split = "test" if name in TEST_SEQUENCES else "train"
                hand = (joints[seen], _CAMERAS[view], clip_frames)
                for clip in joint_clips(name, path, split, *hand, side="left"):
                    builder.add(clip)
    return builder.build()


def _hand_para(path: Path) -> Array:
    """The joints ``(T, 21, 3)`` of a file, in millimetres and in its own order."""
    loadmat: Any = require("scipy.io", extra="train").loadmat
    try:
        content = loadmat(io.BytesIO(path.read_bytes()), variable_names=["handPara"])
    # What a damaged file raises is not documented: anything from EOFError to zlib.error.
    except Exception as error:
        raise InputError(
            f"{path}: expected a MATLAB file, got something else ({error}); download it again"
        ) from error
    found = np.asarray(content.get("handPara", ()))
    if found.ndim != 3 or found.shape[:2] != (3, 21) or found.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: expected an array handPara of 3 x 21 x frames, got {found.shape}; download "
            "it again"
        )
    return found.transpose(2, 1, 0).astype(np.float64)


def _in_view(joints: Array, view: View) -> Array:
    """Millimetres in the frame of the labels, brought to the frame of ``view``."""
    moved: Array = joints
    if view == "color":
        # The README: p_depth = R p_color + t, so p_color = R^T (p_depth - t), in rows (p - t) R.
        transform: Any = require("scipy.spatial.transform", extra="train")
        turn: Array = transform.Rotation.from_rotvec(_ROTATION).as_matrix()
        moved = (joints - np.asarray(_TRANSLATION)) @ turn
    elif view == "right":
        moved = joints - np.array([_BASELINE, 0.0, 0.0])
    return moved
