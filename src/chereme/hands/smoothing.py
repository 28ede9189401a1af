"""Landmarks without their tremor, for drawing: the 1 Euro filter (Casiez, Roussel, Vogel 2012).

A hand at rest is smoothed much, a quick one hardly, so that it does not lag behind. Recognition
reads landmarks as they are: it was trained on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chereme.hands.skeleton import palm_size

# Hertz: what a hand at rest keeps, and what is kept of its speed.
SLOWEST, SPEED = 1.5, 1.0
STEEPNESS = 3.0  # hertz more for each palm length a second
REACH = 1.0  # palm lengths beyond which a hand is another one

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _State:
    points: Points  # (21, 3), smoothed
    raw: Points
    speed: Points  # (21, 3), units a second, smoothed
    time: float


class Smoother:
    """Smooths the landmarks of the hands of one recording, frame after frame."""

    def __init__(self) -> None:
        self._states: list[_State] = []

    def smooth(self, hands: Sequence[Points], time: float) -> list[Points]:
        """``hands``, each ``(21, 3)``, seen at ``time`` seconds, in the same order. One that was
        not there in the last frame is as it is seen."""
        states = [self._next(hand, time) for hand in hands]
        self._states = states
        return [state.points for state in states]

    def _next(self, hand: Points, time: float) -> _State:
        apart = [float(np.linalg.norm((hand - s.raw)[:, :2], axis=1).mean()) for s in self._states]
        size = max(float(palm_size(hand)), 1e-6)
        nearest = int(np.argmin(apart)) if apart else -1
        if nearest < 0 or apart[nearest] > REACH * size or time <= self._states[nearest].time:
            return _State(hand, hand, np.zeros_like(hand), time)
        last = self._states[nearest]
        step = time - last.time
        speed = last.speed + _share(SPEED, step) * ((hand - last.raw) / step - last.speed)
        quickness = np.linalg.norm(speed, axis=1, keepdims=True) / size
        share = _share(SLOWEST + STEEPNESS * quickness, step)
        points = last.points + share * (hand - last.points)
        return replace(
            last,
            points=points.astype(np.float32),
            raw=hand,
            speed=speed.astype(np.float32),
            time=time,
        )


def _share(cutoff: float | NDArray[np.floating], step: float) -> NDArray[np.floating]:
    """How much of the new counts: that of a low pass of ``cutoff`` hertz, ``step`` seconds on."""
    return np.asarray(1 / (1 + 1 / (2 * math.pi * cutoff * step)))
