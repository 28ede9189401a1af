"""Every kind of input: a regular file of a bounded size, or a clear error at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chereme.datasets.metadata import read_json
from chereme.errors import InputError, LimitError
from chereme.formats.files import open_file, read_file
from chereme.formats.manifests import read_manifest
from chereme.formats.poses import read_landmarks
from chereme.formats.tracks.files import import_track, open_tracks
from chereme.formats.xml_files import read_xml
from chereme.text.glosses import GlossVocabulary
from chereme.video import open_video


def read_elan(path: Path) -> Any:
    return read_xml(path, ("ANNOTATION_DOCUMENT",))


READERS: list[tuple[str, Callable[[Path], Any]]] = [
    *[(f"clip{suffix}", open_video) for suffix in (".mp4", ".jpg", ".png", ".webp", "")],
    ("hands.npz", read_landmarks),
    ("hands.pose", read_landmarks),
    ("tracks.npz", open_tracks),
    ("tracks.pose", open_tracks),
    ("track.npy", lambda path: import_track("mediapipe", path)),
    ("track.json", lambda path: import_track("dwpose", path)),
    ("manifest.csv", read_manifest),
    ("elan.eaf", read_elan),
    ("glosses.json", GlossVocabulary.load),
    ("data.json", read_json),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("name", "read"), READERS, ids=[name for name, _ in READERS])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_refused_at_once(
    name: str, read: Callable[[Path], Any], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)  # nobody writes to it: opening it to read would wait for ever
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="regular file"):
        read(path)


def test_files_of_the_system_that_have_no_size_are_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path) == b"12345"
    assert read_file(path, 5) == b"12345"
    with pytest.raises(LimitError, match=r"file: expected at most 4 bytes, got 5"):
        read_file(path, 4)


def test_a_file_of_the_system_that_has_nothing_at_the_moment(tmp_path, monkeypatch) -> None:
    path = tmp_path / "kmsg"
    path.touch()

    class Waiting:
        """What a file that may not wait says where there is nothing yet."""

        def __enter__(self) -> Waiting:
            return self

        def __exit__(self, *_: object) -> None: ...

        def fileno(self) -> int:
            return os.open(path, os.O_RDONLY)

        def read(self, _: int) -> None:
            return None

    monkeypatch.setattr("chereme.formats.files.open_file", lambda _: Waiting())
    assert read_file(path) == b""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", r"missing: cannot be read \(No such file or directory\)"),
        ("a\0b", "null byte"),
        ("x" * 5000, "cannot be read"),
        (".", "regular file"),
    ],
)
def test_what_cannot_be_opened(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_file(tmp_path / name)


def test_a_name_that_is_too_long_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_video(tmp_path / ("x" * 5000 + ".mp4"))


def test_an_opened_file_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    path.chmod(0o400)
    with open_file(path) as file:
        assert file.read() == b"12345"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
