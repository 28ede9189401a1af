"""From anatomy to the template: the steps in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.template import PARENTS, HandTemplate
from tools.open_hand.appearance import creases, flushes, nails, palmar_side
from tools.open_hand.correctives import pose_correctives
from tools.open_hand.flesh import digit_surfaces, hand_surface
from tools.open_hand.poses import principal_poses
from tools.open_hand.remesh import marching_cubes, relax, remesh
from tools.open_hand.skeleton import Skeleton, pose_limits, rest_skeleton
from tools.open_hand.skinning import joint_regressor, skin_weights
from tools.open_hand.surface import Piece, project
from tools.open_hand.variation import principal_shapes, sample_population

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

BETAS = 10
# The box round the hand in the model's frame, millimetres.
_LOW, _HIGH, _STEP = np.array([-110.0, -75.0, -75.0]), np.array([125.0, 30.0, 95.0]), 3.0
# Edge lengths, millimetres: of the palm, of bending joints, of fingertips with their nails.
_PALM_EDGE, _JOINT_EDGE, _TIP_EDGE = 7.8, 4.9, 3.3
_RING = 0.45 * _JOINT_EDGE  # vertices this near to a joint's plane are moved into it
_MM = 1e-3


def edge_lengths(skeleton: Skeleton, points: Floats) -> Floats:
    """Wanted length of mesh edges at ``points (N, 3)``: short where skin bends or a nail ends."""
    lengths = np.full(len(points), _PALM_EDGE)
    for joints in DIGIT_JOINTS.values():
        for joint in joints[1:]:
            distance = np.linalg.norm(points - skeleton.joints[joint], axis=1)
            lengths = np.minimum(lengths, _JOINT_EDGE + 0.11 * np.maximum(distance - 10.0, 0.0))
        end = joints[-1]
        axes = skeleton.axes[end - 1]
        q = (points - skeleton.joints[end]) @ axes
        distal = (q[:, 1] > 2.0) & (np.hypot(q[:, 0], q[:, 2]) < 16.0)
        fine = np.clip(_JOINT_EDGE - 0.09 * q[:, 1], _TIP_EDGE, _JOINT_EDGE)
        lengths = np.where(distal, fine, lengths)
    return lengths


def rings_at_joints(skeleton: Skeleton, surface: Piece, vertices: Floats, faces: Ints) -> Floats:
    """Vertices moved along the digits so that a ring of them lies in each joint's plane.

    There the skin folds and its creases are drawn, neither of which a mesh can show between its
    vertices."""
    ringed = vertices.copy()
    free = np.ones(len(vertices), dtype=bool)
    for joints in DIGIT_JOINTS.values():
        for joint in joints[1:]:
            axes = skeleton.axes[joint - 1]
            q = (vertices - skeleton.joints[joint]) @ axes
            near = (np.abs(q[:, 1]) < _RING) & (np.hypot(q[:, 0], q[:, 2]) < 15.0)
            ring = _without_whole_faces(near, np.abs(q[:, 1]), faces)
            ringed[ring] -= q[ring, 1:2] * axes[:, 1]
            free &= ~ring
    ringed[~free] = project(surface, ringed[~free], steps=2)
    return relax(surface, ringed, faces, rounds=3, free=free)


def _without_whole_faces(near: Bools, distance: Floats, faces: Ints) -> Bools:
    """As many of the ``near (V,)`` vertices, nearest first, as leave no face with all three: in
    one plane with the surface's section it would have no area."""
    chosen = np.zeros(len(near), dtype=bool)
    candidates = np.nonzero(near)[0]
    for vertex in candidates[np.argsort(distance[candidates], kind="stable")]:
        around = faces[(faces == vertex).any(1)]
        chosen[vertex] = chosen[around].sum(1).max() < 2
    return chosen


def build_template(corrected: Iterable[int] = range(1, 16)) -> HandTemplate:
    """The open hand, made anew: about a minute, most of it for the correctives of all joints."""
    skeleton, limits = rest_skeleton(), pose_limits()
    surface = hand_surface(skeleton)
    vertices, faces = marching_cubes(surface, _LOW, _HIGH, _STEP)
    vertices, faces = remesh(surface, vertices, faces, lambda p: edge_lengths(skeleton, p))
    vertices = rings_at_joints(skeleton, surface, vertices, faces)
    weights = skin_weights(skeleton, digit_surfaces(skeleton), vertices, faces)
    posedirs = pose_correctives(skeleton, surface, vertices, faces, weights, limits, corrected)
    population = sample_population(skeleton, vertices, faces, weights, count=2000, seed=1)
    shapedirs, joint_dirs, _ = principal_shapes(population, BETAS)
    regressor = joint_regressor(skeleton.joints, vertices, joint_dirs, shapedirs)
    components, pose_mean = principal_poses(skeleton.axes, limits, count=20_000, seed=2)
    palmar = palmar_side(skeleton, vertices, faces, weights)
    return HandTemplate(
        name="open",
        side="right",
        licence="MIT",
        v_template=vertices * _MM,
        shapedirs=shapedirs * _MM,
        posedirs=posedirs * _MM,
        joint_regressor=regressor,
        weights=weights,
        faces=faces,
        parents=np.array(PARENTS),
        components=components,
        pose_mean=pose_mean,
        tips=fingertips(skeleton, vertices),
        extras={
            "joint_axes": skeleton.axes,
            "pose_limits": limits,
            "palmar": palmar,
            "nail": nails(skeleton, vertices, faces),
            "crease": creases(skeleton, vertices, palmar),
            "flush": flushes(skeleton, vertices, faces, palmar),
        },
    )


def fingertips(skeleton: Skeleton, vertices: Floats) -> dict[str, tuple[int, ...]]:
    """Vertex sets, thumb to little finger: ``pad``, where MediaPipe and MANO's users put the tip,
    5 mm before the end on the pad's side; and ``end``, the outermost point."""
    sets: dict[str, tuple[int, ...]] = {}
    for name, back, out in (("pad", 5.0, 6.0), ("end", 0.0, 0.0)):
        chosen = []
        for digit, tip in zip(DIGITS, skeleton.tips, strict=True):
            axes = skeleton.axes[DIGIT_JOINTS[digit][-1] - 1]
            wanted = tip - back * axes[:, 1] + out * axes[:, 2]
            chosen.append(int(np.argmin(np.linalg.norm(vertices - wanted, axis=1))))
        sets[name] = tuple(chosen)
    return sets
