"""Configs of networks from the plain values that checkpoints and YAML hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

Config = TypeVar("Config")


def from_plain(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The config of ``dataclasses.asdict``, whatever configs are in it.

    Raises:
        TypeError: keys that it does not know.
    """
    hints = get_type_hints(kind)

    def value(name: str, plain: Any) -> Any:
        if isinstance(plain, Mapping):
            hint = hints.get(name)
            nested = next((k for k in (hint, *get_args(hint)) if is_dataclass(k)), None)
            return plain if nested is None else from_plain(nested, plain)  # type: ignore[arg-type]
        # A list, as JSON and YAML have it, would not equal the tuple that it stands for.
        return tuple(plain) if isinstance(plain, list) else plain

    return kind(**{name: value(name, plain) for name, plain in values.items()})
