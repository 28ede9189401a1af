"""What sentences are read as without any network: rows to hold the others against."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from chereme.errors import InputError, UsageError
from chereme.formats.tracks import PoseTracks
from chereme.metrics.edits import edit_counts, pool
from chereme.systems.signx.batch_decoder import Words
from chereme.systems.signx.sentence_task import SentenceScores
from chereme.systems.signx.task import gloss_figures
from chereme.training.optimiser import OptimiserConfig
from chereme.training.task import write_metrics

CANDIDATES = 100
Floats = NDArray[np.float64]


@njit(cache=True)
def _warped(first: Floats, second: Floats) -> float:
    before = np.full(len(second) + 1, np.inf)
    before[0] = 0.0
    for i in range(len(first)):
        now = np.full(len(second) + 1, np.inf)
        for j in range(len(second)):
            cost = 0.0
            for k in range(first.shape[1]):
                cost += (first[i, k] - second[j, k]) ** 2
            cost = np.sqrt(cost)
            now[j + 1] = min(before[j] + 2 * cost, before[j + 1] + cost, now[j] + cost)
        before = now
    distance: float = before[-1] / (len(first) + len(second))
    return distance


def warped_distance(first: Floats, second: Floats) -> float:
    """The distance of two clips ``(T, D)`` and ``(U, D)`` by dynamic time warping: the least mean
    of the distances of their frames (Sakoe & Chiba 1978, Table I, symmetric, P = 0: a step in both
    clips counts twice, the sum is divided by T + U).

    InputError for clips without frames, or of other widths.
    """
    if not len(first) or not len(second) or first.shape[1:] != second.shape[1:]:
        raise InputError(
            "time warping: expected two clips of frames of as many numbers, got "
            f"{first.shape} and {second.shape}"
        )
    return float(_warped(np.ascontiguousarray(first, float), np.ascontiguousarray(second, float)))


class BaselineTask(SentenceScores):
    """Reads sentences without learning: the score of these rows is their whole training.

    Args:
        reads: "nearest": the glosses of the training sentence that is nearest by time warping;
            "constant": for all the one training sentence, of the ``CANDIDATES`` most frequent, that
            has the fewest edits to all of them.
        origins: tracks of places ``(x, y)``, and the number of the place that the others are seen
            from.
    """

    entry, kind, mode = "signx", "baseline", "min"

    def __init__(
        self,
        reads: Literal["nearest", "constant"] = "nearest",
        origins: dict[str, int] | None = None,
    ) -> None:
        super().__init__(OptimiserConfig())
        if reads not in ("nearest", "constant"):
            raise UsageError(f"reads: expected nearest or constant, got {reads!r}")
        self.reads, self.origins = reads, origins or {}
        self.model = torch.nn.Module()  # has nothing to learn
        self._data: Any = None

    @property
    def data(self) -> Any:
        return self._data

    def features(self, clip: PoseTracks) -> Floats:
        """``(T, D)``: all numbers and their changes from frame to frame, less the clip's own mean
        (it does not matter where a signer sits), in the spread of training; 0, the mean, where they
        are not known."""
        parts = []
        for name, (_, std) in self._data.statistics.items():
            values = np.full((clip.frames, len(std)), np.nan)
            if name in clip.values:
                values = clip.values[name].astype(np.float64)
            if (origin := self.origins.get(name)) is not None:
                places = values.reshape(len(values), -1, 2)
                values = (places - places[:, origin : origin + 1]).reshape(values.shape)
            there = np.isfinite(values)
            mean = np.where(there, values, 0.0).sum(0) / np.maximum(there.sum(0), 1)
            parts.append((values - mean) / np.where(std > 0, std, 1.0))
        still = np.nan_to_num(np.concatenate(parts, 1))
        return np.concatenate([still, np.diff(still, axis=0, prepend=still[:1])], 1)

    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        data = self._data
        if not data.sentences[split]:
            return None
        training = data.sentences["train"]
        if self.reads == "constant":
            read = [self._constant([s.words for s in training])] * len(data.sentences[split])
        else:
            known = [self.features(data.tracks_of(sentence)) for sentence in training]
            read = []
            for sentence in data.sentences[split]:
                own = self.features(data.tracks_of(sentence))
                best = int(np.argmin([warped_distance(own, other) for other in known]))
                read.append(training[best].words)
        beams: list[list[Words]] = [[words] for words in read]
        self.add_readings(split, {"baseline": beams})
        true = [sentence.words for sentence in self.sentences(split)]
        return {"sentences": len(true), "baseline": gloss_figures(true, beams)}

    @staticmethod
    def _constant(training: list[Words]) -> Words:
        counts = Counter(training)

        def edits(words: Words) -> int:
            return pool(edit_counts(true, words, "unit") for true in training).edits

        return min((words for words, _ in counts.most_common(CANDIDATES)), key=edits)

    def finish(self, output: Path, cli: Any) -> None:
        """Write ``metrics.json``."""
        self._data = cli.datamodule
        self._data.setup()
        about = {"name": output.name, "reads": self.reads, **self._data.facts(), **self.facts()}
        write_metrics(output / "metrics.json", about | self.scores(output))
