"""Cross-validation of small data sets of sentences.

`folds` keeps the repetitions of a sentence, the numbers of variants left away, together, and mixes
signers: a model that has seen a repetition has seen the sentence. (Of the 161 sentences of
RWTH-BOSTON-104 there are 121 different ones; 27 of these were signed two to six times, often by
several signers.) `folds_with_twins` does the opposite, as published splits do: of those 161 the
words of 58 are said again, variants told apart, and two thirds of what is tested has such a twin in
training. `signer_folds` tests each signer alone. None makes glosses known that are signed once:
their part of the tested ones is a floor for the error rate of a fold.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

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

    # The largest group first, each where signers are then spread most evenly.
    held = [Counter[str | None]() for _ in range(count)]
    place: dict[str, int] = {}
    for group in _drawn(groups.values(), seed):
        signers = Counter(sentence.signer for sentence in group)

        def crowding(fold: int, signers: Counter[str | None] = signers) -> tuple[int, int]:
            there = held[fold]
            return sum(there[name] * times for name, times in signers.items()), there.total()

        best = min(range(count), key=crowding)
        held[best] += signers
        place.update((sentence.id, best) for sentence in group)
    return [tuple(s.id for s in sentences if place[s.id] == fold) for fold in range(count)]


def _drawn(groups: Iterable[list[Sentence]], seed: int) -> list[list[Sentence]]:
    """The largest first, else in an order drawn by ``seed``."""

    def order(group: list[Sentence]) -> tuple[int, bytes]:
        name = f"fold {seed}\0{group[0].id}".encode()
        return -len(group), hashlib.sha256(name).digest()

    return sorted(groups, key=order)


def folds_with_twins(sentences: Sequence[Sentence], count: int = 5, seed: int = 0) -> Folds:
    """The ids that are tested in each fold: each sentence that is said more than once in one of
    them, and half as many of the others, which are drawn; what is left is in no fold.

    A twin is another sentence of the same glosses. It is neither in the fold nor in the next, on
    which one validates, so that two thirds of what is tested, and of what is validated on, has a
    twin in training. The same on every machine. UsageError for fewer than four folds, more than
    there are sentences with twins, or too few without.
    """
    groups: dict[tuple[str, ...], list[Sentence]] = {}
    for sentence in sentences:
        groups.setdefault(sentence.words, []).append(sentence)
    drawn = _drawn(groups.values(), seed)
    repeated = [group for group in drawn if len(group) > 1]
    single = [group[0] for group in drawn if len(group) == 1]
    twins = sum(map(len, repeated))
    if not 4 <= count <= twins or len(single) < twins // 2:
        raise UsageError(
            f"folds: expected 4 to {twins}, the sentences that are said more than once, and at "
            f"least {twins // 2} that are said once, got {count} folds and {len(single)} sentences"
        )
    # Two apart, so that of a pair one is left when a fold and the next are taken out; of more there
    # is always one left.
    steps = [*range(0, count, 2), *range(1, count, 2)]
    held, place = [0] * count, {}
    for group in repeated:
        turns = [[(first + step) % count for step in steps] for first in range(count)]
        parts = [[turn[number % count] for number in range(len(group))] for turn in turns]
        best = min(parts, key=lambda part: sum(held[fold] for fold in part))
        for sentence, fold in zip(group, best, strict=True):
            held[fold] += 1
            place[sentence.id] = fold
    for sentence in single[: twins // 2]:
        fold = max(range(count), key=lambda fold: held[fold])
        held[fold] -= 2
        place[sentence.id] = fold
    return [tuple(s.id for s in sentences if place.get(s.id) == fold) for fold in range(count)]


def signer_folds(sentences: Sequence[Sentence]) -> Folds:
    """The ids that are tested in each fold: those of one signer, by name."""
    signers = sorted({sentence.signer or "" for sentence in sentences})
    return [tuple(s.id for s in sentences if (s.signer or "") == signer) for signer in signers]
