"""Shapes and lights that the tests of the renderer share."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.synthesis.rendering.light import Light, Lighting
from chereme.synthesis.rendering.mesh import Mesh, plain_mesh
from chereme.synthesis.rendering.shapes import ellipsoid


@pytest.fixture
def sphere() -> Mesh:
    """Radius 0.1 m at 1 m, 128 x 192 faces, white and without gloss."""
    vertices, faces = ellipsoid((0.1, 0.1, 0.1), 128, 192)
    return plain_mesh(vertices + np.array([0.0, 0.0, 1.0]), faces, (1.0, 1.0, 1.0), 0.0)


@pytest.fixture
def even_light() -> Lighting:
    """White from all sides, and nothing else."""
    dark = Light((0.0, 0.0, -1.0), (0.0, 0.0, 0.0))
    return Lighting(dark, (), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))


@pytest.fixture
def lamp() -> Lighting:
    """A sharp white key light from the upper left in front, and darkness."""
    return Lighting(Light((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), 0.01), (), (0, 0, 0), (0, 0, 0))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
