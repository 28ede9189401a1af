"""The 21-joint hand as orientation, joint angles and bone lengths, and back.

Straight-line mixing of landmarks shortens fingers that rotate; mixing angles does not. Each bone's
direction is written as a rotation of its parent's frame about an axis perpendicular to the parent:
two numbers, (abduction, flexion). Frames are parallel-transported along a finger, so a bone never
twists about itself, and because a joint bends by less than half a turn the two numbers mix linearly
without ambiguity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.hands.skeleton import palm_size

Floats = NDArray[np.floating[Any]]
_CHAINS = np.arange(1, 21).reshape(5, 4)  # joints of each finger from palm to tip


@dataclass(frozen=True)
class Articulation:
    """``orientation (N, 4)`` quaternion xyzw of the palm in camera axes (x right, y down, z away);
    ``angles (N, 5, 4, 2)`` radians, finger x bone x (abduction, flexion); ``lengths (N, 5, 4)`` in
    palm sizes, the first of a finger being wrist to first joint; ``wrist (N, 3)`` in palm sizes;
    ``vectors (N, 1152)`` what the hand network says of pictures of the hand, None without any."""

    orientation: Floats
    angles: Floats
    lengths: Floats
    wrist: Floats
    vectors: Floats | None = None

    def __len__(self) -> int:
        return len(self.orientation)

    def __getitem__(self, index: Any) -> Articulation:
        return Articulation(
            self.orientation[index],
            self.angles[index],
            self.lengths[index],
            self.wrist[index],
            None if self.vectors is None else self.vectors[index],
        )

    def replace(self, **changes: Any) -> Articulation:
        return replace(self, **changes)


def _unit(v: Floats) -> Floats:
    unit: Floats = v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
    return unit


def _palm_frame(joints: Floats) -> Floats:
    """``(N, 21, 3)`` -> rotation matrices ``(N, 3, 3)`` with columns side, forward, normal."""
    forward = _unit(joints[:, 9] - joints[:, 0])
    normal = _unit(np.cross(joints[:, 5] - joints[:, 0], joints[:, 17] - joints[:, 0]))
    side = _unit(np.cross(forward, normal))
    return np.stack([side, forward, np.cross(side, forward)], axis=-1)


def _swing(angles: Floats) -> Floats:
    """``(..., 2)`` -> ``(..., 3, 3)``: rotations by the vectors ``(flexion, 0, -abduction)``.

    It takes the forward axis (0, 1, 0) of a frame towards side by abduction and towards the normal
    by flexion (Rodrigues' formula)."""
    ax, az = angles[..., 1], -angles[..., 0]
    theta = np.sqrt(ax * ax + az * az)
    small = theta < 1e-8
    safe = np.where(small, 1.0, theta)
    s = np.where(small, 1.0, np.sin(safe) / safe)
    c = np.where(small, 0.5, (1 - np.cos(safe)) / (safe * safe))
    matrix = np.empty((*angles.shape[:-1], 3, 3))
    matrix[..., 0, 0] = 1 - c * az * az
    matrix[..., 0, 1] = -s * az
    matrix[..., 0, 2] = c * ax * az
    matrix[..., 1, 0] = s * az
    matrix[..., 1, 1] = 1 - c * theta * theta
    matrix[..., 1, 2] = -s * ax
    matrix[..., 2, 0] = c * ax * az
    matrix[..., 2, 1] = s * ax
    matrix[..., 2, 2] = 1 - c * ax * ax
    return matrix


def encode(landmarks: Floats) -> Articulation:
    """``(N, 21, 3)`` right-hand landmarks, isotropic units -> ``Articulation`` in palm sizes."""
    size = np.maximum(palm_size(landmarks), 1e-9)[:, None]
    wrist = landmarks[:, 0] / size
    joints = landmarks / size[:, None] - wrist[:, None]
    palm = _palm_frame(joints)
    frame = np.repeat(palm[:, None], 5, axis=1)
    parent = np.zeros((len(joints), 5, 3))
    angles = np.empty((len(joints), 5, 4, 2))
    lengths = np.empty((len(joints), 5, 4))
    for bone in range(4):
        child = joints[:, _CHAINS[:, bone]]
        vector = child - parent
        lengths[:, :, bone] = np.linalg.norm(vector, axis=-1)
        local = np.einsum("nfji,nfj->nfi", frame, _unit(vector))
        bend = np.arctan2(np.hypot(local[..., 0], local[..., 2]), local[..., 1])
        direction = _unit(local[..., [0, 2]])
        angles[:, :, bone] = direction * bend[..., None]
        frame = frame @ _swing(angles[:, :, bone])
        parent = child
    return Articulation(Rotation.from_matrix(palm).as_quat(), angles, lengths, wrist)


def bone_frames(hand: Articulation) -> tuple[Floats, Floats]:
    """Axes of the palm ``(N, 3, 3)`` and of the bones ``(N, 5, 4, 3, 3)`` in camera axes.

    Columns are side, forward (along the bone), and normal."""
    palm = Rotation.from_quat(hand.orientation).as_matrix()
    frames = _swing(hand.angles)
    frames[:, :, 0] = palm[:, None] @ frames[:, :, 0]
    for bone in range(1, 4):
        frames[:, :, bone] = frames[:, :, bone - 1] @ frames[:, :, bone]
    return palm, frames


def decode(hand: Articulation) -> Floats:
    """``Articulation`` of N frames -> ``(N, 21, 3)`` landmarks in palm sizes, camera axes."""
    _, frames = bone_frames(hand)
    joints = np.zeros((len(hand), 21, 3))
    chains = np.cumsum(frames[..., 1] * hand.lengths[..., None], axis=2)
    joints[:, 1:] = chains.reshape(len(hand), 20, 3)
    return joints + hand.wrist[:, None]


def mix(a: Articulation, b: Articulation, weight: Floats | float) -> Articulation:
    """``(1 - weight) * a + weight * b`` frame by frame, on the shorter arc for the orientation.

    Vectors of pictures are never extrapolated: their weight is held within 0..1. There are none
    where ``a`` or ``b`` has none."""
    w = np.asarray(weight, dtype=float)
    rows = w[:, None] if w.ndim else w
    sign = np.where((a.orientation * b.orientation).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    orientation = _unit((1 - rows) * a.orientation + rows * sign * b.orientation)
    blocks = w[:, None, None] if w.ndim else w
    vectors = None
    if a.vectors is not None and b.vectors is not None:
        share = np.clip(rows, 0.0, 1.0)
        vectors = (1 - share) * a.vectors + share * b.vectors
    return Articulation(
        orientation,
        (1 - blocks[..., None] if w.ndim else 1 - w) * a.angles
        + (blocks[..., None] if w.ndim else w) * b.angles,
        (1 - blocks) * a.lengths + blocks * b.lengths,
        (1 - rows) * a.wrist + rows * b.wrist,
        vectors,
    )
