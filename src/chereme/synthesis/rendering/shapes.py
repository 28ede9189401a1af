"""Simple bodies: ellipsoids, swept tubes, lathed solids and flat squares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int32]


def grid_faces(rows: int, columns: int, *, closed: bool = True) -> Ints:
    """Faces ``(F, 3)`` between vertices in rows of ``columns``; ``closed``: rows are rings.

    They face away from the axis when the rows follow each other along it, and each ring runs
    counter-clockwise seen from where the axis points to.
    """
    start = np.arange(rows - 1)[:, None] * columns
    here = np.arange(columns if closed else columns - 1)
    after = (here + 1) % columns
    a, b = start + here, start + after
    c, d = a + columns, b + columns
    faces = np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])
    grid: Ints = faces.reshape(-1, 3).astype(np.int32)
    return grid


def capped(faces: Ints, rows: int, columns: int) -> Ints:
    """``grid_faces`` with a fan in the first and the last ring, which closes the body."""
    fan = np.arange(1, columns - 1)
    first = np.stack([np.zeros_like(fan), fan + 1, fan], -1)
    last = np.stack([np.zeros_like(fan), fan, fan + 1], -1) + (rows - 1) * columns
    whole: Ints = np.concatenate([faces, first, last]).astype(np.int32)
    return whole


def ellipsoid(radii: tuple[float, float, float], rows: int, columns: int) -> tuple[Floats, Ints]:
    """Vertices ``(V, 3)`` about the origin and faces; the poles are at ±y."""
    # The poles' rings are of no size: their faces have no area, which harms nothing.
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    x, z = np.sin(polar) * np.sin(around), np.sin(polar) * np.cos(around)
    y = -np.cos(polar) * np.ones_like(around)
    return np.stack([x, y, z], -1).reshape(-1, 3) * radii, grid_faces(rows, columns)


@njit(cache=True, nogil=True)
def carry(axis, side):  # type: ignore[no-untyped-def]
    """Unit ``(K, 3)`` sides and normals (tangent x side) that do not twist along ``axis (K, 3)``;
    ``side (3,)`` is where the first side points as far as it can."""
    count = len(axis)
    sides, normals = np.empty((count, 3)), np.empty((count, 3))
    tangent, current = np.empty(3), side.copy()
    for k in range(count):
        before, after = max(k - 1, 0), min(k + 1, count - 1)
        length, along = 0.0, 0.0
        for i in range(3):
            tangent[i] = axis[after, i] - axis[before, i]
            length += tangent[i] ** 2
        for i in range(3):
            tangent[i] /= np.sqrt(length)
            along += tangent[i] * current[i]
        length = 0.0
        for i in range(3):
            current[i] -= along * tangent[i]
            length += current[i] ** 2
        for i in range(3):
            current[i] /= np.sqrt(length)
            sides[k, i] = current[i]
        for i in range(3):
            j, m = (i + 1) % 3, (i + 2) % 3
            normals[k, i] = tangent[j] * current[m] - tangent[m] * current[j]
    return sides, normals


def tube(
    axis: Floats, side: Floats, radii: Floats, columns: int = 24, *, caps: bool = False
) -> tuple[Floats, Ints]:
    """A tube of oval rings swept along ``axis (K, 3)``, K >= 2.

    ``radii (K, 2)`` or ``(K, columns, 2)``: along ``side (3,)`` carried along the axis, and across
    it. ``caps`` closes both ends.
    """
    axis, radii = np.asarray(axis, float), np.asarray(radii, float)
    if radii.ndim == 2:
        radii = radii[:, None]
    sides, normals = carry(axis, np.asarray(side, float))
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    a, b = (np.cos(angle) * radii[..., 0])[..., None], (np.sin(angle) * radii[..., 1])[..., None]
    vertices = axis[:, None] + a * sides[:, None] + b * normals[:, None]
    faces = grid_faces(len(axis), columns)
    if caps:
        faces = capped(faces, len(axis), columns)
    return vertices.reshape(-1, 3), faces


def bezier(points: Floats, t: Floats) -> Floats:
    """Points ``(K, 3)`` at ``t (K,)`` of the quadratic Bézier curve of ``points (3, 3)``."""
    t = np.asarray(t, float)[:, None]
    curve: Floats = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]
    return curve


def square(centre: Floats, across: Floats, down: Floats, cells: int = 1) -> tuple[Floats, Ints]:
    """A flat square of ``cells``² parts, half sides ``across`` and ``down (3,)``; it faces where
    down x across points (with across to the right and down downward: to the camera)."""
    steps = np.linspace(-1, 1, cells + 1)
    vertices = (
        np.asarray(centre, float)
        + steps[:, None, None] * np.asarray(down, float)
        + steps[None, :, None] * np.asarray(across, float)
    )
    faces = grid_faces(cells + 1, cells + 1, closed=False)
    return vertices.reshape(-1, 3), faces[:, ::-1]
