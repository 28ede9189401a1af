"""``chereme live`` with a recording in the place of a camera."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import fake_signs
import fakes
from chereme.cli import app
from chereme.errors import InputError
from chereme.live import sources
from chereme.types import Frame
from chereme.video import write_video

STORY = "dab" + "_" * 5 + "lid"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["live", *map(str, arguments)])


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A clip, of which no frame is skipped, and options of what reads its hands."""
    seen = fakes.spell(STORY, fps=10.0)
    pictures = [np.zeros((48, 64, 3), np.uint8)] * len(seen.timestamps)
    write_video(tmp_path / "clip.mp4", pictures, 10.0)
    fakes.make_bundle(tmp_path / "model")
    monkeypatch.setattr(sources, "WAITING", 1000)
    return [tmp_path / "clip.mp4", "--model", tmp_path / "model", "--detector", __name__ + ":Seen"]


class Seen(fakes.FakeDetector):
    """The hands of the clip."""

    def __init__(self, still: bool) -> None:
        super().__init__(fakes.spell(STORY, fps=10.0))


def test_the_words_of_a_recording_come_line_by_line(clip: list[object], tmp_path: Path) -> None:
    result = run(*clip, "--save", tmp_path / "said.json")
    assert (result.exit_code, result.stdout) == (0, "dab\nlid\n"), result.stderr
    saved = json.loads((tmp_path / "said.json").read_text())
    assert saved["text"] == "dab lid"
    assert saved["source"] == str(clip[0])
    assert saved["info"]["skipped"] == 0
    again = run(*clip, "--save", tmp_path / "said.json")
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    assert run(*clip, "--save", tmp_path / "said.json", "--overwrite").exit_code == 0


def test_what_was_read_of_a_camera_that_goes_is_kept(
    clip: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes(frames: Iterable[Frame]) -> Iterator[Frame]:
        yield from frames
        raise InputError("the camera gives no more pictures")

    monkeypatch.setattr(sources, "in_real_time", goes)
    result = run(*clip, "--save", tmp_path / "said.txt")
    assert (result.exit_code, result.stdout) == (1, "dab\nlid\n")
    assert "gives no more pictures" in result.stderr
    assert (tmp_path / "said.txt").read_text() == "dab lid\n"


def test_a_slow_machine_says_what_it_skips(
    clip: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "WAITING", 1)
    monkeypatch.setattr(sources, "in_real_time", iter)
    result = run(*clip)
    assert result.exit_code == 0
    assert "the machine was too slow" in result.stderr


def test_what_cannot_be_read_live(clip: list[object], tmp_path: Path) -> None:
    assert "no_such_camera: no file, nor a camera" in run("no_such_camera").stderr
    wrong = run(*clip, "--save", tmp_path / "said.doc")
    assert wrong.exit_code == 2


def test_signs_and_what_a_stream_does_not_read(clip: list[object], tmp_path: Path) -> None:
    fake_signs.make_signs(tmp_path / "signs")
    result = run(
        clip[0], "--model", tmp_path / "signs", *clip[3:], "--save", tmp_path / "said.json"
    )
    assert (result.exit_code, result.stdout) == (0, "RIGHT\nRIGHT\n"), result.stderr
    assert json.loads((tmp_path / "said.json").read_text())["unit"] == "sign"
    fakes.make_bundle(tmp_path / "views", stream="rgb")
    refused = run(clip[0], "--model", tmp_path / "views")
    assert refused.exit_code == 2
    assert "reads crops of the hand" in refused.stderr
