"""``chereme recognize``, ``evaluate`` and ``bench`` of models of isolated signs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import fake_signs
import fakes
from chereme.cli import app
from chereme.formats.poses import write_landmarks
from chereme.recognition import registry
from chereme.recognition.config import Abstention
from chereme.training.isolated_scoring import Predictions
from fake_signs import probabilities, signing

CLIPS = {
    "left": signing("xxxxxxxx", "........"),
    "right": signing("........", "xxxxxxxx"),
    "both": signing("xxxxxxxx", "xxxxxxxx"),
    "nobody": signing("........", "........"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, ``signs``, and clips."""
    folder = tmp_path_factory.mktemp("isolated")
    fake_signs.make_signs(folder / "signs")
    for name, seen in CLIPS.items():
        write_landmarks(seen, folder / f"{name}.npz")
    (folder / "broken.npz").write_text("this is a text")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return folder / "signs"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def ranked(left: float, right: float) -> list[tuple[str, float]]:
    return sorted(probabilities(left, right).items(), key=lambda pair: -pair[1])


# -- recognize ------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", [(), ("--task", "isolated")])
def test_one_input_prints_glosses_and_probabilities(folder: Path, model: Path, task) -> None:
    result = run("recognize", folder / "both.npz", "--model", model, *task)
    expected = "".join(f"{gloss}\t{share:.4f}\n" for gloss, share in ranked(1, 1))
    assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")
    best = run("recognize", folder / "both.npz", "--model", model, "--top", 1).stdout
    assert best == expected.splitlines()[0] + "\n"


def test_several_inputs_print_path_and_glosses(folder: Path, model: Path) -> None:
    left, broken, nobody = (folder / f"{n}.npz" for n in ("left", "broken", "nobody"))
    result = run("recognize", left, broken, nobody, "--model", model, "--top", 2)
    glosses = "\t".join(gloss for gloss, _ in ranked(1, 0)[:2])
    assert (result.exit_code, result.stdout) == (1, f"{left}\t{glosses}\n{nobody}\t\n")
    error, warning = result.stderr.splitlines()
    assert error.startswith("chereme: error: ")
    assert "broken.npz" in error
    assert warning.startswith(f"chereme: warning: {nobody}: no hand found in 8 frames")


def test_no_hand_is_an_empty_line(folder: Path, model: Path) -> None:
    result = run("recognize", folder / "nobody.npz", "--model", model)
    assert (result.exit_code, result.stdout) == (0, "\n")
    table = run("recognize", folder / "nobody.npz", "--model", model, "-f", "tsv").stdout
    assert table == "start\tend\ttext\tprobability\trank\n"
    read = json.loads(
        run("recognize", folder / "nobody.npz", "--model", model, "-f", "json").stdout
    )
    assert (read["text"], read["tokens"], read["alternatives"]) == ("", [], [])
    assert read["warnings"]


# -- no answer ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def doubting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, which answers nothing below a probability that the left hand alone has not."""
    folder = tmp_path_factory.mktemp("doubting") / "signs"
    assert probabilities(1, 0)["LEFT"] < 0.94 < probabilities(0, 1)["RIGHT"]
    how = Abstention(min_probability=0.94)
    return fake_signs.make_signs(folder, abstention=how).directory


def test_without_an_answer_the_text_is_empty_in_every_form(folder: Path, doubting: Path) -> None:
    left, both = folder / "left.npz", folder / "both.npz"
    result = run("recognize", left, "--model", doubting)
    assert (result.exit_code, result.stdout) == (0, "\n")
    assert "no sign that the model knows, or none clearly: the likeliest, 'LEFT'" in result.stderr
    several = run("recognize", left, both, "--model", doubting, "--top", 1)
    assert several.stdout == f"{left}\t\n{both}\tBOTH\n"
    table = run("recognize", left, "--model", doubting, "-f", "tsv").stdout
    assert table == "start\tend\ttext\tprobability\trank\n"
    read = json.loads(run("recognize", left, "--model", doubting, "-f", "json").stdout)
    assert (read["text"], read["alternatives"][0]["text"]) == ("", "LEFT")
    assert "--min-probability" in read["warnings"][0]
    always = run("recognize", left, "--model", doubting, "--min-probability", "0", "--top", 1)
    assert always.stdout.startswith("LEFT\t")
    assert always.stderr == ""


def test_the_threshold_is_of_single_signs(folder: Path, model: Path, tmp_path: Path) -> None:
    letters = fakes.make_bundle(tmp_path / "letters").directory
    for verb in (("recognize", folder / "both.npz"), ("evaluate", "--data", tmp_path / "no.csv")):
        (tmp_path / "no.csv").write_text(f"path,label\n{folder / 'both.npz'},a\n")
        result = run(*verb, "--model", letters, "--min-probability", "0.5")
        assert (result.exit_code, "--min-probability is of single signs" in result.stderr) == (2, 1)
    wrong = run("recognize", folder / "both.npz", "--model", model, "--min-probability", "2")
    assert wrong.exit_code == 2


def test_evaluation_counts_what_is_not_answered(folder: Path, doubting: Path) -> None:
    (folder / "doubts.csv").write_text(
        "path,label,id\n"
        "both.npz,BOTH,1\n"  # right
        "both.npz,RIGHT,2\n"  # wrong
        "left.npz,LEFT,3\n"  # not answered: wrong
        "left.npz,NEITHER,4\n"  # not answered, and not known: right
        "left.npz,,5\n"  # not answered, and nothing to be known: right
        "right.npz,,6\n"  # answered: wrong
        "nobody.npz,,7\n"  # no hand, and nothing to be known: right
    )
    given = ("evaluate", "--model", doubting, "--data", folder / "doubts.csv")
    score = json.loads(run(*given, "-f", "json").stdout)
    assert (score["items"], score["items_read"], score["items_unlabelled"]) == (7, 7, 3)
    assert (score["items_abstained"], score["items_empty"]) == (3, 1)
    assert score["answered"] == pytest.approx(100 * 3 / 7, abs=0.01)
    assert score["accuracy"] == pytest.approx(100 * 4 / 7, abs=0.01)
    assert score["accuracy_answered"] == pytest.approx(100 * 1 / 3, abs=0.01)
    assert score["false_rejections"] == pytest.approx(100 * 1 / 3, abs=0.01)
    assert score["false_acceptances"] == pytest.approx(100 * 1 / 4, abs=0.01)
    # What is ranked first does not depend on the threshold.
    assert score["top1"] == pytest.approx(100 * 2 / 4)
    table = run(*given).stdout
    assert "answered         42.9 % of all items, from a probability of" in table
    assert "LEFT read as nothing: 1" in table
    always = json.loads(run(*given, "-f", "json", "--min-probability", "0").stdout)
    assert (always["items_read"], always["items_abstained"]) == (4, 0)
    assert always["top1"] == score["top1"]


def test_json_and_tsv(folder: Path, model: Path) -> None:
    one = run("recognize", folder / "right.npz", "--model", model, "-f", "json", "--top", 2)
    read = json.loads(one.stdout)
    assert (read["text"], read["source"]) == ("RIGHT", str(folder / "right.npz"))
    assert [g["text"] for g in read["alternatives"]] == [gloss for gloss, _ in ranked(0, 1)[:2]]
    shares = [g["probability"] for g in read["alternatives"]]
    assert shares == pytest.approx([share for _, share in ranked(0, 1)[:2]], abs=1e-6)
    (sign,) = read["tokens"]
    assert (sign["text"], sign["start"], sign["end"]) == ("RIGHT", 0.0, pytest.approx(0.28))
    several = run(
        "recognize", folder / "left.npz", folder / "right.npz", "--model", model, "-f", "json"
    )
    assert [json.loads(line)["text"] for line in several.stdout.splitlines()] == ["LEFT", "RIGHT"]
    table = run(
        "recognize", folder / "right.npz", "--model", model, "-f", "tsv"
    ).stdout.splitlines()
    assert table[1] == f"0.000\t0.280\tRIGHT\t{ranked(0, 1)[0][1]:.4f}\t1"
    assert len(table) == 4


def test_files_are_written(folder: Path, model: Path, tmp_path: Path) -> None:
    both, left = folder / "both.npz", folder / "left.npz"
    result = run("recognize", both, left, "--model", model, "-f", "tsv", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["both.tsv", "left.tsv"]
    assert "\tLEFT\t" in (tmp_path / "out" / "left.tsv").read_text().splitlines()[1]
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--greedy",), "--greedy is of letters and continuous signing"),
        (("--no-lm",), "--no-lm is of letters"),
        (("--beam-width", "3"), "--beam-width is of letters"),
        (("--overlay", "film.mp4"), "--overlay is of letters"),
        (("--stream", "rgb"), "reads landmarks, not rgb"),
        (("--task", "fingerspelling"), "is for isolated, not for fingerspelling"),
        (("--top", "0"), "--top"),
        (("--threads", "0"), "threads: expected 1 or more"),
    ],
)
def test_options_that_make_no_sense_are_exit_code_2(folder, model, options, message) -> None:
    result = run("recognize", folder / "both.npz", "--model", model, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_without_a_model_the_bundled_one_reads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    name = registry.family_for("isolated")
    fake_signs.make_signs(tmp_path / name, name=name)
    given = folder / "left.npz"
    result = run("recognize", given, "--task", "isolated", "--top", "1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == run("recognize", given, "--model", name, "--top", "1").stdout
    assert result.stdout.startswith("LEFT\t")


def test_a_model_that_was_tampered_with_is_one_line(folder: Path, model: Path, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    (copy / "classifier.onnx").write_bytes((copy / "classifier.onnx").read_bytes() + b"\0")
    result = run("recognize", folder / "both.npz", "--model", copy)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "classifier.onnx has changed" in result.stderr
    assert len(result.stderr.splitlines()) == 1


# -- evaluate -------------------------------------------------------------------------------------
@pytest.fixture
def manifest(folder: Path) -> Path:
    """Six items that can be read, of which three are right and one is of an unknown gloss."""
    path = folder / "data.csv"
    path.write_text(
        "path,label,id,signer,split\n"
        "left.npz,LEFT,1,one,test\n"
        "right.npz,RIGHT,2,one,test\n"
        "both.npz,BOTH,3,one,test\n"
        "both.npz,LEFT,4,two,test\n"  # wrong, yet second
        "nobody.npz,RIGHT,5,two,test\n"  # no hand: wrong
        "left.npz,NEITHER,6,two,test\n"  # unknown: wrong
        "left.npz,,7,two,test\n"  # no label: left out
        "left.npz,LEFT,8,three,train\n",
        encoding="utf-8",
    )
    return path


def test_scores_that_can_be_worked_out(manifest: Path, model: Path, tmp_path: Path) -> None:
    lines = tmp_path / "read.jsonl"
    result = run(
        "evaluate", "--model", model, "--data", manifest, "--split", "test", "--format", "json",
        "--predictions", lines,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    score = json.loads(result.stdout)
    assert (score["task"], score["model"], score["stream"]) == (
        "isolated", "fake signs", "landmarks",
    )  # fmt: skip
    assert (score["items"], score["items_read"], score["items_unlabelled"]) == (7, 6, 1)
    assert (score["items_empty"], score["items_unknown"]) == (1, 1)
    assert score["unknown_glosses"] == {"NEITHER": 1}
    assert (score["glosses"], score["model_glosses"]) == (4, 3)
    assert score["top1"] == pytest.approx(100 * 3 / 6)
    assert score["top2"] == score["top5"] == pytest.approx(100 * 4 / 6, abs=0.01)
    # Of BOTH all, of LEFT and RIGHT one of two, of NEITHER none; then LEFT wholly.
    assert score["top1_class"] == pytest.approx(100 * (1 + 0.5 + 0.5 + 0) / 4)
    assert score["top2_class"] == pytest.approx(100 * (1 + 1 + 0.5 + 0) / 4)
    assert score["interval_over"] == "signers"
    # All of signer one, nothing of signer two, or of each half.
    assert score["top1_interval"] == [0.0, 100.0]
    assert score["per_signer"] == {
        "one": {"items": 3, "top1": 100.0},
        "two": {"items": 3, "top1": 0.0},
    }
    assert score["per_gloss"]["LEFT"] == {"count": 2, "top1": 50.0}
    assert score["confusion"] == [
        {"label": "LEFT", "read": "BOTH", "count": 1},
        {"label": "NEITHER", "read": "LEFT", "count": 1},
        {"label": "RIGHT", "read": None, "count": 1},
    ]
    assert len(score["sha256"]) == 64
    assert "1 items are of 1 glosses that the model does not know (NEITHER)" in result.stderr
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [p["rank"] for p in read] == [1, 1, 1, 2, None, None]
    assert [p["text"] for p in read] == ["LEFT", "RIGHT", "BOTH", "BOTH", "", "LEFT"]
    assert dict(read[0]["alternatives"]) == pytest.approx(probabilities(1, 0), abs=1e-6)
    assert read[4]["warnings"][0].startswith("no hand found")


def test_the_table_says_the_same(manifest: Path, model: Path) -> None:
    text = run("evaluate", "--model", model, "--data", manifest, "--split", "test").stdout
    assert "items            6 of 7 read, 1 without a hand" in text
    assert "NEITHER: 1 items, counted as read wrongly" in text
    assert "top-1            50.0 % (0.0 to 100.0)" in text
    assert "RIGHT read as no hand: 1" in text
    assert "signer one: top-1 100.0 % of 3 items" in text


OTHER = {"RIGHT": (-9.0, 9.0, 0.0), "LEFT": (9.0, -9.0, 0.0), "BOTH": (0.0, 0.0, 0.0)}


def test_predictions_of_several_models_are_added_up(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    """The other model, whose glosses are in another order, is sure that both hands are no BOTH."""
    fake_signs.make_signs(tmp_path / "other", OTHER, name="other")
    lines = tmp_path / "read.jsonl"
    result = run(
        "evaluate", "--fuse", model, tmp_path / "other", "--data", manifest, "--split", "test",
        "-f", "json", "--predictions", lines,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    score = json.loads(result.stdout)
    assert score["model"] == "fake signs+other"
    assert [m["name"] for m in score["models"]] == ["fake signs", "other"]
    one, two = probabilities(1, 0), probabilities(1, 0, OTHER)
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    expected = {gloss: (one[gloss] + two[gloss]) / 2 for gloss in one}
    assert dict(read[0]["alternatives"]) == pytest.approx(expected, abs=1e-6)


def test_predictions_of_trainings_are_added_up_without_recordings(tmp_path: Path) -> None:
    for name, logits in (("hand", [[2.0, 1], [2, 1]]), ("rgb", [[1, 1], [1, 3]])):
        said = Predictions(
            ("1", "2"), ("a", "b"), ("", ""), ("a", "b"), np.array(logits), ("", "confusing")
        )
        said.save(tmp_path / f"{name}.npz")
    files = [tmp_path / "hand.npz", tmp_path / "rgb.npz"]
    result = run("evaluate", "--fuse", *files, "-f", "json")
    assert result.exit_code == 0, result.stderr
    score = json.loads(result.stdout)
    assert (score["top1"], score["subsets"]["confusing"]["top1"]) == (100.0, 100.0)
    assert [score["parts"][str(file)]["top1"] for file in files] == [50.0, 50.0]
    lines = run("evaluate", "--fuse", *files).stdout.splitlines()
    assert lines[0].startswith(f"{files[0]}: top-1 50.00 (50.00)")
    assert lines[-1].startswith("together, confusing: top-1 100.00 (100.00)")
    wrong = {
        (*files, "--data", "a.csv"): (2, "leave it out"),
        (files[0], tmp_path / "none.npz"): (1, "expected the predictions of a recogniser"),
        (files[0],): (2, "expected two models or more"),
    }
    for options, (code, message) in wrong.items():
        result = run("evaluate", "--fuse", *options)
        assert (result.exit_code, result.stdout) == (code, "")
        assert message in result.stderr
    result = run("evaluate")
    assert (result.exit_code, "--data: expected the manifest" in result.stderr) == (2, True)


def test_fusing_what_does_not_belong_together(folder, manifest, model, tmp_path) -> None:
    fake_signs.make_signs(tmp_path / "two", {"LEFT": (1, 0, 0), "UP": (0, 1, 0)}, name="two")
    letters = fakes.make_bundle(tmp_path / "letters").directory
    wrong = {
        ("--fuse", model, tmp_path / "two"): (2, "expected the same glosses"),
        ("--fuse", model, letters): (1, "expected a model for isolated signing"),
        ("--fuse", model): (2, "expected two models or more"),
        ("--fuse", model, model, "--model", model): (2, "leave out --model"),
        (model, model): (2, "give --fuse A B"),
        ("--model", model, "--greedy"): (2, "--greedy is of letters"),
        ("--model", model, "--stream", "fused"): (2, "reads landmarks, not fused"),
    }
    for options, (code, message) in wrong.items():
        result = run("evaluate", *options, "--data", manifest)
        assert (result.exit_code, result.stdout) == (code, ""), options
        assert message in result.stderr


# -- bench ----------------------------------------------------------------------------------------
def test_bench_measures_the_network_of_a_clip(model: Path) -> None:
    result = run("bench", "--frames", "12", "--model", model, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert 0 < found["parts"]["clip"]["ms"] < 1000
    assert found["parts"]["clip"]["frames"] == fake_signs.FRAMES
    assert found["stages"].keys() == {"decode", "detection", "network", "whole"}
    assert found["model"]["name"] == "fake signs"
    table = run("bench", "--frames", "12", "--model", model).stdout
    assert "clip " in table
    assert "beam" not in table
