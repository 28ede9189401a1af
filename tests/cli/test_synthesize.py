"""``chereme synthesize``, and the way from a checkpoint to letters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.exemplars import Exemplars


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("chereme: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_synthesize_export_and_recognize(exemplars: Exemplars, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from fake_models import letters, save_letters

    exemplars.save(tmp_path / "exemplars.npz")
    checkpoint = save_letters(tmp_path / "best.ckpt", letters())
    made = run("export", checkpoint, "-o", tmp_path / "model")
    assert (made.exit_code, made.stdout) == (0, ""), made.output
    hello = tmp_path / "new" / "hello.pose"
    spelled = run("synthesize", "HELLO", "--exemplars", tmp_path / "exemplars.npz", "-o", hello)
    assert spelled.exit_code == 0, spelled.output
    read = run("recognize", hello, "--model", tmp_path / "model", "--format", "json")
    assert read.exit_code == 0, read.output
    assert re.fullmatch("[a-z]*", json.loads(read.stdout)["text"])


def test_errors_of_synthesize_in_one_line(exemplars: Exemplars, tmp_path: Path) -> None:
    exemplars.save(tmp_path / "exemplars.npz")
    output = ("-o", tmp_path / "x.pose")
    good = ("--exemplars", tmp_path / "exemplars.npz")
    assert "got '23'" in one_line(run("synthesize", "R2D3", *good, *output), 2)
    one_line(run("synthesize", "", *good, *output), 2)
    assert "none.npz" in one_line(
        run("synthesize", "A", "--exemplars", tmp_path / "none.npz", *output), 1
    )
    assert "x.mp4" in one_line(run("synthesize", "A", *good, "-o", tmp_path / "x.mp4"), 2)
    assert not (tmp_path / "x.pose").exists()


def test_errors_of_prepare_in_one_line(tmp_path: Path) -> None:
    result = run("prepare", "exemplars", "--root", tmp_path, "-o", tmp_path / "exemplars.npz")
    assert "letters_studio" in one_line(result, 1)
    assert not (tmp_path / "exemplars.npz").exists()
