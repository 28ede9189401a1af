"""Rows of fingerspelling are trained from the first weights of the ResNet, and scored."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from recipes import ROOT

from chereme.datasets.shards import write
from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.nn.resnet_weights import load_resnet_weights
from chereme.text import ASL_LETTERS
from chereme.training import cli
from tools import letter_resnet

sys.path.append(str(ROOT / "benchmarks"))
import run as runner
from results import cells
from studies import _study

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = [
    *("config.rgb.depths=[1,1]", "config.rgb.widths=[4,8]", "config.rgb.image_size=16"),
    *("config.sequence.conv_dim=8", "config.sequence.gru_hidden=8", "config.sequence.gru_layers=1"),
]


def test_rows_are_scored_on_each_test_set(
    coloured_shards: Path,
    make_clip: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    photographs = tmp_path / "photographs"
    write([make_clip("p0", "ab", "test", teacher=False)], photographs)
    trained, main = list[str](), cli.main

    def train(options: list[str]) -> Any:
        trained.append(next(o for o in options if o.startswith("--output=")))
        sizes = [f"--model.init_args.{size}" for size in SMALL]
        quick = ["--trainer.precision=32-true", "--data.init_args.workers=0"]
        return main([*options, *sizes, *quick])

    monkeypatch.setattr(cli, "main", train)
    given = {
        "output": str(tmp_path / "runs"),
        "items": "letters",
        "tests": [str(coloured_shards), str(photographs)],
        "configs": ["recipes/tiny", "table_2/{row}"],
        "options": {
            "model": {"config.sequence.num_symbols": 27},
            "data": {"shards": [str(coloured_shards)], "test": [], "teacher": "toy"},
            "trainer": {"max_epochs": -1, "max_steps": 2},
        },
        "rows": {
            "rgb": {"label": "rgb", "options": {"data": {"teacher": None}}},
            "pose_transformer": {"label": "pose", "options": {"model": {"config.pose.dim": 6}}},
            "late_fusion": {"label": "late", "fuse": ["rgb", "pose_transformer"]},
            "distil_projected_mse": {
                "label": "distilled",
                "options": {"model": {"distillation.teacher_dim": 6}},
            },
            "pose_vit": {"label": "another", "options": {"data": {"teacher": "none"}}},
        },
    }
    study = _study("here", "configs/fingerspelling", given)
    runner.run_all(study, list(study.rows), [0], None)
    assert len(trained) == 4
    assert "pose_vit: left out: " in capsys.readouterr().out
    columns = [
        {"head": name, "set": name, "show": "items"}
        for name in (coloured_shards.name, "photographs")
    ]
    _, lines = cells(study, {"columns": columns})
    shown = {line[0].split("]")[0].strip("["): line[1:] for line in lines}
    # Pose is needed where it is read, not where it was learned from.
    assert shown["rgb"] == shown["distilled"]
    assert shown["rgb"][1] == "1"
    assert shown["pose"] == shown["late"] == [shown["rgb"][0], ""]
    assert shown["another"][0] == "not run"
    found = json.loads((tmp_path / "runs" / "rgb" / "items.json").read_text())
    assert all(len(counts) == 4 for counts in found.values())
    runner.run_all(study, ["rgb", "late_fusion"], [0], None)
    assert len(trained) == 4


def test_the_first_resnet_learns_letters_and_its_file_is_read(
    coloured_shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=16)
    monkeypatch.setattr(letter_resnet, "recipe_resnet", lambda recipe: small)
    crops, letters = letter_resnet.frames([str(coloured_shards)], 16, 0, seed=0)
    # The clips "b" and "c": four frames of the letter and two after it.
    assert crops.shape == (12, 3, 16, 16)
    assert sorted(set(letters.tolist())) == ASL_LETTERS.encode("bc")
    fewer, _ = letter_resnet.frames([str(coloured_shards)], 16, 0, seed=0, fraction=0.6)
    assert len(fewer) == 6  # of "b" alone
    path = tmp_path / "first.safetensors"
    letter_resnet.main([str(coloured_shards)], path, steps=250, batch_size=16)
    assert "step 250: loss" in capsys.readouterr().out
    encoder = ResNetEncoder(small)
    assert load_resnet_weights(encoder, path).source == str(path)
    encoder.eval()
    with torch.no_grad():
        features = encoder(crops.float() / 255)
    held = torch.tensor([0, 1, 2, 3, 6, 7, 8, 9])  # without the grey frames
    features, same = features[held], letters[held] == letters[0]
    first, second = features[same], features[~same]
    apart = (first.mean(0) - second.mean(0)).norm()
    assert apart > 2 * max((part - part.mean(0)).norm(dim=1).max() for part in (first, second))
