from dataclasses import replace

import numpy as np
import pytest
import torch

from chereme.errors import InputError, UsageError
from chereme.hand_model.anatomy import angles_to_hand_pose
from chereme.hand_model.fitting import Fit, FitOptions, fit
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.rotations import axis_angle_to_matrix
from chereme.hand_model.template import HandTemplate

N = 40
EXACT = FitOptions(noise=0.002, depth_weight=1, pose_spread=3, coupling_spread=3, tolerance=1e-7)
PIXELS = 1500.0  # per metre


@pytest.fixture(scope="module")
def template():
    return HandTemplate.load("open")


@pytest.fixture(scope="module")
def layer(template):
    return HandLayer(template, flat_hand_mean=True, dtype=torch.float64)


@pytest.fixture(scope="module")
def truth(template, layer):
    """N hands in poses from all over the joints' ranges: angles, betas, turns, joints in metres."""
    rng = np.random.default_rng(3)
    low, high = np.moveaxis(template.extras["pose_limits"], -1, 0)
    angles = low + rng.uniform(0.1, 0.9, (N, 15, 3)) * (high - low)
    pose = torch.tensor(angles_to_hand_pose(angles, template.extras["joint_axes"]))
    betas = torch.tensor(rng.normal(0, 0.7, (N, layer.num_betas)))
    turn = torch.tensor(rng.normal(0, 1, (N, 3)))
    place = torch.tensor([0.1, -0.05, 0.6], dtype=torch.float64)
    joints = layer(betas, pose, turn, place.expand(N, 3)).joints
    return {"angles": torch.tensor(angles), "betas": betas, "turn": turn, "joints": joints}


def noise(scale: float, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(0, scale, (N, 21, 3)))


def distance(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """``(N,)`` mean over the joints."""
    return (got - expected).norm(dim=-1).mean(dim=1)


def flexion_error(result: Fit, truth, rows=slice(None)) -> torch.Tensor:
    """Degrees, of the 14 flexions that move a bone of a finger, and the thumb's base."""
    return (result.angles - truth["angles"][rows])[..., 0].abs().rad2deg()


def test_exact_joints_give_back_pose_and_place(layer, truth):
    result = fit(layer, truth["joints"], scale=1.0, options=EXACT)
    assert distance(result.joints, truth["joints"]).max() < 1e-3
    assert flexion_error(result, truth).median() < 1
    turned = axis_angle_to_matrix(result.global_orient) @ axis_angle_to_matrix(truth["turn"]).mT
    assert torch.linalg.matrix_norm(turned - torch.eye(3)).max() < 0.05
    assert result.error.max() < 0.01


def test_default_options_cost_little_accuracy(layer, truth):
    result = fit(layer, truth["joints"], scale=1.0)
    assert distance(result.joints, truth["joints"]).median() < 2e-3
    assert flexion_error(result, truth).median() < 5


def test_what_comes_back_makes_the_joints_in_the_layer(layer, truth):
    points = PIXELS * truth["joints"] + 300
    result = fit(layer, points)
    posed = layer(result.betas, result.hand_pose, result.global_orient, result.transl).joints
    torch.testing.assert_close(result.scale[:, None, None] * posed, result.joints)
    away = (result.joints - points).norm(dim=-1).mean(dim=1) / result.scale
    assert away.max() < 5e-3
    palm = 0.09  # metres, roughly
    assert ((away / palm) / result.error).median() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_noisy_pictures(layer, truth, dimensions):
    """2 % of hand size in x and y, 10 % in z: the fit lies nearer to the truth than the input."""
    error = PIXELS * 0.09 * noise(1.0) * torch.tensor([0.02, 0.02, 0.1])
    points = PIXELS * truth["joints"]
    result = fit(layer, (points + error)[..., :dimensions])
    assert result.joints.isfinite().all()
    flat = distance(result.joints[..., :2], points[..., :2])
    assert flat.median() < 0.95 * error[..., :2].norm(dim=-1).mean()
    # Without depth a bone may lean either way.
    assert flexion_error(result, truth).median() < (12 if dimensions == 2 else 8)
    assert result.image_error.max() < 0.06
    if dimensions == 2:
        assert (result.transl[:, 2] == 0).all()
        torch.testing.assert_close(result.error, result.image_error)
    else:
        assert distance(result.joints, points).median() < 0.7 * error.norm(dim=-1).mean()


def test_unseen_landmarks_do_not_count(layer, truth):
    points, confidence = truth["joints"].clone(), torch.ones(N, 21)
    confidence[:, [0, 7, 12]] = 0
    confidence[:, 3] = 0.5
    blank, rubbish = points.clone(), points.clone()
    blank[:, [0, 7, 12]] = torch.nan
    rubbish[:, [0, 7, 12]] = 99.0
    a = fit(layer, blank, confidence=torch.where(confidence == 0, 1.0, confidence), scale=1.0)
    b = fit(layer, rubbish, confidence=confidence, scale=1.0)
    torch.testing.assert_close(a.joints, b.joints)
    assert distance(a.joints, truth["joints"]).median() < 4e-3
    assert a.error.isfinite().all()


def test_an_outlier_has_little_say(layer, truth):
    points = truth["joints"].clone()
    points[:, 8] += 0.15
    others = [j for j in range(21) if j not in (5, 6, 7, 8)]
    result = fit(layer, points, scale=1.0, options=FitOptions(depth_weight=1))
    assert distance(result.joints[:, others], truth["joints"][:, others]).median() < 3e-3


def test_impossible_hands_stay_within_limits(layer, template, truth):
    limits = torch.tensor(template.extras["pose_limits"])
    mirrored = truth["joints"] * torch.tensor([-1.0, 1.0, 1.0])  # a left hand: bends the wrong way
    scattered = 0.05 * noise(1.0)
    for points in (mirrored, scattered):
        result = fit(layer, points, scale=1.0)
        beyond = (result.angles - result.angles.clamp(limits[..., 0], limits[..., 1])).abs()
        assert beyond.max().rad2deg() < 5
        for name in Fit.__dataclass_fields__:
            assert getattr(result, name).isfinite().all(), name


def test_deterministic_and_independent_of_the_batch(layer, truth):
    points = PIXELS * truth["joints"] + noise(3.0)
    once, again = fit(layer, points), fit(layer, points)
    for name in Fit.__dataclass_fields__:
        assert torch.equal(getattr(once, name), getattr(again, name)), name
    few = fit(layer, points[:5])
    torch.testing.assert_close(few.angles, once.angles[:5], atol=1e-5, rtol=0)


def test_numpy_goes_in_and_no_gradient_comes_out(layer, truth):
    result = fit(layer, truth["joints"].numpy().astype(np.float32), scale=1.0)
    assert not result.hand_pose.requires_grad
    grown = truth["joints"].clone().requires_grad_()
    assert not fit(layer, grown, scale=1.0).joints.requires_grad


def test_left_hand_is_the_mirror_of_the_right(template, layer, truth):
    left = HandLayer(template.mirrored(), flat_hand_mean=True, dtype=torch.float64)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    points = PIXELS * truth["joints"]
    right, mirrored = fit(layer, points), fit(left, points * flip)
    torch.testing.assert_close(mirrored.joints * flip, right.joints, atol=0.5, rtol=0)
    close = (mirrored.angles - right.angles).abs().flatten(1).amax(dim=1) < 0.02
    assert close.float().mean() > 0.9


def test_a_mean_pose_is_taken_off(template, layer, truth):
    mean = 0.1 * np.ones(45)
    relative = HandLayer(
        replace(template, pose_mean=mean), flat_hand_mean=False, dtype=torch.float64
    )
    a = fit(layer, truth["joints"], scale=1.0)
    b = fit(relative, truth["joints"], scale=1.0)
    torch.testing.assert_close(b.hand_pose + 0.1, a.hand_pose)
    posed = relative(b.betas, b.hand_pose, b.global_orient, b.transl).joints
    torch.testing.assert_close(posed, b.joints)


def test_a_template_without_limits_is_fitted_too(template, truth):
    bare = HandLayer(replace(template, extras={}), flat_hand_mean=True, dtype=torch.float64)
    result = fit(bare, truth["joints"], scale=1.0, options=EXACT)
    assert distance(result.joints, truth["joints"]).median() < 2e-3


def test_hands_of_a_signer_share_their_shape(layer, truth):
    betas = truth["betas"][0]
    pose = torch.tensor(
        angles_to_hand_pose(truth["angles"].numpy(), layer.template.extras["joint_axes"])
    )
    posed = layer(betas[None], pose, truth["turn"]).joints
    points = posed + noise(0.002)
    options = FitOptions(depth_weight=1)
    signer = np.array(["b"] * 30 + ["a"] * 10)
    shared = fit(layer, points, scale=1.0, signer=signer, options=options)
    alone = fit(layer, points, scale=1.0, options=options)
    assert (shared.betas[:30] == shared.betas[0]).all()
    assert (shared.betas[30:] == shared.betas[30]).all()
    assert not torch.equal(shared.betas[0], shared.betas[30])
    assert (shared.betas[0] - betas).norm() < 0.7 * (alone.betas - betas).norm(dim=1).median()


@pytest.mark.parametrize(
    ("landmarks", "options", "message"),
    [
        (np.zeros((2, 20, 3)), {}, r"expected \(N, 21, 3\)"),
        (np.zeros((21, 3)), {}, r"expected \(N, 21, 3\)"),
        (np.zeros((0, 21, 3)), {}, "at least one hand"),
        (np.full((2, 21, 3), np.nan), {}, "hand 0 has fewer"),
        (np.full((2, 21, 3), np.inf), {}, "finite numbers"),
        (np.ones((2, 21, 2)), {"confidence": np.ones((2, 20))}, "confidence"),
        (np.ones((2, 21, 2)), {"confidence": np.full((2, 21), 2.0)}, "confidence"),
        (np.ones((2, 21, 2)), {"scale": 0.0}, "scale"),
        (np.arange(84.0).reshape(2, 21, 2), {"signer": [1]}, "signer"),
        (np.ones((2, 21, 3)), {}, "more than one place"),
    ],
)
def test_bad_input(layer, landmarks, options, message):
    with pytest.raises(InputError, match=message):
        fit(layer, landmarks, **options)


def test_bad_options():
    with pytest.raises(UsageError, match="noise"):
        FitOptions(noise=0.0)
    with pytest.raises(UsageError, match="depth_weight"):
        FitOptions(depth_weight=1.5)
