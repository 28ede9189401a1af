import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chereme.decoding import beam_search, ctc_log_likelihood, greedy
from chereme.errors import InputError, UsageError

WIDE = 10_000
SIZES = st.tuples(st.integers(1, 5), st.integers(2, 4), st.integers(0, 2**31))


def random_log_probs(as_log_probs, size):
    frames, symbols, seed = size
    return as_log_probs(np.random.default_rng(seed).normal(size=(frames, symbols)) * 2)


def text(hypothesis):
    return "".join("-abc"[i] for i in hypothesis.symbols)


def test_golden_exact(golden):
    found = beam_search(golden, width=WIDE)
    assert len(found) == 358
    expected = [("bac", -1.912010), ("baca", -2.505132), ("bacb", -2.571788), ("ac", -2.758620)]
    for hypothesis, (string, score) in zip(found, expected, strict=False):
        assert text(hypothesis) == string
        assert hypothesis.score == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(("width", "score"), [(2, -2.008903), (5, -1.959365)])
def test_golden_textbook_at_small_widths(golden, width, score):
    best = beam_search(golden, width=width)[0]
    assert text(best) == "bac"
    assert best.score == pytest.approx(score, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(SIZES)
def test_wide_beam_is_exact(oracle, as_log_probs, size):
    log_probs = random_log_probs(as_log_probs, size)
    found = beam_search(log_probs, width=WIDE)
    exact = oracle(log_probs)
    assert {h.symbols for h in found} == set(exact)
    for hypothesis in found:
        assert hypothesis.log_ctc == pytest.approx(exact[hypothesis.symbols], abs=1e-9)
        assert hypothesis.score == hypothesis.log_ctc
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.floats(0.05, 2), st.floats(-2, 2))
def test_wide_beam_with_language_model_is_exact(oracle, as_log_probs, bigrams, size, alpha, beta):
    log_probs = random_log_probs(as_log_probs, size)
    lm = bigrams(log_probs.shape[1], seed=size[2])
    found = beam_search(log_probs, width=WIDE, lm=lm, alpha=alpha, beta=beta)
    exact = {
        symbols: log_p + alpha * lm.score(symbols) + beta * len(symbols)
        for symbols, log_p in oracle(log_probs).items()
    }
    assert {h.symbols for h in found} == set(exact)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(exact[hypothesis.symbols], abs=1e-9)
        assert hypothesis.log_lm == pytest.approx(lm.score(hypothesis.symbols), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(1, 8))
def test_narrow_beam_never_claims_more_than_the_truth(as_log_probs, size, width):
    log_probs = random_log_probs(as_log_probs, size)
    found = beam_search(log_probs, width=width)
    assert 1 <= len(found) <= width
    assert len({h.symbols for h in found}) == len(found)
    for hypothesis in found:
        assert hypothesis.log_ctc <= ctc_log_likelihood(log_probs, hypothesis.symbols) + 1e-9


def test_alpha_zero_does_not_run_the_language_model(golden, bigrams):
    lm = bigrams(4)
    assert beam_search(golden, lm=lm, alpha=0.0) == beam_search(golden)
    assert lm.calls == []


def test_language_model_is_asked_once_per_frame_for_survivors_only(golden, bigrams):
    lm = bigrams(4)
    beam_search(golden, width=3, lm=lm, alpha=0.5)
    assert lm.calls[0] == 1  # the empty prefix
    assert len(lm.calls) <= 1 + len(golden)
    assert max(lm.calls) <= 3


def test_doubles_need_a_blank_between_and_survive(as_log_probs):
    def peaks(*path):
        logits = np.zeros((len(path), 3))
        logits[np.arange(len(path)), path] = 8
        return as_log_probs(logits)

    for width in (1, 5, WIDE):
        assert beam_search(peaks(1, 0, 1), width=width)[0].symbols == (1, 1)
        assert beam_search(peaks(1, 1, 1), width=width)[0].symbols == (1,)
        assert beam_search(peaks(2, 1, 1, 0, 0, 1, 2), width=width)[0].symbols == (2, 1, 1, 2)
    two_frames = {h.symbols for h in beam_search(peaks(1, 1), width=WIDE)}
    assert (1, 1) not in two_frames


def test_beta_lengthens(golden):
    lengths = [len(beam_search(golden, beta=b, width=50)[0].symbols) for b in (-20, 0, 5)]
    assert lengths[0] == 0
    assert lengths[0] < lengths[1] < lengths[2] == 6


def test_no_frames_is_the_empty_reading(bigrams):
    (empty,) = beam_search(np.zeros((0, 4)))
    assert (empty.symbols, empty.score) == ((), 0.0)
    lm = bigrams(4)
    (empty,) = beam_search(np.zeros((0, 4)), lm=lm, alpha=0.5)
    assert empty.score == pytest.approx(0.5 * lm.score(()))


def test_min_log_prob_leaves_out_only_the_unlikely(as_log_probs, bigrams):
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(40, 10))
    logits[np.arange(40), rng.integers(0, 10, 40)] += 9
    log_probs = as_log_probs(logits)
    lm = bigrams(10)
    options = {"lm": lm, "alpha": 0.3, "beta": 0.3}
    exact, asked = beam_search(log_probs, **options)[0], sum(lm.calls)
    pruned = beam_search(log_probs, min_log_prob=-6.0, **options)[0]
    assert pruned.symbols == exact.symbols
    assert pruned.score == pytest.approx(exact.score, abs=0.01)
    assert sum(lm.calls) - asked < asked
    # At the highest threshold only the best symbol of each frame is left.
    assert beam_search(log_probs, min_log_prob=0.0)[0].symbols == greedy(log_probs).symbols


def test_impossible_prefixes_are_dropped():
    log_probs = np.array([[-np.inf, 0.0, -np.inf], [0.0, -np.inf, -np.inf]])
    (only,) = beam_search(log_probs, width=5)
    assert (only.symbols, only.score) == ((1,), 0.0)


def test_broken_input(golden, bigrams):
    with pytest.raises(UsageError, match="width"):
        beam_search(golden, width=0)
    with pytest.raises(UsageError, match="expected 4 outputs"):
        beam_search(golden, lm=bigrams(5), alpha=1.0)
    with pytest.raises(InputError, match="log_softmax"):
        beam_search(golden + 5)
