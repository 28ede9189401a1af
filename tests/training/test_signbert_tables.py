"""Data, runs and page of SignBERT's tables on what is here."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chereme.datasets.exemplars import Exemplars
from chereme.datasets.pose_clips import PoseCorpus
from chereme.systems.signbert.task import IsolatedTask, SignBertPretrainTask
from chereme.training.cli import TrainingCLI
from chereme.training.cli import main as train

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    f"--model.init_args.config.encoder.{name}"
    for name in ("gesture.widths=[4,8]", "dim=8", "heads=2", "feed_forward=8", "layers=1")
]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``signbert_tables``, ``signbert_runs``, ``signbert_plans`` and ``signbert_scores``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(ROOT)
    names = [f"signbert_{name}" for name in ("tables", "runs", "plans", "scores")]
    yield [importlib.import_module(name) for name in names]
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def tables(modules: Any) -> Any:
    return modules[0]


@pytest.fixture
def runs_module(modules: Any) -> Any:
    return modules[1]


@pytest.fixture
def planned(modules: Any) -> Any:
    return modules[2]


@pytest.fixture
def scores(modules: Any) -> Any:
    return modules[3]


@pytest.fixture
def exemplars() -> Exemplars:
    """Photographs of two letters by four people, three detections of each, and a recording."""
    rows = [
        (letter, signer, 10 * number + turn)
        for number, signer in enumerate(("hand1", "hand3", "hand4", "wild"))
        for turn, letter in enumerate("ab")
        for _ in range(3)
    ]
    rows += [(letter, "recording", 100 + i) for letter in "ab" for i in range(13)]
    rows += [("j", "hand1", 300), ("", "hand2", 301)]
    label, signer, picture = (np.array(column) for column in zip(*rows, strict=True))
    points = np.random.default_rng(0).normal(100, 20, (len(rows), 21, 3))
    points[:, 0, 0] = np.arange(len(rows))  # tells them apart
    none = np.zeros((0, 24, 21, 3))
    return Exemplars(points, label, signer, picture, none, np.array([], str), np.array([], str))


def test_letters_are_clips_of_one_photograph_or_of_frames_in_a_row(runs_module, exemplars) -> None:
    clips = {clip.entry.id: clip for clip in runs_module.letter_clips(exemplars)}
    found = Counter((clip.entry.split, clip.entry.signer) for clip in clips.values())
    assert found == {
        ("train", "hand1"): 2,
        ("dev", "hand3"): 2,
        ("test", "hand4"): 2,
        ("test", ""): 2,  # in the wild, of nobody knows how many people
        ("test", "recording"): 4,  # 13 frames are two clips of six
    }
    for name, clip in clips.items():
        which = clip.joints[:, 1, 0, 0].astype(int)
        assert clip.joints.shape == (6, 2, 21, 2)
        assert not clip.confidence[:, 0].any()
        assert (clip.confidence[:, 1] == 1).all()
        assert set(exemplars.label[which]) == {clip.entry.label}
        if name.startswith("recording"):
            np.testing.assert_array_equal(np.diff(which), 1)
        else:
            assert len(set(which)) == 3
            assert len(set(exemplars.picture[which])) == 1


def test_every_row_is_planned_once_and_its_command_builds(tables, planned, tmp_path: Path) -> None:
    clips = {"unlabelled": 6000, "signs": 1000, "letters": 1218}
    setting = planned.Setting(tmp_path / "data", clips, tmp_path / "runs")
    made = planned.plans(setting, (1, 2))
    assert len({plan.folder for plan in made}) == len(made)
    done: set[Path] = set()
    for plan in made:
        assert done.issuperset(plan.needs), f"{plan.name} needs what is trained after it"
        done.add(plan.folder)
    names = {plan.name for plan in made}
    pages = {*tables.PAPER_RECONSTRUCTION, *tables.PAPER_TOP_1} - {"scratch", "table_6/n5"}
    trained = {
        name.removeprefix(planned.SHORT).removeprefix(planned.LONG)
        for name in names
        if "labels" not in name
    }
    assert {planned.SAME.get(row, row) for row in pages} == trained
    chosen = [plan for plan in made if plan.folder.name == "seed_2" and not plan.needs]
    chosen += [planned.pretraining(setting, row, 2) for row in planned.LONGER]
    for plan in chosen:
        cli = TrainingCLI(
            subclass_mode_model=True,
            subclass_mode_data=True,
            run=False,
            args=[*plan.options, *TINY, "--trainer.logger=false"],
        )
        data = cli.datamodule
        single = plan.name in planned.TABLE_1
        if "labels" in plan.name:
            assert isinstance(cli.model, IsolatedTask)
            task, labels, _ = plan.name.split("/", 2)
            share = int(labels.removeprefix("labels_")) / 100
            available, steps = clips[task] * share, setting.budget.recognition
            assert (data.share, data.share_seed) == (share, 2)
        else:
            assert isinstance(cli.model, SignBertPretrainTask)
            available, steps = sum(clips.values()), setting.budget.pretraining
            assert (data.share, data.frames) == (1.0, 1 if single else 8)
            steps = setting.budget.single if single else steps
            steps = setting.budget.ablation if plan.name.startswith(planned.SHORT) else steps
            steps = setting.budget.long if plan.name.startswith(planned.LONG) else steps
        assert data.seed == 2
        # As many steps as every other row, whatever the number of clips.
        an_epoch = min(data.steps_per_epoch, available // data.batch_size)
        assert an_epoch * cli.trainer.max_epochs == pytest.approx(steps, rel=0.1)
        assert cli.trainer.max_epochs == planned.CHECKS * cli.trainer.check_val_every_n_epoch


def test_recognition_begins_with_the_pretraining_of_its_seed(planned, tmp_path: Path) -> None:
    setting = planned.Setting(
        tmp_path, {"unlabelled": 600, "signs": 100, "letters": 100}, tmp_path / "runs"
    )
    begins: dict[str, set[tuple[str, str]]] = {}
    for plan in planned.plans(setting, (1, 2, 3)):
        if plan.needs:
            (start,) = plan.needs
            assert plan.folder.parent.name == f"from_{start.name.removeprefix('seed_')}"
            begins.setdefault(plan.name, set()).add((plan.folder.name, start.name))
        else:
            assert plan.folder.parent == setting.output / plan.name
    own = {(f"seed_{seed}",) * 2 for seed in (1, 2, 3)}
    first = {(f"seed_{seed}", "seed_1") for seed in (1, 2, 3)}
    for name, found in begins.items():
        if planned.SHORT not in name and name.endswith(planned.FULL):
            assert found == first
        elif planned.SHORT not in name and name.endswith(planned.BASE):
            assert found == own | first
        else:
            assert found == own


def test_rows_compared_differ_in_their_start_alone(planned, tmp_path: Path) -> None:
    setting = planned.Setting(tmp_path, {"signs": 1000}, tmp_path / "runs")

    def options(start: str) -> set[str]:
        plan = planned.recognition(setting, "signs", 10, start, 3, 1)
        return {o for o in plan.options if not o.startswith(("--output", "configs"))}

    initial = f"--model.init_args.initial={tmp_path}/runs/table_4/both/seed_1/best.ckpt"
    assert options("table_4/both") - options("scratch") == {initial}
    assert options("scratch") <= options("table_4/both")
    probe = options("table_4/both+probe")
    assert probe - options("table_4/both") == {"--model.init_args.freeze=true"}


# -- the page -------------------------------------------------------------------------------------
def ranked(first: int, of: int, signers: int = 5) -> dict[str, list[Any]]:
    """``first`` of so many clips are read right."""
    return {f"c{i}": [1 if i < first else 2, f"s{i % signers}"] for i in range(of)}


def put(folder: Path, name: str, found: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(found))


def cells(lines: list[str], start: str) -> list[str]:
    line = next(line for line in lines if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_recognition_is_compared_seed_by_seed(tables, tmp_path: Path) -> None:
    labels = tmp_path / "signs" / "labels_10"
    for seed, (scratch, tuned) in enumerate(((4, 6), (5, 8)), 1):
        put(labels / f"scratch/seed_{seed}", "ranks.json", ranked(scratch, 10))
        put(labels / f"table_4/both/from_{seed}/seed_{seed}", "ranks.json", ranked(tuned, 10))
        put(labels / f"scratch/seed_{seed}", "metrics.json", {"training_clips": 100})
    put(labels / "table_4/both/from_3/seed_3", "ranks.json", ranked(10, 10))  # nothing beside it
    put(labels / "table_4/both/from_1/seed_2", "ranks.json", ranked(3, 10))
    row = cells(tables.starts(tmp_path, tables.TESTS[0]), "10 %")
    assert row[:3] == ["10 %", "100", "10"]
    assert row[3] == "45.00 ± 7.07"
    assert row[4].startswith("80.00 ± 20.00")
    assert row[5] == "not run"
    assert row[6].startswith("+25.00 [")
    assert row[7] == "2/3/0"
    low, high = (float(x) for x in re.findall(r"[+-][\d.]+", row[6])[1:])
    assert 0 <= low < 25 < high
    # Beside it, seeds 1 and 2 from the first pre-training.
    row = cells(tables.begins(tmp_path), f"{tables.TESTS[0].title}, 10 %")
    assert row[1].startswith("80.00 ± 20.00")
    assert row[2] == "45.00 ± 21.21"
    assert row[3].startswith("+25.00 [")
    assert row[4] == "3/2"


def test_whole_ablations_are_of_one_pretraining(tables, tmp_path: Path) -> None:
    labels = tmp_path / "signs" / "labels_25"
    for seed, right in ((1, 6), (2, 8)):
        put(labels / f"scratch/seed_{seed}", "ranks.json", ranked(4, 10))
        put(labels / f"table_5/fc1/from_1/seed_{seed}", "ranks.json", ranked(right, 10))
        put(labels / f"short/table_5/fc1/from_{seed}/seed_{seed}", "ranks.json", ranked(5, 10))
    put(labels / "table_5/fc1/from_2/seed_2", "ranks.json", ranked(0, 10))
    rows = ("scratch", "table_5/fc1")
    whole = cells(tables.ablation(tmp_path, rows, pretrained=1), "[1-layer fc]")
    assert whole[5] == "70.00 ± 14.14"
    assert whole[6].startswith("+30.00")
    short = cells(tables.ablation(tmp_path, rows), "[1-layer fc]")
    assert short[5] == "50.00 ± 0.00"
    assert (whole[7], short[7]) == ("2", "2")


def test_a_gain_of_every_clip_alike_is_certain(scores) -> None:
    runs, base = {"seed_1": ranked(10, 10)}, {"seed_1": ranked(0, 10)}
    clips = scores.TESTS[0]
    assert scores.gain(runs, base, clips) == "+100.00 [+100.00, +100.00]"
    assert scores.gain(base, base, clips) == "+0.00 [+0.00, +0.00]"
    assert scores.gain({"seed_2": ranked(1, 10)}, base, clips) == ""


def test_kinds_of_letters_are_told_apart(scores) -> None:
    found = {
        "hand4-a-00001-000": (1, "hand4"),
        "wild-a-00002-000": (2, ""),
        "recording-a-00003-001": (1, "recording"),
    }
    of = [scores.hits(found, clips) for clips in scores.TESTS[1:]]
    assert [list(kind.values()) for kind in of] == [[True], [False], [True]]
    assert len({name for kind in of for name in kind}) == 3


def test_reconstruction_of_one_run_is_in_all_tables_that_have_it(tables, tmp_path: Path) -> None:
    for seed, value in ((1, 90.0), (2, 92.0)):
        test = {"input_pck20": 80.5, "pck20": value, "input_auc": 81.0, "auc": 95.0, "clips": 7}
        test |= {"pck20_interval": [value - 1, value + 1], "auc_interval": [94.0, 96.0]}
        test |= {"masked_input_pck20": 10.0, "masked_pck20": value - 9, "masked_auc": None}
        test |= {"masked_pck20_interval": [value - 10, value - 8]}
        metrics = {"test": test | {"tokens": 70}, "device": "a machine", "steps": 4000}
        put(tmp_path / f"table_4/both/seed_{seed}", "metrics.json", metrics)
    row = cells(tables.reconstruction(tmp_path, ("table_2/joint", "table_2/both")), "[both]")
    assert row[1:4] == [
        "81.43, 82.32 → 95.14, 95.48",
        "80.50 ± 0.00",
        "91.00 ± 1.41 [89.0, 93.0]",
    ]
    assert row[6:] == ["10.0 → 82.00 ± 1.41 [80.0, 84.0]", "-", "2"]
    page = tables.document(tmp_path)
    assert page.count("91.00 ± 1.41") == 1  # rows of ablations are runs of their own
    assert "Machine: a machine" in page
    for block in re.findall(r"(?:^\|.*\n)+", page, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_links_and_papers_figures_are_those_of_the_configs(tables, planned, tmp_path: Path) -> None:
    page = tables.document(tmp_path)
    for link in re.findall(r"\]\(\.\./([^)]+)\)", page):
        assert (ROOT / link).is_file()
    configs = ROOT / planned.CONFIGS
    for row, figures in tables.PAPER_RECONSTRUCTION.items():
        said = (configs / f"{row}.yaml").read_text().replace("\n# ", " ")
        assert all(f"{figure:.2f}" in said for figure in figures)
    for row, top1 in tables.PAPER_TOP_1.items():
        assert f"{top1:.2f} top-1 on MSASL100" in (configs / f"{row}.yaml").read_text().replace(
            "\n# ", " "
        )


def test_the_page_is_what_the_script_writes(tables, tmp_path: Path) -> None:
    tables.main(["--runs", str(tmp_path / "none"), "--output", str(tmp_path / "page.md")])

    def fixed(text: str) -> list[str]:
        """Runs fill cells; the rows are the same."""
        return [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]

    page = (ROOT / "docs" / "results_signbert.md").read_text()
    assert fixed((tmp_path / "page.md").read_text()) == fixed(page)


def test_what_was_written_by_hand_stays(tables, tmp_path: Path) -> None:
    page, given = tmp_path / "page.md", ["--runs", str(tmp_path), "--output"]
    tables.main([*given, str(page)])
    first = page.read_text()
    page.write_text(first.replace("Nothing has been said yet.", "It helps.\n\n- Here.\n"))
    tables.main([*given, str(page)])
    assert f"{tables.WORDS}\n\nIt helps.\n\n- Here.\n\n## One network" in page.read_text()
    assert page.read_text().replace("It helps.\n\n- Here.", "Nothing has been said yet.") == first


# -- runs ------------------------------------------------------------------------------------------
def test_what_is_finished_is_not_run_again(
    modules: Any, exemplars: Exemplars, tmp_path: Path, monkeypatch, capsys
) -> None:
    tables, runs, planned, _ = modules
    exemplars.save(tmp_path / "exemplars.npz")
    sizes = runs.Sizes(glosses=2, train=3, dev=3, test=3, true=4, unlabelled=10, others=2)
    monkeypatch.setattr(runs, "make_data", partial(runs.make_data, sizes=sizes))
    setting = planned.Setting
    short = planned.Budget(5, 5, 5, 5, 5)
    monkeypatch.setattr(tables, "Setting", lambda *given: setting(*given, budget=short))
    begun: list[str] = []

    def counted(options: list[str]) -> None:
        begun.append(next(o for o in options if o.startswith("--output=")))
        train([*options, *TINY])

    monkeypatch.setattr(runs, "train", counted)
    given = [
        *("--run", "--seeds", "1", "--data", str(tmp_path / "data")),
        *("--exemplars", str(tmp_path / "exemplars.npz"), "--runs", str(tmp_path / "runs")),
        *("--output", str(tmp_path / "page.md"), "--rows", "table_4/both"),
    ]
    tables.main([*given, "letters/labels_100/table_4/both"])
    assert len(begun) == 2
    splits = Counter(e.split for e in PoseCorpus(tmp_path / "data" / "signs").entries)
    assert splits == {"train": 6, "dev": 6, "test": 6}
    folder = tmp_path / "runs" / "letters" / "labels_100" / "table_4" / "both" / "from_1" / "seed_1"
    found = json.loads((folder / "ranks.json").read_text())
    assert len(found) == 8
    assert {place for place, _ in found.values()} <= {1, 2}
    top1 = json.loads((folder / "metrics.json").read_text())["test"]["top1"]
    assert top1 == pytest.approx(100 * np.mean([place == 1 for place, _ in found.values()]))
    tables.main([*given, "letters/labels_100/table_4/both", "signs/labels_25/short/table_5/fc1"])
    assert len(begun) == 2
    assert "signs/labels_25/short/table_5/fc1/from_1/seed_1: left out" in capsys.readouterr().out
    assert "| 100 % |" in (tmp_path / "page.md").read_text()
    with pytest.raises(SystemExit):
        tables.main([*given, "table_9/none"])
    assert "table_9/none: no such run" in capsys.readouterr().err
