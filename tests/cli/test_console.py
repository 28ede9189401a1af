"""Progress is told on standard error, and only of work that takes long."""

from __future__ import annotations

import io
import json
import sys

import pytest

from chereme.cli import console
from chereme.cli.console import ProgressBar, report, tell_json
from chereme.errors import InputError


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console.time, "monotonic", clock)
    return clock


def test_short_work_shows_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("clip.mp4") as progress:
        for done in range(100):
            clock.now += 0.019
            progress(done, 100)
    assert capsys.readouterr() == ("", "")


def test_long_work_without_a_terminal_is_a_line_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressBar("clip.mp4") as progress:
        for done in range(1, 2401):
            clock.now += 0.01
            progress(done, 3000)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "chereme: clip.mp4: 200 of 3000 frames, 100 a second, 28 s left"


@pytest.mark.parametrize("expected", [None, 150])
def test_an_unknown_or_wrong_number_of_frames(
    clock: Clock, capsys: pytest.CaptureFixture[str], expected: int | None
) -> None:
    with ProgressBar("clip.webm") as progress:
        clock.now += 5.0
        progress(200, expected)
    assert capsys.readouterr().err == "chereme: clip.webm: 200 frames, 40 a second\n"


def test_on_a_terminal_the_bar_is_on_standard_error_and_goes_away(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with ProgressBar("clip.mp4") as progress:
        clock.now += 3.0
        progress(60, 90)
    assert "clip.mp4" in terminal.getvalue()
    assert "60/90" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is wiped
    assert capsys.readouterr().out == ""


def test_json_is_one_line_that_every_reader_takes(capsys: pytest.CaptureFixture[str]) -> None:
    tell_json({"name": "é\n\x9b", "score": float("nan"), "all": [float("inf"), 1]})
    line = capsys.readouterr().out
    assert json.loads(line) == {"name": "é\n\x9b", "score": None, "all": [None, 1]}
    assert "\x9b" not in line


def test_names_are_shown_as_they_are_and_escaped(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressBar("[/]\x1b[31m\n.mp4") as progress:
        clock.now += 5.0
        progress(200, 300)
    shown = r"[/]\x1b[31m\n.mp4"
    assert capsys.readouterr().err.startswith(f"chereme: {shown}: 200 of 300 frames")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with ProgressBar("[/]\x1b[31m\n.mp4") as progress:
        clock.now += 5.0
        progress(200, 300)
    assert shown in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(InputError("expected a video,\n  got a text"))
    assert capsys.readouterr().err == "chereme: error: expected a video, got a text\n"
