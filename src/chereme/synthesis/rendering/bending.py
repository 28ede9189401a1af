"""Smooth bends of what lies along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_T = np.linspace(0, 1, 33)
_TURNED = _T * _T * (3 - 2 * _T)  # the share of the angle that is turned: no kink at the ends


@dataclass(frozen=True, slots=True)
class Bend:
    """The x axis bends between ``start`` and ``start + length`` (metres) towards the unit vector
    ``towards (3,)``; what lies round it goes along, rigid beyond."""

    start: float
    length: float
    towards: Floats

    @classmethod
    def at(cls, corner: float, length: float, towards: Floats) -> Bend:
        """The bend that rounds the corner of an axis at x = ``corner``: behind it the axis lies on
        the line from the corner in the direction ``towards``."""
        return cls(corner - _tangent(_angle(towards)) * length, length, towards)

    @property
    def tangent(self) -> float:
        """Metres from either end of the bend to the corner that it rounds."""
        return _tangent(_angle(self.towards)) * self.length

    @property
    def rotation(self) -> Floats:
        """``(3, 3)``: what the bend does to directions beyond it."""
        across, normal = self._plane()
        cosine, sine = self.towards[0], float(self.towards @ across)
        basis = np.stack([[1.0, 0.0, 0.0], across, normal], axis=1)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        rotation: Floats = basis @ turn @ basis.T
        return rotation

    def __call__(self, points: Floats, along: Floats) -> Floats:
        """``points (N, 3)`` bent; ``along (N,)`` is where on the axis each belongs."""
        angle = _angle(self.towards)
        across, normal = self._plane()
        at = np.clip(along - self.start, 0, self.length)
        t = at / self.length
        turned = angle * np.interp(t, _T, _TURNED)
        x, y = _axis(angle)
        cosine, sine = np.cos(turned), np.sin(turned)
        ahead = points[:, 0] - self.start - at
        beside = points @ across
        new_x = self.start + self.length * np.interp(t, _T, x) + cosine * ahead - sine * beside
        new_y = self.length * np.interp(t, _T, y) + sine * ahead + cosine * beside
        bent: Floats = new_y[:, None] * across + (points @ normal)[:, None] * normal
        bent[:, 0] += new_x
        return bent

    def _plane(self) -> tuple[Floats, Floats]:
        """Unit vectors across the axis: in the plane of the bend, and normal to it."""
        across = self.towards * [0.0, 1.0, 1.0]
        length = float(np.linalg.norm(across))
        across = across / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])
        return across, np.array([0.0, -across[2], across[1]])


def _angle(towards: Floats) -> float:
    return float(np.arctan2(np.hypot(towards[1], towards[2]), towards[0]))


def _axis(angle: float) -> tuple[Floats, Floats]:
    """The bent axis ``(33,)`` of a bend of length 1, in its plane."""
    turned = angle * _TURNED
    rates = np.stack([np.cos(turned), np.sin(turned)])
    steps = (rates[:, 1:] + rates[:, :-1]) / (2 * (len(_T) - 1))
    x, y = np.concatenate([np.zeros((2, 1)), np.cumsum(steps, axis=1)], axis=1)
    return x, y


def _tangent(angle: float) -> float:
    """From the end of a bend of length 1 to the corner that it rounds."""
    if angle < 1e-6:
        return 0.5
    _, y = _axis(angle)
    # Both ends of the bend are as far from the corner.
    return float(y[-1] / np.sin(angle))
