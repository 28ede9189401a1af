"""The movements of J and Z, drawn from scratch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from chereme.synthesis.articulation import Articulation


def drawn_stroke(letter: str, pose: Articulation, rng: Any) -> list[Articulation]:
    """The movement of ``letter``, "j" or "z", as 13 poses in equal steps, starting from ``pose``.

    Size, slant and how much of it the wrist does vary with ``rng``."""
    s = np.linspace(0, 1, 13)
    turn = np.zeros((13, 3))
    if letter == "z":
        # Left to right for the signer, so first to the left in the picture; to the right where left
        # hands, which are shown as right ones, draw it as right hands do.
        corners = np.array([[0, 0], [-1, 0], [0, 1], [-1, 1]]) + rng.normal(0, 0.08, (4, 2))
        corners[:, 0] *= -1.0 if rng.random() < 0.1 else 1.0
        size = rng.uniform(0.4, 2.0) * np.array([1.0, rng.uniform(0.6, 1.2)])
        share = np.interp(s, [0, 0.3, 0.7, 1], [0, 1, 2, 3])
        path = np.stack([np.interp(share, range(4), corners[:, k]) for k in (0, 1)], 1) * size
        follow = rng.uniform(0, 1)  # drawn by the arm (0) or partly by turning the wrist (1)
        turn[:, 2] = follow * np.radians(25) * (path[:, 0] / size[0])
        path = path * (1 - 0.5 * follow)
    else:
        # Down, then hooking to the picture's right, while the forearm turns the palm to the
        # signer and the hand tips over towards the little finger, little or much.
        size = rng.uniform(0.2, 1.4)
        aside = -rng.uniform(0, 0.5) * np.sin(np.pi * s) + rng.uniform(0.0, 0.8) * s**2
        path = size * np.stack([aside, np.sin(np.pi * rng.uniform(0.5, 0.9) * s)], 1)
        turn[:, 0] = np.radians(rng.uniform(-5, 60)) * np.sin(np.pi * s)
        turn[:, 1] = -np.radians(rng.uniform(40, 160)) * s**1.3
        tipping = np.sin(np.pi * rng.uniform(0.5, 0.9) * s)
        turn[:, 2] = -np.radians(rng.uniform(5, 130)) * tipping
    base = Rotation.from_quat(pose.orientation)
    return [
        pose.replace(
            orientation=(Rotation.from_rotvec(turn[k]) * base).as_quat(),
            wrist=pose.wrist + np.array([[path[k, 0], path[k, 1], 0.0]]),
        )
        for k in range(len(s))
    ]
