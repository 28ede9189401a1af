from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.teachers import Clip, Teacher
from chereme.teachers.precomputed import PrecomputedTeacher


def clip(name: str, frames: int = 4) -> Clip:
    return Clip(name, np.zeros((frames, 8, 8, 3), np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "expose"
    (folder / "aslized").mkdir(parents=True)
    rng = np.random.default_rng(0)
    np.save(folder / "aslized" / "one_1745.npy", rng.normal(size=(4, 6)).astype(np.float32))
    np.save(folder / "aslized" / "one_1745.flip.npy", rng.normal(size=(4, 6)))
    np.save(folder / "two.npy", rng.normal(size=(4, 6)).astype(np.float16))
    return folder


def test_vectors_come_by_clip_in_both_orientations(folder: Path) -> None:
    teacher: Teacher = PrecomputedTeacher(folder)
    assert (teacher.name, teacher.dim) == ("expose", 6)
    assert PrecomputedTeacher(folder, name="pixie").name == "pixie"
    vectors, mirrored = teacher.embed_clip(clip("aslized/one_1745"))
    np.testing.assert_array_equal(vectors, np.load(folder / "aslized/one_1745.npy"))
    assert mirrored is not None
    assert mirrored.dtype == np.float32
    np.testing.assert_allclose(mirrored, np.load(folder / "aslized/one_1745.flip.npy"), rtol=1e-6)
    vectors, mirrored = teacher.embed_clip(clip("two"))
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.load(folder / "two.npy"))
    assert mirrored is None


def refused(folder: Path, name: str, reason: str, frames: int = 4) -> None:
    with pytest.raises(InputError, match=reason):
        PrecomputedTeacher(folder).embed_clip(clip(name, frames))


def test_vectors_that_do_not_fit_the_clip_are_refused(folder: Path) -> None:
    refused(folder, "three", r"three\.npy: expected the vectors of clip three, found no such file")
    refused(folder, "two", r"two\.npy: expected shape \(5, 6\).*got \(4, 6\)", frames=5)
    np.save(folder / "wide.npy", np.zeros((4, 7)))
    refused(folder, "wide", r"wide\.npy: expected shape \(4, 6\).*one_1745.*got \(4, 7\)")
    np.save(folder / "two.flip.npy", np.zeros((3, 6)))
    refused(folder, "two", r"two\.flip\.npy: expected shape \(4, 6\).*got \(3, 6\)")
    for value in (np.nan, np.inf):
        bad = np.zeros((4, 6))
        bad[2, 3] = bad[3, 0] = value
        np.save(folder / "bad.npy", bad)
        refused(folder, "bad", r"bad\.npy: expected finite.*in 2 of 4 frames, first in frame 2")


def test_files_that_hold_no_vectors_are_refused(folder: Path) -> None:
    np.save(folder / "flat.npy", np.zeros(6))
    refused(folder, "flat", r"flat\.npy: expected floating-point vectors \(T, D\), got .* \(6,\)")
    np.save(folder / "whole.npy", np.zeros((4, 6), int))
    refused(folder, "whole", r"whole\.npy: expected floating-point vectors.*int64")
    np.save(folder / "object.npy", np.array([[{}]]), allow_pickle=True)
    refused(folder, "object", r"object\.npy: expected a \.npy file of numbers")
    (folder / "text.npy").write_text("no array")
    refused(folder, "text", r"text\.npy: expected a \.npy file of numbers")
    np.savez(folder / "zip", np.zeros((4, 6)))
    (folder / "zip.npz").rename(folder / "zip.npy")
    refused(folder, "zip", r"zip\.npy: expected a \.npy file of numbers")
    (folder / "empty.npy").touch()
    refused(folder, "empty", r"empty\.npy: expected a \.npy file of numbers")


def test_ids_stay_in_the_folder(folder: Path) -> None:
    np.save(folder.parent / "secret.npy", np.zeros((4, 6)))
    for name in ("../secret", str(folder.parent / "secret")):
        refused(folder, name, "stays inside")


def test_a_folder_without_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder.*found no \.npy"):
        PrecomputedTeacher(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        PrecomputedTeacher(tmp_path / "absent")
