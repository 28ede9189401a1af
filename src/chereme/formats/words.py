"""The words of a transcript, and times in whole milliseconds: what all timed formats need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chereme.errors import UsageError
from chereme.types import Token, Transcript


@dataclass(frozen=True, slots=True)
class Word:
    """Text without a break, and the letters (or the one gloss) that it is made of."""

    text: str
    tokens: tuple[Token, ...]


def split_words(transcript: Transcript) -> list[Word]:
    """Group the tokens by the spaces of ``transcript.text``; tokens that are spaces are dropped.

    A token that itself holds a space (a gloss of two words) stays one.

    Raises UsageError if the tokens do not spell the text, or text has none.
    """
    text, cursor = transcript.text, 0
    groups: list[list[Token]] = []
    for token in transcript.tokens:
        if not token.text.strip():
            continue
        found = text.find(token.text, cursor)
        gap = text[cursor:found]
        if found < 0 or gap.strip():
            raise UsageError(
                f"transcript: expected tokens that spell {text!r} in order, got {token.text!r} "
                f"after {text[:cursor]!r}"
            )
        if gap or not groups:
            groups.append([])
        groups[-1].append(token)
        cursor = found + len(token.text)
    if text[cursor:].strip():
        raise UsageError(
            f"transcript: expected tokens that spell {text!r}, got none for {text[cursor:]!r}; "
            "timed formats need a token for each letter"
        )
    return [Word("".join(token.text for token in group), tuple(group)) for group in groups]


def no_times(what: str) -> UsageError:
    """Of a format that needs times, where the model tells none."""
    return UsageError(
        f"{what} needs times, which this model does not tell, as it has no CTC head: expected txt, "
        "json, tsv"
    )


def to_milliseconds(spans: Sequence[tuple[float, float]], shortest: int) -> list[tuple[int, int]]:
    """Spans in seconds to whole milliseconds that rise and never overlap.

    Each lasts at least ``shortest`` ms if the next span leaves it the time, else as long as it can,
    and never less than 1 ms. Raises UsageError for times that are not known.
    """
    if any(math.isnan(time) for span in spans for time in span):
        raise no_times("this")
    rounded = [(max(0, round(1000 * start)), round(1000 * end)) for start, end in spans]
    result: list[tuple[int, int]] = []
    earliest = 0
    for i, (start, end) in enumerate(rounded):
        start = max(start, earliest)
        end = max(end, start + shortest)
        if i + 1 < len(rounded):
            end = max(min(end, rounded[i + 1][0]), start + 1)
        result.append((start, end))
        earliest = end
    return result
