"""CTC without a search: greedy reading, exact likelihood, forced alignment.

Everywhere ``log_probs (T, V)`` are natural log-probabilities per frame, index 0 the blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError, UsageError
from chereme.text.alphabet import BLANK

Log = NDArray[np.float64]
_NEVER = -60.0  # a log-probability that is as good as none


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading. ``score`` = ``log_ctc`` + alpha * ``log_lm`` + beta * length, all natural logs.

    ``log_lm`` includes the end of the text; it is 0 where no language model was used.
    """

    symbols: tuple[int, ...]
    score: float
    log_ctc: float
    log_lm: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """Where one symbol was signed: frames ``start_frame`` up to, not including, ``end_frame``.

    ``probability`` is the mean over these frames of the network's posterior of the symbol.
    """

    start_frame: int
    end_frame: int
    probability: float


def text_probabilities(ranked: Sequence[Hypothesis]) -> list[float]:
    """The probability, 0..1, of each of different texts, in their order.

    What the network gives to all of them together, ``sum of exp(log_ctc)``, is shared out by their
    scores, in which the language model has its say; what is missing to 1 is that of other texts.
    """
    scores = np.array([hypothesis.score for hypothesis in ranked])
    best = scores.max(initial=-np.inf)
    if not np.isfinite(best):
        return [0.0] * len(ranked)
    shares = np.exp(scores - best)
    together = min(1.0, sum(float(np.exp(hypothesis.log_ctc)) for hypothesis in ranked))
    return (shares / shares.sum() * together).tolist()  # type: ignore[no-any-return]


def check_log_probs(log_probs: ArrayLike) -> Log:
    """``log_probs`` as float64 ``(T, V)``; InputError if they cannot be log-probabilities."""
    array = np.asarray(log_probs, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise InputError(
            "log_probs: expected shape (frames, symbols) with a blank and at least one symbol, "
            f"got {array.shape}; decode the clips of a batch one by one"
        )
    highest = array.max(initial=-np.inf)
    if not highest <= 0.01:  # NaN fails this too
        raise InputError(
            f"log_probs: expected natural log-probabilities (at most 0), got {highest:g}; "
            "apply log_softmax to logits, the logarithm to probabilities"
        )
    return array


def at_temperature(log_probs: ArrayLike, temperature: float) -> Log:
    """``log_probs (T, V)`` divided by ``temperature`` and normalised again in each frame: above 1 a
    network becomes less sure (Guo et al. 2017, *On calibration of modern neural networks*, Eq. 9).

    Raises UsageError for a temperature that is not above 0.
    """
    if not temperature > 0:
        raise UsageError(f"temperature: expected a number above 0, got {temperature}")
    scaled = check_log_probs(log_probs) / temperature
    normalised: Log = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return normalised


def check_symbols(symbols: Sequence[int], size: int) -> NDArray[np.intp]:
    """``symbols`` as an index array; InputError if one is the blank or not below ``size``."""
    array = np.asarray(symbols, dtype=np.intp)
    if array.ndim != 1 or (array.size and (array.min() < 1 or array.max() >= size)):
        raise InputError(
            f"symbols: expected indices 1..{size - 1} (0 is the blank), got {list(symbols)}"
        )
    return array


def greedy(log_probs: ArrayLike) -> Hypothesis:
    """The best symbol of each frame, repeats merged, then blanks dropped (so 'll' survives).

    ``log_ctc`` is the log-probability of that one path, a lower bound of the reading's.
    """
    log_probs = check_log_probs(log_probs)
    best = log_probs.argmax(axis=1)
    first = np.ones(len(best), dtype=bool)
    first[1:] = best[1:] != best[:-1]
    symbols = best[first & (best != BLANK)]
    log_path = float(log_probs.max(axis=1).sum()) if len(best) else 0.0
    return Hypothesis(tuple(symbols.tolist()), score=log_path, log_ctc=log_path)


def _lattice(symbols: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """States blank, s1, blank, ... sL, blank ``(2L+1,)``, and those that may skip a blank."""
    states = np.zeros(2 * len(symbols) + 1, dtype=np.intp)
    states[1::2] = symbols
    # A symbol may follow the one before directly, unless they are equal: doubles need a blank.
    skips = 3 + 2 * np.flatnonzero(symbols[1:] != symbols[:-1])
    return states, skips


def ctc_log_likelihood(log_probs: ArrayLike, symbols: Sequence[int]) -> float:
    """ln p(symbols), summed over all paths (Graves 2006); -inf if there are too few frames."""
    return float(ctc_log_likelihoods(log_probs, [symbols])[0])


def ctc_log_likelihoods(log_probs: ArrayLike, texts: Sequence[Sequence[int]]) -> Log:
    """`ctc_log_likelihood` of each of N ``texts``: ``(N,)``, all in one pass over the frames."""
    log_probs = check_log_probs(log_probs)
    lattices = [_lattice(check_symbols(text, log_probs.shape[1])) for text in texts]
    lengths = np.array([len(states) for states, _ in lattices], dtype=np.intp)
    if not len(log_probs):
        return np.where(lengths == 1, 0.0, -np.inf)
    # Shorter lattices end in blanks that are never looked at: paths only go forward.
    width = int(lengths.max(initial=1))
    every = np.zeros((len(texts), width), dtype=np.intp)
    may_skip = np.full((len(texts), width), -np.inf)
    for row, (states, skips) in enumerate(lattices):
        every[row, : len(states)] = states
        may_skip[row, skips] = 0.0
    alpha = np.full(every.shape, -np.inf)
    alpha[:, :2] = log_probs[0, every[:, :2]]
    for frame in log_probs[1:]:
        alpha = _moved(alpha, may_skip) + frame[every]
    rows = np.arange(len(texts))
    silent = lengths == 1  # the empty text ends in its one state
    last, one_before = alpha[rows, lengths - 1], alpha[rows, np.maximum(lengths - 2, 0)]
    return np.where(silent, last, np.logaddexp(last, one_before))


def _moved(alpha: Log, may_skip: Log) -> Log:
    """Of each state ``(..., S)`` the log-probability to be in it a frame later, its emission aside;
    ``may_skip (..., S)`` is 0 where a blank may be skipped to it, else -inf."""
    moved = alpha.copy()
    moved[..., 1:] = np.logaddexp(alpha[..., 1:], alpha[..., :-1])
    moved[..., 2:] = np.logaddexp(moved[..., 2:], alpha[..., :-2] + may_skip[..., 2:])
    return moved


def _forward(log_probs: Log, symbols: NDArray[np.intp]) -> Log:
    """``(T, 2L+1)``: log-probability of all paths to each state of ``symbols`` in each frame."""
    states, skips = _lattice(symbols)
    may_skip = np.full(len(states), -np.inf)
    may_skip[skips] = 0.0
    forward = np.full((len(log_probs), len(states)), -np.inf)
    forward[0, :2] = log_probs[0, states[:2]]
    for t in range(1, len(log_probs)):
        forward[t] = _moved(forward[t - 1], may_skip) + log_probs[t, states]
    return forward


def ctc_edit_log_likelihoods(log_probs: ArrayLike, symbols: Sequence[int]) -> Log:
    """`ctc_log_likelihood` of ``symbols`` with one edit: ``(L, V)``, a row for each of the L
    places, a column for each symbol that is put there; in column 0 the place is deleted.

    All in one pass forwards and one backwards (Graves 2006, Eq. 6 to 11): the states before and
    after the place are those of ``symbols``.
    """
    log_probs = check_log_probs(log_probs)
    text = check_symbols(symbols, log_probs.shape[1])
    (frames, size), count = log_probs.shape, len(text)
    if not frames or not count:
        return np.full((count, size), -np.inf)
    forward = _forward(log_probs, text)
    # From each state to the end, its own frame included; two states beyond the last are nowhere.
    back = np.full((frames + 1, 2 * count + 3), -np.inf)
    back[:-1, :-2] = _forward(log_probs[::-1], text[::-1])[::-1, ::-1]
    blank = 2 * np.arange(count)  # the state before each place
    label_before = np.concatenate([[-1], text[:-1]])
    label_after = np.concatenate([text[1:], [-1]])
    every = np.arange(size)
    enters = np.where(every == label_before[:, None], -np.inf, 0.0)  # a double needs a blank
    leaves = np.where(every == label_after[:, None], -np.inf, 0.0)
    before_labels = np.full((frames, count), -np.inf)
    before_labels[:, 1:] = forward[:, blank[1:] - 1]
    within = np.full((count, size), -np.inf)
    within[0] = log_probs[0]
    found = np.full((count, size), -np.inf)
    for t in range(frames):
        if t:
            enter = np.logaddexp(
                forward[t - 1, blank][:, None], before_labels[t - 1][:, None] + enters
            )
            within = np.logaddexp(within, enter) + log_probs[t]
        leave = np.logaddexp(
            back[t + 1, blank + 2][:, None], back[t + 1, blank + 3][:, None] + leaves
        )
        found = np.logaddexp(found, within + leave)
    found[-1] = np.logaddexp(found[-1], within[-1])  # the last place may end with the last frame
    # Deleted: from the blank before the place, or the symbol before it, to the symbol after it.
    onward = back[1:, blank + 3]
    straight = np.where(label_before == label_after, -np.inf, 0.0)
    deleted = np.logaddexp(forward[:, blank] + onward, before_labels + onward + straight)
    found[:, BLANK] = np.logaddexp.reduce(deleted, axis=0)
    found[0, BLANK] = np.logaddexp(found[0, BLANK], back[0, 3])
    ends = np.logaddexp(forward[-1, blank[-1]], before_labels[-1, -1])
    found[-1, BLANK] = np.logaddexp(found[-1, BLANK], ends)
    return found


def symbols_or_blank(log_probs: ArrayLike, symbols: Sequence[int]) -> Log:
    """``log_probs`` where it is known that ``symbols`` are said, and the question is only when: all
    that is not blank is shared out among them, so that doubt of which they are is none of whether
    there is any."""
    log_probs = np.maximum(check_log_probs(log_probs), _NEVER)
    said = np.unique(check_symbols(symbols, log_probs.shape[1]))
    silent = np.minimum(log_probs[:, BLANK], -1e-12)
    either = np.full_like(log_probs, -np.inf)
    either[:, BLANK] = silent
    if len(said):
        shares = log_probs[:, said] - np.logaddexp.reduce(log_probs[:, said], axis=1)[:, None]
        either[:, said] = np.log(-np.expm1(silent))[:, None] + shares
    return either


def align(log_probs: ArrayLike, symbols: Sequence[int]) -> list[Span]:
    """The frames of each symbol on the most probable path that reads ``symbols`` (Viterbi).

    One span per symbol, in order, never overlapping; frames between spans are blank. Raises
    InputError if ``symbols`` cannot be spelled in so few frames, or only with probability 0.
    """
    log_probs = check_log_probs(log_probs)
    states, skips = _lattice(check_symbols(symbols, log_probs.shape[1]))
    needed = len(states) // 2 + (len(states) // 2 - 1 - len(skips) if len(states) > 1 else 0)
    if len(log_probs) < needed:
        raise InputError(
            f"alignment: expected at least {needed} frames for {len(states) // 2} symbols "
            f"(a double needs a blank between), got {len(log_probs)}"
        )
    if len(states) == 1:
        return []
    best = np.full(len(states), -np.inf)
    best[:2] = log_probs[0, states[:2]]
    moves = np.zeros((len(log_probs), len(states)), dtype=np.int8)  # how many states back
    for t in range(1, len(log_probs)):
        before, move = best, moves[t]
        best = before.copy()
        step = before[:-1] > before[1:]
        move[1:][step] = 1
        best[1:][step] = before[:-1][step]
        skip = skips[before[skips - 2] > best[skips]]
        move[skip] = 2
        best[skip] = before[skip - 2]
        best = best + log_probs[t, states]
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    if not best[state] > -np.inf:
        raise InputError("alignment: the symbols have probability 0 in these frames")

    path = np.empty(len(log_probs), dtype=np.intp)
    for t in range(len(log_probs) - 1, -1, -1):
        path[t] = state
        state -= int(moves[t, state])
    starts = np.searchsorted(path, np.arange(1, len(states), 2), side="left")
    ends = np.searchsorted(path, np.arange(1, len(states), 2), side="right")
    return [
        Span(int(a), int(b), float(np.exp(log_probs[a:b, symbol]).mean()))
        for a, b, symbol in zip(starts, ends, states[1::2], strict=True)
    ]
