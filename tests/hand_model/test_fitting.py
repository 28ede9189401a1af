from dataclasses import replace

import numpy as np
import pytest
import torch

from chereme.errors import InputError
from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS, angles_to_hand_pose
from chereme.hand_model.fitting import Fit, fit
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.template import HandTemplate

N = 30
PIXELS = 1500.0  # per metre
PALM = 0.09 * PIXELS  # roughly


@pytest.fixture(scope="module")
def template():
    return HandTemplate.load("open")


@pytest.fixture(scope="module")
def layer(template):
    return HandLayer(template, flat_hand_mean=True, dtype=torch.float64)


@pytest.fixture(scope="module")
def truth(template, layer):
    """N views of one hand in poses from all over the joints' ranges: angles, joints in pixels."""
    rng = np.random.default_rng(3)
    low, high = np.moveaxis(template.extras["pose_limits"], -1, 0)
    angles = low + rng.uniform(0.1, 0.9, (N, 15, 3)) * (high - low)
    pose = torch.tensor(angles_to_hand_pose(angles, template.extras["joint_axes"]))
    betas = torch.tensor(rng.normal(0, 0.7, (1, layer.num_betas)))
    joints = layer(betas, pose, torch.tensor(rng.normal(0, 1, (N, 3)))).joints.numpy()
    return {"angles": angles, "betas": betas[0], "joints": PIXELS * joints + [300.0, 200.0, 0.0]}


def seen(value: float = 1.0) -> np.ndarray:
    return np.full((N, 21), value)


def noise(scale: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (N, 21, 3))


def shown(layer: HandLayer, found: Fit) -> np.ndarray:
    """The fitted joints in the picture."""
    joints = layer(found.betas[None], found.hand_pose, found.orient).joints[..., :2]
    return (found.scale[:, None, None] * joints + found.offset[:, None]).numpy()


def distance(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """``(N,)`` mean over the joints, in palms."""
    return np.linalg.norm(got - expected[..., :2], axis=-1).mean(axis=1) / PALM


def angles_of(template: HandTemplate, found: Fit) -> np.ndarray:
    in_frames = np.einsum("jab,nja->njb", template.extras["joint_axes"], found.hand_pose.numpy())
    return in_frames * [1.0, 1.0, -1.0]


def test_exact_joints_give_back_pose_and_place(template, layer, truth):
    found = fit(layer, truth["joints"], seen())
    assert np.median(distance(shown(layer, found), truth["joints"])) < 0.02
    flexion = np.degrees(np.abs(angles_of(template, found) - truth["angles"])[..., 0])
    assert np.median(flexion) < 8
    assert found.scale.median() == pytest.approx(PIXELS, rel=0.1)
    # Nearer to the hand's shape than the mean hand is, from pictures in which size is unknown.
    assert (found.betas - truth["betas"]).norm() < 0.6 * truth["betas"].norm()


def test_a_noisy_picture_is_corrected(layer, truth):
    """2 % of hand size in x and y, 10 % in z: the fit lies nearer to the truth than the input."""
    error = PALM * noise(1.0) * [0.02, 0.02, 0.1]
    found = fit(layer, truth["joints"] + error, seen())
    away = distance(shown(layer, found), truth["joints"])
    assert np.median(away) < 0.95 * distance(error[..., :2], np.zeros_like(error)).mean()
    assert away.max() < 0.08


def test_unseen_landmarks_do_not_count(layer, truth):
    confidence = seen()
    confidence[:, [0, 7, 12]] = 0
    blank, rubbish = truth["joints"].copy(), truth["joints"].copy()
    blank[:, [0, 7, 12]] = np.nan
    rubbish[:, [0, 7, 12]] = 99.0
    found, same = (fit(layer, points, confidence) for points in (blank, rubbish))
    np.testing.assert_array_equal(shown(layer, found), shown(layer, same))
    assert np.median(distance(shown(layer, found), truth["joints"])) < 0.05


def test_an_outlier_has_little_say(layer, truth):
    points = truth["joints"].copy()
    points[:, 8] += 0.15 * PIXELS
    others = [j for j in range(21) if j not in (5, 6, 7, 8)]
    found = fit(layer, points, seen())
    away = distance(shown(layer, found)[:, others], truth["joints"][:, others])
    assert np.median(away) < 0.04


def test_impossible_hands_stay_within_limits(template, layer, truth):
    limits = template.extras["pose_limits"]
    mirrored = truth["joints"] * [-1.0, 1.0, 1.0]  # a left hand: bends the wrong way
    scattered = PIXELS * noise(0.05)
    for points in (mirrored, scattered):
        found = fit(layer, points, seen())
        angles = angles_of(template, found)
        beyond = np.abs(angles - angles.clip(limits[..., 0], limits[..., 1]))
        assert np.degrees(beyond.max()) < 5
        for name in Fit.__dataclass_fields__:
            values = getattr(found, name)
            assert values.isfinite().all(), name
            assert not values.requires_grad, name


def test_a_hidden_fingertip_bends_with_the_joint_before_it(template, layer):
    """Two thirds of its 80 degrees, a little less for the habit of rest."""
    angles = np.zeros((1, 15, 3))
    middle, last = (np.array([DIGIT_JOINTS[d][k] - 1 for d in DIGITS[1:]]) for k in (1, 2))
    angles[0, middle, 0] = np.radians(80)
    pose = torch.tensor(angles_to_hand_pose(angles, template.extras["joint_axes"]))
    still = torch.zeros(1, 3)
    joints = PIXELS * layer(torch.zeros(1, layer.num_betas), pose, still).joints.numpy()
    confidence = np.ones((1, 21))
    confidence[:, [8, 12, 16, 20]] = 0.0
    bent = np.degrees(angles_of(template, fit(layer, joints, confidence))[0, last, 0])
    assert ((bent > 35) & (bent < 55)).all(), bent


def test_deterministic(layer, truth):
    once, again = (fit(layer, truth["joints"], seen()) for _ in range(2))
    for name in Fit.__dataclass_fields__:
        assert torch.equal(getattr(once, name), getattr(again, name)), name


def test_other_templates(template, truth):
    """A left hand is the mirror of the right one; one without limits is fitted too."""
    left = HandLayer(template.mirrored(), flat_hand_mean=True, dtype=torch.float64)
    flipped = truth["joints"] * [-1.0, 1.0, 1.0]
    assert np.median(distance(shown(left, fit(left, flipped, seen())), flipped)) < 0.02
    bare = HandLayer(replace(template, extras={}), flat_hand_mean=True, dtype=torch.float64)
    found = fit(bare, truth["joints"], seen())
    assert np.median(distance(shown(bare, found), truth["joints"])) < 0.05


@pytest.mark.parametrize("confidence", [seen(0.0), np.arange(N * 21).reshape(N, 21) > 39])
def test_a_hand_without_a_palm_is_refused(layer, truth, confidence):
    with pytest.raises(InputError, match="hand 0 has fewer"):
        fit(layer, truth["joints"], confidence)
