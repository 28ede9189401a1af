"""The skeleton in the rest pose: joint centres, frames and ranges of motion.

Lengths are millimetres here and metres in the template. Axes are the model's: fingers to -x, palm
to -y, thumb to +z, origin at the middle knuckle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from tools.open_hand.anthropometry import digit_lengths

Floats = NDArray[np.floating[Any]]

# Joint nearest to the wrist of each digit as (distal, radial, dorsal) of the middle knuckle.
# Distal: metacarpal lengths from the line of their bases; radial: the spacing of metacarpal heads
# that leaves 12 mm of soft tissue on either side within the mean hand breadth; dorsal: the
# transverse metacarpal arch, and for the thumb the trapezium, which stands out of the palm.
# The wrist turns about the head of the capitate, 7 mm beyond the crease from which hands are
# measured.
WRIST_CREASE = (-88.0, 0.0, -5.0)
WRIST = (-81.0, -1.5, -5.0)
BASES = {
    "thumb": (-64.5, 24.0, -16.0),
    "index": (-2.5, 22.5, -1.5),
    "middle": (0.0, 0.0, 0.0),
    "ring": (-8.0, -20.0, -2.0),
    "little": (-20.0, -38.5, -6.5),
}
# Directions of the bones at rest, degrees: (towards the thumb in the plane of the palm, out of the
# palm). Fingers are straight and slightly apart; the thumb is relaxed, slightly opposed and bent.
DIRECTIONS: dict[str, tuple[tuple[float, float], ...]] = {
    "thumb": ((44.0, 19.0), (34.0, 14.0), (28.0, 11.0)),
    "index": ((5.0, 0.0),) * 3,
    "middle": ((0.5, 0.0),) * 3,
    "ring": ((-4.5, 0.0),) * 3,
    "little": ((-11.0, 0.0),) * 3,
}
# Turn of the pad about the digit, degrees: 0 faces with the palm, 90 faces the little finger.
ROLLS = {"thumb": 66.0, "index": 4.0, "middle": 0.0, "ring": -7.0, "little": -13.0}

# (lowest, highest) degrees of flexion, twist, abduction relative to the rest pose. Active ranges of
# healthy adults (fingers 0-45 hyperextension / 90, 100, 80; thumb 10 / 55, 15 / 80; basal joint 45
# palmar and 60 radial abduction from contact), widened by what others' hands can do to them.
_FINGER_LIMITS = {
    "mcp": ((-30.0, 95.0), (-10.0, 10.0), (-22.0, 22.0)),
    "pip": ((-8.0, 112.0), (-4.0, 4.0), (-4.0, 4.0)),
    "dip": ((-12.0, 85.0), (-3.0, 3.0), (-3.0, 3.0)),
}
_THUMB_LIMITS = (
    ((-25.0, 50.0), (-40.0, 20.0), (-38.0, 32.0)),
    ((-15.0, 65.0), (-12.0, 12.0), (-15.0, 20.0)),
    ((-25.0, 85.0), (-4.0, 4.0), (-4.0, 4.0)),
)


@dataclass(frozen=True)
class Skeleton:
    """``joints (16, 3)`` and ``tips (5, 3)`` (thumb..little, on the skin) millimetres;
    ``axes (15, 3, 3)`` frames with columns side, forward, normal; ``bones (15,)`` lengths."""

    joints: Floats
    tips: Floats
    axes: Floats
    bones: Floats


def in_model_axes(distal: float, radial: float, dorsal: float) -> Floats:
    """The words of anatomy -> x, y, z of the model's frame."""
    return np.array([-distal, dorsal, radial])


def _frame(in_plane: float, out: float, roll: float) -> Floats:
    """Columns side, forward, normal of a bone that points as given (degrees)."""
    a, b, r = np.radians([in_plane, out, roll])
    forward = in_model_axes(np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), -np.sin(b))
    palm = in_model_axes(0.0, 0.0, -1.0)
    flat = palm - (palm @ forward) * forward
    flat /= np.linalg.norm(flat)
    side = np.cross(forward, flat)
    normal = np.cos(r) * flat - np.sin(r) * side
    return np.stack([np.cross(forward, normal), forward, normal], axis=1)


def rest_skeleton() -> Skeleton:
    """The mean adult right hand."""
    joints = np.zeros((16, 3))
    axes = np.zeros((15, 3, 3))
    bones = np.zeros(15)
    tips = np.zeros((5, 3))
    joints[0] = in_model_axes(*WRIST)
    for row, digit in enumerate(DIGITS):
        lengths = digit_lengths(digit)
        position = in_model_axes(*BASES[digit])
        for joint, length, (in_plane, out) in zip(
            DIGIT_JOINTS[digit],
            (lengths.proximal, lengths.middle, lengths.distal),
            DIRECTIONS[digit],
            strict=True,
        ):
            joints[joint] = position
            axes[joint - 1] = _frame(in_plane, out, ROLLS[digit])
            bones[joint - 1] = length
            position = position + length * axes[joint - 1][:, 1]
        tips[row] = position
    return Skeleton(joints, tips, axes, bones)


def pose_limits() -> Floats:
    """``(15, 3, 2)`` radians: lowest and highest flexion, twist, abduction of each joint."""
    limits = np.zeros((15, 3, 2))
    for digit, joints in DIGIT_JOINTS.items():
        rows = _THUMB_LIMITS if digit == "thumb" else tuple(_FINGER_LIMITS.values())
        for joint, row in zip(joints, rows, strict=True):
            limits[joint - 1] = row
    return np.radians(limits)
