"""Temperatures, calibration errors and thresholds that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.metrics.calibration import (
    WARMEST,
    acceptance_threshold,
    calibration_error,
    fit_temperature,
    separation,
)


@pytest.mark.parametrize(("wrong", "of", "gap"), [(1, 5, 6.0), (2, 5, 3.0), (1, 3, 2.0)])
def test_temperature_of_two_classes(wrong: int, of: int, gap: float) -> None:
    """Scores are ``gap`` apart and a share is wrong: the gap becomes the logit of what is right."""
    scores = np.tile([0.0, gap], (of, 1))
    classes = [0] * wrong + [1] * (of - wrong)
    expected = gap / np.log((of - wrong) / wrong)
    assert fit_temperature(scores, classes) == pytest.approx(max(expected, 1.0), abs=1e-9)


def test_temperature_is_where_the_likelihood_is_highest() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 6))
    shares = np.exp(truth) / np.exp(truth).sum(1, keepdims=True)
    classes = [int(rng.choice(6, p=row)) for row in shares]

    def loss(temperature: float) -> float:
        scaled = 3.0 * truth / temperature
        normal = np.log(np.exp(scaled).sum(1))
        return float((normal - scaled[np.arange(400), classes]).mean())

    found = fit_temperature(3.0 * truth + rng.normal(size=(400, 1)), classes)
    tried = np.linspace(1, 8, 701)
    assert found == pytest.approx(tried[np.argmin([loss(t) for t in tried])], abs=0.01)
    assert 2.5 < found < 3.5  # the scores were made three times too sure


def test_temperature_stays_within_its_bounds() -> None:
    sure = np.array([[9.0, 0.0], [0.0, 9.0]])
    assert fit_temperature(sure, [0, 1]) == 1.0  # all right: never surer than the network
    assert fit_temperature(sure, [1, 0]) == WARMEST  # all wrong
    with pytest.raises(InputError, match="at least one clip"):
        fit_temperature(np.zeros((0, 2)), [])


def test_calibration_error_by_hand() -> None:
    # Bins (0.5, 0.6] and (0.9, 1]: 0.55 beside one of two right, 0.95 beside one of two.
    probabilities = np.array([0.55, 0.55, 0.95, 0.95])
    assert calibration_error(probabilities, [True, False, True, False]) == pytest.approx(0.25)
    assert calibration_error(np.array([1.0, 0.0]), [True, False]) == 0.0
    # 0.6 is in the bin of 0.55: their errors make each other good.
    assert calibration_error(np.array([0.6, 0.55]), [True, False]) == pytest.approx(0.075)
    with pytest.raises(InputError, match="at least one answer"):
        calibration_error(np.zeros(0), [])


@pytest.mark.parametrize(
    ("rejected", "threshold"), [(0.0, 0.1), (0.19, 0.1), (0.2, 0.3), (0.5, 0.5), (0.8, 0.9)]
)
def test_threshold_rejects_no_more_than_it_may(rejected: float, threshold: float) -> None:
    probabilities = np.array([0.9, 0.1, 0.7, 0.3, 0.5])
    found = acceptance_threshold(probabilities, rejected)
    assert found == threshold
    assert (probabilities < found).mean() <= rejected


def test_threshold_of_equal_probabilities_and_of_none() -> None:
    assert acceptance_threshold(np.array([0.8, 0.8, 0.8]), 0.5) == 0.8
    assert acceptance_threshold(np.zeros(0), 0.1) == 0.0


def test_separation_counts_pairs() -> None:
    rng = np.random.default_rng(1)
    known, unknown = rng.integers(0, 9, 40) + 2.0, rng.integers(0, 9, 30) + 0.0
    pairs = np.sign(known[:, None] - unknown[None]) / 2 + 0.5
    assert separation(known, unknown) == pytest.approx(pairs.mean())
    assert separation(np.ones(2), np.zeros(2)) == 1.0
    with pytest.raises(InputError, match="known and unknown"):
        separation(np.ones(2), np.zeros(0))
