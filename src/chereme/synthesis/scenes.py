"""Where a clip is recorded: the camera, the light, and what is behind the hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.camera import Camera
from chereme.synthesis.rendering.background import PictureFolder, clutter
from chereme.synthesis.rendering.film import Film
from chereme.synthesis.rendering.light import Lighting

Floats = NDArray[np.floating[Any]]
_PALM = 0.095  # metres from the wrist to the middle knuckle
_FOREARM = 0.25


@dataclass(frozen=True, eq=False)
class Scene:
    """``background (height, width, 3)`` linear RGB; ``origin (3,)`` metres, where the wrist of the
    signing hand is when it begins; ``stand (3,)`` metres from there to the pit of the signer's
    neck, as of right-handed ones; ``shutter`` the part of a frame's time that it is open;
    ``other`` whether the other hand is in sight; ``body`` whether the signer is."""

    camera: Camera
    lighting: Lighting
    film: Film
    background: Floats
    origin: Floats
    stand: Floats
    shutter: float
    other: bool
    body: bool

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        width: int = 640,
        height: int = 480,
        pictures: PictureFolder | None = None,
    ) -> Scene:
        """From a hand before a webcam to a signer some steps away; ``pictures`` are backgrounds."""
        camera = Camera.from_field_of_view(width, height, rng.uniform(48, 72))
        palm = rng.uniform(0.11, 0.24) * height
        depth = camera.fy * _PALM / palm
        x = rng.uniform(0.32, 0.6) * width
        y = rng.uniform(0.58, 0.78) * height
        origin = np.array(
            [(x - camera.cx) * depth / camera.fx, (y - camera.cy) * depth / camera.fy, depth]
        )
        # The hand is 15 to 30 cm before the chest, beside the face or lower.
        stand = np.array(
            [rng.uniform(0.14, 0.24), rng.uniform(-0.12, 0.0), rng.uniform(0.24, 0.34)]
        )
        # Without a signer, the arm must come from below the picture.
        close = y + camera.fy * _FOREARM / depth > 1.05 * height
        behind = pictures.sample if pictures is not None else clutter
        return cls(
            camera,
            Lighting.sample(rng),
            Film.sample(rng),
            behind(rng, width, height),
            origin,
            stand,
            float(rng.choice([0.25, 0.5, 0.75])),
            bool(rng.random() < 0.25),
            bool(rng.random() < 0.7 or not close),
        )
