"""Whether two forms of a network read the same: PyTorch's and ONNX Runtime's, float32 and int8."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from chereme.decoding import greedy
from chereme.metrics import edit_counts, pool
from chereme.recognition.bundle import ENCODER, SEQUENCE
from chereme.text import Alphabet

Frames = NDArray[Any]
LogProbs = Callable[[Frames], NDArray[np.floating[Any]]]
"""Frames ``(T, ...)`` of a clip, as the encoder takes them, to log-probabilities ``(T', V)``."""

_BLOCK = 16  # frames given to an encoder at once


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one network reads against another, on the best symbol of each frame.

    ``difference``: the largest of any log-probability; ``letters`` that the first reads,
    ``changed``: edits from these to what the other reads.
    """

    clips: int
    frames: int
    difference: float
    letters: int
    changed: int

    def as_metric(self, what: str) -> dict[str, Any]:
        """An entry of a bundle's metrics."""
        return {
            "test_set": f"{what}: the same {self.clips} clips of crops, letters without a search",
            "frames": self.frames,
            "letters": self.letters,
            "letters_changed": self.changed,
            "log_probability_difference": round(self.difference, 5),
        }


def in_blocks(
    encode: Callable[[Frames], NDArray[np.float32]], frames: Frames
) -> NDArray[np.float32]:
    """Features of ``frames``, a few at a time: crops of a long clip would fill the memory."""
    blocks = [encode(frames[i : i + _BLOCK]) for i in range(0, len(frames), _BLOCK)]
    return np.concatenate(blocks)


def log_probs_of(networks: Mapping[str, bytes]) -> LogProbs:
    """What the ONNX networks of a bundle give."""
    encoder, sequence = (
        onnxruntime.InferenceSession(networks[name], providers=["CPUExecutionProvider"])
        for name in (ENCODER, SEQUENCE)
    )

    def run(frames: Frames) -> NDArray[np.floating[Any]]:
        features = in_blocks(lambda part: encoder.run(None, {"frames": part})[0], frames)
        found: NDArray[np.floating[Any]] = sequence.run(None, {"features": features[None]})[0][0]
        return found

    return run


def compare(
    reference: LogProbs, other: LogProbs, clips: Sequence[Frames], alphabet: Alphabet
) -> Comparison:
    """Run both on every clip."""
    difference, counts = 0.0, []
    for frames in clips:
        first, second = reference(frames), other(frames)
        difference = max(difference, float(np.abs(first - second).max()))
        texts = [alphabet.decode(greedy(found).symbols) for found in (first, second)]
        counts.append(edit_counts(texts[0], texts[1], "unit"))
    total = pool(counts)
    return Comparison(
        clips=len(clips),
        frames=sum(map(len, clips)),
        difference=difference,
        letters=total.reference_length,
        changed=total.edits,
    )
