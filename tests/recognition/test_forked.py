"""Recognition in a process that was forked from one that has recognised."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

import chereme

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello.mp4"


def read(recognizer: Any, answers: Any) -> None:
    answers.put(recognizer.recognize(EXAMPLE).text)


@pytest.mark.slow
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the system has no fork"
)
def test_a_forked_process_reads_as_its_parent() -> None:
    recognizer = chereme.load("fingerspelling", threads=2)
    assert recognizer.recognize(EXAMPLE).text == "hello"
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=read, args=(recognizer, answers))
    child.start()
    try:
        assert answers.get(timeout=120) == "hello"
    finally:
        child.kill()
        child.join()
