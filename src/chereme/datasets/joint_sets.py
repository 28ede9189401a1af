"""Sequences of hands whose joints are known in space: what reconstruction is measured on.

Every reader of such a data set returns a :class:`JointSet`: the 21 joints in MediaPipe order, in
metres of the camera's frame, and where they are in its picture.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.corpus import Finding
from chereme.errors import InputError
from chereme.hands.camera import Camera

Array = NDArray[np.floating[Any]]
JointSplit = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class JointSequence:
    """One hand over consecutive frames.

    ``joints (T, 21, 3)`` are in metres: x right, y down, z away from the camera; ``pixels
    (T, 21, 2)`` are their projections, ``pictures`` the names of the T pictures. ``side`` is that
    of the hand, None where nothing says it.
    """

    id: str
    split: JointSplit
    joints: Array
    pixels: Array
    pictures: tuple[str, ...]
    side: Literal["left", "right"] | None = None


@dataclass(frozen=True, eq=False)
class JointSet:
    """The sequences of a data set; ``rows`` is how many frames or files were looked at."""

    name: str
    camera: Camera
    sequences: tuple[JointSequence, ...]
    rows: int
    findings: tuple[Finding, ...] = ()

    def split(self, name: JointSplit) -> tuple[JointSequence, ...]:
        """The sequences of one split."""
        return tuple(sequence for sequence in self.sequences if sequence.split == name)

    def report(self) -> str:
        """The set in lines of text: frames and sequences of each split, and what was dropped."""
        frames = sum(len(sequence.joints) for sequence in self.sequences)
        lines = [f"{self.name}: {frames:,} frames in {len(self.sequences):,} sequences"]
        if self.findings:
            counts = Counter(finding.reason for finding in self.findings)
            named = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
            lines.append(f"  dropped {len(self.findings):,} of {self.rows:,}: {named}")
        for split in ("train", "test"):
            part = [sequence for sequence in self.sequences if sequence.split == split]
            count = sum(len(sequence.joints) for sequence in part)
            lines.append(f"  {split}: {count:,} frames in {len(part):,} sequences")
        return "\n".join(lines)


def check_any(name: str, sequences: tuple[JointSequence, ...], findings: list[Finding]) -> None:
    """InputError, with the reasons, if a data set came out empty."""
    if not sequences:
        counts = Counter(finding.reason for finding in findings)
        named = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
        first = f" (the first: {findings[0].id} {findings[0].detail})" if findings else ""
        raise InputError(
            f"{name}: expected at least one hand with its joints, got none: "
            f"{named or 'the file is empty'}{first}; check the folder and the files"
        )


def before_camera(joints: Array) -> NDArray[np.bool_]:
    """Which of the hands ``(T, 21, 3)`` are finite and wholly before the camera."""
    finite = np.isfinite(joints).all(axis=(1, 2))
    seen: NDArray[np.bool_] = finite & (joints[..., 2] > 0).all(axis=1)
    return seen
