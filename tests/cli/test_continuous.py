"""``chereme recognize``, ``evaluate`` and ``bench`` of models of continuous signing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import chereme
import fake_signing
from chereme.cli import app
from chereme.formats.eaf import read_eaf
from chereme.formats.tracks import write_tracks
from chereme.recognition.continuous import ContinuousRecognizer
from fake_signing import sign


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, ``tracks`` and ``video``, and clips."""
    folder = tmp_path_factory.mktemp("continuous")
    fake_signing.make_signing(folder / "tracks")
    fake_signing.make_signing(folder / "video", input="rgb")
    for name, text in (("one", "JOHN BUY"), ("two", "HOUSE"), ("none", ""), ("more", "BUY")):
        write_tracks(sign(text), folder / f"{name}.npz")
    (folder / "broken.npz").write_text("this is a text")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return folder / "tracks"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


# -- recognize -------------------------------------------------------------------------------------
@pytest.mark.parametrize("more", [(), ("--task", "continuous"), ("--greedy",)])
def test_one_input_prints_its_glosses(folder: Path, model: Path, more: tuple[str, ...]) -> None:
    result = run("recognize", folder / "one.npz", "--model", model, *more)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "JOHN BUY\n", "")


def test_several_inputs_and_files(folder: Path, model: Path, tmp_path: Path) -> None:
    inputs = [folder / f"{name}.npz" for name in ("one", "broken", "two", "none")]
    result = run("recognize", *inputs, "--model", model, "-f", "eaf", "-o", tmp_path)
    assert result.exit_code == 1
    one, _, two, none = inputs
    assert result.stdout == f"{one}\tJOHN BUY\n{two}\tHOUSE\n{none}\t\n"
    assert "broken.npz" in result.stderr
    assert f"warning: {none}: 4 frames were read, but no gloss was found" in result.stderr
    tier = read_eaf(tmp_path / "one.eaf").tiers["glosses"]
    assert [annotation.value for annotation in tier.annotations] == ["JOHN", "BUY"]


def test_every_format_of_one_input(folder: Path, model: Path) -> None:
    def printed(fmt: str) -> str:
        return run("recognize", folder / "one.npz", "--model", model, "-f", fmt).stdout

    document = json.loads(printed("json"))
    assert [token["text"] for token in document["tokens"]] == ["JOHN", "BUY"]
    assert document["info"]["model"]["name"] == "fake"
    assert printed("tsv").splitlines()[1].startswith("0.350\t0.950\tJOHN\t")
    assert "00:00:00,350 --> 00:00:00,950\nJOHN\n" in printed("srt")
    assert printed("vtt").startswith("WEBVTT\n")


def test_all_formats_are_those_that_the_model_has_times_for(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untimed = fake_signing.with_decoder(readers=("decoder",))
    monkeypatch.setattr("chereme.recognition.continuous.load_continuous", lambda *_, **__: untimed)
    arguments = ("recognize", folder / "one.npz", "--model", model)
    assert run(*arguments, "-f", "all", "-o", tmp_path / "out").exit_code == 0
    written = sorted(path.suffix for path in (tmp_path / "out").iterdir())
    assert written == [".json", ".tsv", ".txt"]
    for more in (("-f", "srt"), ("--into", "a.eaf"), ("-o", tmp_path / "a.eaf")):
        refused = run("recognize", "none.npz", *arguments[2:], *more)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "needs times, which this model does not tell" in refused.stderr


def test_into_adds_a_tier_of_glosses(folder: Path, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    arguments = ("recognize", folder / "one.npz", "--model", model)
    assert run(*arguments, "-o", path, "--probability", "value").exit_code == 0
    before = read_eaf(path)
    added = run(*arguments, "--into", path, "--tier", "read", "--probability", "tier")
    assert (added.exit_code, added.stdout) == (0, "JOHN BUY\n")
    after = read_eaf(path)
    assert list(after.tiers) == ["glosses", "read", "read-probability"]
    assert after.tiers["glosses"] == before.tiers["glosses"]
    glosses, shares = (after.tiers[name].annotations for name in ("read", "read-probability"))
    assert [a.value for a in glosses] == ["JOHN", "BUY"]
    for old, new, share in zip(before.tiers["glosses"].annotations, glosses, shares, strict=True):
        assert (old.start, old.end) == (new.start, new.end) == (share.start, share.end)
        assert old.value == f"{new.value} {float(share.value):.2f}"


def test_video(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = fake_signing.Hands()
    monkeypatch.setattr("chereme.hands.detector.own_detector", lambda still: hands)
    film = fake_signing.write_film(tmp_path / "film", "JOHN HOUSE")
    result = run("recognize", film, "--model", folder / "video", "--rate", 10)
    assert (result.exit_code, result.stdout) == (0, "JOHN HOUSE\n")
    result = run("recognize", film, "--model", folder / "tracks")
    assert result.exit_code == 1
    assert "reads pose tracks (fake_signing), not video" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--overlay", "x.mp4"), "--overlay is of letters"),
        (("--hand", "left"), "--hand is of letters and single signs"),
        (("--stream", "rgb"), "--stream is of letters and single signs"),
        (("--top", "3"), "--top is of single signs"),
        (("--task", "isolated"), "is for continuous, not for isolated"),
        (("--read-with", "decoder"), r"what the model 'fake' has (ctc), got 'decoder'"),
    ],
)
def test_options_of_other_tasks(
    folder: Path, model: Path, options: tuple[str, ...], message: str
) -> None:
    result = run("recognize", folder / "one.npz", "--model", model, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_model_must_be_given() -> None:
    result = run("recognize", "clip.mp4", "--task", "continuous")
    assert result.exit_code == 2
    assert "no bundled model is for continuous" in result.stderr


def test_it_loads_in_python(folder: Path, model: Path) -> None:
    recognizer = chereme.load(model)
    assert isinstance(recognizer, ContinuousRecognizer)
    result = chereme.recognize(folder / "two.npz", model=model)
    assert isinstance(result, chereme.ContinuousResult)
    assert result.text == "HOUSE"
    with pytest.raises(chereme.errors.UsageError, match="stream: the model"):
        chereme.load(model, stream="rgb")


# -- evaluate --------------------------------------------------------------------------------------
def manifest(folder: Path, rows: list[str]) -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join(["path,label,signer,split", *rows]) + "\n")
    return path


def test_scores(folder: Path, model: Path, tmp_path: Path) -> None:
    rows = [
        "one.npz,JOHN BUY,a,test",
        "two.npz,CAR JOHN,b,test",  # read as HOUSE: a substitution and a deletion
        "none.npz,CAR,b,test",
        "more.npz," + "JOHN " * 65 + ",b,dev",
        "broken.npz,JOHN,a,test",
        "silent.npz,,a,test",
    ]
    data = manifest(folder, rows)
    lines = tmp_path / "read.jsonl"
    options = ("--data", data, "--split", "test", "--predictions", lines)
    result = run("evaluate", "--model", model, *options, "--format", "json")
    assert result.exit_code == 1  # one could not be read
    found = json.loads(result.stdout)
    assert (found["items"], found["items_read"], found["items_empty"]) == (5, 3, 1)
    assert "1 items have no label: they are left out" in result.stderr
    assert (found["glosses"], found["unknown"]) == (5, 2)
    assert found["unknown_glosses"] == {"CAR": 2}
    assert (found["substitutions"], found["deletions"], found["insertions"]) == (1, 2, 0)
    assert found["wer"] == 60.0
    assert found["mean_wer"] == pytest.approx((0 + 100 + 100) / 3, abs=0.01)
    assert found["exact_match"] == pytest.approx(100 / 3, abs=0.01)
    assert found["top5_items"] == 3
    # 2 of 3 read glosses fit; 5 are signed: 100 exp(1 - 5 / 3) 2 / 3.
    assert found["bleu"][0] == pytest.approx(100 * np.exp(1 - 5 / 3) * 2 / 3, abs=0.01)
    assert found["per_signer"]["a"] == {"items": 1, "glosses": 2, "wer": 0.0}
    assert found["interval_over"] == "signers"
    assert "2 of 5 glosses (CAR) are not known to the model" in result.stderr
    first, second, *_ = map(json.loads, lines.read_text().splitlines())
    assert (first["text"], first["tokens"][0][0]) == ("JOHN BUY", "JOHN")
    assert first["tokens"][0][1:3] == pytest.approx([0.35, 0.95])
    assert (second["label"], second["text"]) == ("CAR JOHN", "HOUSE")
    table = run("evaluate", "--model", model, *options, "--overwrite").stdout
    assert "word error rate  60.0 %" in table
    assert "1 substitutions, 2 deletions, 0 insertions" in table
    assert "signer b: 100.0 % of 3 glosses, 2 items" in table

    longer = run("evaluate", "--model", model, "--data", data, "--split", "dev")
    assert longer.exit_code == 0
    assert "1 items are longer than 64 glosses" in longer.stderr


def test_without_sacrebleu_there_is_no_bleu(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    data = manifest(folder, ["one.npz,JOHN BUY,a,test"])
    result = run("evaluate", "--model", model, "--data", data, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["wer"], found["bleu"]) == (0.0, None)
    assert "no BLEU without the library sacrebleu" in result.stderr


# -- bench -----------------------------------------------------------------------------------------
def test_bench_of_each_part(folder: Path) -> None:
    result = run("bench", "--frames", 4, "--model", folder / "video", "--threads", 2, "-f", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found["parts"]) == ["picture", "encoder", "tracks", "sequence", "ctc"]
    assert all(part["ms_per_frame"] > 0 for part in found["parts"].values())
    assert (found["parts"]["ctc"]["frames"], found["threads"]["network"]) == (60, 2)
    assert found["frames"] == 4
    table = run("bench", "--model", folder / "tracks", "--threads", 2).stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == ["part", "sequence", "ctc"]
    wrong = run("bench", folder / "one.npz", "--model", folder / "tracks")
    assert wrong.exit_code == 2
    assert "measured by themselves" in wrong.stderr
