"""``make demo`` with a Python that does not do: one line, and nothing half made is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from child import interruptible

ROOT = Path(__file__).resolve().parents[1]
# A Python that runs what it is given after a line of its own.
CHANGED = '#!/bin/sh\nexec {python} -c "{line}\n$2"\n'
HALF = '#!/bin/sh\n[ "$1" != -c ] || {{ echo yes; exit; }}\nmkdir -p .venv/bin\n{then}\n'

# Without what the make that runs the tests says to those below it.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def python(folder: Path, text: str) -> Path:
    """A program to be given as Python."""
    path = folder / "python"
    path.write_text(text)
    path.chmod(0o755)
    return path


def make(clone: Path, python: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", f"PYTHON={python}", "demo"],
        cwd=clone,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "line",
    [
        "import sys; sys.version_info = (3, 15, 0, 'final', 0)",
        "import sys; sys.version_info = (3, 10, 9, 'final', 0)",
        "import sys; sys.modules['ensurepip'] = None",  # as of Debian without python3-venv
        "this is no Python",
    ],
    ids=["3.15", "3.10", "no venv", "broken"],
)
def test_a_python_that_does_not_do(clone: Path, line: str) -> None:
    done = make(clone, python(clone, CHANGED.format(python=sys.executable, line=line)))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "chereme needs Python 3.11 to 3.14" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("program", ["/no/such/python", "/bin/true", "/bin/false", "/", ""])
def test_no_python_at_all(clone: Path, program: str) -> None:
    done = make(clone, program)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "chereme needs Python 3.11 to 3.14" in done.stderr
    assert not (clone / ".venv").exists()


def test_what_was_begun_and_failed_is_taken_away(clone: Path) -> None:
    fails = python(clone, HALF.format(then="exit 3"))
    assert make(clone, fails).returncode == 2
    assert not (clone / ".venv").exists()
    # But not what was there before.
    (clone / ".venv").mkdir()
    (clone / ".venv" / "mine").touch()
    assert make(clone, fails).returncode == 2
    assert (clone / ".venv" / "mine").exists()


def test_what_was_interrupted_is_taken_away(clone: Path) -> None:
    slow = python(clone, HALF.format(then="sleep 60"))
    command = ["make", f"PYTHON={slow}", "demo"]
    with subprocess.Popen(
        command,
        cwd=clone,
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=interruptible,
    ) as running:
        while not (clone / ".venv" / "bin").exists():
            assert running.poll() is None
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(60) != 0
    assert not (clone / ".venv").exists()


def test_an_install_that_failed_is_begun_again(clone: Path) -> None:
    counted = 'printf "#!/bin/sh\\necho tried >>tries; exit 1\\n" >.venv/bin/python'
    made = python(clone, HALF.format(then=f"{counted}; chmod +x .venv/bin/python"))
    for _ in range(2):
        assert make(clone, made).returncode == 2
    assert (clone / "tries").read_text() == "tried\n" * 2
    assert not (clone / ".venv" / ".installed").exists()
