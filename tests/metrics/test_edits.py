import math
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chereme.errors import InputError, UsageError
from chereme.metrics import EditCounts, cer, edit_counts, edit_pairs, letter_accuracy, pool, wer

WORDS = st.text("abc", max_size=8)


def htk_by_recursion(reference, hypothesis):
    """(cost, substitutions, deletions, insertions), straight from the definition."""

    @cache
    def best(i, j):
        if i == j == 0:
            return (0, 0, 0, 0)
        options = []
        if i:
            c, s, d, n = best(i - 1, j)
            options.append((c + 7, s, d + 1, n))
        if j:
            c, s, d, n = best(i, j - 1)
            options.append((c + 7, s, d, n + 1))
        if i and j:
            c, s, d, n = best(i - 1, j - 1)
            hit = reference[i - 1] == hypothesis[j - 1]
            options.append((c, s, d, n) if hit else (c + 10, s + 1, d, n))
        return min(options, key=lambda option: option[0])  # the first of equals

    return best(len(reference), len(hypothesis))


def unit_by_rows(reference, hypothesis):
    row = list(range(len(hypothesis) + 1))
    for i, r in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, h in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (r != h))
    return row[-1]


def test_the_two_alignments_differ():
    assert edit_counts("bcc", "aab", "unit") == EditCounts(3, substitutions=3)
    assert edit_counts("bcc", "aab", "htk") == EditCounts(3, deletions=2, insertions=2)


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_htk_is_the_definition(reference, hypothesis):
    counts = edit_counts(reference, hypothesis, "htk")
    cost, *edits = htk_by_recursion(reference, hypothesis)
    assert [counts.substitutions, counts.deletions, counts.insertions] == edits
    assert cost == 10 * edits[0] + 7 * (edits[1] + edits[2])


def test_htk_prefers_deletions_and_insertions_between_equals():
    # 7 substitutions cost as much as 5 deletions and 5 insertions.
    counts = edit_counts("xxxxxab", "abyyyyy", "htk")
    assert counts == EditCounts(7, substitutions=0, deletions=5, insertions=5)


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_unit_is_levenshtein(reference, hypothesis):
    assert edit_counts(reference, hypothesis, "unit").edits == unit_by_rows(reference, hypothesis)


@settings(max_examples=100, deadline=None)
@given(WORDS, WORDS, st.sampled_from(["htk", "unit"]))
def test_pairs_spell_both_texts(reference, hypothesis, alignment):
    pairs = edit_pairs(reference, hypothesis, alignment)
    assert "".join(r for r, _ in pairs if r is not None) == reference
    assert "".join(h for _, h in pairs if h is not None) == hypothesis
    assert (None, None) not in pairs


def test_accuracy_is_pooled_not_averaged():
    total = letter_accuracy(["abcdefgh", "ab"], ["abcdefgh", "xy"])
    assert total == EditCounts(10, substitutions=2)
    assert total.accuracy == pytest.approx(80.0)
    assert total.error_rate == pytest.approx(20.0)


def test_accuracy_can_be_negative_and_needs_a_reference():
    assert letter_accuracy(["a"], ["bcd"]).accuracy == pytest.approx(-200.0)
    assert letter_accuracy(["a", ""], ["a", "b"]) == EditCounts(1, insertions=1)
    assert math.isnan(letter_accuracy([""], [""]).accuracy)
    assert pool([]) == EditCounts()


def test_spaces_count_as_letters_and_indices_as_symbols():
    assert letter_accuracy(["a b"], ["ab"]) == EditCounts(3, deletions=1)
    assert letter_accuracy([(1, 2, 3)], [[1, 3]]) == EditCounts(3, deletions=1)


def test_cer_and_wer():
    references, hypotheses = ["new york city", "ok"], ["new york", "oak"]
    assert cer(references, hypotheses) == EditCounts(15, deletions=5, insertions=1)
    assert wer(references, hypotheses) == EditCounts(4, substitutions=1, deletions=1)
    assert wer(references, hypotheses).error_rate == pytest.approx(50.0)


def test_broken_input():
    with pytest.raises(InputError, match="2 references and 1 hypotheses"):
        letter_accuracy(["a", "b"], ["a"])
    with pytest.raises(UsageError, match="'htk' or 'unit'"):
        edit_counts("a", "b", "levenshtein")  # type: ignore[arg-type]
