"""Letters, times and probabilities from log-probabilities that are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from chereme.runtime.config import Still
from chereme.runtime.reading import Search, read_segment, read_still
from chereme.text.alphabet import Alphabet

ALPHABET = Alphabet(("a", "b"))
BEAM = Search(
    greedy=False, beam_width=5, alpha=0.0, beta=0.0, min_probability=0.0, language_model=None
)
GREEDY = replace(BEAM, greedy=True)


def peaks(symbols: list[int], probability: float = 0.9) -> np.ndarray:
    """``(T, 3)``: one frame a symbol, the rest shared by the others."""
    rest = (1 - probability) / 2
    return np.log([[probability if s == k else rest for k in range(3)] for s in symbols])


@pytest.mark.parametrize("search", [BEAM, GREEDY])
@pytest.mark.parametrize("stride", [1, 2])
def test_letters_and_times(search: Search, stride: int) -> None:
    log_probs = peaks([0, 1, 1, 0, 2, 2, 0, 2])
    times = 1.0 + np.arange(8 * stride) / 30
    segment = read_segment(log_probs, times, ALPHABET, stride, search)
    assert segment.text == "abb"  # two b with a blank between stay two
    spans = [(token.start, token.end) for token in segment.tokens]
    frames = np.array([(1, 3), (4, 6), (7, 8)]) * stride
    np.testing.assert_allclose(spans, 1.0 + frames / 30, atol=1e-9)
    assert [token.probability for token in segment.tokens] == pytest.approx([0.9, 0.9, 0.9])
    assert (segment.start, segment.end) == (1.0, pytest.approx(1.0 + 8 * stride / 30))


def test_an_odd_length_at_stride_2_ends_with_the_last_frame() -> None:
    times = np.arange(5) / 30  # 3 outputs: frames 0-1, 2-3, 4
    segment = read_segment(peaks([0, 0, 1]), times, ALPHABET, 2, BEAM)
    assert segment.tokens[0].start == pytest.approx(4 / 30)
    assert segment.tokens[0].end == pytest.approx(5 / 30)


def test_unlikely_letters_are_left_out() -> None:
    log_probs = np.concatenate([peaks([1, 0], 0.95), peaks([2, 0], 0.5)])
    times = np.arange(4) / 30
    assert read_segment(log_probs, times, ALPHABET, 1, GREEDY).text == "ab"
    strict = replace(GREEDY, min_probability=0.6)
    assert read_segment(log_probs, times, ALPHABET, 1, strict).text == "a"


def test_silence_has_no_tokens() -> None:
    segment = read_segment(peaks([0, 0, 0]), np.arange(3) / 30, ALPHABET, 1, BEAM)
    assert segment.tokens == ()
    assert segment.text == ""


def enumerate_texts(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Probability of every text by going through all paths."""
    texts: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=len(log_probs)):
        text = tuple(s for i, s in enumerate(path) if s != 0 and (i == 0 or s != path[i - 1]))
        probability = float(np.exp(sum(row[s] for row, s in zip(log_probs, path, strict=True))))
        texts[text] = texts.get(text, 0.0) + probability
    return texts


def test_a_still_takes_the_likeliest_single_letter_of_all_paths() -> None:
    logits = np.random.default_rng(3).normal(size=(5, 3))
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    texts = enumerate_texts(log_probs)
    singles = {"a": texts[(1,)], "b": texts[(2,)]}
    best = max(singles, key=lambda letter: singles[letter])
    segment = read_still(log_probs, ALPHABET, Still(letters=("a", "b")))
    assert segment.text == best
    expected = singles[best] / (sum(singles.values()) + texts[()])
    assert segment.tokens[0].probability == pytest.approx(expected)
    assert (segment.tokens[0].start, segment.tokens[0].end) == (0.0, 0.0)


def test_a_still_never_gives_two_letters_nor_others_than_allowed() -> None:
    log_probs = peaks([1, 0, 2, 2])  # greedy: "ab"
    assert len(read_still(log_probs, ALPHABET, Still(letters=("a", "b"))).text) == 1
    assert read_still(log_probs, ALPHABET, Still(letters=("a",))).text == "a"


def test_a_still_abstains_where_the_empty_text_wins() -> None:
    assert read_still(peaks([0, 0, 0, 0]), ALPHABET, Still(letters=("a", "b"))).text == ""
    nearly = peaks([0, 1, 0])
    assert read_still(nearly, ALPHABET, Still(letters=("a",))).text == "a"
    assert read_still(nearly, ALPHABET, Still(letters=("a",), margin=20.0)).text == ""
