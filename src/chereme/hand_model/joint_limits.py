"""Frames and limits of the joints of a template, for poses that a hand can take.

The open hand carries both as extras (see ``anatomy``). For a template that does not, MANO above
all, they are made here from its rest pose and from a table of ranges of motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.template import HandTemplate

Floats = NDArray[np.floating[Any]]

# Lowest and highest (flexion, twist, abduction), degrees, measured from a flat hand. Choice: active
# ranges of clinical goniometry (American Academy of Orthopaedic Surgeons, Joint Motion) widened to
# what a push of the other fingers can do, as rest poses of templates are only about flat.
_RANGES = {
    "mcp": ((-35, 95), (-12, 12), (-30, 30)),
    "pip": ((-8, 115), (-4, 4), (-4, 4)),
    "dip": ((-12, 90), (-4, 4), (-4, 4)),
    "thumb_cmc": ((-40, 50), (-60, 30), (-40, 50)),
    "thumb_mcp": ((-20, 75), (-15, 15), (-20, 20)),
    "thumb_ip": ((-30, 90), (-4, 4), (-4, 4)),
}


def joint_frames(template: HandTemplate, tips: Sequence[int]) -> tuple[Floats, Floats]:
    """``joint_axes (15, 3, 3)`` (columns) and ``pose_limits (15, 3, 2)`` of a template.

    A hand pose is ``joint_axes[j] @ (flexion, twist, -abduction)``, limits are the lowest and
    highest of each of the three, radians. ``tips``: the five fingertip vertices to which the last
    bones point, thumb first.
    """
    axes, limits = template.extras.get("joint_axes"), template.extras.get("pose_limits")
    if axes is None:
        axes = _axes_of_rest_pose(template, tips)
    if limits is None:
        limits = _limits_of_table()
    return axes.astype(np.float64), limits.astype(np.float64)


def _limits_of_table() -> Floats:
    limits = np.empty((15, 3, 2))
    for digit in DIGITS:
        names = (
            ("thumb_cmc", "thumb_mcp", "thumb_ip") if digit == "thumb" else ("mcp", "pip", "dip")
        )
        for joint, name in zip(DIGIT_JOINTS[digit], names, strict=True):
            limits[joint - 1] = np.radians(_RANGES[name])
    return limits


def _axes_of_rest_pose(template: HandTemplate, tips: Sequence[int]) -> Floats:
    joints = template.joint_regressor @ template.v_template
    ends = template.v_template[list(tips)]
    index, little = joints[DIGIT_JOINTS["index"][0]], joints[DIGIT_JOINTS["little"][0]]
    palm = _unit(np.cross(index - joints[0], little - joints[0]))  # out of a right hand's palm
    if template.side == "left":
        palm = -palm
    thumb_side = _unit(index - little)
    axes = np.empty((15, 3, 3))
    for digit, end in zip(DIGITS, ends, strict=True):
        chain = DIGIT_JOINTS[digit]
        # Choice: the pad of a resting thumb looks to the little finger and half as much forward.
        outward = palm - 2 * thumb_side if digit == "thumb" else palm
        for joint, child in zip(chain, (*joints[list(chain[1:])], end), strict=True):
            forward = _unit(child - joints[joint])
            normal = _unit(outward - forward * (outward @ forward))
            axes[joint - 1] = np.stack([np.cross(forward, normal), forward, normal], axis=1)
    # Turns are pseudo-vectors: in the mirror, side keeps its turn and the two others reverse, where
    # side itself, forward x normal, already points away from a left thumb.
    return axes * np.array([1.0, -1.0, -1.0]) if template.side == "left" else axes


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.linalg.norm(vector)
    return unit
