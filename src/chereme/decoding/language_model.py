"""Character language models as the beam search sees them, and the one that runs by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chereme.errors import BundleError, InputError
from chereme.formats.files import read_file
from chereme.formats.networks import open_network

MAX_STATE = 1_000_000  # numbers; each text of a search has one

# Index 0, the blank of the network, is in no text: here it bounds texts instead.
START = 0  # begins a text, as input
END = 0  # ends it, as output


class LanguageModel(Protocol):
    """ln p(next symbol | prefix), over the same indices as the network's output.

    States are opaque. A text is scored by feeding ``START`` to ``start()`` and then symbol after
    symbol; each answer is ``log_probs (V,)``: index 0 is the end of the text, ``i`` symbol ``i``.
    """

    def start(self) -> Any:
        """The state before ``START``."""
        ...

    def step(
        self, states: Sequence[Any], symbols: Sequence[int]
    ) -> tuple[NDArray[np.floating[Any]], Sequence[Any]]:
        """Feed one symbol to each of B states: ``log_probs (B, V)`` and the B states after."""
        ...


def text_log_probabilities(
    lm: LanguageModel, texts: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """ln p(text), its end included, of each of N ``texts``: ``(N,)``."""
    states: list[Any] = [lm.start()] * len(texts)
    totals = np.zeros(len(texts))
    for position in range(1 + max(map(len, texts), default=-1)):
        live = [i for i, text in enumerate(texts) if position <= len(text)]
        fed = [texts[i][position - 1] if position else START for i in live]
        log_probs, after = lm.step([states[i] for i in live], fed)
        for row, i, state in zip(log_probs, live, after, strict=True):
            totals[i] += row[texts[i][position] if position < len(texts[i]) else END]
            states[i] = state
    return totals


class OnnxLanguageModel:
    """A recurrent language model in one ONNX file, as `export_language_model` writes it.

    The graph is one step: ``tokens (B,)`` int64, ``hidden (L, B, H)`` float32 to ``log_probs
    (B, V)``, ``next_hidden (L, B, H)``. It runs on one thread: steps are too small to share out.

    ``content``: of the file, where it has been read (and its hash compared) before. Raises
    BundleError if the file is missing or is not such a graph.
    """

    def __init__(self, path: str | Path, content: bytes | None = None) -> None:
        try:
            self._session = open_network(
                read_file(path) if content is None else content, Path(path), threads=1
            )
        except (BundleError, InputError) as error:
            raise BundleError(
                f"{path}: expected a language model in ONNX format ({error}); export it again"
            ) from error
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        outputs = {o.name: o.shape for o in self._session.get_outputs()}
        if set(shapes) != {"tokens", "hidden"} or set(outputs) != {"log_probs", "next_hidden"}:
            raise BundleError(
                f"{path}: expected inputs tokens, hidden and outputs log_probs, next_hidden, got "
                f"{sorted(shapes)} and {sorted(outputs)}; is this another network's file?"
            )
        hidden = shapes["hidden"]
        fixed = [size for size in (*hidden[:1], *hidden[2:]) if isinstance(size, int)]
        if len(hidden) != 3 or len(fixed) != 2 or not 0 < fixed[0] * fixed[1] <= MAX_STATE:
            raise BundleError(
                f"{path}: expected a state (layers, batch, width) of at most {MAX_STATE:,} "
                f"numbers, got {hidden}; export it again"
            )
        layers, width = fixed
        self.symbols = outputs["log_probs"][-1]
        """V, the blank counted, or a name where the file leaves it open."""
        self._zero = np.zeros((layers, width), dtype=np.float32)

    def start(self) -> NDArray[np.float32]:
        return self._zero

    def step(
        self, states: Sequence[NDArray[np.float32]], symbols: Sequence[int]
    ) -> tuple[NDArray[np.floating[Any]], Sequence[NDArray[np.float32]]]:
        feed = {"tokens": np.array(symbols, dtype=np.int64), "hidden": np.stack(states, axis=1)}
        log_probs, hidden = self._session.run(["log_probs", "next_hidden"], feed)
        return log_probs, [hidden[:, i] for i in range(len(symbols))]
