"""What may not reach a terminal is shown; everything else stays."""

from __future__ import annotations

import json

import pytest

from chereme.formats.escapes import escape, escape_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m", r"\x9b31m"),  # the same escape code, in one character
        ("fdp.\u202e4pm", r"fdp.\u202e4pm"),  # turns the direction of writing
        ("one\u2028two", r"one\u2028two"),
        ("\udcff.mp4", r"\udcff.mp4"),  # a name that is not UTF-8
        ("IX-1p <&> é 👩‍🚀 می‌خواهم C:\\new", "IX-1p <&> é 👩‍🚀 می‌خواهم C:\\new"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_escaped_json_means_the_same() -> None:
    value = {"é": "\x9b31m \u202e \u2028 \x7f", "n": [1, "\n"]}
    text = escape_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(text) == value
    assert escape(text.replace("\n", "")) == text.replace("\n", "")
