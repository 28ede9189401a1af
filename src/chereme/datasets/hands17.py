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
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from chereme.datasets.corpus import Finding
from chereme.datasets.joint_sets import (
    Array,
    JointSequence,
    JointSet,
    JointSplit,
    before_camera,
    check_any,
)
from chereme.datasets.metadata import read_text
from chereme.errors import UsageError
from chereme.hands.camera import Camera

TO_MEDIAPIPE = (0, *(j for f in range(5) for j in (1 + f, 6 + 3 * f, 7 + 3 * f, 8 + 3 * f)))
"""The place of each joint of MediaPipe's order in that of HANDS17."""

CAMERA = Camera(475.065948, 475.065857, 315.944855, 245.287079, 640, 480)
"""The Intel SR300 of the challenge."""

_SEPARATORS = re.compile(r"[\s,]+")


def read(annotations: str | Path | Iterable[str | Path], train_fraction: float = 0.7) -> JointSet:
    """Read annotation files, or one of them, and divide each sequence as the paper does.

    Pictures of one folder are one sequence, in the order of the file; so are the pictures of a file
    that names no folders, which is called by the file. The first ``train_fraction`` of its frames,
    rounded down, are for training. In the training file of the challenge itself the pictures are
    shuffled: its neighbours are no neighbours in time, and only single frames of it make sense.

    Lines of another length, with anything but numbers, or with a hand that is not wholly before the
    camera are counted among the findings. Raises InputError if a file cannot be read or no line can
    be used; UsageError for a share that is not between 0 and 1.
    """
    if not 0 <= train_fraction <= 1:
        raise UsageError(f"train_fraction: expected a share from 0 to 1, got {train_fraction:g}")
    paths = [annotations] if isinstance(annotations, str | Path) else list(annotations)
    hands: dict[str, list[tuple[str, Array]]] = {}
    findings: list[Finding] = []
    rows = 0
    for path in map(Path, paths):
        for line, text in enumerate(read_text(path).splitlines(), 1):
            if not text.strip():
                continue
            rows += 1
            picture, *cells = _SEPARATORS.split(text.strip())
            where = f"{path.name} line {line}"
            joints = _numbers(cells)
            if joints is None:
                findings.append(Finding(where, "line of another length than a name and 63 numbers"))
            elif not before_camera(joints[None])[0]:
                findings.append(Finding(where, "hand not before the camera", picture))
            else:
                folder = PurePosixPath(picture.replace("\\", "/")).parent.as_posix()
                sequence = path.stem if folder == "." else folder
                hands.setdefault(sequence, []).append((picture, joints[list(TO_MEDIAPIPE)] / 1000))
    sequences = tuple(
        part for name, found in hands.items() for part in _divide(name, found, train_fraction)
    )
    check_any(f"HANDS17 in {', '.join(map(str, paths))}", sequences, findings)
    return JointSet("HANDS17", CAMERA, sequences, rows, tuple(findings))


def _numbers(cells: Sequence[str]) -> Array | None:
    """The joints ``(21, 3)`` of a line as they are written, or None."""
    if len(cells) != 63:
        return None
    try:
        return np.array([float(cell) for cell in cells]).reshape(21, 3)
    except ValueError:
        return None


def _divide(
    name: str, hands: Sequence[tuple[str, Array]], train_fraction: float
) -> list[JointSequence]:
    # Rounded before it is cut: 0.7 x 10 is a hair below 7.
    cut = int(round(train_fraction * len(hands), 6))
    parts: list[tuple[JointSplit, Sequence[tuple[str, Array]]]] = [
        ("train", hands[:cut]),
        ("test", hands[cut:]),
    ]
    sequences = []
    for split, part in parts:
        if part:
            joints = np.stack([found for _, found in part])
            sequences.append(
                JointSequence(
                    f"{name}/{split}",
                    split,
                    joints,
                    CAMERA.project(joints),
                    tuple(picture for picture, _ in part),
                )
            )
    return sequences
