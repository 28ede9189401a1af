"""One text from several CTC networks that have seen the same signing.

Networks of different frame rates and strides say a letter at slightly different times, each in a
spike of a frame or two: a product of their posteriors frame by frame strikes out both spikes, and a
mean is as sure of the letter as of its being there never or twice. So whole texts are compared
instead: each network is asked for the exact CTC likelihood of the text, which sums over all times,
and a weighted mean of these answers decides. Texts come from the beams of all networks, and from
mixtures of their best ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from chereme.decoding.ctc import Hypothesis, Log, ctc_log_likelihoods
from chereme.decoding.language_model import LanguageModel, text_log_probabilities

Text = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scorer:
    """What one network says of a stretch, and how much that counts.

    ``log_probs (T, V)``, of its own length; ``n_best``: the texts it finds likely, best first;
    ``lm``, ``alpha`` and ``beta`` as in `beam_search`; ``weight``: its part of the mean, from 0.
    """

    log_probs: Log
    n_best: Sequence[Text]
    weight: float
    lm: LanguageModel | None = None
    alpha: float = 0.0
    beta: float = 0.0


class _Scores:
    """Scores of texts, each worked out once, and what of them is ln p_ctc."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self._scorers = [scorer for scorer in scorers if scorer.weight > 0]
        self.known: dict[Text, float] = {}
        self._log_ctc: dict[Text, float] = {}

    def add(self, texts: Iterable[Text]) -> None:
        fresh = sorted(set(texts) - self.known.keys())
        if not fresh:
            return
        total, log_ctc = np.zeros(len(fresh)), np.zeros(len(fresh))
        lengths = np.array([len(text) for text in fresh])
        log_lms: dict[int, Log] = {}  # networks may share a language model
        for scorer in self._scorers:
            own = ctc_log_likelihoods(scorer.log_probs, fresh)
            score = own + scorer.beta * lengths
            if scorer.lm is not None and scorer.alpha:
                key = id(scorer.lm)
                if key not in log_lms:
                    log_lms[key] = text_log_probabilities(scorer.lm, fresh)
                score += scorer.alpha * log_lms[key]
            total += scorer.weight * score
            log_ctc += scorer.weight * own
        self.known.update(zip(fresh, total.tolist(), strict=True))
        self._log_ctc.update(zip(fresh, log_ctc.tolist(), strict=True))

    def ranked(self) -> list[Hypothesis]:
        # Of equals the shorter text, then the earlier in the alphabet: always the same order.
        order = sorted(self.known, key=lambda text: (-self.known[text], len(text), text))
        return [Hypothesis(text, self.known[text], self._log_ctc[text]) for text in order]


def likeliest_texts(scorers: Sequence[Scorer]) -> list[Hypothesis]:
    """All texts that are tried, best first.

    A text scores ``sum of weight * (ln p_ctc + alpha * ln p_lm + beta * length)`` over ``scorers``:
    with weights of sum 1 the mean of what the networks' own searches would give it. Its ``log_ctc``
    is the mean of ln p_ctc alone; ``log_lm`` is left at 0. A text that one of them (of weight above
    0) has too few frames for scores -inf.

    Tried are all n_best and the empty text, then the best of them with single differences from
    the best of each network, then with all of these that were for the better: two networks that
    err in different letters mend each other, also where no beam holds the whole right text.
    """
    scores = _Scores(scorers)
    scores.add([(), *(text for scorer in scorers for text in scorer.n_best)])
    base = scores.ranked()[0].symbols
    for scorer in scorers:
        if scorer.n_best:
            _mend(base, scorer.n_best[0], scores)
    return scores.ranked()


def _mend(base: Text, other: Text, scores: _Scores) -> None:
    """Score ``base`` with parts of ``other`` in the place of its own."""
    parts = _parts(base, other)

    def mixed(taken: Sequence[int]) -> Text:
        chosen = (theirs if number in taken else own for number, (own, theirs) in enumerate(parts))
        return tuple(symbol for part in chosen for symbol in part)

    spots = [number for number, (own, theirs) in enumerate(parts) if own != theirs]
    singles = [mixed([spot]) for spot in spots]
    scores.add(singles)
    good = [
        spot
        for spot, text in zip(spots, singles, strict=True)
        if scores.known[text] > scores.known[base]
    ]
    scores.add([mixed(good)])


def _parts(base: Text, other: Text) -> list[tuple[Text, Text]]:
    """Both texts cut into parts that belong together, each difference as small as can be."""
    parts = []
    for _, i, j, k, m in SequenceMatcher(None, base, other, autojunk=False).get_opcodes():
        both = min(j - i, m - k)
        parts += [(base[i + n : i + n + 1], other[k + n : k + n + 1]) for n in range(both)]
        if i + both < j or k + both < m:
            parts.append((base[i + both : j], other[k + both : m]))
    return parts
