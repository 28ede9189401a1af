"""The motion between key poses against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.synthesis.articulation import Articulation
from chereme.synthesis.key_poses import KeyPoses, interpolate
from chereme.synthesis.style import SpellingStyle

PLAIN = SpellingStyle(finger_lag=0.0, smoothing=0.0)


def pose(number: float, vector: bool = True) -> Articulation:
    return Articulation(
        np.array([[0.0, 0.0, 0.0, 1.0]]),
        np.full((1, 5, 4, 2), number),
        np.ones((1, 5, 4)),
        np.full((1, 3), number),
        np.full((1, 1152), number) if vector else None,
    )


def path_of(*poses: Articulation) -> KeyPoses:
    path = KeyPoses()
    for one in poses:
        path.add(one, 1.0)
    return path


def test_minimum_jerk() -> None:
    times = np.linspace(0, 2, 21)
    hand = interpolate(
        path_of(pose(1), pose(3), pose(3)), times, 10.0, PLAIN, np.random.default_rng(0)
    )
    s = np.minimum(times, 1)
    expected = 1 + 2 * (10 * s**3 - 15 * s**4 + 6 * s**5)
    np.testing.assert_allclose(hand.wrist[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(hand.angles[:, 2, 1, 1], expected, atol=1e-12)
    assert hand.vectors is not None
    np.testing.assert_allclose(hand.vectors[:, 7], expected, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.08])
def test_vectors_are_where_the_wrist_is(smoothing: float) -> None:
    style = SpellingStyle(finger_lag=0.05, smoothing=smoothing)
    path = path_of(*(pose(number) for number in (0, 4, 1, 1, 2)))
    hand = interpolate(path, np.arange(0, 4, 1 / 30), 30.0, style, np.random.default_rng(1))
    assert hand.vectors is not None
    assert hand.vectors.dtype == np.float32
    np.testing.assert_allclose(hand.vectors, hand.wrist[:, :1] + np.zeros(1152), atol=1e-5)


def test_one_pose_without_a_vector_takes_all() -> None:
    path = path_of(pose(1), pose(2, vector=False), pose(3))
    assert path.stacked().vectors is None
    assert interpolate(path, np.array([0.5]), 30.0, PLAIN, np.random.default_rng(0)).vectors is None
