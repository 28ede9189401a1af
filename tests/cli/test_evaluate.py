"""``chereme evaluate``: scores that can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import fakes
from chereme.cli import app
from chereme.formats.poses import write_landmarks


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bundles") / "fake"
    fakes.make_bundle(folder)
    return str(folder)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    for text in ("vail", "dab", "lid"):
        write_landmarks(fakes.spell(text), tmp_path / f"{text}.npz")
    # Of 4 + 3 + 3 letters: 'vail' right, 'dab' for 'dad' (a substitution), 'lid' for 'Li' (an
    # insertion). 'x y' is not in the model's alphabet but for nothing: it is left out of the label.
    (tmp_path / "data.csv").write_text(
        "path,label,signer,split\n"
        "vail.npz,Vail,one,test\n"
        "dab.npz,dad,two,test\n"
        "lid.npz,li,two,test\n"
        "dab.npz,dab,three,train\n".replace("dab.npz,dab,three", "./dab.npz,dab,three"),
        encoding="utf-8",
    )
    return tmp_path / "data.csv"


@pytest.mark.parametrize("name", ["dev", "val", "Validation"])
def test_a_split_by_any_of_its_names(manifest: Path, model: str, name: str) -> None:
    manifest.write_text(manifest.read_text().replace(",test\n", ",valid\n"))
    result = run("--model", model, "--data", manifest, "--split", name, "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["split"] == "dev"


def test_a_name_of_no_split(manifest: Path, model: str) -> None:
    result = run("--model", model, "--data", manifest, "--split", "some")
    assert result.exit_code == 2
    assert "--split: expected train, dev (val, validation) or test, got 'some'" in result.stderr


def test_scores_of_a_split(manifest: Path, model: str, tmp_path: Path) -> None:
    lines = tmp_path / "read.jsonl"
    result = run(
        "--model", model, "--data", manifest, "--split", "test", "--format", "json",
        "--predictions", lines,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    score = json.loads(result.stdout)
    assert (score["items"], score["items_read"], score["letters"]) == (3, 3, 9)
    assert (score["substitutions"], score["deletions"], score["insertions"]) == (1, 0, 1)
    assert score["letter_accuracy"] == pytest.approx(100 * 7 / 9, abs=0.01)
    assert score["letter_accuracy_unit"] == pytest.approx(100 * 7 / 9, abs=0.01)
    assert score["cer"] == pytest.approx(100 * 2 / 9, abs=0.01)
    assert score["exact_match"] == pytest.approx(100 / 3, abs=0.01)
    assert score["per_signer"]["one"]["letter_accuracy"] == 100.0
    assert score["per_signer"]["two"]["letter_accuracy"] == pytest.approx(60.0)
    low, high = score["letter_accuracy_interval"]
    assert low == pytest.approx(60.0)
    assert high == pytest.approx(100.0)
    assert score["interval_over"] == "signers"
    assert score["per_letter"]["d"] == {"count": 2, "recall": 50.0}
    assert len(score["sha256"]) == 64
    assert score["stream"] == "landmarks"
    assert score["models"] == [{"input": "landmarks", "name": "fake", "sha256": score["sha256"]}]
    assert score["items_by_stream"] == {"landmarks": 3}
    assert score["versions"]["onnxruntime"]
    predictions = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [p["text"] for p in predictions] == ["vail", "dab", "lid"]
    assert {p["stream"] for p in predictions} == {"landmarks"}
    assert [p["reference"] for p in predictions] == ["vail", "dad", "li"]


def test_greedy_and_no_lm_are_told(manifest: Path, model: str) -> None:
    def decoding(*options: str) -> dict:
        result = run("--model", model, "--data", manifest, "--format", "json", *options)
        return json.loads(result.stdout)["decoding"]

    assert decoding("--greedy") == {"method": "greedy"}
    assert decoding("--no-lm")["method"] == "beam"


def test_the_table_says_the_same(manifest: Path, model: str) -> None:
    text = run("--model", model, "--data", manifest, "--split", "test").stdout
    assert "letter accuracy  77.8 %" in text
    assert "3 of 3 read" in text
    assert "stream           landmarks (3 by landmarks)" in text


def test_a_stream_against_the_model(manifest: Path, model: str) -> None:
    result = run("--model", model, "--data", manifest, "--stream", "fused")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the stream fused needs one that reads rgb" in result.stderr


def test_characters_that_the_model_cannot_write_are_named(manifest: Path, model: str) -> None:
    # The model writes a, b, d, i, l, v. Each 2 and E is a letter that was not read.
    manifest.write_text(
        "path,label,id\nvail.npz,Va\N{LATIN SMALL LETTER I WITH ACUTE} l2,1\ndab.npz,2dabE,2\n"
        "lid.npz,lid,3\nlid.npz,\N{CJK UNIFIED IDEOGRAPH-4F60},4\n",
        encoding="utf-8",
    )
    result = run("--model", model, "--data", manifest, "--format", "json")
    score = json.loads(result.stdout)
    assert score["items_with_unknown"] == 3
    assert score["unknown_characters"] == {"2": 2, "e": 1, "\N{CJK UNIFIED IDEOGRAPH-4F60}": 1}
    assert (score["letters"], score["exact_match"]) == (14, 25.0)
    assert (score["deletions"], score["substitutions"], score["insertions"]) == (3, 1, 2)
    assert "labels of 3 items have characters that the model cannot write" in result.stderr
    assert "unknown        '2', 'e'" in run("--model", model, "--data", manifest).stdout


def test_a_path_that_cannot_be_is_left_out_and_named(manifest: Path, model: str) -> None:
    bad = "".join(f"{name},dab,,test\n" for name in ("x" * 5000 + ".mp4", "y" * 5000, "a\0.npz"))
    manifest.write_text(manifest.read_text() + bad)
    result = run("--model", model, "--data", manifest, "--split", "test", "--format", "json")
    assert result.exit_code == 1, result.exception
    score = json.loads(result.stdout)
    assert (score["items"], score["items_read"], score["letters"]) == (6, 3, 9)
    assert [len(row["id"]) for row in score["unreadable"]] == [5004, 5000, 6]
    assert "xxx.mp4: left out" in result.stderr
    assert "3 of 6 items could be read" in result.stderr


@pytest.mark.filterwarnings("default")
def test_repeated_rows_are_told(manifest: Path, model: str) -> None:
    manifest.write_text(manifest.read_text() + "vail.npz,Vail,one,test\n")
    result = run("--model", model, "--data", manifest, "--split", "test", "--format", "json")
    assert json.loads(result.stdout)["items"] == 3
    assert "chereme: warning: " in result.stderr
    assert "1 of 5 rows repeat an earlier one and are left out: line 6 (as line 2)" in result.stderr


def test_parts_of_a_recording_and_hands(tmp_path: Path, model: str) -> None:
    write_landmarks(fakes.spell("vaildab", letter_seconds=0.5), tmp_path / "long.npz")
    (tmp_path / "data.csv").write_text(
        "path,label,start,end,hand\n"
        "long.npz,vail,0,1.98,\n"
        "long.npz,dab,2.0,,right\n"
        "long.npz,,2.0,3.0,left\n"
    )
    result = run("--model", model, "--data", tmp_path / "data.csv", "--format", "json")
    assert result.exit_code == 0, result.stderr
    score = json.loads(result.stdout)
    assert (score["exact_match"], score["items_empty"]) == (100.0, 1)
    assert score["interval_over"] == "items"


def test_nothing_to_score(tmp_path: Path, manifest: Path, model: str) -> None:
    result = run("--model", model, "--data", manifest, "--split", "dev")
    assert result.exit_code == 2
    assert "it has: test, train" in result.stderr
    (tmp_path / "gone.csv").write_text("path,label\nabsent.npz,xyz\n")
    result = run("--model", model, "--data", tmp_path / "gone.csv")
    assert result.exit_code == 1
    assert "none of the 1 items could be read" in result.stderr
