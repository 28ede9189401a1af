"""Scores of isolated signs, against what is counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.pose_clips import Entry
from chereme.errors import BundleError
from chereme.metrics import UNRANKED
from chereme.training.isolated_scoring import Predictions, gloss_ranks, score_glosses


def test_accuracies_are_per_clip_and_per_gloss() -> None:
    logits = np.array([[3.0, 1, 2], [3.0, 1, 2], [0, 1, 2], [5.0, 1, 0]])
    labels = ["a", "c", "c", "unknown"]
    found_ranks = gloss_ranks(logits, labels, ("a", "b", "c"))
    assert found_ranks.tolist() == [1, 2, 1, UNRANKED]
    entries = [Entry(f"{n}", g, f"s{n % 2}", "test", 12.0, 3) for n, g in enumerate(labels)]
    found = score_glosses(found_ranks, entries, ("a", "b", "c"))
    assert (found["top1"], found["top2"], found["top5"]) == (50.0, 75.0, 75.0)
    assert found["top1_class"] == pytest.approx(100 * (1 + 0.5 + 0) / 3, abs=0.01)
    assert (found["clips"], found["signers"], found["unknown_glosses"]) == (4, 2, 1)
    low, high = found["top1_interval"]
    assert low <= 50 <= high


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
