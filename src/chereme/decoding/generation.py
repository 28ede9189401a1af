"""From a text decoder's logits to sentences: greedy, beam search, sampling (SignX, Table 2).

Shapes: B sentences, N hypotheses of each, V ids, which are those of :mod:`chereme.text.glosses`.
Everything is batched; nothing here knows the network, only ``step``: ids ``(B, N, l)`` from BOS on
-> logits ``(B, N, V)`` of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.errors import UsageError
from chereme.text.glosses import BOS, EOS, LONGEST, PAD

Ids = NDArray[np.int64]
Log = NDArray[np.float64]
Step = Callable[[Ids], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class GenerationConfig:
    """The values are those of Table 2 for inference.

    Choice: all of the following, as the paper names them only. ``temperature`` divides the logits.
    ``repetition_penalty`` multiplies the log-probabilities of glosses that were said before (as
    transformers does in its beam search; Keskar et al. 2019 divide logits, whose zero means
    nothing). A sentence's score is the sum of these over its number of ids, the end counted, to the
    power of ``length_penalty``. ``top_k`` and ``top_p`` limit what is sampled, and nothing else.
    ``max_length``: glosses, after which only the end can follow.
    """

    method: Literal["beam", "greedy", "sample"] = "beam"
    beam_size: int = 5
    length_penalty: float = 0.7
    repetition_penalty: float = 2.5
    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 0.92
    max_length: int = LONGEST


PAPER_GENERATION = GenerationConfig()


class Generated(NamedTuple):
    """``glosses (B, N, L)``: best first, padded, without marks; ``lengths (B, N)``; ``scores (B,
    N)``, -inf where there are fewer hypotheses."""

    glosses: Ids
    lengths: Ids
    scores: Log


def check_generation(config: GenerationConfig) -> None:
    """UsageError for values that mean nothing."""
    if config.method not in ("beam", "greedy", "sample"):
        raise UsageError(f"method: expected beam, greedy or sample, got {config.method!r}")
    positive = ("beam_size", "temperature", "repetition_penalty", "top_k", "top_p", "max_length")
    for name in positive:
        if not getattr(config, name) > 0:
            raise UsageError(f"{name}: expected more than 0, got {getattr(config, name)}")


def may_follow(logits: NDArray[np.floating[Any]]) -> Log:
    """Log-probabilities ``(..., V)`` of logits; -inf for padding and beginnings, which never follow
    anything."""
    log_probs = logits.astype(np.float64)
    log_probs[..., [PAD, BOS]] = -np.inf
    log_probs -= log_probs.max(-1, keepdims=True)
    log_probs -= np.log(np.exp(log_probs).sum(-1, keepdims=True))
    return log_probs


def decoder_log_likelihoods(
    logits: Callable[[Ids], NDArray[np.floating[Any]]], texts: Sequence[Sequence[int]]
) -> Log:
    """ln p(text), its end included, of each of N ``texts``, without penalties or temperature:
    ``(N,)``. ``logits``: ids ``(N, L)`` from BOS on -> ``(N, L, V)`` of what follows each."""
    lengths = np.array([len(text) for text in texts])
    ids = np.full((len(texts), int(lengths.max(initial=0)) + 2), EOS)
    ids[:, 0] = BOS
    for row, text in zip(ids, texts, strict=True):
        row[1 : len(text) + 1] = text
    log_probs = may_follow(logits(ids[:, :-1]))
    chances = np.take_along_axis(log_probs, ids[:, 1:, None], -1)[..., 0]
    said = np.arange(chances.shape[1]) <= lengths[:, None]
    total: Log = np.where(said, chances, 0.0).sum(-1)
    return total


def step_log_probs(logits: NDArray[np.floating[Any]], ids: Ids, config: GenerationConfig) -> Log:
    """Log-probabilities ``(..., V)`` of what may follow ``ids (..., l)``, penalised for repetition;
    -inf for padding and beginnings, and for all but the end after ``max_length`` glosses."""
    log_probs = may_follow(logits / config.temperature)
    said = np.zeros(log_probs.shape, dtype=bool)
    np.put_along_axis(said, ids, True, -1)
    said[..., [PAD, BOS]] = False  # -inf as it is
    log_probs[said] *= config.repetition_penalty
    if ids.shape[-1] > config.max_length:
        log_probs[..., np.arange(log_probs.shape[-1]) != EOS] = -np.inf
    return log_probs


def keep_likely(log_probs: Log, top_k: int, top_p: float) -> Log:
    """-inf for all but the ``top_k`` likeliest and, of those, the fewest that together have
    ``top_p`` of the probability (Fan et al. 2018; Holtzman et al. 2020)."""
    order = np.argsort(-log_probs, axis=-1, kind="stable")
    ordered = np.take_along_axis(log_probs, order, -1)
    ordered[..., top_k:] = -np.inf
    p = np.exp(ordered - ordered[..., :1])
    p /= p.sum(-1, keepdims=True)
    ordered[p.cumsum(-1) - p >= top_p] = -np.inf
    kept = np.empty_like(ordered)
    np.put_along_axis(kept, order, ordered, -1)
    return kept


def generate(
    step: Step,
    sentences: int,
    config: GenerationConfig = PAPER_GENERATION,
    *,
    rng: np.random.Generator | None = None,
) -> Generated:
    """Sentences of ``method``: ``beam_size`` of each with "beam", else one.

    ``rng``: what "sample" draws with; None: new numbers each time.

    Raises:
        UsageError: values that mean nothing.
    """
    check_generation(config)
    start = np.full((sentences, 1, 1), BOS)
    if config.method == "beam":
        return _beam(step, start, config)
    return _walk(step, start, config, rng or np.random.default_rng())


def _walk(step: Step, ids: Ids, config: GenerationConfig, rng: np.random.Generator) -> Generated:
    """One id after the other: the likeliest, or one that is drawn."""
    score = np.zeros(ids.shape[:2])
    ended = np.zeros(ids.shape[:2], dtype=bool)
    while not ended.all():
        log_probs = step_log_probs(step(ids), ids, config)
        if config.method == "greedy":
            chosen = log_probs.argmax(-1)
        else:
            likely = keep_likely(log_probs, config.top_k, config.top_p)
            chosen = _draw(likely, rng)
        gained = np.take_along_axis(log_probs, chosen[..., None], -1)[..., 0]
        score += np.where(ended, 0.0, gained)
        ids = np.concatenate([ids, np.where(ended, PAD, chosen)[..., None]], -1)
        ended |= chosen == EOS
    count = (ids[..., 1:] != PAD).sum(-1)  # the end counted
    said = ids[..., 1:-1]
    glosses = np.where(said == EOS, PAD, said)
    return Generated(glosses, count - 1, score / count**config.length_penalty)


def _draw(log_probs: Log, rng: np.random.Generator) -> Ids:
    """An id for each of ``(..., V)``, with its probability."""
    cumulated = np.exp(log_probs - log_probs.max(-1, keepdims=True)).cumsum(-1)
    drawn = rng.random((*log_probs.shape[:-1], 1)) * cumulated[..., -1:]
    # The first whose sum is above what was drawn: one of probability 0 adds nothing to the sum.
    chosen: Ids = (cumulated > drawn).argmax(-1)
    return chosen


def _beam(step: Step, ids: Ids, config: GenerationConfig) -> Generated:
    """Every live beginning may end at every step; the best ``beam_size`` of these are kept."""
    width, longest, count = config.beam_size, config.max_length, len(ids)
    scores = np.zeros((count, 1))
    glosses = np.full((count, width, longest), PAD)
    lengths = np.zeros((count, width), np.int64)
    best = np.full((count, width), -np.inf)
    for said in range(longest + 1):
        log_probs = step_log_probs(step(ids), ids, config)
        total = scores[..., None] + log_probs
        ended = total[..., EOS] / (said + 1) ** config.length_penalty
        padded = np.pad(ids[..., 1:], ((0, 0), (0, 0), (0, longest - said)), constant_values=PAD)
        best, kept = _best(np.concatenate([best, ended], 1), width)
        glosses = np.take_along_axis(np.concatenate([glosses, padded], 1), kept[..., None], 1)
        every = np.concatenate([lengths, np.full(ids.shape[:2], said)], 1)
        lengths = np.take_along_axis(every, kept, 1)
        if said == longest:
            break
        total[..., EOS] = -np.inf
        vocabulary = total.shape[-1]
        scores, place = _best(total.reshape(count, -1), width)
        parents = np.take_along_axis(ids, (place // vocabulary)[..., None], 1)
        ids = np.concatenate([parents, (place % vocabulary)[..., None]], -1)
        # Scores only fall: no beginning can end better than this.
        most = max((said + 2) ** config.length_penalty, (longest + 1) ** config.length_penalty)
        if (scores[:, 0] / most <= best[:, -1]).all():
            break
    none = best == -np.inf
    found = np.where(none, 0, lengths)
    glosses = np.where(none[..., None], PAD, glosses)
    return Generated(glosses[..., : int(found.max(initial=0))], found, best)


def _best(scores: Log, count: int) -> tuple[Log, Ids]:
    """The ``count`` highest of ``(B, M)``, or all of fewer, best first, and their places."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores, order, 1), order
