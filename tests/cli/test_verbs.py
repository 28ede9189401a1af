"""The other verbs, and the command as a whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import chereme
import fake_signs
import fakes
from chereme.cli import app
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.recognition import registry
from chereme.video import write_video

VERBS = (
    "recognize", "landmarks", "train", "evaluate", "export", "synthesize", "models", "doctor",
    "prepare", "bench", "live", "hand-model", "serve",
)  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled weights are the fake ones."""
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "weights")
    for model in registry.MODELS.values():
        if model.task == "isolated":
            fake_signs.make_signs(model.directory, name=model.name)
        else:
            fakes.make_bundle(model.directory, stream=model.input, name=model.name)
    return tmp_path / "weights" / "fingerspelling"


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"{chereme.__version__}\n")


def test_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "chereme", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{chereme.__version__}\n"


def test_help_lists_every_verb() -> None:
    text = run("--help").stdout
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", text), verb


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"chereme {verb}" in result.stdout or f"root {verb}" in result.stdout


def test_help_is_quick() -> None:
    program = Path(sys.executable).with_name("chereme")
    seconds = []
    for _ in range(3):
        began = os.times()
        subprocess.run([program, "--help"], check=True, capture_output=True)
        ended = os.times()
        # Of the processor: others may be at work on this machine.
        seconds.append(sum(ended[2:4]) - sum(began[2:4]))
    assert 0 < min(seconds) < 0.5


@pytest.mark.parametrize("arguments", [["recognize", ""], ["landmarks", "a.npz", "-o", ""]])
def test_an_empty_argument_is_not_the_current_folder(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "an argument is empty ('')" in result.stderr


def test_no_verb_shows_the_help() -> None:
    result = run()
    assert result.exit_code == 2
    assert "recognize" in result.stdout + result.stderr


@pytest.mark.parametrize(("one", "other"), [(".npz", ".pose"), (".pose", ".npz")])
def test_landmarks_converts(tmp_path: Path, one: str, other: str) -> None:
    source, target = tmp_path / f"in{one}", tmp_path / "made" / f"out{other}"
    write_landmarks(fakes.spell("vail"), source)
    result = run("landmarks", source, "-o", target)
    assert (result.exit_code, result.stdout) == (0, "")
    before, after = read_landmarks(source), read_landmarks(target)
    np.testing.assert_allclose(after.timestamps, before.timestamps, atol=1e-3)
    right = after.handedness.index("right")
    kept = before.handedness.index("right")
    np.testing.assert_allclose(after.landmarks[:, right], before.landmarks[:, kept], atol=0.01)


def test_landmarks_unmirrors(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npz", tmp_path / "out.npz"
    write_landmarks(fakes.spell("vail", left=True), source)
    assert run("landmarks", source, "-o", target, "--mirrored").exit_code == 0
    after = read_landmarks(target)
    assert after.handedness == ("right",)
    np.testing.assert_allclose(
        after.landmarks[..., 0], fakes.WIDTH - read_landmarks(source).landmarks[..., 0], rtol=1e-6
    )


def test_landmarks_wants_a_known_suffix(tmp_path: Path) -> None:
    result = run("landmarks", tmp_path / "in.npz", "-o", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert ".pose or .npz" in result.stderr


def test_models_lists_terms_and_hash(weights: Path) -> None:
    rows = json.loads(run("models", "--format", "json").stdout)
    assert [row["name"] for row in rows] == list(registry.MODELS)
    assert all(row["family"] in registry.MODELS for row in rows)
    assert {row["input"] for row in rows} <= {"landmarks", "hand", "rgb"}
    assert all(row["licence"][part] for row in rows for part in ("code", "weights", "data"))
    text = run("models").stdout
    assert "licence: code MIT" in text
    assert rows[0]["sha256"] in text


def test_models_tells_of_missing_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    assert "not installed" in run("models").stdout


def test_doctor_is_content(weights: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.stdout
    assert "[no]" not in result.stdout
    for word in ("onnxruntime", "landmarks.onnx", str(weights), "sha256"):
        assert word in result.stdout


def test_doctor_finds_a_changed_model(weights: Path) -> None:
    (weights / "MODEL_CARD.md").write_text("changed")
    result = run("doctor")
    assert result.exit_code == 1
    assert "[no] fingerspelling" in result.stdout
    assert "MODEL_CARD.md has changed" in result.stdout


def test_doctor_says_what_to_do_about_a_damaged_hand_network(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: b"damaged")
    result = run("doctor")
    assert result.exit_code == 1
    assert "[no]" in result.stdout
    assert "palm.onnx: expected the SHA-256" in result.stdout
    assert "install chereme again" in result.stdout


def test_doctor_says_what_to_do_about_a_missing_library(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    result = run("doctor")
    assert result.exit_code == 1
    assert "[no] av: this needs the library 'av'" in result.stdout
    assert "-m pip install" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "library"),
    [
        (("train", "--config", "a.yaml"), "lightning"),
        (("export", "last.ckpt", "-o", "out"), "torch"),
        (("synthesize", "hello", "-o", "hello.npz", "--exemplars", "hands.npz"), "scipy"),
    ],
)
def test_research_verbs_name_the_extra(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    result = run(*arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert library in result.stderr
    assert "[train]'" in result.stderr


@pytest.mark.slow
def test_bench_measures_every_stage(weights: Path) -> None:
    result = run("bench", "--frames", "20", "--stream", "landmarks", "--format", "json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["frames"], report["width"], report["height"]) == (20, 1280, 720)
    assert report["hand_coverage"] > 0.8
    for stage in ("decode", "detection", "network", "beam", "whole"):
        assert report["stages"][stage]["ms"] > 0
    parts = max(report["stages"][stage]["ms"] for stage in ("decode", "detection", "network"))
    assert report["stages"]["whole"]["ms"] > 0.8 * parts
    assert "crop" not in report["stages"]
    assert "whole" in run("bench", "--frames", "20").stdout


@pytest.mark.slow
def test_bench_of_a_stream(weights: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip, [np.zeros((48, 64, 3), np.uint8)] * 3, 30.0)
    result = run("bench", clip, "--live", "--minutes", "0.02", "--format", "json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["letters"], report["corrected"], report["delay"]) == (0, 0, {})
    assert report["frame_ms"]["cpu"] > 0
    text = run("bench", clip, "--live", "--minutes", "0").stdout
    assert "0 letters, 0 by the final text alone" in text
    fake_signs.make_signs(tmp_path / "signs")
    refused = run("bench", "--live", "--model", tmp_path / "signs")
    assert refused.exit_code == 2
    assert "--live is of fingerspelling" in refused.stderr


@pytest.mark.slow
def test_bench_of_a_model_that_reads_pictures(tmp_path: Path) -> None:
    fakes.make_bundle(tmp_path / "rgb", stream="rgb")
    result = run(
        "bench", "--frames", "20", "--model", tmp_path / "rgb", "--stream", "rgb", "-f", "json"
    )
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["stream"], report["models"][0]["input"]) == ("rgb", "rgb")
    stages = report["stages"]
    assert list(stages) == ["decode", "detection", "crop", "network", "beam", "whole"]
    assert all(row["ms"] > 0 for row in stages.values())
    # The clip is read twice, one reading after the other.
    assert stages["whole"]["ms"] > 0.8 * (stages["detection"]["ms"] + stages["crop"]["ms"])
