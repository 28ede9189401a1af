"""Somebody to stand behind the hand: head, hair, neck, shoulders and clothes.

Not a likeness of anyone: skin that is no hand, where recordings of signing have it. The person
shares the skin tone of the hand, so that colour alone does not tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.synthesis.rendering.mesh import CLOTH, HAIR, SKIN, Mesh, plain_mesh
from chereme.synthesis.rendering.noise import LATTICE, noise_at
from chereme.synthesis.rendering.shapes import bezier, ellipsoid, tube
from chereme.synthesis.rendering.skin import SkinTone

Floats = NDArray[np.floating[Any]]
Pattern = Literal["plain", "stripes", "checks", "bands"]
Hair = Literal["bald", "short", "long"]
_HEAD = np.array([0.0, -0.162, -0.015])  # its centre, from the pit of the neck
_RADII = (0.075, 0.115, 0.095)
_ROWS, _COLUMNS = 56, 72


@dataclass(frozen=True, slots=True)
class Person:
    """``size`` 1 = average height; ``width`` of head and shoulders; ``hair_colour``, ``cloth``,
    ``second`` (of the pattern) and ``iris`` are linear RGB; ``beard`` 0..1; ``neckline`` metres
    below the pit of the neck."""

    tone: SkinTone
    hair: Hair = "short"
    hair_colour: tuple[float, float, float] = (0.02, 0.013, 0.01)
    beard: float = 0.0
    pattern: Pattern = "plain"
    cloth: tuple[float, float, float] = (0.1, 0.12, 0.2)
    second: tuple[float, float, float] = (0.5, 0.5, 0.5)
    iris: tuple[float, float, float] = (0.03, 0.02, 0.015)
    neckline: float = 0.03
    size: float = 1.0
    width: float = 1.0
    seed: int = 0

    @classmethod
    def sample(cls, rng: np.random.Generator, tone: SkinTone) -> Person:
        """Anybody with that skin."""
        grey = rng.random() < 0.15
        fair = rng.random() < 0.35 and tone.lightness > 50
        hair_colour = (
            np.full(3, rng.uniform(0.15, 0.5))
            if grey
            else np.array([0.02, 0.012, 0.008]) * np.exp(rng.uniform(0.5, 2.5) if fair else 0.0)
        )
        hairs: tuple[Hair, ...] = ("bald", "short", "short", "long", "long")
        patterns: tuple[Pattern, ...] = ("plain", "plain", "stripes", "checks", "bands")
        hair = hairs[rng.integers(len(hairs))]
        return cls(
            tone,
            hair,
            _triple(hair_colour),
            float(rng.uniform(0.3, 0.9)) if hair != "long" and rng.random() < 0.3 else 0.0,
            patterns[rng.integers(len(patterns))],
            cloth_colour(rng),
            cloth_colour(rng),
            _triple(np.array([0.03, 0.02, 0.015]) * (1.0 if rng.random() < 0.7 else 5.0)),
            float(rng.uniform(0.0, 0.09)),
            float(rng.normal(1.0, 0.05)),
            float(rng.uniform(0.9, 1.12)),
            int(rng.integers(1000)),
        )

    def place(
        self,
        neck: Floats,
        turn: Floats | None = None,
        hanging: tuple[bool, bool] = (True, True),
    ) -> list[Mesh]:
        """The person with the pit of the neck at ``neck (3,)``, camera frame, facing the camera.

        ``turn (3, 3)`` rotates the head. ``hanging``: which arms, on the picture's left and right,
        hang at the person's side; the others are not drawn (``Arm`` draws them).
        """
        meshes = [self._torso(), *self._head(np.eye(3) if turn is None else np.asarray(turn))]
        meshes += [
            self._hanging_arm(side) for side, drawn in zip((-1, 1), hanging, strict=True) if drawn
        ]
        return [m.replace(vertices=m.vertices * self.size + neck) for m in meshes]

    def shoulder(self, neck: Floats, side: int) -> Floats:
        """Where the arm on the picture's left (``side`` -1) or right (1) begins ``(3,)``."""
        joint: Floats = neck + self.size * np.array([0.138 * self.width * side, 0.058, 0.03])
        return joint

    def _head(self, turn: Floats) -> list[Mesh]:
        unit, faces = ellipsoid((1.0, 1.0, 1.0), _ROWS, _COLUMNS)
        # The rows' seam belongs at the back: the rings start at +z.
        x, y, z = unit.T
        front = np.clip(-z * 1.5, 0, 1)
        shape = unit * _RADII
        shape[:, 0] *= (1 - 0.26 * np.clip(y - 0.1, 0, 1) ** 1.3) * self.width
        shape[:, 2] *= 1 - 0.10 * np.clip(y - 0.2, 0, 1)

        def spot(u: float, v: float, wide: float, tall: float) -> Floats:
            near: Floats = np.exp(-(((x - u) / wide) ** 2) - ((y - v) / tall) ** 2) * front
            return near

        nose = spot(0, 0.13, 0.12, 0.10) + 0.55 * spot(0, 0.0, 0.09, 0.16)
        sockets = spot(-0.4, -0.08, 0.2, 0.1) + spot(0.4, -0.08, 0.2, 0.1)
        lips = spot(0, 0.46, 0.26, 0.055)
        shape[:, 2] += (
            -0.021 * nose + 0.008 * sockets - 0.005 * lips - 0.006 * spot(0, 0.8, 0.3, 0.2)
        )
        colour = self.tone.albedo(
            flush=0.6 * nose + 0.4 * spot(-0.5, 0.25, 0.2, 0.15) + 0.4 * spot(0.5, 0.25, 0.2, 0.15),
            crease=0.6 * sockets,
        )
        mouth = self.tone.albedo(palmar=0.4, flush=1.0)
        colour = _paint(colour, lips**2, mouth * 0.85)
        colour = _paint(colour, 1.3 * spot(0, 0.465, 0.24, 0.014), mouth * 0.35)
        nostril = spot(-0.07, 0.21, 0.035, 0.025) + spot(0.07, 0.21, 0.035, 0.025)
        colour = _paint(colour, nostril, colour * 0.3)
        hair = np.asarray(self.hair_colour)
        for side in (-1, 1):
            colour = _paint(colour, 1.6 * spot(0.4 * side, -0.25, 0.2, 0.035), hair)
            colour = _paint(
                colour, 2.0 * spot(0.4 * side, -0.08, 0.13, 0.05) ** 2, np.full(3, 0.55)
            )
            colour = _paint(
                colour, 2.5 * spot(0.4 * side, -0.08, 0.06, 0.055) ** 2, np.array(self.iris)
            )
            colour = _paint(colour, spot(0.4 * side, -0.135, 0.16, 0.02), hair * 0.5)
        jaw = (
            np.clip((y - 0.28) * 6, 0, 1) * np.clip(0.6 - z, 0, 1) * (1 - spot(0, 0.46, 0.3, 0.07))
        )
        colour = _paint(colour, self.beard * jaw, hair * 1.3)
        gloss = self.tone.glosses(np.zeros(len(x))) + 0.25 * (sockets > 0.6)
        meshes = [Mesh(shape, faces, colour, gloss, SKIN, shape + self.seed % 53)]
        meshes += [self._ear(side) for side in (-1, 1)]
        if self.hair != "bald":
            meshes.append(self._hair(unit, shape, faces))
        return [m.replace(vertices=m.vertices @ turn.T + _HEAD) for m in meshes]

    def _ear(self, side: int) -> Mesh:
        vertices, faces = ellipsoid((0.008, 0.03, 0.017), 10, 14)
        vertices += np.array([0.076 * side * self.width, -0.005, 0.012])
        return plain_mesh(vertices, faces, self.tone.albedo(flush=0.6), self.tone.gloss, SKIN)

    def _hair(self, unit: Floats, head: Floats, faces: NDArray[np.int32]) -> Mesh:
        x, y, z = unit.T
        rough = noise_at(LATTICE, unit * [7, 4, 7] + self.seed % 53)
        # How far inside the hair: the hairline is high on the forehead and low in the neck.
        inside = 0.55 * z - 0.9 * (y + 0.15) + 0.06 * rough
        thick = 0.012 * np.clip(inside * 5, -0.6, 1) * (1 + 0.4 * rough)
        vertices = head + unit * thick[:, None]
        if self.hair == "long":
            hang = np.clip(inside * 4, 0, 1) * np.clip(y + 0.1, 0, 1)
            vertices[:, 1] += 0.13 * hang
            vertices[:, 0] += np.sign(x) * 0.025 * hang
        return plain_mesh(vertices, faces, self.hair_colour, 0.45, HAIR)

    def _torso(self) -> Mesh:
        # Height, half width, half depth, how far back: neck, shoulders, chest, waist.
        profile = np.array(
            [
                [-0.12, 0.054, 0.055, 0.020],
                [-0.06, 0.058, 0.058, 0.025],
                [-0.035, 0.074, 0.062, 0.030],
                [0.000, 0.125, 0.070, 0.032],
                [0.030, 0.170, 0.082, 0.031],
                [0.070, 0.192, 0.092, 0.028],
                [0.130, 0.196, 0.105, 0.022],
                [0.250, 0.178, 0.115, 0.015],
                [0.420, 0.160, 0.108, 0.015],
                [0.600, 0.172, 0.115, 0.015],
            ]
        )
        t = np.linspace(-0.12, 0.6, 70)
        height, wide, deep, back = (np.interp(t, profile[:, 0], c) for c in profile.T)
        axis = np.stack([0 * t, height, back], 1)
        columns = 72
        radii = np.stack([wide * self.width, deep], 1)
        vertices, faces = tube(axis, np.array([1.0, 0, 0]), radii, columns, caps=True)
        x, y, z = vertices.T
        folds = noise_at(LATTICE, vertices * [14, 9, 14] + self.seed % 89)
        # The neckline is round in front, and higher at the back and over the shoulders.
        collar = self.neckline * np.clip(0.5 - z / 0.12, 0, 1) - 0.03 - 0.12 * np.abs(x) * (z > 0)
        dressed = np.clip((y - collar) * 150, 0, 1)
        vertices[:, [0, 2]] *= (1 + dressed * (0.03 + 0.025 * folds))[:, None]
        where = {
            "plain": np.zeros_like(x),
            "stripes": (np.sin(x * 2 * np.pi / 0.06) > 0).astype(float),
            "checks": 0.5 * (np.sin(x * 100) > 0) + 0.5 * (np.sin(y * 100) > 0),
            "bands": (np.sin(y * 2 * np.pi / 0.07) > 0).astype(float),
        }[self.pattern]
        cloth = _paint(np.broadcast_to(self.cloth, vertices.shape), where, np.asarray(self.second))
        colour = _paint(self.tone.albedo(flush=0.2 * np.ones(len(x))), dressed, cloth)
        gloss = np.where(dressed > 0.5, 0.12, self.tone.gloss)
        return Mesh(vertices, faces, colour, gloss, CLOTH, vertices + self.seed % 89)

    def _hanging_arm(self, side: int) -> Mesh:
        shoulder = self.shoulder(np.zeros(3), side) / self.size
        elbow = np.array([0.215 * self.width * side, 0.36, 0.06])
        wrist = np.array([0.23 * self.width * side, 0.62, 0.0])
        t = np.linspace(0, 1, 30)
        radii = np.interp(
            t, [0, 0.04, 0.08, 0.2, 0.5, 1], [0.02, 0.046, 0.054, 0.054, 0.046, 0.036]
        )
        axis = bezier(np.stack([shoulder, elbow, wrist]), t)
        radii = np.repeat(radii[:, None], 2, axis=1)
        vertices, faces = tube(axis, np.array([1.0, 0.2, 0.1]), radii, 28, caps=True)
        return plain_mesh(vertices, faces, self.cloth, 0.12, CLOTH)


def cloth_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Linear RGB of clothes: mostly dark, grey or blue, sometimes bright."""
    level = 0.015 * 40 ** rng.random()
    vivid = rng.random() < 0.3
    tint = np.exp(rng.normal([-0.05, 0, 0.08], 0.9 if vivid else 0.18))
    return _triple(np.clip(level * tint / tint.mean(), 0.005, 0.8))


def _paint(colour: Floats, amount: Floats, over: Floats) -> Floats:
    """``colour (V, 3)`` with so much (V,) 0..1 of another over it."""
    share = np.clip(amount, 0, 1)[:, None]
    painted: Floats = colour + share * (over - colour)
    return painted


def _triple(colour: Floats) -> tuple[float, float, float]:
    return float(colour[0]), float(colour[1]), float(colour[2])
