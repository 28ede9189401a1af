"""Every verb that writes a file: what is there is kept, and what cannot be is found first.

The inputs do not exist, so that an error about the output has come before any work.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import fakes
from chereme.cli import app
from chereme.formats import outputs
from chereme.formats.poses import read_landmarks, write_landmarks

# Of each verb: arguments before the name of the output, and its name.
FILES = [
    (("landmarks", "none.mp4", "-o"), "hands.npz"),
    (("landmarks", "none.mp4", "-o"), "hands.pose"),
    (("evaluate", "--data", "none.csv", "--predictions"), "read.jsonl"),
    (("synthesize", "hi", "-o"), "hi.mp4"),
    (("synthesize", "hi", "-o"), "hi.pose"),
    (("prepare", "exemplars", "--root", "none", "-o"), "exemplars.npz"),
    (("hand-model", "sheet", "none.csv", "-o"), "sheet.jpg"),
    (("hand-model", "reconstruct", "none.mp4", "-o"), "mesh.jpg"),
    (("hand-model", "reconstruct", "none.mp4", "-o"), "mesh.mp4"),
    (("hand-model", "convert", "none.pkl", "-o"), "hand.safetensors"),
]
FOLDERS = [
    (("export", "none.ckpt", "-o"), "bundle"),
    (("train", "none", "-o"), "model"),
    (("prepare", "folder", "--root", "none", "-o"), "shards"),
    (("prepare", "signs", "--root", "none", "-o"), "signs"),
    (("prepare", "rendered", "--clips", "10", "-o"), "shards"),
    (("prepare", "photographs", "--clips", "10", "--root", "none", "-o"), "shards"),
    (("prepare", "letters", "--clips", "10", "--exemplars", "none.npz", "-o"), "letters"),
    (("prepare", "signing", "--clips", "10", "-o"), "sentences"),
    (("synthesize", "--corpus", "10", "-o"), "clips"),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("verb", "name"), FILES)
def test_a_file_that_is_there_is_kept(tmp_path: Path, verb: tuple[str, ...], name: str) -> None:
    (tmp_path / name).write_bytes(b"hours of work")
    result = run(*verb, tmp_path / name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{name} is there already and was left as it is" in result.stderr
    assert "--overwrite" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"hours of work"


@pytest.mark.parametrize(("verb", "name"), FOLDERS)
def test_a_folder_of_other_things_is_kept(tmp_path: Path, verb: tuple[str, ...], name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.json").write_text("{}")
    result = run(*verb, tmp_path / name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is no empty folder (config.json)" in result.stderr
    assert (tmp_path / name / "config.json").read_text() == "{}"


@pytest.mark.parametrize(("verb", "name"), FILES + FOLDERS)
@pytest.mark.parametrize("folder", ["/proc/nope", "file"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_place_that_cannot_be_is_found_first(
    tmp_path: Path, verb: tuple[str, ...], name: str, folder: str, overwrite: bool
) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = run(*verb, f"{folder}/{name}", *(["--overwrite"] if overwrite else []))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"chereme: error: {folder}/{name}: cannot be written (")
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("beside", [".json", ".npz"])
def test_the_files_beside_a_video_are_kept_too(tmp_path: Path, beside: str) -> None:
    (tmp_path / f"hi{beside}").write_text("mine")
    result = run("synthesize", "hi", "-o", tmp_path / "hi.mp4")
    assert result.exit_code == 1
    assert f"hi{beside} is there already" in result.stderr
    assert (tmp_path / f"hi{beside}").read_text() == "mine"


def test_landmarks_replaces_when_asked(tmp_path: Path) -> None:
    write_landmarks(fakes.spell("vail"), tmp_path / "in.npz")
    (tmp_path / "out.npz").write_text("old")
    done = run("landmarks", tmp_path / "in.npz", "-o", tmp_path / "out.npz", "--overwrite")
    assert done.exit_code == 0, done.stderr
    assert len(read_landmarks(tmp_path / "out.npz").timestamps) > 20


def test_a_failed_run_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_text("old")
    result = run("landmarks", tmp_path / "none.mp4", "-o", tmp_path / "out.npz", "--overwrite")
    assert result.exit_code == 1
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_predictions_that_cannot_be_written_take_nothing_from_the_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes.make_bundle(tmp_path / "fake")
    write_landmarks(fakes.spell("vail"), tmp_path / "vail.npz")
    (tmp_path / "data.csv").write_text("path,label\nvail.npz,vail\n")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    arguments = ("evaluate", "--data", "data.csv", "--model", tmp_path / "fake")
    with monkeypatch.context() as patch:
        patch.setattr(outputs, "_settle", full)
        result = run(*arguments, "--predictions", "read.jsonl")
    assert result.exit_code == 1
    assert "letter accuracy  100.0 %" in result.stdout
    assert "read.jsonl: cannot be written (No space left on device)" in result.stderr
    assert not (tmp_path / "read.jsonl").exists()
    assert run(*arguments, "--predictions", "read.jsonl").exit_code == 0
