"""The table of tasks: its places exist, and options are those of the recogniser."""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path

import pytest

import chereme
import fakes
from chereme._imports import find
from chereme.errors import UsageError
from chereme.recognition.tasks import TASKS, Task, option_names


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_place_exists(task: Task) -> None:
    assert is_dataclass(find(task.config))
    assert {"threads", "rate", "limits", "make_detector"} <= option_names(find(task.recognizer))
    assert callable(find(task.evaluation))
    assert task.exports
    for place in task.exports.values():
        module, _, name = place.partition(":")
        file = Path(chereme.__path__[0], *module.split(".")[1:]).with_suffix(".py")
        assert f"def {name}(" in file.read_text(encoding="utf-8")


def test_options_reach_the_recogniser(tmp_path: Path) -> None:
    model = fakes.make_bundle(tmp_path / "letters").directory
    assert chereme.load(model, threads=1, hand="left").hand == "left"
    with pytest.raises(UsageError, match=r"language: the model .* reads letters and has no such"):
        chereme.load(model, language="ASL")
