"""STB and HANDS17, as they are released but tiny, by commands: prepared, trained on, and scored
(Tables 1 and 2 of the paper)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from chereme.cli import app
from chereme.datasets.pose_clips import PoseCorpus

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "signbert"
TINY = {"encoder.gesture.widths": "[4,8]", "encoder.dim": 8, "encoder.heads": 2}
pytestmark = pytest.mark.usefixtures("one_thread")


def moving(frames: int, seed: int) -> np.ndarray:
    """``(T, 21, 3)`` millimetres: a hand 60 cm before the camera that moves and turns a little."""
    rng = np.random.default_rng(seed)
    hand = rng.uniform(-80, 80, (21, 3))
    path = np.cumsum(rng.normal(0, 3, (frames, 1, 3)), axis=0)
    return np.array([0, 0, 600]) + hand + path + rng.normal(0, 2, (frames, 21, 3))


def write_stb(root: Path) -> None:
    (root / "labels").mkdir(parents=True)
    for number, name in enumerate(("B1Counting", "B2Counting", "B3Random")):
        joints = moving(12, number).transpose(2, 1, 0)
        savemat(root / f"labels/{name}_SK.mat", {"handPara": joints})


def write_hands17(root: Path) -> None:
    root.mkdir()
    lines = [
        f"{folder}/image_D{n:08d}.png\t" + "\t".join(f"{value:.4f}" for value in frame.ravel())
        for folder in range(3)
        for n, frame in enumerate(moving(20, folder))
    ]
    (root / "Training_Annotation.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("row", ["table_1/m3", "table_2/joint", "table_4/frame"])
def test_joints_go_through_commands(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the files name folders below runs/
    single = row.startswith("table_1")
    name, splits = ("stb", (24, 12)) if single else ("hands17", (12, 6))
    (write_stb if single else write_hands17)(tmp_path / "root")
    options = () if single else ("--clip-frames", "4")
    prepared = CliRunner().invoke(
        app, ["prepare", name, "--root", "root", "-o", f"runs/poses/{name}", *options]
    )
    assert prepared.exit_code == 0, prepared.output
    entries = PoseCorpus(tmp_path / "runs/poses" / name).entries
    assert tuple(sum(e.split == own for e in entries) for own in ("train", "test")) == splits
    configs = [f"--config={CONFIGS / file}.yaml" for file in ("pretrain", f"data/{name}", row)]
    own = [f"--model.init_args.config.{key}={value}" for key, value in TINY.items()]
    trainer = ["--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--output=out"]
    result = CliRunner().invoke(app, ["train", *configs, *own, *trainer])
    assert result.exit_code == 0, result.output
    scores = json.loads((tmp_path / "out/metrics.json").read_text())["test"]
    assert (scores["clips"], scores["tokens"]) == (splits[1], 12 if single else 18)
    assert scores["signers"] == (1 if single else 3)  # sequences
    # What was masked is wrong in the input, whatever the pixel; frames wholly, joints by half.
    assert scores["input_pck20"] < 100
    assert (scores["masked_input_auc"] == 0) == (row == "table_4/frame")
    assert scores["picture_input_pck20"] >= scores["input_pck20"]  # crops enlarge this hand
    assert scores["pck20"] is not None
