"""CTC prefix beam search with a character language model.

The textbook search (Graves 2012; Hannun et al. 2014): a beam of prefixes, each with the probability
of all paths so far that read it and end in a blank, and of those that end in its last symbol. A
prefix is ranked by ``ln p_ctc + alpha * ln p_lm + beta * length``; its language model state travels
with it, and the end of the text is scored after the last frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chereme.decoding.ctc import Hypothesis, Log, check_log_probs
from chereme.decoding.language_model import END, LanguageModel
from chereme.errors import UsageError
from chereme.text.alphabet import BLANK


class _Prefix:
    """A node of the tree of prefixes, with what the language model says after it."""

    __slots__ = ("children", "length", "log_lm", "log_next", "parent", "state", "symbol")

    def __init__(self, parent: _Prefix | None, symbol: int, log_next: Log) -> None:
        self.parent = parent
        self.symbol = symbol
        self.length: int = 0 if parent is None else parent.length + 1
        self.log_lm: float = 0.0 if parent is None else parent.log_lm + parent.log_next[symbol]
        self.log_next: Log = log_next  # (V,): end of text, then each symbol
        self.state: Any = None
        self.children: dict[int, _Prefix] = {}

    def symbols(self) -> tuple[int, ...]:
        """The symbols from the root to here."""
        reverse: list[int] = []
        node = self
        while node.parent is not None:
            reverse.append(node.symbol)
            node = node.parent
        return tuple(reversed(reverse))


class _Beam:
    """The prefixes that are alive, and all about them that the frames do not change."""

    def __init__(self, size: int, lm: LanguageModel | None, alpha: float, beta: float) -> None:
        self.lm, self.alpha, self.beta = lm, alpha, beta
        self.unsaid = np.zeros(size)  # stands for the LM's answer until, or unless, it is asked
        root = _Prefix(None, BLANK, self.unsaid)
        if lm is not None:
            root.state = lm.start()
            self._ask([root], [root.state])
        self.hold([root])

    def hold(self, nodes: list[_Prefix]) -> None:
        """Make ``nodes`` the beam."""
        self.nodes = nodes
        self.last = np.array([node.symbol for node in nodes], dtype=np.intp)
        self.bonus = np.array([self.alpha * n.log_lm + self.beta * n.length for n in nodes])
        log_next = np.stack([node.log_next for node in nodes])[:, 1:]
        self.extension_bonus = self.bonus[:, None] + self.beta + self.alpha * log_next
        spoken = np.flatnonzero(self.last)
        self.repeats = spoken, self.last[spoken] - 1
        # Where one prefix of the beam is another's parent, extending it leads to the same text.
        place = {id(node): i for i, node in enumerate(nodes)}
        family = [(place[id(n.parent)], i) for i, n in enumerate(nodes) if id(n.parent) in place]
        self.children = np.array([child for _, child in family], dtype=np.intp)
        parents = np.array([parent for parent, _ in family], dtype=np.intp)
        self.same = parents, self.last[self.children] - 1

    def grow(self, parents: Sequence[int], symbols: Sequence[int]) -> list[_Prefix]:
        """The nodes for ``parents`` of the beam extended by ``symbols``; one call of the LM."""
        grown, fresh = [], []
        for i, symbol in zip(parents, symbols, strict=True):
            parent = self.nodes[i]
            node = parent.children.get(symbol)
            if node is None:
                node = parent.children[symbol] = _Prefix(parent, symbol, self.unsaid)
                fresh.append(node)
            grown.append(node)
        if self.lm is not None and fresh:
            self._ask(fresh, [node.parent.state for node in fresh])  # type: ignore[union-attr]
        return grown

    def finish(self, log_ctc: Log) -> list[Hypothesis]:
        """The beam as hypotheses, best first, with the end of the text scored."""
        found = []
        for node, ctc in zip(self.nodes, log_ctc.tolist(), strict=True):
            log_lm = float(node.log_lm + node.log_next[END])
            score = ctc + self.alpha * log_lm + self.beta * node.length
            found.append(Hypothesis(node.symbols(), score, ctc, log_lm))
        return sorted(found, key=lambda hypothesis: -hypothesis.score)

    def _ask(self, nodes: list[_Prefix], states: list[Any]) -> None:
        assert self.lm is not None
        log_probs, after = self.lm.step(states, [node.symbol for node in nodes])
        size = len(self.unsaid)
        if log_probs.shape[1] != size:
            raise UsageError(
                f"language model: expected {size} outputs (end of text and {size - 1} symbols, "
                f"as the network), got {log_probs.shape[1]}; "
                "use the language model of the same alphabet"
            )
        for node, row, state in zip(nodes, log_probs, after, strict=True):
            node.log_next, node.state = row.astype(np.float64), state


def beam_search(
    log_probs: ArrayLike,
    *,
    width: int = 5,
    lm: LanguageModel | None = None,
    alpha: float = 0.0,
    beta: float = 0.0,
    min_log_prob: float = -np.inf,
) -> list[Hypothesis]:
    """The best readings of ``log_probs (T, V)``, best first, at most ``width`` of them.

    ``alpha`` weighs the language model (with 0 it is not run), ``beta`` is added per symbol. A
    prefix is not extended by symbols whose log-probability in a frame is below ``min_log_prob``,
    except by the frame's best; the default leaves nothing out. With a wide enough beam the result
    is exact. Without frames the empty reading is returned.

    Raises InputError on malformed ``log_probs``, UsageError on a width below 1 or a language model
    of another size.
    """
    log_probs = check_log_probs(log_probs)
    if width < 1:
        raise UsageError(f"beam width: expected at least 1, got {width}")
    size = log_probs.shape[1]
    beam = _Beam(size, lm if alpha else None, alpha, beta)
    in_blank, in_symbol = np.zeros(1), np.full(1, -np.inf)

    spoken = log_probs[:, 1:]
    allowed = spoken >= min_log_prob
    best = log_probs.argmax(axis=1)
    loud = np.flatnonzero(best != BLANK)
    allowed[loud, best[loud] - 1] = True
    spoken = np.where(allowed, spoken, -np.inf)
    quiet = ~np.any(allowed, axis=1)

    for t, frame in enumerate(log_probs):
        total = np.logaddexp(in_blank, in_symbol)
        stay_symbol = in_symbol + frame[beam.last]
        in_blank_before, in_blank, in_symbol = in_blank, total + frame[BLANK], stay_symbol
        if quiet[t]:
            continue
        # extend[i, c]: prefix i followed by symbol c + 1; after an equal symbol only from a blank.
        extend = total[:, None] + spoken[t]
        rows, columns = beam.repeats
        extend[rows, columns] = in_blank_before[rows] + spoken[t, columns]
        if len(beam.children):
            same = extend[beam.same]
            extend[beam.same] = -np.inf
            in_symbol[beam.children] = np.logaddexp(in_symbol[beam.children], same)

        stay_score = np.logaddexp(in_blank, in_symbol) + beam.bonus
        extend_score = extend + beam.extension_bonus
        if len(stay_score) == width and extend_score.max() <= stay_score.min():
            continue
        scores = np.concatenate([stay_score, extend_score.ravel()])
        chosen = np.argsort(-scores, kind="stable")[:width]
        chosen = chosen[scores[chosen] > -np.inf]
        kept = chosen[chosen < len(stay_score)]
        parents, columns = np.divmod(chosen[chosen >= len(stay_score)] - len(stay_score), size - 1)
        grown = beam.grow(parents.tolist(), (columns + 1).tolist())
        in_blank = np.concatenate([in_blank[kept], np.full(len(grown), -np.inf)])
        in_symbol = np.concatenate([in_symbol[kept], extend[parents, columns]])
        beam.hold([beam.nodes[i] for i in kept.tolist()] + grown)
    return beam.finish(np.logaddexp(in_blank, in_symbol))
