"""Moves between holds: known ones are found, and nothing else is made up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chereme.decoding.moves import LONGEST, SHORTEST, find_move, find_return

A, B, C = np.array([0.0, 1.0, 0.2]), np.array([1.0, 0.0, 0.5]), np.array([0.5, 0.5, 1.5])
WAYS = {
    "minimum jerk": lambda s: s**3 * (10 - 15 * s + 6 * s * s),
    "even": lambda s: s,
    "cosine": lambda s: (1 - np.cos(np.pi * s)) / 2,
    "at once": lambda s: (s > 0.5).astype(float),
}


def path(times, places, way=WAYS["minimum jerk"], noise=0.0):
    """Values that go from place to place: ``places`` are (start s, end s, where to)."""
    values = np.tile(A, (len(times), 1))
    for start, end, to in places:
        s = way(np.clip((times - start) / (end - start), 0, 1))[:, None]
        values = values * (1 - s) + to * s
    return values + np.random.default_rng(0).normal(0, noise, values.shape)


@pytest.mark.parametrize("rate", [15, 30, 60])
@pytest.mark.parametrize(("start", "end"), [(0.3, 0.5), (0.1, 0.8), (0.7, 0.95)])
def test_finds_a_move_of_minimum_jerk(rate, start, end):
    times = 5.0 + np.arange(rate + 1) / rate
    move = find_move(times, path(times, [(5 + start, 5 + end, B)]))
    assert move.start == pytest.approx(5 + start, abs=1.1 / rate)
    assert move.end == pytest.approx(5 + end, abs=1.1 / rate)
    assert move.size == pytest.approx(np.linalg.norm(B - A), rel=0.1)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_middle_of_a_move_hardly_depends_on_how_the_hand_goes(way):
    times = np.arange(61) / 60
    move = find_move(times, path(times, [(0.4, 0.7, B)], way, noise=0.05))
    assert move.at(0.5) == pytest.approx(0.55, abs=0.015)


def test_finds_the_move_between_holds_of_seconds():
    times = np.arange(0, 40, 1 / 60)
    move = find_move(times, path(times, [(31.0, 31.3, B)], noise=0.1))
    assert (move.start, move.end) == pytest.approx((31.0, 31.3), abs=0.06)


def test_tells_a_move_from_a_hold_by_its_size():
    times = np.arange(60) / 30
    held = find_move(times, path(times, [], noise=0.03))
    moved = find_move(times, path(times, [(1.0, 1.3, B)], noise=0.03))
    assert held.size < 0.1 < 1.0 < moved.size


def test_of_a_move_that_is_cut_off_counts_what_is_seen():
    times = np.arange(8) / 30
    move = find_move(times, path(times, [(-0.2, 0.15, B)]))
    assert move.start <= 0.05
    assert move.end == pytest.approx(0.15, abs=0.06)
    assert move.size < 0.8 * np.linalg.norm(B - A)


@pytest.mark.parametrize("to", [A, B], ids=["the same place", "another"])
@pytest.mark.parametrize("held", [0.2, 6.0])
def test_finds_a_move_away_and_back(to, held):
    times = np.arange(0, 2 * held + 0.4, 1 / 60)
    start, turn, end = held, held + 0.2, held + 0.4
    move = find_return(times, path(times, [(start, turn, C), (turn, end, to)], noise=0.02))
    assert (move.start, move.end) == pytest.approx((start, end), abs=0.05)
    assert move.at(0.75) == pytest.approx((turn + end) / 2, abs=0.04)
    assert move.size == pytest.approx(np.linalg.norm(to - A), abs=0.1)


@pytest.mark.parametrize("find", [find_move, find_return])
def test_finds_nothing_in_too_few_frames(find):
    for count in range(4):
        assert find(np.arange(count) / 30, np.zeros((count, 3))) is None
    assert find(np.arange(5) / 1000, np.zeros((5, 3))) is None, "no time for a move"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_move_lies_within_the_frames_whatever_they_hold(data):
    count = data.draw(st.integers(4, 90))
    gaps = data.draw(st.lists(st.floats(0.004, 0.3), min_size=count, max_size=count))
    numbers = st.floats(-1e3, 1e3, width=32)
    values = data.draw(st.lists(st.tuples(numbers, numbers), min_size=count, max_size=count))
    times = np.cumsum(gaps)
    for find in (find_move, find_return):
        move = find(times, np.array(values))
        if move is None:
            continue
        assert times[0] <= move.start < move.end <= times[-1]
        assert move.end - move.start >= SHORTEST - 1e-6
        assert np.isfinite(move.size)
        if find is find_move:
            assert move.end - move.start <= LONGEST + 1e-6
