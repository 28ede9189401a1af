"""Shape directions: how adult hands differ, as ten principal components.

Hands are sampled from a statistical model of independent causes (sex, size, breadth, the lengths of
digits and bones, thickness, the depth of the palm, bony joints), each a smooth scaling of the mean
hand about its bones; the principal components of their vertices are the shape directions, scaled
to unit variance, so that ``betas ~ N(0, 1)`` gives the hands of this population.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.template import PARENTS
from tools.open_hand.anthropometry import HAND_BREADTH, HAND_LENGTH
from tools.open_hand.remesh import vertex_normals
from tools.open_hand.skeleton import Skeleton

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

# Standard deviations of the logarithms of what remains when overall length and breadth are known.
# Choice: published SDs of bones (8-12 % of the mean, both sexes) less those of hand length and of
# the reading of radiographs leave 2-4 % for digits and bones; thickness likewise.
PALM_LENGTH, DIGIT_LENGTH, BONE_LENGTH = 0.025, 0.025, 0.03
FINGER_BREADTH, FINGER_DEPTH, PALM_DEPTH = 0.03, 0.035, 0.04
JOINT_SWELLING, TIP_TAPER = 0.05, 0.03
# Correlation of hand length and breadth within one sex.
LENGTH_BREADTH = 0.55


@dataclass(frozen=True)
class Population:
    """``vertices (N, V, 3)`` and ``joints (N, 16, 3)`` of sampled hands."""

    vertices: Floats
    joints: Floats


def _log_sizes(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Logarithms of hand length and breadth relative to the mean of both sexes, half men."""
    male = rng.random(count) < 0.5
    z = rng.standard_normal((count, 2))
    z[:, 1] = LENGTH_BREADTH * z[:, 0] + np.sqrt(1 - LENGTH_BREADTH**2) * z[:, 1]
    sizes = []
    for column, (m, m_sd, f, f_sd) in enumerate((HAND_LENGTH, HAND_BREADTH)):
        value = np.where(male, m + m_sd * z[:, column], f + f_sd * z[:, column])
        sizes.append(np.log(value / ((m + f) / 2)))
    return sizes[0], sizes[1]


def sample_population(
    skeleton: Skeleton, vertices: Floats, faces: Ints, weights: Floats, count: int, seed: int
) -> Population:
    """Adult hands of both sexes with the mesh, skin weights and rest pose of the mean hand."""
    rng = np.random.default_rng(seed)
    length, breadth = _log_sizes(rng, count)
    normals = vertex_normals(vertices, faces)
    spots = [
        np.exp(-((np.linalg.norm(vertices - joint, axis=1) / 11.0) ** 2))
        for joint in skeleton.joints[1:]
    ]
    swelling_spots = np.sum(spots, axis=0)
    tip_spots = np.sum(
        [np.exp(-((np.linalg.norm(vertices - tip, axis=1) / 14.0) ** 2)) for tip in skeleton.tips],
        axis=0,
    )
    hands, joints = [], []
    for k in range(count):
        noise = rng.standard_normal(4)
        palm = np.array(
            [  # distal, dorsal, radial: the model's x, y, z
                length[k] + PALM_LENGTH * noise[0],
                0.5 * (length[k] + breadth[k]) + PALM_DEPTH * noise[1],
                breadth[k],
            ]
        )
        scales = np.zeros((15, 3))  # side, forward, normal of each bone
        thick = 0.3 * length[k] + 0.7 * breadth[k] + FINGER_BREADTH * noise[2]
        deep = thick + FINGER_DEPTH * noise[3]
        for digit in DIGITS:
            rows = [joint - 1 for joint in DIGIT_JOINTS[digit]]
            digit_length = length[k] + DIGIT_LENGTH * rng.standard_normal()
            scales[rows, 1] = digit_length + BONE_LENGTH * rng.standard_normal(3)
            scales[rows, 0], scales[rows, 2] = thick, deep
        hand, moved = _scaled(skeleton, vertices, weights, np.exp(palm), np.exp(scales))
        swelling = JOINT_SWELLING * rng.standard_normal() * swelling_spots
        taper = TIP_TAPER * rng.standard_normal() * tip_spots
        hands.append(hand + 8.5 * (swelling + taper)[:, None] * normals)
        joints.append(moved)
    return Population(np.stack(hands), np.stack(joints))


def _scaled(
    skeleton: Skeleton, vertices: Floats, weights: Floats, palm: Floats, bones: Floats
) -> tuple[Floats, Floats]:
    """The hand with its palm scaled along the model's axes and each bone along its own."""
    joints = skeleton.joints * palm
    maps = [np.diag(palm)]
    for joint in range(1, 16):
        frame = skeleton.axes[joint - 1]
        maps.append(frame @ np.diag(bones[joint - 1]) @ frame.T)
        parent = PARENTS[joint]
        if parent:
            joints[joint] = joints[parent] + maps[parent] @ (
                skeleton.joints[joint] - skeleton.joints[parent]
            )
    offsets = vertices[:, None] - skeleton.joints
    carried = np.einsum("jab,vjb->vja", np.stack(maps), offsets) + joints
    hand: Floats = np.einsum("vj,vja->va", weights, carried)
    return hand, joints


def principal_shapes(population: Population, count: int) -> tuple[Floats, Floats, Floats]:
    """``shapedirs (V, 3, count)``, ``joint_dirs (16, 3, count)`` of unit variance, and the share of
    the population's variance that the components explain, cumulative ``(count,)``.

    Each component is a linear combination of the sampled hands, so the same combination of their
    joints is what it does to the joints. Signs: a positive beta makes the hand larger.
    """
    hands = len(population.vertices)
    rows = (population.vertices - population.vertices.mean(0)).reshape(hands, -1)
    joint_rows = (population.joints - population.joints.mean(0)).reshape(hands, -1)
    scores, values, _ = np.linalg.svd(rows, full_matrices=False)
    mix = scores[:, :count] / np.sqrt(hands - 1)
    shapedirs = rows.T @ mix
    outward = population.vertices.mean(0).reshape(-1)
    mix = mix * np.where(outward @ shapedirs < 0, -1.0, 1.0)
    explained = np.cumsum(values**2)[:count] / (values**2).sum()
    return (
        (rows.T @ mix).reshape(-1, 3, count),
        (joint_rows.T @ mix).reshape(16, 3, count),
        explained,
    )
