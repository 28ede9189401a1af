"""Hands in the camera of their crops, and the mesh that fits detected joints."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.anatomy import angles_to_hand_pose
from chereme.hands.skeleton import mirror
from chereme.systems.hand_aware.reconstruction import (
    LandmarkFit,
    Reconstruction,
    reprojection_error,
)

SIZE = 256
HAND = HandTemplate.load("open")
# Palm to the camera, fingers up, turned by 20 degrees to the side.
TURN = np.array([[0.0, 0.342, 0.940], [1.0, 0.0, 0.0], [0.0, 0.940, -0.342]])


@pytest.fixture(scope="module")
def true() -> Reconstruction:
    """Three hands of one signer whose fingers bend more and more."""
    angles = np.zeros((3, 15, 3))
    angles[:, :9, 0] = np.radians([[10.0], [35.0], [60.0]])
    pose = torch.from_numpy(angles_to_hand_pose(angles, HAND.extras["joint_axes"]))
    layer = HandLayer(HAND, flat_hand_mean=True, dtype=torch.float64)
    betas = torch.full((3, 10), 0.3, dtype=torch.float64)
    hand = layer(betas, pose, torch.zeros(3, 3, dtype=torch.float64))
    return Reconstruction(
        HAND,
        hand.vertices.numpy() @ TURN.T,
        hand.joints.numpy() @ TURN.T,
        np.array([900.0, 1000.0, 1100.0]),
        np.array([[130.0, 120.0], [128.0, 125.0], [120.0, 128.0]]),
    )


def landmarks_of(hands: Reconstruction) -> np.ndarray:
    """As a detector gives them: pixels, and z in the same scale."""
    depth = hands.scale[:, None] * hands.joints[..., 2]
    return np.concatenate([hands.projected, depth[..., None]], axis=-1)


CROPS = np.zeros((3, SIZE, SIZE, 3), np.uint8)
SURE = np.ones((3, 21))


def test_the_fitted_mesh_lies_where_the_true_one_does(true: Reconstruction) -> None:
    found = LandmarkFit()(CROPS, landmarks_of(true), SURE)
    assert found.template.side == "right"
    assert len(found) == 3
    error = reprojection_error(found.projected, landmarks_of(true), SURE)
    assert error.max() < 0.02
    # Of the whole skin, in pixels of a hand that is some 180 of them long.
    away = np.linalg.norm(found.outline - true.outline, axis=-1)
    assert away.mean() < 2.5
    # And in depth: the palm's side is not confused with its back.
    normals = [
        np.cross(*np.diff(h.joints[:, [0, 5, 17]], axis=1).swapaxes(0, 1)) for h in (found, true)
    ]
    assert (np.einsum("nc,nc->n", *normals) > 0).all()


def test_joints_that_were_not_seen_do_not_count(true: Reconstruction) -> None:
    points, sure = landmarks_of(true), SURE.copy()
    points[:, 8], sure[:, 8] = np.nan, 0.0
    found = LandmarkFit()(CROPS, points, sure)
    assert reprojection_error(found.projected, points, sure).max() < 0.02


def test_reprojection_error_by_hand(true: Reconstruction) -> None:
    points = np.zeros((2, 21, 3))
    points[:, 9, 1] = -50.0  # wrist to middle knuckle: the palm's length
    points[0, 17] = [0.0, 0.0, 100.0]  # of the first hand, the little knuckle is farther off
    shown = points[..., :2] + [3.0, 4.0]
    sure = np.ones((2, 21))
    np.testing.assert_allclose(reprojection_error(shown, points, sure), [0.05 / 1.2, 0.1])
    sure[1] = 0.0
    np.testing.assert_allclose(reprojection_error(shown, points, sure), [0.05 / 1.2, np.nan])
    shown[0, 1] += 1e3
    sure[0, 1] = 0.0
    np.testing.assert_allclose(reprojection_error(shown, points, sure)[0], 0.05 / 1.2)


def test_the_mirror_image_is_the_other_hand_in_the_flipped_crop(true: Reconstruction) -> None:
    other = true.mirrored(SIZE)
    assert other.template.side == "left"
    np.testing.assert_allclose(other.projected, mirror(true.projected, SIZE))
    np.testing.assert_allclose(other.outline, mirror(true.outline, SIZE))
    np.testing.assert_allclose(other.joints[..., 2], true.joints[..., 2])
    again = other.mirrored(SIZE)
    assert again.template.side == "right"
    np.testing.assert_allclose(again.outline, true.outline)
