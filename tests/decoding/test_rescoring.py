"""One text from two networks: against all texts, and where frames cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.decoding import Scorer, beam_search, ctc_log_likelihood, greedy, likeliest_texts


def likeliest_text(scorers):
    best = likeliest_texts(scorers)[0]
    return best.symbols, best.score


def spikes(as_log_probs, frames, says, size=5, blank=3.0):
    """``(frames, size)``: the blank, but for ``says``: frame -> {symbol: logit}."""
    logits = np.zeros((frames, size))
    logits[:, 0] = blank
    for frame, symbols in says.items():
        for symbol, height in symbols.items():
            logits[frame, symbol] = height
    return as_log_probs(logits)


def scorer(log_probs, weight=0.5, width=5, **search):
    found = beam_search(log_probs, width=width, **search)
    return Scorer(log_probs, [hypothesis.symbols for hypothesis in found], weight, **search)


@pytest.mark.parametrize("seed", range(8))
def test_the_best_of_all_texts(oracle, as_log_probs, bigrams, seed):
    """With all texts proposed: the highest weighted mean of exact scores, of different lengths."""
    rng = np.random.default_rng(seed)
    first, second = (as_log_probs(rng.normal(size=(frames, 3)) * 2) for frames in (4, 6))
    lm = bigrams(3, seed)
    search = {"lm": lm, "alpha": 0.7, "beta": 0.4}
    known = [oracle(first), oracle(second)]

    def score(text):
        mean = 0.3 * known[0][text] + 0.7 * known[1][text]
        return mean + 0.7 * lm.score(text) + 0.4 * len(text)

    both = known[0].keys() & known[1].keys()
    best = max(both, key=score)
    scorers = [scorer(first, 0.3, 1000, **search), scorer(second, 0.7, 1000, **search)]
    text, found = likeliest_text(scorers)
    assert text == best
    assert found == pytest.approx(score(best), abs=1e-9)


def test_spikes_that_miss_each_other_are_heard(as_log_probs):
    """Both are sure of 1 2, two frames apart; their product frame by frame is silent."""
    first = spikes(as_log_probs, 12, {2: {1: 9.0}, 7: {2: 9.0}}, blank=6.0)
    second = spikes(as_log_probs, 12, {4: {1: 9.0}, 9: {2: 9.0}}, blank=6.0)
    product = as_log_probs(0.5 * (first + second))
    assert greedy(product).symbols == ()
    text, score = likeliest_text([scorer(first), scorer(second)])
    assert text == (1, 2)
    mean = np.logaddexp(first, second) - np.log(2)
    assert score > ctc_log_likelihood(mean, (1, 2)) + 1  # nor is their mean half as sure


def test_networks_that_err_in_different_letters_mend_each_other(as_log_probs):
    """Neither proposes 1 2 3 4: each is unsure of a letter that the other is sure of."""
    sure = {1: {1: 9.0}, 4: {2: 9.0}, 7: {3: 9.0}, 10: {4: 9.0}}
    first = spikes(as_log_probs, 12, sure | {4: {2: 7.5, 3: 8.5}})
    second = spikes(
        as_log_probs, 24, {2 * t + 1: s for t, s in (sure | {7: {3: 7.5, 1: 8.5}}).items()}
    )
    scorers = [scorer(first, width=1), scorer(second, width=1)]
    assert [v.n_best for v in scorers] == [[(1, 3, 3, 4)], [(1, 2, 1, 4)]]
    assert likeliest_text(scorers)[0] == (1, 2, 3, 4)


def test_the_weight_decides_where_they_differ(as_log_probs):
    first = spikes(as_log_probs, 6, {2: {1: 6.0, 2: 5.0}})
    second = spikes(as_log_probs, 6, {2: {1: 5.0, 2: 6.0}})

    def read(weight):
        return likeliest_text([scorer(first, 1 - weight), scorer(second, weight)])[0]

    assert [read(w) for w in (0.0, 0.3, 0.7, 1.0)] == [(1,), (1,), (2,), (2,)]


def test_a_text_that_does_not_fit_is_never_chosen_unless_it_has_no_say(as_log_probs):
    long = spikes(as_log_probs, 9, {1: {1: 9.0}, 4: {2: 9.0}, 7: {3: 9.0}})
    short = spikes(as_log_probs, 1, {0: {1: 4.0}})
    assert np.isneginf(ctc_log_likelihood(short, (1, 2, 3)))
    text, score = likeliest_text([scorer(long), scorer(short)])
    assert text == (1,)
    assert np.isfinite(score)
    assert likeliest_text([scorer(long, 1.0), scorer(short, 0.0)])[0] == (1, 2, 3)


def test_silence_of_both_is_silence(as_log_probs):
    silent = spikes(as_log_probs, 8, {}, blank=8.0)
    text, score = likeliest_text([scorer(silent), scorer(silent[:4])])
    assert text == ()
    assert score == pytest.approx(0.5 * (silent[:, 0].sum() + silent[:4, 0].sum()))


def test_one_network_alone_reads_as_it_would(as_log_probs):
    log_probs = as_log_probs(np.random.default_rng(2).normal(size=(12, 4)) * 2)
    alone = scorer(log_probs, 1.0, 30)
    best = max(alone.n_best, key=lambda text: ctc_log_likelihood(log_probs, text))
    assert likeliest_text([alone])[0] == best


def test_a_shared_language_model_is_asked_once(as_log_probs, bigrams):
    lm = bigrams(5)
    first = spikes(as_log_probs, 6, {2: {1: 6.0}})
    scorers = [Scorer(first, [(1,), (2,)], 0.5, lm, 0.5, 0.0) for _ in range(2)]
    likeliest_text(scorers)
    assert lm.calls[:2] == [3, 2]  # (), (1,), (2,), then the two that go on
    texts = {(), (1,), (2,)}
    assert sum(lm.calls) == sum(len(text) + 1 for text in texts)
