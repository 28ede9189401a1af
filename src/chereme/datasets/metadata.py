"""What data sets publish beside their clips: tables, JSON files, word lists, names of clips."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chereme.datasets.corpus import Unusable
from chereme.errors import InputError, UsageError
from chereme.formats.files import read_file
from chereme.formats.manifests import SPLIT_NAMES, Split
from chereme.formats.paths import nfc
from chereme.formats.tables import read_rows

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv")
LANDMARK_SUFFIXES = (".pose", ".npz")
_ORDER = {suffix: place for place, suffix in enumerate((*VIDEO_SUFFIXES, "", *LANDMARK_SUFFIXES))}


def is_clip(path: Path) -> bool:
    """Whether the name is that of a video, of a file of landmarks, or a visible folder."""
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES or suffix in LANDMARK_SUFFIXES or path.is_dir()


class ClipFiles:
    """Finds clips in a folder by their names without suffix; every folder is listed once.

    Of several with one name a video goes before a folder of frames, and this before landmarks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, name: str) -> Path:
        """The clip ``name`` (with ``/`` for subfolders), or where its video would lie.

        A suffix of a video or of landmarks in ``name`` is left away. Unusable for a name that leads
        out of the folder.
        """
        if escapes(name):
            raise Unusable("file name leaves the folder of the clips", name)
        place = self.folder / name
        if place.suffix.lower() in (*VIDEO_SUFFIXES, *LANDMARK_SUFFIXES):
            place = place.with_suffix("")
        if place.parent not in self._listed:
            self._listed[place.parent] = self._list(place.parent)
        return self._listed[place.parent].get(nfc(place.name), place.with_name(place.name + ".mp4"))

    @staticmethod
    def _list(folder: Path) -> dict[str, Path]:
        found: dict[str, Path] = {}
        if folder.is_dir():
            clips = [(_key(path), path) for path in sorted(folder.iterdir()) if is_clip(path)]
            for (name, _), path in sorted(clips, key=lambda clip: clip[0][1]):
                found.setdefault(nfc(name), path)
        return found


def _key(path: Path) -> tuple[str, int]:
    if path.suffix.lower() in _ORDER and not path.is_dir():
        return path.stem, _ORDER[path.suffix.lower()]
    return path.name, _ORDER[""]


def first_folder(root: Path, names: Iterable[str]) -> Path:
    """The first of the subfolders ``names`` that exists; else ``root``."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def first_file(root: Path, *names: str, hint: str) -> Path:
    """The first of the files ``names`` in ``root`` that exists. InputError, which ends with what to
    give, if none does."""
    found = next((root / name for name in names if (root / name).is_file()), None)
    if found is None:
        raise InputError(
            f"{root}: expected {' or '.join(dict.fromkeys(names))}, got no such file; give {hint}"
        )
    return found


def list_folder(folder: Path) -> list[Path]:
    """What is in a folder, in order. InputError if it cannot be listed."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder, and it cannot be listed ({error.strerror}); check the "
            "path"
        ) from error


def escapes(name: str) -> bool:
    """Whether a name of a metadata file would lead out of the folder that it is looked up in."""
    path = Path(name)
    return path.is_absolute() or ".." in path.parts or "\0" in name or not name.strip()


def read_text(path: Path) -> str:
    """The text of a list of words: UTF-8, with or without byte-order mark, or else GB 18030.

    The lists of Chinese data sets are kept in either. InputError if it is neither.
    """
    data = read_file(path)
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path}: expected text in UTF-8 or GB 18030, got neither; save it as UTF-8")


def read_json(path: Path) -> Any:
    """What a JSON file holds. InputError, with the line, if it cannot be read as one."""
    try:
        return json.loads(read_file(path))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: expected JSON, got something else ({error}); download the file again"
        ) from error


def read_table(
    path: Path, needed: Sequence[str], *, bars: bool = False, loose: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table with a header, by column, each with the place where it is.

    ``bars``: cells lie between ``|``, in UTF-8; else as :func:`read_rows` takes tables. A row with
    another number of cells than the header is an InputError, as is a ``needed`` column that is
    lacking. With ``loose`` such a row is empty, and cells keep their white space.
    """
    rows = _bar_rows(path) if bars else read_rows(path)
    _, first = next(rows, (1, []))
    header = [cell.strip() for cell in first]
    if lacking := [name for name in needed if name not in header]:
        raise InputError(
            f"{path}: expected a header with {','.join(needed)}, got {','.join(header)!r}: "
            f"{' and '.join(lacking)} lacking; use the table that comes with the data set"
        )
    for line, cells in rows:
        fits = len(cells) == len(header)
        if not (fits or loose):
            raise InputError(
                f"{path}, line {line}: expected {len(header)} cells ({','.join(header)}), got "
                f"{len(cells)}"
            )
        kept = cells if loose else [cell.strip() for cell in cells]
        yield f"{path.name} line {line}", dict(zip(header, kept, strict=True)) if fits else {}


def _bar_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a table in UTF-8 ({error}); check the path") from error
    for line, row in enumerate(text.splitlines(), 1):
        if row.strip():
            yield line, row.split("|")


def numbered_words(path: Path) -> dict[int, str]:
    """A list with a number, white space and a word in each line, UTF-8 or GB
    18030. InputError for another line."""
    words: dict[int, str] = {}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        number, *word = text.strip().split(maxsplit=1) or [""]
        if number.isdecimal() and word:
            words[int(number)] = word[0]
        elif text.strip():
            raise InputError(
                f"{path}, line {line}: expected a number, a tab and a word, got {text!r}; use the "
                "list that comes with the data set"
            )
    return words


def one_of(option: str, value: Any, known: Iterable[Any]) -> None:
    """UsageError if ``value`` is none of the ``known`` ones."""
    known = tuple(known)
    if value not in known:
        raise UsageError(f"{option}: expected {', '.join(map(str, known))}, got {value}")


def text_of(row: Mapping[str, Any], name: str) -> str:
    """The text or number in a field, as text. Unusable if it is lacking or empty."""
    value = row.get(name)
    text = str(value).strip() if isinstance(value, str | int) else ""
    if not text:
        raise Unusable(f"no {name}")
    return text


def number_of(row: Mapping[str, Any], name: str) -> float:
    """The number in a field. Unusable if it is lacking or no number."""
    value = row.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unusable(f"no {name}")
    if not math.isfinite(value):
        raise Unusable(f"no {name}")
    return value


def whole_of(row: Mapping[str, Any], name: str) -> int:
    """The whole number in a field. Unusable if it is lacking or has a fraction."""
    value = number_of(row, name)
    if value != int(value):
        raise Unusable(f"no {name}", f"{value:g}")
    return int(value)


def signer_of(row: Mapping[str, Any], name: str = "signer_id") -> str | None:
    """The signer in a field; -1 is nobody."""
    return None if row.get(name) in (None, -1) else str(row[name])


def split_of(row: Mapping[str, Any], name: str) -> Split:
    """``train``, ``dev`` or ``test`` for a field that says so, or val. Unusable if it does not."""
    split = SPLIT_NAMES.get(str(row.get(name) or "").strip().lower())
    if split is None:
        raise Unusable("split is not train, dev or test", str(row.get(name, "")))
    return split


def youtube_id(url: str) -> str | None:
    """The eleven characters that name a YouTube video in ``url``; None for another address."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = (parts.hostname or "").lower()
    last = parts.path.rstrip("/").rpartition("/")[2]
    if host.endswith("youtu.be"):
        found = last
    elif "youtube" in host:
        found = parse_qs(parts.query).get("v", [last])[0]
    else:
        return None
    return found[:11] if len(found) >= 11 else None


def distinct(names: Mapping[int, str], digits: int) -> dict[int, str]:
    """Names of classes by number, with the number (of so many digits) added to those that several
    classes have: a list of words may give one word for two signs, which stay two classes."""
    times = Counter(names.values())
    return {n: w if times[w] == 1 else f"{w} ({n:0{digits}d})" for n, w in names.items()}
