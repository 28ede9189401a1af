import math

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.metrics import EditCounts, accuracy_interval


def items(right, wrong):
    return [EditCounts(1)] * right + [EditCounts(1, substitutions=1)] * wrong


def test_equals_the_binomial_interval():
    low, high = accuracy_interval(items(800, 200))
    half = 100 * 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert low == pytest.approx(80 - half, abs=0.4)
    assert high == pytest.approx(80 + half, abs=0.4)


def test_is_narrower_for_more_items_and_always_the_same():
    few, many = accuracy_interval(items(8, 2)), accuracy_interval(items(800, 200))
    assert few[0] < many[0] < many[1] < few[1]
    assert few == accuracy_interval(items(8, 2))


def test_groups_are_drawn_whole():
    counts = items(50, 50)
    signers = ["good"] * 50 + ["poor"] * 50
    assert accuracy_interval(counts, groups=signers) == (0.0, 100.0)
    one_each = accuracy_interval(counts, groups=list(range(100)))
    assert one_each == accuracy_interval(counts)


def test_clips_are_weighted_by_length():
    counts = [EditCounts(99), EditCounts(1, deletions=1)]
    rng = np.random.default_rng(0)
    draws = rng.multinomial(2, [0.5, 0.5], size=1000)
    accuracy = 100 - 100 * draws[:, 1] / (draws @ [99, 1])
    assert accuracy_interval(counts) == tuple(np.percentile(accuracy, [2.5, 97.5]))


def test_broken_input():
    for empty in ([], [EditCounts(0, insertions=2)]):
        with pytest.raises(InputError, match="at least one reference symbol"):
            accuracy_interval(empty)
    with pytest.raises(InputError, match="one hypothesis per reference"):
        accuracy_interval(items(1, 1), groups=["a"])
