import math

import numpy as np
import pytest

from chereme.errors import InputError, UsageError
from chereme.metrics import UNRANKED, ranks, top_k, top_k_interval


def test_rank_is_the_place_of_the_right_class():
    scores = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [-3.0, -1.0, -2.0]]
    assert ranks(scores, [1, 1, 0]).tolist() == [1, 2, 3]


def test_ties_go_against_the_model():
    assert ranks([[1, 1, 1, 1, 1, 1]], [0]).tolist() == [6]
    assert ranks([[2, 1, 1, 0]], [2]).tolist() == [3]
    # A model that says the same of everything is right about nothing.
    constant = top_k(ranks(np.zeros((4, 6)), [0, 1, 2, 3]), "abcd", 5)
    assert (constant.per_instance, constant.per_class) == (0.0, 0.0)


def test_per_instance_and_per_class_by_hand():
    labels = list("aaab")
    ranked = [1, 1, 2, 3]  # a: 2 of 3, b: 0 of 1 at the first place
    first = top_k(ranked, labels)
    assert (first.k, first.instances, first.classes) == (1, 4, 2)
    assert first.per_instance == 50.0
    assert first.per_class == pytest.approx(100 * (2 / 3 + 0) / 2)
    second, fifth = top_k(ranked, labels, 2), top_k(ranked, labels, 5)
    assert (second.per_instance, second.per_class) == (75.0, 50.0)
    assert (fifth.per_instance, fifth.per_class) == (100.0, 100.0)


def test_a_class_without_clips_is_in_no_mean():
    scores = np.eye(5)[[0, 0, 4]]
    found = top_k(ranks(scores, [0, 0, 4]), [0, 0, 4])
    assert (found.classes, found.per_class) == (2, 100.0)


def test_a_clip_that_could_not_be_read_is_wrong_at_every_k():
    assert top_k([1, UNRANKED], "ab", 2000).per_instance == 50.0


def test_agrees_with_a_sort_where_there_are_no_ties():
    rng = np.random.default_rng(3)
    scores, truth = rng.normal(size=(200, 20)), rng.integers(0, 20, 200)
    order = np.argsort(-scores, axis=1)
    for k in (1, 2, 5):
        expected = 100 * np.mean([t in row[:k] for t, row in zip(truth, order, strict=True)])
        assert top_k(ranks(scores, truth), truth.tolist(), k).per_instance == pytest.approx(
            expected
        )


def test_interval_is_the_binomial_one():
    ranked = [1] * 800 + [2] * 200
    low, high = top_k_interval(ranked, ["a"] * 1000)
    half = 100 * 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert low == pytest.approx(80 - half, abs=0.5)
    assert high == pytest.approx(80 + half, abs=0.5)


def test_interval_per_class_lies_round_the_mean_over_classes():
    ranked = [1] * 300 + [2] * 10
    labels = ["often"] * 300 + ["rare"] * 10
    low, high = top_k_interval(ranked, labels, per="class")
    assert (low, high) == (50.0, 50.0)  # each class is always the same, whatever is drawn
    low, high = top_k_interval(ranked, labels)
    assert 93 < low < 100 * 300 / 310 < high < 100


def test_interval_of_clips_that_are_all_right_or_all_wrong_is_not_a_point():
    # Six heads in a row come with a probability of 2.5 % if a head has one of 54.1 %.
    low, high = top_k_interval([1] * 6, "aabbcc")
    assert (round(low, 1), high) == (54.1, 100.0)
    assert (low / 100) ** 6 == pytest.approx(0.025)
    assert top_k_interval([2] * 6, "aabbcc") == (0.0, pytest.approx(100 - low))
    # Two signers are two draws.
    assert top_k_interval([1] * 6, "aabbcc", groups="xxxyyy")[0] == pytest.approx(100 * 0.025**0.5)


def test_interval_draws_groups_whole():
    ranked, labels = [1] * 50 + [2] * 50, list("ab") * 50
    signers = ["good"] * 50 + ["poor"] * 50
    assert top_k_interval(ranked, labels, groups=signers) == (0.0, 100.0)
    assert top_k_interval(ranked, labels, groups=range(100)) == top_k_interval(ranked, labels)


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([[1.0, 0.0]], [2], "columns 0 to 1, got .* 2 to 2"),
        ([[1.0, 0.0]], [-1], "columns 0 to 1"),
        ([[1.0, 0.0]], [0.5], "columns 0 to 1, got float64"),
        ([[1.0, 0.0]], [0, 1], r"got \(1, 2\) and \(2,\)"),
        ([1.0, 0.0], [0], r"got \(2,\) and \(1,\)"),
        ([[1.0, 0.0], [0.0, math.nan]], [0, 0], "NaN in row 1"),
    ],
)
def test_scores_that_cannot_be_ranked(scores, truth, message):
    with pytest.raises(InputError, match=message):
        ranks(scores, truth)


def test_broken_input():
    with pytest.raises(InputError, match="at least one clip"):
        top_k([], [])
    with pytest.raises(InputError, match="one label per rank, got 2 ranks, 1 labels"):
        top_k([1, 2], ["a"])
    with pytest.raises(InputError, match="whole numbers from 1, got 0"):
        top_k([0], ["a"])
    with pytest.raises(InputError, match="a group for each of 2 clips, got 1"):
        top_k_interval([1, 2], "ab", groups=["a"])
    with pytest.raises(UsageError, match="k: expected 1 or more"):
        top_k([1], ["a"], 0)
    with pytest.raises(UsageError, match="per: expected instance or class"):
        top_k_interval([1], ["a"], per="signer")
