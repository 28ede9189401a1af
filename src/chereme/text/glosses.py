"""Glosses as sign linguists write them, and the vocabulary of a model that reads them.

Conventions are part of a gloss and are kept: ``ns-fs-MARY`` (a name sign, a fingerspelled word),
``#IF`` (a loan from fingerspelling), ``IX-1p`` and ``POSS-1p`` (pointing, with its person),
``part:indef``, ``MOTHER+FATHER`` (a compound), ``HEADBAND_2`` and ``GIVE1`` (variants).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chereme.errors import InputError, UsageError
from chereme.formats.files import read_file
from chereme.formats.paths import nfc

Units = Literal["glosses", "pieces"]

PAD, BOS, EOS, UNK = range(4)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
LONGEST = 64
"""Glosses of the longest sentence (SignX, Table 2: max sequence length)."""

BEGIN = "\u2581"
"""Stands before the first piece of each gloss, so that pieces together give the glosses back."""

# Prefixes that say how a sign is made: name sign, fingerspelled, loan sign, classifiers, particle.
_PREFIX = re.compile(r"(?:ns-|fs-|#|part:|\(\w+\)|[A-Z]*CL:)")
# After the word: persons and places (-1p, -3p:i, :j), variants (_2, GIVE1), repetition (+ at the
# end), and the + of a compound.
_PIECE = re.compile(r"-\d+[pP]|:\w+|_\d+|\++|[^\W\d_]+(?:-(?!\d+[pP])[^\W\d_]+)*|\d+|\W|_")
_SPELLED = ("fs-", "#")


def as_gloss(text: str) -> str:
    """A gloss without white space: ends stripped, runs inside become ``_``; accents composed (NFC).

    Choice: a gloss like ``5"forget it"`` would fall apart in a line of text. InputError if nothing
    is left, or it has the mark that stands before pieces.
    """
    gloss = nfc("_".join(text.split()))
    if not gloss or BEGIN in gloss or gloss in SPECIAL:
        raise InputError(
            f"gloss: expected text without {BEGIN!r}, other than {', '.join(SPECIAL)}, got {text!r}"
        )
    return gloss


def split_gloss(gloss: str) -> tuple[str, ...]:
    """The pieces of a gloss, which put together are the gloss: its prefixes, each letter of what is
    fingerspelled, the words of a compound, persons and places, variants.

    >>> split_gloss("ns-fs-MARY")
    ('ns-', 'fs-', 'M', 'A', 'R', 'Y')
    >>> split_gloss("IX-1p"), split_gloss("MOTHER+FATHER"), split_gloss("GIVE1")
    (('IX', '-1p'), ('MOTHER', '+', 'FATHER'), ('GIVE', '1'))
    """
    pieces: list[str] = []
    rest = gloss
    while match := _PREFIX.match(rest):
        pieces.append(match[0])
        rest = rest[match.end() :]
    spelled = bool(pieces) and pieces[-1] in _SPELLED
    for piece in _PIECE.findall(rest):
        pieces.extend(piece if spelled and piece.isalpha() else [piece])
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class EncodedSentences:
    """``ids[i]``: of sentence i, without ends. ``unknown``: how often each gloss came that the
    vocabulary does not have. ``too_long``: the sentences that were cut to the longest."""

    ids: tuple[tuple[int, ...], ...]
    unknown: Counter[str]
    too_long: tuple[int, ...]
    longest: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was counted, in words; nothing where all is well."""
        found = []
        if self.unknown:
            named = ", ".join(gloss for gloss, _ in self.unknown.most_common(5))
            found.append(
                f"{self.unknown.total():,} glosses ({len(self.unknown):,} different: {named}"
                f"{', ...' if len(self.unknown) > 5 else ''}) are not in the vocabulary and are "
                f"{SPECIAL[UNK]}"
            )
        if self.too_long:
            found.append(
                f"{len(self.too_long):,} sentences are longer than {self.longest} glosses and were "
                "cut; leave them out of training"
            )
        return tuple(found)


@dataclass(frozen=True)
class GlossVocabulary:
    """Ids of glosses, or of their pieces: 0 pad, 1 begin, 2 end, 3 unknown, then ``tokens``.

    ``units="glosses"``: a token is a whole gloss. ``units="pieces"``: those of `split_gloss`, and
    single characters, which spell what is rare or new; the first piece of a gloss begins with
    ``BEGIN``. Decoding gives back what was encoded, but for unknown glosses.

    Raises UsageError for tokens that come twice or are none.
    """

    tokens: tuple[str, ...]
    units: Units = "glosses"
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tokens = tuple(self.tokens)
        if self.units not in ("glosses", "pieces"):
            raise UsageError(f"units: expected glosses or pieces, got {self.units!r}")
        wrong = [t for t in tokens if not t or t != "".join(t.split()) or t in SPECIAL]
        if not tokens or wrong or len(set(tokens)) != len(tokens):
            twice = [token for token, times in Counter(tokens).items() if times > 1]
            raise UsageError(
                "gloss vocabulary: expected one or more different tokens without white space, got "
                f"{len(tokens)} of which {(wrong + twice)[:5]} are none or come twice"
            )
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "_index", {t: i for i, t in enumerate(tokens, len(SPECIAL))})

    @classmethod
    def build(
        cls, sentences: Iterable[Sequence[str]], *, min_count: int = 1, units: Units = "glosses"
    ) -> GlossVocabulary:
        """The glosses, or pieces, that come ``min_count`` times or more, the most frequent first.

        With pieces, every character is a token as well. InputError if nothing comes so often.
        """
        if min_count < 1:
            raise UsageError(f"min_count: expected 1 or more, got {min_count}")
        glosses = Counter(as_gloss(gloss) for sentence in sentences for gloss in sentence)
        counts: Counter[str] = Counter()
        characters: set[str] = set()
        for gloss, times in glosses.items():
            for token in _begun(split_gloss(gloss)) if units == "pieces" else (gloss,):
                counts[token] += times
            characters.update(gloss)
        kept = {token for token, times in counts.items() if times >= min_count}
        if not kept:
            raise InputError(
                f"gloss vocabulary: expected glosses that come {min_count} times or more, got none "
                f"among {len(glosses):,} different ones"
            )
        if units == "pieces":
            kept |= characters | {BEGIN + character for character in characters}
        return cls(tuple(sorted(kept, key=lambda token: (-counts[token], token))), units)

    def __len__(self) -> int:
        return len(self.tokens) + len(SPECIAL)

    @property
    def said(self) -> tuple[str | None, ...]:
        """Of each id its text in a language model, None for marks that are never said."""
        return (*(None if i != UNK else mark for i, mark in enumerate(SPECIAL)), *self.tokens)

    def __contains__(self, gloss: str) -> bool:
        return self._ids(gloss) != [UNK]

    def _ids(self, gloss: str) -> list[int]:
        if self.units == "glosses":
            return [self._index.get(gloss, UNK)]
        ids: list[int] = []
        for piece in _begun(split_gloss(gloss)):
            if piece in self._index:
                parts: Sequence[str] = (piece,)
            else:  # spelled; one character that is not known makes all of the gloss unknown
                parts = _begun(piece[1:]) if piece.startswith(BEGIN) else piece
            ids.extend(self._index.get(part, UNK) for part in parts)
        return [UNK] if UNK in ids else ids

    def encode(self, sentence: Sequence[str], *, ends: bool = False) -> list[int]:
        """Ids of a sentence, `UNK` for what is not known; ``ends``: with `BOS` and `EOS`."""
        ids = [number for gloss in sentence for number in self._ids(as_gloss(gloss))]
        return [BOS, *ids, EOS] if ends else ids

    def encode_all(
        self, sentences: Iterable[Sequence[str]], longest: int = LONGEST
    ) -> EncodedSentences:
        """Ids of sentences, without ends, and what was wrong with them, counted."""
        if longest < 1:
            raise UsageError(f"longest: expected 1 gloss or more, got {longest}")
        ids, unknown, too_long = [], Counter[str](), []
        for number, sentence in enumerate(sentences):
            if len(sentence) > longest:
                too_long.append(number)
            kept = sentence[:longest]
            unknown.update(gloss for gloss in kept if gloss not in self)
            ids.append(tuple(self.encode(kept)))
        return EncodedSentences(tuple(ids), unknown, tuple(too_long), longest)

    def decode(self, ids: Iterable[int]) -> tuple[str, ...]:
        """The glosses of ids, up to `EOS` if there is one; `BOS` and `PAD` are left out.

        InputError for an id that is none.
        """
        return tuple(gloss for gloss, _ in self.decode_indices(ids))

    def decode_indices(self, ids: Iterable[int]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The glosses that `decode` gives, each with the places of the ids that it is made of."""
        glosses: list[str] = []
        places: list[list[int]] = []
        for place, number in enumerate(map(int, ids)):
            if number == EOS:
                break
            if number in (PAD, BOS):
                continue
            if not 0 <= number < len(self):
                raise InputError(
                    f"gloss id: expected 0 to {len(self) - 1}, got {number}; does the model belong "
                    "to this vocabulary?"
                )
            token = SPECIAL[UNK] if number == UNK else self.tokens[number - len(SPECIAL)]
            joins = self.units == "pieces" and number != UNK and not token.startswith(BEGIN)
            if joins and glosses and glosses[-1] != SPECIAL[UNK]:
                glosses[-1] += token
                places[-1].append(place)
            else:  # a piece after nothing is a gloss too: models may begin so
                glosses.append(token.removeprefix(BEGIN))
                places.append([place])
        return tuple(
            (gloss, tuple(own)) for gloss, own in zip(glosses, places, strict=True) if gloss
        )

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        content = {"units": self.units, "special": list(SPECIAL), "tokens": list(self.tokens)}
        Path(path).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> GlossVocabulary:
        """Read what `save` wrote. InputError if it is something else."""
        try:
            content = json.loads(read_file(path))
            if tuple(content["special"]) != SPECIAL:
                raise ValueError(f"expected {SPECIAL} as special tokens")
            return cls(tuple(map(str, content["tokens"])), content["units"])
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise InputError(
                f"{path}: expected a gloss vocabulary in JSON ({error}); save it with "
                "GlossVocabulary.save"
            ) from error


def _begun(pieces: Sequence[str]) -> tuple[str, ...]:
    """The pieces of one gloss with the mark before the first."""
    return (BEGIN + pieces[0], *pieces[1:])
