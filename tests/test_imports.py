"""Libraries that are absent, damaged, or do more than they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chereme._imports import _deferred, require
from chereme.errors import MissingDependencyError


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("import no_such_library_at_all", "-m pip install"),
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "apt-get install"),
        ("raise OSError('x.so: cannot open shared object file: No such file')", "apt-get install"),
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


def test_a_library_waits_until_something_of_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "__init__.py").write_text("loud = True\n")
    (tmp_path / "noisy" / "part.py").write_text("value = 5\n")
    (tmp_path / "user_of_noise.py").write_text("import noisy.part as part\nimport noisy\n")
    monkeypatch.syspath_prepend(tmp_path)
    with _deferred("noisy", "noisy.part"):
        user = require("user_of_noise")
    assert not {"noisy", "noisy.part"} & set(sys.modules)
    assert not hasattr(user.part, "__path__")
    assert (user.part.value, user.noisy.loud) == (5, True)
    assert sys.modules["noisy.part"].value == 5
    # What is there already is used as it is.
    with _deferred("noisy"):
        assert sys.modules["noisy"].loud


def test_a_library_that_is_asked_at_once_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eager.py").write_text("value = 6\n")
    monkeypatch.syspath_prepend(tmp_path)
    with _deferred("eager", "eager.part"):
        import eager  # type: ignore[import-not-found]

        assert eager.value == 6


def test_drawing_of_mediapipe_works_all_the_same() -> None:
    code = (
        "import sys\n"
        "from chereme._imports import require\n"
        "mediapipe = require('mediapipe')\n"
        "assert not {'matplotlib', 'sounddevice'} & set(sys.modules)\n"
        "drawing = mediapipe.solutions.drawing_utils\n"
        "import matplotlib.pyplot\n"
        "assert drawing.plt.figure is matplotlib.pyplot.figure\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
