"""Files that tables and annotations name, found whatever system the names were written on."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def nfc(text: str) -> str:
    """``text`` with its accents composed, the form in which equal names are equal texts.

    Macs write file names, and so labels that are folders, with accents as characters of their own.
    """
    return unicodedata.normalize("NFC", text)


class FileFinder:
    """Finds files by names relative to ``folder``; every folder is listed once at most."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path:
        r"""The file as ``name`` is written; else with ``/`` for ``\`` and with accents composed or
        decomposed, as it lies on disk. Where there is none, the place with ``/``."""
        if os.path.exists(place := self.folder / name):
            return place
        place = self.folder / name.replace("\\", "/")
        if os.path.exists(place) or place.as_posix().isascii():
            return place
        found = Path(place.anchor)
        for done, part in enumerate(parts := place.relative_to(place.anchor).parts, 1):
            if not os.path.exists(found / part):
                if nfc(part) not in self._names(found):
                    return found.joinpath(part, *parts[done:])
                part = self._names(found)[nfc(part)]
            found /= part
        return found

    def _names(self, folder: Path) -> dict[str, str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = {nfc(name): name for name in sorted(os.listdir(folder))}
            except (OSError, ValueError):
                self._listed[folder] = {}
        return self._listed[folder]
