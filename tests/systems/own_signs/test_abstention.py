"""The rule by which no answer is given, and its figures, on clips whose numbers are made up."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.datasets.pose_clips import Entry
from chereme.metrics.calibration import fit_temperature
from chereme.systems.own_signs.abstention import (
    REJECTED,
    UNTESTED,
    ValOutputs,
    halves,
    measure,
    settle,
)
from chereme.systems.signbert.distances import WEIGHT
from chereme.training.isolated_data import UNKNOWN


def entry(number: int, signer: str = "") -> Entry:
    return Entry(f"clip-{number}", "sign", signer, "test", 25.0, 10)


def val_outputs(
    known: int, unknown: int, *, seed: int = 0, apart: float = 6.0, far: float = 3.0
) -> ValOutputs:
    """Clips of two signs, three quarters right; others are ``far`` times as far away."""
    rng = np.random.default_rng(seed)
    classes = np.r_[np.arange(known) % 2, np.full(unknown, UNKNOWN)]
    logits = rng.normal(0, 1, (known + unknown, 3))
    right = rng.random(known) < 0.75
    logits[np.arange(known), np.where(right, classes[:known], 1 - classes[:known])] += apart
    distances = rng.uniform(0.5, 1.5, known + unknown)
    distances[known:] *= far
    entries = tuple(entry(n, "abcd"[n % 4]) for n in range(known + unknown))
    return ValOutputs(entries, logits, distances, classes.astype(np.int64))


def test_the_distance_counts_in_units_of_the_usual_one() -> None:
    one = val_outputs(4, 0)
    expected = one.logits[:, -1] + WEIGHT * (one.distances / 2.0 - 1)
    np.testing.assert_allclose(one.scores(2.0)[:, -1], expected)
    np.testing.assert_array_equal(one.scores(2.0)[:, :-1], one.logits[:, :-1])


def test_the_rule_is_of_known_signs_alone() -> None:
    known, both = val_outputs(200, 0), val_outputs(200, 100)
    kept = ValOutputs(
        both.entries[:200], both.logits[:200], both.distances[:200], both.classes[:200]
    )
    rule = settle(both)
    assert rule == settle(kept)
    assert rule.scale == np.median(kept.distances)
    assert rule.abstention.temperature == fit_temperature(
        kept.logits[:, :-1], kept.classes.tolist()
    )
    assert rule.abstention.other
    rejected = kept.best(rule) < rule.abstention.min_probability
    assert REJECTED - 1 / 200 < rejected.mean() <= REJECTED
    assert settle(known).abstention.temperature > 1.5  # a quarter is wrong, and surely so


def test_without_a_clip_of_a_known_sign_there_is_a_rule_all_the_same() -> None:
    assert settle(val_outputs(0, 5)) == UNTESTED
    assert measure([val_outputs(0, 5)]) is None
    assert measure([]) is None
    assert measure([val_outputs(1, 5)]) is None  # too few to halve


def test_nobody_is_in_both_halves() -> None:
    entries = [entry(n, "abc"[n % 3]) for n in range(30)]
    one = halves(entries)
    for signer in "abc":
        assert len({bool(one[n]) for n in range(30) if entries[n].signer == signer}) == 1
    assert 0 < one.sum() < 30
    assert halves([entry(n) for n in range(5)]).sum() == 3


@pytest.mark.parametrize(("far", "low", "high"), [(8.0, 0.0, 0.02), (1.0, 0.4, 1.0)])
def test_other_signs_are_found_out_by_their_distance(far: float, low: float, high: float) -> None:
    """Others whose distances are those of known signs, and whose logits say nothing, are not."""
    clips = val_outputs(400, 200, far=far, apart=0.0)
    found = measure([clips])
    assert found is not None
    assert (found.known, found.unknown, found.signs) == (400, 200, ("sign",))
    assert found.accepted is not None
    assert low <= found.accepted <= high
    assert abs(found.rejected - REJECTED) < 0.06
    assert found.to_dict()["false_acceptances"] == round(100 * found.accepted, 1)


def test_the_temperature_mends_the_calibration() -> None:
    found = measure([val_outputs(400, 0, apart=8.0)])
    assert found is not None
    before, after = found.calibration
    assert after < before / 2
    assert found.accepted is None
    assert "false_acceptances" not in found.to_dict()


def test_each_run_has_a_rule_of_its_own() -> None:
    """The distances of another network are in other units; the figures are those of one alone."""
    one = val_outputs(100, 50, seed=1)
    other = ValOutputs(one.entries, one.logits, 20 * one.distances, one.classes)
    alone, together = measure([one]), measure([one, other])
    assert alone is not None
    assert together is not None
    assert together.known == 2 * alone.known
    assert together.rejected == pytest.approx(alone.rejected)
    assert together.accepted == pytest.approx(alone.accepted)
