"""The commands and the Python of the README do what it says.

A block after ``<!-- not run: why -->`` is left out. Where a block shows output after a command, the
command must print just that.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<kind>\w+)\n(?P<body>.*?)```", re.DOTALL
)
BLOCKS = [match.groupdict() for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def commands() -> list[tuple[str, str]]:
    """Each command with the output that is shown for it ('' if none)."""
    found: list[tuple[str, str]] = []
    for block in BLOCKS:
        if block["kind"] != "console" or block["why"]:
            continue
        for line in block["body"].splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, output = found.pop()
                found.append((command, f"{output}{line}\n"))
    return found


def python_blocks() -> list[str]:
    return [b["body"] for b in BLOCKS if b["kind"] == "python" and not b["why"]]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty folder with the examples in it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.mark.parametrize(("command", "output"), commands(), ids=[c for c, _ in commands()])
def test_commands(workplace: Path, command: str, output: str) -> None:
    name, *arguments = shlex.split(command)
    assert name == "chereme"
    program = Path(sys.executable).with_name("chereme")
    done = subprocess.run(
        [program, *arguments],
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"COLUMNS": "100", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    if output:
        assert done.stdout == output


@pytest.mark.parametrize("code", python_blocks())
def test_python(workplace: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_blocks_are_found_and_few_are_left_out() -> None:
    assert len(commands()) >= 6
    assert python_blocks()
    for block in BLOCKS:
        assert block["kind"] in ("console", "python"), block
        for line in block["body"].splitlines() if block["why"] else ():
            assert line.startswith(("$ make ", "$ pip install ", "$ chereme ")), line


def test_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
