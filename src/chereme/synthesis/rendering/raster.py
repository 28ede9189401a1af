"""Visibility: which face is seen at each sample of the picture, and how near it is.

Triangles are filled on a grid of ``n x n`` samples a pixel, in whole numbers of 1/256 sample, with
the top-left rule: where two triangles share an edge, each sample on it belongs to exactly one. The
grid of a pixel is sheared so that its samples lie in n² different rows and columns, which makes
edges that are almost upright or level as smooth as slanted ones.

The depth that is kept is a key that is linear on the screen and larger when nearer: 1/z for the
camera, minus the distance along the light for the shadow map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
_UNIT = 256  # whole numbers a sample
_FAR_OUT = 1 << 29  # positions beyond are moved here, so that products stay below 2**62
NEAR = 0.02  # metres; what is nearer to the camera is cut off
NOTHING = -1  # the face number where there is none


def sample_offsets(n: int, count: int) -> Array:
    """``(count,)`` int64, for ``n`` samples a side: how far the samples of a row lie to the right
    of their cells' centres (and those of a column above), in 1/256 of a cell."""
    cycle = np.rint((np.arange(n) - (n - 1) / 2) / n * _UNIT).astype(np.int64)
    return np.resize(cycle, count)


@njit(cache=True, nogil=True)
def _fill(  # type: ignore[no-untyped-def]
    x0, y0, k0, x1, y1, k1, x2, y2, k2, face, offsets, slack, key, owner
) -> None:
    """``slack``: how far samples lie off their cells' centres at most."""
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if area == 0:
        return
    if area < 0:
        x1, x2, y1, y2, k1, k2 = x2, x1, y2, y1, k2, k1
        area = -area
    height, width = key.shape
    before, after = 127 - slack, slack - 128
    left = max((min(x0, min(x1, x2)) + before) >> 8, 0)
    right = min((max(x0, max(x1, x2)) + after) >> 8, width - 1)
    top = max((min(y0, min(y1, y2)) + before) >> 8, 0)
    bottom = min((max(y0, max(y1, y2)) + after) >> 8, height - 1)
    if left > right or top > bottom:
        return
    dx0, dy0 = x2 - x1, y2 - y1
    dx1, dy1 = x0 - x2, y0 - y2
    dx2, dy2 = x1 - x0, y1 - y0
    # Top-left rule: an edge that is not top or left does not own the samples on it.
    bias0 = 0 if dy0 < 0 or (dy0 == 0 and dx0 > 0) else -1
    bias1 = 0 if dy1 < 0 or (dy1 == 0 and dx1 > 0) else -1
    bias2 = 0 if dy2 < 0 or (dy2 == 0 and dx2 > 0) else -1
    per_area = 1.0 / area
    ka, kb = (k1 - k0) * per_area, (k2 - k0) * per_area
    for row in range(top, bottom + 1):
        py = (row << 8) + 128
        base = 128 + offsets[row]
        r0 = dx0 * (py - y1) - dy0 * (base - x1) + bias0
        r1 = dx1 * (py - y2) - dy1 * (base - x2) + bias1
        r2 = dx2 * (py - y0) - dy2 * (base - x0) + bias2
        for column in range(left, right + 1):
            px = column << 8
            oy = -offsets[column]
            w0 = r0 - dy0 * px + dx0 * oy
            w1 = r1 - dy1 * px + dx1 * oy
            w2 = r2 - dy2 * px + dx2 * oy
            if (w0 | w1 | w2) >= 0:
                nearness = k0 + (w1 - bias1) * ka + (w2 - bias2) * kb
                if nearness > key[row, column]:
                    key[row, column] = nearness
                    owner[row, column] = face


@njit(cache=True, nogil=True)
def _whole(value):  # type: ignore[no-untyped-def]
    return np.int64(min(max(np.floor(value + 0.5), -_FAR_OUT), _FAR_OUT))


@njit(cache=True, nogil=True)
def draw_perspective(  # type: ignore[no-untyped-def]
    vertices, faces, both_sides, fx, fy, cx, cy, n, offsets, key, owner
) -> None:
    """Draw ``faces`` of ``vertices`` (camera frame) into ``key`` (1/z) and ``owner`` (face number).

    ``both_sides (F,)`` bool: draw the face from behind too. Faces that cross the near plane are
    clipped; those of no area, or with positions that are not finite, draw nothing.
    """
    count = len(vertices)
    xs = np.empty(count, np.int64)
    ys = np.empty(count, np.int64)
    finite = np.empty(count, np.bool_)
    scale = n * _UNIT
    slack = np.abs(offsets).max()
    for v in range(count):
        z = vertices[v, 2]
        finite[v] = np.isfinite(vertices[v, 0] + vertices[v, 1] + z)
        if finite[v] and z > NEAR:
            xs[v] = _whole((fx * vertices[v, 0] / z + cx) * scale)
            ys[v] = _whole((fy * vertices[v, 1] / z + cy) * scale)
    px = np.empty(4, np.int64)
    py = np.empty(4, np.int64)
    keys = np.empty(4, np.float64)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ahead = (vertices[a, 2] > NEAR) + (vertices[b, 2] > NEAR) + (vertices[c, 2] > NEAR)
        if ahead == 0 or not (finite[a] and finite[b] and finite[c]):
            continue
        corners = 0
        for corner in range(3):
            v = faces[f, corner]
            z = vertices[v, 2]
            if z > NEAR:
                px[corners], py[corners], keys[corners] = xs[v], ys[v], 1.0 / z
                corners += 1
            after = faces[f, (corner + 1) % 3]
            z_after = vertices[after, 2]
            if ahead < 3 and (z > NEAR) != (z_after > NEAR):
                t = (NEAR - z) / (z_after - z)
                x = vertices[v, 0] + t * (vertices[after, 0] - vertices[v, 0])
                y = vertices[v, 1] + t * (vertices[after, 1] - vertices[v, 1])
                px[corners] = _whole((fx * x / NEAR + cx) * scale)
                py[corners] = _whole((fy * y / NEAR + cy) * scale)
                keys[corners] = 1.0 / NEAR
                corners += 1
        for third in range(2, corners):
            area = (px[third - 1] - px[0]) * (py[third] - py[0]) - (px[third] - px[0]) * (
                py[third - 1] - py[0]
            )
            # x right, y down, z away: the outside of a face runs round it against the clock.
            if area < 0 or both_sides[f]:
                _fill(
                    px[0], py[0], keys[0],
                    px[third - 1], py[third - 1], keys[third - 1],
                    px[third], py[third], keys[third],
                    f, offsets, slack, key, owner,
                )  # fmt: skip


@njit(cache=True, nogil=True)
def draw_parallel(  # type: ignore[no-untyped-def]
    points, faces, both_sides, offsets, key, owner
) -> None:
    """Draw ``faces`` of ``points (V, 3)`` = (x, y in samples, key), which are right-handed.

    ``both_sides``, and what draws nothing: as in ``draw_perspective``.
    """
    count = len(points)
    xs = np.empty(count, np.int64)
    ys = np.empty(count, np.int64)
    finite = np.empty(count, np.bool_)
    for v in range(count):
        finite[v] = np.isfinite(points[v, 0] + points[v, 1] + points[v, 2])
        if finite[v]:
            xs[v], ys[v] = _whole(points[v, 0] * _UNIT), _whole(points[v, 1] * _UNIT)
    slack = np.abs(offsets).max()
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if not (finite[a] and finite[b] and finite[c]):
            continue
        # The key rises towards the eye: the outside of a face runs round it with the clock.
        area = (xs[b] - xs[a]) * (ys[c] - ys[a]) - (xs[c] - xs[a]) * (ys[b] - ys[a])
        if both_sides[f] or area > 0:
            _fill(
                xs[a], ys[a], points[a, 2], xs[b], ys[b], points[b, 2], xs[c], ys[c], points[c, 2],
                f, offsets, slack, key, owner,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def extent(vertices, fx, fy, cx, cy):  # type: ignore[no-untyped-def]
    """``(left, top, right, bottom)`` pixels round all ``vertices`` before the near plane.

    Where some lie before it and some behind, that is everywhere; inf..-inf where none lies before.
    """
    corners = np.array([np.inf, np.inf, -np.inf, -np.inf])
    ahead = 0
    for v in range(len(vertices)):
        z = vertices[v, 2]
        if z > NEAR and np.isfinite(vertices[v, 0] + vertices[v, 1] + z):
            ahead += 1
            x, y = fx * vertices[v, 0] / z + cx, fy * vertices[v, 1] / z + cy
            corners[0], corners[1] = min(corners[0], x), min(corners[1], y)
            corners[2], corners[3] = max(corners[2], x), max(corners[3], y)
    if 0 < ahead < len(vertices):
        corners[:2], corners[2:] = -np.inf, np.inf
    return corners
