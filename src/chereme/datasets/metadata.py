"""What data sets publish beside their clips: JSON files, lists of words, and the clips' names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chereme.errors import InputError
from chereme.formats.files import read_file
from chereme.formats.manifests import SPLIT_NAMES
from chereme.formats.paths import nfc

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv")
LANDMARK_SUFFIXES = (".pose", ".npz")
_ORDER = {suffix: place for place, suffix in enumerate((*VIDEO_SUFFIXES, "", *LANDMARK_SUFFIXES))}


class BadRow(Exception):
    """Why a record of a metadata file is no clip; ``reason`` is a phrase to count by."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


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

        A suffix of a video or of landmarks in ``name`` is left away.
        """
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


def text_of(row: Mapping[str, Any], name: str) -> str:
    """The text or number in a field, as text. BadRow if it is lacking or empty."""
    value = row.get(name)
    text = str(value).strip() if isinstance(value, str | int) else ""
    if not text:
        raise BadRow(f"no {name}")
    return text


def number_of(row: Mapping[str, Any], name: str) -> float:
    """The number in a field. BadRow if it is lacking or no number."""
    value = row.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRow(f"no {name}")
    if not math.isfinite(value):
        raise BadRow(f"no {name}")
    return value


def whole_of(row: Mapping[str, Any], name: str) -> int:
    """The whole number in a field. BadRow if it is lacking or has a fraction."""
    value = number_of(row, name)
    if value != int(value):
        raise BadRow(f"no {name}", f"{value:g}")
    return int(value)


def split_of(row: Mapping[str, Any], name: str) -> str:
    """``train``, ``dev`` or ``test`` for a field that says train, val or test. BadRow if none."""
    split = SPLIT_NAMES.get(text_of(row, name).lower())
    if split is None:
        raise BadRow("split is not train, val or test", str(row[name]))
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


def distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Names of classes by key, with the key added to those that several classes have.

    A list of words may give one word for two signs; they stay two classes.
    """
    times = Counter(names.values())
    return {key: name if times[name] == 1 else f"{name} ({key})" for key, name in names.items()}
