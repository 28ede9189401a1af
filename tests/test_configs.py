"""Every row of a paper's tables is a command that builds, and every file of a row is in a table."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from recipes import CONFIGS, ROOT, parsed

sys.path.append(str(ROOT / "benchmarks"))
from studies import Run, Tables

PAPERS = ("fingerspelling", "hand_aware", "signbert", "signx")
STUDIES = {
    f"{paper}-{name}": study
    for paper in PAPERS
    for name, study in Tables.load(paper).studies.items()
}


def first_runs() -> dict[str, Run]:
    """A run of each row; of rows with the same files and options of the model, of the first."""
    found = {}
    for about, study in STUDIES.items():
        for row in study.rows.values():
            run = next(iter(study.runs(row.name).values()))
            names = [o.partition("=")[0] for o in run.options if o.startswith("--model")]
            if run.options:
                found.setdefault((row.configs, *names), (f"{about}-{row.name}", run))
    return dict(found.values())


RUNS = first_runs()


def small(name: str) -> list[str]:
    """Sizes that take no time to build."""
    sizes: list[str] = []
    if name.startswith("signbert") and "-keypoints/" not in name and "-rgb/" not in name:
        sizes = ["encoder.gesture.widths=[4,8]", "encoder.dim=8", "encoder.heads=2"]
    elif name.startswith("signx-paper"):
        parts = ("tracks.hidden", "tracks.latent", "diffusion.dim", "decoder.dim")
        sizes = [f"{part}=8" for part in parts]
    return [f"--model.init_args.config.{size}" for size in sizes]


@pytest.mark.parametrize("name", RUNS)
def test_the_command_of_a_row_builds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RUNS[name]
    monkeypatch.chdir(ROOT)
    if "late_fusion" in name:  # reads the checkpoints of its parts
        text = (CONFIGS / "fingerspelling" / "table_2" / "late_fusion.yaml").read_text()
        parts = yaml.safe_load(text)["model"]["init_args"]["runs"]
        assert parts == [str(folder) for folder in run.needs]
        return
    begins = "--model.init_args.initial="
    options = [option for option in run.options if not (option.startswith(begins) and run.needs)]
    if run.needs:
        options += [f"{begins}scratch", "--model.init_args.freeze=false"]
    # Meta tensors take no time. Networks that count with their weights do not know these.
    with torch.device("meta" if name.startswith("fingerspelling") else "cpu"):
        cli = parsed(options=(*options, *small(name)))
    assert cli.config["output"] == str(run.folder)
    assert cli.datamodule is not None
    if cli.config["model"]["class_path"].endswith("RecognizerTask"):
        assert cli.model.inputs.symbols == len(cli.datamodule.alphabet)
        assert (cli.model.inputs.vector_dim is None) == (cli.datamodule.teacher is None)


def test_every_file_of_a_row_is_in_a_table() -> None:
    files = {
        str(path.relative_to(ROOT).with_suffix(""))
        for path in CONFIGS.glob("*/*/*.yaml")
        if path.parent.name.startswith(("table_", "rows", "data"))
    }
    rows = [(study, row) for study in STUDIES.values() for row in study.rows.values()]
    named = {f"{study.folder}/{name}" for study, row in rows for name in row.configs}
    assert not files - named
    assert all((ROOT / f"{name}.yaml").is_file() for name in named)


@pytest.mark.parametrize("name", STUDIES)
def test_no_row_says_what_another_says(name: str) -> None:
    study, said = STUDIES[name], dict[str, str]()
    for row in study.rows.values():
        run = [*study.runs(row.name).values()][-1]
        values: dict[str, Any] = {}
        for file in row.configs:
            text = (ROOT / study.folder / f"{file}.yaml").read_text(encoding="utf-8")
            merge(values, yaml.safe_load(text))
        values.pop("output", None)
        own = [o for o in run.options if not o.startswith(("--output=", "--config="))]
        command = str((values, own, run.needs))
        assert command not in said, f"{row.name} says what {said[command]} says"
        said[command] = row.name


def merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_commands_in_configs_name_files_that_there_are(path: Path) -> None:
    words = path.read_text(encoding="utf-8").replace("\\\n#", " ").split()
    named = [b for a, b in pairwise(words) if a == "--config" and b.startswith("configs/")]
    assert all((ROOT / name).is_file() for name in named)
