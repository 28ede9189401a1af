"""One helper for libraries that may be absent."""

from __future__ import annotations

import importlib
from types import ModuleType

from chereme.errors import MissingDependencyError


def require(module: str, extra: str | None = None) -> ModuleType:
    """Import ``module``, or say which extra of chereme (None: the plain install) brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        target = f"chereme[{extra}]" if extra else "chereme"
        raise MissingDependencyError(
            f"this needs the library {module!r}, which could not be imported ({error}); "
            f"install it with: pip install '{target}'"
        ) from error
