"""``chereme doctor`` finds a library that is there and does not work, and says which."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner, Result

import chereme.recognition.bundle
from chereme.cli import app
from chereme.hands.detector import OnnxHandDetector


def doctor() -> Result:
    return CliRunner().invoke(app, ["doctor"])


def complaint(result: Result) -> str:
    """The one line of what is wrong."""
    assert result.exit_code == 1, result.stdout
    assert "missing or broken" in result.stdout.splitlines()[-1]
    lines = [line for line in result.stdout.splitlines()[:-1] if "[no]" in line]
    assert len(lines) == 1
    return lines[0]


def fails(*arguments: Any, **options: Any) -> Any:
    raise TypeError("got an unexpected keyword argument")


def test_all_is_well() -> None:
    result = doctor()
    assert result.exit_code == 0, result.stdout
    assert "av writes and reads a video: [ok]" in result.stdout
    assert result.stdout.count("[ok]") >= 18
    assert "and works" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("break_it", ["open", "decode", "half"])
def test_a_video_library_of_another_version(monkeypatch: pytest.MonkeyPatch, break_it: str) -> None:
    if break_it == "open":
        # As PyAV 19 did, which no longer knew an argument.
        monkeypatch.setattr(av, "open", fails)
    elif break_it == "decode":
        monkeypatch.setattr("chereme.video.upright.RgbConverter.convert", fails)
    else:
        wrong = np.zeros((90, 160, 3), np.uint8)
        monkeypatch.setattr("chereme.video.upright.RgbConverter.convert", lambda *_: wrong)
    line = complaint(doctor())
    assert f"av {av.__version__} did not" in line
    assert "pip install --force-reinstall" in line
    assert "'av>=18,<19'" in line


def test_a_detector_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxHandDetector, "detect", lambda *_: [])
    line = complaint(doctor())
    assert "onnxruntime finds a hand: [no]" in line
    assert "did not (ValueError: the hand of the example" in line


def test_a_network_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chereme.recognition.bundle, "open_network", fails)
    line = complaint(doctor())
    assert "onnxruntime reads letters: [no] onnxruntime" in line
    assert "unexpected keyword" in line


def test_a_library_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rapidfuzz.py").write_text("raise AttributeError('compiled for another NumPy')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rapidfuzz", raising=False)
    line = complaint(doctor())
    assert "[no] rapidfuzz cannot be imported (AttributeError: compiled for another" in line
    assert "pip install --force-reinstall" in line
