"""Loop subdivision as one sparse matrix, made once for a topology and applied to every frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from chereme.errors import InputError
from chereme.synthesis.rendering.mesh import Mesh

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


class Subdivision:
    """Each face becomes four, and the corners are smoothed (Loop 1987, weights of Warren 1995).

    ``faces (F, 3)`` of ``count`` vertices -> ``self.faces (4F, 3)`` and ``self.matrix (V', V)``.
    The boundary of an open mesh becomes a cubic B-spline of its own vertices alone.
    Raises ``InputError`` where more than two faces meet in an edge.
    """

    def __init__(self, faces: Ints, count: int) -> None:
        halves = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        opposite = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
        edges, edge_of, shared = np.unique(
            np.sort(halves, axis=1), axis=0, return_inverse=True, return_counts=True
        )
        if len(shared) and shared.max() > 2:
            a, b = edges[shared.argmax()]
            raise InputError(
                f"subdivision: expected at most 2 faces on an edge, got {shared.max()} on the edge "
                f"between vertices {a} and {b}; split the mesh there"
            )
        self.matrix = _matrix(edges, edge_of, opposite, shared == 1, count)
        m = count + edge_of.reshape(3, -1).T  # vertices in the middle of edges 01, 12, 20
        self.faces: Ints = np.concatenate(
            [
                np.stack([faces[:, 0], m[:, 0], m[:, 2]], 1),
                np.stack([faces[:, 1], m[:, 1], m[:, 0]], 1),
                np.stack([faces[:, 2], m[:, 2], m[:, 1]], 1),
                m,
            ]
        ).astype(np.int32)

    def __call__(self, values: Floats) -> Floats:
        """``(V, ...)`` positions or attributes -> ``(V', ...)``."""
        flat = np.asarray(values, float).reshape(len(values), -1)
        result: Floats = (self.matrix @ flat).reshape(-1, *values.shape[1:])
        return result

    def mesh(self, mesh: Mesh) -> Mesh:
        """The finer mesh, with all its attributes."""
        return mesh.replace(
            vertices=self(mesh.vertices),
            faces=self.faces,
            colour=self(mesh.colour),
            gloss=self(mesh.gloss),
            detail=None if mesh.detail is None else self(mesh.detail),
        )


def _matrix(
    edges: Ints, edge_of: Ints, opposite: Ints, open_edge: NDArray[np.bool_], count: int
) -> csr_matrix:
    """``(V + E, V)``: the old vertices smoothed, then the new ones on the edges."""
    rows, columns, weights = [], [], []

    def put(row: Ints, column: Ints, weight: Floats | float) -> None:
        rows.append(row)
        columns.append(column)
        weights.append(np.broadcast_to(np.asarray(weight, float), row.shape))

    number = np.arange(len(edges)) + count
    for end in range(2):
        put(number, edges[:, end], np.where(open_edge, 1 / 2, 3 / 8))
    inner = ~open_edge[edge_of]
    put(number[edge_of[inner]], opposite[inner], 1 / 8)

    on_boundary = np.zeros(count, bool)
    on_boundary[edges[open_edge]] = True
    valence = np.bincount(edges.ravel(), minlength=count)
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * np.maximum(valence, 1)))
    pull = np.where(on_boundary, 1 / 8, beta)
    neighbours = np.where(on_boundary, 2, valence)
    # A boundary vertex where several boundaries touch, or one without faces, stays where it is.
    ends = np.bincount(edges[open_edge].ravel(), minlength=count)
    fixed = (on_boundary & (ends != 2)) | (valence == 0)
    pull = np.where(fixed, 0.0, pull)
    every = np.arange(count)
    put(every, every, 1 - neighbours * pull)
    for end in range(2):
        here, there = edges[:, end], edges[:, 1 - end]
        counts = open_edge | ~on_boundary[here]
        put(here[counts], there[counts], pull[here[counts]])
    return csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
        shape=(count + len(edges), count),
    )
