"""Skeletons on pictures: colours and places of bones, and nothing changed beside them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chereme.hands.draw import FINGER_COLOURS, HALO, draw_hand, draw_hands
from chereme.hands.skeleton import PARENTS

MakeHand = Callable[..., np.ndarray]


def grey(width: int = 320, height: int = 240) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(90, 110, (height, width, 3), dtype=np.uint8)


def distance_to_bones(shape: tuple[int, ...], joints: np.ndarray) -> np.ndarray:
    """``(H, W)``: pixels from each pixel's centre to the nearest bone."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    nearest = np.full(shape[:2], np.inf)
    for joint, parent in enumerate(PARENTS):
        if parent < 0 or np.isnan(joints[[joint, parent], :2]).any():
            continue
        start, along = joints[parent, :2], joints[joint, :2] - joints[parent, :2]
        share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-9)
        share = np.clip(share, 0, 1)
        apart = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
        nearest = np.minimum(nearest, apart)
    return nearest


@pytest.mark.parametrize(("width", "height", "size"), [(320, 240, 40), (1280, 720, 150)])
@pytest.mark.parametrize("signing", [True, False])
def test_pixels_change_on_the_bones_and_nowhere_else(
    hand: MakeHand, width: int, height: int, size: int, signing: bool
) -> None:
    image, joints = grey(width, height), hand(width / 2, height * 0.8, size)
    before = image.copy()
    drawn = draw_hands(image, joints[None], signing=0 if signing else None)
    np.testing.assert_array_equal(image, before)
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    changed = (drawn != image).any(axis=2)
    distance = distance_to_bones(image.shape, joints)
    assert changed[distance < 0.7].mean() > 0.99
    assert not changed[distance > 4 + min(width, height) / 120].any()


def test_each_finger_has_its_colour(hand: MakeHand) -> None:
    image = grey(1280, 720)
    joints = hand(640, 600, 200)
    drawn = draw_hand(image, joints)
    for finger, colour in enumerate(FINGER_COLOURS):
        # the last bones, which nothing crosses
        x, y = joints[[3 + 4 * finger, 4 + 4 * finger], :2].mean(axis=0).astype(int)
        np.testing.assert_array_equal(drawn[y, x], colour)


def test_places_are_to_a_fraction_of_a_pixel() -> None:
    # All joints on the line between two columns of pixels: what is drawn must be symmetric to it.
    joints = np.column_stack([np.full(21, 32.0), np.linspace(50, 10, 21)])
    drawn = draw_hand(np.zeros((64, 64, 3), np.uint8), joints)
    np.testing.assert_allclose(drawn.astype(int), drawn[:, ::-1], atol=16)
    moved = draw_hand(np.zeros((64, 64, 3), np.uint8), np.add(joints, [0.25, 0.0]))
    columns = np.arange(64) + 0.5
    shift = [np.average(columns, weights=d.sum(axis=(0, 2), dtype=float)) for d in (drawn, moved)]
    assert shift[1] - shift[0] == pytest.approx(0.25, abs=0.1)


def test_the_signing_hand_is_marked_and_lies_in_front(hand: MakeHand) -> None:
    image = np.full((480, 640, 3), 100, np.uint8)
    hands = np.stack([hand(200, 400, 120), hand(450, 400, 120)])
    first, second = draw_hands(image, hands, signing=0), draw_hands(image, hands, signing=1)
    left, right = np.s_[:, :320], np.s_[:, 320:]

    def vividness(picture: np.ndarray) -> float:
        return float(np.ptp(picture.astype(int), axis=2).sum())

    assert vividness(first[left]) > 2 * vividness(second[left])
    assert vividness(second[right]) > 2 * vividness(first[right])
    crossing = np.stack([hand(300, 400, 120), hand(310, 400, 120)])
    alone = draw_hand(image, crossing[0])
    covered = (alone == HALO).all(axis=2)
    for colour in FINGER_COLOURS:
        covered |= (alone == colour).all(axis=2)
    assert covered.sum() > 1000
    for both in (
        draw_hands(image, crossing, signing=0),
        draw_hands(image, crossing[::-1], signing=1),
    ):
        np.testing.assert_array_equal(both[covered], alone[covered])


def test_no_hand_changes_nothing() -> None:
    image = grey()
    for hands in (np.zeros((0, 21, 3)), np.full((2, 21, 3), np.nan)):
        np.testing.assert_array_equal(draw_hands(image, hands), image)


def test_near_bones_cover_far_ones(hand: MakeHand) -> None:
    image = np.full((480, 640, 3), 100, np.uint8)
    joints = hand(320, 400, 120)
    joints[5:9] = joints[9:13]  # index and middle finger in one place
    place = tuple(joints[[11, 12], :2].mean(axis=0).astype(int)[::-1])
    for nearer, colour in ((slice(5, 9), FINGER_COLOURS[1]), (slice(9, 13), FINGER_COLOURS[2])):
        joints[:, 2] = 0
        joints[nearer, 2] = -30
        np.testing.assert_array_equal(draw_hand(image, joints)[place], colour)


def test_joints_that_were_not_seen_are_left_out(hand: MakeHand) -> None:
    image, joints = grey(), hand(160, 190, 60)
    confidence = np.ones(21)
    confidence[18] = 0  # the little finger's middle: two bones go
    drawn = draw_hand(image, joints, confidence)
    joints[18] = np.nan
    np.testing.assert_array_equal(draw_hand(image, joints), drawn)
    changed = (drawn != image).any(axis=2)
    assert not changed[distance_to_bones(image.shape, joints) > 6].sum() > 80  # the lone tips
    whole = (draw_hand(image, hand(160, 190, 60)) != image).any(axis=2)
    assert whole.sum() > changed.sum() + 50


def test_hands_outside_the_picture_and_wild_numbers(hand: MakeHand) -> None:
    image = grey()
    np.testing.assert_array_equal(draw_hand(image, hand(-500, -500)), image)
    np.testing.assert_array_equal(draw_hand(image, np.full((21, 3), 1e30)), image)
    joints = hand(160, 190, 60)
    joints[8] = np.inf
    joints[12] = [1e12, 5, 0]
    drawn = draw_hand(image, joints)
    joints[[8, 12]] = np.nan
    np.testing.assert_array_equal(draw_hand(image, joints), drawn)


def test_lines_are_as_wide_as_suits_the_picture_and_the_hand(hand: MakeHand) -> None:
    def changed(width: int, height: int, size: float) -> float:
        image = np.full((height, width, 3), 100, np.uint8)
        drawn = draw_hand(image, hand(width / 2, height * 0.8, size))
        return float((drawn != image).any(axis=2).sum())

    # The same scene at twice the size has bones twice as long and as wide.
    assert changed(2560, 1920, 480) == pytest.approx(4 * changed(1280, 960, 240), rel=0.15)
    assert changed(1280, 720, 20) < changed(1280, 720, 150) / 8
