"""Skin of many tones: albedo and gloss of each vertex from what kind of skin it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# Choice: the locus of human skin in CIELAB (D65) as a curve over lightness: most yellow and red in
# the middle, paler towards both ends. The shape is that of published measurements (for instance
# Xiao et al., Skin Research and Technology 23, 2017); the numbers are rounded to whole halves.
_LIGHTNESS = (22.0, 30.0, 38.0, 46.0, 54.0, 62.0, 70.0)
_RED = (5.5, 8.5, 11.0, 12.0, 12.0, 11.0, 9.0)
_YELLOW = (5.5, 10.5, 15.0, 18.0, 19.0, 17.5, 14.5)
_XYZ_TO_RGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def lab_to_linear(lab: Floats) -> Floats:
    """CIELAB (D65, 2°) ``(..., 3)`` -> linear sRGB ``(..., 3)``, cut to 0..1 (CIE 15:2004)."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
    linear: Floats = np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)
    return linear


@dataclass(frozen=True, slots=True)
class SkinTone:
    """``lightness`` is CIELAB L* of the back of the hand, 22 (darkest) .. 70; ``red`` and
    ``yellow`` are shifts of a* and b* off the usual for that lightness; ``gloss`` 0..1."""

    lightness: float
    red: float = 0.0
    yellow: float = 0.0
    gloss: float = 0.35

    @classmethod
    def sample(cls, rng: np.random.Generator) -> SkinTone:
        """Any lightness equally likely, so that no skin is rare."""
        return cls(
            float(rng.uniform(24, 70)),
            float(rng.normal(0, 1.6)),
            float(rng.normal(0, 1.6)),
            float(rng.uniform(0.2, 0.5)),
        )

    def _lab(self, lightness: Floats | float) -> Floats:
        level = np.asarray(lightness, float)
        return np.stack(
            [
                level,
                np.interp(level, _LIGHTNESS, _RED) + self.red,
                np.interp(level, _LIGHTNESS, _YELLOW) + self.yellow,
            ],
            axis=-1,
        )

    def albedo(
        self,
        palmar: Floats | float = 0.0,
        nail: Floats | float = 0.0,
        crease: Floats | float = 0.0,
        flush: Floats | float = 0.0,
    ) -> Floats:
        """Linear RGB ``(V, 3)`` (``(3,)`` for numbers) of skin that is so much palm, nail, crease
        and reddened, each ``(V,)`` in 0..1.

        The palm has little melanin whatever the skin: it is lighter and redder than the back, most
        of all on dark skin, where its creases keep the tone of the back.
        """
        back = self._lab(self.lightness)
        lighter = self.lightness + 0.55 * max(63.0 - self.lightness, 0.0)
        palm = self._lab(lighter) + np.array([1.0, 3.5, -1.0])
        plate = palm + np.array([2.0, 2.5, -2.5])
        palmar, nail, crease, flush = (
            np.asarray(x, float)[..., None] for x in (palmar, nail, crease, flush)
        )
        lab = back + palmar * (palm - back)
        depth = 6.0 + 0.25 * (palm[0] - back[0]) * palmar
        lab = lab + crease * np.concatenate([-depth, 0 * depth + 2.5, 0 * depth + 1.0], axis=-1)
        lab = lab + flush * (1 - nail) * np.array([-2.5, 6.0, 0.0])
        return lab_to_linear(lab + nail * (plate - lab))

    def glosses(self, palmar: Floats | float = 0.0, nail: Floats | float = 0.0) -> Floats:
        """``(V,)`` gloss: nails shine, palms less than the back."""
        palmar, nail = np.asarray(palmar, float), np.asarray(nail, float)
        matt: Floats = self.gloss * (1 - 0.3 * palmar)
        return matt + nail * (0.55 - matt)
