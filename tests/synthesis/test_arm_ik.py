"""Elbows: of the right length, where people have them, and without breaking the wrist."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chereme.synthesis.arm_ik import Reach, eased, reachable

SHOULDER = np.array([-0.15, 0.05, 1.0])
LENGTHS = (0.25, 0.29)
# Upright, palm to the camera: columns side, forward, normal.
UPRIGHT = np.stack([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]], 1)


def still(at: np.ndarray, count: int = 60) -> Reach:
    return Reach(np.tile(at, (count, 1)), SHOULDER, LENGTHS, 1 / 120)


def bend(forearm: np.ndarray, frame: np.ndarray) -> np.ndarray:
    cosine = -np.einsum("ni,ni->n", forearm, np.broadcast_to(frame, (len(forearm), 3, 3))[..., 1])
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize("offset", [(0, 0, -0.3), (-0.05, -0.1, -0.25), (0.1, 0.1, -0.35)])
def test_an_upright_hand_has_its_elbow_low_and_both_bones_their_lengths(offset):
    reach = still(SHOULDER + offset)
    forearm = reach.signing(np.tile(UPRIGHT, (60, 1, 1)))
    np.testing.assert_allclose(np.linalg.norm(forearm, axis=1), 1, atol=1e-9)
    elbow = reach.wrist + 0.25 * forearm
    assert (elbow[:, 1] > SHOULDER[1] + 0.1).all()
    assert (elbow[:, 0] < SHOULDER[0] + 0.05).all()  # not in the chest
    assert np.abs(np.linalg.norm(elbow - SHOULDER, axis=1) - 0.29).max() < 0.02
    assert bend(forearm, UPRIGHT).max() < 60


def test_the_elbow_rises_rather_than_that_the_wrist_breaks():
    """A hand that points down: with a low elbow its wrist would be bent by more than 90 degrees."""
    reach = still(SHOULDER + np.array([0.0, 0.05, -0.3]))
    down = np.tile(Rotation.from_euler("x", 150, degrees=True).as_matrix() @ UPRIGHT, (60, 1, 1))
    assert bend(reach.resting(), down[0]).min() > 80
    forearm = reach.signing(down)
    assert bend(forearm, down[0]).max() < 72
    assert (forearm[:, 1] < reach.resting()[:, 1] - 0.2).all()


def test_no_wrist_is_bent_too_far_whatever_the_hand_does():
    rng = np.random.default_rng(0)
    for frame in Rotation.random(60, random_state=0).as_matrix() @ UPRIGHT:
        reach = still(SHOULDER + rng.uniform([-0.1, -0.1, -0.4], [0.1, 0.2, -0.2]))
        assert bend(reach.signing(np.tile(frame, (60, 1, 1))), frame).max() < 71
        # The resting hand is turned instead.
        forearm = reach.resting()
        turn = eased(forearm, np.tile(frame, (60, 1, 1)))
        np.testing.assert_allclose(
            turn @ turn.swapaxes(1, 2), np.eye(3)[None].repeat(60, 0), atol=1e-6
        )
        assert bend(forearm, turn @ frame).max() < 71


def test_an_easy_hand_is_not_turned():
    forearm = still(SHOULDER + np.array([0, 0, -0.3])).resting()
    forward = -forearm[0]
    side = np.cross(forward, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    straight = np.stack([side, forward, np.cross(side, forward)], 1)
    turn = eased(forearm, np.tile(straight, (60, 1, 1)))
    np.testing.assert_allclose(turn, np.tile(np.eye(3), (60, 1, 1)), atol=1e-6)


def test_the_elbow_never_jumps():
    """Not even where the hand turns over within a tenth of a second."""
    angle = np.interp(np.arange(120), [50, 62], [0, 150])
    frames = Rotation.from_euler("x", angle[:, None], degrees=True).as_matrix() @ UPRIGHT
    reach = still(SHOULDER + np.array([0.0, 0.0, -0.3]), 120)
    steps = np.linalg.norm(np.diff(0.25 * reach.signing(frames), axis=0), axis=1)
    assert steps.max() < 0.02  # metres in 1/120 s
    assert steps.sum() > 0.05


def test_hands_out_of_reach_are_brought_back():
    wrist = SHOULDER + np.array([[0, 0, -0.3], [0, 0.9, 0], [0, 0, 0.0]])
    near = reachable(wrist, SHOULDER, LENGTHS)
    np.testing.assert_array_equal(near[0], wrist[0])
    assert np.linalg.norm(near[1] - SHOULDER) == pytest.approx(0.97 * 0.54)
    np.testing.assert_allclose(np.cross(near[1] - SHOULDER, wrist[1] - SHOULDER), 0, atol=1e-12)
    assert np.isfinite(near).all()
