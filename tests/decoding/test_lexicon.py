"""Words that are expected, against whole texts summed over all ways to cut them into words."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from chereme.decoding import (
    Lexicon,
    LexiconLanguageModel,
    UniformLanguageModel,
    at_temperature,
    beam_search,
)
from chereme.decoding.language_model import text_log_probabilities
from chereme.errors import UsageError

WORDS = {(1,): 1.0, (1, 2): 4.0, (2, 1): 2.0, (1, 2, 2): 2.0, (2, 1, 1, 2): 1.0}
TEXTS = [text for n in range(6) for text in product((1, 2), repeat=n)]


def of_words(text, words, another):
    """p(text) as words in a row: the first ends the text, or another one follows."""
    total = 0.0
    for word, p in words.items():
        if text == word:
            total += p * (1 - another)
        elif text[: len(word)] == word:
            total += p * another * of_words(text[len(word) :], words, another)
    return total


@pytest.mark.parametrize("another", [0.0, 0.3])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_text_is_of_the_list_or_of_the_letters(bigrams, share, another):
    base = bigrams(3, seed=5)
    lexicon = Lexicon(WORDS, list(WORDS.values()), size=3)
    lm = LexiconLanguageModel(base, [(lexicon, share)], another)
    words = {word: weight / 10 for word, weight in WORDS.items()}
    expected = [
        np.log((1 - share) * np.exp(base.score(t)) + share * of_words(t, words, another))
        for t in TEXTS
    ]
    np.testing.assert_allclose(text_log_probabilities(lm, TEXTS), expected, atol=1e-9)


def test_what_follows_sums_to_one_and_the_list_vanishes(bigrams):
    base = bigrams(4, seed=1)
    lm = LexiconLanguageModel(base, [(Lexicon([(1, 2, 3)], size=4), 0.5)])
    state, symbol, before = lm.start(), 0, base.start()
    for following in (1, 2, 2, 3):
        (row,), (state,) = lm.step([state], [symbol])
        (alone,), (before,) = base.step([before], [symbol])
        assert np.exp(row).sum() == pytest.approx(1)
        symbol = following
    np.testing.assert_array_equal(row, alone)  # 1 2 2 begins no word


def test_lists_have_their_shares_and_mix_in_one_text(bigrams):
    """The user's word before a word of the model's list, with no pause between."""
    base = bigrams(3, seed=2)
    first, second = Lexicon([(1, 1)], size=3), Lexicon([(2,), (2, 2)], [3.0, 1.0], size=3)
    lm = LexiconLanguageModel(base, [(first, 0.4), (second, 0.2)], 0.25)
    words = {(1, 1): 2 / 3, (2,): 0.25, (2, 2): 1 / 12}
    expected = [np.log(0.4 * np.exp(base.score(t)) + 0.6 * of_words(t, words, 0.25)) for t in TEXTS]
    np.testing.assert_allclose(text_log_probabilities(lm, TEXTS), expected, atol=1e-9)


def test_a_word_twice_has_both_weights(bigrams):
    once = Lexicon([(1, 2), (2,)], [3.0, 1.0], size=3)
    twice = Lexicon([(1, 2), (2,), (1, 2)], [1.0, 1.0, 2.0], size=3)
    found = [
        text_log_probabilities(LexiconLanguageModel(bigrams(3), [(lexicon, 0.5)]), TEXTS)
        for lexicon in (once, twice)
    ]
    np.testing.assert_allclose(found[0], found[1])
    assert (len(once), len(twice)) == (2, 3)


def test_long_texts_cut_in_many_ways_lose_little(bigrams):
    """Only the likeliest cuts are followed; what is left stays a distribution."""
    words = {(1,) * n: 1 / 8 for n in range(1, 9)}
    base = UniformLanguageModel(3)
    lm = LexiconLanguageModel(base, [(Lexicon(words, size=3), 0.5)], 0.3)
    text = (1,) * 16
    exact = np.log(0.5 * (1 / 3) ** 17 + 0.5 * of_words(text, words, 0.3))
    assert text_log_probabilities(lm, [text])[0] == pytest.approx(exact, abs=0.5)


@pytest.mark.parametrize("seed", range(4))
def test_the_search_by_it_is_exact(oracle, as_log_probs, bigrams, seed):
    log_probs = as_log_probs(np.random.default_rng(seed).normal(size=(5, 3)) * 2)
    base, words = bigrams(3, seed), {word: weight / 10 for word, weight in WORDS.items()}
    lm = LexiconLanguageModel(base, [(Lexicon(WORDS, list(WORDS.values()), size=3), 0.6)], 0.2)
    found = beam_search(log_probs, width=10_000, lm=lm, alpha=0.8, beta=0.3)
    for hypothesis in found:
        text = hypothesis.symbols
        log_lm = np.log(0.4 * np.exp(base.score(text)) + 0.6 * of_words(text, words, 0.2))
        score = oracle(log_probs)[text] + 0.8 * log_lm + 0.3 * len(text)
        assert hypothesis.score == pytest.approx(score, abs=1e-9)


def test_an_expected_word_is_heard_and_any_other_can_be(as_log_probs):
    """'1 2 3' with a doubtful end; no list forbids what the network is sure of."""
    logits = np.zeros((6, 4))
    logits[[0, 2, 4], [1, 2, 2]] = 6.0
    logits[[1, 3, 5], 0] = 6.0
    logits[4, 3] = 5.0
    log_probs = as_log_probs(logits)
    lm = LexiconLanguageModel(UniformLanguageModel(4), [(Lexicon([(1, 2, 3)], size=4), 0.5)])
    search = {"lm": lm, "alpha": 0.5, "beta": 0.5 * np.log(4)}
    assert beam_search(log_probs)[0].symbols == (1, 2, 2)
    assert beam_search(log_probs, **search)[0].symbols == (1, 2, 3)
    assert beam_search(at_temperature(log_probs, 0.3), **search)[0].symbols == (1, 2, 2)


def test_broken_input(bigrams):
    for words, weights, message in (
        ([], None, "one or more"),
        ([(1,), ()], None, "none of them empty"),
        ([(0,)], None, r"symbols 1\.\.2"),
        ([(3,)], None, r"symbols 1\.\.2"),
        ([(1,)], [1.0, 2.0], "1 weights above 0"),
        ([(1,), (2,)], [1.0, 0.0], "2 weights above 0"),
        ([(1,)], [np.inf], "1 weights above 0"),
    ):
        with pytest.raises(UsageError, match=message):
            Lexicon(words, weights, size=3)
    lexicon = Lexicon([(1,)], size=3)
    for lists in ([], [(lexicon, 0.0)], [(lexicon, 0.5), (lexicon, 0.5)]):
        with pytest.raises(UsageError, match="sum to less than 1"):
            LexiconLanguageModel(bigrams(3), lists)
    with pytest.raises(UsageError, match="probability below 1"):
        LexiconLanguageModel(bigrams(3), [(lexicon, 0.5)], another=1.0)
