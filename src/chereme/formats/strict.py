"""JSON and plain values read strictly into dataclasses.

Every key is known, typed and bounded: a misspelt one is an error and never a silent default.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from collections import Counter
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from chereme.errors import BundleError

MAX_DEPTH = 20  # of objects and lists in each other

T = TypeVar("T")


class Between(NamedTuple):
    """The limits of a number, as ``Annotated[int, Between(1, 9)]``; they keep a hostile file from
    asking for all memory."""

    low: float
    high: float


def read_json(raw: bytes, where: str) -> Any:
    """The JSON document in ``raw``; BundleError for what strict JSON does not have (NaN, a key
    twice), for numbers without end, and where it is nested deeper than a config ever is."""
    try:
        data = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_object)
        _check_depth(data, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise BundleError(f"{where}: not valid JSON ({reason}); fetch the bundle again") from None
    return data


def _no_constant(name: str) -> typing.NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if again := repeated(key for key, _ in pairs):
        raise ValueError(f"the key {again[0]!r} comes twice")
    return dict(pairs)


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if not left:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, left - 1)


def read_as(kind: type[T], value: Any, key: str = "") -> T:
    """``value``, of JSON or of ``dataclasses.asdict``, as the dataclass ``kind``.

    Fields are of numbers, texts, ``Literal``, ``Mapping``, ``tuple[X, ...]``, ``X | None`` and
    dataclasses. BundleError names the key that is wrong, after ``key``.
    """
    expect(isinstance(value, Mapping), key or kind.__name__, "an object", value)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, kind))}
    prefix = f"{key}." if key else ""
    if unknown := sorted(value.keys() - fields.keys()):
        raise BundleError(
            f"unknown key {prefix + unknown[0]!r}; known here: {', '.join(sorted(fields))}"
        )
    for name, one in fields.items():
        if name not in value and one.default is one.default_factory is dataclasses.MISSING:
            raise BundleError(f"the key {prefix + name!r} is missing")
    hints = typing.get_type_hints(kind, include_extras=True)
    return kind(**{name: _convert(hints[name], v, prefix + name) for name, v in value.items()})


def _convert(kind: Any, value: Any, key: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (UnionType, typing.Union):  # X | None
        return None if value is None else _convert(parts[0], value, key)
    if origin is Annotated:
        found = _convert(parts[0], value, key)
        within(key, found, parts[1])
        return found
    if dataclasses.is_dataclass(kind):
        return read_as(typing.cast(type, kind), value, key)
    if origin is Literal:
        expect(value in parts, key, f"one of {', '.join(map(str, parts))}", value)
        return value
    if origin is tuple:
        expect(isinstance(value, list | tuple), key, "a list", value)
        return tuple(_convert(parts[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    if origin in (Mapping, dict):
        expect(isinstance(value, Mapping), key, "an object", value)
        return {k: _convert(parts[1], v, f"{key}.{k}") for k, v in value.items()}
    if kind is Any:
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float:
        # JSON as Python reads it knows infinity, and integers without end.
        expect(number and abs(value) <= sys.float_info.max, key, "a number", value)
        return float(value)
    good = isinstance(value, kind) and (kind is not int or number)
    expect(good, key, {str: "a text", int: "an integer", bool: "true or false"}[kind], value)
    return value


def repeated(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that come more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def within(key: str, value: float, limits: Between) -> None:
    """BundleError unless ``value`` lies in the limits, both included."""
    expect(limits.low <= value <= limits.high, key, f"{limits.low:g} to {limits.high:g}", value)


def expect(condition: bool, key: str, expected: str, got: Any) -> None:
    """BundleError that says what was expected of ``key``, and what came."""
    if not condition:
        shown = repr(got) if not isinstance(got, int) or abs(got) < 10**40 else "a larger number"
        raise BundleError(f"{key}: expected {expected}, got {shown[:200]}")
