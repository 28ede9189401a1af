"""Language models of n-grams: trained on few sentences, and stored as ARPA, the open format that
KenLM and SRILM write and read too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.decoding.language_model import END, START
from chereme.errors import InputError, UsageError

MAX_ORDER = 10
BEGIN, FINISH = "<s>", "</s>"
Context = tuple[int, ...]
_LN_10 = float(np.log(10.0))
_NEVER = -99.0  # what stands for ln 0 in ARPA


class _Follow(NamedTuple):
    """What is known to follow a context: ``symbols`` with their ``log_probs``, and ``backoff``,
    which is added to what a shorter context says of all others."""

    symbols: NDArray[np.intp]
    log_probs: NDArray[np.float64]
    backoff: float


class NGramLanguageModel:
    """p(symbol | the ``order - 1`` before it), a `chereme.decoding.LanguageModel`.

    ``tokens``: the text of each of V symbols, None for those that are never said, as the blank,
    which is the first. ``follow``: by context, the nearest symbol last, `START` for the beginning;
    that of the empty one is whole. All logarithms are natural.

    Made by `train` or `read_arpa`.
    """

    def __init__(
        self, tokens: Sequence[str | None], order: int, follow: Mapping[Context, _Follow]
    ) -> None:
        self.tokens, self.order, self._follow = tuple(tokens), order, follow
        self._single = np.full(len(tokens), -np.inf)
        self._single[follow[()].symbols] = follow[()].log_probs

    @classmethod
    def train(
        cls, sentences: Iterable[Sequence[int]], tokens: Sequence[str | None], order: int = 3
    ) -> NGramLanguageModel:
        """The model of ``sentences`` of symbols.

        Choice: Witten-Bell smoothing, interpolated (Witten & Bell 1991; Chen & Goodman 1999, Eq.
        16), p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h)): T(h) different symbols follow the
        context h, which was seen c(h) times, and h' is h without its first. Before single symbols,
        all are as likely. Kneser-Ney counts what was seen once and twice, which fails on few
        sentences.

        Raises UsageError for an ``order`` below 1 or above ``MAX_ORDER``, InputError without
        sentences or for a symbol without a token.
        """
        if not 1 <= order <= MAX_ORDER:
            raise UsageError(f"order of n-grams: expected 1 to {MAX_ORDER}, got {order}")
        said = [index for index, token in enumerate(tokens) if token is not None and index]
        counts: dict[Context, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for sentence in sentences:
            if wrong := set(sentence) - set(said):
                raise InputError(
                    f"n-grams: expected symbols that have a token, got {sorted(wrong)}"
                )
            for place, symbol in enumerate((*sentence, END)):
                before = (START, *sentence[:place])
                for length in range(order):
                    if length <= len(before):
                        counts[before[len(before) - length :]][symbol] += 1
        if not counts:
            raise InputError("n-grams: expected one sentence or more to train on, got none")
        every = np.array([END, *said])
        lower = dict.fromkeys(every.tolist(), 1.0 / len(every))
        probability: dict[Context, dict[int, float]] = {}
        follow: dict[Context, _Follow] = {}
        for context in sorted(counts, key=lambda own: (len(own), own)):
            own = counts[context]
            kinds, total = len(own), sum(own.values())
            share = kinds / (kinds + total)
            seen: dict[int, float] = {}
            # Of the empty context all: they are as likely as each other before it.
            for symbol in own if context else lower:
                less = probability[context[1:]][symbol] if context else lower[symbol]
                seen[symbol] = own.get(symbol, 0) / (kinds + total) + share * less
            probability[context] = seen
            log_probs = np.log(np.array([*seen.values()]))
            backoff = float(np.log(share)) if context else 0.0
            follow[context] = _Follow(np.array([*seen]), log_probs, backoff)
        return cls(tokens, order, follow)

    # -- as the searches see it --------------------------------------------------------------------
    def start(self) -> Context:
        return ()

    def step(
        self, states: Sequence[Context], symbols: Sequence[int]
    ) -> tuple[NDArray[np.floating[Any]], Sequence[Context]]:
        after = [
            (*state, symbol)[max(0, len(state) + 2 - self.order) :]
            for state, symbol in zip(states, symbols, strict=True)
        ]
        return np.stack([self._next(context) for context in after]), after

    def _next(self, context: Context) -> NDArray[np.float64]:
        log_probs = self._single.copy()
        for start in range(len(context) - 1, -1, -1):
            known = self._follow.get(context[start:])
            if known is not None:
                log_probs += known.backoff
                log_probs[known.symbols] = known.log_probs
        return log_probs

    # -- ARPA --------------------------------------------------------------------------------------
    def arpa(self) -> str:
        """The model as the text of an ARPA file."""
        names = {i: token for i, token in enumerate(self.tokens) if i and token is not None}
        lines: list[list[str]] = [[f"{_NEVER:g}\t{BEGIN}{self._weight((START,))}"]]
        lines += [[] for _ in range(self.order - 1)]
        for context in sorted(self._follow):
            known = self._follow[context]
            for symbol, log_prob in zip(known.symbols.tolist(), known.log_probs, strict=True):
                words = [names.get(one, BEGIN) for one in context] + [names.get(symbol, FINISH)]
                weight = "" if symbol == END else self._weight((*context, symbol))
                lines[len(context)].append(f"{log_prob / _LN_10:.7f}\t{' '.join(words)}{weight}")
        parts = [f"ngram {n}={len(some)}" for n, some in enumerate(lines, 1)]
        text = ["\\data\\", *parts]
        for number, some in enumerate(lines, 1):
            text += ["", f"\\{number}-grams:", *some]
        return "\n".join([*text, "", "\\end\\", ""])

    def _weight(self, context: Context) -> str:
        known = self._follow.get(context)
        return "" if known is None else f"\t{known.backoff / _LN_10:.7f}"

    @classmethod
    def read_arpa(
        cls, text: str, tokens: Sequence[str | None], where: str = "ARPA"
    ) -> NGramLanguageModel:
        """The model of an ARPA file over the same ``tokens``, of which those that it lacks are
        never said.

        InputError, beginning with ``where``, for what is no such file, n-grams of other tokens or
        more of them than it counts, probabilities above 1 or sentences that it cannot end.
        """
        index = {token: i for i, token in enumerate(tokens) if i and token is not None}
        found: dict[Context, dict[int, float]] = defaultdict(dict)
        weights: dict[Context, float] = {}
        counts: dict[int, int] = {}
        order = 0
        lines = iter(enumerate(text.splitlines(), 1))
        ended = False
        for number, line in lines:
            line = line.strip()
            try:
                if ended or not line or line == "\\data\\":
                    continue
                if line == "\\end\\":
                    ended = True
                elif line.startswith("ngram ") and not order:
                    length, _, count = line.removeprefix("ngram ").partition("=")
                    counts[int(length)] = int(count)
                elif line.startswith("\\") and line.endswith("-grams:"):
                    order += 1
                    if line != f"\\{order}-grams:" or order not in counts or order > MAX_ORDER:
                        raise ValueError(f"{order}-grams, counted above, of at most {MAX_ORDER}")
                else:
                    cls._add(line, order, index, found, weights)
                    counts[order] -= 1
            except (ValueError, KeyError) as error:
                raise InputError(
                    f"{where}, line {number}: expected a model of n-grams in ARPA format over the "
                    f"model's {len(index)} tokens, got {line[:60]!r} ({error})"
                ) from error
        if not ended or any(counts.values()) or END not in found[()]:
            raise InputError(
                f"{where}: expected a whole model of n-grams in ARPA format, with as many n-grams "
                f"as it counts and the end {FINISH}, got another; write it again"
            )
        follow = {
            context: _Follow(
                np.array([*found.get(context, ())], np.intp),
                np.array([*found.get(context, {}).values()]),
                weights.get(context, 0.0),
            )
            for context in found.keys() | weights.keys()
        }
        return cls(tokens, order, follow)

    @staticmethod
    def _add(
        line: str,
        order: int,
        index: Mapping[str, int],
        found: Mapping[Context, dict[int, float]],
        weights: dict[Context, float],
    ) -> None:
        """Take in one n-gram; ValueError or KeyError for what is none."""
        fields = line.split()
        if not order or len(fields) not in (order + 1, order + 2):
            raise ValueError(f"{order} tokens between two numbers")
        log_prob = float(fields[0]) * _LN_10
        words = fields[1 : order + 1]
        context = tuple(START if word == BEGIN else index[word] for word in words[:-1])
        last = words[-1]
        if not log_prob <= 1e-6:
            raise ValueError("a logarithm of at most 0")
        if START in context[1:] or (last == BEGIN and order > 1):
            raise ValueError(f"{BEGIN} at the beginning alone")
        if len(fields) == order + 2 and last != FINISH:
            weight = float(fields[-1]) * _LN_10
            if not np.isfinite(weight):
                raise ValueError("a finite weight")
            weights[(*context, START if last == BEGIN else index[last])] = weight
        if last != BEGIN:
            symbol = END if last == FINISH else index[last]
            if symbol in found[context]:
                raise ValueError("each n-gram once")
            found[context][symbol] = log_prob
