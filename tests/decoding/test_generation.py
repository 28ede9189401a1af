"""Greedy, beam search and sampling, against all sentences of a tiny vocabulary."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from chereme.decoding.generation import (
    Generated,
    GenerationConfig,
    decoder_log_likelihoods,
    generate,
    keep_likely,
    may_follow,
    step_log_probs,
)
from chereme.errors import UsageError
from chereme.text.glosses import BOS, EOS, PAD

Floats = NDArray[np.float32]
V = 6  # padding, beginning, end, unknown, and two glosses
PLAIN = GenerationConfig(repetition_penalty=1.0, temperature=1.0, length_penalty=0.0, max_length=4)


class Language:
    """Logits after each beginning, drawn at random and always the same: of sentence b, in a batch
    that may hold only some of them."""

    def __init__(self, seed: int, rows: tuple[int, ...] = (0,), spread: float = 1.5) -> None:
        self.seed, self.rows, self.spread = seed, rows, spread

    def logits(self, row: int, ids: tuple[int, ...]) -> Floats:
        seed = hash((self.seed, row, *ids)) % 2**31
        return (self.spread * np.random.default_rng(seed).normal(size=V)).astype(np.float32)

    def __call__(self, ids: NDArray[np.int64]) -> Floats:
        return np.stack(
            [
                np.stack([self.logits(row, tuple(prefix)) for prefix in prefixes])
                for row, prefixes in zip(self.rows, ids.tolist(), strict=True)
            ]
        )

    def score(self, row: int, sentence: tuple[int, ...], config: GenerationConfig) -> float:
        """By definition: each id's log-probability among what may be said, times the penalty where
        it was said before; their sum over the number of ids to the power of the length penalty."""
        total, ids = 0.0, (BOS,)
        for chosen in (*sentence, EOS):
            scaled = self.logits(row, ids)[2:] / config.temperature
            log_p = float(scaled[chosen - 2] - np.log(np.exp(scaled).sum()))
            total += log_p * (config.repetition_penalty if chosen in ids else 1.0)
            ids = (*ids, chosen)
        return total / (len(sentence) + 1) ** config.length_penalty

    def all(self, row: int, config: GenerationConfig) -> list[tuple[float, tuple[int, ...]]]:
        sentences = itertools.chain.from_iterable(
            itertools.product(range(3, V), repeat=n) for n in range(config.max_length + 1)
        )
        return sorted(((self.score(row, s, config), s) for s in sentences), reverse=True)


def texts(found: Generated, row: int) -> list[tuple[int, ...]]:
    return [
        tuple(ids[:n])
        for ids, n in zip(found.glosses[row].tolist(), found.lengths[row].tolist(), strict=True)
    ]


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 2.0, -0.5])
@pytest.mark.parametrize("repetition_penalty", [1.0, 2.5, 0.5])
def test_a_wide_beam_finds_the_best_of_all_sentences(
    length_penalty: float, repetition_penalty: float
) -> None:
    config = replace(
        PLAIN,
        beam_size=81,  # as many as there are beginnings of four glosses
        length_penalty=length_penalty,
        repetition_penalty=repetition_penalty,
        temperature=0.7,
    )
    rows = (0, 1, 2)
    found = generate(Language(1, rows), 3, config)
    for row in rows:
        wanted = Language(1).all(row, config)[:81]
        assert found.scores[row].tolist() == pytest.approx([s for s, _ in wanted], abs=1e-4)
        assert texts(found, row)[:5] == [sentence for _, sentence in wanted[:5]]


def test_hypotheses_of_a_narrow_beam_are_scored_as_defined_and_sorted() -> None:
    config = GenerationConfig(max_length=4)
    greedy = replace(config, method="greedy")
    for seed in range(5):
        language = Language(seed)
        found = generate(language, 1, config)
        said = texts(found, 0)
        assert len(set(said)) == 5
        wanted = [language.score(0, sentence, config) for sentence in said]
        assert found.scores[0].tolist() == pytest.approx(wanted, abs=1e-4)
        assert wanted == sorted(wanted, reverse=True)
        best = language.all(0, config)[0][0]
        assert generate(language, 1, greedy).scores.item() <= wanted[0] + 1e-5 <= best + 2e-5


def test_greedy_takes_the_likeliest_each_time() -> None:
    config = replace(PLAIN, method="greedy", repetition_penalty=2.5)
    for seed in range(5):
        language, ids = Language(seed), [BOS]
        while ids[-1] != EOS and len(ids) <= 4:
            log_p = may_follow(language.logits(0, tuple(ids)))[2:]
            for said in set(ids[1:]):
                log_p[said - 2] *= 2.5
            ids.append(2 + int(log_p.argmax()))
        assert texts(generate(language, 1, config), 0) == [tuple(i for i in ids[1:] if i != EOS)]


@pytest.mark.parametrize("method", ["beam", "greedy"])
def test_a_batch_gives_what_each_sentence_gives_alone(method: str) -> None:
    config = GenerationConfig(method=method, max_length=4)  # type: ignore[arg-type]
    together = generate(Language(3, (0, 1, 2, 3)), 4, config)
    assert len({len(texts(together, row)[0]) for row in range(4)}) > 1
    for row in range(4):
        alone = generate(Language(3, (row,)), 1, config)
        assert texts(alone, 0) == texts(together, row)
        np.testing.assert_allclose(alone.scores[0], together.scores[row])
    for row in range(4):  # padded, without marks
        for ids, n in zip(together.glosses[row], together.lengths[row], strict=True):
            assert (ids[n:] == PAD).all()
            assert (ids[:n] > EOS).all()


def test_fewer_sentences_than_the_beam_is_wide() -> None:
    config = replace(PLAIN, beam_size=5, max_length=1)  # 4 sentences: none, 3, 4, 5
    found = generate(Language(0), 1, config)
    assert np.isfinite(found.scores[0]).tolist() == [True] * 4 + [False]
    assert sorted(texts(found, 0)[:4]) == [(), (3,), (4,), (5,)]
    assert texts(found, 0)[4] == ()


def test_penalties_by_hand() -> None:
    logits = np.array([9.0, 9.0, 0.4, 1.4, -0.6, 0.2])
    ids = np.array([BOS, 4, 4])
    config = replace(PLAIN, repetition_penalty=2.5, temperature=0.5)
    found = step_log_probs(logits, ids, config)
    scaled = np.array([0.8, 2.8, -1.2, 0.4])
    wanted = scaled - np.log(np.exp(scaled).sum())
    wanted[2] *= 2.5  # once, however often it was said
    np.testing.assert_allclose(found[2:], wanted)
    assert (found[:2] == -np.inf).all()
    assert logits[0] == 9  # what came is left as it was
    assert step_log_probs(logits, np.array([BOS, 4, 4, 4, 4]), config)[3:].max() == -np.inf


def test_what_top_k_and_top_p_keep() -> None:
    log_p = np.log([0.1, 0.4, 0.2, 0.3])
    for k, p, kept in (
        (4, 1.0, {0, 1, 2, 3}),
        (2, 1.0, {1, 3}),
        (4, 0.5, {1, 3}),
        (4, 0.39, {1}),
        (3, 0.92, {1, 2, 3}),
        (2, 0.5, {1}),  # of the two, the first has 4 / 7
    ):
        found = keep_likely(log_p, k, p)
        assert set(np.flatnonzero(np.isfinite(found)).tolist()) == kept
        np.testing.assert_array_equal(found[list(kept)], log_p[list(kept)])


def test_samples_follow_the_distribution() -> None:
    config = replace(PLAIN, method="sample", top_k=3, top_p=0.99, max_length=1)
    logits = np.log([1.0, 1.0, 0.5, 0.1, 0.3, 0.2])  # of ids 2 to 5; 3 is cut off

    def step(ids: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.broadcast_to(logits, (*ids.shape[:2], V))

    found = generate(step, 4000, config, rng=np.random.default_rng(0))
    first = np.where(found.lengths[:, 0] == 0, EOS, found.glosses[:, 0, 0])
    share = np.bincount(first, minlength=V) / 4000
    assert share.tolist() == pytest.approx([0, 0, 0.5, 0, 0.3, 0.2], abs=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "best"}, "method: expected beam, greedy or sample, got 'best'"),
        ({"beam_size": 0}, "beam_size: expected more than 0, got 0"),
        ({"temperature": 0.0}, "temperature: expected more than 0"),
        ({"max_length": 0}, "max_length: expected more than 0"),
    ],
)
def test_values_that_mean_nothing_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        generate(Language(0), 1, replace(PLAIN, **changes))  # type: ignore[arg-type]


def test_the_defaults_are_those_of_table_2() -> None:
    config = GenerationConfig()
    assert (config.beam_size, config.length_penalty, config.repetition_penalty) == (5, 0.7, 2.5)
    assert (config.temperature, config.top_k, config.top_p) == (0.7, 50, 0.92)
    assert config.max_length == 64


def test_likelihoods_of_texts_are_what_a_search_without_penalties_gives() -> None:
    language = Language(3)

    def logits(ids: NDArray[np.int64]) -> Floats:
        rows = [[language.logits(0, tuple(row[: i + 1])) for i in range(len(row))] for row in ids]
        return np.array(rows)

    texts = [(), (4,), (3, 5, 5)]
    found = decoder_log_likelihoods(logits, texts)
    wanted = [language.score(0, text, PLAIN) for text in texts]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
