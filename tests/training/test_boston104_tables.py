"""Runs and page of the cross-validation on RWTH-BOSTON-104."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

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
    put(tmp_path, "no_text", 0, ("1", "A B C D", "A"), ("2", "A B", "A B"))
    page = boston.folds_table(tmp_path, 5)
    baseline, other = cells(page, boston.ROWS["ctc_only"]), cells(page, boston.ROWS["no_word"])
    # Fold 0: 3 of 6 wrong; fold 1: 2 of 3. Together 1 substituted, 3 deleted, 1 inserted of 9.
    assert baseline[:2] == ["CTC", "58.3 ± 11.8"]
    assert baseline[3] == "11.1, 33.3, 11.1"
    assert baseline[6:] == ["", "", "2 of 5"]
    assert other[:2] == ["CTC", "0.0"]
    assert other[2] == "[0.0, 0.0]"
    assert other[6].startswith("-50.0 [-75.0, ")  # of fold 0 alone, which both have
    assert other[7:] == ["", "1 of 5"]
    assert set(cells(page, boston.ROWS["whole"])) == {"not run"}
    put(tmp_path, "whole", 0, ("1", "A B C D", "A B"), ("2", "A B", "A B"))
    page = boston.folds_table(tmp_path, 5)
    assert cells(page, boston.ROWS["whole"])[6].startswith("-16.7 [")
    assert cells(page, boston.ROWS["no_word"])[7].startswith("-33.3 [-50.0, ")
    assert cells(page, boston.ROWS["no_text"])[6] == "+0.0 [+0.0, +0.0]"


def test_what_training_has_is_what_other_folds_test(boston, tmp_path: Path) -> None:
    put(tmp_path, "ctc_only", 0, ("1", "A B C", "A B"), ("2", "A B", "A"), way="folds_2")
    page = boston.memory_table(tmp_path, 2)
    assert len(page.splitlines()) == 2  # another fold is not there
    put(tmp_path, "ctc_only", 1, ("3", "B C", "A B C C"), way="folds_2")
    put(tmp_path, "whole", 1, ("3", "B C", "A B"), way="folds_2")
    page = boston.memory_table(tmp_path, 2)
    # Signed: pairs AB, BC, AB of fold 0, of which fold 1 has BC; BC of fold 1, which fold 0 has.
    assert page.splitlines()[2] == "| what was signed |  | 0 % | 50 % | 1.00 |"
    # Said: AB, of which fold 1 has none, and AB, BC, CC, of which fold 0 has two.
    assert cells(page, boston.ROWS["ctc_only"]) == ["CTC", "0 %", "50 %", "1.00"]
    assert cells(page, boston.ROWS["whole"]) == ["CTC", "100 %", "100 %", "1.00"]


def test_longer_runs_are_compared_with_longer_ones(boston, tmp_path: Path) -> None:
    put(tmp_path, "ctc_only", 0, ("1", "A B", "A"))
    put(tmp_path, "ctc_only", 0, ("1", "A B", "A B"), way="longer_5")
    put(tmp_path, "whole", 0, ("1", "A B", "A"), way="longer_5")
    page = boston.folds_table(tmp_path, 5, "longer")
    assert len(page.splitlines()) == 4
    assert cells(page, boston.ROWS["ctc_only"])[1] == "0.0"
    assert cells(page, boston.ROWS["whole"])[6] == "+50.0 [+50.0, +50.0]"


def test_signers_are_told_apart(boston, tmp_path: Path) -> None:
    put(tmp_path, "whole", 0, ("1", "A B", "A"), way="signers")
    put(tmp_path, "whole", 2, ("2", "A B", "A B"), way="signers")
    page = boston.signers_table(tmp_path)
    assert page.splitlines()[0] == "|  | read by | signer 0 | signer 2 | mean |"
    assert cells(page, boston.ROWS["whole"]) == ["CTC", "50.0", "0.0", "25.0 ± 35.4"]
    assert set(cells(page, boston.ROWS["no_text"])) == {"not run"}


def test_the_page_has_every_row_and_links_that_lead_somewhere(boston, tmp_path: Path) -> None:
    put(tmp_path, "ctc_only", 3, ("1", "A B", "A"))
    boston.main(["--runs", str(tmp_path), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    assert "Machine:\na machine. Epochs: 7." in page
    assert "a floor of its WER: 13.0 %" in page
    for link in re.findall(r"\]\((\.\./[^)]+|papers/[^)]+)\)", page):
        assert (ROOT / "docs" / link).is_file()
    blocks = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", page, re.M)]
    assert all(len({line.count("|") for line in block}) == 1 for block in blocks)
    # Of what was said before nothing is known until every fold of the baseline is there.
    assert [len(block) - 2 for block in blocks] == [len(boston.ROWS), 0, 0, len(boston.ROWS)]
    fixed = [line.split("|")[1] for line in page.splitlines() if line.startswith("| [")]
    written = (ROOT / "docs" / "results_signx.md").read_text()
    rows = [line.split("|")[1] for line in written.splitlines() if line.startswith("| [")]
    assert set(rows) == set(fixed)


def test_what_was_written_by_hand_stays(boston, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    given = ["--runs", str(tmp_path / "none"), "--output", str(page)]
    boston.main(given)
    assert "Nothing has been said yet." in page.read_text()
    text = page.read_text().replace(
        "Nothing has been said yet.", "The baseline is *better*.\n\nSo."
    )
    page.write_text(text)
    boston.main(given)
    assert page.read_text() == text


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_real_sentences_are_learnt_by_heart(boston, shared_data: Path, tmp_path: Path) -> None:
    """By the whole model, every loss and diffusion on, read by its decoder and by its CTC head."""
    boston.overfit(str(shared_data / "boston104"), tmp_path / "overfit")
    found = json.loads((tmp_path / "overfit" / "metrics.json").read_text())
    dev = found["dev"]
    assert dev["sentences"] == found["training_sentences"] == boston.BY_HEART == 20
    assert dev["unseen_glosses"] == 0
    for way in ("beam", "greedy", "ctc", "ctc_greedy"):
        assert (dev[way]["wer"], dev[way]["exact"]) == (0.0, 100.0)
    assert "WER after 150 steps, read by decoder 0.0, CTC 0.0." in boston.document(tmp_path, 5)


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


def test_the_files_of_a_row(boston) -> None:
    def names(row: str) -> list[str]:
        return [Path(file).stem for file in boston.configs(row)]

    assert names("ctc_only") == ["boston104"]
    assert names("ctc_large") == ["boston104", "ctc_large"]
    assert names("whole") == ["boston104", "whole"]
    assert names("no_word") == ["boston104", "whole", "no_word"]
    assert all((ROOT / file).is_file() for row in boston.ROWS for file in boston.configs(row))


def test_runs_of_signers_are_three_and_their_options_are_understood(boston, tmp_path: Path) -> None:
    made = boston.plans("data", tmp_path, ["whole", "no_text"], ["signers"], 5, 9)
    assert len({plan.folder for plan in made}) == len(made) == 6
    (longer,) = boston.plans("data", tmp_path, ["whole"], ["longer"], 5, None, [4])
    assert str(longer.folder).endswith("longer_5/whole/fold_4")
    assert "--trainer.max_epochs=240" in longer.options
    assert "--data.init_args.split_by=folds" in longer.options
    some = boston.plans("data", tmp_path, ["whole"], ["folds"], 5, 9, [3, 1])
    assert [plan.folder.name for plan in some] == ["fold_1", "fold_3"]
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
