"""The errors that chereme raises on bad input, each with the exit code of the command line.

Every message says what was expected, what came, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class CheremeError(Exception):
    """Base of all errors that a user can cause and mend. Exit code 1."""

    exit_code = 1


class InputError(CheremeError):
    """A video, image, pose file, manifest or folder that cannot be read as what it claims to be."""


class LimitError(InputError):
    """An input that is larger than the limits set for it (pixels, seconds, bytes)."""


class BundleError(CheremeError):
    """A bundle or checkpoint that is missing, damaged, of another version, or unsafe to load."""


class UsageError(CheremeError):
    """Options that contradict each other or name something that does not exist. Exit code 2."""

    exit_code = 2


class MissingDependencyError(CheremeError):
    """A library that is not installed; the message names the extra that brings it."""


class OutputError(CheremeError):
    """A file that cannot be written, or is there already; ``result``: what was to be written."""

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


def some(names: Iterable[str], count: int = 5) -> str:
    """The first names of many, for a message, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - count:,} more" if len(every) > count else ""
    return ", ".join(every[:count]) + more
