"""From the networks' log-probabilities to letters with times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.decoding import (
    Hypothesis,
    LanguageModel,
    Scorer,
    align,
    beam_search,
    ctc_edit_log_likelihoods,
    ctc_log_likelihoods,
    greedy,
    likeliest_texts,
    text_probabilities,
)
from chereme.recognition.config import Still
from chereme.text.alphabet import BLANK, Alphabet
from chereme.types import Alternative, Token

Floats = NDArray[np.floating[Any]]
LONGEST = 10.0  # seconds of a segment that several networks read at once
ALTERNATIVES = 5  # texts that are given at most
PAUSE = 0.15  # seconds of silence around the place where a longer one is cut


@dataclass(frozen=True, slots=True)
class Search:
    """How letters are searched for: ``greedy``, or a beam with these weights. ``words``: how many
    the language model expects."""

    greedy: bool
    beam_width: int
    alpha: float
    beta: float
    min_probability: float
    language_model: LanguageModel | None
    words: int = 0


@dataclass(frozen=True, slots=True)
class LetterEmissions:
    """The outputs of one network for a segment.

    ``log_probs (T', V)``, T' = ceil(T / stride); ``times (T,)``: seconds of the features that it
    saw; ``search``: how its letters are searched for; ``weight``: its part where several decide.
    """

    log_probs: Floats
    times: Floats
    stride: int
    search: Search
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of spelling: its letters, its span in seconds, and the score of the reading.

    ``alternatives``: the likeliest texts, this one first, before unsure letters were left out; none
    where nothing was ranked.
    """

    tokens: tuple[Token, ...]
    start: float
    end: float
    score: float
    alternatives: tuple[Alternative, ...] = ()

    @property
    def text(self) -> str:
        """The letters in a row."""
        return "".join(token.text for token in self.tokens).strip()


def read_segment(emissions: LetterEmissions, alphabet: Alphabet) -> Segment:
    """The best reading of a segment by one network."""
    found = _propose(emissions)
    symbols = found[0].symbols
    tokens = _believed(_tokens(emissions, symbols, alphabet), [emissions], symbols)
    segment = _segment(emissions, tokens, emissions.search.min_probability, found[0].score)
    if emissions.search.greedy:
        return segment
    return replace(segment, alternatives=_alternatives(found, alphabet))


def read_segment_together(every: Sequence[LetterEmissions], alphabet: Alphabet) -> Segment:
    """The best reading of a segment by several networks, see ``decoding.likeliest_texts``.

    The times are those of the network that is surest of the letters. A long segment is read in
    parts, cut where all are silent.
    """
    parts = [_read_part(part, alphabet) for part in _cut(every)]
    return Segment(
        tokens=tuple(token for part in parts for token in part.tokens),
        start=parts[0].start,
        end=parts[-1].end,
        score=sum(part.score for part in parts),
        alternatives=join_alternatives([part.alternatives for part in parts], ""),
    )


def join_alternatives(
    parts: Sequence[Sequence[Alternative]], between: str
) -> tuple[Alternative, ...]:
    """The likeliest of all texts that are one of each of ``parts`` in a row, with ``between`` them;
    their probabilities are products."""
    found: list[tuple[str, float]] = []
    for number, part in enumerate(parts):
        every = [(one.text, one.probability or 0.0) for one in part]
        if number:
            every = [(a + between + b, p * q) for a, p in found for b, q in every]
        found = sorted(every, key=lambda one: -one[1])[:ALTERNATIVES]
    return tuple(Alternative(text, probability) for text, probability in found)


def read_still(log_probs: Floats, alphabet: Alphabet, config: Still) -> Segment:
    """The one letter that a held picture shows best, or none if the empty text is as likely.

    Its probability is among the letters that a still can show and the empty text. A picture has no
    duration: the letter starts and ends at 0.
    """
    return read_still_together([(log_probs, config, 1.0)], alphabet)


def read_still_together(
    every: Sequence[tuple[Floats, Still, float]], alphabet: Alphabet, at: float = 0.0
) -> Segment:
    """`read_still` by several networks: ``(log_probs, config, weight)`` of each. ``at``: the time
    of the picture, seconds.

    Log-likelihoods and margins are weighted means; the letters are those that all can show.
    """
    allowed = [set(config.letters or alphabet.symbols) for _, config, _ in every]
    letters = [c for c in alphabet.symbols if all(c in some for some in allowed)]
    weights = [weight for _, _, weight in every]
    texts = [[], *(alphabet.encode(letter) for letter in letters)]
    likelihoods = np.average(
        [ctc_log_likelihoods(log_probs, texts) for log_probs, _, _ in every],
        axis=0,
        weights=weights,
    )
    log_empty, log_letters = float(likelihoods[0]), likelihoods[1:]
    margin = _mean([config.margin for _, config, _ in every], weights)
    best = int(log_letters.argmax()) if len(letters) else None
    if best is None or not log_letters[best] > log_empty + margin:
        return Segment(tokens=(), start=at, end=at, score=log_empty)
    posterior = np.exp(log_letters - np.logaddexp.reduce(likelihoods))
    token = Token(text=letters[best], start=at, end=at, probability=float(posterior[best]))
    order = np.argsort(-posterior, kind="stable")[:ALTERNATIVES]
    return Segment(
        tokens=(token,),
        start=at,
        end=at,
        score=float(log_letters[best]),
        alternatives=tuple(Alternative(letters[i], float(posterior[i])) for i in order),
    )


def _cut(every: Sequence[LetterEmissions]) -> Iterator[Sequence[LetterEmissions]]:
    """``every`` in parts of ``LONGEST`` seconds at most: what comparing texts costs grows with the
    square of their length."""
    while every[0].times[-1] - every[0].times[0] > LONGEST:
        begin = every[0].times[0]
        outputs = every[0].times[:: every[0].stride]
        outputs = outputs[outputs <= begin + LONGEST + 3 * PAUSE]
        silence = np.zeros(len(outputs))
        for emissions in every:
            at = np.searchsorted(emissions.times[:: emissions.stride], outputs, side="right") - 1
            silence += emissions.weight * emissions.log_probs[at, BLANK]
        # Far from letters on both sides: a cut between what two networks emit for one letter would
        # read it twice.
        cuts = outputs[(outputs >= begin + LONGEST / 2) & (outputs <= begin + LONGEST)]
        near = np.exp(-0.5 * ((cuts[:, None] - outputs) / PAUSE) ** 2)
        cut = cuts[int((near @ silence / near.sum(axis=1)).argmax())]
        halves = [_halve(emissions, cut) for emissions in every]
        yield [before for before, _ in halves]
        every = [after for _, after in halves]
    yield every


def _halve(emissions: LetterEmissions, cut: float) -> tuple[LetterEmissions, LetterEmissions]:
    outputs = int(np.searchsorted(emissions.times[:: emissions.stride], cut))
    frames = outputs * emissions.stride
    return (
        replace(emissions, log_probs=emissions.log_probs[:outputs], times=emissions.times[:frames]),
        replace(emissions, log_probs=emissions.log_probs[outputs:], times=emissions.times[frames:]),
    )


def _read_part(every: Sequence[LetterEmissions], alphabet: Alphabet) -> Segment:
    scorers = [
        Scorer(
            log_probs=emissions.log_probs.astype(np.float64),
            n_best=[hypothesis.symbols for hypothesis in _propose(emissions)],
            weight=emissions.weight,
            lm=emissions.search.language_model,
            alpha=emissions.search.alpha,
            beta=emissions.search.beta,
        )
        for emissions in every
    ]
    ranked = likeliest_texts(scorers)
    symbols = ranked[0].symbols
    # A network without a say may have too few frames to spell the text.
    deciding = [emissions for emissions in every if emissions.weight > 0]
    aligned = [_tokens(emissions, symbols, alphabet) for emissions in deciding]
    surest = max(aligned, key=lambda tokens: sum(token.probability for token in tokens))
    tokens = _believed(surest, deciding, symbols)
    least = _mean(
        [emissions.search.min_probability for emissions in deciding],
        [emissions.weight for emissions in deciding],
    )
    segment = _segment(every[0], tokens, least, ranked[0].score)
    return replace(segment, alternatives=_alternatives(ranked, alphabet))


def _alternatives(ranked: Sequence[Hypothesis], alphabet: Alphabet) -> tuple[Alternative, ...]:
    every = zip(ranked, text_probabilities(ranked), strict=True)
    return tuple(
        Alternative(alphabet.decode(hypothesis.symbols).strip(), probability)
        for hypothesis, probability in every
        if probability > 0
    )[:ALTERNATIVES]


def _propose(emissions: LetterEmissions) -> list[Hypothesis]:
    search = emissions.search
    if search.greedy:
        return [greedy(emissions.log_probs)]
    return beam_search(
        emissions.log_probs,
        width=search.beam_width,
        lm=search.language_model,
        alpha=search.alpha,
        beta=search.beta,
    )


def _tokens(
    emissions: LetterEmissions, symbols: Sequence[int], alphabet: Alphabet
) -> tuple[Token, ...]:
    """``symbols`` with the times at which the network emits them, and the mean of what it gives
    them in these frames."""
    times, stride = emissions.times, emissions.stride
    ends = _ends(times)
    return tuple(
        Token(
            text=alphabet.decode([symbol]),
            start=float(times[span.start_frame * stride]),
            end=float(ends[min(span.end_frame * stride, len(times)) - 1]),
            probability=min(span.probability, 1.0),
        )
        for symbol, span in zip(symbols, align(emissions.log_probs, symbols), strict=True)
    )


def _believed(
    tokens: Sequence[Token], every: Sequence[LetterEmissions], symbols: Sequence[int]
) -> tuple[Token, ...]:
    """``tokens`` with the probability of each of ``symbols`` among all that may stand in its place
    or be missing there, the others being as they are.

    Log-likelihoods of several networks are weighted means, as those of stills are.
    """
    likelihoods = np.average(
        [ctc_edit_log_likelihoods(emissions.log_probs, symbols) for emissions in every],
        axis=0,
        weights=[emissions.weight for emissions in every],
    )
    own = likelihoods[np.arange(len(symbols)), list(symbols)]
    share = np.exp(own - np.logaddexp.reduce(likelihoods, axis=1))
    return tuple(
        replace(token, probability=float(probability))
        for token, probability in zip(tokens, share.clip(0.0, 1.0), strict=True)
    )


def _ends(times: Floats) -> Floats:
    return times + (times[1] - times[0] if len(times) > 1 else 0.0)


def _segment(
    emissions: LetterEmissions, tokens: Sequence[Token], least: float, score: float
) -> Segment:
    return Segment(
        tokens=tuple(token for token in tokens if token.probability >= least),
        start=float(emissions.times[0]),
        end=float(_ends(emissions.times)[-1]),
        score=score,
    )


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return float(np.average(values, weights=weights))
