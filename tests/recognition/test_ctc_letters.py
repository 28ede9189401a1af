"""Letters, times and probabilities from log-probabilities that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from chereme.decoding import Hypothesis, Scorer, likeliest_texts
from chereme.recognition.config import Still
from chereme.recognition.ctc_letters import (
    LONGEST,
    LetterEmissions,
    Search,
    join_alternatives,
    read_segment,
    read_segment_together,
    read_still,
    read_still_together,
)
from chereme.text.alphabet import Alphabet
from chereme.types import Alternative

ALPHABET = Alphabet(("a", "b"))
BEAM = Search(
    greedy=False, beam_width=5, alpha=0.0, beta=0.0, min_probability=0.0, language_model=None
)
GREEDY = replace(BEAM, greedy=True)


def peaks(symbols: list[int], probability: float = 0.9) -> np.ndarray:
    """``(T, 3)``: one frame a symbol, the rest shared by the others."""
    rest = (1 - probability) / 2
    return np.log([[probability if s == k else rest for k in range(3)] for s in symbols])


def enumerate_texts(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Probability of every text by going through all paths."""
    texts: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=len(log_probs)):
        text = tuple(s for i, s in enumerate(path) if s != 0 and (i == 0 or s != path[i - 1]))
        probability = float(np.exp(sum(row[s] for row, s in zip(log_probs, path, strict=True))))
        texts[text] = texts.get(text, 0.0) + probability
    return texts


def believed(text: tuple[int, ...], every: list[tuple[np.ndarray, float]]) -> list[float]:
    """The probability of each letter among all texts that differ in it alone, or lack it: of
    networks ``(log_probs, weight)``, by going through all paths."""
    texts = [(enumerate_texts(log_probs), weight) for log_probs, weight in every]

    def likelihood(other: tuple[int, ...]) -> float:
        return float(np.exp(sum(w * np.log(known.get(other, 1e-300)) for known, w in texts)))

    changes = [
        [(*text[:i], *other, *text[i + 1 :]) for other in ((), (1,), (2,))]
        for i in range(len(text))
    ]
    return [likelihood(text) / sum(likelihood(own) for own in every) for every in changes]


@pytest.mark.parametrize("search", [BEAM, GREEDY])
@pytest.mark.parametrize("stride", [1, 2])
def test_letters_and_times(search: Search, stride: int) -> None:
    log_probs = peaks([0, 1, 1, 0, 2, 2, 0, 2])
    times = 1.0 + np.arange(8 * stride) / 30
    segment = read_segment(LetterEmissions(log_probs, times, stride, search), ALPHABET)
    assert segment.text == "abb"  # two b with a blank between stay two
    spans = [(token.start, token.end) for token in segment.tokens]
    frames = np.array([(1, 3), (4, 6), (7, 8)]) * stride
    np.testing.assert_allclose(spans, 1.0 + frames / 30, atol=1e-9)
    expected = believed((1, 2, 2), [(log_probs, 1.0)])
    assert [token.probability for token in segment.tokens] == pytest.approx(expected)
    assert (segment.start, segment.end) == (1.0, pytest.approx(1.0 + 8 * stride / 30))


def test_an_odd_length_at_stride_2_ends_with_the_last_frame() -> None:
    times = np.arange(5) / 30  # 3 outputs: frames 0-1, 2-3, 4
    segment = read_segment(LetterEmissions(peaks([0, 0, 1]), times, 2, BEAM), ALPHABET)
    assert segment.tokens[0].start == pytest.approx(4 / 30)
    assert segment.tokens[0].end == pytest.approx(5 / 30)


def test_unlikely_letters_are_left_out() -> None:
    log_probs = np.concatenate([peaks([1, 0], 0.95), peaks([2, 0], 0.5)])
    times = np.arange(4) / 30
    assert read_segment(LetterEmissions(log_probs, times, 1, GREEDY), ALPHABET).text == "ab"
    strict = replace(GREEDY, min_probability=0.6)
    assert read_segment(LetterEmissions(log_probs, times, 1, strict), ALPHABET).text == "a"


def test_silence_has_no_tokens() -> None:
    segment = read_segment(LetterEmissions(peaks([0, 0, 0]), np.arange(3) / 30, 1, BEAM), ALPHABET)
    assert segment.tokens == ()
    assert segment.text == ""


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


def test_together_the_surest_gives_the_times_and_all_the_probability() -> None:
    """Of outputs at 15 and at 30 a second."""
    vague = LetterEmissions(peaks([0, 1, 0, 2], 0.6), 1.0 + np.arange(8) / 30, 2, BEAM, 0.25)
    sure = LetterEmissions(
        peaks([0, 0, 0, 1, 0, 0, 2, 0], 0.9), 1.0 + np.arange(8) / 30, 1, BEAM, 0.75
    )
    for every in ([vague, sure], [sure, vague]):
        segment = read_segment_together(every, ALPHABET)
        assert segment.text == "ab"
        assert [token.start for token in segment.tokens] == pytest.approx([1 + 3 / 30, 1 + 6 / 30])
        assert [token.end for token in segment.tokens] == pytest.approx([1 + 4 / 30, 1 + 7 / 30])
        expected = believed((1, 2), [(own.log_probs, own.weight) for own in every])
        assert [token.probability for token in segment.tokens] == pytest.approx(expected)
        assert (segment.start, segment.end) == (1.0, pytest.approx(1.0 + 8 / 30))
    strict = [replace(emissions, search=replace(BEAM, min_probability=0.9)) for emissions in every]
    assert read_segment_together(strict, ALPHABET).text == ""


def test_together_the_score_is_the_mean_of_those_alone() -> None:
    """So that the likelier hand can be told by it."""
    logits = np.random.default_rng(1).normal(size=(2, 6, 3)) * 3
    log_probs = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    every = [LetterEmissions(found, np.arange(6) / 30, 1, replace(BEAM, beam_width=200), w)
             for found, w in zip(log_probs, (0.4, 0.6), strict=True)]  # fmt: skip
    scores = [enumerate_texts(found) for found in log_probs]
    means = {
        text: 0.4 * np.log(scores[0][text]) + 0.6 * np.log(scores[1][text])
        for text in scores[0].keys() & scores[1].keys()
    }
    segment = read_segment_together(every, ALPHABET)
    assert segment.score == pytest.approx(max(means.values()))
    best = max(means, key=lambda text: means[text])
    assert segment.text == ALPHABET.decode(best)


def test_a_network_without_a_say_need_not_fit_the_text() -> None:
    long = LetterEmissions(peaks([1, 0, 1, 0, 2]), np.arange(5) / 30, 1, BEAM, 1.0)
    short = LetterEmissions(peaks([0]), np.arange(5) / 30, 5, BEAM, 0.0)
    together, alone = read_segment_together([long, short], ALPHABET), read_segment(long, ALPHABET)
    assert together.tokens == alone.tokens
    assert (together.start, together.end) == (alone.start, alone.end)


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (1, 3)])
def test_long_stretches_are_read_in_parts_with_nothing_lost(
    strides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute of a letter every 0.4 s, that each network says at its own place. What comparing
    texts costs grows with the square of their length, and so of the parts."""
    compared: list[int] = []

    def counted(scorers: Sequence[Scorer]) -> list[Hypothesis]:
        pairs = zip(scorers, strides, strict=True)
        compared.extend(stride * len(scorer.log_probs) for scorer, stride in pairs)
        return likeliest_texts(scorers)

    monkeypatch.setattr("chereme.recognition.ctc_letters.likeliest_texts", counted)
    rng = np.random.default_rng(4)
    said = rng.integers(1, 3, 150)
    every = []
    for stride, offset in zip(strides, (3, 6), strict=True):
        frames = np.zeros(12 * len(said), int)
        frames[np.arange(len(said)) * 12 + offset] = said
        log_probs = peaks(frames.reshape(-1, stride).max(axis=1).tolist(), 0.999)
        every.append(
            LetterEmissions(log_probs, 5.0 + np.arange(len(frames)) / 30, stride, BEAM, 0.5)
        )
    segment = read_segment_together(every, ALPHABET)
    assert max(compared) <= 30 * LONGEST + max(strides)
    assert segment.text == ALPHABET.decode(said)
    starts = np.array([token.start for token in segment.tokens])
    truth = 5.0 + 0.4 * np.arange(len(said))
    assert ((starts >= truth + 0.06) & (starts <= truth + 0.21)).all()
    assert (segment.start, segment.end) == (5.0, pytest.approx(65.0))


def test_a_still_by_two_networks() -> None:
    both, only_b = Still(letters=("a", "b")), Still(letters=("b",))
    says_a, says_b = peaks([0, 1, 1, 0], 0.8), peaks([2, 2], 0.8)

    def text(weight: float, second: Still = both) -> str:
        views = [(says_a, both, 1 - weight), (says_b, second, weight)]
        return read_still_together(views, ALPHABET).text

    assert [text(0.0), text(1.0)] == ["a", "b"]
    assert text(0.0, only_b) == "b"  # the one letter that both can show
    alone = read_still(says_a, ALPHABET, both)
    twice = read_still_together([(says_a, both, 0.5), (says_a, both, 0.5)], ALPHABET)
    assert twice.text == alone.text
    assert twice.score == pytest.approx(alone.score)
    assert twice.tokens[0].probability == pytest.approx(alone.tokens[0].probability)
    reluctant = replace(both, margin=40.0)
    assert text(0.5, reluctant) == ""


def random_log_probs(seed: int, frames: int = 5) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(frames, 3)) * 2
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_other_texts_with_their_probabilities(seed: int) -> None:
    log_probs, times = random_log_probs(seed), np.arange(5) / 30
    wide = replace(BEAM, beam_width=500)
    segment = read_segment(LetterEmissions(log_probs, times, 1, wide), ALPHABET)
    exact = {ALPHABET.decode(t): p for t, p in enumerate_texts(log_probs).items()}
    best = sorted(exact, key=lambda text: -exact[text])[:5]
    assert [one.text for one in segment.alternatives] == best
    assert [one.probability for one in segment.alternatives] == pytest.approx(
        [exact[text] for text in best]
    )
    assert read_segment(LetterEmissions(log_probs, times, 1, GREEDY), ALPHABET).alternatives == ()
    # Two networks that say the same are one.
    twice = [LetterEmissions(log_probs, times, 1, wide, weight) for weight in (0.3, 0.7)]
    together = read_segment_together(twice, ALPHABET).alternatives
    assert [one.text for one in together] == best
    assert [one.probability for one in together] == pytest.approx(
        [one.probability for one in segment.alternatives]
    )


def test_texts_in_a_row() -> None:
    first = [Alternative("a", 0.6), Alternative("b", 0.3)]
    second = [Alternative("aa", 0.5), Alternative("", 0.1)]
    assert join_alternatives([first, second], " ") == (
        ("a aa", pytest.approx(0.30)),
        ("b aa", pytest.approx(0.15)),
        ("a ", pytest.approx(0.06)),
        ("b ", pytest.approx(0.03)),
    )
    assert join_alternatives([first], " ") == tuple(first)
    assert join_alternatives([first, []], " ") == join_alternatives([], " ") == ()
    many = [Alternative(str(i), 0.1) for i in range(5)]
    assert len(join_alternatives([many, many], "")) == 5
    of_many = [[Alternative("x", 0.9), Alternative("y", 0.1)]] * 4
    every = ("".join(text) for text in product("xy", repeat=4))
    exact = sorted((0.9 ** t.count("x") * 0.1 ** t.count("y") for t in every), reverse=True)[:5]
    assert [p for _, p in join_alternatives(of_many, "")] == pytest.approx(exact)


def test_the_letters_of_a_still_with_their_probabilities() -> None:
    log_probs = random_log_probs(3, 4)
    exact = enumerate_texts(log_probs)
    total = exact[()] + exact[(1,)] + exact[(2,)]
    segment = read_still(log_probs, ALPHABET, Still(margin=-50.0))
    by_letter = {"a": exact[(1,)] / total, "b": exact[(2,)] / total}
    assert dict(segment.alternatives) == pytest.approx(by_letter)
    assert segment.alternatives[0].text == segment.text
    assert segment.tokens[0].probability == segment.alternatives[0].probability
