"""What a renderer paints: where skin is palmar, nail, creased or flushed, one value a vertex."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS
from tools.open_hand.remesh import neighbour_means, vertex_normals
from tools.open_hand.skeleton import Skeleton
from tools.open_hand.skeleton import in_model_axes as _at

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

# The three great lines of the palm and the crease of the wrist: (distal, radial) millimetres.
_PALM_LINES = (
    ((-16.0, 30.0), (-22.0, 12.0), (-34.0, 2.0), (-52.0, -2.0), (-72.0, 3.0)),  # thenar
    ((-15.0, 30.0), (-23.0, 10.0), (-32.0, -12.0), (-44.0, -30.0)),  # proximal transverse
    ((6.0, 9.0), (-7.0, 2.0), (-14.0, -16.0), (-24.0, -44.0)),  # distal transverse
    ((-88.0, 24.0), (-87.0, 0.0), (-86.0, -24.0)),
)


def _smooth(x: Floats, low: float, high: float) -> Floats:
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    step: Floats = t * t * (3 - 2 * t)
    return step


def _bump(x: Floats, width: float) -> Floats:
    bump: Floats = np.exp(-((x / width) ** 2))
    return bump


def palmar_side(skeleton: Skeleton, vertices: Floats, faces: Ints, weights: Floats) -> Floats:
    """1 on the hairless skin of palm and pads, 0 on the back, smooth between ``(V,)``."""
    palm = np.concatenate([_at(0, 0, -1)[None], skeleton.axes[:, :, 2]])
    towards = weights @ palm
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = (vertex_normals(vertices, faces) * towards).sum(1)
    side = _smooth(facing, -0.45, 0.35)
    # There is no border on the forearm: it is pale inside and darker outside, by degrees.
    forearm = _smooth(vertices[:, 0], 84.0, 100.0)
    return side * (1 - 0.5 * forearm)


def nails(skeleton: Skeleton, vertices: Floats, faces: Ints) -> Floats:
    """1 on the nail plates ``(V,)``."""
    normals = vertex_normals(vertices, faces)
    mask = np.zeros(len(vertices))
    for digit, joints in DIGIT_JOINTS.items():
        joint = joints[-1]
        axes, length = skeleton.axes[joint - 1], skeleton.bones[joint - 1]
        q = (vertices - skeleton.joints[joint]) @ axes
        half = 7.6 if digit == "thumb" else 5.9 if digit != "little" else 4.9
        along = _smooth(q[:, 1], 0.42 * length, 0.53 * length)
        along *= 1 - _smooth(q[:, 1], 0.96 * length, 1.04 * length)
        across = 1 - _smooth(np.abs(q[:, 0]), half - 1.2, half + 1.2)
        outside = _smooth(-(normals @ axes[:, 2]), 0.25, 0.5) * (q[:, 2] < 0)
        mask = np.maximum(mask, along * across * outside)
    return mask


def creases(skeleton: Skeleton, vertices: Floats, palmar: Floats) -> Floats:
    """1 in the flexion creases of palm, digits and wrist, less on the backs of the joints."""
    mask = np.zeros(len(vertices))
    for digit, joints in DIGIT_JOINTS.items():
        for place, joint in enumerate(joints):
            axes, length = skeleton.axes[joint - 1], skeleton.bones[joint - 1]
            q = (vertices - skeleton.joints[joint]) @ axes
            close = np.hypot(q[:, 0], q[:, 2]) < 17.0
            if digit != "thumb" and place == 0:
                root = 0.9 * _bump(q[:, 1] - 0.46 * length, 3.0) * palmar
                mask = np.maximum(mask, root * (np.hypot(q[:, 0], q[:, 2]) < 15.0))
            elif digit != "thumb" or place == 2:
                fold = _bump(q[:, 1], 2.5) * (palmar + 0.4 * (1 - palmar))
                mask = np.maximum(mask, fold * close)
    flat = np.stack([-vertices[:, 0], vertices[:, 2]], axis=1)
    for line in _PALM_LINES:
        points = np.array(line)
        for a, b in pairwise(points):
            t = np.clip((flat - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
            distance = np.linalg.norm(flat - a - t[:, None] * (b - a), axis=1)
            mask = np.maximum(mask, 0.75 * _bump(distance, 4.0) * palmar * (vertices[:, 1] < -4.0))
    return mask


def flushes(skeleton: Skeleton, vertices: Floats, faces: Ints, palmar: Floats) -> Floats:
    """1 where blood shows: fingertips, knuckles, the heels of the palm ``(V,)``."""
    mask = np.zeros(len(vertices))
    for tip in skeleton.tips:
        mask = np.maximum(mask, _bump(np.linalg.norm(vertices - tip, axis=1), 13.0))
    for joints in DIGIT_JOINTS.values():
        for place, joint in enumerate(joints):
            distance = np.linalg.norm(vertices - skeleton.joints[joint], axis=1)
            strength = (0.5, 0.8, 0.5)[place]
            mask = np.maximum(mask, strength * _bump(distance, 13.0) * (1 - palmar))
    for eminence in (_at(-50.0, 28.0, -30.0), _at(-50.0, -32.0, -24.0), _at(-2.0, 0.0, -16.0)):
        distance = np.linalg.norm(vertices - eminence, axis=1)
        mask = np.maximum(mask, 0.6 * _bump(distance, 20.0) * palmar)
    return 0.5 * mask + 0.5 * neighbour_means(vertices, faces, mask[:, None])[:, 0]
