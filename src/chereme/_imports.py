"""Importing what may be absent, or is named by text."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from chereme._installation import install_command
from chereme.errors import MissingDependencyError


def require(module: str, extra: str | None = None) -> ModuleType:
    """Import ``module``, or say which extra of chereme (None: the plain install) brings it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a part that is loaded by ctypes
        lacking = module  # of one of our own modules, the library that this needs
        if module.startswith("chereme.") and isinstance(error, ModuleNotFoundError):
            lacking = error.name or module
        what = f"this needs the library {lacking!r}, which could not be imported ({error})"
        if "cannot open shared object file" in str(error):
            raise MissingDependencyError(
                f"{what}; it is there, but a library of the system is not: install the package "
                "that has this file"
            ) from error
        raise MissingDependencyError(
            f"{what}; install it with: {install_command(extra)}"
        ) from error


def find(place: str) -> Any:
    """What is at the place ``module:name``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
