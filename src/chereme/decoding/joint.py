"""Readings of a CTC head and of a text decoder, scored together.

Hori, Watanabe & Hershey 2017, *Joint CTC/attention decoding for end-to-end speech recognition*,
their rescoring (Eq. 21): each head puts forward what it finds likely, and all of these are scored
by both. A decoder that was taught sentences stops after the first of a window that holds several,
and may go on for ever; the CTC head knows what is in the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from chereme.decoding.ctc import Log
from chereme.decoding.language_model import LanguageModel, text_log_probabilities
from chereme.metrics.edits import EditCounts, letter_accuracy

ALPHAS = (0.0, 0.2, 0.4, 0.7, 1.0)
BETAS = (0.0, 1.0, 2.0, 3.0)
CTC_WEIGHTS = tuple(round(0.1 * tenth, 1) for tenth in range(11))
Text = tuple[int, ...]


@dataclass(frozen=True)
class JointWeights:
    """A text y scores ``ctc_weight`` ln p_ctc(y) + (1 - ``ctc_weight``) ln p_decoder(y) + ``alpha``
    ln p_lm(y) + ``beta`` len(y)."""

    ctc_weight: float = 0.5
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True)
class GlossWeights:
    """Of the language model where glosses are read: ``alpha`` and ``beta`` in the search of the CTC
    head, and ``joint``, where a decoder reads too."""

    alpha: float = 0.0
    beta: float = 0.0
    joint: JointWeights = JointWeights()

    def without_lm(self) -> GlossWeights:
        """Those of a search without a language model, for which the others were not meant."""
        return GlossWeights(joint=JointWeights(self.joint.ctc_weight))


class Judged(NamedTuple):
    """``texts``, and of each ln p by the CTC head, the decoder and the language model ``(N,)``; 0
    where there is none."""

    texts: Sequence[Text]
    log_ctc: Log
    log_decoder: Log
    log_lm: Log

    def scores(self, weights: JointWeights) -> Log:
        """``(N,)``; -inf for what one of them that counts finds impossible, or not finite."""
        terms = (
            (weights.ctc_weight, self.log_ctc),
            (1.0 - weights.ctc_weight, self.log_decoder),
            (weights.alpha, self.log_lm),
        )
        lengths = np.array([len(text) for text in self.texts], np.float64)
        total = weights.beta * lengths + sum(w * log_p for w, log_p in terms if w)
        return np.where(np.isfinite(total), total, -np.inf)

    def best(self, weights: JointWeights) -> list[Text]:
        """The texts that are possible, best first; of equals the first."""
        scores = self.scores(weights)
        order = np.argsort(-scores, kind="stable")
        return [self.texts[i] for i in order if scores[i] > -np.inf]


def judge(
    texts: Sequence[Text], log_ctc: Log, log_decoder: Log, lm: LanguageModel | None
) -> Judged:
    """``texts`` with what all say of them."""
    log_lm = np.zeros(len(texts)) if lm is None else text_log_probabilities(lm, texts)
    return Judged(texts, log_ctc, log_decoder, log_lm)


def tune_joint(
    judged: Sequence[Judged], references: Sequence[Text]
) -> tuple[JointWeights, EditCounts]:
    """The weights by which the fewest edits lie between what is read of each clip and its
    reference, and these: first the weight of the CTC head without a language model, then the
    others. Of equals those nearest to the default."""

    def counts(weights: JointWeights) -> EditCounts:
        best = [(one.best(weights) or [()])[0] for one in judged]
        return letter_accuracy(references, best)

    share = min(CTC_WEIGHTS, key=lambda w: (counts(JointWeights(w)).edits, abs(w - 0.5)))
    settings = (JointWeights(share, a, b) for a, b in product(ALPHAS, BETAS))
    best = min(settings, key=lambda own: (counts(own).edits, own.alpha, own.beta))
    return best, counts(best)
