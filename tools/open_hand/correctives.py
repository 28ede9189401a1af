"""Pose blend shapes: what linear blend skinning does wrong at bent joints, put right.

Skinning lets the outer side of a bent joint sink in and the inner side pass through itself. The
smooth union of the same bones' pieces in the bent position shows where the skin should be instead.
Each joint is bent alone through its range; the way from the skinned vertices to the posed surface,
turned back into the rest pose, is fitted by ridge regression on the nine entries of (R - I) of that
joint (Loper et al. 2015, SMPL, Eq. 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.hand_model.anatomy import angles_to_hand_pose
from tools.open_hand.kinematics import apply, blend, bone_motions
from tools.open_hand.remesh import neighbour_means
from tools.open_hand.skeleton import Skeleton
from tools.open_hand.surface import Piece, project

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

_RIDGE = 0.02
_REACH = 3.5  # mm a vertex may be moved: what is further away is another fold of skin
_LEAST = 0.25  # mm: vertices that no bend moves by more keep no corrective of that joint
_NEAR = 34.0  # mm from the joint


def joint_samples(joint: int, limits: Floats) -> Floats:
    """Angles ``(N, 3)`` of one joint through its range: flexion, and abduction where it has any."""
    flexion, _, abduction = limits[joint - 1]
    bends = np.linspace(flexion[0], flexion[1], 9)
    sways = np.linspace(abduction[0], abduction[1], 3) if np.ptp(abduction) > 0.3 else np.zeros(1)
    return np.array([(b, 0.0, s) for b in bends for s in sways])


def pose_correctives(
    skeleton: Skeleton,
    surface: Piece,
    vertices: Floats,
    faces: Ints,
    weights: Floats,
    limits: Floats,
    joints: Iterable[int] = range(1, 16),
) -> Floats:
    """``posedirs (V, 3, 135)`` in the units of ``vertices`` (mm), 0 for other ``joints``."""
    posedirs = np.zeros((len(vertices), 3, 135))
    for joint in joints:
        near = np.linalg.norm(vertices - skeleton.joints[joint], axis=1) < _NEAR
        moves, features = [], []
        for angles in joint_samples(joint, limits):
            pose = np.zeros((15, 3))
            pose[joint - 1] = angles
            hand_pose = angles_to_hand_pose(pose, skeleton.axes)
            moves.append(_corrections(skeleton, surface, vertices, faces, weights, hand_pose, near))
            rotation = Rotation.from_rotvec(hand_pose[joint - 1]).as_matrix()
            features.append((rotation - np.eye(3)).reshape(-1))
        x, y = np.array(features), np.array(moves).reshape(len(moves), -1)
        solved = np.linalg.solve(x.T @ x + _RIDGE * np.eye(9), x.T @ y)
        reached = np.linalg.norm((x @ solved).reshape(len(x), -1, 3), axis=-1).max(0)
        kept = solved.reshape(9, -1, 3) * (reached > _LEAST)[:, None]
        posedirs[:, :, 9 * (joint - 1) : 9 * joint] = kept.transpose(1, 2, 0)
    return posedirs


def _corrections(
    skeleton: Skeleton,
    surface: Piece,
    vertices: Floats,
    faces: Ints,
    weights: Floats,
    hand_pose: Floats,
    near: NDArray[np.bool_],
) -> Floats:
    """Displacements ``(V, 3)`` in the rest pose that put the skinned vertices on the surface."""
    motions = bone_motions(skeleton.joints, hand_pose)
    maps = blend(weights, motions)
    posed = apply(maps, vertices)
    moved = np.zeros_like(vertices)
    moved[near] = project(surface, posed[near], motions, steps=4, reach=1.5) - posed[near]
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    moved *= np.minimum(1.0, _REACH / np.maximum(length, 1e-9))
    moved = 0.6 * moved + 0.4 * neighbour_means(vertices, faces, moved)
    back: Floats = np.einsum("vba,vb->va", maps[:, :3, :3], moved)
    return back * near[:, None]
