"""Scores of isolated signs and of reconstructed hands, against what is counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.pose_clips import Entry
from chereme.errors import BundleError
from chereme.metrics import UNRANKED
from chereme.training.isolated_scoring import (
    Predictions,
    Reprojection,
    places_of,
    score_glosses,
    score_reprojection,
)


def test_accuracies_are_per_clip_and_per_gloss() -> None:
    logits = np.array([[3.0, 1, 2], [3.0, 1, 2], [0, 1, 2], [5.0, 1, 0]])
    labels = ["a", "c", "c", "unknown"]
    places = places_of(logits, labels, ("a", "b", "c"))
    assert places.tolist() == [1, 2, 1, UNRANKED]
    entries = [Entry(f"{n}", g, f"s{n % 2}", "test", 12.0, 3) for n, g in enumerate(labels)]
    found = score_glosses(places, entries, ("a", "b", "c"))
    assert (found["top1"], found["top2"], found["top5"]) == (50.0, 75.0, 75.0)
    assert found["top1_class"] == pytest.approx(100 * (1 + 0.5 + 0) / 3, abs=0.01)
    assert (found["clips"], found["signers"], found["unknown_glosses"]) == (4, 2, 1)
    low, high = found["top1_interval"]
    assert low <= 50 <= high


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


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    logits = np.arange(6, dtype=np.float32).reshape(2, 3)
    said = Predictions(("1", "2"), ("b", "é"), ("", "ann"), ("a", "b", "é"), logits)
    said.save(tmp_path / "test.npz")
    found = Predictions.load(tmp_path / "test.npz")
    assert found[:4] == said[:4]
    np.testing.assert_array_equal(found.logits, logits)
    (tmp_path / "bad.npz").write_text("none")
    for name in ("bad", "missing"):
        with pytest.raises(BundleError, match="predictions of a recogniser"):
            Predictions.load(tmp_path / f"{name}.npz")
