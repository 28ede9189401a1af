import numpy as np
import pytest

from chereme.errors import InputError, UsageError
from chereme.metrics import joint_errors, pck, pck_auc, pck_auc_interval, pck_interval

NAN, INF = np.nan, np.inf


def test_errors_are_distances():
    truth = np.zeros((1, 2, 3))
    assert joint_errors([[[3, 4, 0], [2, 3, 6]]], truth).tolist() == [[5.0, 7.0]]
    assert joint_errors(np.full((1, 2, 2), 3.0), truth[..., :2]) == pytest.approx(18**0.5)


def test_unknown_joints_count_in_nothing_and_unpredicted_ones_as_wrong():
    truth = np.array([[[0, 0], [NAN, 0], [0, 0]]], float)
    found = joint_errors([[[0, 1], [0, 0], [NAN, 0]]], truth)
    assert np.array_equal(found, [[1, NAN, INF]], equal_nan=True)
    assert pck(found) == 50.0
    assert pck_auc(found) == 50.0


def test_the_circle_belongs_to_the_correct():
    errors = [[19.99, 20.0, 20.01, 40.0]]
    assert pck(errors, 20) == 50.0
    assert pck(errors, 40) == 100.0
    assert pck(errors, 0) == 0.0


def test_area_in_closed_form():
    assert pck_auc([[20.0]]) == 100.0
    assert pck_auc([[40.0]]) == 0.0
    assert pck_auc([[25.0]]) == 75.0
    assert pck_auc([[10.0, 30.0, 50.0, 35.0]]) == pytest.approx(100 * (1 + 0.5 + 0 + 0.25) / 4)


def test_area_is_the_limit_of_the_sum_over_thresholds():
    errors = np.random.default_rng(0).gamma(3, 10, (300, 21))
    curve = [pck(errors, 20 + (i + 0.5) / 100) for i in range(2000)]
    assert pck_auc(errors) == pytest.approx(np.mean(curve), abs=0.01)


def test_intervals_hold_the_value_and_narrow_with_more_hands():
    errors = np.random.default_rng(1).gamma(3, 8, (400, 21))
    for value, interval in ((pck, pck_interval), (pck_auc, pck_auc_interval)):
        low, high = interval(errors)
        assert low < value(errors) < high
        few_low, few_high = interval(errors[:20])
        assert high - low < few_high - few_low
        assert interval(errors) == (low, high)


def test_sequences_are_drawn_whole():
    errors = np.array([[1.0]] * 30 + [[99.0]] * 30)
    sequences = ["still"] * 30 + ["fast"] * 30
    assert pck_interval(errors, groups=sequences) == (0.0, 100.0)


def test_hands_weigh_by_their_known_joints():
    errors = np.array([[1.0] * 9 + [NAN], [99.0] + [NAN] * 9])
    draws = np.random.default_rng(0).multinomial(2, [0.5, 0.5], size=1000)
    expected = 100 * draws[:, 0] * 9 / (draws @ [9, 1])
    assert pck_interval(errors) == pytest.approx(tuple(np.percentile(expected, [2.5, 97.5])))


def test_broken_input():
    with pytest.raises(InputError, match=r"one shape, got \(1, 21, 2\) and \(1, 21, 3\)"):
        joint_errors(np.zeros((1, 21, 2)), np.zeros((1, 21, 3)))
    with pytest.raises(InputError, match=r"got \(21, 3\)"):
        joint_errors(np.zeros((21, 3)), np.zeros((21, 3)))
    for empty in (np.zeros((0, 21)), np.full((2, 21), NAN)):
        for measure in (pck, pck_auc, pck_interval, pck_auc_interval):
            with pytest.raises(InputError, match="at least one joint whose truth is known"):
                measure(empty)
    with pytest.raises(InputError, match=r"expected \(N, J\), got \(2,\)"):
        pck([1.0, 2.0])
    with pytest.raises(InputError, match="a group for each of 2 hands, got 1"):
        pck_interval([[1.0], [2.0]], groups=["a"])
    with pytest.raises(UsageError, match="threshold: expected 0 or more"):
        pck([[1.0]], -1)
