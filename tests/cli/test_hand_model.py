"""``chereme hand-model``."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.hand_model import HandTemplate
from fake_hands import fingers_to, mano_content, python2_pickle, random_template


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["hand-model", "convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def right() -> HandTemplate:
    hand = random_template(0)
    return replace(hand, **fingers_to(-1, hand))


def write(path: Path, content: Any) -> Path:
    path.write_bytes(python2_pickle(content))
    return path


def test_convert(tmp_path: Path, right: HandTemplate) -> None:
    source = write(tmp_path / "MANO_RIGHT.pkl", mano_content(right))
    target = tmp_path / "made" / "right.safetensors"
    result = convert(source, "-o", target)
    assert (result.exit_code, result.stdout) == (0, "")
    for word in (
        "mano, right hand, 778 vertices, 1538 faces, 16 joints, 10 betas, 45 pose components",
        "fingertips hamer, manopth, papers",
        "no redistribution",
    ):
        assert word in result.stderr
    assert "warning" not in result.stderr
    np.testing.assert_array_equal(HandTemplate.load(target).shapedirs, right.shapedirs)


def test_convert_a_left_hand(tmp_path: Path, right: HandTemplate) -> None:
    left = right.mirrored()
    released = mano_content(left) | {"shapedirs": right.shapedirs * [[1.0], [1.0], [1.0]]}
    source = write(tmp_path / "MANO_LEFT.pkl", released)
    target = tmp_path / "left.safetensors"
    result = convert(source, "-o", target)
    assert result.exit_code == 0
    assert "warning" in result.stderr
    assert "--right MANO_RIGHT.pkl" in result.stderr
    other = write(tmp_path / "MANO_RIGHT.pkl", mano_content(right))
    result = convert(source, "-o", target, "--right", other)
    assert result.exit_code == 0
    assert "warning" not in result.stderr
    np.testing.assert_array_equal(HandTemplate.load(target).shapedirs, left.shapedirs)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_convert_refuses_what_is_no_mano_file(tmp_path: Path) -> None:
    source, target = tmp_path / "MANO_RIGHT.pkl", tmp_path / "right.safetensors"
    source.write_bytes(pickle.dumps({"v_template": Hostile()}))
    result = convert(source, "-o", target)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "which this reader does not allow; nothing of it was run" in result.stderr
    assert not target.exists()


def test_convert_wants_safetensors(tmp_path: Path) -> None:
    result = convert(tmp_path / "MANO_RIGHT.pkl", "-o", tmp_path / "right.npz")
    assert result.exit_code == 2
    assert "ends in .safetensors" in result.stderr


def test_convert_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = convert(tmp_path / "MANO_RIGHT.pkl", "-o", tmp_path / "right.safetensors")
    assert result.exit_code == 1
    assert "chereme[train]" in result.stderr


def test_sheet(tmp_path: Path) -> None:
    from chereme.synthesis.handshapes import COLUMNS, bundled

    shapes = [shape for shape in bundled("asl") if shape.letter in "ab"]
    table = tmp_path / "mine.csv"
    with table.open("w", encoding="utf-8") as file:
        print(*COLUMNS, sep=",", file=file)
        for s in shapes:
            angles = [s.angles[name] for name in COLUMNS[5:-1]]
            print(s.letter, s.variant, s.turn, s.tilt, s.roll, *angles, "", sep=",", file=file)
    picture = tmp_path / "made" / "mine.jpg"
    result = CliRunner().invoke(app, ["hand-model", "sheet", str(table), "-o", str(picture)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"mine.jpg: {len(shapes)} handshapes of 2 letters" in result.stderr
    assert picture.read_bytes()[:2] == b"\xff\xd8"  # a JPEG


def test_sheet_says_what_is_wrong_with_a_table(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("letter,variant\na,b\n", encoding="utf-8")
    arguments = ["hand-model", "sheet", str(table), "-o", str(tmp_path / "x.png")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "other.csv: expected a table of handshapes with the columns" in result.stderr
    result = CliRunner().invoke(app, ["hand-model", "sheet", "-o", str(tmp_path / "x.gif")])
    assert result.exit_code == 2
    assert "ends in .jpg, .jpeg, .png" in result.stderr


def test_help() -> None:
    shown = CliRunner().invoke(app, ["hand-model", "--help"]).stdout
    assert "convert" in shown
    assert "sheet" in shown
    assert "MANO_RIGHT.pkl" in convert("--help").stdout
