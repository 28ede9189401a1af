"""Runs and page of the cross-validation on RWTH-BOSTON-104."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from chereme.models.signx import ablations, preset
from chereme.training import cli as training

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def boston(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(ROOT)
    yield importlib.import_module("boston104")
    sys.modules.pop("boston104", None)


def put(
    runs: Path, row: str, fold: int, *given: tuple[str, str, str], way: str = "folds_5"
) -> None:
    """Sentences as (id, glosses, reading by CTC)."""
    folder = runs / way / row / f"fold_{fold}"
    folder.mkdir(parents=True)
    rows = [
        {"id": i, "signer": f"signer {fold}", "split": "test", "glosses": true, "ctc": read}
        for i, true, read in given
    ]
    rows.append(rows[0] | {"split": "dev"})
    (folder / "readings.json").write_text(json.dumps({"sentences": rows}))
    found = {"device": "a machine", "epochs": 7, "test": {"unseen_glosses": 10.0 + fold}}
    (folder / "metrics.json").write_text(json.dumps(found))


def cells(page: str, start: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| [{start}]"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_figures_are_over_folds_and_compared_sentence_by_sentence(boston, tmp_path: Path) -> None:
    put(tmp_path, "ctc_only", 0, ("1", "A B C D", "A"), ("2", "A B", "A B"))
    put(tmp_path, "ctc_only", 1, ("3", "A B C", "X B C Y"))
    put(tmp_path, "no_word", 0, ("1", "A B C D", "A B C D"), ("2", "A B", "A B"))
    page = boston.folds_table(tmp_path, 5)
    baseline, other = cells(page, boston.ROWS["ctc_only"]), cells(page, boston.ROWS["no_word"])
    # Fold 0: 3 of 6 wrong; fold 1: 2 of 3. Together 1 substituted, 3 deleted, 1 inserted of 9.
    assert baseline[:2] == ["CTC", "58.3 ± 11.8"]
    assert baseline[3] == "11.1, 33.3, 11.1"
    assert baseline[6:] == ["", "2 of 5"]
    assert other[:2] == ["CTC", "0.0"]
    assert other[2] == "[0.0, 0.0]"
    assert other[6].startswith("-50.0 [-75.0, ")  # of fold 0 alone, which both have
    assert other[7] == "1 of 5"
    assert set(cells(page, boston.ROWS["whole"])) == {"not run"}


def test_signers_are_told_apart(boston, tmp_path: Path) -> None:
    put(tmp_path, "whole", 0, ("1", "A B", "A"), way="signers")
    put(tmp_path, "whole", 2, ("2", "A B", "A B"), way="signers")
    page = boston.signers_table(tmp_path)
    assert page.splitlines()[0] == "|  | read by | signer 0 | signer 2 | mean |"
    assert cells(page, boston.ROWS["whole"]) == ["CTC", "50.0", "0.0", "25.0 ± 35.4"]
    assert set(cells(page, boston.ROWS["no_text"])) == {"not run"}


def test_the_page_has_every_row_and_links_that_lead_somewhere(boston, tmp_path: Path) -> None:
    assert set(boston.ROWS) == {*ablations(preset("boston104")), "no_text", "ctc_large"}
    put(tmp_path, "ctc_only", 3, ("1", "A B", "A"))
    boston.main(["--runs", str(tmp_path), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    assert "Machine:\na machine. Epochs: 7." in page
    assert "a floor of its WER: 13.0 %" in page
    for link in re.findall(r"\]\((\.\./[^)]+|papers/[^)]+)\)", page):
        assert (ROOT / "docs" / link).is_file()
    for block in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1
        assert len(block.splitlines()) == 2 + len(boston.ROWS)
    fixed = [line.split("|")[1] for line in page.splitlines() if line.startswith("| [")]
    written = (ROOT / "docs" / "results_signx.md").read_text()
    rows = [line.split("|")[1] for line in written.splitlines() if line.startswith("| [")]
    assert set(rows) == set(fixed)


def test_what_is_finished_is_not_run_again(boston, tmp_path: Path, monkeypatch, capsys) -> None:
    put(tmp_path, "ctc_only", 0, ("1", "A B", "A"))
    last = tmp_path / "folds_5" / "ctc_only" / "fold_2" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes(b"")
    begun: list[list[str]] = []
    monkeypatch.setattr(training, "main", begun.append)
    given = ["--run", "--runs", str(tmp_path), "--output", str(tmp_path / "page.md")]
    boston.main([*given, "--rows", "ctc_only", "--by", "folds", "--minutes", "90.5"])
    assert [next(o for o in run if "init_args.fold=" in o)[-1] for run in begun] == list("1234")
    assert f"--resume={last}" in begun[1]
    assert not any(option.startswith("--resume") for option in begun[0])
    assert begun[0][-1] in ("--trainer.max_time=00:01:30:29", "--trainer.max_time=00:01:30:30")
    boston.main([*given, "--rows", "whole", "--minutes", "0"])
    assert len(begun) == 4
    assert "not begun, the time is over" in capsys.readouterr().out


def test_runs_of_signers_are_three_and_their_options_are_understood(boston, tmp_path: Path) -> None:
    made = boston.plans("data", tmp_path, ["whole", "no_text"], ["signers"], 5, 9)
    assert len({plan.folder for plan in made}) == len(made) == 6
    built = training.TrainingCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        args=[*made[4].options, "--trainer.logger=false", "--trainer.accelerator=cpu"],
    )
    data = built.datamodule
    assert (data.root, data.split_by, data.fold, data.watch) == ("data", "signers", 1, False)
    assert built.trainer.max_epochs == 9
    assert built.model.model.config.loss.text_weight == 0
    assert str(made[4].folder) == built.config["output"]
