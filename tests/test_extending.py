"""A data set, a task and a hand detector of one's own: one file each, and one entry in the table of
tasks.

What stands in ``TOY_DATA_SET``, ``TASK`` with its ``ENTRY``, and ``DETECTOR`` is all that has to be
written; the command line does the rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import chereme
import chereme.datasets
import fakes
from chereme.cli import app
from chereme.datasets.pose_clips import PoseCorpus
from chereme.formats.eaf import read_eaf
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.recognition.tasks import TASKS, Task
from chereme.video import write_video

TOY_DATA_SET = '''
"""Toy signs, for a test."""
from pathlib import Path
from typing import Literal

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.registry import Kind, dataset
from chereme.formats.manifests import Item


@dataset("toy", Kind.SIGNS)
def read(
    root: str | Path, *, case: Literal["upper", "lower"] = "lower", skip: list[str] | None = None
) -> Corpus:
    """Toy signs: landmarks called by their gloss.

    Args:
        root: the folder of the files.
        case: of the labels.
        skip: glosses to leave out.
    """
    builder = CorpusBuilder("Toy")
    for path in sorted(Path(root).glob("*.npz")):
        with builder.row(path.stem):
            if path.stem in (skip or ()):
                raise Unusable("skipped")
            label = path.stem.upper() if case == "upper" else path.stem
            builder.add(Item(path, label, path.stem, split="train"))
    return builder.build({"all": 9})
'''
TASK = '''
"""Whether a hand is raised: the wrist in the upper half of the picture."""

from dataclasses import dataclass

import numpy as np

from chereme.recognition.bundle import read_config
from chereme.recognition.config import Config
from chereme.recognition.evaluation import Metrics, percent, row
from chereme.recognition.recognizer import BaseRecognizer, with_timings
from chereme.recognition.stages import Stages
from chereme.types import ContinuousResult, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisingConfig(Config):
    line: float


class RaisingRecognizer(BaseRecognizer):
    task = "raising"
    result = ContinuousResult

    def __init__(self, config, sha256, *, shout=False, **source):
        super().__init__(**source)
        self.config, self.sha256, self.shout = config, sha256, shout

    @classmethod
    def load(cls, model, *, threads=None, **options):
        return cls(*read_config(model), **options)

    @property
    def info(self):
        return {"model": {"name": self.config.name, "sha256": self.sha256}}

    def recognize(self, source, *, start=None, end=None, progress=None):
        stages = Stages()
        with stages("total"):
            found = self.detect(source, start, end, progress, stages)
            height = found.landmarks.landmarks[:, :, 0, 1] / found.landmarks.height
            up = bool(np.nanmin(height, initial=1.0) < self.config.line)
            text = ("up" if up else "down").upper() if self.shout else "up" if up else "down"
            token = Token(text, 0.0, found.info["duration"], 1.0)
        return with_timings(self.result(text, (token,), {**found.info, **self.info}), stages)


class RaisingMetrics(Metrics):
    def options(self, item):
        return {}

    def measure(self, scored, read, groups):
        return self.of_signer(scored)

    def of_signer(self, scored):
        right = sum(p.read.text == p.item.label for p in scored)
        return {"accuracy": round(100 * right / len(scored), 2)}

    def table(self, result):
        yield row("accuracy", percent(result["accuracy"]))

    def signer_line(self, row):
        return percent(row["accuracy"])
'''
ENTRY = Task(
    "raising",
    reads="raised hands",
    config="toy_task:RaisingConfig",
    recognizer="toy_task:RaisingRecognizer",
    evaluation="toy_task:RaisingMetrics",
)
DETECTOR = '''
"""A hand is where the picture is brightest."""

import numpy as np

from chereme.hands.detector import Detection


class BrightestDetector:
    def __init__(self, *, still):
        self.still = still

    def detect(self, image, timestamp):
        y, x = np.unravel_index(image.sum(axis=2).argmax(), image.shape[:2])
        joints = np.array([x, y, 0]) + np.arange(63).reshape(21, 3) % 5
        joints = joints.astype(np.float32)
        return [Detection(joints, 0.01 * joints, "right", 1.0)]

    def reset(self):
        pass

    def close(self):
        pass
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "toy_task.py").write_text(TASK)
    (tmp_path / "toy_detector.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TASKS, "raising", ENTRY)
    (tmp_path / "model").mkdir()
    config = {"name": "toy", "task": "raising", "input": "landmarks", "line": 0.5}
    config |= {"licence": {"code": "MIT", "weights": "MIT", "data": "none"}, "schema_version": 5}
    config |= {"training_data": [], "metrics": []}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    for name, at in (("high", 20), ("low", 100)):
        picture = np.zeros((128, 128, 3), np.uint8)
        picture[at - 4 : at + 4, 60:68] = 255
        write_video(tmp_path / f"{name}.mp4", [picture] * 8, 25.0)
    (tmp_path / "data.csv").write_text("path,label,signer\nhigh.mp4,up,a\nlow.mp4,up,b\n")
    yield tmp_path
    for module in ("toy_task", "toy_detector"):
        sys.modules.pop(module, None)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_task_of_ones_own(folder: Path) -> None:
    high, low, out = folder / "high.mp4", folder / "low.mp4", folder / "out"
    mine = ("--model", folder / "model", "--detector", "toy_detector:BrightestDetector")
    result = run("recognize", high, low, *mine, "-f", "all", "-o", out)
    assert (result.exit_code, result.stdout) == (0, f"{high}\tup\n{low}\tdown\n")
    assert len(list(out.iterdir())) == 12
    tier = read_eaf(out / "high.eaf").tiers["glosses"]
    assert [(a.value, a.start, a.end) for a in tier.annotations] == [("up", 0.0, 0.32)]
    refused = run("recognize", high, *mine, "--greedy")
    assert refused.exit_code == 2
    assert "is for raised hands" in refused.stderr
    scored = run("evaluate", *mine, "--data", folder / "data.csv", "-f", "json")
    assert scored.exit_code == 0, scored.output
    score = json.loads(scored.stdout)
    assert (score["task"], score["items_read"], score["accuracy"]) == ("raising", 2, 50.0)
    assert score["per_signer"]["b"] == {"items": 1, "accuracy": 0.0}
    assert "accuracy         50.0 %" in run("evaluate", *mine, "--data", folder / "data.csv").stdout
    assert run("bench", high, "--model", folder / "model").exit_code == 0
    recognizer = chereme.load(
        folder / "model", shout=True, detector="toy_detector:BrightestDetector"
    )
    assert recognizer.recognize(high).text == "UP"


def test_a_hand_detector_of_ones_own(folder: Path) -> None:
    mine = ("--detector", "toy_detector:BrightestDetector")
    assert run("landmarks", folder / "high.mp4", "-o", folder / "high.npz", *mine).exit_code == 0
    found = read_landmarks(folder / "high.npz")
    assert found.handedness == ("right",)
    np.testing.assert_allclose(found.landmarks[:, 0, 0, :2], [[62, 18]] * 8, atol=8)
    for wrong in ("none", "toy_detector:None_", "no_such_module:Detector"):
        result = run("landmarks", folder / "high.mp4", "-o", folder / "x.npz", "--detector", wrong)
        assert result.exit_code == 2
        assert f"detector: expected onnx, or module:class of another, got {wrong!r}" in (
            result.stderr
        )


def test_a_data_set_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY_DATA_SET)
    monkeypatch.setattr(
        chereme.datasets, "__path__", [*chereme.datasets.__path__, str(tmp_path / "more")]
    )
    monkeypatch.setattr(
        chereme.datasets.__spec__, "submodule_search_locations", chereme.datasets.__path__
    )
    for gloss in ("vail", "asl", "bad"):
        write_landmarks(fakes.spell(gloss), tmp_path / f"{gloss}.npz")
    assert "Toy signs: landmarks called by their gloss." in run("prepare", "--help").stdout
    shown = run("prepare", "toy", "--help").stdout
    assert "Glosses to leave out." in shown
    assert "upper" in shown
    assert "--fold" not in shown
    asked = ("--case", "upper", "--skip", "bad", "-o", tmp_path / "out")
    result = run("prepare", "toy", "--root", tmp_path, *asked)
    assert result.exit_code == 0, result.stderr
    assert "Toy: 2 of 3 clips prepared (9 published)" in result.stderr
    assert [entry.label for entry in PoseCorpus(tmp_path / "out").entries] == ["ASL", "VAIL"]
