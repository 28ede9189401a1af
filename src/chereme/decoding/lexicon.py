"""Words that are expected, as a prior of the search, and every other text still possible.

A language model of letters knows how words look, not which there are. Here a text is, with some
probability, made of words of a list, else whatever the letter model says of it: the two are mixed
as whole texts, so that a text of no list costs one logarithm, whatever its length. In terms of the
next letter that is

    p(c | prefix) = (1 - w) p_letters(c | prefix) + w p_words(c | prefix)

where w is the probability, given the prefix, that it comes from the lists. It is 0 once the prefix
begins no sequence of their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.decoding.language_model import END, START, LanguageModel
from chereme.errors import UsageError

Floats = NDArray[np.floating[Any]]
ANOTHER = 0.1
"""Choice: how often a word is followed by another one without a pause, as in a full name."""
MAX_PLACES = 6  # ways to cut a prefix into words that are followed at once
MIN_PLACE = 1e-4  # share of the likeliest of them, below which one is dropped


class Lexicon:
    """Words and how likely each is, as a trie: a prefix is a range of the sorted words.

    Args:
        words: symbols of each, 1..V-1, none empty; one that comes twice has both its weights.
        weights: of the words, above 0, on any scale; None: all the same.
        size: V, the symbols of the network with its blank.

    Raises UsageError for no words, an empty one, other symbols, or wrong weights.
    """

    def __init__(
        self, words: Iterable[Sequence[int]], weights: ArrayLike | None = None, *, size: int
    ) -> None:
        spelled = list(words)
        lengths = np.array([len(word) for word in spelled], dtype=np.intp)
        if not spelled or not lengths.min():
            raise UsageError("words: expected one or more, none of them empty, got others")
        mass = np.ones(len(spelled)) if weights is None else np.asarray(weights, dtype=np.float64)
        if mass.shape != (len(spelled),) or not (mass > 0).all() or not np.isfinite(mass.sum()):
            raise UsageError(
                f"words: expected {len(spelled)} weights above 0, got shape {mass.shape} from "
                f"{mass.min(initial=np.inf):g} on"
            )
        flat = np.concatenate([np.asarray(word, dtype=np.int64) for word in spelled])
        if flat.min() < 1 or flat.max() >= size:
            raise UsageError(f"words: expected symbols 1..{size - 1}, got some outside")
        self.size = size
        letters = np.zeros((int(lengths.max()) + 1, len(spelled)), dtype=np.uint16)
        letters.T[np.arange(len(letters)) < lengths[:, None]] = flat
        order = np.lexsort(letters[::-1])
        # Row by row the letters of all words at one place; END where a word has ended.
        self._letters = letters[:, order]
        self._until = np.concatenate([[0.0], np.cumsum(mass[order] / mass.sum())])
        self._edges = np.arange(size + 1, dtype=np.uint16)
        self.root = self.at(0, len(spelled), 0)

    def __len__(self) -> int:
        return len(self._until) - 1

    def at(self, first: int, last: int, depth: int) -> Place:
        """The place after the prefix of ``depth`` symbols that words ``first`` up to ``last``, not
        included, have in common."""
        bounds = first + np.searchsorted(self._letters[depth, first:last], self._edges)
        mass = np.diff(self._until[bounds])
        return Place(self, depth, bounds, mass / mass.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """After a prefix of words: ``next (V,)`` is how likely each symbol follows, END first;
    ``bounds (V + 1,)`` are the words that go on with it."""

    lexicon: Lexicon
    depth: int
    bounds: NDArray[np.intp]
    next: NDArray[np.float64]

    def after(self, symbol: int) -> Place:
        """The place after one symbol more, which some word has."""
        first, last = self.bounds[symbol : symbol + 2].tolist()
        return self.lexicon.at(first, last, self.depth + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """A prefix: ``base`` is the letter model's state, ``share`` the probability that it is of the
    lists; ``places`` in them with the probability of each; what follows by both models."""

    base: Any
    share: float
    places: tuple[tuple[Place, float], ...] = ()
    by_letters: Floats | None = None
    by_words: Floats | None = None


class LexiconLanguageModel:
    """A letter language model that expects some words (`LanguageModel`).

    Args:
        base: the letter language model.
        lexicons: lists of words, and the probability that a text is made of each one's words.
            Words may follow each other without a pause, also those of different lists.
        another: the probability that a word is followed by another one.

    Raises UsageError for probabilities that leave nothing for other texts.
    """

    def __init__(
        self,
        base: LanguageModel,
        lexicons: Sequence[tuple[Lexicon, float]],
        another: float = ANOTHER,
    ) -> None:
        self._share = sum(share for _, share in lexicons)
        if not lexicons or any(share <= 0 for _, share in lexicons) or not self._share < 1:
            raise UsageError(
                "words: expected lists whose probabilities are above 0 and sum to less than 1, got "
                f"{[share for _, share in lexicons]}"
            )
        if not 0 <= another < 1:
            raise UsageError(f"another word: expected a probability below 1, got {another}")
        self._base, self._another = base, another
        self._roots = tuple((lexicon.root, share / self._share) for lexicon, share in lexicons)
        self._first = _mean(self._roots)

    def start(self) -> _State:
        return _State(self._base.start(), self._share)

    def step(
        self, states: Sequence[_State], symbols: Sequence[int]
    ) -> tuple[Floats, Sequence[_State]]:
        rows, bases = self._base.step([state.base for state in states], symbols)
        mixed, after = [], []
        for row, base, state, symbol in zip(rows, bases, states, symbols, strict=True):
            share, places = self._follow(state, symbol)
            if not places:
                mixed.append(row)
                after.append(_State(base, 0.0))
                continue
            by_letters = np.exp(row, dtype=np.float64)
            by_words = self._next(places)
            mixed.append(np.log((1 - share) * by_letters + share * by_words))
            after.append(_State(base, share, places, by_letters, by_words))
        return np.stack(mixed), after

    def _follow(self, state: _State, symbol: int) -> tuple[float, tuple[tuple[Place, float], ...]]:
        """The share of the lists after ``symbol``, and the places in them."""
        if symbol == START:
            return self._share, self._roots
        if state.by_letters is None or state.by_words is None or not state.by_words[symbol] > 0:
            return 0.0, ()
        found = [
            (place, share * place.next[symbol])
            for place, share in state.places
            if place.next[symbol] > 0
        ]
        ended = self._another * sum(share * place.next[END] for place, share in state.places)
        found += [
            (root, ended * share * root.next[symbol])
            for root, share in self._roots
            if ended > 0 and root.next[symbol] > 0
        ]
        found.sort(key=lambda one: -one[1])
        found = [one for one in found[:MAX_PLACES] if one[1] >= MIN_PLACE * found[0][1]]
        total = sum(share for _, share in found)
        by_words = state.share * float(state.by_words[symbol])
        share = by_words / (by_words + (1 - state.share) * float(state.by_letters[symbol]))
        return share, tuple((place.after(symbol), part / total) for place, part in found)

    def _next(self, places: Sequence[tuple[Place, float]]) -> Floats:
        by_words = _mean(places)
        ended = float(by_words[END])
        by_words += ended * self._another * self._first
        by_words[END] = ended * (1 - self._another)
        return by_words


def _mean(places: Sequence[tuple[Place, float]]) -> Floats:
    mean = np.zeros_like(places[0][0].next)
    for place, share in places:
        mean += share * place.next
    return mean


class UniformLanguageModel:
    """All of ``size`` symbols, the end among them, as likely everywhere: where there is no letter
    language model, words alone decide."""

    def __init__(self, size: int) -> None:
        self._row = np.full(size, -np.log(size))

    def start(self) -> None:
        return None

    def step(self, states: Sequence[None], symbols: Sequence[int]) -> tuple[Floats, Sequence[None]]:
        return np.tile(self._row, (len(symbols), 1)), states
