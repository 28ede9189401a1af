"""Cross-validation of small data sets of sentences.

`folds` keeps the repetitions of a sentence, the numbers of variants left away, together, and mixes
signers: a model that has seen a repetition has seen the sentence. (Of the 161 sentences of
RWTH-BOSTON-104 there are 121 different ones; 27 of these were signed two to six times, often by
several signers.) `signer_folds` tests each signer alone. Neither makes glosses known that are
signed once: their part of the tested ones is a floor for the error rate of a fold.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from chereme.datasets.sentences import Sentence
from chereme.errors import UsageError

_VARIANT = re.compile(r"(?<=[A-Za-z])\d+$")

Folds = list[tuple[str, ...]]


def without_variants(words: Sequence[str]) -> tuple[str, ...]:
    """The glosses without the numbers of their variants: ``GO1`` is ``GO``."""
    return tuple(_VARIANT.sub("", word) for word in words)


def folds(sentences: Sequence[Sentence], count: int = 5, seed: int = 0) -> Folds:
    """The ids that are tested in each fold: each once, all repetitions of a sentence in one fold
    (see the top of this file), folds alike in number of sentences and in signers.

    The same on every machine. UsageError for fewer than two folds, or more than there are
    different sentences.
    """
    groups: dict[tuple[str, ...], list[Sentence]] = {}
    for sentence in sentences:
        groups.setdefault(without_variants(sentence.words), []).append(sentence)
    if not 2 <= count <= len(groups):
        raise UsageError(
            f"folds: expected 2 to {len(groups)}, the different sentences, got {count}"
        )

    def order(group: list[Sentence]) -> tuple[int, bytes]:
        name = f"fold {seed}\0{group[0].id}".encode()
        return -len(group), hashlib.sha256(name).digest()

    # The largest group first, each where signers are then spread most evenly.
    held = [Counter[str | None]() for _ in range(count)]
    place: dict[str, int] = {}
    for group in sorted(groups.values(), key=order):
        signers = Counter(sentence.signer for sentence in group)

        def crowding(fold: int, signers: Counter[str | None] = signers) -> tuple[int, int]:
            there = held[fold]
            return sum(there[name] * times for name, times in signers.items()), there.total()

        best = min(range(count), key=crowding)
        held[best] += signers
        place.update((sentence.id, best) for sentence in group)
    return [tuple(s.id for s in sentences if place[s.id] == fold) for fold in range(count)]


def signer_folds(sentences: Sequence[Sentence]) -> Folds:
    """The ids that are tested in each fold: those of one signer, by name."""
    signers = sorted({sentence.signer or "" for sentence in sentences})
    return [tuple(s.id for s in sentences if (s.signer or "") == signer) for signer in signers]
