"""The examples run as they stand, with a file in the camera's place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).resolve().parents[1]
HELLO = ROOT / "examples" / "hello.mp4"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, f"examples/{name}.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_captions(tmp_path: Path) -> None:
    lines = run("captions", HELLO).removesuffix("\n").split("\n")
    assert [line.rsplit("\r\033[K", 1)[-1] for line in lines] == ["hello"]
    # Cameras begin at any time.
    with av.open(str(HELLO)) as source, av.open(str(tmp_path / "late.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts += round(5000 / packet.time_base)
                packet.dts += round(5000 / packet.time_base)
                packet.stream = stream
                target.mux(packet)
    assert run("captions", tmp_path / "late.mkv").endswith("\r\033[Khello\n")


def test_tour() -> None:
    printed = run("tour")
    assert printed.startswith("read: hello\n")
    assert "\n  final    hello\n" in printed
    assert "among names: hello\n" in printed
    assert "25 frames, hands: " in printed


@pytest.mark.parametrize("name", ["captions", "tour"])
def test_examples_are_told_of(name: str) -> None:
    assert f"`{name}.py`" in (ROOT / "examples" / "README.md").read_text()
