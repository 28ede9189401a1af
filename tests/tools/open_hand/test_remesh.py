"""Meshes of a ball: closed, even, and as large as the ball."""

from __future__ import annotations

import numpy as np
import pytest

from tools.open_hand.remesh import (
    marching_cubes,
    neighbour_means,
    remesh,
    vertex_normals,
)
from tools.open_hand.surface import Ellipsoid

RADIUS, EDGE = 20.0, 5.0
BALL = Ellipsoid(0, np.zeros(3), np.eye(3), np.full(3, RADIUS))


@pytest.fixture(scope="module")
def mesh() -> tuple[np.ndarray, np.ndarray]:
    box = np.full(3, 26.0)
    vertices, faces = marching_cubes(BALL, -box, box, 3.0)
    return remesh(BALL, vertices, faces, lambda p: np.full(len(p), EDGE))


def test_it_is_closed_oriented_and_of_one_piece(mesh: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, faces = mesh
    directed = {(a, b) for f in faces.tolist() for a, b in zip(f, f[1:] + f[:1], strict=True)}
    assert len(directed) == 3 * len(faces)  # no edge twice in one direction
    assert all((b, a) in directed for a, b in directed)
    assert len(vertices) - len(directed) // 2 + len(faces) == 2  # Euler's formula for a sphere


def test_vertices_lie_on_the_ball_and_edges_are_about_as_long_as_asked(
    mesh: tuple[np.ndarray, np.ndarray],
) -> None:
    vertices, faces = mesh
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), RADIUS, atol=1e-3)
    edges = np.linalg.norm(vertices[faces] - vertices[np.roll(faces, 1, axis=1)], axis=-1)
    assert edges.min() > 0.5 * EDGE
    assert edges.max() < 1.6 * EDGE
    assert abs(edges.mean() / EDGE - 1) < 0.12


def test_faces_look_outwards(mesh: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, faces = mesh
    cosine = (vertex_normals(vertices, faces) * vertices / RADIUS).sum(1)
    assert cosine.min() > 0.99
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = (a * np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.05)


def test_neighbour_means_of_a_tetrahedron() -> None:
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    values = np.array([[0.0], [3.0], [6.0], [9.0]])
    means = neighbour_means(np.zeros((4, 3)), faces, values)
    np.testing.assert_allclose(means[:, 0], [6.0, 5.0, 4.0, 3.0])
