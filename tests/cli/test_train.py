"""``chereme train``: one's own signs by a folder, everything else by the trainer's own words."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.formats.poses import write_landmarks
from chereme.types import Landmarks


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        (("--config", "a.yaml", "--data.x", "3"), ["--config", "a.yaml", "--data.x", "3"]),
        (("--config=a.yaml", "--output=o"), ["--config=a.yaml", "--output=o"]),
        (("--trainer.max_epochs=3",), ["--trainer.max_epochs=3"]),
        (("--", "--help"), ["--help"]),
    ],
)
def test_recipes_go_to_the_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, handed_on: Any
) -> None:
    trainer = pytest.importorskip("chereme.training.cli")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").touch()
    seen: list[tuple[list[str], bool]] = []
    monkeypatch.setattr(trainer, "main", lambda given, *, keep: seen.append((given, keep)))
    for more in ((), ("--overwrite",)):
        result = run("train", *given, *more)
        assert result.exit_code == 0, result.stderr
    assert seen == [(handed_on, True), (handed_on, False)]


@pytest.mark.parametrize("more", [(), ("--resume", "last"), ("--overwrite",)])
def test_a_training_is_not_replaced_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    trainer = pytest.importorskip("chereme.training.cli")

    class Started(Exception):
        """What was there did not stop it."""

    def start() -> None:
        raise Started

    config = {"output": str(tmp_path), "resume": "last" if "--resume" in more else None}
    fake = SimpleNamespace(config=config, model=SimpleNamespace(parameters=start))
    monkeypatch.setattr(trainer, "TrainingCLI", lambda **_: fake)
    monkeypatch.setattr(trainer, "load_tensors", lambda *_, **__: None)
    (tmp_path / "last.ckpt").write_text("days of work")
    result = run("train", "--trainer.max_epochs=3", *more)
    if more:
        assert isinstance(result.exception, Started)
    else:
        assert result.exit_code == 1
        assert "holds a training (last.ckpt)" in result.stderr
        assert "--resume" in result.stderr
        assert "--overwrite" in result.stderr


@pytest.mark.parametrize("given", [(), ("folder",), ("-o", "model")])
def test_it_says_what_it_expects(given: tuple[str, ...]) -> None:
    result = run("train", *given)
    assert result.exit_code == 2
    assert "expected FOLDER -o MODEL" in result.stderr
    assert "--config FILE" in result.stderr


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    result = run("train", "folder", "-o", "model")
    assert (result.exit_code, "[train]'" in result.stderr) == (1, True)


def test_a_folder_of_signs_becomes_a_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for gloss in ("yes", "no"):
        for who in ("ann", "bob", "cat"):
            points = rng.uniform(50, 400, (4, 2, 21, 3)).astype(np.float32)
            seen = np.full((4, 2, 21), 0.9, np.float32)
            path = tmp_path / "signs" / gloss / f"{who}_1.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            times = np.arange(4) / 25
            write_landmarks(Landmarks(points, seen, times, 640, 480, ("left", "right")), path)
    model = tmp_path / "my signs"
    result = run("train", tmp_path / "signs", "-o", model, "--signer", "/(.*)_", "--epochs", 1)
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(r"chereme recognize CLIP --model '.*my signs'\n", result.stdout)
    assert "signs: 6 of 6 clips prepared" in result.stderr
    assert re.search(
        r"my signs: reads 2 signs; top-1 accuracy [\d.]+ % .* of 2 clips", result.stderr
    )
    assert "my signs.training/report.md" in result.stderr
    assert (model / "config.json").is_file()
    bad = run("train", tmp_path / "signs", "-o", tmp_path / "signs")
    assert bad.exit_code == 2
    assert "name of a new folder" in bad.stderr
