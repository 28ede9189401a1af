"""Files for the user: not replaced unasked, whole or not at all, refused before the work."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from chereme.errors import OutputError
from chereme.formats.outputs import (
    LOCK,
    check_output,
    check_output_folder,
    new_file,
    write_file,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_written_and_its_folder_made(tmp_path: Path) -> None:
    write_file(tmp_path / "new" / "a.txt", b"text")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"text"
    assert names(tmp_path / "new") == ["a.txt"]


def test_its_permissions_are_those_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_file(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_is_there_is_kept(tmp_path: Path, kind: str) -> None:
    path, real = tmp_path / "a.eaf", tmp_path / "real"
    if kind == "file":
        path.write_bytes(b"hours of work")
    else:
        path.symlink_to(real)
    if kind == "link":
        real.write_bytes(b"hours of work")
    for write in (check_output, lambda p: write_file(p, b"new")):
        with pytest.raises(OutputError, match=r"a\.eaf is there already.*--overwrite"):
            write(path)
    assert kind == "dangling" or path.read_bytes() == b"hours of work"
    assert real.exists() == (kind == "link")


def test_overwrite_keeps_the_link_and_the_permissions(tmp_path: Path) -> None:
    real, link = tmp_path / "elsewhere" / "real.txt", tmp_path / "link.txt"
    real.parent.mkdir()
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_file(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert names(real.parent) == ["real.txt"]


def test_a_file_that_appears_during_the_work_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def work() -> None:
        with new_file(path) as part:
            part.write_bytes(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(OutputError, match="there already"):
        work()
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.txt"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_file(tmp_path / "a.txt", b"text")
    assert (tmp_path / "a.txt").read_bytes() == b"text"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_work_that_fails_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def work() -> None:
        with new_file(path, overwrite=True) as part:
            assert part.suffix == ".mp4"
            part.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        work()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.mp4"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written \(No space left on device"):
        write_file(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "name", ["folder", "file/a.txt", "x" * 252 + ".txt", "x" * 300 + "/a.txt", "/proc/nope/a.txt"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_cannot_be_is_found_before_the_work(
    tmp_path: Path, name: str, overwrite: bool
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        check_output(tmp_path / name, overwrite=overwrite)
    assert names(tmp_path) == ["file", "folder"]


def test_the_longest_name_that_fits(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".txt")
    write_file(path, b"text")
    write_file(path, b"again", overwrite=True)
    assert path.read_bytes() == b"again"


def test_no_folder_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "folder" / "a.txt")
    assert names(tmp_path) == []

    def work() -> None:
        with new_file(tmp_path / "new" / "folder" / "a.txt"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable to this user")
def test_a_folder_and_a_file_that_are_read_only(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    (tmp_path / "a.txt").chmod(0o400)
    with pytest.raises(OutputError, match="read-only"):
        check_output(tmp_path / "a.txt", overwrite=True)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            check_output(tmp_path / "b.txt")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.timeout(20)
def test_devices_are_written_to(tmp_path: Path) -> None:
    write_file("/dev/null", b"text")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_output(pipe)  # does not wait for somebody who reads
    with pytest.raises(OutputError, match="nobody reads from this pipe"):
        write_file(pipe, b"text")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert names(tmp_path) == ["pipe"]


def test_folders(tmp_path: Path) -> None:
    check_output_folder(tmp_path / "new" / "bundle")
    assert names(tmp_path) == []
    (tmp_path / "new" / "bundle").mkdir(parents=True)
    check_output_folder(tmp_path / "new" / "bundle")  # empty
    (tmp_path / "new" / "bundle" / "thesis.doc").write_text("words")
    with pytest.raises(OutputError, match=r"is no empty folder \(thesis.doc\)"):
        check_output_folder(tmp_path / "new" / "bundle")
    check_output_folder(tmp_path / "new" / "bundle", overwrite=True)
    with pytest.raises(OutputError, match="but this is a file"):
        check_output_folder(tmp_path / "new" / "bundle" / "thesis.doc")
    with pytest.raises(OutputError, match="cannot be written"):
        check_output_folder("/proc/nope")
    assert names(tmp_path / "new" / "bundle") == ["thesis.doc"]


def test_a_folder_of_earlier_work_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"is no empty folder \(manifest.csv\)"):
        check_output_folder(tmp_path, resumed=True)
    (tmp_path / LOCK).touch()
    check_output_folder(tmp_path, resumed=True)
    with pytest.raises(OutputError, match="is no empty folder"):
        check_output_folder(tmp_path)
