"""What a detector adds to the hand network's vectors."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.synthesis.detection import vector_noise


@pytest.mark.parametrize(("count", "rate"), [(1, 30.0), (2, 15.0), (300, 30.0), (301, 60.0)])
def test_vector_noise(count: int, rate: float) -> None:
    """About a quarter of the spread of each number, which changes little from frame to frame."""
    spread = np.linspace(0.1, 2, 1152).astype(np.float32)
    rng = np.random.default_rng(0)
    clean = np.tile(1.2 * spread, (count, 1))
    relative = (vector_noise(clean, spread, rate, rng) - clean) / spread
    assert relative.shape == (count, 1152)
    assert 0.15 < relative.std() < 0.35
    if count > 2:
        steps = np.diff(relative, axis=0)
        assert steps.std() < 0.3 * relative.std() * 30 / rate + 0.03
        # It wanders about an offset of the recording's own.
        assert relative.mean(axis=0).std() == pytest.approx(0.13, abs=0.02)


def test_what_is_nothing_stays_so() -> None:
    rng, spread = np.random.default_rng(0), np.full(1152, 3.0, np.float32)
    vectors = np.maximum(rng.normal(size=(50, 1152)), 0).astype(np.float32)
    noisy = vector_noise(vectors, spread, 30.0, rng)
    np.testing.assert_array_equal(noisy[vectors == 0], 0.0)
    assert (noisy >= 0).all()


def test_gain_of_a_recording() -> None:
    rng = np.random.default_rng(0)
    ones, none = np.ones((5, 1152), np.float32), np.zeros(1152, np.float32)
    gains = [vector_noise(ones, none, 30.0, rng) for _ in range(200)]
    assert all(np.ptp(gain) < 1e-6 for gain in gains)
    assert np.std([gain[0, 0] for gain in gains]) == pytest.approx(0.03, abs=0.006)
