"""Hostile input in a process of its own: a hang, a crash and memory are seen from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc to see the peak of memory"
)

_WRAPPER = """
import resource, sys, traceback
# Far above every limit that is tested: no more than a belt for the machine that runs the tests.
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
from chereme.errors import CheremeError
try:
    exec(compile(sys.argv.pop(1), "child", "exec"))
except CheremeError as error:
    print(f"{type(error).__name__}: {error}")
# Not ru_maxrss: a child inherits in it the peak of the process that started it.
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print("peak", peak // 1024)
"""


def interruptible() -> None:
    """For ``preexec_fn``: SIGINT ends a child also where this process ignores it (nohup)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Ended:
    """What a child printed (the error that it raised, if it is one of ours), and its peak in MB."""

    output: str
    peak: int


def run_child(code: str, *arguments: object, seconds: float = 120) -> Ended:
    """Run ``code`` with ``sys.argv[1:]``; AssertionError, with its output, for any other end."""
    done = subprocess.run(
        [sys.executable, "-c", _WRAPPER, code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-3000:]}"
    output, _, peak = done.stdout.rpartition("peak ")
    return Ended(output.strip(), int(peak))
