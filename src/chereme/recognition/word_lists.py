"""Lists of words that the search expects: a model's own, and those that a user gives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from chereme.decoding import Lexicon
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.files import read_file
from chereme.text.alphabet import Alphabet

MAX_BYTES = 4 << 20  # of a list
MAX_WORDS = 200_000
LONGEST = 100  # letters of a word
# Choice: the word of rank r, from 0, weighs 1 / (r + 1000). What is spelled are names and rare
# words rather than the most frequent ones, which have signs of their own.
FLATNESS = 1000.0


def read_words(path: str | Path) -> list[str]:
    """The words of a text file in UTF-8, one a line; empty lines are left out.

    Raises ``UsageError`` for a file that is missing, too large, or no such text.
    """
    try:
        content = read_file(path, MAX_BYTES)
    except InputError as error:
        raise UsageError(f"words: {error}") from error
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"words: {path}: expected a text file in UTF-8, one word a line, got other bytes on "
            f"line {content[: error.start].count(10) + 1}; save it as UTF-8"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def expected_words(words: Iterable[str], alphabet: Alphabet) -> Lexicon:
    """The words that a user expects, each as likely, in the letters of ``alphabet``: lower case,
    without accents, spaces and punctuation that it does not have ("Zoë O'Brien": zoeobrien).

    Raises ``UsageError`` for no words, too many, too long ones, and for letters or digits that the
    alphabet does not have.
    """
    if isinstance(words, str):
        raise UsageError(f"words: expected a list of words, got the text {words!r}")
    found: dict[str, None] = {}
    for word in words:
        spelled = alphabet.normalise(word)
        unknown = [c for c in alphabet.unknown(word) if c.isalnum()]
        if unknown or not spelled:
            what = repr(unknown[0]) if unknown else "no letters"
            raise UsageError(
                f"words: expected words in the letters {''.join(alphabet.symbols)}, got {word!r} "
                f"with {what}; write it as it is spelled, or leave it out"
            )
        if len(spelled) > LONGEST:
            raise UsageError(
                f"words: expected at most {LONGEST} letters in a word, got {len(spelled)} in "
                f"{spelled[:20] + '...'!r}; give one word a line"
            )
        found[spelled] = None
    if not 0 < len(found) <= MAX_WORDS:
        raise UsageError(f"words: expected 1 to {MAX_WORDS:,} words, got {len(found):,}")
    return Lexicon(map(alphabet.encode, found), size=len(alphabet))


def parse_lexicon(content: bytes, where: str | Path, alphabet: Alphabet) -> Lexicon:
    """The list of a bundle: UTF-8, a word a line in the symbols of ``alphabet``, the most frequent
    first.

    Raises ``BundleError`` for anything else, and for a word that comes twice.
    """
    try:
        words = content.decode("utf-8").splitlines()
        encoded = [alphabet.encode(word) for word in words]
    except (UnicodeDecodeError, InputError) as error:
        raise BundleError(f"{where}: expected words of the alphabet ({error})") from error
    if not 0 < len(words) <= MAX_WORDS or len(set(words)) < len(words):
        raise BundleError(
            f"{where}: expected 1 to {MAX_WORDS:,} different words, got {len(words):,} lines with "
            f"{len(set(words)):,}; export the bundle again"
        )
    if not 0 < min(map(len, words)) <= max(map(len, words)) <= LONGEST:
        raise BundleError(f"{where}: expected words of 1 to {LONGEST} letters, got others")
    return Lexicon(encoded, 1 / (FLATNESS + np.arange(len(words))), size=len(alphabet))
