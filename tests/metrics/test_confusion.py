import pytest

from chereme.errors import InputError
from chereme.metrics import confusions, letter_accuracy


def test_recall_and_mistakes():
    found = confusions(["cat", "nut", "mm"], ["cat", "mut", "mx"])
    assert found.counts() == {"c": 1, "a": 1, "t": 2, "n": 1, "u": 1, "m": 2}
    assert found.recall() == {"c": 1, "a": 1, "t": 1, "n": 0, "u": 1, "m": 0.5}
    assert found.mistakes() == [(("m", "x"), 1), (("n", "m"), 1)]


def test_deletions_and_insertions_are_pairs_with_nothing():
    found = confusions(["abc", "a", "ad"], ["ac", "ab", "a"])
    assert found.mistakes() == [(("b", None), 1), (("d", None), 1), ((None, "b"), 1)]
    assert found.recall()["b"] == 0


@pytest.mark.parametrize("alignment", ["htk", "unit"])
def test_agrees_with_the_letter_accuracy(alignment):
    references, hypotheses = ["bcc", "hello", "zoom"], ["aab", "helo", "zooom"]
    total = letter_accuracy(references, hypotheses, alignment)
    found = confusions(references, hypotheses, alignment)
    assert sum(found.counts().values()) == total.reference_length
    assert sum(n for _, n in found.mistakes()) == total.edits


def test_unequal_lengths():
    with pytest.raises(InputError, match="one hypothesis per reference"):
        confusions(["a"], [])
