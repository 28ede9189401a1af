"""Lights: a key light that casts shadows, others that do not, and the light from all round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Light:
    """A distant light.

    ``direction`` points from the scene to the light (camera frame; need not be a unit vector).
    ``colour`` is the linear RGB radiance of a white matt surface that faces it. ``spread`` is the
    angular radius of the source in radians, which softens the edge of its shadow: 0.005 the sun,
    0.1 a window, 0.3 a large soft lamp.
    """

    direction: Triple
    colour: Triple = (1.0, 1.0, 1.0)
    spread: float = 0.1


@dataclass(frozen=True, slots=True)
class Lighting:
    """``key`` casts shadows; ``others`` (fill, rim) do not. The light from all round goes from
    ``sky`` above to ``ground`` below, linear RGB radiance of a white matt surface that it alone
    lights; ``up`` is the direction to the sky in the camera frame."""

    key: Light
    others: tuple[Light, ...] = ()
    sky: Triple = (0.35, 0.37, 0.4)
    ground: Triple = (0.2, 0.18, 0.16)
    up: Triple = (0.0, -1.0, 0.0)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Lighting:
        """Light as indoors: lamp, window, screen or daylight from a random side, none too dark."""
        warmth = rng.normal(0, 0.07)
        azimuth, height = rng.uniform(-1.9, 1.9), rng.uniform(-0.15, 1.2)
        key = Light(
            _direction(azimuth, height),
            _tinted(rng.uniform(0.35, 1.1), warmth),
            float(np.exp(rng.uniform(np.log(0.02), np.log(0.35)))),
        )
        others = []
        if rng.random() < 0.6:  # fill: a screen, a bright wall
            side = _direction(-azimuth * rng.uniform(0.3, 1.0), rng.uniform(-0.3, 0.6))
            others.append(Light(side, _tinted(rng.uniform(0.05, 0.35), rng.normal(0, 0.15))))
        if rng.random() < 0.35:  # rim: a lamp or window behind
            behind = _direction(rng.choice([-1, 1]) * rng.uniform(2.0, 2.8), rng.uniform(0, 0.9))
            others.append(Light(behind, _tinted(rng.uniform(0.2, 0.9), rng.normal(0, 0.2))))
        level = rng.uniform(0.12, 0.55)
        tint = warmth * 0.5 + rng.normal(0, 0.08)
        sky = _tinted(level, tint)
        ground = _tinted(level * rng.uniform(0.25, 0.9), tint + abs(rng.normal(0, 0.1)))
        return cls(key, tuple(others), sky, ground)


def _direction(azimuth: float, height: float) -> Triple:
    """Azimuth 0 = from behind the camera, positive = from the right; height above the horizon."""
    return (
        float(np.sin(azimuth) * np.cos(height)),
        float(-np.sin(height)),
        float(-np.cos(azimuth) * np.cos(height)),
    )


def _tinted(level: float, warmth: float) -> Triple:
    """Grey of that level, made warm (positive) or cold in the ratio exp(warmth) of red to green."""
    return (level * float(np.exp(warmth)), level, level * float(np.exp(-1.3 * warmth)))
