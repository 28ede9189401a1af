"""Triangle meshes with the attributes that the shader reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface takes the light, the same over a whole mesh.

    ``scatter`` 0..1: how far light travels under the surface (softens and reddens the edge of the
    lit side, and lets thin parts glow against the light). ``mottle`` 0..1: contrast of the blotches
    of colour, whose size is ``mottle_size`` metres. ``relief``: slope of the fine bumps, whose size
    is ``relief_size`` metres; ``ridged`` makes them furrows instead. ``sheen`` 0..1: the soft light
    edge of cloth. Mottling and relief are read at the mesh's ``detail`` coordinates, and fade where
    they would be finer than the pixels.
    """

    scatter: float = 0.0
    mottle: float = 0.0
    mottle_size: float = 0.01
    relief: float = 0.0
    relief_size: float = 0.002
    ridged: bool = False
    sheen: float = 0.0


SKIN = Material(
    scatter=1.0, mottle=0.14, mottle_size=0.009, relief=0.07, relief_size=0.0016, ridged=True
)
CLOTH = Material(mottle=0.08, mottle_size=0.012, relief=0.25, relief_size=0.002, sheen=0.5)
HAIR = Material(
    mottle=0.4, mottle_size=0.006, relief=0.6, relief_size=0.004, ridged=True, sheen=0.2
)
PLAIN = Material()


@dataclass(frozen=True, slots=True)
class Mesh:
    """A triangle mesh in the camera frame (x right, y down, z away; metres).

    ``vertices (V, 3)``; ``faces (F, 3)`` vertex numbers, (b - a) x (c - a) pointing out of the
    body; ``colour (V, 3)`` albedo in linear RGB 0..1; ``gloss (V,)`` 0 = chalk .. 1 = varnish;
    ``detail (V, 3)`` coordinates in metres that stay with the surface when it moves (the rest
    pose), or None for a surface with neither mottling nor relief. ``two_sided`` draws the inside
    too, as open surfaces need; of others only the outside is drawn.
    """

    vertices: Floats
    faces: Ints
    colour: Floats
    gloss: Floats
    material: Material = PLAIN
    detail: Floats | None = None
    two_sided: bool = False

    def replace(self, **changes: Any) -> Mesh:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def transformed(self, rotation: Floats | None = None, shift: Floats | None = None) -> Mesh:
        """Rotated by ``rotation (3, 3)`` about the origin, then moved by ``shift (3,)``."""
        vertices = self.vertices if rotation is None else self.vertices @ np.asarray(rotation).T
        return self.replace(vertices=vertices if shift is None else vertices + shift)


def plain_mesh(
    vertices: Floats,
    faces: Ints,
    colour: Floats | tuple[float, float, float] = (0.5, 0.5, 0.5),
    gloss: float = 0.2,
    material: Material = PLAIN,
    *,
    two_sided: bool = False,
) -> Mesh:
    """A mesh of one colour (or of ``colour (V, 3)``) and one gloss; detail = where it is now."""
    count = len(vertices)
    return Mesh(
        vertices,
        faces,
        np.broadcast_to(np.asarray(colour, float), (count, 3)),
        np.full(count, gloss),
        material,
        vertices,
        two_sided,
    )


@njit(cache=True, nogil=True)
def vertex_normals(vertices, faces):  # type: ignore[no-untyped-def]
    """``(V, 3)`` float32 unit normals, the mean of the faces round each vertex weighted by area.

    A vertex without a face of any area gets (0, 0, 0).
    """
    normals = np.zeros((len(vertices), 3), np.float32)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            v = faces[f, corner]
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(len(vertices)):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if length > 0:
            normals[v, 0] /= length
            normals[v, 1] /= length
            normals[v, 2] /= length
    return normals
