"""Bends against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.synthesis.rendering.bending import Bend


def towards(degrees: float, about: float = 0.4) -> np.ndarray:
    a = np.radians(degrees)
    return np.array([np.cos(a), np.sin(a) * np.cos(about), np.sin(a) * np.sin(about)])


def line(end: float = 0.3) -> np.ndarray:
    x = np.linspace(-0.1, end, 400)
    return np.stack([x, 0 * x, 0 * x], 1)


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 20.0, 55.0, 100.0, 140.0])
def test_the_axis_keeps_its_length_and_ends_on_the_line_from_the_corner(degrees):
    way = towards(degrees)
    bend = Bend.at(0.1, 0.08, way)
    axis = bend(line(), line()[:, 0])
    np.testing.assert_allclose(axis[line()[:, 0] < bend.start], line()[line()[:, 0] < bend.start])
    steps = np.linalg.norm(np.diff(axis, axis=0), axis=1)
    np.testing.assert_allclose(steps, np.diff(line()[:, 0]), rtol=0.02)
    beyond = axis[line()[:, 0] > bend.start + bend.length] - [0.1, 0, 0]
    np.testing.assert_allclose(np.cross(beyond, way), 0, atol=2e-4)
    assert (beyond @ way > 0).all()
    # No kink: the direction turns by little from step to step.
    turns = np.einsum("ni,ni->n", np.diff(axis, axis=0)[1:], np.diff(axis, axis=0)[:-1])
    assert np.degrees(np.arccos(np.clip(turns / steps[1:] / steps[:-1], -1, 1))).max() < 5.5


def test_rotation_is_what_happens_beyond_and_distances_stay():
    bend = Bend(0.0, 0.05, towards(50.0))
    rng = np.random.default_rng(0)
    body = np.array([0.2, 0, 0]) + rng.normal(0, 0.02, (30, 3))
    moved = bend(body, np.full(30, 0.2))
    np.testing.assert_allclose(moved - moved[0], (body - body[0]) @ bend.rotation.T, atol=1e-12)
    np.testing.assert_allclose(bend.rotation @ [1, 0, 0], bend.towards, atol=1e-12)
    np.testing.assert_allclose(bend.rotation @ bend.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(bend.rotation) == pytest.approx(1)


def test_a_slice_stays_flat_and_its_shape():
    bend = Bend(-0.01, 0.05, towards(55.0))
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([np.full(20, 0.015), 0.03 * np.cos(angle), 0.02 * np.sin(angle)], 1)
    moved = bend(ring, np.full(20, 0.015))
    before = np.linalg.norm(ring[:, None] - ring, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(moved[:, None] - moved, axis=-1), before, atol=1e-9)
