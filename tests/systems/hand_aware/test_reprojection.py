"""Errors of projected joints, against what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.systems.hand_aware.reprojection import Reprojection, score_reprojection


def test_errors_are_in_pixels_and_in_palms() -> None:
    truth = np.zeros((2, 21, 3))
    truth[:, 9, 1] = -0.5  # the middle knuckle: half a crop unit from the wrist
    truth[1, 3] = np.nan
    projected = np.zeros((2, 21, 2))
    projected[:, 9] = (0.0, -0.5)
    projected[0] += (0.03, 0.04)  # all of the hand is off: nothing is relative to the wrist
    projected[1, 9, 0] = 0.42  # one joint of 20 that are known
    near = Reprojection.of(projected, truth)
    found = score_reprojection([near], 100)
    assert found is not None
    assert (found["frames"], found["joints"]) == (2, 41)
    assert found["pixels"] == pytest.approx(50 * (21 * 0.05 + 0.42) / 41, abs=1e-3)
    assert found["pixels_relative"] == pytest.approx(50 * 0.42 / 39, abs=1e-3)
    assert found["palms"] == pytest.approx((21 * 0.05 + 0.42) / 41 / 0.5, abs=1e-4)
    flat = score_reprojection([Reprojection.of(projected, truth[..., :2])], 100)
    assert flat is not None
    assert flat["pixels"] == found["pixels"]
    assert "palms" not in flat
    assert score_reprojection([], 100) is None
    assert score_reprojection([Reprojection.of(projected, truth * np.nan)], 100) is None
