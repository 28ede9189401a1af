"""Rigid motions of the bones of a posed hand, and skin that follows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.hand_model.template import PARENTS

Floats = NDArray[np.floating[Any]]


def bone_motions(joints: Floats, hand_pose: Floats) -> Floats:
    """``hand_pose (15, 3)`` axis-angle -> ``(16, 4, 4)`` from rest positions to posed ones."""
    rotations = Rotation.from_rotvec(hand_pose).as_matrix()
    motions = [np.eye(4)]
    for joint in range(1, len(PARENTS)):
        turn = np.eye(4)
        turn[:3, :3] = rotations[joint - 1]
        turn[:3, 3] = joints[joint] - rotations[joint - 1] @ joints[joint]
        motions.append(motions[PARENTS[joint]] @ turn)
    return np.stack(motions)


def blend(weights: Floats, motions: Floats) -> Floats:
    """Linear blend skinning: one affine map ``(V, 4, 4)`` a vertex."""
    maps: Floats = np.einsum("vj,jab->vab", weights, motions)
    return maps


def apply(maps: Floats, points: Floats) -> Floats:
    """``maps (V, 4, 4)`` on ``points (V, 3)``."""
    moved: Floats = np.einsum("vab,vb->va", maps[:, :3, :3], points) + maps[:, :3, 3]
    return moved
