"""Names, tree, mirror and size of the hand."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.hands.skeleton import (
    FINGERS,
    JOINT_NAMES,
    KNUCKLES,
    PARENTS,
    TIPS,
    WRIST,
    mirror,
    palm_size,
    turn,
)


def test_names_tell_the_order() -> None:
    assert len(JOINT_NAMES) == len(PARENTS) == len(set(JOINT_NAMES)) == 21
    assert JOINT_NAMES[WRIST] == "wrist"
    assert [JOINT_NAMES[j] for j in TIPS] == [f"{finger}_tip" for finger in FINGERS]
    assert [JOINT_NAMES[j] for j in KNUCKLES] == [f"{finger}_mcp" for finger in FINGERS[1:]]
    assert JOINT_NAMES[1:5] == ("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip")


def test_each_finger_is_a_chain_from_the_wrist() -> None:
    for tip in TIPS:
        chain = [tip]
        while PARENTS[chain[-1]] >= 0:
            chain.append(PARENTS[chain[-1]])
        assert chain == [tip, tip - 1, tip - 2, tip - 3, WRIST]
    assert PARENTS[WRIST] == -1


def test_mirror_in_pixels_and_in_metres() -> None:
    hand = np.random.default_rng(0).normal(size=(3, 21, 3))
    kept = hand.copy()
    flipped = mirror(hand, 640.0)
    np.testing.assert_allclose(flipped[..., 0], 640.0 - hand[..., 0])
    np.testing.assert_array_equal(flipped[..., 1:], hand[..., 1:])
    np.testing.assert_array_equal(mirror(hand, None)[..., 0], -hand[..., 0])
    np.testing.assert_allclose(mirror(flipped, 640.0), hand, atol=1e-12)
    np.testing.assert_array_equal(hand, kept)  # the input is left alone


def _palm() -> np.ndarray:
    hand = np.zeros((21, 3))
    hand[[5, 9, 17]] = [[0.3, 0.9, 0.0], [0.0, 1.0, 0.0], [-0.4, 0.8, 0.0]]
    return hand


@pytest.mark.parametrize(
    ("joints", "size"),
    [
        ({}, 1.0),  # wrist to middle knuckle
        ({5: [0.0, 0.0, 2.0]}, 1.2 * np.sqrt(0.4**2 + 0.8**2 + 2.0**2)),  # index to little
        ({17: [0.0, 3.0, 0.0], 5: [0.0, 2.9, 0.0]}, 3.0),  # wrist to little
        ({17: [0.0, 2.9, 0.0], 5: [0.0, 3.0, 0.0]}, 3.0),  # wrist to index
    ],
)
def test_palm_size_takes_the_longest(joints: dict, size: float) -> None:
    hand = _palm()
    for joint, place in joints.items():
        hand[joint] = place
    assert palm_size(hand) == pytest.approx(size)


def test_palm_size_scales_and_keeps_under_rotation() -> None:
    rng = np.random.default_rng(1)
    hands = rng.normal(size=(4, 5, 21, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    sizes = palm_size(hands)
    assert sizes.shape == (4, 5)
    np.testing.assert_allclose(palm_size(7.5 * hands @ turn + [3, -2, 9]), 7.5 * sizes)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_landmarks_turn_with_their_picture(degrees: int) -> None:
    points = np.random.default_rng(1).uniform(0, 60, (4, 2, 21, 3))
    points[..., :2] = points[..., :2].astype(int) + 0.5  # in the middle of pixels
    turned = turn(points, degrees, (80, 60))
    np.testing.assert_array_equal(turned[..., 2], points[..., 2])
    for before, after in zip(points.reshape(-1, 3), turned.reshape(-1, 3), strict=True):
        picture = np.zeros((60, 80))
        picture[int(before[1]), int(before[0])] = 1
        row, column = np.argwhere(np.rot90(picture, -degrees // 90))[0]
        assert (column + 0.5, row + 0.5) == pytest.approx(tuple(after[:2]))


def test_world_landmarks_turn_about_the_hand() -> None:
    joints = np.array([[1.0, 2.0, 3.0]])
    for degrees, expected in ((90, [-2, 1, 3]), (180, [-1, -2, 3]), (270, [2, -1, 3])):
        np.testing.assert_allclose(turn(joints, degrees, None), [expected])
