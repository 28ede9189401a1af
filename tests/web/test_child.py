"""The process that decodes, from its own side of the pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra web is not installed")

from chereme.web import messages
from chereme.web.settings import LEAST_MEMORY
from child import NEEDS_PROC

JOB = {
    "kind": "recognize",
    "model": "fingerspelling",
    "options": {"stream": "landmarks", "threads": 1},
    "limits": {},
    "name": "hello.mp4",
    "form": "txt",
    "top": 5,
}


def start(memory: int = LEAST_MEMORY, code: str = "") -> subprocess.Popen[bytes]:
    """A child, in which ``code`` has run before."""
    run = f"{code}\nfrom chereme.web.child import main\nmain()"
    command = [sys.executable, "-c", run, str(memory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def answers(process: subprocess.Popen[bytes], *sent: bytes) -> list[bytes]:
    """What a child answers until it ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(messages.pack(message) for message in sent))
    process.stdin.flush()
    found = []
    while (message := messages.read(process.stdout)) is not None:
        found.append(message)
    process.stdin.close()
    process.wait(timeout=30)
    return found


def test_it_reads_with_the_least_memory_that_may_be_set(hello: bytes) -> None:
    job = json.dumps(JOB).encode()
    assert answers(start(), job, hello[:1000], hello[1000:], b"") == [b"{}", b"hello\n"]


def test_what_libraries_print_is_no_answer(hello: bytes) -> None:
    noise = "import os, threading; threading.Timer(0.5, os.write, (1, b'noise')).start()"
    assert answers(start(code=noise), json.dumps(JOB).encode(), hello, b"")[1] == b"hello\n"


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
@pytest.mark.parametrize(
    ("does", "kind", "told"),
    [
        ("bytearray(3 << 30)", "MemoryError", ""),
        ("open(PATH, 'wb', buffering=0).write(b'x')", "", "File too large"),
    ],
)
def test_limits_hold_while_it_works(tmp_path: Path, does: str, kind: str, told: str) -> None:
    path = tmp_path / "written"
    code = (
        f"from chereme.web import jobs\nPATH = {str(path)!r}\n"
        f"jobs.JOBS['recognize'] = lambda receive, send: {does}"
    )
    (answer,) = answers(start(code=code), b'{"kind": "recognize"}')
    error = json.loads(answer)["error"]
    assert error["kind"] == kind
    assert told in error["text"]
    assert not path.exists() or not path.stat().st_size


@pytest.mark.parametrize(
    ("changed", "content", "kind", "told"),
    [
        ({}, b"no video", "InputError", "hello.mp4"),
        ({"limits": {"max_pixels": 100}}, None, "LimitError", "over the limit of 100 pixels"),
        ({"options": {"hand": "both"}}, None, "UsageError", "hand"),
        ({"model": "none"}, None, "UsageError", "no model 'none'"),
        ({"kind": "none"}, None, "", "KeyError"),
    ],
)
def test_errors_are_told_by_kind(
    hello: bytes, changed: dict[str, object], content: bytes | None, kind: str, told: str
) -> None:
    job = json.dumps(JOB | changed).encode()
    (answer,) = answers(start(), job, hello if content is None else content, b"")
    error = json.loads(answer)["error"]
    assert error["kind"] == kind
    assert told in error["text"]


@NEEDS_PROC
def test_it_ends_when_nobody_listens() -> None:
    process = start(
        code="import time\nfrom chereme.web import jobs\n"
        "jobs.JOBS['recognize'] = lambda receive, send: time.sleep(600)"
    )
    assert process.stdin is not None
    process.stdin.write(messages.pack(b'{"kind": "recognize"}'))
    process.stdin.close()
    assert process.wait(timeout=30) == 0


def test_a_message_that_claims_too_much_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="at most"):
        messages.length(b"\xff\xff\xff\xff")
    left, right = os.pipe()
    os.write(right, messages.pack(b"whole") + b"\x00\x00\x00\x09cut")
    os.close(right)
    with os.fdopen(left, "rb") as stream:
        assert messages.read(stream) == b"whole"
        assert messages.read(stream) is None
