"""When a recogniser of one's own signs gives no answer, and how well that finds other signs out.

The temperature and the threshold are settled on clips of the test, which are not trained on. Then
they fit these clips, and so every figure of the report is of a half of them that was not asked:
settled on the one half, measured on the other, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chereme.datasets.pose_clips import Entry
from chereme.metrics.calibration import (
    acceptance_threshold,
    calibration_error,
    fit_temperature,
    separation,
)
from chereme.recognition.config import Abstention
from chereme.recognition.isolated import probabilities
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.distances import FARTHEST, WEIGHT, ClassDistances
from chereme.systems.signbert.recognizer import SignBertRecognizer
from chereme.systems.signbert.task import load_signbert
from chereme.training.data import Split
from chereme.training.isolated_data import UNKNOWN

REJECTED = 0.1
"""The share of the known signs that the threshold may reject, of the clips that settle it."""


@dataclass(frozen=True)
class Rule:
    """``scale``: the usual distance from the signs of clips that were not trained on, in units of
    that of clips that were (`ClassDistances`)."""

    scale: float
    abstention: Abstention


UNTESTED = Rule(7.0, Abstention(other=True, min_probability=0.5))
"""Where no clips are kept aside to settle it. An answer is likelier than all else together; 7 is
what was found in benchmarks/unknown_signs.py."""


@dataclass(frozen=True)
class ValOutputs:
    """What a recogniser of K glosses says of N clips: ``logits (N, K + 1)``, the last of other
    signs, ``distances (N,)`` from the nearest sign, 1 for the mean clip that was trained on, and
    ``classes (N,)``, what they show, ``UNKNOWN`` for a gloss that it does not know."""

    entries: tuple[Entry, ...]
    logits: NDArray[np.float64]
    distances: NDArray[np.float64]
    classes: NDArray[np.int64]

    def part(self, chosen: NDArray[np.bool_]) -> ValOutputs:
        """Some of the clips."""
        entries = tuple(self.entries[number] for number in np.flatnonzero(chosen))
        return ValOutputs(
            entries, self.logits[chosen], self.distances[chosen], self.classes[chosen]
        )

    @property
    def known(self) -> ValOutputs:
        """The clips of glosses that the recogniser knows."""
        return self.part(self.classes != UNKNOWN)

    @property
    def unknown(self) -> ValOutputs:
        """The clips of others."""
        return self.part(self.classes == UNKNOWN)

    def scores(self, scale: float) -> NDArray[np.float64]:
        """``(N, K + 1)``: logits of which the last knows the distance, as the bundle's network
        gives them."""
        scores = self.logits.copy()
        scores[:, -1] += WEIGHT * (np.minimum(self.distances / scale, FARTHEST) - 1)
        return scores

    def best(self, rule: Rule) -> NDArray[np.float64]:
        """The probability of the likeliest gloss of each clip ``(N,)``."""
        found = probabilities(rule.abstention, self.scores(rule.scale))
        best: NDArray[np.float64] = found[:, :-1].max(-1)
        return best

    def among_known(self, how: Abstention) -> NDArray[np.float64]:
        """The same ``(N,)``, if it were known that the clip shows one of the glosses."""
        best: NDArray[np.float64] = probabilities(how, self.logits[:, :-1]).max(-1)
        return best

    def right(self) -> NDArray[np.bool_]:
        """``(N,)``: the likeliest gloss is what the clip shows."""
        right: NDArray[np.bool_] = self.logits[:, :-1].argmax(-1) == self.classes
        return right


def predict(checkpoint: Path, data: PoseData) -> tuple[ValOutputs, ClassDistances]:
    """What is said of the clips of the split test; and the distances, 1 for the mean clip that was
    trained on."""
    model = load_signbert(checkpoint).model
    assert isinstance(model, SignBertRecognizer)  # the only kind that has glosses

    def pooled(split: Split) -> tuple[Tensor, Tensor]:
        found = [(model.pool(batch.poses), batch.classes) for batch in data.whole(split)]
        empty = (torch.zeros(0, model.head.classifier.in_features), torch.zeros(0).long())
        features, classes = zip(empty, *found, strict=True)
        return torch.cat(features), torch.cat(classes)

    with torch.no_grad():
        trained, classes = pooled("train")
        distances = ClassDistances.fit(trained, classes)
        distances.scale = distances(trained).mean().clamp_min(1e-6)
        features, classes = pooled("test")
        logits = model.head.classifier(features)
        far = distances(features) / distances.scale
    entries = tuple(data.entries("test"))
    return ValOutputs(
        entries, logits.double().numpy(), far.double().numpy(), classes.numpy()
    ), distances


def settle(val_outputs: ValOutputs) -> Rule:
    """Scale, temperature and threshold, from clips that were not trained on.

    The scale is their median distance. The temperature is fitted among the known signs: how likely
    others are, clips of known signs cannot tell. The threshold is the highest that rejects at most
    ``REJECTED`` of the clips of known signs. ``UNTESTED`` without such a clip.
    """
    known = val_outputs.known
    if not known.entries:
        return UNTESTED
    scale = max(float(np.median(known.distances)), 1e-3)
    temperature = fit_temperature(known.logits[:, :-1], known.classes.tolist())
    how = Rule(scale, Abstention(temperature, other=True))
    threshold = acceptance_threshold(known.best(how), REJECTED)
    # Rounded down: the clip that settled it is accepted.
    return Rule(scale, Abstention(temperature, True, float(np.floor(1e4 * threshold) / 1e4)))


def halves(entries: Sequence[Entry]) -> NDArray[np.bool_]:
    """``(N,)``: the clips of the one half; of several signers nobody is in both."""
    signers = sorted({entry.signer for entry in entries})
    if len(signers) > 1:
        return np.array([signers.index(entry.signer) % 2 == 0 for entry in entries])
    # Clips of a gloss are next to each other: each half has some.
    every_other: NDArray[np.bool_] = np.arange(len(entries)) % 2 == 0
    return every_other


@dataclass(frozen=True)
class Measured:
    """What the rule does to clips that it was not settled on. ``calibration``: the expected
    calibration error among the known signs, before and after the temperature. ``rejected``: of
    ``known`` clips. ``accepted``: of ``unknown`` clips of left-out ``signs``, and ``separation`` of
    both."""

    known: int
    rejected: float
    right: float
    calibration: tuple[float, float]
    signs: tuple[str, ...] = ()
    unknown: int = 0
    accepted: float | None = None
    separation: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a bundle's metrics, shares in per cent."""
        values: dict[str, Any] = {
            "known_clips": self.known,
            "false_rejections": round(100 * self.rejected, 1),
            "right_of_answered": round(100 * self.right, 1),
            "calibration_error_before": round(100 * self.calibration[0], 1),
            "calibration_error": round(100 * self.calibration[1], 1),
        }
        if self.accepted is not None:
            values["unknown_clips"] = self.unknown
            values["false_acceptances"] = round(100 * self.accepted, 1)
        return values


def measure(runs: Sequence[ValOutputs]) -> Measured | None:
    """The figures of one or several recognisers, each with a rule of its own; None of too few clips
    to halve them."""
    before, after, right, best, knowns, unknown, bests = [], [], [], [], [], [], []
    signs: set[str] = set()
    for val_outputs in runs:
        known, others = val_outputs.known, val_outputs.unknown
        if len(known.entries) < 2:
            continue
        signs |= {entry.label for entry in others.entries}
        half = halves(known.entries)
        for settled, asked in ((half, ~half), (~half, half)):
            if not settled.any() or not asked.any():
                continue
            how, part = settle(known.part(settled)), known.part(asked)
            before.append(part.among_known(Abstention()))
            after.append(part.among_known(how.abstention))
            right.append(part.right())
            knowns.append(part.best(how))
            best.append(knowns[-1] >= how.abstention.min_probability)
            bests.append(others.best(how))
            unknown.append(bests[-1] >= how.abstention.min_probability)
    if not before:
        return None
    correct, answered = np.concatenate(right), np.concatenate(best)
    errors = [calibration_error(np.concatenate(of), correct.tolist()) for of in (before, after)]
    found = np.concatenate(unknown)
    return Measured(
        known=len(correct),
        rejected=float(1 - answered.mean()),
        right=float(correct[answered].mean()) if answered.any() else 0.0,
        calibration=(errors[0], errors[1]),
        signs=tuple(sorted(signs)),
        unknown=len(found) // 2,
        accepted=float(found.mean()) if len(found) else None,
        separation=separation(np.concatenate(knowns), np.concatenate(bests))
        if len(found)
        else None,
    )
