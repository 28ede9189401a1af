"""The files that a user asks for: never replaced unasked, never half there, refused before work.

A file is written under a name of its own in the folder where it shall lie, and gets its name when
it is complete.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chereme.errors import OutputError

LOCK = ".lock"
"""A file in each folder that long work goes on with when it is done again."""

_LONGEST_SUFFIX = 16  # characters: the name while a file is being written must not become too long


def check_output(path: str | Path, *, overwrite: bool = False) -> None:
    """Raise ``OutputError`` if no file can be written to ``path``. Nothing is left behind.

    A file, a folder or a link that is there is no place for a new one; with ``overwrite`` a file
    is. Devices and pipes are always written to.
    """
    path = Path(path)
    with _telling(path):
        if _is_stream(path):
            return
        if path.is_dir():
            raise OutputError(
                f"{path}: expected the name of a file, but this is a folder; give another name"
            )
        if os.path.lexists(path):
            if not overwrite:
                raise _there(path)
            if not os.access(path, os.W_OK):
                raise OutputError(f"{path} is read-only: it was left as it is; give another name")
        _try_out(_target(path, overwrite))


def check_output_folder(
    path: str | Path, *, overwrite: bool = False, resumed: bool = False
) -> None:
    """Raise ``OutputError`` if no folder of new files can be made at ``path``.

    A folder that holds something is no place for them, but with ``overwrite``, or where it is
    ``resumed`` and is one of earlier work, with ``LOCK`` in it.
    """
    path = Path(path)
    with _telling(path):
        if os.path.lexists(path) and not path.is_dir():
            raise OutputError(f"{path}: expected a folder, but this is a file; give another name")
        _try_out(path / "file")
        if overwrite or (resumed and os.path.lexists(path / LOCK)):
            return
        if path.exists() and (found := sorted(child.name for child in path.iterdir())):
            raise OutputError(
                f"{path} is no empty folder ({', '.join(found[:3])}) and was left as it is: give "
                "another name, or --overwrite to replace what is there"
            )


@contextmanager
def new_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Where to write what becomes the file ``path`` at the end of the block, if that has no error.

    Begins as :func:`check_output`, so that a block with long work in it is refused before that.
    """
    path = Path(path)
    check_output(path, overwrite=overwrite)
    if _is_stream(path):
        with _telling(path), _somebody_reads(path):
            yield path
        return
    target = _target(path, overwrite)
    made = _missing_folders(target)
    with _telling(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _begin(target)
    try:
        yield part
        with _telling(path):
            _settle(part, target, overwrite)
    finally:
        part.unlink(missing_ok=True)
        _remove_empty(made)


def write_file(path: str | Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write ``content`` to ``path``, whose folder is made.

    Raises ``OutputError`` if that cannot be, or if it is there already and not to be replaced.
    """
    with new_file(path, overwrite=overwrite) as part, _telling(Path(path)):
        part.write_bytes(content)


def _there(path: Path) -> OutputError:
    return OutputError(
        f"{path} is there already and was left as it is: give another name, or --overwrite to "
        "replace it"
    )


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); check the name, the folder, "
            "and the space on the disk"
        ) from error


def _is_stream(path: Path) -> bool:
    """A device, a pipe or a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def _somebody_reads(path: Path) -> Iterator[None]:
    """Opens a pipe for the time of the block: to write to one that nobody reads waits for ever."""
    if not path.is_fifo():
        yield
        return
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OutputError(f"{path}: nobody reads from this pipe; start its reader first") from None
    try:
        yield
    finally:
        os.close(pipe)


def _target(path: Path, overwrite: bool) -> Path:
    """What is replaced is the file behind a link, not the link."""
    return Path(os.path.realpath(path)) if overwrite else path


def _try_out(target: Path) -> None:
    """Begin a file, and take back all that this made."""
    made = _missing_folders(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _begin(target).unlink()
    finally:
        _remove_empty(made)


def _missing_folders(target: Path) -> list[Path]:
    """The deepest first."""
    return [folder for folder in target.parents if not os.path.lexists(folder)]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _begin(target: Path) -> Path:
    """An empty file beside ``target``, of its kind; fails too where ``target`` would."""
    with suppress(FileNotFoundError):
        os.lstat(target)
    suffix = target.suffix if len(target.suffix) <= _LONGEST_SUFFIX else ""
    part = target.with_name(f".{os.urandom(4).hex()}.part{suffix}")
    part.open("xb").close()
    return part


def _settle(part: Path, target: Path, overwrite: bool) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    if overwrite:
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
        return
    try:
        os.link(part, target)  # unlike a rename, never over another file
    except FileExistsError:
        raise _there(target) from None
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise _there(target) from None
        part.replace(target)
