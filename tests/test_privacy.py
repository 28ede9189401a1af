"""Nothing leaves the machine, nothing but the hand model is kept, and no other program is started.

Each case is a process of its own with an empty account, in which every program that looks for
fonts or libraries is a stub that tells of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STUBS = ("gcc", "cc", "clang", "ld", "fc-list", "ldconfig", "objdump", "uname", "git", "curl", "sh")
# Python tells of processes and connections; those of a library's own code reach a stub, or leave a
# file. Libraries send nothing under a CI's variables, so the case must not have them.
WATCH = """
import sys

def hook(event, arguments):
    if event.split(".")[0] == "subprocess" or event in {
        "os.posix_spawn", "os.exec", "os.fork", "os.system", "os.spawn", "pty.spawn",
        "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    }:
        with open(SEEN, "a") as file:
            print(event, arguments, file=file)

sys.addaudithook(hook)
"""
READ = "from chereme.cli import main; sys.argv[1:] = ['recognize', {clip!r}]; main()"
RUN = """
import numpy, onnx.helper as helper
one = helper.make_tensor_value_info("x", 1, [1])
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [one],
                          [helper.make_tensor_value_info("y", 1, [1])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
from chereme.training import export
session = export.onnxruntime.InferenceSession(model.SerializeToString())
session.run(None, {"x": numpy.ones(1, numpy.float32)})
"""


def left_by(code: str, folder: Path) -> tuple[str, set[str]]:
    """What a process that runs ``code`` prints, and the files that it leaves in its account."""
    account, programs = folder / "account", folder / "programs"
    places = {
        "HOME": "home",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
        "TMPDIR": "tmp",
    }
    for name in (*places.values(), "here"):
        (account / name).mkdir(parents=True)
    programs.mkdir()
    for name in STUBS:
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{folder}/seen\nexit 1\n")
        (programs / name).chmod(0o755)
    environment = {variable: str(account / name) for variable, name in places.items()}
    environment |= {"PATH": str(programs), "ORT_DISABLE_TELEMETRY": "0"}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    done = subprocess.run(
        [sys.executable, "-c", f"SEEN = {str(folder / 'seen')!r}\n{WATCH}\n{code}"],
        cwd=account / "here",
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    files = {str(p.relative_to(account)) for p in account.rglob("*") if not p.is_dir()}
    return done.stdout, files


@pytest.mark.slow
def test_reading_a_video(tmp_path: Path) -> None:
    printed, files = left_by(READ.format(clip=str(ROOT / "examples" / "hello.mp4")), tmp_path)
    assert printed == "hello\n"
    assert not (tmp_path / "seen").exists(), (tmp_path / "seen").read_text()
    assert files == set()


@pytest.mark.slow
def test_networks_of_the_research_half(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    _, files = left_by(RUN, tmp_path)
    assert {name for name in files if "onnxruntime" in name.lower() or "Microsoft" in name} == set()


def test_no_benchmark_imports_it_before_chereme() -> None:
    """The variable is set by the first import of chereme, which isort puts behind theirs."""
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        assert "import onnxruntime" not in path.read_text(), path
