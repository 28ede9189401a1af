"""Fragments: what of the surfaces each pixel shows.

A fragment is a part of a pixel that shows one piece of surface. The inside of a hand has one
fragment a pixel, an edge between a finger and the palm two: so edges are smooth at the cost of
shading each pixel little more than once.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chereme.synthesis.rendering.raster import NEAR, NOTHING

# All of fast arithmetic but the promise that nothing is infinite, as depths of the background are.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
# Columns of the fragments' table.
WEIGHT, DEPTH, OPEN, LIT, THICK, B0, B1, NX, NY, NZ, X, Y, COLUMNS = range(13)


@njit(cache=True, nogil=True)
def depths(key, owner) -> None:  # type: ignore[no-untyped-def]
    """Turn the keys 1/z of the samples into z, inf where no face is seen."""
    for row in range(key.shape[0]):
        for column in range(key.shape[1]):
            seen = owner[row, column] != NOTHING
            key[row, column] = 1.0 / key[row, column] if seen else np.inf


@njit(cache=True, nogil=True, fastmath=FAST)
def fragments(  # type: ignore[no-untyped-def]
    vertices, normals, faces, part, fx, fy, cx, cy, n, offsets, depth, owner
):
    """Group the samples of each pixel. ``part (F,)`` numbers the mesh of a face; ``depth`` and
    ``owner`` (n H, n W) are what each sample shows.

    Returns ``pixel (N,)`` = row * width + column, ``face (N,)``, ``table (N, COLUMNS)`` float32,
    sorted by pixel.
    """
    rows, columns = depth.shape[0] // n, depth.shape[1] // n
    covered = 0
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            covered += owner[row, column] != NOTHING
    pixel = np.empty(covered, np.int32)
    face = np.empty(covered, np.int32)
    table = np.empty((covered, COLUMNS), np.float32)
    # The samples of a pixel from its centre outwards: where they are in it, and in the arrays.
    sx, sy = np.empty(n * n), np.empty(n * n)
    for j in range(n):
        for i in range(n):
            sx[j * n + i] = (i + 0.5 + offsets[j] / 256) / n
            sy[j * n + i] = (j + 0.5 - offsets[i] / 256) / n
    order = np.argsort((sx - 0.5) ** 2 + (sy - 0.5) ** 2)
    sx, sy, down, across = sx[order], sy[order], order // n, order % n
    taken = np.empty(n * n, np.bool_)
    count = 0
    for row in range(rows):
        for column in range(columns):
            left = 0
            for s in range(n * n):
                free = owner[row * n + down[s], column * n + across[s]] != NOTHING
                taken[s] = not free
                left += free
            first = 0
            while left:
                # The fragment is shaded at its sample that is nearest to the pixel's centre.
                while taken[first]:
                    first += 1
                y, x = row * n + down[first], column * n + across[first]
                f, z = owner[y, x], depth[y, x]
                reach = max(0.002, 5.0 * z / fx)
                weight = 0
                for s in range(first, n * n):
                    if not taken[s]:
                        y, x = row * n + down[s], column * n + across[s]
                        if part[owner[y, x]] == part[f] and abs(depth[y, x] - z) < reach:
                            taken[s] = True
                            weight += 1
                left -= weight
                pixel[count] = row * columns + column
                face[count] = f
                line = table[count]
                line[WEIGHT] = weight / (n * n)
                line[OPEN], line[LIT], line[THICK] = 1.0, 1.0, 0.0
                line[DEPTH] = z
                line[X] = (column + sx[first] - cx) / fx * z
                line[Y] = (row + sy[first] - cy) / fy * z
                b0, b1 = _barycentric(vertices, faces[f], line[X], line[Y], z)
                _put_normal(vertices, normals, faces[f], b0, b1, line)
                count += 1
    return pixel[:count], face[:count], table[:count]


@njit(cache=True, nogil=True, fastmath=FAST)
def look_up(  # type: ignore[no-untyped-def]
    vertices, now, n, offsets, depth, owner, vertices_then, normals_then, faces, part, then,
    depth_then, objects_then, image_then, image, coverage,
):  # fmt: skip
    """Light the samples of moved meshes with the picture of another time.

    ``now`` and ``then`` are fx, fy, cx, cy of both cameras; ``depth`` and ``owner (n H, n W)``
    belong to ``vertices``, the pictures ``*_then`` to ``vertices_then``. Each sample's light is
    added to ``image (H * W, 3)``, and 1 to ``coverage (H, W)``. Returned are the fragments, as by
    ``fragments`` but of that time, of what was hidden then: half open, not yet shaded.
    """
    rows, columns = depth_then.shape
    covered = 0
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            covered += owner[row, column] != NOTHING
    pixel = np.empty(covered, np.int32)
    face = np.empty(covered, np.int32)
    places = np.empty((covered, 5), np.float32)
    count = 0
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            f = owner[row, column]
            if f == NOTHING:
                continue
            p = (row // n) * columns + column // n
            coverage[row // n, column // n] += 1
            z = depth[row, column]
            x = ((column + 0.5 + offsets[row] / 256) / n - now[2]) / now[0] * z
            y = ((row + 0.5 - offsets[column] / 256) / n - now[3]) / now[1] * z
            b0, b1 = _barycentric(vertices, faces[f], x, y, z)
            b2 = 1.0 - b0 - b1
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            v = vertices_then
            x = b0 * v[a, 0] + b1 * v[b, 0] + b2 * v[c, 0]
            y = b0 * v[a, 1] + b1 * v[b, 1] + b2 * v[c, 1]
            z = b0 * v[a, 2] + b1 * v[b, 2] + b2 * v[c, 2]
            found = False
            if z > NEAR:
                reach = max(0.002, 5.0 * z / then[0])
                u, w = then[0] * x / z + then[2], then[1] * y / z + then[3]
                # The pixel that it was in, or the next nearest ones.
                i, j = int(np.floor(u)), int(np.floor(w))
                i1 = i + (1 if u - i > 0.5 else -1)
                j1 = j + (1 if w - j > 0.5 else -1)
                for s, t in ((i, j), (i1, j), (i, j1), (i1, j1)):
                    if (
                        0 <= s < columns
                        and 0 <= t < rows
                        and objects_then[t, s] == part[f]
                        and abs(depth_then[t, s] - z) < reach
                    ):
                        for channel in range(3):
                            image[p, channel] += image_then[t, s, channel]
                        found = True
                        break
            if not found:
                pixel[count], face[count] = p, f
                places[count, 0], places[count, 1], places[count, 2] = x, y, z
                places[count, 3], places[count, 4] = b0, b1
                count += 1
    table = np.empty((count, COLUMNS), np.float32)
    for index in range(count):
        line = table[index]
        line[WEIGHT], line[OPEN], line[LIT], line[THICK] = 1.0, 0.5, 1.0, 0.0
        line[X], line[Y], line[DEPTH] = places[index, 0], places[index, 1], places[index, 2]
        b0, b1 = places[index, 3], places[index, 4]
        _put_normal(vertices_then, normals_then, faces[face[index]], b0, b1, line)
    return pixel[:count], face[:count], table


@njit(cache=True, nogil=True, fastmath=FAST)
def _barycentric(vertices, corners, x, y, z):  # type: ignore[no-untyped-def]
    """The shares of a face's first two corners in a point on it."""
    a, b, c = corners[0], corners[1], corners[2]
    ux = vertices[b, 0] - vertices[a, 0]
    uy = vertices[b, 1] - vertices[a, 1]
    uz = vertices[b, 2] - vertices[a, 2]
    vx = vertices[c, 0] - vertices[a, 0]
    vy = vertices[c, 1] - vertices[a, 1]
    vz = vertices[c, 2] - vertices[a, 2]
    px, py, pz = x - vertices[a, 0], y - vertices[a, 1], z - vertices[a, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    squared = max(nx * nx + ny * ny + nz * nz, 1e-30)
    b1 = ((py * vz - pz * vy) * nx + (pz * vx - px * vz) * ny + (px * vy - py * vx) * nz) / squared
    b2 = ((uy * pz - uz * py) * nx + (uz * px - ux * pz) * ny + (ux * py - uy * px) * nz) / squared
    b1, b2 = min(max(b1, 0.0), 1.0), min(max(b2, 0.0), 1.0)
    b0 = max(1.0 - b1 - b2, 0.0)
    total = b0 + b1 + b2
    return b0 / total, b1 / total


@njit(cache=True, nogil=True, fastmath=FAST)
def _put_normal(vertices, normals, corners, b0, b1, line) -> None:  # type: ignore[no-untyped-def]
    """Barycentric coordinates and the smooth normal, towards the eye, into a fragment that has its
    place."""
    a, b, c = corners[0], corners[1], corners[2]
    b2 = 1.0 - b0 - b1
    ux = vertices[b, 0] - vertices[a, 0]
    uy = vertices[b, 1] - vertices[a, 1]
    uz = vertices[b, 2] - vertices[a, 2]
    vx = vertices[c, 0] - vertices[a, 0]
    vy = vertices[c, 1] - vertices[a, 1]
    vz = vertices[c, 2] - vertices[a, 2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    towards = -1.0 if nx * line[X] + ny * line[Y] + nz * line[DEPTH] > 0 else 1.0
    sx = b0 * normals[a, 0] + b1 * normals[b, 0] + b2 * normals[c, 0]
    sy = b0 * normals[a, 1] + b1 * normals[b, 1] + b2 * normals[c, 1]
    sz = b0 * normals[a, 2] + b1 * normals[b, 2] + b2 * normals[c, 2]
    length = towards / np.sqrt(max(sx * sx + sy * sy + sz * sz, 1e-20))
    line[B0], line[B1] = b0, b1
    line[NX], line[NY], line[NZ] = sx * length, sy * length, sz * length


@njit(cache=True, nogil=True, fastmath=FAST)
def bounds(table, axes):  # type: ignore[no-untyped-def]
    """``(low (2,), high (2,))`` of the fragments along the first two of ``axes (3, 3)``."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for line in table:
        for axis in range(2):
            at = axes[axis, 0] * line[X] + axes[axis, 1] * line[Y] + axes[axis, 2] * line[DEPTH]
            low[axis], high[axis] = min(low[axis], at), max(high[axis], at)
    return low, high


@njit(cache=True, nogil=True)
def truth(pixel, face, table, part, count):  # type: ignore[no-untyped-def]
    """``(coverage, depth, objects)``, each ``(count,)``: see ``renderer.Frame``."""
    coverage = np.zeros(count, np.float32)
    largest = np.zeros(count, np.float32)
    depth = np.full(count, np.inf, np.float32)
    objects = np.full(count, -1, np.int16)
    for index in range(len(pixel)):
        p, weight = pixel[index], table[index, WEIGHT]
        coverage[p] += weight
        if weight > largest[p]:
            largest[p] = weight
            depth[p] = table[index, DEPTH]
            objects[p] = part[face[index]]
    return coverage, depth, objects
