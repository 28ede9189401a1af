import math

import numpy as np
import pytest
from nltk.translate.bleu_score import corpus_bleu  # the library of the paper

from chereme.errors import InputError, UsageError
from chereme.metrics.edits import pool
from chereme.metrics.translation import (
    best_score,
    bleu,
    gloss_edits,
    gloss_top_n,
    score_glosses,
    sentence_bleu,
    sentence_top_n,
)

pytest.importorskip("sacrebleu", reason="the library of BLEU is not installed")

TRUE = [["JOHN", "BUY", "CAR", "FUTURE"], ["JOHN", "LOVE", "MARY"]]
READ = [["JOHN", "BUY", "CAR"], ["JOHN", "LOVE", "WHO", "MARY"]]


def test_bleu_of_the_corpus_by_hand():
    # 7 glosses read of 7: no penalty. Of 7 words 6 are right; of 5 pairs JOHN BUY, BUY CAR and
    # JOHN LOVE; of 3 triples one.
    assert bleu(TRUE, READ, 1) == pytest.approx(100 * 6 / 7)
    assert bleu(TRUE, READ, 2) == pytest.approx(100 * math.sqrt(6 / 7 * 3 / 5))
    assert bleu(TRUE, READ, 3) == pytest.approx(100 * (6 / 7 * 3 / 5 * 1 / 3) ** (1 / 3))
    assert bleu(TRUE, READ, 4) == 0  # of one run of four none
    assert bleu(TRUE, TRUE, 3) == pytest.approx(100)


def test_bleu_of_sentences_by_hand():
    # Three of four, all right: exp(1 - 4/3). Four read of three: no penalty.
    short = math.exp(1 - 4 / 3)
    np.testing.assert_allclose(sentence_bleu(TRUE, READ, 1), [100 * short, 100 * 3 / 4])
    np.testing.assert_allclose(
        sentence_bleu(TRUE, READ, 2), [100 * short, 100 * math.sqrt(3 / 4 * 1 / 3)]
    )
    assert sentence_bleu(TRUE, READ, 4).tolist() == [0, 0]
    assert best_score(TRUE, READ) == pytest.approx(75)


def test_a_gloss_counts_as_often_as_the_reference_has_it():
    assert bleu([["IX", "IX", "GO"]], [["IX"] * 4], 1) == pytest.approx(50)


def test_glosses_are_words_whatever_is_in_them():
    odd = [["#IF", "IX-1p", "ns-fs-MARY,", "MOTHER+FATHER", '5"forget it"', "part:indef"]]
    assert bleu(odd, odd) == pytest.approx(100)
    assert bleu(odd, [["#", "IF", "IX", "1p", "MARY", "MOTHER"]], 1) == 0
    assert bleu([["ix"]], [["IX"]], 1) == 0


def test_nltk_agrees():
    weights = (0.5, 0.5)
    assert bleu(TRUE, READ, 2) == pytest.approx(
        100 * corpus_bleu([[true] for true in TRUE], READ, weights=weights)
    )


def test_word_error_rate_and_its_parts():
    counts = gloss_edits([["A", "B", "C", "D"], ["A", "B"]], [["A", "X", "C"], ["Y", "A", "B"]])
    total = pool(counts)
    assert (total.substitutions, total.deletions, total.insertions) == (1, 1, 1)
    assert total.error_rate == pytest.approx(100 * 3 / 6)
    assert np.mean([count.error_rate for count in counts]) == pytest.approx(50.0)


def test_all_measures():
    scores = score_glosses([*TRUE, ["WHO"]], [*READ, ["WHO"]])
    assert scores.sentences == 3
    assert scores.exact == pytest.approx(100 / 3)
    assert scores.edits.error_rate == pytest.approx(100 * 2 / 8)
    assert scores.mean_wer == pytest.approx(100 * (1 / 4 + 1 / 3 + 0) / 3)
    assert scores.best == pytest.approx(100)
    assert scores.bleu[0] == pytest.approx(100 * 7 / 8)
    assert scores.sentence_bleu[0] == pytest.approx((100 * math.exp(-1 / 3) + 75 + 100) / 3)
    assert len(scores.bleu) == len(scores.sentence_bleu) == 4


def test_nothing_read_is_all_wrong():
    scores = score_glosses(TRUE, [[], []])
    assert scores.bleu == (0, 0, 0, 0)
    assert (scores.edits.deletions, scores.edits.error_rate) == (7, 100)


def test_top_n_of_a_beam():
    beams = [[["JOHN"], TRUE[0]], [READ[1], ["A"], TRUE[1]]]
    assert [sentence_top_n(TRUE, beams, n) for n in (1, 2, 3)] == [0, 50, 100]


def test_top_n_of_glosses_is_a_mean_over_sentences():
    ranks = [[1, 6, 2, 9], [5]]
    assert gloss_top_n(ranks) == pytest.approx(100 * (2 / 4 + 1) / 2)
    assert gloss_top_n(ranks, 1) == pytest.approx(100 * (1 / 4 + 0) / 2)


def test_what_cannot_be_measured():
    with pytest.raises(InputError, match="one hypothesis per reference"):
        bleu(TRUE, READ[:1])
    with pytest.raises(InputError, match="at least one sentence"):
        score_glosses([], [])
    with pytest.raises(InputError, match=r"none for \[1\]"):
        gloss_edits([["A"], []], [["A"], ["B"]])
    with pytest.raises(UsageError, match="order"):
        bleu(TRUE, READ, 0)
    for wrong in ([], [[]], [[0]]):
        with pytest.raises(InputError, match="ranks"):
            gloss_top_n(wrong)
    with pytest.raises(UsageError, match="n: expected"):
        gloss_top_n([[1]], 0)
    with pytest.raises(UsageError, match="n: expected"):
        sentence_top_n(TRUE, [READ, READ], 0)
