"""Keypoints of the whole person as graphs: what each detector gives, and what is joined to what.

Facts of the detectors' formats; left and right are the signer's own. Choice: the graphs join the
parts (a wrist of the body to the wrist of its hand, the nose to the face), which the detectors
leave apart, so that every joint has a distance from the centre.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from chereme.errors import UsageError
from chereme.hands.skeleton import JOINT_NAMES, PARENTS

Link = tuple[str, str]
# A run of joints: name, their indices in the detector's part, and how they hang together. A "loop"
# is closed, a "strip" open; their mirror image is the same run backwards, from its first joint or
# its end. A "midline" is its own mirror image. Of "left_" and "right_" runs, each is the other's.
Run = tuple[str, tuple[int, ...], Literal["loop", "strip", "midline"]]


@dataclass(frozen=True)
class KeypointLayout:
    """A graph of V keypoints.

    ``names``: of each vertex. ``edges``: pairs of vertices. ``centre``: the vertex from which the
    spatial partition measures. ``source``: where each vertex is among the ``size`` keypoints that
    the detector gives. ``mirror``: which vertex each becomes when the picture is flipped.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    centre: int
    source: tuple[int, ...]
    size: int
    mirror: tuple[int, ...]


def keypoint_layout(name: str) -> KeypointLayout:
    """The layout of that name; UsageError with the names there are.

    "openpose_137": BODY_25, face of 70, left hand, right hand, as its JSON files list them (the
    paper's). "mmpose_133": COCO-WholeBody: body, feet, face of 68, left hand, right hand.
    "mediapipe_holistic": of the 33 of the pose, 468 of the face mesh, left hand and right hand,
    all but the inner points of the face. Choice: the 128 on its contours are kept (lips, eyes,
    brows, oval); the mesh between them moves with them.
    """
    if name not in LAYOUTS:
        raise UsageError(f"layout: expected one of {', '.join(LAYOUTS)}, got {name!r}")
    return _layout(name)


# -- bodies ---------------------------------------------------------------------------------------
_BODY_25 = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear "
    "left_ear left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
)
_COCO = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
)
_BLAZEPOSE = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer "
    "left_ear right_ear left_mouth right_mouth left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_pinky right_pinky left_index right_index left_thumb "
    "right_thumb left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel "
    "right_heel left_foot_index right_foot_index"
)


def _sides(*links: str) -> tuple[Link, ...]:
    """ "a-b" -> the link on each side of the body; what begins with "=" is in its middle."""
    ends = [link.split("-") for link in links]
    return tuple(
        (a[1:] if a[0] == "=" else f"{side}_{a}", b[1:] if b[0] == "=" else f"{side}_{b}")
        for side in ("left", "right")
        for a, b in ends
    )


_LIMBS = _sides("shoulder-elbow", "elbow-wrist", "hip-knee", "knee-ankle", "ankle-heel")
_HANDS = _sides("wrist-hand_wrist")
_BODY_25_LINKS: tuple[Link, ...] = (
    *(("nose", "neck"), ("neck", "mid_hip")),
    *_LIMBS,
    *_sides("shoulder-=neck", "hip-=mid_hip", "eye-=nose", "ear-eye"),
    *_sides("big_toe-ankle", "small_toe-big_toe"),
)
_COCO_LINKS: tuple[Link, ...] = (
    *(("left_eye", "right_eye"), ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")),
    *_LIMBS,
    *_sides("eye-=nose", "ear-eye", "ear-shoulder", "shoulder-hip"),
    *_sides("big_toe-ankle", "small_toe-ankle"),
)
_BLAZEPOSE_LINKS: tuple[Link, ...] = (
    *(
        ("left_mouth", "right_mouth"),
        ("left_shoulder", "right_shoulder"),
        ("left_hip", "right_hip"),
    ),
    *_LIMBS,
    *_sides("eye_inner-=nose", "eye-eye_inner", "eye_outer-eye", "ear-eye_outer", "shoulder-hip"),
    *_sides("wrist-pinky", "wrist-index", "wrist-thumb", "pinky-index"),
    *_sides("ankle-foot_index", "heel-foot_index"),
    *_sides("mouth-=nose", "shoulder-=nose"),  # ours, as the parts are apart
)

# -- faces ----------------------------------------------------------------------------------------
_FACE_68: tuple[Run, ...] = (
    ("jaw", tuple(range(17)), "strip"),
    ("right_brow", (17, 18, 19, 20, 21), "strip"),
    ("left_brow", (26, 25, 24, 23, 22), "strip"),
    ("nose_bridge", (27, 28, 29, 30), "midline"),
    ("nose_base", (31, 32, 33, 34, 35), "strip"),
    ("right_lid", (36, 37, 38, 39, 40, 41), "loop"),
    ("left_lid", (45, 44, 43, 42, 47, 46), "loop"),
    ("outer_lip", (51, 50, 49, 48, 59, 58, 57, 56, 55, 54, 53, 52), "loop"),
    ("inner_lip", (62, 61, 60, 67, 66, 65, 64, 63), "loop"),
)
_FACE_70: tuple[Run, ...] = (
    *_FACE_68,
    ("right_pupil", (68,), "strip"),
    ("left_pupil", (69,), "strip"),
)
_FACE_68_LINKS: tuple[Link, ...] = (
    ("nose", "nose_bridge_3"),
    ("nose_bridge_3", "nose_base_2"),
    ("nose_base_2", "outer_lip_0"),
    ("outer_lip_0", "inner_lip_0"),
    ("outer_lip_6", "jaw_8"),
    *_sides("brow_4-=nose_bridge_0", "lid_3-=nose_bridge_0"),
)
_FACE_MESH: tuple[Run, ...] = (
    (
        "oval",
        (
            *(10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148),
            *(152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356, 389, 251, 284, 332, 297),
            338,
        ),
        "loop",
    ),
    ("right_upper_brow", (70, 63, 105, 66, 107), "strip"),
    ("left_upper_brow", (300, 293, 334, 296, 336), "strip"),
    ("right_lower_brow", (46, 53, 52, 65, 55), "strip"),
    ("left_lower_brow", (276, 283, 282, 295, 285), "strip"),
    (
        "right_lid",
        (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
        "loop",
    ),
    (
        "left_lid",
        (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
        "loop",
    ),
    (
        "outer_lip",
        (0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267),
        "loop",
    ),
    (
        "inner_lip",
        (13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312),
        "loop",
    ),
)
_FACE_MESH_LINKS: tuple[Link, ...] = (
    ("nose", "outer_lip_0"),
    ("outer_lip_0", "inner_lip_0"),
    ("outer_lip_10", "oval_18"),
    *_sides("lid_8-=nose", "lid_0-lower_brow_0", "lower_brow_0-upper_brow_0"),
)
_HAND: tuple[tuple[int, int], ...] = tuple((p, j) for j, p in enumerate(PARENTS) if p >= 0)


@dataclass(frozen=True)
class _Parts:
    """What a layout is made of: the names of the body's joints, between blanks, in the detector's
    order; then come its face of ``face_size``, left and right hand."""

    body: str
    face: tuple[Run, ...]
    face_size: int
    links: tuple[Link, ...]
    centre: str


_PARTS: Mapping[str, _Parts] = {
    "openpose_137": _Parts(
        _BODY_25,
        _FACE_70,
        70,
        (*_BODY_25_LINKS, *_FACE_68_LINKS, *_HANDS, *_sides("pupil_0-lid_0")),
        "neck",
    ),
    "mmpose_133": _Parts(_COCO, _FACE_68, 68, (*_COCO_LINKS, *_FACE_68_LINKS, *_HANDS), "nose"),
    "mediapipe_holistic": _Parts(
        _BLAZEPOSE, _FACE_MESH, 468, (*_BLAZEPOSE_LINKS, *_FACE_MESH_LINKS, *_HANDS), "nose"
    ),
}


LAYOUTS: tuple[str, ...] = tuple(_PARTS)


@cache
def _layout(name: str) -> KeypointLayout:
    """Vertices in the detector's order."""
    parts = _PARTS[name]
    body = parts.body.split()
    face = len(body)
    hands = {"left_hand_": face + parts.face_size}
    hands["right_hand_"] = hands["left_hand_"] + len(JOINT_NAMES)
    source = {joint: place for place, joint in enumerate(body)}
    source |= {joint: face + place for joint, place in _face_joints(parts.face)}
    for hand, first in hands.items():
        source |= {hand + joint: first + place for place, joint in enumerate(JOINT_NAMES)}
    names = tuple(sorted(source, key=source.__getitem__))
    index = {joint: vertex for vertex, joint in enumerate(names)}
    links = [*parts.links, *_face_links(parts.face)]
    links += [(hand + JOINT_NAMES[p], hand + JOINT_NAMES[j]) for hand in hands for p, j in _HAND]
    mirrored = _face_mirror(parts.face)
    return KeypointLayout(
        names,
        tuple((index[a], index[b]) for a, b in links),
        index[parts.centre],
        tuple(source[joint] for joint in names),
        hands["right_hand_"] + len(JOINT_NAMES),
        tuple(index[mirrored.get(joint) or _other_side(joint)] for joint in names),
    )


def _face_joints(runs: Iterable[Run]) -> list[tuple[str, int]]:
    return [(f"{run}_{i}", place) for run, places, _ in runs for i, place in enumerate(places)]


def _face_links(runs: Iterable[Run]) -> list[Link]:
    links = []
    for run, places, kind in runs:
        links += [(f"{run}_{i}", f"{run}_{i + 1}") for i in range(len(places) - 1)]
        links += [(f"{run}_{len(places) - 1}", f"{run}_0")] if kind == "loop" else []
    return links


def _face_mirror(runs: Iterable[Run]) -> dict[str, str]:
    """The mirror images of the joints in the middle of the face."""
    mirrored: dict[str, str] = {}
    for run, places, kind in runs:
        count = len(places)
        if not run.startswith(("left_", "right_")) and kind != "midline":
            last = count if kind == "loop" else count - 1
            mirrored |= {f"{run}_{i}": f"{run}_{(last - i) % count}" for i in range(count)}
    return mirrored


def _other_side(joint: str) -> str:
    if joint.startswith("left_"):
        return "right_" + joint.removeprefix("left_")
    if joint.startswith("right_"):
        return "left_" + joint.removeprefix("right_")
    return joint
