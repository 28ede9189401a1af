"""Every row of the paper's tables is a config that builds the network which the row is about."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from chereme.datasets.shards import write
from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.nn.resnet_weights import load_resnet_weights
from chereme.systems.fingerspelling.distillation import DistillationConfig
from chereme.text import ASL_LETTERS
from chereme.training.cli import TrainingCLI, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables() -> Any:
    path = ROOT / "benchmarks" / "fingerspelling_tables.py"
    spec = importlib.util.spec_from_file_location("fingerspelling_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def parsed(args: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(ROOT)
    return TrainingCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        args=[*args, "--trainer.accelerator=cpu", "--trainer.logger=false"],
    )


TINY = [
    f"--model.init_args.config.{name}"
    for name in (
        "rgb.depths=[1,1]",
        "rgb.widths=[4,8]",
        "sequence.conv_dim=8",
        "sequence.gru_hidden=8",
        "sequence.gru_layers=1",
    )
]

SMALLER = [
    *TINY,
    "--model.init_args.config.rgb.image_size=16",
    "--data.init_args.batch_size=4",
    "--trainer.precision=32-true",
]


def metrics(accuracy: float | None, letters: int = 100) -> dict[str, Any]:
    test = {
        "letter_accuracy": accuracy,
        "letter_accuracy_unit": accuracy,
        "letters": letters,
        "clips": 9,
    }
    about = {"epochs": 40, "batch_size": 2, "device": "a machine", "decoding": {"lm": None}}
    return about | {"test": test, "parameters": 41_300_000, "ms_per_frame": 2.5}


def test_results_of_runs_folds_and_seeds(tables, tmp_path: Path) -> None:
    def put(run: str, found: dict[str, Any]) -> None:
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "metrics.json").write_text(json.dumps(found))

    put("table_2/distil_projected_cosine", metrics(66.0))
    put("table_2/rgb/seed_1", metrics(60.0))
    put("table_2/rgb/seed_2", metrics(64.0))
    put("table_5/ours/fold_1", metrics(90.0, 100))
    put("table_5/ours/fold_3", metrics(96.0, 200))
    put("table_2/pose_vit", metrics(None, 0))
    lines = {}
    for row in tables.ROWS:
        lines[row.table, row.run] = tables.line(row, tmp_path)
    best = lines[2, "table_2/distil_projected_cosine"]
    assert (
        "| 67.10 | 66.00 | 66.00 | 40 epochs of batch 2, 9 clips, without LM, a machine |" in best
    )
    assert "| 41.3 M | 2.50 ms |" in lines[6, "table_2/distil_projected_cosine"]
    assert "| 62.00 ± 2.83 |" in lines[2, "table_2/rgb"]
    assert "2 seeds" in lines[2, "table_2/rgb"]
    assert "| 94.00 | 94.00 | 2 of 7 folds" in lines[5, "table_5/ours"]  # over all letters
    assert "no letters" in lines[2, "table_2/pose_vit"]
    missing = lines[1, "table_1/pixie"]
    assert "not run: needs the Greek corpus, vectors of PIXIE" in missing
    for (table, _), line in lines.items():
        header = next(
            part
            for part in tables.document(tmp_path).split(f"## Table {table}:")[1].splitlines()
            if part.startswith("|")
        )
        assert line.count("|") == header.count("|")


def test_the_page_is_what_the_script_writes(tables, tmp_path: Path) -> None:
    tables.main(["--runs", str(tmp_path / "none"), "--output", str(tmp_path / "results.md")])
    made = (tmp_path / "results.md").read_text()
    page = (ROOT / "docs" / "results.md").read_text()
    # Runs fill cells, and add rows of heavier distillation; what stands around them is the same.
    page = [line for line in page.splitlines() if ", weights x " not in line]
    assert [line.split("|")[:4] for line in made.splitlines()] == [
        line.split("|")[:4] for line in page
    ]


@pytest.fixture
def setting(tables) -> Any:
    return tables.Setting(
        recipe="tiny",
        shards=("data/rendered", "data/photographs"),
        symbols=27,
        alphabet="asl",
        teachers={"hamer": ("landmarks", 5)},
        steps=60,
    )


def test_plans_for_other_data_build(tables, setting, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tables.plans(setting, 2)
    assert len(made) == 11 - 3  # without those of the ViT
    for plan in made:
        assert plan.folder == Path("runs/here/table_2") / plan.row / "seed_2"
        if plan.row == "late_fusion":
            both = "runs/here/table_2/rgb/seed_2,runs/here/table_2/pose_transformer/seed_2"
            assert f"--model.init_args.runs=[{both}]" in plan.options
            continue
        cli = parsed([*plan.options, *TINY], monkeypatch)
        assert cli.model.inputs.vector_dim == (None if plan.row == "rgb" else 5)
        assert cli.model.inputs.symbols == 27
        assert (cli.datamodule.seed, cli.datamodule.steps_per_epoch) == (2, 10)
        assert (cli.trainer.max_epochs, cli.trainer.max_steps) == (-1, 60)
        assert cli.datamodule.folders("train") == ["data/rendered", "data/photographs"]


def test_heavier_distillation_is_a_row_of_its_own(tables, setting, tmp_path: Path) -> None:
    plans = {p.row: p for p in tables.plans(replace(setting, weight=100), 3)}
    folder = Path("runs/here/table_2/distil_projected_cosine_x100/seed_3")
    assert plans["distil_projected_cosine"].folder == folder
    weights = {o for o in plans["distil_projected_cosine"].options if "_weight=" in o}
    given = "--model.init_args.distillation"
    assert weights == {
        f"{given}.cos_weight=10",
        f"{given}.reg_rgb_weight=1",
        f"{given}.reg_pos_weight=1",
    }
    assert plans["rgb"].folder == Path("runs/here/table_2/rgb/seed_3")
    (tmp_path / "table_2" / "distil_projected_cosine_x100").mkdir(parents=True)
    rows = [line for line in tables.section_here(tmp_path) if "distil_projected_cosine" in line]
    assert rows[0].startswith("| Proj. Pose (Trans.) - Cosine (Ours) | ")
    assert rows[1].startswith("| Proj. Pose (Trans.) - Cosine (Ours), weights x 100 | ")
    assert "(../configs/fingerspelling/table_2/distil_projected_cosine.yaml) | - |" in rows[1]


def test_the_papers_weights_are_the_defaults(tables) -> None:
    own = DistillationConfig()
    assert {name: getattr(own, name) for name in tables.WEIGHTS} == tables.WEIGHTS


def test_first_weights_are_of_the_rows_with_a_resnet(tables, setting) -> None:
    plans = tables.plans(replace(setting, initial="first.safetensors"), 1)
    option = "--model.init_args.initial=first.safetensors"
    without = {plan.row for plan in plans if option not in plan.options}
    assert without == {"pose_transformer", "late_fusion"}


@pytest.mark.usefixtures("one_thread")
def test_the_first_resnet_learns_letters_and_its_file_is_read(
    coloured_shards: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = importlib.import_module("letter_resnet")
    small = ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=16)
    monkeypatch.setattr(script, "recipe_resnet", lambda recipe: small)
    crops, letters = script.frames([str(coloured_shards)], "train", 16, 0, seed=0)
    # The clips "b" and "c": four frames of the letter and two after it.
    assert crops.shape == (12, 3, 16, 16)
    assert sorted(set(letters.tolist())) == ASL_LETTERS.encode("bc")
    path = tmp_path / "first.safetensors"
    options = ["--steps", "250", "--batch-size", "16", "-o", str(path)]
    script.main([str(coloured_shards), *options])
    assert "step 250: loss" in capsys.readouterr().out
    encoder = ResNetEncoder(small)
    before = encoder.resnet.state_dict()["embedder.embedder.convolution.weight"].clone()
    assert load_resnet_weights(encoder, path) == str(path)
    after = encoder.resnet.state_dict()["embedder.embedder.convolution.weight"]
    assert not torch.equal(before, after)
    encoder.eval()
    with torch.no_grad():
        features = encoder(crops.float() / 255)
    held = torch.tensor([0, 1, 2, 3, 6, 7, 8, 9])  # without the grey frames
    features, same = features[held], letters[held] == letters[0]
    first, second = features[same], features[~same]
    apart = (first.mean(0) - second.mean(0)).norm()
    assert apart > 2 * max((part - part.mean(0)).norm(dim=1).max() for part in (first, second))


def test_commands_are_those_of_the_chosen_rows(tables, capsys) -> None:
    given = ["--commands", "data/rendered", "--seeds", "2", "--rows", "rgb"]
    tables.main(given)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("chereme train --config configs/") for line in lines)
    assert "seed_2" in lines[1]
    with pytest.raises(SystemExit):
        tables.main([*given, "late_fusion"])  # no teacher
    assert "late_fusion: no such row" in capsys.readouterr().err


def test_gain_over_rgb_is_of_the_same_seeds_and_clips(tables) -> None:
    def run(seed: str, edits: dict[str, list[int]]) -> dict[str, Any]:
        accuracy = 100.0 - 100 * sum(e for e, _ in edits.values()) / 20
        score = {"letters": 20, "letter_accuracy": accuracy, "edits": edits}
        return {"seed": seed, "scores": {"rendered": score}, "teacher": None}

    rgb = [run("seed_1", {"x": [6, 10], "y": [4, 10]}), run("seed_2", {"x": [8, 10], "y": [4, 10]})]
    own = [run("seed_2", {"y": [2, 10], "x": [6, 10]}), run("seed_3", {"x": [0, 10], "y": [0, 10]})]
    assert tables.here(rgb, "rendered") == "45.00 ± 7.07"
    assert tables.here(own[:1], "rendered") == "60.00"
    assert tables.here(rgb, "photographs") == "no vectors"
    # Both clips have two edits fewer, so no draw can give anything else.
    assert tables.gain(own, rgb, "rendered") == "+20.00 [+20.00, +20.00]"
    assert tables.gain(rgb, rgb, "rendered") == ""
    assert tables.gain(own[1:], rgb, "rendered") == ""


@pytest.fixture
def runs_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(ROOT)
    yield importlib.import_module("fingerspelling_runs")
    sys.modules.pop("fingerspelling_runs", None)


@pytest.mark.usefixtures("one_thread")
def test_rows_are_run_once_and_scored_on_each_test_set(
    tables, runs_module, coloured_shards: Path, tmp_path: Path, make_clip, monkeypatch, capsys
) -> None:
    photographs = tmp_path / "photographs"
    write([make_clip("p0", "ab", "test", teacher=False)], photographs)
    trained: list[str] = []

    def train(options: list[str]) -> None:
        trained.append(next(o for o in options if o.startswith("--output=")))
        fusion = any("model.init_args.runs" in option for option in options)
        main([*options, *([] if fusion else SMALLER), "--data.init_args.workers=0"])

    monkeypatch.setattr(runs_module, "train", train)
    given = [
        *("--runs", str(tmp_path), "--output", str(tmp_path / "results.md")),
        *("--run", str(coloured_shards), "--test", str(photographs), "--steps", "2"),
        *("--teacher", "hamer=toy:6", "--teacher", "hamer-vit=other:6"),
        *("--rows", "rgb", "pose_vit", "pose_transformer", "late_fusion", "distil_projected_mse"),
    ]
    tables.main(given)
    assert len(trained) == 4
    assert "pose_vit/seed_1: left out" in capsys.readouterr().out
    tests = {}
    for row in ("rgb", "pose_transformer", "late_fusion", "distil_projected_mse"):
        folder = tmp_path / "here" / "table_2" / row / "seed_1"
        tests[row] = set(json.loads((folder / "scores.json").read_text()))
        assert json.loads((folder / "metrics.json").read_text())["test"]["clips"] == 0
    name = coloured_shards.name
    # Pose is needed where it is read, not where it was learned from.
    assert tests["rgb"] == tests["distil_projected_mse"] == {name, "photographs"}
    assert tests["pose_transformer"] == tests["late_fusion"] == {name}
    page = (tmp_path / "results.md").read_text()
    assert f"{name}, 14 letters | {name}: more than RGB-only | photographs, 2 letters" in page
    assert "| 1 seed, 2 steps of 4 clips |" in page
    tables.main(given)
    assert len(trained) == 4


def test_time_that_is_over_ends_the_runs(
    tables, runs_module, setting, tmp_path: Path, monkeypatch, capsys
) -> None:
    begun: list[list[str]] = []
    monkeypatch.setattr(runs_module, "train", begun.append)  # is cut off: no metrics.json
    monkeypatch.setattr(runs_module, "has_vectors", lambda *_: True)
    plans = [replace(plan, folder=tmp_path / plan.row) for plan in tables.plans(setting, 1)]
    runs_module.run_all(plans, [], [], "asl", minutes=95)
    assert len(begun) == 1
    assert begun[0][-1] in ("--trainer.max_time=00:01:34:59", "--trainer.max_time=00:01:35:00")
    assert "cut off" in capsys.readouterr().out
    last = tmp_path / "rgb" / "last.ckpt"
    last.parent.mkdir()
    torch.save({"callbacks": {"Timer": {"time_elapsed": {"train": 30.0}}}}, last)
    runs_module.run_all(plans, [], [], "asl", minutes=None)
    assert begun[1][-1] == f"--resume={last}"
    runs_module.run_all(plans, [], [], "asl", minutes=1)  # and the half before, for Lightning
    assert begun[2][-2] == f"--resume={last}"
    assert begun[2][-1] in ("--trainer.max_time=00:00:01:29", "--trainer.max_time=00:00:01:30")
    runs_module.run_all(plans, [], [], "asl", minutes=0)
    assert len(begun) == 3
    assert "not begun" in capsys.readouterr().out
