"""Joints of the 16-joint hand, and the angles in which anatomists describe its poses.

Joint order is MANO's: the wrist, then index, middle, little, ring finger and thumb, three joints
each from the palm to the tip (metacarpophalangeal, proximal and distal interphalangeal; for the
thumb carpometacarpal, metacarpophalangeal, interphalangeal).

Angles. Every joint but the wrist has a frame in the model's rest pose, ``joint_axes[j]``, with
columns *side* (towards the thumb's side of the hand), *forward* (along the bone, to the tip) and
*normal* (out of the palm; for the thumb out of its pad). A pose of the joint is three angles in
radians, (flexion, twist, abduction), which form the rotation vector

    hand_pose[j] = joint_axes[j] @ (flexion, twist, -abduction)

Positive flexion takes the bone towards the normal (a finger towards the palm, the thumb across the
palm), positive abduction towards the side (a finger towards the thumb; the thumb out of the plane
of the palm), positive twist takes the normal to the side (so a thumb that turns its pad to the
fingertips twists negatively). The angles are components of one rotation vector, not a sequence of
turns: they are exact for one angle alone and need no order of axes, as in
``chereme.synthesis.articulation``. All zero is the rest pose: a flat hand, fingers slightly apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

DIGITS = ("thumb", "index", "middle", "ring", "little")
MODEL_JOINTS = (
    "wrist",
    *(f"{finger}_{joint}" for finger in ("index", "middle", "little", "ring")
      for joint in ("mcp", "pip", "dip")),
    "thumb_cmc",
    "thumb_mcp",
    "thumb_ip",
)  # fmt: skip
# Model joints of each digit, from the palm to the tip.
DIGIT_JOINTS: dict[str, tuple[int, int, int]] = {
    "thumb": (13, 14, 15),
    "index": (1, 2, 3),
    "middle": (4, 5, 6),
    "ring": (10, 11, 12),
    "little": (7, 8, 9),
}
ANGLES = ("flexion", "twist", "abduction")
_SIGNS = np.array([1.0, 1.0, -1.0])


def angles_to_hand_pose(angles: Floats, joint_axes: Floats) -> Floats:
    """Anatomical angles -> ``hand_pose``.

    ``angles (..., 15, 3)`` radians, (flexion, twist, abduction) of the joints 1..15;
    ``joint_axes (15, 3, 3)`` frames as columns. Returns axis-angle vectors ``(..., 15, 3)`` in the
    model's axes.
    """
    pose: Floats = np.einsum("jab,...jb->...ja", joint_axes, angles * _SIGNS)
    return pose
