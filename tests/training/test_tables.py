"""Every row of the paper's tables is a config that builds the network which the row is about."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chereme.models.fingerspelling import preset, table_2
from chereme.training.augmentation import PAPER
from chereme.training.cli import TrainingCLI
from chereme.training.recognition import RecognizerTask

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs" / "fingerspelling"
ROWS = sorted(path for path in CONFIGS.glob("table_*/*.yaml"))


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


def command_in(path: Path) -> list[str]:
    """The words after 'chereme train' in a config's first lines."""
    comment = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#")]
    words = shlex.split(" ".join(comment[comment.index(_begin(comment)) :]).replace("\\ ", ""))
    return words[2:]


def _begin(comment: list[str]) -> str:
    return next(line for line in comment if line.startswith("chereme train"))


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


@pytest.mark.parametrize("path", ROWS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_command_of_each_row_builds_its_network(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_in(path)
    assert command[-1] == str(path.relative_to(ROOT))
    name = str(path.relative_to(CONFIGS).with_suffix(""))
    if name == "table_2/late_fusion":
        runs = yaml.safe_load(path.read_text())["model"]["init_args"]["runs"]
        assert runs == [
            f"runs/table_2/{part}" for part in table_2(preset("paper"))[path.stem].fuses
        ]
        return
    cli = parsed([*command, *TINY], monkeypatch)
    task: RecognizerTask = cli.model
    output = cli.config["output"]
    assert output.removesuffix("/fold_1") == f"runs/{name}"
    assert ("greek" in " ".join(command)) == output.endswith("/fold_1")
    assert task.inputs.symbols == len(cli.datamodule.alphabet)
    assert (task.inputs.vector_dim is None) == (cli.datamodule.teacher is None)
    assert cli.datamodule.augmentation == PAPER
    assert (cli.datamodule.batch_size, cli.trainer.max_epochs) == (2, 40)
    assert (task.losses.seq_weight, task.losses.vis_weight, task.losses.kd_weight) == (1, 1, 5)
    expected = table_2(preset("paper"))
    known = {"table_4/ours": "distil_projected_cosine", "table_5/ours": "distil_projected_cosine"}
    known |= {
        f"table_1/{n}": "pose_transformer" for n in ("hamer", "expose", "pixie", "frankmocap")
    }
    row = expected[known.get(name, path.stem)]
    assert row.config is not None
    assert task.config.stream == row.config.stream
    distillation = None if task.distillation is None else task.distillation.config
    assert distillation == row.distillation
    if name in ("table_1/expose", "table_1/frankmocap", "table_1/pixie"):
        assert cli.datamodule.teacher == path.stem
    elif row.teacher is not None:
        teacher = {"vit": "hamer-vit", "transformer": "hamer"}[row.teacher]
        assert cli.datamodule.teacher == teacher
        assert task.inputs.vector_dim == {"vit": 1280, "transformer": 1024}[row.teacher]


@pytest.mark.parametrize(
    ("recipe", "name"), [("paper", "paper"), ("ours", "paper"), ("small", "small")]
)
def test_recipes_have_the_sizes_of_the_presets(recipe: str, name: str) -> None:
    values = yaml.safe_load((CONFIGS / "recipes" / f"{recipe}.yaml").read_text())
    config, expected = values["model"]["init_args"]["config"], preset(name)
    for part, known in (("rgb", expected.rgb), ("sequence", expected.sequence)):
        for key, value in config[part].items():
            want = getattr(known, key)
            assert value == (list(want) if isinstance(want, tuple) else want), key


def test_every_row_has_a_config_and_every_config_a_row(tables) -> None:
    assert {row.run for row in tables.ROWS} == {
        str(path.relative_to(CONFIGS).with_suffix("")) for path in ROWS
    }
    assert {row.run for row in tables.ROWS if row.table == 2} == {
        f"table_2/{name}" for name in table_2(preset("paper"))
    }
    for row in tables.ROWS:
        said = (CONFIGS / f"{row.run}.yaml").read_text()
        assert f"{row.paper:.2f}" in said


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
    # Runs fill cells; what stands around them is the same.
    assert [line.split("|")[:4] for line in made.splitlines()] == [
        line.split("|")[:4] for line in page.splitlines()
    ]


def test_commands_for_other_data_build(tables, monkeypatch: pytest.MonkeyPatch) -> None:
    teachers = {"hamer": ("landmarks", 5)}
    made = tables.commands("small", "data/mixed", 27, "asl", teachers, 2)
    assert len(made) == 11 - 3  # without those of the ViT
    assert sum("seed_2" in line for line in made) == 8
    for line in made:
        if "late_fusion" in line:
            assert "rgb/seed_2,runs/mixed/table_2/pose_transformer/seed_2]" in line
            continue
        cli = parsed([*shlex.split(line)[2:], *TINY], monkeypatch)
        assert cli.model.inputs.vector_dim == (None if "/rgb" in line else 5)
        assert cli.model.inputs.symbols == 27
        assert cli.datamodule.seed == 2
        assert cli.datamodule.folders("train") == ["data/mixed"]
