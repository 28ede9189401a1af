"""Meshes, simple bodies, and subdivision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.errors import InputError
from chereme.synthesis.rendering import Subdivision
from chereme.synthesis.rendering.mesh import Mesh, vertex_normals
from chereme.synthesis.rendering.shapes import bezier, ellipsoid, square, tube

TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])


def volume(vertices, faces):
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)


def edge_counts(faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def icosahedron():
    g = (1 + 5**0.5) / 2
    v = np.array(
        [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g], [0, -1, -g],
         [0, 1, -g], [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1.0]]
    )  # fmt: skip
    f = [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4],
         [11, 10, 2], [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9],
         [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1]]  # fmt: skip
    return v, np.array(f, np.int32)


def test_normals_of_a_sphere_point_outwards():
    vertices, faces = ellipsoid((1, 1, 1), 60, 80)
    normals = vertex_normals(vertices.astype(np.float32), faces)
    inner = np.abs(vertices[:, 1]) < 0.999  # at the poles' rings the faces have no area
    np.testing.assert_allclose(normals[inner], vertices[inner], atol=0.03)


def test_vertices_without_area_get_no_normal():
    normals = vertex_normals(np.zeros((4, 3), np.float32), TETRAHEDRON)
    np.testing.assert_array_equal(normals, 0)


def test_bodies_are_closed_and_face_outwards():
    line = np.stack([np.zeros(9), np.zeros(9), np.linspace(0, 2, 9)], 1)
    vertices, faces = tube(line, np.array([1.0, 0, 0]), np.full((9, 2), [0.5, 0.25]), 64, caps=True)
    assert (edge_counts(faces) == 2).all()
    assert volume(vertices, faces) == pytest.approx(np.pi * 0.5 * 0.25 * 2, rel=0.01)
    vertices, faces = ellipsoid((1, 2, 3), 60, 80)
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * 6, rel=0.01)
    vertices, faces = square(np.zeros(3), np.array([1, 0, 0]), np.array([0, 1, 0]), 3)
    normals = vertex_normals(vertices.astype(np.float32), faces)
    np.testing.assert_allclose(normals, np.tile([0, 0, -1.0], (16, 1)), atol=1e-6)


def test_tube_does_not_twist_round_a_bend():
    axis = bezier(np.array([[0, 0, 0], [0, 1, 0], [1, 1, 0.0]]), np.linspace(0, 1, 20))
    vertices, _ = tube(axis, np.array([0, 0, 1.0]), np.full((20, 2), 0.1), 8)
    first = vertices.reshape(20, 8, 3)[:, 0] - axis
    np.testing.assert_allclose(first, np.tile([0, 0, 0.1], (20, 1)), atol=1e-9)


def test_subdivision_keeps_a_closed_mesh_closed():
    vertices, faces = CORNERS, TETRAHEDRON
    for level in range(1, 4):
        step = Subdivision(faces, len(vertices))
        vertices, faces = step(vertices), step.faces
        assert len(faces) == 4 * 4**level
        assert (edge_counts(faces) == 2).all()
        assert len(vertices) - len(faces) / 2 == 2  # Euler: V - E + F = 2, E = 3F / 2
        assert volume(vertices, faces) > 0


def test_subdivision_converges_to_a_smooth_surface():
    vertices, faces = icosahedron()
    spread, sizes = [], []
    for _ in range(4):
        step = Subdivision(faces, len(vertices))
        vertices, faces = step(vertices), step.faces
        radii = np.linalg.norm(vertices, axis=1)
        normals = vertex_normals(vertices.astype(np.float32), faces)
        bend = [
            np.degrees(
                np.arccos(np.clip((normals[faces[:, 0]] * normals[faces[:, k]]).sum(1), -1, 1))
            )
            for k in (1, 2)
        ]
        spread.append(float(np.max(bend)))
        sizes.append(float(radii.mean()))
    # The largest angle between neighbours' normals about halves each time.
    assert all(b < 0.65 * a for a, b in itertools.pairwise(spread))
    assert abs(sizes[3] - sizes[2]) < 0.3 * abs(sizes[2] - sizes[1])
    assert np.ptp(radii) / radii.mean() < 0.04  # round, though not quite a sphere


def test_subdivision_reproduces_a_plane_and_constants():
    vertices, faces = square(np.zeros(3), np.array([1, 0, 0]), np.array([0, 1, 0.5]), 4)
    step = Subdivision(faces, len(vertices))
    fine = step(vertices)
    np.testing.assert_allclose(fine[:, 2], 0.5 * fine[:, 1], atol=1e-12)
    np.testing.assert_allclose(np.asarray(step.matrix.sum(axis=1)), 1, atol=1e-12)
    assert step.matrix.min() >= 0
    # A straight boundary stays on its line.
    assert np.isclose(np.abs(fine[:, 0]).max(), 1)


def test_subdivision_carries_attributes():
    mesh = Mesh(CORNERS, TETRAHEDRON, np.abs(CORNERS), np.arange(4.0), detail=CORNERS)
    fine = Subdivision(TETRAHEDRON, 4).mesh(mesh)
    np.testing.assert_allclose(fine.vertices, fine.colour)
    np.testing.assert_allclose(fine.vertices, fine.detail)
    assert fine.gloss.shape == (10,)


def test_subdivision_refuses_three_faces_on_an_edge():
    with pytest.raises(InputError, match="got 3 on the edge between vertices 0 and 1"):
        Subdivision(np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]]), 5)
