"""Edit distances over a corpus: letter accuracy, character and word error rate.

Two ways to align a reading with its reference are in use, and they do not always count the same:

- ``'htk'``: cheapest under costs deletion 7, insertion 7, substitution 10, as HTK and the
  ChicagoFSWild code count. Among equally cheap alignments the backtrace prefers, from the end,
  deletion, then insertion, then substitution.
- ``'unit'``: Levenshtein, every edit costs 1.

All counts are pooled: edits and reference symbols are summed over the items before dividing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from chereme.errors import InputError, UsageError

Alignment = Literal["htk", "unit"]
Symbols = Sequence[Hashable]  # a str is a sequence of letters
Pair = tuple[Hashable | None, Hashable | None]

DELETION, INSERTION, SUBSTITUTION = 7, 7, 10  # HTK's costs


@dataclass(frozen=True, slots=True)
class EditCounts:
    """Edits that turn references of ``reference_length`` symbols in total into the readings."""

    reference_length: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def edits(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def error_rate(self) -> float:
        """100 (S + D + I) / N, in percent; NaN where there are no reference symbols."""
        n = self.reference_length
        return 100.0 * self.edits / n if n else float("nan")

    @property
    def accuracy(self) -> float:
        """100 (N - S - D - I) / N, in percent; below 0 where insertions are many."""
        return 100.0 - self.error_rate

    def __add__(self, other: EditCounts) -> EditCounts:
        return EditCounts(
            self.reference_length + other.reference_length,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def edit_pairs(reference: Symbols, hypothesis: Symbols, alignment: Alignment = "htk") -> list[Pair]:
    """The alignment as (reference, hypothesis) pairs in order, hits included.

    ``(r, None)`` is a deletion, ``(None, h)`` an insertion. UsageError on an unknown alignment.
    """
    if alignment == "htk":
        return _htk_pairs(reference, hypothesis)
    if alignment == "unit":
        return _unit_pairs(reference, hypothesis)
    raise UsageError(f"alignment: expected 'htk' or 'unit', got {alignment!r}")


def _htk_pairs(reference: Symbols, hypothesis: Symbols) -> list[Pair]:
    n, m = len(reference), len(hypothesis)
    cost = [[INSERTION * j for j in range(m + 1)]]
    for i in range(1, n + 1):
        above, row = cost[-1], [DELETION * i]
        for j in range(1, m + 1):
            same = reference[i - 1] == hypothesis[j - 1]
            row.append(
                min(
                    above[j] + DELETION,
                    row[j - 1] + INSERTION,
                    above[j - 1] + (0 if same else SUBSTITUTION),
                )
            )
        cost.append(row)
    pairs: list[Pair] = []
    i, j = n, m
    while i or j:
        if i and cost[i][j] == cost[i - 1][j] + DELETION:
            i -= 1
            pairs.append((reference[i], None))
        elif j and cost[i][j] == cost[i][j - 1] + INSERTION:
            j -= 1
            pairs.append((None, hypothesis[j]))
        else:
            i, j = i - 1, j - 1
            pairs.append((reference[i], hypothesis[j]))
    return pairs[::-1]


def _unit_pairs(reference: Symbols, hypothesis: Symbols) -> list[Pair]:
    pairs: list[Pair] = []
    for op in Levenshtein.opcodes(reference, hypothesis):
        ours = reference[op.src_start : op.src_end]
        theirs = hypothesis[op.dest_start : op.dest_end]
        if op.tag == "delete":
            pairs += [(r, None) for r in ours]
        elif op.tag == "insert":
            pairs += [(None, h) for h in theirs]
        else:
            pairs += zip(ours, theirs, strict=True)
    return pairs


def edit_counts(
    reference: Symbols, hypothesis: Symbols, alignment: Alignment = "htk"
) -> EditCounts:
    """The edits of one item."""
    pairs = edit_pairs(reference, hypothesis, alignment)
    return EditCounts(
        reference_length=len(reference),
        substitutions=sum(r is not None and h is not None and r != h for r, h in pairs),
        deletions=sum(h is None for _, h in pairs),
        insertions=sum(r is None for r, _ in pairs),
    )


def pool(counts: Iterable[EditCounts]) -> EditCounts:
    """The counts of a corpus."""
    return sum(counts, EditCounts())


def letter_accuracy(
    references: Sequence[Symbols], hypotheses: Sequence[Symbols], alignment: Alignment = "htk"
) -> EditCounts:
    """Pooled letter edits; ``.accuracy`` is the letter accuracy in percent. Spaces are letters."""
    check_same_length(references, hypotheses)
    return pool(edit_counts(r, h, alignment) for r, h in zip(references, hypotheses, strict=True))


def cer(references: Sequence[str], hypotheses: Sequence[str]) -> EditCounts:
    """Pooled character edits at unit cost; ``.error_rate`` is the CER in percent."""
    return letter_accuracy(references, hypotheses, "unit")


def wer(references: Sequence[str], hypotheses: Sequence[str]) -> EditCounts:
    """Pooled edits of words, split at white space, at unit cost; ``.error_rate`` is the WER."""
    return letter_accuracy([r.split() for r in references], [h.split() for h in hypotheses], "unit")


def check_same_length(references: Sequence[object], hypotheses: Sequence[object]) -> None:
    """InputError unless there is one hypothesis per reference."""
    if len(references) != len(hypotheses):
        raise InputError(
            f"expected one hypothesis per reference, got {len(references)} references and "
            f"{len(hypotheses)} hypotheses"
        )
