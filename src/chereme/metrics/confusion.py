"""Which letters are read well, and what the others are taken for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from chereme.metrics.edits import Alignment, Pair, Symbols, check_same_length, edit_pairs


@dataclass(frozen=True, slots=True)
class Confusions:
    """How often each (reference, hypothesis) pair was aligned, hits included.

    None stands for nothing: ``(r, None)`` is a deletion, ``(None, h)`` an insertion.
    """

    pairs: Counter[Pair]

    def counts(self) -> dict[Hashable, int]:
        """How often each symbol is in the references."""
        seen: Counter[Hashable] = Counter()
        for (reference, _), count in self.pairs.items():
            if reference is not None:
                seen[reference] += count
        return dict(seen)

    def recall(self) -> dict[Hashable, float]:
        """The share of each symbol, 0..1, that was read as itself."""
        return {s: self.pairs[s, s] / n for s, n in self.counts().items()}

    def mistakes(self) -> list[tuple[Pair, int]]:
        """The pairs that are not hits, the most frequent first, then in order of the symbols."""
        wrong = [(pair, n) for pair, n in self.pairs.items() if pair[0] != pair[1]]
        return sorted(wrong, key=lambda item: (-item[1], str(item[0])))


def confusions(
    references: Sequence[Symbols], hypotheses: Sequence[Symbols], alignment: Alignment = "htk"
) -> Confusions:
    """The aligned pairs of a corpus."""
    check_same_length(references, hypotheses)
    pairs: Counter[Pair] = Counter()
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        pairs.update(edit_pairs(reference, hypothesis, alignment))
    return Confusions(pairs)
