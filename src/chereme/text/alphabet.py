"""Alphabets of fingerspelling: which symbols a model knows, and their order."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from chereme.errors import InputError, UsageError

BLANK = 0


@dataclass(frozen=True)
class Alphabet:
    """The symbols of a model, in the order of its outputs.

    ``symbols`` are single lower-case characters without the CTC blank: index 0 is the blank, symbol
    ``i`` has index ``i + 1``. ``len(alphabet)`` counts the blank, so it is the width of the model's
    output. Raises UsageError if a symbol is not one character, is upper case, or comes twice.
    """

    symbols: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        symbols = tuple(self.symbols)
        wrong = [s for s in symbols if len(s) != 1 or s != s.lower()]
        if not symbols or wrong or len(set(symbols)) != len(symbols):
            raise UsageError(
                "alphabet: expected one or more different lower-case characters, "
                f"got {symbols!r}; remove repeated, upper-case or longer entries"
            )
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "_index", {s: i for i, s in enumerate(symbols, start=1)})

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def encode(self, text: str) -> list[int]:
        """Indices of the characters of ``text``; InputError names the first that is unknown."""
        unknown = next((c for c in text if c not in self._index), None)
        if unknown is not None:
            raise InputError(
                f"{text!r} has {unknown!r}, which is not in the alphabet "
                f"{''.join(self.symbols)!r}; normalise the label first or use another alphabet"
            )
        return [self._index[c] for c in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; InputError if one is the blank (0) or too large."""
        indices = [int(i) for i in ids]
        for i in indices:
            if not 0 < i < len(self):
                raise InputError(
                    f"symbol index: expected 1..{len(self) - 1} (0 is the blank), got {i}; "
                    "does the model belong to this alphabet?"
                )
        return "".join(self.symbols[i - 1] for i in indices)

    def normalise(self, label: str) -> str:
        """``label`` in the symbols of this alphabet: lower case, without accents it does not have.

        Runs of white space become one space, the ends are stripped, and what the alphabet does not
        have (a space too, if it has none) is left out: ``"Zoë  O'Brien"`` is ``"zoeobrien"`` in
        a..z.
        """
        return self._joined(c for c in self._folded(label) if c.isspace() or c in self._index)

    def as_written(self, label: str) -> str:
        """``label`` as of `normalise`, but with the characters that the alphabet does not have."""
        return self._joined(self._folded(label))

    def unknown(self, label: str) -> str:
        """The characters of ``label`` that are no symbols, in order, each once; case, accents and
        white space are none of their own."""
        return "".join(
            dict.fromkeys(
                c for c in self._folded(label) if not c.isspace() and c not in self._index
            )
        )

    def _folded(self, label: str) -> str:
        """Lower case; accents that are part of a symbol composed, the others left away."""
        parts: list[str] = []
        for character in unicodedata.normalize("NFC", label.lower()):
            if character in self._index:
                parts.append(character)
            else:
                plain = unicodedata.normalize("NFKD", character).casefold()
                parts += [c for c in plain if c in self._index or not unicodedata.combining(c)]
        return "".join(parts)

    def _joined(self, characters: Iterable[str]) -> str:
        return (" " if " " in self._index else "").join("".join(characters).split())


ASL_LETTERS = Alphabet(tuple(string.ascii_lowercase))

CHICAGO = Alphabet(tuple(" '&.@acbedgfihkjmlonqpsrutwvyxz"))
"""The 31 symbols of the ChicagoFSWild models, in the order that their code uses."""
