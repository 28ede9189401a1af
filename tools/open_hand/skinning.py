"""How much each joint moves each vertex, and the joints as means of vertices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from tools.open_hand.remesh import neighbour_means
from tools.open_hand.skeleton import BASES, Skeleton, in_model_axes
from tools.open_hand.surface import REST, Piece

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

# Skin from (start, end) mm along the digit, relative to a joint, passes from its parent's motion to
# its own. At the knuckles the palm's skin follows a finger only from its root on, 20 mm further.
_FINGER_BLENDS = {"back": ((-9.0, 11.0), (-8.0, 8.0), (-6.5, 6.5)),
                  "palm": ((-3.0, 24.0), (-8.5, 8.5), (-7.0, 7.0))}  # fmt: skip
_THUMB_BLENDS = {"back": ((-12.0, 12.0), (-9.0, 9.0)), "palm": ((-14.0, 14.0), (-9.0, 9.0))}


def _ramp(x: Floats, start: Floats | float, end: Floats | float) -> Floats:
    t = np.clip((x - start) / (np.asarray(end) - start), 0.0, 1.0)
    ramp: Floats = t * t * (3 - 2 * t)
    return ramp


def _to_segment(points: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Distance to a segment, and the position along its line from ``a`` in millimetres."""
    axis = (b - a) / np.linalg.norm(b - a)
    along = (points - a) @ axis
    held = np.clip(along, 0.0, np.linalg.norm(b - a))
    return np.linalg.norm(points - a - held[:, None] * axis, axis=1), along


def _passed(skeleton: Skeleton, digit: str, points: Floats, place: int, blends: Any) -> Floats:
    """0 before the joint at ``place`` of a digit, 1 beyond it, smooth between."""
    joint = DIGIT_JOINTS[digit][place]
    axes = skeleton.axes[joint - 1]
    # The plane that halves the angle between the two bones at rest.
    before = skeleton.axes[joint - 2][:, 1] if place else axes[:, 1]
    across = (before + axes[:, 1]) / np.linalg.norm(before + axes[:, 1])
    q = points - skeleton.joints[joint]
    palmward = _ramp(q @ axes[:, 2], -6.0, 8.0)
    row = place - (digit == "thumb")
    (back, front), (low, high) = blends["back"][row], blends["palm"][row]
    start, end = back + (low - back) * palmward, front + (high - front) * palmward
    return _ramp(q @ across, start, end)


def _thenar(skeleton: Skeleton, points: Floats) -> Floats:
    """How much the basal joint of the thumb moves the palm: wholly along the thumb's metacarpal,
    ever less through the web to the index finger's."""
    thumb, distance_along = _to_segment(points, skeleton.joints[13], skeleton.joints[14])
    carpus = in_model_axes(-60.0, 8.0, -3.0)
    index, _ = _to_segment(points, carpus, in_model_axes(*BASES["index"]))
    share = index / (index + thumb)
    return _ramp(share, 0.30, 0.78) * _ramp(distance_along, -14.0, 20.0)


def skin_weights(
    skeleton: Skeleton, digits: dict[str, Piece], vertices: Floats, faces: Ints
) -> Floats:
    """``(V, 16)``, rows sum to 1, at most four joints a vertex.

    ``digits`` are the surfaces of the digits alone: a vertex belongs to the nearest. Weights are
    evened out along the mesh, not through space, so that they never cross to a neighbouring finger.
    """
    distances = np.stack([digits[d].distance(vertices, REST) for d in DIGITS])
    owner = distances.argmin(0)
    weights = np.zeros((len(vertices), 16))
    for row, digit in enumerate(DIGITS):
        mine = owner == row
        points = vertices[mine]
        first, second, third = DIGIT_JOINTS[digit]
        if digit == "thumb":
            one = np.ones(len(points))
            two, three = (
                _passed(skeleton, digit, points, place, _THUMB_BLENDS) for place in (1, 2)
            )
        else:
            one, two, three = (
                _passed(skeleton, digit, points, place, _FINGER_BLENDS) for place in range(3)
            )
        weights[mine, first] = one * (1 - two)
        weights[mine, second] = one * two * (1 - three)
        weights[mine, third] = one * two * three
        weights[mine, 0] = 1 - one
    # The thumb's basal joint moves a region of the palm too: wherever no finger does.
    basal = _thenar(skeleton, vertices)
    free = weights[:, 0] + weights[:, 13]
    weights[:, 13], weights[:, 0] = free * basal, free * (1 - basal)
    for _ in range(4):
        weights = 0.5 * weights + 0.5 * neighbour_means(vertices, faces, weights)
    return _fewest(weights, 4)


def _fewest(weights: Floats, count: int) -> Floats:
    """The ``count`` largest of each row, small ones dropped, summing to 1."""
    least = np.sort(weights, axis=1)[:, -count][:, None]
    kept = np.where((weights >= least) & (weights > 0.01), weights, 0.0)
    rows: Floats = kept / kept.sum(1, keepdims=True)
    return rows


def joint_regressor(
    joints: Floats, vertices: Floats, joint_dirs: Floats, shapedirs: Floats, count: int = 80
) -> Floats:
    """``(16, V)``: each joint as a weighted mean of the ``count`` vertices nearest to it.

    Of all weights that sum to 1 and give the joint exactly, at rest and along every shape direction
    (``joint_dirs (16, 3, B)``, ``shapedirs (V, 3, B)``), those nearest to a mean that falls off
    smoothly with distance.
    """
    regressor = np.zeros((len(joints), len(vertices)))
    for j, joint in enumerate(joints):
        distance = np.linalg.norm(vertices - joint, axis=1)
        near = np.sort(np.argsort(distance, kind="stable")[:count])
        fall = np.exp(-((distance[near] / distance[near].max()) ** 2) * 2)
        prior = fall / fall.sum()
        rows = np.concatenate(
            [
                np.ones((1, count)),
                vertices[near].T,
                shapedirs[near].transpose(1, 2, 0).reshape(-1, count),
            ]
        )
        wanted = np.concatenate([[1.0], joint, joint_dirs[j].reshape(-1)])
        # Least change of the prior, measured in shares of itself, that meets the equations.
        scaled = rows * prior
        change = np.linalg.lstsq(scaled, wanted - rows @ prior, rcond=1e-10)[0]
        regressor[j, near] = prior * (1 + change)
    return regressor
