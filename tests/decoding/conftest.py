"""Oracles for the decoders: exact enumeration, and a language model that is a table."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def enumerate_ctc(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """ln p of every text, by walking over all V^T paths."""
    texts: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tuple(symbol for symbol, _ in groupby(path) if symbol)
        texts[text] += float(np.exp(sum(log_probs[t, s] for t, s in enumerate(path))))
    return {text: float(np.log(p)) for text, p in texts.items() if p > 0}


class BigramTable:
    """ln p(next | last), whose state counts the steps so that mixed-up states are noticed."""

    def __init__(self, size: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.table = log_softmax(rng.normal(size=(size, size)) * 2)
        self.by_place = log_softmax(rng.normal(size=(50, size)))
        self.calls: list[int] = []

    def _next(self, place: int, last: int) -> np.ndarray:
        return log_softmax(self.table[last] + self.by_place[place])

    def start(self) -> int:
        return 0

    def step(self, states, symbols):
        self.calls.append(len(symbols))
        rows = [self._next(place, last) for place, last in zip(states, symbols, strict=True)]
        return np.stack(rows), [place + 1 for place in states]

    def score(self, text: tuple[int, ...]) -> float:
        """ln p of a whole text, its end included."""
        steps = zip((0, *text), (*text, 0), strict=True)
        return float(sum(self._next(i, last)[then] for i, (last, then) in enumerate(steps)))


@pytest.fixture(scope="session")
def golden() -> np.ndarray:
    """Logits 2 sin(1.3 (t+1)(v+1)), 6 frames, blank and a, b, c."""
    t, v = np.arange(1, 7)[:, None], np.arange(1, 5)[None]
    return log_softmax(2 * np.sin(1.3 * t * v))


@pytest.fixture(scope="session")
def oracle():
    return enumerate_ctc


@pytest.fixture(scope="session")
def bigrams():
    return BigramTable


@pytest.fixture(scope="session")
def as_log_probs():
    return log_softmax
