"""Plausible hand poses and their principal components.

Fingers move together in grasps, alone in signs, and the end joint follows the middle one; poses are
drawn from such rules within the joints' ranges. Their mean and principal directions in axis-angle
space are the template's ``pose_mean`` and ``components``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import (
    DIGIT_JOINTS,
    angles_to_hand_pose,
)

Floats = NDArray[np.floating[Any]]

_FINGERS = ("index", "middle", "ring", "little")
# The end joint bends with the middle one: about two thirds of its angle.
_END_JOINT = 0.65


def sample_angles(limits: Floats, count: int, seed: int) -> Floats:
    """``(count, 15, 3)`` anatomical angles, radians, within ``limits (15, 3, 2)``."""
    rng = np.random.default_rng(seed)
    angles = np.zeros((count, 15, 3))
    grasp = rng.beta(1.2, 1.4, count)  # how far the whole hand closes
    together = rng.beta(2.0, 1.0, count)  # how far each finger follows the others
    spread = 0.12 * rng.standard_normal(count)
    previous = grasp
    for place, finger in enumerate(_FINGERS):
        own = rng.beta(0.6, 0.6, count)
        # Neighbours pull each other along, most of all ring and little finger.
        own = np.where(rng.random(count) < 0.25 + 0.15 * place, previous, own)
        closed = together * grasp + (1 - together) * own
        previous = own
        hook = rng.normal(0.0, 0.18, count)  # knuckle against middle joint
        knuckle = 1.45 * np.clip(closed + hook, -0.2, 1.1)
        middle = 1.75 * np.clip(closed - hook, 0.0, 1.1)
        end = _END_JOINT * middle + rng.normal(0.0, 0.1, count)
        for joint, flexion in zip(DIGIT_JOINTS[finger], (knuckle, middle, end), strict=True):
            angles[:, joint - 1, 0] = flexion
        # A bent knuckle's ligaments are tight: it hardly sways.
        sway = spread * (1.5 - place) / 1.5 + rng.normal(0.0, 0.06, count)
        angles[:, DIGIT_JOINTS[finger][0] - 1, 2] = sway * (1 - 0.7 * np.clip(closed, 0, 1))
    across = rng.beta(1.3, 1.3, count)  # how far the thumb comes over the palm
    cmc, mcp, ip = (joint - 1 for joint in DIGIT_JOINTS["thumb"])
    angles[:, cmc, 0] = -0.3 + 0.95 * across + rng.normal(0.0, 0.12, count)
    angles[:, cmc, 1] = 0.1 - 0.55 * across + rng.normal(0.0, 0.1, count)
    angles[:, cmc, 2] = rng.normal(0.05, 0.25, count)
    angles[:, mcp, 0] = 0.6 * across + rng.normal(0.0, 0.2, count)
    angles[:, mcp, 2] = rng.normal(0.0, 0.08, count)
    angles[:, ip, 0] = 0.1 + 0.7 * rng.beta(1.0, 1.6, count) * (0.5 + across)
    angles += rng.normal(0.0, 0.02, angles.shape)
    return np.clip(angles, limits[..., 0], limits[..., 1])


def principal_poses(axes: Floats, limits: Floats, count: int, seed: int) -> tuple[Floats, Floats]:
    """``components (45, 45)`` orthonormal rows by falling variance, and ``pose_mean (45,)``."""
    poses = angles_to_hand_pose(sample_angles(limits, count, seed), axes).reshape(count, 45)
    mean = poses.mean(0)
    _, _, rows = np.linalg.svd(poses - mean, full_matrices=False)
    # The sign of a principal direction is arbitrary; positive closes the hand.
    signs = np.where(rows @ mean < 0, -1.0, 1.0)
    return rows * signs[:, None], mean
