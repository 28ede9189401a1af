"""n-grams: Witten-Bell's probabilities by hand, what searches make of them, and ARPA files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from chereme.decoding import NGramLanguageModel, beam_search
from chereme.decoding.language_model import text_log_probabilities
from chereme.errors import InputError, UsageError

TOKENS = (None, None, None, "<unk>", "A", "B", "C")
UNK, A, B, C = range(3, 7)
SENTENCES = ((A, B), (A, C), (A, B, B))
SAID = (UNK, A, B, C, 0)  # the last is the end


@pytest.fixture(scope="module")
def trigram() -> NGramLanguageModel:
    return NGramLanguageModel.train(SENTENCES, TOKENS)


def brute(word: int, context: tuple[object, ...]) -> Fraction:
    """p(word | context) by the recursion, counting in the sentences; "^" begins one."""
    runs = [("^", *sentence, 0) for sentence in SENTENCES]
    places = [
        run[i]
        for run in runs
        for i in range(1, len(run))
        if i >= len(context) and run[i - len(context) : i] == context
    ]
    less = brute(word, context[1:]) if context else Fraction(1, len(SAID))
    if not places:
        return less
    kinds = len(set(places))
    return (places.count(word) + kinds * less) / (len(places) + kinds)


def test_probabilities_by_hand(trigram: NGramLanguageModel) -> None:
    """Of ten, three are A, B and the end, one is C: T = 4, so p(A) = (3 + 4 / 5) / 14; A follows
    every beginning, p(A | <s>) = (3 + p(A)) / 4, and this context has none before it."""
    log_probs, states = trigram.step([trigram.start()], [0])
    single = (3 + 4 / 5) / 14
    assert np.exp(log_probs[0, A]) == pytest.approx((3 + single) / 4)
    # After <s> A: B twice and C once. T = 2 of 3, as after A alone.
    after, _ = trigram.step(states, [A])
    assert np.exp(after[0, B]) == pytest.approx((2 + 2 * (2 + 2 * single) / 5) / 5)
    assert np.exp(after[0]).sum() == pytest.approx(1)
    assert not np.isfinite(after[0, 1:3]).any()  # marks


@pytest.mark.parametrize("text", [(), (A, B), (B, B, B), (UNK, C), (C, A, A, B, C)])
def test_a_text_is_what_counting_again_gives(
    trigram: NGramLanguageModel, text: tuple[int, ...]
) -> None:
    run = ("^", *text, 0)
    wanted = sum(np.log(float(brute(run[i], run[max(0, i - 2) : i]))) for i in range(1, len(run)))
    assert text_log_probabilities(trigram, [text])[0] == pytest.approx(wanted)


def test_a_search_believes_it_where_the_frames_leave_it_open(trigram: NGramLanguageModel) -> None:
    frames = np.full((3, len(TOKENS)), 1e-4)
    frames[0, A] = frames[1, 0] = frames[2, C] = frames[2, B] = 1
    frames[2, C] = 1.2
    log_probs = np.log(frames / frames.sum(1, keepdims=True))
    assert beam_search(log_probs)[0].symbols == (A, C)
    assert beam_search(log_probs, lm=trigram, alpha=1.0)[0].symbols == (A, B)


def test_arpa_gives_back_what_it_was_given(trigram: NGramLanguageModel) -> None:
    again = NGramLanguageModel.read_arpa(trigram.arpa(), TOKENS)
    texts: list[Sequence[int]] = [(), (A, B), (C, UNK, B), (A, B, B)]
    assert again.order == 3
    np.testing.assert_allclose(
        text_log_probabilities(again, texts), text_log_probabilities(trigram, texts), atol=1e-5
    )
    assert again.arpa() == trigram.arpa()


def test_an_arpa_file_of_others_is_read() -> None:
    """As lmplz writes: p(B | <s> A) is not there, so it is p(B | A) with the weight of <s> A."""
    text = """
\\data\\
ngram 1=5
ngram 2=2
ngram 3=1

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.5
-0.6\t</s>\t0
-0.4\tA\t-0.3
-0.7\tB\t-0.2

\\2-grams:
-0.2\t<s> A\t-0.1
-0.25\tA B\t0

\\3-grams:
-0.05\tA B </s>

\\end\\
"""
    lm = NGramLanguageModel.read_arpa(text, TOKENS)
    found = text_log_probabilities(lm, [(A, B), (B,)]) / np.log(10)
    np.testing.assert_allclose(found, [-0.2 - 0.1 - 0.25 - 0.05, -0.5 - 0.7 - 0.2 - 0.6])
    assert text_log_probabilities(lm, [(C,)])[0] == -np.inf  # not in the file


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "a whole model of n-grams"),
        (lambda text: text.replace("\\end\\", ""), "a whole model of n-grams"),
        (lambda text: text.replace("ngram 2=6", "ngram 2=7"), "as many n-grams"),
        (lambda text: text.replace("</s>", "B C D"), "line 8"),
        (lambda text: text.replace("\tC", "\tHOUSE"), "over the model's 4 tokens"),
        (lambda text: text.replace("-0.0873225\t<s> A", "0.1\t<s> A"), "at most 0"),
        (lambda text: text.replace("-0.0873225\t<s> A", "nan\t<s> A"), "at most 0"),
        (lambda text: text.replace("<s> A\t-0.39", "<s> A\tinf"), "got"),
        (lambda text: text.replace("A C\t", "A B\t"), "each n-gram once"),
        (lambda text: text.replace("\\2-grams", "\\3-grams"), "2-grams"),
        (lambda text: text.replace("\tB B\t", "\tB <s>\t"), "at the beginning alone"),
    ],
)
def test_broken_arpa_is_refused(trigram: NGramLanguageModel, change, said: str) -> None:
    with pytest.raises(InputError, match="ARPA") as refused:
        NGramLanguageModel.read_arpa(change(trigram.arpa()), TOKENS, "lm.arpa")
    assert said in str(refused.value)
    assert str(refused.value).startswith("lm.arpa")


def test_what_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="order of n-grams: expected 1 to 10, got 0"):
        NGramLanguageModel.train(SENTENCES, TOKENS, 0)
    with pytest.raises(InputError, match="one sentence or more"):
        NGramLanguageModel.train([], TOKENS)
    with pytest.raises(InputError, match=r"that have a token, got \[2\]"):
        NGramLanguageModel.train([(2,)], TOKENS)
