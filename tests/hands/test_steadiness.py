"""How steadily joints move, against what is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.hands.skeleton import palm_size
from chereme.hands.steadiness import HALF, steadiness, with_steadiness
from chereme.types import Landmarks
from fakes import draw_hand

TIP = 8


def moving(frames: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """A hand that moves evenly, and opens evenly; the times have unequal steps."""
    times = np.cumsum([0.0, *np.resize([0.04, 0.03], frames - 1)])
    hand = np.tile(draw_hand("b"), (frames, 1, 1))
    hand[..., 0] += 300 * times[:, None]
    hand[:, TIP, 1] += 500 * times
    return hand, times


def test_what_moves_evenly_is_sure() -> None:
    hand, times = moving()
    assert steadiness(hand, np.ones(hand.shape[:2]), times) == pytest.approx(1.0)


def test_a_jump_makes_its_joint_doubtful_and_no_other() -> None:
    hand, times = moving()
    times = np.arange(7) / 25
    hand, palm = np.tile(hand[:1], (7, 1, 1)), float(palm_size(hand[0]))
    hand[3, TIP, 0] += 0.2 * palm
    found = steadiness(hand, np.ones((7, 21)), times)
    jump, beside = 1 / (1 + (0.2 / HALF) ** 2), 1 / (1 + (0.1 / HALF) ** 2)
    assert found[:, TIP] == pytest.approx([1, 1, beside, jump, beside, 1, 1], rel=1e-3)
    assert np.delete(found, TIP, axis=1) == pytest.approx(1.0)
    # The first and the last frame are judged as their neighbours are.
    hand[0, TIP, 0] += 0.2 * palm
    assert steadiness(hand, np.ones((7, 21)), times)[0, TIP] == pytest.approx(beside, rel=1e-3)


def test_frames_without_a_hand_part_what_is_compared() -> None:
    hand, _ = moving()
    seen = np.ones((7, 21))
    seen[3], hand[3] = 0, np.nan
    hand[4:] += np.random.default_rng(0).normal(0, 50, (1, 21, 3))  # elsewhere, in another shape
    times = np.arange(7) / 25
    landmarks = Landmarks(hand[:, None], seen[:, None], times, 640, 480, ("right",))
    found = with_steadiness(landmarks).confidence[:, 0]
    assert not found[3].any()
    assert found[[0, 1, 2, 4, 5, 6]].min() > 0.9
    two = np.ones((2, 21))
    assert steadiness(hand[:2], two, times[:2]).tolist() == two.tolist()
    nobody = Landmarks(np.empty((2, 0, 21, 3)), np.empty((2, 0, 21)), times[:2], 64, 48, ())
    assert with_steadiness(nobody).confidence.shape == (2, 0, 21)
