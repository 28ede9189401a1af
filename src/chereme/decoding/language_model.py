"""Character language models as the beam search sees them, and the one that runs by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import BundleError

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

    Raises BundleError if the file is missing or is not such a graph.
    """

    def __init__(self, path: str | Path) -> None:
        ort = require("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise BundleError(
                f"{path}: expected a language model in ONNX format ({error}); export it again"
            ) from error
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        outputs = {o.name for o in self._session.get_outputs()}
        if set(shapes) != {"tokens", "hidden"} or outputs != {"log_probs", "next_hidden"}:
            raise BundleError(
                f"{path}: expected inputs tokens, hidden and outputs log_probs, next_hidden, got "
                f"{sorted(shapes)} and {sorted(outputs)}; is this another network's file?"
            )
        layers, _, width = shapes["hidden"]
        self._zero = np.zeros((layers, width), dtype=np.float32)

    def start(self) -> NDArray[np.float32]:
        return self._zero

    def step(
        self, states: Sequence[NDArray[np.float32]], symbols: Sequence[int]
    ) -> tuple[NDArray[np.floating[Any]], Sequence[NDArray[np.float32]]]:
        feed = {"tokens": np.array(symbols, dtype=np.int64), "hidden": np.stack(states, axis=1)}
        log_probs, hidden = self._session.run(["log_probs", "next_hidden"], feed)
        return log_probs, [hidden[:, i] for i in range(len(symbols))]
