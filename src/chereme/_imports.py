"""Importing what may be absent, or is named by text."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from chereme._installation import install_command
from chereme.errors import MissingDependencyError

# What a library imports and nothing here needs of it. MediaPipe's drawing and sound search the
# machine for fonts and for PortAudio when they are imported: with fc-list, ldconfig, gcc and ld.
_UNUSED = {"mediapipe": ("matplotlib", "matplotlib.pyplot", "sounddevice")}


def require(module: str, extra: str | None = None) -> ModuleType:
    """Import ``module``, or say which extra of chereme (None: the plain install) brings it."""
    try:
        with _deferred(*_UNUSED.get(module.partition(".")[0], ())):
            return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a part that is loaded by ctypes
        lacking = module  # of one of our own modules, the library that this needs
        if module.startswith("chereme.") and isinstance(error, ModuleNotFoundError):
            lacking = error.name or module
        what = f"this needs the library {lacking!r}, which could not be imported ({error})"
        if "cannot open shared object file" in str(error):
            raise MissingDependencyError(
                f"{what}; it is there, but a library of the system is not: install the package "
                "that has this file (Debian, Ubuntu: apt-get install libgl1 libglib2.0-0)"
            ) from error
        raise MissingDependencyError(
            f"{what}; install it with: {install_command(extra)}"
        ) from error


def find(place: str) -> Any:
    """What is at the place ``module:name``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


class _Deferred(ModuleType):
    """Stands for a library until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as of code that looks through all modules
            raise AttributeError(name)
        for known, module in list(sys.modules.items()):
            if isinstance(module, _Deferred):
                del sys.modules[known]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _deferred(*names: str) -> Iterator[None]:
    """What is imported within gets stand-ins for these libraries, if they are not there yet."""
    made = {name: _Deferred(name) for name in names if name not in sys.modules}
    for name, module in made.items():
        parent, _, child = name.rpartition(".")
        if parent in made:
            setattr(made[parent], child, module)
    sys.modules.update(made)
    try:
        yield
    finally:
        for name, module in made.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
