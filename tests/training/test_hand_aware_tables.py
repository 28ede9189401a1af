"""The configs of system B are the rows of the paper's tables; the benchmark runs and reads them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chereme.systems.hand_aware.losses import LossConfig
from chereme.systems.hand_aware.task import (
    HandAwareTask,
    KeypointTask,
    RgbTask,
)
from chereme.training.cli import TrainingCLI
from chereme.training.isolated_scoring import Predictions

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "hand_aware"


@pytest.fixture(scope="module")
def ablation() -> Any:
    path = CONFIGS.parents[1] / "benchmarks" / "hand_aware_ablation.py"
    spec = importlib.util.spec_from_file_location("hand_aware_ablation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_rows_of_the_benchmark_are_runs(ablation: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(CONFIGS.parents[1])
    for row, kind in ((ablation.HAND, HandAwareTask), (ablation.SGD, HandAwareTask),
                      (ablation.KEYPOINTS, KeypointTask), (ablation.RGB, RgbTask)):  # fmt: skip
        args = [*ablation.arguments(row, 2, 16), "--trainer.logger=false"]
        cli = TrainingCLI(subclass_mode_model=True, subclass_mode_data=True, run=False, args=args)
        assert isinstance(cli.model, kind)
        assert (cli.model.plateau is None) == (row is not ablation.SGD)
        assert cli.trainer.max_epochs == (16 if kind is HandAwareTask else 8)
        assert (cli.datamodule.frames, cli.datamodule.seed) == (8, 2)
        if kind is HandAwareTask:
            assert cli.model.weights == LossConfig(spa_weight=1.0)


def test_the_benchmark_fuses_and_tells_ambiguous_glosses_apart(
    ablation: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ablation, "RUNS", tmp_path)
    classes = ("a", "b high", "b low")
    labels = ("a", "b high", "b low", "b low")
    # The hand knows the sign but not the place, and the frame the place.
    hand = np.array([[5.0, 0, 0], [0, 4, 3], [0, 4, 3], [0, 4, 3]])
    frame = np.array([[0.0, 2, 0], [0, 5, 0], [0, 0, 5], [0, 0, 5]])
    for row, logits in ((ablation.HAND, hand), (ablation.KEYPOINTS, frame)):
        folder = ablation.output(row, 1)
        folder.mkdir(parents=True)
        Predictions(tuple("1234"), labels, ("",) * 4, classes, logits).save(folder / "test.npz")
    found = ablation.accuracies(ablation.said([ablation.HAND], 1))
    assert (found["top1"], found["top2"]) == (50.0, 100.0)
    assert (found["plain"], found["ambiguous"]) == (100.0, pytest.approx(100 / 3))
    both = [ablation.HAND, ablation.KEYPOINTS]
    assert ablation.accuracies(ablation.said(both, 1))["top1"] == 100.0
    assert ablation.gain([ablation.HAND], both, [1]).startswith("+50.0 (")
