from dataclasses import replace

import numpy as np
import pytest
import torch

from chereme.hand_model.joint_limits import joint_frames
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.rotations import axis_angle_to_matrix
from chereme.hand_model.skeleton import Skeleton
from chereme.hand_model.template import HandTemplate

N = 3


@pytest.fixture(scope="module", params=["plain", "with pose blend shapes", "left"])
def template(request):
    """The open hand, also with corrective shapes as MANO's, which it has not, and mirrored."""
    hand = HandTemplate.load("open")
    if request.param == "with pose blend shapes":
        noise = np.random.default_rng(0).normal(0, 1e-3, hand.posedirs.shape)
        return replace(hand, posedirs=noise)
    return hand.mirrored() if request.param == "left" else hand


@pytest.fixture(scope="module")
def tips(template):
    return next(iter(template.tips.values()))


@pytest.fixture(scope="module")
def axes(template, tips):
    return joint_frames(template, tips)[0]


@pytest.fixture(scope="module")
def hands():
    """Pose coordinates, betas and a turn, large ones."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return 0.7 * normal(N, 15, 3), normal(N, 10), normal(N, 3)


def test_landmarks_are_those_of_the_layer(template, tips, axes, hands):
    pose, betas, turn = hands
    skeleton = Skeleton(template, tips, axes)
    layer = HandLayer(template, flat_hand_mean=True, dtype=torch.float64)
    vectors = torch.einsum("jcd,njd->njc", torch.tensor(axes), pose)
    expected = layer(betas, vectors, turn).joints
    got = skeleton.landmarks(pose, betas, axis_angle_to_matrix(turn))
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)
