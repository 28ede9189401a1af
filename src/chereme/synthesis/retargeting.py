"""From the joint angles of a composed motion to the rotations of a hand model.

The hand model bends at the same joints as ``Articulation``: bone b of a finger turns at joint b of
that finger. A bone's rotation is that from its axes in the model's rest pose to its axes in the
motion, so that every phalanx points where the motion says, whatever the proportions of the model's
hand; the palm is rigid in the model and follows the palm's axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.hand_model import HandLayer
from chereme.hand_model.anatomy import DIGIT_JOINTS
from chereme.hands.skeleton import palm_size
from chereme.synthesis.articulation import Articulation, bone_frames, encode

Floats = NDArray[np.floating[Any]]
# Fingers of the model's joint order (MANO: index, middle, little, ring, thumb) in ours.
_MODEL_FINGERS = (1, 2, 4, 3, 0)


# Of the basal joint of the thumb, whose flexion turns the pad towards the fingers.
_OPPOSITION = -0.5


def opposition(flexion: Any) -> Any:
    """Twist of the thumb about its length that comes with ``flexion`` of its basal joint."""
    return _OPPOSITION * flexion


@dataclass(frozen=True)
class Pose:
    """A right hand of the hand model in camera axes (x right, y down, z away), metres.

    ``global_orient (N, 3, 3)`` and ``hand_pose (N, 15, 3, 3)`` rotation matrices, ``betas (10,)``,
    ``transl (N, 3)``."""

    global_orient: Floats
    hand_pose: Floats
    betas: Floats
    transl: Floats


class Poser:
    """Poses one signer's hand, of shape ``betas (10,)``."""

    def __init__(self, layer: HandLayer, betas: Floats) -> None:
        self.betas = np.asarray(betas, dtype=np.float64)
        with torch.no_grad():
            rest = layer(_tensor(self.betas[None]), torch.zeros(1, 45), torch.zeros(1, 3)).joints
        joints = rest.double().numpy()
        self._palm, self._bones = bone_frames(encode(joints))
        self._wrist = joints[0, 0]
        thumb = np.array(DIGIT_JOINTS["thumb"]) - 1
        axes = layer.template.extras["joint_axes"][thumb]
        self._flexion_axis, self._thumb_axes = axes[0, :, 0], axes[:, :, 1]
        self.palm_size = float(palm_size(joints)[0])
        """Metres that one palm size of a motion stands for."""

    def pose(self, hand: Articulation, origin: Floats) -> Pose:
        """``hand`` (N frames) as rotations; the motion's origin is put at ``origin (3,)``."""
        palm, bones = bone_frames(hand)
        orient = palm @ self._palm.swapaxes(-1, -2)
        turned = bones[:, :, 1:] @ self._bones[:, :, 1:].swapaxes(-1, -2)
        turned[:, 0] = self._opposed(orient, turned[:, 0])
        above = np.concatenate([np.repeat(orient[:, None, None], 5, 1), turned[:, :, :2]], axis=2)
        local = (above.swapaxes(-1, -2) @ turned)[:, _MODEL_FINGERS]
        # The model turns about its wrist joint, which does not lie at its origin.
        transl = origin + hand.wrist * self.palm_size - self._wrist
        return Pose(orient, local.reshape(-1, 15, 3, 3), self.betas, transl)

    def _opposed(self, orient: Floats, thumb: Floats) -> Floats:
        """The bones ``(N, 3, 3, 3)`` of the thumb twisted about their lengths as it opposes.

        A motion says where bones point, not how they are twisted."""
        basal = Rotation.from_matrix(orient.swapaxes(-1, -2) @ thumb[:, 0]).as_rotvec()
        twist = opposition(basal @ self._flexion_axis)
        rolls = Rotation.from_rotvec(
            (self._thumb_axes[None] * twist[:, None, None]).reshape(-1, 3)
        ).as_matrix()
        twisted: Floats = thumb @ rolls.reshape(-1, 3, 3, 3)
        return twisted


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
