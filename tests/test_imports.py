"""Libraries that are absent or damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chereme._imports import require
from chereme.errors import MissingDependencyError


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("import no_such_library_at_all", "-m pip install"),
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "install the package"),
        (
            "raise OSError('x.so: cannot open shared object file: No such file')",
            "install the package",
        ),
    ],
)
def test_what_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, advice: str
) -> None:
    (tmp_path / "damaged_library.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match="'damaged_library'") as caught:
        require("damaged_library")
    assert advice in str(caught.value)


def test_of_our_own_modules_the_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "chereme.hand_model.rotations", raising=False)
    with pytest.raises(MissingDependencyError, match="needs the library 'torch'"):
        require("chereme.hand_model.rotations")
