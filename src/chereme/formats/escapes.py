"""Text of other people (names of files, glosses, labels) on one line of a terminal or a table."""

from __future__ import annotations

import re

# Control characters, which move the cursor, change colours or end lines; separators of lines; what
# turns the direction of writing; halves of surrogate pairs, as of names that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def escape(text: str) -> str:
    """``text`` with what is not to be printed shown as Python writes it (``\\n``, ``\\x1b``)."""
    return _UNSAFE.sub(lambda match: _NAMED.get(match[0]) or _code(match[0], short=True), text)


def escape_json(text: str) -> str:
    """A JSON document that means the same, in which these characters are JSON's own escapes.

    Line ends between its parts stay.
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else _code(match[0]), text)


def _code(character: str, short: bool = False) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if short and number < 256 else f"\\u{number:04x}"
