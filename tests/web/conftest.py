"""A server that runs in a process of its own, as ``chereme serve`` starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra web is not installed")

from serving import Server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """One that many tests ask; small caps, so that they are quickly met."""
    caps = ("--max-bytes", 2 << 20, "--max-seconds", 20, "--max-pixels", 640 * 480)
    with Server(*caps, "--sessions", 4) as running:
        yield running


@pytest.fixture
def hello() -> bytes:
    """The example recording."""
    return (Path(__file__).resolve().parents[2] / "examples" / "hello.mp4").read_bytes()
