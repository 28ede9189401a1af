from dataclasses import replace

import numpy as np
import pytest
import torch

from chereme.hand_model.anatomy import DIGIT_JOINTS
from chereme.hand_model.joint_limits import joint_frames
from chereme.hand_model.skeleton import Skeleton
from chereme.hand_model.template import HandTemplate


@pytest.fixture(scope="module")
def hand():
    return HandTemplate.load("open")


@pytest.fixture(scope="module")
def tips(hand):
    return next(iter(hand.tips.values()))


def test_extras_of_the_template_are_taken(hand, tips):
    axes, limits = joint_frames(hand, tips)
    np.testing.assert_array_equal(axes, hand.extras["joint_axes"])
    np.testing.assert_array_equal(limits, hand.extras["pose_limits"])


def test_frames_from_the_rest_pose_are_those_of_the_anatomy(hand, tips):
    """The generator of the open hand knows its frames; here they are found from its mesh alone."""
    axes, limits = joint_frames(replace(hand, extras={}), tips)
    np.testing.assert_allclose(
        axes.transpose(0, 2, 1) @ axes, np.broadcast_to(np.eye(3), (15, 3, 3)), atol=1e-9
    )
    # The last bone ends at a vertex of the skin here, which is not quite on its axis.
    cosine = np.einsum("jcd,jcd->jd", axes, hand.extras["joint_axes"])
    thumb = np.array(DIGIT_JOINTS["thumb"]) - 1
    assert np.delete(cosine, thumb, axis=0).min() > np.cos(np.radians(25))
    assert cosine[thumb].min() > np.cos(np.radians(40))
    assert (limits[..., 0] < 0).all()
    assert (limits[..., 1] > 0).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_angles_move_fingers_as_they_are_named(hand, side):
    template = replace(hand, extras={})
    template = template if side == "right" else template.mirrored()
    tips = next(iter(template.tips.values()))
    axes, _ = joint_frames(template, tips)
    skeleton = Skeleton(template, tips, axes * [1.0, 1.0, -1.0])
    eye = torch.eye(3, dtype=torch.float64)[None]
    betas = torch.zeros(1, skeleton.shapes, dtype=torch.float64)

    def tip(angle):
        pose = torch.zeros(1, 15, 3, dtype=torch.float64)
        pose[0, DIGIT_JOINTS["index"][0] - 1, angle] = 0.3
        return (skeleton.landmarks(pose, betas, eye) - skeleton.rest)[0, 8]

    assert tip(0)[1] < -0.01  # flexion: to the palm's side
    assert tip(2)[2] > 0.01  # abduction: to the thumb
    assert tip(1).norm() < 0.01  # twist: about itself
