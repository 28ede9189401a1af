"""Seconds are added up by stage, whatever happens in it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from chereme.recognition.stages import Stages


def test_stages_add_up() -> None:
    stages = Stages()
    stages.add({"read": 1.0})
    for _ in range(2):
        with stages("read"):
            time.sleep(0.02)
    assert 1.04 <= stages.seconds["read"] < 1.5


def test_a_stage_that_fails_counts() -> None:
    stages = Stages()
    with pytest.raises(ZeroDivisionError), stages("search"):
        _ = 1 / 0
    assert stages.seconds["search"] > 0


def test_only_the_time_inside_an_iterator_counts() -> None:
    def slow() -> Iterator[int | None]:
        for item in (1, None, 3):  # None is an item, not the end
            time.sleep(0.01)
            yield item

    stages, found = Stages(), []
    for item in stages.iterate("crop", slow()):
        time.sleep(0.05)
        found.append(item)
    assert found == [1, None, 3]
    assert 0.03 <= stages.seconds["crop"] < 0.1
