"""Value noise: in space, for the detail of surfaces, and as pictures, for backgrounds."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
_SIDE = 32  # lattice points before the noise in space repeats itself

# The lattice values are always the same: what differs between meshes is where they are read.
LATTICE: Array = (
    np.random.default_rng(20240229).uniform(-1, 1, (_SIDE, _SIDE, _SIDE)).astype(np.float32)
)


@njit(cache=True, nogil=True)
def value_noise(lattice, x, y, z):  # type: ignore[no-untyped-def]
    """``(value, d/dx, d/dy, d/dz)`` of smooth noise in -1..1, lattice points at whole numbers."""
    mask = lattice.shape[0] - 1
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    x, y, z = x - fx, y - fy, z - fz
    i, j, k = int(fx) & mask, int(fy) & mask, int(fz) & mask
    i1, j1, k1 = (i + 1) & mask, (j + 1) & mask, (k + 1) & mask
    u, v, w = x * x * (3 - 2 * x), y * y * (3 - 2 * y), z * z * (3 - 2 * z)
    du, dv, dw = 6 * x * (1 - x), 6 * y * (1 - y), 6 * z * (1 - z)
    a, b = lattice[i, j, k], lattice[i1, j, k]
    c, d = lattice[i, j1, k], lattice[i1, j1, k]
    e, f = lattice[i, j, k1], lattice[i1, j, k1]
    g, h = lattice[i, j1, k1], lattice[i1, j1, k1]
    # Trilinear in (u, v, w): the coefficients of 1, u, v, w, uv, vw, wu, uvw.
    ku, kv, kw = b - a, c - a, e - a
    kuv, kvw, kwu = a - b - c + d, a - c - e + g, a - b - e + f
    kuvw = -a + b + c - d + e - f - g + h
    value = a + ku * u + kv * v + kw * w + kuv * u * v + kvw * v * w + kwu * w * u
    value += kuvw * u * v * w
    return (
        value,
        du * (ku + kuv * v + kwu * w + kuvw * v * w),
        dv * (kv + kvw * w + kuv * u + kuvw * w * u),
        dw * (kw + kwu * u + kvw * v + kuvw * u * v),
    )


@njit(cache=True, nogil=True)
def noise_at(lattice, points):  # type: ignore[no-untyped-def]
    """``value_noise`` ``(N,)`` at ``points (N, 3)``."""
    values = np.empty(len(points))
    for index in range(len(points)):
        x, y, z = points[index, 0], points[index, 1], points[index, 2]
        values[index] = value_noise(lattice, x, y, z)[0]
    return values


def noise_picture(
    rng: np.random.Generator, width: int, height: int, size: float, octaves: int = 1
) -> Array:
    """``(height, width)`` float32 smooth noise of mean about 0 and deviation about 1.

    ``size`` is that of the largest blobs in pixels; each further octave is half as large and
    half as strong.
    """
    total = np.zeros((height, width), np.float32)
    power = 0.0
    for octave in range(octaves):
        cell = max(size / 2**octave, 1.0)
        columns, rows = int(np.ceil(width / cell)) + 3, int(np.ceil(height / cell)) + 3
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        large = cv2.resize(
            grid, (round(columns * cell), round(rows * cell)), interpolation=cv2.INTER_CUBIC
        )
        left, top = (int(rng.integers(0, max(int(cell), 1))) + int(cell) for _ in range(2))
        left, top = min(left, large.shape[1] - width), min(top, large.shape[0] - height)
        total += large[top : top + height, left : left + width] * 0.5**octave
        power += 0.25**octave
    result: Array = total / np.float32(np.sqrt(power) * 0.75)
    return result
