"""Meshes that are cut open and grown on."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.errors import InputError
from chereme.synthesis.rendering.openings import cut_open, grown
from chereme.synthesis.rendering.shapes import ellipsoid, tube


def pipe() -> tuple[np.ndarray, np.ndarray]:
    """Closed, along z from 0 to 1, in 8 columns."""
    axis = np.stack([np.zeros(11), np.zeros(11), np.linspace(0, 1, 11)], 1)
    return tube(axis, np.array([1.0, 0, 0]), np.full((11, 2), 0.2), 8, caps=True)


def counts(faces: np.ndarray) -> np.ndarray:
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def test_the_rim_goes_once_round_the_cut():
    vertices, faces = pipe()
    kept, rim = cut_open(faces, vertices[:, 2] > 0.55)
    assert vertices[kept.ravel(), 2].max() == pytest.approx(0.5)
    np.testing.assert_allclose(vertices[rim, 2], 0.5)
    assert sorted(rim) == list(range(40, 48))
    steps = np.diff(np.append(rim, rim[0]))
    assert set(np.abs(steps)) == {1, 7}


def test_what_grows_on_a_rim_is_one_surface_that_faces_outwards():
    vertices, faces = pipe()
    kept, rim = cut_open(faces, vertices[:, 2] > 0.55)
    rings = vertices[rim] + np.array([0.1, 0.3, 0.9])[:, None, None] * [0, 0, 1.0]
    whole = np.concatenate([kept, grown(rim, len(vertices), 3)])
    vertices = np.concatenate([vertices, rings.reshape(-1, 3)])
    tally = counts(whole)
    assert tally.max() == 2
    assert (tally == 1).sum() == 8  # only the new end is open
    a, b, c = (vertices[whole[:, k]] for k in range(3))
    side = np.abs(np.cross(b - a, c - a)[:, 2]) < 1e-9
    outward = ((a + b + c) / 3 * np.cross(b - a, c - a))[:, :2].sum(1)
    assert (outward[side] > 0).all()


def test_a_mesh_that_is_open_already_has_its_rim_there():
    vertices, faces = pipe()
    open_mesh = faces[(vertices[faces][..., 2] < 0.95).any(axis=1)]  # without the far cap
    kept, rim = cut_open(open_mesh, np.zeros(len(vertices), bool))
    assert len(kept) == len(open_mesh)
    np.testing.assert_allclose(vertices[rim, 2], 1.0)


def test_closed_meshes_and_more_openings_are_refused():
    vertices, faces = ellipsoid((1, 1, 1), 12, 16)
    y = vertices[:, 1]
    with pytest.raises(InputError, match="expected one opening"):
        cut_open(pipe()[1], np.zeros(len(pipe()[0]), bool))
    with pytest.raises(InputError, match="expected one opening"):
        cut_open(faces, np.abs(y) > 0.7)
    with pytest.raises(InputError, match="expected one opening"):
        cut_open(faces, np.ones(len(vertices), bool))
