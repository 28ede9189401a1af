"""HANDS17, the 2017 Hands in the Million challenge: depth pictures with 21 joints.

S. Yuan et al., *The 2017 hands in the million challenge on 3D hand pose estimation*
(arXiv:1707.02237), from BigHand2.2M and FPHA. An annotation file (``Training_Annotation.txt``) has
a line for each picture: its name and 63 numbers, separated by tabs or spaces: x, y, z in
millimetres of the depth camera's frame, of the wrist, the five knuckles from thumb to little
finger, and then the three other joints of each finger, from palm to tip.

SignBERT (Hu et al., ICCV 2021, §4.1) reconstructs 292,820 frames in 99 sequences, of which it
trains on the first 70 % each and tests on the last 30 %.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.joint_sets import Array, before_camera, joint_clips
from chereme.datasets.metadata import read_text
from chereme.datasets.registry import Kind, dataset
from chereme.errors import UsageError
from chereme.formats.manifests import Split
from chereme.hands.camera import Camera

TO_MEDIAPIPE = (0, *(j for f in range(5) for j in (1 + f, 6 + 3 * f, 7 + 3 * f, 8 + 3 * f)))
"""The place of each joint of MediaPipe's order in that of HANDS17."""

CAMERA = Camera(475.065948, 475.065857, 315.944855, 245.287079, 640, 480)
"""The Intel SR300 of the challenge."""

_SEPARATORS = re.compile(r"[\s,]+")


@dataset("hands17", Kind.JOINTS)
def read(root: str | Path, train_fraction: float = 0.7, *, clip_frames: int = 32) -> Corpus:
    """HANDS17: depth pictures of hands, 21 joints each, as SignBERT divides them.

    Pictures of one folder are one sequence, in the order of the file; so are the pictures of a file
    that names no folders, which is called by the file. In the training file of the challenge itself
    the pictures are shuffled: its neighbours are no neighbours in time, and only single frames of
    it make sense. Dropped and counted: lines of another length, with anything but numbers, or with
    a hand that is not wholly before the camera.

    Args:
        root: an annotation file, or a folder of them (.txt).
        train_fraction: the first part of each sequence, rounded down, which is to train on; the
            rest is the test.
        clip_frames: frames of a clip, of which the last of a sequence may have fewer.

    Raises InputError if a file cannot be read or no line can be used; UsageError for a share that
    is not between 0 and 1, or clips without frames.
    """
    if not 0 <= train_fraction <= 1:
        raise UsageError(f"train_fraction: expected a share from 0 to 1, got {train_fraction:g}")
    root = Path(root)
    builder = CorpusBuilder("HANDS17", allow_empty=True)
    for path in sorted(root.glob("*.txt")) if root.is_dir() else [root]:
        hands: dict[str, list[Array]] = {}
        for line, text in enumerate(read_text(path).splitlines(), 1):
            if text.strip():
                with builder.row(f"{path.name} line {line}"):
                    picture, joints = _parsed(text)
                    folder = PurePosixPath(picture.replace("\\", "/")).parent.as_posix()
                    hands.setdefault(path.stem if folder == "." else folder, []).append(joints)
        for name, found in hands.items():
            # Rounded before it is cut: 0.7 x 10 is a hair below 7.
            cut = int(round(train_fraction * len(found), 6))
            parts: dict[Split, list[Array]] = {"train": found[:cut], "test": found[cut:]}
            for split, own in parts.items():
                hand = (np.reshape(own, (-1, 21, 3)), CAMERA, clip_frames)
                for clip in joint_clips(f"{name}/{split}", path, split, *hand):
                    builder.add(clip)
    return builder.build()


def _parsed(line: str) -> tuple[str, Array]:
    """The picture of a line, and its joints ``(21, 3)`` in metres."""
    picture, *cells = _SEPARATORS.split(line.strip())
    try:
        joints = np.array([float(cell) for cell in cells]).reshape(21, 3)
    except ValueError as error:
        raise Unusable("line of another length than a name and 63 numbers") from error
    if not before_camera(joints[None])[0]:
        raise Unusable("hand not before the camera", picture)
    return picture, joints[list(TO_MEDIAPIPE)] / 1000
