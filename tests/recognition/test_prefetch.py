"""Reading ahead keeps order and errors, is bounded, and leaves no thread behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from chereme.recognition.prefetch import prefetch


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "chereme-prefetch"]


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_same_items_in_the_same_order(count: int) -> None:
    assert list(prefetch(range(count), depth=3)) == list(range(count))
    assert threads() == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("broken")

    got = []
    with pytest.raises(ValueError, match="broken"):  # noqa: PT012 - the items before it matter
        for item in prefetch(items()):
            got.append(item)
    assert got == [1, 2]
    assert threads() == []


def test_no_more_than_depth_is_read_ahead() -> None:
    started = []

    def items() -> Iterator[int]:
        for i in range(50):
            started.append(i)
            yield i

    ahead = prefetch(items(), depth=4)
    next(ahead)
    time.sleep(0.3)
    # One consumed, four in the queue, one in the reader's hand.
    assert len(started) <= 6
    ahead.close()
    assert threads() == []


def test_closing_early_ends_the_thread_before_the_source_is_closed() -> None:
    active = []

    def items() -> Iterator[int]:
        for i in range(1000):
            active.append(True)
            yield i
            active.pop()

    ahead = prefetch(items(), depth=2)
    assert next(ahead) == 0
    ahead.close()
    assert threads() == []
    count = len(active)
    time.sleep(0.2)
    assert len(active) == count


def test_items_are_made_in_another_thread() -> None:
    def items() -> Iterator[str]:
        yield threading.current_thread().name

    assert list(prefetch(items())) == ["chereme-prefetch"]
