"""Scores of isolated signs, against what is counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.pose_clips import Entry
from chereme.errors import BundleError, InputError, UsageError
from chereme.metrics import UNRANKED
from chereme.training.isolated_scoring import (
    Predictions,
    fuse,
    gloss_ranks,
    late_fusion,
    score_glosses,
)


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
    said = Predictions(("1", "2"), ("b", "é"), ("", "ann"), ("a", "b", "é"), logits, ("", "x"))
    said.save(tmp_path / "test.npz")
    found = Predictions.load(tmp_path / "test.npz")
    assert (found[:4], found.subsets) == (said[:4], said.subsets)
    np.testing.assert_array_equal(found.logits, logits)
    (tmp_path / "bad.npz").write_text("none")
    said._replace(logits=logits[:1]).save(tmp_path / "short.npz")
    said._replace(logits=logits * np.nan).save(tmp_path / "nan.npz")
    for name in ("bad", "missing", "short", "nan"):
        with pytest.raises(BundleError, match="predictions of a recogniser"):
            Predictions.load(tmp_path / f"{name}.npz")


def test_a_subset_is_scored_by_itself_too() -> None:
    entries = [Entry(str(n), "ab"[n % 2], "", "test", 12.0, 3) for n in range(5)]
    logits = np.array([[2.0, 1], [2, 1], [1, 2], [1, 2]])
    subsets = {"0": "normal", "1": "confusing", "2": "confusing", "4": "normal"}
    said = Predictions.of(entries, ("a", "b"), logits, subsets)
    found = said.score()  # 0 and 3 are right; 4 was dropped
    assert (found["clips"], found["top1"], found["top2"]) == (5, 40.0, 80.0)
    parts = {name: (own["clips"], own["top1"]) for name, own in found["subsets"].items()}
    assert parts == {"confusing": (2, 0.0), "normal": (2, 50.0)}


def test_late_fusion_sums_predictions() -> None:
    hand, frame = np.array([[0.0, 0.0]]), np.log([[3.0, 1.0]])
    np.testing.assert_allclose(late_fusion(hand, frame), [[1.25, 0.75]])
    np.testing.assert_allclose(late_fusion(hand, frame, of="logits"), hand + frame)
    # A recogniser that shouts has no more weight than one that speaks.
    np.testing.assert_allclose(late_fusion(hand, np.array([[0.0, 1000.0]])), [[0.5, 1.5]])


def test_late_fusion_wants_the_same_clips_and_classes() -> None:
    with pytest.raises(InputError, match="same clips and classes"):
        late_fusion(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(InputError, match="same clips and classes"):
        late_fusion()
    with pytest.raises(UsageError, match="probabilities or logits"):
        late_fusion(np.zeros((2, 3)), of="ranks")  # type: ignore[arg-type]


def test_predictions_are_added_up_clip_by_clip_and_gloss_by_gloss() -> None:
    def said(ids: str, classes: str, logits: list[list[float]], **labels: str) -> Predictions:
        names = tuple(labels.get(i, i) for i in ids)
        empty = ("",) * len(ids)
        return Predictions(tuple(ids), names, empty, tuple(classes), np.log(logits), empty)

    hand = said("ab", "ab", [[0.6, 0.4], [0.6, 0.4]])
    frame = said("ba", "ba", [[0.7, 0.3], [0.5, 0.5]])  # another order of both
    both = fuse([hand, frame])
    np.testing.assert_allclose(both.logits, [[1.1, 0.9], [0.9, 1.1]])
    assert both.score()["top1"] == 100.0
    for other in (
        said("ac", "ab", [[1.0, 1.0]] * 2),
        said("ab", "ac", [[1.0, 1.0]] * 2),
        said("ab", "ab", [[1.0, 1.0]] * 2, b="a"),
    ):
        with pytest.raises(InputError, match=r"same clips and glosses, got others: [bc] is"):
            fuse([hand, other])
