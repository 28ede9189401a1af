"""Texts scored by CTC head, decoder and language model together."""

from __future__ import annotations

import numpy as np

from chereme.decoding.joint import GlossWeights, JointWeights, Judged, judge, tune_joint
from chereme.decoding.ngram import NGramLanguageModel

TEXTS = [(4,), (4, 5), (5,)]
JUDGED = Judged(
    TEXTS, np.array([-1.0, -3.0, -np.inf]), np.array([-4.0, -1.0, -0.5]), np.array([-2.0, -1.0, 0])
)


def test_scores_by_hand() -> None:
    weights = JointWeights(ctc_weight=0.25, alpha=0.5, beta=2.0)
    # 0.25 ctc + 0.75 decoder + 0.5 lm + 2 length
    np.testing.assert_allclose(
        JUDGED.scores(weights), [-0.25 - 3 - 1 + 2, -0.75 - 0.75 - 0.5 + 4, -np.inf]
    )
    assert JUDGED.best(weights) == [(4, 5), (4,)]
    # What has no weight has no say, however impossible it finds a text.
    assert JUDGED.best(JointWeights(ctc_weight=0.0))[0] == (5,)
    assert JUDGED.best(JointWeights(ctc_weight=1.0)) == [(4,), (4, 5)]


def test_what_is_not_finite_is_impossible() -> None:
    broken = JUDGED._replace(log_decoder=np.full(3, np.nan))
    assert broken.best(JointWeights()) == []


def test_the_language_model_is_asked() -> None:
    lm = NGramLanguageModel.train([(4, 5)], (None, None, None, None, "A", "B"))
    judged = judge(TEXTS, np.zeros(3), np.zeros(3), lm)
    assert judged.best(JointWeights(alpha=1.0))[0] == (4, 5)
    assert judge(TEXTS, np.zeros(3), np.zeros(3), None).log_lm.tolist() == [0, 0, 0]


def test_weights_are_those_with_the_fewest_edits() -> None:
    """The decoder is right of the first clip, the CTC head of the second: only where the decoder
    has between 2 / 3 and 5 / 6 of the say is each right."""
    first = Judged([(4,), (5,)], np.array([-3.0, -1.0]), np.array([-1.0, -2.0]), np.zeros(2))
    second = Judged([(4,), (5,)], np.array([-1.0, -6.0]), np.array([-2.0, -1.0]), np.zeros(2))
    weights, counts = tune_joint([first, second], [(4,), (4,)])
    assert (weights, counts.edits) == (JointWeights(0.3), 0)
    # A language model that alone knows better is believed, as little as is needed.
    blind = Judged([(4,), (5,)], np.array([-1.0, -1.1]), np.zeros(2), np.array([-2.0, -1.0]))
    weights, counts = tune_joint([blind], [(5,)])
    assert (weights.alpha, weights.beta, counts.edits) == (0.2, 0.0, 0)


def test_without_a_language_model_the_head_keeps_its_weight() -> None:
    weights = GlossWeights(0.4, 1.0, JointWeights(0.2, 0.7, 2.0))
    assert weights.without_lm() == GlossWeights(0.0, 0.0, JointWeights(0.2))
