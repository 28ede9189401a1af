"""Teachers by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.errors import UsageError
from chereme.teachers.landmarks import LandmarkTeacher
from chereme.teachers.opening import open_teachers
from chereme.teachers.precomputed import PrecomputedTeacher


def test_teachers_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3), np.float32))
    found = open_teachers(["precomputed", "landmarks", "landmarks"], vectors=[tmp_path])
    assert [type(teacher) for teacher in found] == [PrecomputedTeacher, LandmarkTeacher]
    assert open_teachers([]) == []


@pytest.mark.parametrize(
    ("names", "files", "message"),
    [
        (["frankmocap"], {}, r"expected hamer, .*, got frankmocap"),
        (["hamer"], {}, "hamer or hamer-vit goes with --checkpoint"),
        (["landmarks"], {"checkpoint": Path("x")}, "hamer or hamer-vit goes with --checkpoint"),
        (["precomputed"], {}, "precomputed goes with --vectors"),
        (["landmarks"], {"vectors": [Path("x")]}, "precomputed goes with --vectors"),
    ],
)
def test_what_does_not_go_together(names: list[str], files: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_teachers(names, **files)


@pytest.mark.parametrize("second", ["b/pixie", "v1.0"])
def test_names_of_folders_name_their_vectors(tmp_path: Path, second: str) -> None:
    folders = [tmp_path / "pixie", tmp_path / second]
    for folder in folders:
        folder.mkdir(parents=True)
        np.save(folder / "a.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(UsageError, match="names without a dot, each once"):
        open_teachers(["precomputed"], vectors=folders)
