from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chereme.hands.smoothing import SLOWEST, Smoother

Hand = Callable[..., np.ndarray]
STEP = 1 / 30


def test_tremor_goes_and_the_place_stays(hand: Hand) -> None:
    rng = np.random.default_rng(0)
    smoother, still = Smoother(), hand(100, 100)
    seen = [still + rng.normal(0, 1, (21, 3)).astype(np.float32) for _ in range(120)]
    smooth = np.array([smoother.smooth([s], i * STEP)[0] for i, s in enumerate(seen)])[30:]
    assert smooth.dtype == np.float32
    assert (smooth - still).std() < 0.6 * (np.array(seen)[30:] - still).std()
    np.testing.assert_allclose(smooth.mean(axis=0), still, atol=0.5)


def test_a_step_is_taken_by_the_filters_equation(hand: Hand) -> None:
    """At rest the share of the new is that of a low pass of the slowest frequency."""
    smoother, first = Smoother(), hand(100, 100)
    np.testing.assert_array_equal(smoother.smooth([first], 0.0)[0], first)
    np.testing.assert_allclose(smoother.smooth([first], STEP)[0], first)
    tiny = first + np.float32(1e-4)
    moved = smoother.smooth([tiny], 2 * STEP)[0] - first
    share = 1 / (1 + 1 / (2 * np.pi * SLOWEST * STEP))
    np.testing.assert_allclose(moved.mean() / 1e-4, share, rtol=0.15)


def test_a_quick_hand_lags_less_than_a_slow_filter_would(hand: Hand) -> None:
    smoother = Smoother()
    for number in range(30):  # five palm lengths a second
        seen = hand(100 + 250 * number * STEP, 100)
        smooth = smoother.smooth([seen], number * STEP)[0]
    lag = (seen - smooth)[:, 0].mean() / 250
    assert 0 < lag < 0.02  # seconds; the slowest frequency alone lags by a tenth


def test_hands_are_smoothed_each_by_itself_and_a_new_one_is_as_seen(hand: Hand) -> None:
    smoother, one, other = Smoother(), hand(100, 100), hand(400, 100)
    smoother.smooth([one, other], 0.0)
    there = smoother.smooth([other + np.float32(1), one + np.float32(1)], STEP)  # turned about
    assert (np.abs(there[0] - other) < 1).all()
    assert (np.abs(there[1] - one) < 1).all()
    far = hand(800, 300)
    np.testing.assert_array_equal(smoother.smooth([far], 2 * STEP)[0], far)
    assert smoother.smooth([], 3 * STEP) == []


@pytest.mark.parametrize("time", [0.0, -1.0])
def test_time_that_does_not_rise_begins_anew(hand: Hand, time: float) -> None:
    smoother = Smoother()
    smoother.smooth([hand(100, 100)], 0.0)
    moved = hand(110, 100)
    np.testing.assert_array_equal(smoother.smooth([moved], time)[0], moved)
