"""Studies are run once, and their tables are made of what the runs have written."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes import ROOT

from chereme.training.isolated_scoring import Predictions

sys.path.append(str(ROOT / "benchmarks"))
import run as runner
from results import cells, put
from studies import Study, Tables, _study, arguments

RATE = {"head": "WER", "set": "test/{way}", "show": "rate"}
GAIN = {"head": "more", "set": "test/{way}", "show": "gain", "over": "base", "over_set": "test/ctc"}


def study(folder: Path, **values: Any) -> Study:
    rows = {name: {"label": name, "configs": []} for name in ("base", "other", "third")}
    defaults = {"output": str(folder), "rows": rows, "digits": 1}
    return _study("here", "configs/none", defaults | values)


def put_metrics(folder: Path, **metrics: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))


def put_sentences(folder: Path, *given: tuple[str, str, dict[str, str]]) -> None:
    """(id, glosses, readings by way)"""
    rows = [{"id": i, "signer": "", "split": "test", "glosses": g, **r} for i, g, r in given]
    put_metrics(folder)
    (folder / "readings.json").write_text(json.dumps({"sentences": rows}))


# -- tables ----------------------------------------------------------------------------------------
def test_error_rates_are_compared_sentence_by_sentence(tmp_path: Path) -> None:
    folds = study(
        tmp_path, items="sentences", measure="error", repeats={"fold": [0, 1]}, group="glosses"
    )
    put_sentences(
        tmp_path / "base/fold_0", ("1", "A B C D", {"ctc": "A"}), ("2", "A B", {"ctc": "A B"})
    )
    put_sentences(tmp_path / "base/fold_1", ("3", "A B C", {"ctc": "X B C Y"}))
    both = {"ctc": "A", "beam": "A B C D"}
    put_sentences(
        tmp_path / "other/fold_0", ("1", "A B C D", both), ("2", "A B", dict.fromkeys(both, "A B"))
    )
    kinds = {"head": "kinds", "set": "test/{way}", "show": "kinds"}
    spec = {
        "each": {"way": {"beam": "decoder", "ctc": "CTC"}},
        "columns": [RATE, kinds, GAIN, {"head": "folds", "runs": True}],
    }
    head, lines = cells(folds, spec)
    assert head == ["", "", "WER", "kinds", "more", "folds"]
    assert lines == [
        # The baseline was not read by the decoder, and the third row is not there.
        ["decoder", "other", "0.0", "0.0, 0.0, 0.0", lines[0][4], "1 of 2"],
        ["decoder", "third", "not run", "", "", "0 of 2"],
        # Fold 0: 3 of 6 wrong; fold 1: 2 of 3. Together 1 substituted, 3 deleted, 1 inserted of 9.
        ["CTC", "base", "58.3 ± 11.8", "11.1, 33.3, 11.1", "", "2 of 2"],
        ["CTC", "other", "50.0", "0.0, 50.0, 0.0", "+0.0 [+0.0, +0.0]", "1 of 2"],
        ["CTC", "third", "not run", "", "", "0 of 2"],
    ]
    assert lines[0][4].startswith("-50.0 [-75.0, ")  # of fold 0 alone, which both have


def test_a_row_is_compared_with_its_own_other_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tables = Tables.load("signx_video")
    bleu = {"ctc": {"bleu": [90.0, 0, 0, 80.0]}}
    errors = {"mediapipe_pose_spread": 0.25}
    folder = Path("runs/signx/rendered/stage_2")
    read = {"true_tracks/ctc": "A B C D", "video/ctc": "A B C", "glosses": "A B C D"}
    rows = [{"id": str(i), "signer": str(i), "split": "dev", **read} for i in range(2)]
    put_metrics(folder, dev={"video": bleu, "errors": errors})
    (folder / "readings.json").write_text(json.dumps({"sentences": rows}))
    study = tables.studies["rendered"]
    _, lines = cells(study, tables.tables["glosses"])
    (line,) = lines
    assert line[:2] == ["dev", "CTC"]
    assert line[3:6] == ["25.0", "[25.0, 25.0]", "0.0, 25.0, 0.0"]
    assert line[6:] == ["90.0", "80.0", "+25.0 [+25.0, +25.0]"]
    _, lines = cells(study, tables.tables["tracks"])
    assert [line[:2] + line[3:] for line in lines] == [["dev", "pose", "0.250", "", ""]]


def put_signs(folder: Path, labels: tuple[str, ...], logits: np.ndarray) -> None:
    put_metrics(folder, test={"top2": 100.0})
    names = tuple(str(i) for i in range(len(labels)))
    nobody, subsets = ("",) * len(labels), ("", *["pair"] * (len(labels) - 1))
    classes = ("a", "b high", "b low")
    Predictions(names, labels, nobody, classes, logits, subsets).save(folder / "test.npz")


def test_signs_are_told_apart_by_sets_and_added_up_in_fusions(tmp_path: Path) -> None:
    labels = ("a", "b high", "b low", "b low")
    # The hand knows the sign but not the place, and the frame the place.
    put_signs(tmp_path / "base", labels, np.array([[5.0, 0, 0], *[[0, 4, 3]] * 3]))
    frame = np.array([[0.0, 2, 0], [0, 5, 0], [0, 0, 5], [0, 0, 5]])
    put_signs(tmp_path / "other", labels, frame)
    rows = {
        "base": {"label": "hand", "configs": [], "paper": "64.7"},
        "other": {"label": "frame", "configs": []},
        "both": {"label": "both", "fuse": ["base", "other"], "against": "base"},
    }
    sets = {"all": "", "pairs": "^(?=[^/]* (high|low)/)", "subset": "/pair$"}
    pairs = study(tmp_path, rows=rows, sets=sets)
    columns = [
        {"head": "paper", "paper": True},
        {"head": "top-1", "set": "all", "show": "rate"},
        {"head": "pairs", "set": "pairs", "show": "rate"},
        {"head": "more", "set": "all", "show": "gain"},
        {"head": "top-2", "metric": "test.top2"},
        {"head": "subset", "set": "subset", "show": "rate"},
    ]
    _, lines = cells(pairs, {"columns": columns})
    assert lines[0] == ["hand", "64.7", "50.0", "33.3", "", "100.0", "33.3"]
    assert lines[1][2:4] == ["75.0", "100.0"]
    assert lines[2][:4] == ["both", "", "100.0", "100.0"]
    assert lines[2][4].startswith("+50.0 [")
    other = Predictions.load(tmp_path / "other" / "test.npz")
    other._replace(ids=("x", *other.ids[1:])).save(tmp_path / "other" / "test.npz")
    with pytest.raises(SystemExit, match="expected predictions of the same clips"):
        cells(pairs, {"columns": columns})


def test_a_gain_is_of_the_same_seeds_and_items(tmp_path: Path) -> None:
    seeds = study(tmp_path, items="letters", tests=["data/x"], repeats={"seed": [1, 2, 3]})
    given = {
        ("base", 1): {"x/p": 6, "x/q": 4},
        ("base", 2): {"x/p": 8, "x/q": 4},
        ("other", 2): {"x/q": 2, "x/p": 6, "y/p": 0},
        ("other", 3): {"x/p": 0, "x/q": 0},
    }
    for (row, seed), edits in given.items():
        folder = tmp_path / row / f"seed_{seed}"
        put_metrics(folder, test={"auc": 90.0 + seed, "auc_interval": [80.0 + seed, 99.0]})
        found = {key: [10, 0, count, 0] for key, count in edits.items()}
        (folder / "items.json").write_text(json.dumps(found))
    columns = [
        {"head": "x", "set": "x", "show": "rate"},
        {"head": "more", "set": "x", "show": "gain", "over": "base"},
        {"head": "AUC", "metric": "test.auc", "interval": True},
        {"head": "items", "set": "x", "show": "items"},
    ]
    put_metrics(tmp_path / "third" / "seed_1", test={"auc": 70.0, "auc_interval": [60.0, 80.0]})
    _, lines = cells(seeds, {"columns": columns, "rows": ["base", "other", "third"]})
    assert lines[2][1:] == ["", "", "70.0 [60.0, 80.0]", ""]  # has no items
    assert lines[0][1:] == ["45.0 ± 7.1", "", "91.5 ± 0.7 [81.0, 99.0]", "2"]
    # Both items have two edits fewer in seed 2, so no draw can give anything else.
    assert lines[1][2] == "+20.0 [+20.0, +20.0]"


def test_a_table_is_put_between_its_marks(capsys: pytest.CaptureFixture[str]) -> None:
    page = "Before.\n\n<!-- table: one -->\n\nold\n\n<!-- end -->\n\nAfter.\n"
    new = put(page, "one", "| new |")
    assert new == page.replace("old", "| new |")
    assert put(new, "one", "| new |") == new
    assert put(page, "two", "| new |") == page
    assert "two:\n\n| new |" in capsys.readouterr().out


# -- runs ------------------------------------------------------------------------------------------
def test_options_of_a_row_go_before_those_of_the_study() -> None:
    study_options = {"model": {"a.b": None, "c": [1, 2]}, "trainer": {"max_epochs": 3}}
    row_options = {"model": {"c": {"x": 1, "y": "z"}}, "seed_everything": "{seed}"}
    assert arguments(study_options, row_options) == (
        "--model.init_args.a.b=null",
        "--model.init_args.c={x: 1, y: z}",
        "--trainer.max_epochs=3",
        "--seed_everything={seed}",
    )


def test_rows_for_each_value_begin_with_the_run_of_their_seed(tmp_path: Path) -> None:
    rows = {
        "base": {"label": "base"},
        "{task}/tuned": {
            "label": "tuned",
            "each": {"task": ["signs", "letters"]},
            "after": ["base"],
            "options": {"model": {"initial": "{after0}/best.ckpt"}, "data": {"poses": "{task}"}},
        },
        "first": {"label": "first", "after": ["base@1"]},
    }
    own = study(tmp_path, rows=rows, repeats={"seed": [1, 2]}, configs=["one", "rows/{row}"])
    assert [*own.rows] == ["base", "signs/tuned", "letters/tuned", "first"]
    tuned = own.runs("letters/tuned")[2]
    assert tuned.options == (
        "--config=configs/none/one.yaml",
        "--config=configs/none/rows/letters/tuned.yaml",
        f"--output={tmp_path}/letters/tuned/seed_2",
        f"--model.init_args.initial={tmp_path}/base/seed_2/best.ckpt",
        "--data.init_args.poses=letters",
    )
    assert tuned.needs == (tmp_path / "base/seed_2",)
    assert own.runs("first")[2].needs == (tmp_path / "base/seed_1",)


def test_what_is_finished_is_not_run_again_and_time_ends_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[list[str]] = []
    monkeypatch.setattr("chereme.training.cli.main", begun.append)  # is cut off: no metrics.json
    rows = {name: {"label": name, "configs": []} for name in ("base", "third")}
    rows["other"] = {"label": "other", "configs": [], "after": ["third"]}
    own = study(tmp_path, rows=rows)
    put_metrics(tmp_path / "base")
    runner.run_all(own, ["base", "other", "third"], [0], minutes=95)
    assert len(begun) == 1
    assert begun[0][-1] in ("--trainer.max_time=00:01:34:59", "--trainer.max_time=00:01:35:00")
    said = capsys.readouterr().out
    assert "2 of 3" in said
    assert f"left out: {tmp_path / 'third'} is not trained" in said
    assert "cut off" in said
    last = tmp_path / "third" / "last.ckpt"
    last.parent.mkdir()
    torch.save({"callbacks": {"Timer": {"time_elapsed": {"train": 30.0}}}}, last)
    runner.run_all(own, ["third"], [0], minutes=None)
    assert begun[1][-1] == f"--resume={last}"
    runner.run_all(own, ["third"], [0], minutes=1)  # and the half before, for Lightning
    assert begun[2][-1] in ("--trainer.max_time=00:00:01:29", "--trainer.max_time=00:00:01:30")
    runner.run_all(own, ["third"], [0], minutes=0)
    assert len(begun) == 3
    assert "not begun" in capsys.readouterr().out


def test_commands_are_those_of_the_chosen_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    runner.main(["fingerspelling", "here", "--commands", "--rows", "rgb", "late_fusion"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3  # a fusion trains nothing
    assert all(line.startswith("chereme train --config=configs/") for line in lines)
    for wrong in (["none"], ["here", "--rows", "none"]):
        with pytest.raises(SystemExit):
            runner.main(["fingerspelling", *wrong])
    assert "--rows: none: not in the study here" in capsys.readouterr().err


@pytest.mark.parametrize("paper", ["fingerspelling", "hand_aware", "signbert", "signx"])
def test_the_page_has_the_columns_that_a_report_writes(paper: str) -> None:
    tables = Tables.load(paper)
    page = (ROOT / tables.page).read_text(encoding="utf-8")
    heads = dict(re.findall(r"<!-- table: (\S+) -->\n+(\|.*)\n", page))
    marks = re.findall(r"<!-- table: (\S+) -->", page)
    assert heads
    assert page.count("<!-- end -->") == len(marks)
    for name in marks:
        spec = tables.tables[name]
        found, lines = cells(tables.studies[spec["study"]], spec)
        assert all(len(line) == len(found) for line in lines)
        if name in heads:  # until a first report there is none
            assert [cell.strip() for cell in heads[name].strip("|").split("|")] == found


def test_what_a_repeat_needs_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(runner.subprocess, "run", made.append)
    path = f"{tmp_path}/lm_{{fold}}"
    folds = study(
        tmp_path, rows={}, repeats={"fold": [1, 2, 3]}, prepare={path: "chereme lm --fold {fold}"}
    )
    (tmp_path / "lm_2").touch()
    runner.run_all(folds, [], [2, 3], None)
    assert [command[1:] for command in made] == [["-m", "chereme", "lm", "--fold", "3"]]
