from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chereme.decoding import (
    Hypothesis,
    align,
    at_temperature,
    beam_search,
    ctc_edit_log_likelihoods,
    ctc_log_likelihood,
    ctc_log_likelihoods,
    greedy,
    symbols_or_blank,
    text_probabilities,
)
from chereme.errors import InputError, UsageError


def spelled(path, size=4, sure=0.97):
    """Log-probabilities whose best path is ``path``."""
    probs = np.full((len(path), size), (1 - sure) / (size - 1))
    probs[np.arange(len(path)), path] = sure
    return np.log(probs)


def test_greedy_keeps_doubles_with_a_blank_between():
    assert greedy(spelled([1, 1, 0, 1, 2, 2])).symbols == (1, 1, 2)
    assert greedy(spelled([1, 1, 1])).symbols == (1,)
    assert greedy(spelled([0, 0])).symbols == ()
    assert greedy(np.zeros((0, 4))).symbols == ()
    assert greedy(spelled([0, 1])).log_ctc == pytest.approx(2 * np.log(0.97))


def test_temperature(golden):
    probabilities = np.exp(golden)
    np.testing.assert_allclose(at_temperature(golden, 1.0), golden, atol=1e-12)
    for temperature in (0.5, 2.0):
        powers = probabilities ** (1 / temperature)
        expected = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(np.exp(at_temperature(golden, temperature)), expected)
    certain = np.array([[0.0, -np.inf]])
    np.testing.assert_array_equal(at_temperature(certain, 3.0), certain)
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(UsageError, match="above 0, got"):
            at_temperature(golden, wrong)


def test_likelihood_golden(golden):
    exact = {"bac": -1.912010, "baca": -2.505132, "bacb": -2.571788, "ac": -2.758620}
    for text, log_p in exact.items():
        symbols = ["-abc".index(c) for c in text]
        assert ctc_log_likelihood(golden, symbols) == pytest.approx(log_p, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 2**31))
def test_likelihood_is_the_sum_over_paths(oracle, as_log_probs, frames, size, seed):
    log_probs = as_log_probs(np.random.default_rng(seed).normal(size=(frames, size)) * 2)
    for text, log_p in oracle(log_probs).items():
        assert ctc_log_likelihood(log_probs, text) == pytest.approx(log_p, abs=1e-9)


def test_likelihoods_of_many_texts_are_those_of_each(golden, oracle):
    truth = oracle(golden)
    texts = [(), (1,), (2, 2), (3, 1, 2), (1, 2, 1, 2, 1, 2), (1,) * 4, (3, 3, 3)]
    found = ctc_log_likelihoods(golden, texts)
    np.testing.assert_allclose(found, [truth.get(text, -np.inf) for text in texts], atol=1e-9)
    assert np.isneginf(found[5])  # four equal symbols need seven frames, and there are six
    np.testing.assert_array_equal(ctc_log_likelihoods(golden[:0], [(), (1,)]), [0.0, -np.inf])
    assert ctc_log_likelihoods(golden, []).shape == (0,)
    with pytest.raises(InputError, match=r"expected indices 1\.\.3"):
        ctc_log_likelihoods(golden, [(1,), (4,)])


def test_likelihood_equals_torch(as_log_probs):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for length in (0, 1, 7, 20):
        log_probs = as_log_probs(rng.normal(size=(60, 27)))
        target = rng.integers(1, 27, size=length)
        loss = torch.nn.functional.ctc_loss(
            torch.tensor(log_probs)[:, None],
            torch.tensor(target)[None],
            torch.tensor([60]),
            torch.tensor([length]),
            reduction="sum",
        )
        assert ctc_log_likelihood(log_probs, target) == pytest.approx(-loss.item(), rel=1e-9)


def test_too_few_frames():
    log_probs = spelled([1, 1])
    assert ctc_log_likelihood(log_probs, [1, 1]) == -np.inf
    assert ctc_log_likelihood(log_probs, [1, 2]) > -np.inf
    assert ctc_log_likelihood(np.zeros((0, 4)), []) == 0
    assert ctc_log_likelihood(np.zeros((0, 4)), [1]) == -np.inf
    with pytest.raises(InputError, match="at least 3 frames for 2 symbols"):
        align(log_probs, [1, 1])
    with pytest.raises(InputError, match="at least 1 frame"):
        align(np.zeros((0, 4)), [1])


def test_align_finds_the_frames():
    spans = align(spelled([0, 1, 1, 0, 1, 2, 0]), [1, 1, 2])
    assert [(s.start_frame, s.end_frame) for s in spans] == [(1, 3), (4, 5), (5, 6)]
    assert [s.probability for s in spans] == pytest.approx([0.97, 0.97, 0.97])
    assert align(spelled([0, 1]), []) == []


def test_probability_is_the_mean_over_the_span():
    log_probs = np.log([[0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.9, 0.05, 0.05]])
    (span,) = align(log_probs, [1])
    assert (span.start_frame, span.end_frame) == (0, 2)
    assert span.probability == pytest.approx(0.7)
    (unlikely,) = align(log_probs, [2])
    assert unlikely.probability == pytest.approx(0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(2, 4), st.integers(0, 2**31))
def test_align_is_the_best_path_of_its_text(as_log_probs, frames, size, seed):
    from itertools import groupby, product

    rng = np.random.default_rng(seed)
    log_probs = as_log_probs(rng.normal(size=(frames, size)) * 2)
    best: dict[tuple[int, ...], float] = {}
    for path in product(range(size), repeat=frames):
        text = tuple(s for s, _ in groupby(path) if s)
        score = float(log_probs[np.arange(frames), list(path)].sum())
        best[text] = max(best.get(text, -np.inf), score)
    for text, score in best.items():
        path = np.zeros(frames, dtype=int)
        spans = align(log_probs, text)
        for symbol, span in zip(text, spans, strict=True):
            assert span.start_frame < span.end_frame
            assert not path[span.start_frame : span.end_frame].any()
            path[span.start_frame : span.end_frame] = symbol
        assert tuple(s for s, _ in groupby(path) if s) == text
        assert log_probs[np.arange(frames), path].sum() == pytest.approx(score)


@pytest.mark.parametrize(
    ("log_probs", "reason"),
    [
        (np.array([[3.0, -1.0]]), "log_softmax"),
        (np.array([[np.nan, -1.0]]), "log_softmax"),
        (np.zeros((2, 3, 4)), "shape"),
        (np.zeros((2, 1)), "shape"),
    ],
)
def test_what_cannot_be_log_probabilities_is_refused(log_probs, reason):
    for decode in (greedy, lambda x: align(x, [1]), lambda x: ctc_log_likelihood(x, [1])):
        with pytest.raises(InputError, match=reason):
            decode(log_probs)


@pytest.mark.parametrize("symbols", [[0], [4], [-1]])
def test_symbols_out_of_range_are_refused(golden, symbols):
    with pytest.raises(InputError, match=r"1\.\.3"):
        ctc_log_likelihood(golden, symbols)
    with pytest.raises(InputError, match=r"1\.\.3"):
        align(golden, symbols)


def test_impossible_symbols_cannot_be_aligned():
    with pytest.raises(InputError, match="probability 0"):
        align([[0.0, -np.inf, -np.inf]], [1])


def test_doubt_of_what_is_said_is_none_of_when():
    # Something is said in frames 1 to 4, of which the head is sure in one alone what it is.
    probs = np.array(
        [
            [0.9, 0.1, 0.0, 0.0],
            [0.4, 0.2, 0.2, 0.2],
            [0.1, 0.8, 0.05, 0.05],
            [0.3, 0.2, 0.25, 0.25],
            [0.45, 0.1, 0.2, 0.25],
            [0.8, 0.0, 0.1, 0.1],
        ]
    )
    with np.errstate(divide="ignore"):
        log_probs = np.log(probs)
    (narrow,) = align(log_probs, [1])
    assert (narrow.start_frame, narrow.end_frame) == (2, 3)
    either = symbols_or_blank(log_probs, [1])
    np.testing.assert_allclose(np.exp(either).sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(either[:, 0]), probs[:, 0])
    (span,) = align(either, [1])
    assert (span.start_frame, span.end_frame) == (1, 5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 3), max_size=6), st.integers(0, 6), st.integers(0, 2**31))
def test_when_is_known_of_all_that_can_be_said(text, more, seed):
    frames = 2 * len(text) + more + 1
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(frames, 4)) * rng.choice([1.0, 300.0])
    log_probs = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
    spans = align(symbols_or_blank(log_probs, text), text)
    assert len(spans) == len(text)
    edges = [edge for span in spans for edge in (span.start_frame, span.end_frame)]
    assert edges == sorted(edges)


def test_probabilities_of_texts(golden, oracle):
    """All texts: those of the network. Some: no more than the network gives to them together."""
    everything = beam_search(golden, width=10_000)
    exact = oracle(golden)
    found = text_probabilities(everything)
    np.testing.assert_allclose(found, [np.exp(exact[h.symbols]) for h in everything], atol=1e-9)
    few = everything[:3]
    np.testing.assert_allclose(text_probabilities(few), found[:3], atol=1e-9)
    # A language model's say moves probability among them and adds none.
    moved = [replace(few[0], score=few[0].score - 1.0), *few[1:]]
    after = text_probabilities(moved)
    assert sum(after) == pytest.approx(sum(found[:3]))
    assert after[0] / after[1] == pytest.approx(found[0] / found[1] / np.e)
    assert text_probabilities([]) == []
    assert text_probabilities([Hypothesis((1,), -np.inf, -np.inf)]) == [0.0]


def test_edits_are_as_likely_as_the_edited_texts() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        frames, size, count = rng.integers(1, 9), rng.integers(2, 5), rng.integers(1, 5)
        log_probs = np.log(rng.dirichlet(np.full(size, 0.5), frames) + 1e-300)
        text = rng.integers(1, size, count).tolist()
        changed = [
            [*text[:place], *([symbol] if symbol else []), *text[place + 1 :]]
            for place in range(count)
            for symbol in range(size)
        ]
        expected = ctc_log_likelihoods(log_probs, changed).reshape(count, size)
        found = ctc_edit_log_likelihoods(log_probs, text)
        np.testing.assert_allclose(np.exp(found), np.exp(expected), rtol=1e-9, atol=1e-12)


def test_nothing_has_no_edits() -> None:
    assert ctc_edit_log_likelihoods(np.log(np.full((3, 4), 0.25)), []).shape == (0, 4)
    never = ctc_edit_log_likelihoods(np.zeros((0, 4)), [1, 2])
    assert never.shape == (2, 4)
    assert np.isneginf(never).all()
