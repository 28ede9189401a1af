"""What the surface of the mean adult hand is made of: sections of digits, palm, muscles, webs.

Positions in the palm are (distal, radial, dorsal) millimetres from the middle knuckle, the words of
anatomy. Sections are (half width, depth on the back, depth
on the palm) from the line of the joints, which runs nearer to the back of the hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS
from tools.open_hand.skeleton import BASES, WRIST_CREASE, Skeleton
from tools.open_hand.skeleton import in_model_axes as _at
from tools.open_hand.surface import Ellipsoid, Group, Limb, Piece, Web

Floats = NDArray[np.floating[Any]]

# Sections of the index finger at fractions of its three bones: swollen at the joints, waisted
# between them on the back, padded between the creases on the palm. Breadths of the joints: 19.6 and
# 17 mm, depths 17.5 and 14 mm (means of both sexes).
_FINGER = {
    "proximal": (
        (-0.12, 9.6, 9.4, 11.0),
        (0.20, 9.9, 9.3, 11.8),
        (0.48, 9.7, 8.8, 11.0),
        (0.75, 9.3, 8.3, 9.9),
        (1.00, 9.7, 8.4, 9.2),
    ),
    "middle": (
        (0.00, 9.7, 8.4, 9.2),
        (0.35, 9.3, 7.8, 9.4),
        (0.65, 8.9, 7.3, 9.1),
        (1.00, 8.9, 7.0, 8.1),
    ),
    "distal": (
        (0.00, 8.9, 7.0, 8.1),
        (0.25, 8.7, 6.2, 8.3),
        (0.50, 8.4, 5.4, 8.4),
        (0.72, 7.6, 4.5, 7.4),
    ),
}
_SCALE = {"index": 1.0, "middle": 1.03, "ring": 0.96, "little": 0.85}
_THUMB = {
    "proximal": (
        (0.10, 11.5, 11.0, 12.5),
        (0.50, 10.5, 10.0, 13.0),
        (0.80, 10.4, 10.0, 12.0),
        (1.00, 11.2, 10.4, 11.4),
    ),
    "middle": (
        (0.00, 11.2, 10.4, 11.4),
        (0.45, 10.3, 9.5, 11.3),
        (0.80, 10.5, 9.0, 10.2),
        (1.00, 10.9, 8.8, 9.8),
    ),
    "distal": (
        (0.00, 10.9, 8.8, 9.8),
        (0.25, 11.0, 7.4, 10.2),
        (0.50, 10.8, 6.0, 10.4),
        (0.74, 9.6, 4.8, 8.6),
    ),
}
# Metacarpal rays from the carpus to the knuckle: (fraction, half width, back, palm).
_RAYS = {
    "index": (
        (0.0, 9.0, 7.0, 11.0),
        (0.5, 11.0, 9.0, 14.5),
        (0.9, 11.2, 10.0, 15.5),
        (1.05, 10.4, 9.8, 14.5),
    ),
    "middle": (
        (0.0, 10.0, 9.0, 10.0),
        (0.5, 11.0, 10.0, 13.6),
        (0.9, 11.6, 11.0, 15.0),
        (1.05, 10.6, 10.6, 14.8),
    ),
    "ring": (
        (0.0, 10.0, 8.0, 10.0),
        (0.5, 11.0, 9.3, 14.0),
        (0.9, 11.0, 10.3, 15.0),
        (1.05, 10.2, 10.0, 14.5),
    ),
    "little": (
        (0.0, 9.0, 7.0, 11.0),
        (0.5, 10.5, 8.3, 14.0),
        (0.9, 10.0, 9.4, 14.0),
        (1.05, 9.4, 9.2, 13.5),
    ),
}
_CARPUS = {
    "index": (-66.0, 10.0, -3.0),
    "middle": (-66.0, 1.0, -2.0),
    "ring": (-66.0, -8.5, -3.0),
    "little": (-66.0, -17.5, -5.0),
}
_WRIST_SECTIONS = (  # from the end of the stump to the carpus
    (-20.0, 28.5, 18.5, 20.0),
    (-10.0, 28.5, 18.0, 19.5),
    (0.0, 29.0, 17.5, 19.0),
    (10.0, 30.0, 16.0, 18.5),
    (20.0, 30.5, 14.0, 17.0),
)


_PALM_FRAME = np.stack([_at(0, 1, 0), _at(1, 0, 0), _at(0, 0, -1)], axis=1)


def _frame_towards(direction: Floats) -> Floats:
    """Side, forward, normal of a piece of the palm that points along ``direction``."""
    forward = direction / np.linalg.norm(direction)
    palm = _at(0, 0, -1)
    normal = palm - (palm @ forward) * forward
    normal /= np.linalg.norm(normal)
    return np.stack([np.cross(forward, normal), forward, normal], axis=1)


def _digit(skeleton: Skeleton, digit: str) -> Group:
    thumb = digit == "thumb"
    table = _THUMB if thumb else _FINGER
    scale = 1.0 if thumb else _SCALE[digit]
    limbs: list[Piece] = []
    for joint, name in zip(DIGIT_JOINTS[digit], ("proximal", "middle", "distal"), strict=True):
        stations = np.array(table[name])
        stations[:, 0] *= skeleton.bones[joint - 1]
        stations[:, 1:] *= scale
        first, last = stations[0, 1], stations[-1, 1]
        tip = skeleton.bones[joint - 1] - stations[-1, 0]
        caps = (0.9 * first, tip if name == "distal" else 0.9 * last)
        limbs.append(Limb(joint, skeleton.joints[joint], skeleton.axes[joint - 1], stations, caps))
    return Group(limbs, 1.5)


def _ray(digit: str) -> Limb:
    start, end = _at(*_CARPUS[digit]), _at(*BASES[digit])
    stations = np.array(_RAYS[digit])
    stations[:, 0] *= np.linalg.norm(end - start)
    return Limb(0, start, _frame_towards(end - start), stations, (8.0, 9.0))


def _web(
    skeleton: Skeleton, one: str, other: str, along: float, depth: float, radius: float
) -> Web:
    """The fold between two fingers, ``along`` mm from their knuckles, ``depth`` below the bones."""
    corners, carriers = [], []
    for digit in (one, other):
        joint = DIGIT_JOINTS[digit][0]
        axes = skeleton.axes[joint - 1]
        corners.append(skeleton.joints[joint] + along * axes[:, 1] + depth * axes[:, 2])
        carriers.append({0: 0.5, joint: 0.5})
    return Web(tuple(corners), tuple(carriers), radius)


def _palm(skeleton: Skeleton) -> Group:
    wrist = Limb(0, _at(*WRIST_CREASE), _PALM_FRAME, np.array(_WRIST_SECTIONS), (3.0, 14.0))
    slab: list[Piece] = [wrist, *(_ray(digit) for digit in _RAYS)]
    thumb = skeleton.axes[12]
    cmc, mcp = skeleton.joints[13], skeleton.joints[14]
    oblique = _frame_towards(_at(1.0, 0.50, -0.1))
    ulnar = _frame_towards(_at(1.0, -0.30, 0.0))
    belly = cmc + 0.50 * (mcp - cmc) + 2.5 * thumb[:, 2]
    muscles: list[Piece] = [
        # Thenar: the belly along the thumb's metacarpal, and its root on the carpus.
        Ellipsoid(13, belly, thumb, np.array([14.0, 25.0, 15.5])),
        Ellipsoid(0, _at(-62.0, 15.0, -14.5), oblique, np.array([15.0, 27.0, 13.0])),
        # Hypothenar: along the ulnar border from the pisiform to the little finger's knuckle.
        Ellipsoid(0, _at(-67.0, -24.0, -12.0), ulnar, np.array([13.5, 25.0, 14.0])),
        Ellipsoid(0, _at(-44.0, -34.0, -9.5), ulnar, np.array([13.5, 30.0, 14.0])),
        # First web: from the thumb's metacarpal to the index finger's.
        Web(
            (_at(-52.0, 20.0, -14.0), cmc + 0.95 * (mcp - cmc), _at(-14.0, 20.0, -4.0)),
            ({0: 1.0}, {13: 1.0}, {0: 1.0}),
            7.0,
        ),
    ]
    webs = [
        # Pads between the heads of the metacarpals, and the folds between the fingers.
        _web(skeleton, "index", "middle", 1.0, 7.5, 7.5),
        _web(skeleton, "middle", "ring", 1.0, 7.5, 7.5),
        _web(skeleton, "ring", "little", 0.0, 7.0, 7.0),
        _web(skeleton, "index", "middle", 14.0, 3.5, 6.5),
        _web(skeleton, "middle", "ring", 14.0, 3.5, 6.5),
        _web(skeleton, "ring", "little", 12.0, 3.5, 6.0),
    ]
    return Group([Group(slab, 10.0), *muscles, *webs], 9.0)


def digit_surfaces(skeleton: Skeleton) -> dict[str, Piece]:
    """The surface of each digit alone, from its knuckle on."""
    return {digit: _digit(skeleton, digit) for digit in DIGIT_JOINTS}


def hand_surface(skeleton: Skeleton) -> Group:
    """The whole skin of the mean adult right hand, with a closed stump of the forearm."""
    digits = digit_surfaces(skeleton)
    fingers = Group([digits[d] for d in _SCALE], 1.5)
    return Group([_palm(skeleton), digits["thumb"], fingers], 7.0)
