"""The hand as angles and lengths, against closed forms and real hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chereme.hands.skeleton import PARENTS, TIPS, palm_size
from chereme.synthesis.articulation import Articulation, decode, encode, mix


def random_hand(rng: np.random.Generator, count: int, bend: float = 2.0) -> Articulation:
    """Any pose; the middle metacarpal is the forward axis of the palm, as ``encode`` has it."""
    angles = rng.uniform(-bend, bend, (count, 5, 4, 2)) / np.sqrt(2)
    angles[:, :, 0] = rng.uniform(-0.1, 0.1, (count, 5, 2))
    angles[:, :, 0, 0] += [0.8, 0.3, 0.0, -0.2, -0.3]
    angles[:, 2, 0] = 0.0
    angles[:, 1::3, 0, 1] = 0.0  # index and little knuckle lie in the plane of the palm
    lengths = rng.uniform(0.1, 0.8, (count, 5, 4))
    lengths[:, 2, 0] = 1.0
    lengths[:, [1, 4], 0] = 0.9
    return Articulation(
        Rotation.random(count, random_state=int(rng.integers(1 << 30))).as_quat(),
        angles,
        lengths,
        rng.normal(size=(count, 3)),
    )


def bones(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)


def test_decode_then_encode_gives_the_numbers_back() -> None:
    hand = random_hand(np.random.default_rng(0), 200)
    again = encode(decode(hand))
    np.testing.assert_allclose(again.angles, hand.angles, atol=1e-9)
    np.testing.assert_allclose(again.lengths, hand.lengths, atol=1e-9)
    np.testing.assert_allclose(again.wrist, hand.wrist, atol=1e-9)
    turn = Rotation.from_quat(again.orientation) * Rotation.from_quat(hand.orientation).inv()
    assert turn.magnitude().max() < 1e-7


@pytest.mark.parametrize("scale", [1.0, 90.0])
def test_encode_then_decode_is_exact_on_any_points(scale: float) -> None:
    points = np.random.default_rng(1).normal(size=(300, 21, 3)) * scale
    expected = points / palm_size(points)[:, None, None]
    np.testing.assert_allclose(decode(encode(points)), expected, atol=1e-9)


def test_round_trip_of_real_hands(shared_data: Path) -> None:
    with np.load(shared_data / "letters_landmarks" / "borisgraudt.npz") as file:
        points = file["landmarks"][::20].astype(np.float64)
    assert len(points) > 20
    expected = points / palm_size(points)[:, None, None]
    np.testing.assert_allclose(decode(encode(points)), expected, atol=1e-9)


def straight() -> Articulation:
    angles = np.zeros((1, 5, 4, 2))
    lengths = np.array([[[0.5, 0.4, 0.3, 0.2]] * 5])
    return Articulation(np.array([[0.0, 0, 0, 1]]), angles, lengths, np.zeros((1, 3)))


def test_straight_fingers_lie_on_the_forward_axis() -> None:
    joints = decode(straight())[0]
    np.testing.assert_allclose(joints[5:9, 1], [0.5, 0.9, 1.2, 1.4])
    np.testing.assert_allclose(joints[:, [0, 2]], 0.0, atol=1e-12)


def test_a_finger_bent_by_right_angles() -> None:
    hand = straight()
    hand.angles[0, 1, 1:, 1] = np.pi / 2  # flexion at three joints
    joints = decode(hand)[0]
    # Forward, then along the normal, then back, then against the normal: a square spiral.
    expected = [[0, 0.5, 0], [0, 0.5, 0.4], [0, 0.2, 0.4], [0, 0.2, 0.2]]
    np.testing.assert_allclose(joints[5:9], expected, atol=1e-12)
    hand = straight()
    hand.angles[0, 1, 2, 0] = np.pi / 6  # abduction
    side = [0, 0, np.sin(np.pi / 6) * 0.3, np.sin(np.pi / 6) * 0.5]
    np.testing.assert_allclose(decode(hand)[0, 5:9, 0], side, atol=1e-12)


def test_angles_against_rotations_of_scipy() -> None:
    rng = np.random.default_rng(2)
    hand = random_hand(rng, 1)
    frame = Rotation.from_quat(hand.orientation[0])
    place = hand.wrist[0]
    for bone in range(4):
        abduction, flexion = hand.angles[0, 3, bone]
        frame = frame * Rotation.from_rotvec([flexion, 0.0, -abduction])
        place = place + frame.apply([0, hand.lengths[0, 3, bone], 0])
        np.testing.assert_allclose(decode(hand)[0, 13 + bone], place, atol=1e-12)


def test_palm_frame_of_an_upright_right_hand() -> None:
    """Palm to the camera, thumb to the right of the picture: forward is up, flexion comes near."""
    points = np.zeros((1, 21, 3))
    for finger, x in enumerate((0.5, 0.3, 0.0, -0.2, -0.4)):
        for joint in range(4):
            points[0, 1 + 4 * finger + joint] = [x, -1.0 - 0.3 * joint, 0.0]
    hand = encode(points)
    axes = Rotation.from_quat(hand.orientation[0]).as_matrix()
    np.testing.assert_allclose(axes, np.diag([1.0, -1.0, -1.0]), atol=1e-9)
    bent = hand.angles.copy()
    bent[0, 1, 2:, 1] += 0.5
    tips = decode(hand.replace(angles=bent))[0, TIPS, 2]
    assert tips[1] < -0.1
    np.testing.assert_allclose(tips[[0, 2, 3, 4]], 0.0, atol=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_mix_keeps_bone_lengths(weight: float) -> None:
    rng = np.random.default_rng(3)
    a, b = random_hand(rng, 50), random_hand(rng, 50)
    expected = (1 - weight) * bones(decode(a)) + weight * bones(decode(b))
    np.testing.assert_allclose(bones(decode(mix(a, b, weight))), expected, atol=1e-9)


def test_mix_ends_and_weights_of_each_frame() -> None:
    rng = np.random.default_rng(4)
    a, b = random_hand(rng, 6), random_hand(rng, 6)
    np.testing.assert_allclose(decode(mix(a, b, 0.0)), decode(a), atol=1e-9)
    np.testing.assert_allclose(decode(mix(a, b, 1.0)), decode(b), atol=1e-9)
    weights = np.linspace(0, 1, 6)
    each = [decode(mix(a[[k]], b[[k]], float(w)))[0] for k, w in enumerate(weights)]
    np.testing.assert_allclose(decode(mix(a, b, weights)), each, atol=1e-12)


def test_mix_turns_along_the_shorter_arc() -> None:
    hand = straight()
    turned = Rotation.from_rotvec([0.0, 0.0, np.radians(80)]).as_quat()[None]
    for sign in (1.0, -1.0):
        halfway = mix(hand, hand.replace(orientation=sign * turned), 0.5)
        angle = Rotation.from_quat(halfway.orientation).as_rotvec(degrees=True)
        np.testing.assert_allclose(angle, [[0, 0, 40]], atol=1e-9)


def test_items_and_length() -> None:
    hand = random_hand(np.random.default_rng(5), 4)
    assert len(hand) == 4
    assert len(hand[[1, 3]]) == 2
    np.testing.assert_array_equal(decode(hand)[1:3], decode(hand[1:3]))


def test_vectors_are_mixed_but_not_extrapolated() -> None:
    a, b = (random_hand(np.random.default_rng(s), 3) for s in (6, 7))
    assert mix(a, b, 0.5).vectors is None
    ones, threes = np.ones((3, 1152)), np.full((3, 1152), 3.0)
    seen = a.replace(vectors=ones)
    assert mix(seen, b, 0.5).vectors is None
    for weight, expected in ((-0.3, 1.0), (0.25, 1.5), (1.4, 3.0)):
        mixed = mix(seen, b.replace(vectors=threes), weight).vectors
        np.testing.assert_allclose(mixed, expected)
    each = mix(seen, b.replace(vectors=threes), np.array([0.0, 0.5, 1.0])).vectors
    np.testing.assert_allclose(each[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(seen[[1]].vectors, ones[:1])
