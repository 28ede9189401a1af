"""What to know about a data set before training on it: its signers, and whether CTC can fit.

All of these take items of manifests (:class:`chereme.formats.manifests.Item`) and open no file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from chereme.errors import UsageError
from chereme.formats.manifests import Item, Split
from chereme.text.alphabet import Alphabet


def shared_signers(items: Iterable[Item]) -> dict[str, tuple[Split, ...]]:
    """The signers that are in more than one split, with these splits; {} is signer-independent.

    Items without signer or split are left out: of these nothing can be said.
    """
    splits: dict[str, set[Split]] = {}
    for item in items:
        if item.signer is not None and item.split is not None:
            splits.setdefault(item.signer, set()).add(item.split)
    order: tuple[Split, ...] = ("train", "dev", "test")
    return {
        signer: tuple(split for split in order if split in found)
        for signer, found in sorted(splits.items())
        if len(found) > 1
    }


def steps_needed(label: str) -> int:
    """The fewest steps in which CTC can write ``label``: a letter each, a blank in each double.

    Graves et al., *Connectionist temporal classification* (ICML 2006).
    """
    return len(label) + _doubles(label)


def _doubles(label: str) -> int:
    return sum(a == b for a, b in itertools.pairwise(label))


def letters_lost(label: str, steps: int) -> int:
    """How many letters of ``label`` have to go before CTC can write the rest in ``steps`` steps.

    Leaving out one letter of a double saves two steps, its blank among them, any other saves one.
    """
    excess = max(0, steps_needed(label) - steps)
    doubles = _doubles(label)
    return min(-(-excess // 2), doubles) + max(0, excess - 2 * doubles)


@dataclass(frozen=True, slots=True)
class CtcFit:
    """Whether labels fit into their clips at a temporal stride.

    ``too_short`` are the ids of the ``clips`` whose label needs more steps than there are; in all,
    ``letters_lost`` of ``letters`` can never be read. ``uncounted`` items have no number of frames
    and are in none of the other numbers.
    """

    stride: int
    clips: int
    too_short: tuple[str, ...]
    letters: int
    letters_lost: int
    uncounted: int

    @property
    def best_letter_accuracy(self) -> float:
        """The letter accuracy in per cent that no model of this stride can exceed."""
        return 100.0 * (1 - self.letters_lost / self.letters) if self.letters else 100.0

    def warning(self) -> str | None:
        """What to tell before training; None if every label fits."""
        if not self.too_short:
            return None
        return (
            f"{len(self.too_short):,} of {self.clips:,} clips "
            f"({100 * len(self.too_short) / self.clips:.1f} %) are too short for their labels at "
            f"a temporal stride of {self.stride}: CTC cannot spell them, and letter accuracy "
            f"cannot exceed {self.best_letter_accuracy:.2f} %; use a smaller stride"
        )


def ctc_fit(items: Iterable[Item], stride: int, alphabet: Alphabet | None = None) -> CtcFit:
    """Count the items whose label does not fit into ceil(frames / stride) steps.

    ``alphabet`` is the model's, where it is not the one of the labels: what it has no symbol for,
    such as the space, needs no step. UsageError for a stride below 1.
    """
    if stride < 1:
        raise UsageError(f"stride: expected 1 or more, got {stride}")
    too_short = []
    clips = letters = lost = uncounted = 0
    for item in items:
        if item.frames is None:
            uncounted += 1
            continue
        label = item.label if alphabet is None else alphabet.normalise(item.label)
        out = letters_lost(label, -(-item.frames // stride))
        clips += 1
        letters += len(label)
        lost += out
        if out:
            too_short.append(item.id)
    return CtcFit(stride, clips, tuple(too_short), letters, lost, uncounted)
