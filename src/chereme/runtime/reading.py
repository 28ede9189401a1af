"""From the network's log-probabilities to letters with times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.decoding import LanguageModel, align, beam_search, ctc_log_likelihood, greedy
from chereme.runtime.config import Still
from chereme.text.alphabet import Alphabet
from chereme.types import Token

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Search:
    """How letters are searched for: ``greedy``, or a beam with these weights."""

    greedy: bool
    beam_width: int
    alpha: float
    beta: float
    min_probability: float
    language_model: LanguageModel | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of spelling: its letters, its span in seconds, and the score of the reading."""

    tokens: tuple[Token, ...]
    start: float
    end: float
    score: float

    @property
    def text(self) -> str:
        """The letters in a row."""
        return "".join(token.text for token in self.tokens).strip()


def read_segment(
    log_probs: Floats, times: Floats, alphabet: Alphabet, stride: int, search: Search
) -> Segment:
    """The best reading of ``log_probs (T', V)``, T' = ceil(T / stride).

    ``times (T,)``: seconds of the features that the network saw.
    """
    if search.greedy:
        best = greedy(log_probs)
    else:
        best = beam_search(
            log_probs,
            width=search.beam_width,
            lm=search.language_model,
            alpha=search.alpha,
            beta=search.beta,
        )[0]
    period = float(times[1] - times[0]) if len(times) > 1 else 0.0
    ends = times + period
    tokens = tuple(
        Token(
            text=alphabet.decode([symbol]),
            start=float(times[span.start_frame * stride]),
            end=float(ends[min(span.end_frame * stride, len(times)) - 1]),
            probability=min(span.probability, 1.0),
        )
        for symbol, span in zip(best.symbols, align(log_probs, best.symbols), strict=True)
    )
    return Segment(
        tokens=tuple(t for t in tokens if t.probability >= search.min_probability),
        start=float(times[0]),
        end=float(ends[-1]),
        score=best.score,
    )


def read_still(log_probs: Floats, alphabet: Alphabet, config: Still) -> Segment:
    """The one letter that a held picture shows best, or none if the empty text is as likely.

    Its probability is among the letters that a still can show and the empty text. A picture has no
    duration: the letter starts and ends at 0.
    """
    letters = config.letters or alphabet.symbols
    log_empty = ctc_log_likelihood(log_probs, [])
    log_letters = np.array([ctc_log_likelihood(log_probs, alphabet.encode(c)) for c in letters])
    best = int(log_letters.argmax())
    if not log_letters[best] > log_empty + config.margin:
        return Segment(tokens=(), start=0.0, end=0.0, score=log_empty)
    probability = float(np.exp(log_letters[best] - np.logaddexp.reduce([*log_letters, log_empty])))
    token = Token(text=letters[best], start=0.0, end=0.0, probability=probability)
    return Segment(tokens=(token,), start=0.0, end=0.0, score=float(log_letters[best]))
