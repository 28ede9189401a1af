"""The anatomical angles turn the bones the way their names say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chereme.hand_model.anatomy import (
    DIGIT_JOINTS,
    DIGITS,
    MODEL_JOINTS,
    angles_to_hand_pose,
)
from chereme.hand_model.template import PARENTS
from tools.open_hand.skeleton import pose_limits, rest_skeleton

SKELETON = rest_skeleton()
AXES = SKELETON.axes
FLEXION, TWIST, ABDUCTION = range(3)
PALMWARD, THUMBWARD = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])


def bone_after(digit: str, angle: int, degrees: float) -> np.ndarray:
    """How far the first bone of a digit goes, as a unit direction, when one angle is opened."""
    joint = DIGIT_JOINTS[digit][0]
    angles = np.zeros((15, 3))
    angles[joint - 1, angle] = np.radians(degrees)
    pose = angles_to_hand_pose(angles, AXES)
    bone = AXES[joint - 1][:, 1]
    return np.asarray(Rotation.from_rotvec(pose[joint - 1]).apply(bone) - bone)


def test_names_chains_and_parents_tell_the_same_tree() -> None:
    assert len(MODEL_JOINTS) == len(PARENTS) == 16
    for digit in DIGITS:
        first, second, third = DIGIT_JOINTS[digit]
        assert PARENTS[first] == 0
        assert (PARENTS[second], PARENTS[third]) == (first, second)
        assert all(MODEL_JOINTS[j].startswith(digit) for j in DIGIT_JOINTS[digit])


@pytest.mark.parametrize("digit", ["index", "middle", "ring", "little"])
def test_fingers_flex_to_the_palm_and_abduct_to_the_thumb(digit: str) -> None:
    assert bone_after(digit, FLEXION, 90) @ PALMWARD > 0.95
    assert bone_after(digit, ABDUCTION, 20) @ THUMBWARD > 0.3
    np.testing.assert_allclose(bone_after(digit, TWIST, 30), 0, atol=1e-12)


def test_the_thumb_flexes_across_the_palm_and_abducts_out_of_it() -> None:
    assert bone_after("thumb", FLEXION, 40) @ -THUMBWARD > 0.5
    assert bone_after("thumb", ABDUCTION, 30) @ PALMWARD > 0.3


def test_the_pad_of_the_thumb_is_turned_by_60_to_80_degrees() -> None:
    turned = np.degrees(np.arccos(AXES[DIGIT_JOINTS["thumb"][0] - 1][:, 2] @ PALMWARD))
    assert 55 < turned < 80


def test_frames_are_right_handed_and_point_along_the_bones() -> None:
    np.testing.assert_allclose(np.linalg.det(AXES), 1, atol=1e-12)
    np.testing.assert_allclose(
        AXES.swapaxes(1, 2) @ AXES, np.tile(np.eye(3), (15, 1, 1)), atol=1e-9
    )
    for row, digit in enumerate(DIGITS):
        ends = [*SKELETON.joints[list(DIGIT_JOINTS[digit])], SKELETON.tips[row]]
        for joint, a, b in zip(DIGIT_JOINTS[digit], ends, ends[1:], strict=False):
            np.testing.assert_allclose(
                (b - a) / np.linalg.norm(b - a), AXES[joint - 1][:, 1], atol=1e-9
            )


def test_a_joint_turns_as_the_articulation_of_landmarks_does() -> None:
    """The rotation vector in the frame is (flexion, twist, -abduction)."""
    flexion, abduction = 0.7, -0.2
    angles = np.zeros((15, 3))
    angles[3] = flexion, 0.0, abduction
    pose = angles_to_hand_pose(angles, AXES)[3]
    in_frame = Rotation.from_rotvec([flexion, 0.0, -abduction]).as_matrix()
    expected = AXES[3] @ in_frame @ AXES[3].T
    np.testing.assert_allclose(Rotation.from_rotvec(pose).as_matrix(), expected, atol=1e-12)


def test_limits_hold_the_rest_pose() -> None:
    limits = pose_limits()
    assert (limits[..., 0] <= 0).all()
    assert (limits[..., 1] >= 0).all()
    knuckle, middle = limits[0], limits[1]
    assert np.degrees(knuckle[FLEXION, 1]) >= 90
    assert np.ptp(middle[ABDUCTION]) < np.ptp(knuckle[ABDUCTION])
