"""Where the elbow is, for a hand that is somewhere.

An arm of two bones leaves the elbow a circle about the line from shoulder to wrist. People keep it
low, and raise it rather than bend the wrist far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.floating[Any]]
# Choice: comfortable limits of the wrist, well inside the ranges of motion that clinics give: to
# the thumb's or the little finger's side, to the palm's, to the back's.
_SIDEWAYS, _FLEXION, _EXTENSION = np.radians([38.0, 70.0, 58.0])
_SWIVELS = np.radians(np.linspace(-35, 105, 48))  # of the elbow: 0 = low, 90 = out to the side
_USUAL, _SPREAD = np.radians(20), np.radians(40)
_SHARPNESS = 6.0  # of the choice among swivels: a mean, so that the elbow never jumps
_TORSO = np.array([0.20, 0.14])  # half width and half depth of what an elbow must not enter
_STRETCHED = 0.97  # of the length of both bones: arms are never quite straight
_LAZINESS = 0.09  # seconds: elbows follow what the hand does, but smoothly


def reachable(wrist: Floats, shoulder: Floats, lengths: tuple[float, float]) -> Floats:
    """``wrist (N, 3)``, brought so near to ``shoulder (3,)`` that an arm of ``lengths`` (forearm,
    upper arm) reaches them."""
    away = wrist - shoulder
    distance = np.linalg.norm(away, axis=-1, keepdims=True)
    longest = _STRETCHED * sum(lengths)
    near: Floats = shoulder + away * np.minimum(1.0, longest / np.maximum(distance, 1e-9))
    return near


@dataclass(frozen=True, eq=False)
class Reach:
    """The right arm, on the picture's left, of somebody who faces the camera (y down, z away).

    ``wrist (N, 3)`` at even steps of ``step`` seconds, ``shoulder (3,)``, and the ``lengths`` of
    forearm and upper arm. The forearm always keeps its length: where there is nothing else, the
    shoulder gives."""

    wrist: Floats
    shoulder: Floats
    lengths: tuple[float, float]
    step: float

    def resting(self) -> Floats:
        """``(N, 3)`` unit vectors from the wrist to an elbow that hangs as it likes."""
        swivel = np.full((len(self.wrist), 1), _USUAL)
        forearm = self._forearms(swivel)[:, 0]
        return self._smooth(forearm)

    def signing(self, frame: Floats) -> Floats:
        """``(N, 3)`` unit vectors from the wrist to an elbow that goes where the wrist need not be
        bent too far. ``frame (N, 3, 3)``: the columns side (to the thumb), forward and normal (out
        of the palm) of the hand."""
        swivel = np.broadcast_to(_SWIVELS, (len(self.wrist), len(_SWIVELS)))
        forearm = self._forearms(swivel)
        effort = _bend(forearm, frame)[1] ** 2
        elbow = self.wrist[:, None] + self.lengths[0] * forearm
        middle = self.shoulder + np.array([0.15, 0.0, 0.0])
        inside = (((elbow - middle)[..., [0, 2]] / _TORSO) ** 2).sum(-1)
        habit = ((swivel - _USUAL) / _SPREAD) ** 2
        cost = 2 * effort + habit + 6 * np.clip(1.2 - inside, 0, None)
        weight = np.exp(-_SHARPNESS * (cost - cost.min(axis=1, keepdims=True)))
        best = (weight * swivel).sum(1) / weight.sum(1)
        forearm = self._forearms(best[:, None])[:, 0]
        return self._smooth(_limited(forearm, frame))

    def _forearms(self, swivel: Floats) -> Floats:
        """``(N, K)`` swivels -> ``(N, K, 3)`` unit vectors from the wrist to the elbow."""
        fore, upper = self.lengths
        away = self.wrist - self.shoulder
        distance = np.linalg.norm(away, axis=-1)
        along = away / np.maximum(distance, 1e-9)[:, None]
        distance = np.clip(distance, abs(upper - fore) + 0.02, _STRETCHED * (fore + upper))
        reach = (upper**2 - fore**2 + distance**2) / (2 * distance)
        radius = np.sqrt(np.maximum(upper**2 - reach**2, 0.0))
        low = _across(np.array([0.0, 1.0, 0.0]), along)
        out = np.cross(along, low)
        out *= np.where(out[:, :1] > 0, -1.0, 1.0)
        turned = np.cos(swivel)[..., None] * low[:, None] + np.sin(swivel)[..., None] * out[:, None]
        elbow = self.shoulder + (reach[:, None] * along)[:, None] + radius[:, None, None] * turned
        return _unit(elbow - self.wrist[:, None])

    def _smooth(self, forearm: Floats) -> Floats:
        wide = _LAZINESS / self.step
        return _unit(gaussian_filter1d(forearm, wide, axis=0, mode="nearest"))


def eased(forearm: Floats, frame: Floats) -> Floats:
    """``(N, 3, 3)`` rotations of hands in ``frame (N, 3, 3)``, so that no wrist is bent too far for
    forearms in the directions ``forearm (N, 3)``, from wrist to elbow."""
    return _turn(_limited(forearm, frame), forearm)


def _limited(forearm: Floats, frame: Floats) -> Floats:
    """The directions of the forearms ``(N, 3)``, or as far towards them as is comfortable."""
    straight = -frame[..., 1]
    angle, effort = _bend(forearm[:, None], frame)
    share = 1 / np.maximum(effort[:, 0], 1.0)
    turned = (share * angle[:, 0])[:, None]
    beside = _across(forearm, straight)
    limited: Floats = np.cos(turned) * straight + np.sin(turned) * beside
    return limited


def _turn(start: Floats, end: Floats) -> Floats:
    """The shortest rotations ``(N, 3, 3)`` from the unit vectors ``start`` to ``end (N, 3)``."""
    axis = np.cross(start, end)
    cosine = (start * end).sum(-1)[:, None, None]
    zero = np.zeros(len(axis))
    x, y, z = axis.T
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    turn: Floats = np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-9)
    return turn


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return unit


def _across(vector: Floats, along: Floats) -> Floats:
    """The part of ``vector`` across the unit vectors ``along (N, 3)``, of length 1."""
    return _unit(vector - (vector * along).sum(-1, keepdims=True) * along)


def _bend(forearm: Floats, frame: Floats) -> tuple[Floats, Floats]:
    """How far the wrist is bent for forearms in the directions ``(N, K, 3)``: ``(N, K)`` radians,
    and in shares of what is comfortable."""
    local = np.einsum("nkc,ncd->nkd", forearm, frame)
    angle = np.arccos(np.clip(-local[..., 1], -1, 1))
    beside = np.maximum(np.hypot(local[..., 0], local[..., 2]), 1e-9)
    sideways, flexion = local[..., 0] / beside, local[..., 2] / beside
    limit = np.where(flexion > 0, _FLEXION, _EXTENSION)
    return angle, angle * np.hypot(sideways / _SIDEWAYS, flexion / limit)
