"""A closed triangle mesh of even, well-shaped triangles on an implicit surface.

Marching cubes gives a topologically sound mesh with slivers; a few rounds of splitting long edges,
collapsing short ones, flipping towards six neighbours and moving vertices along the surface turn it
into one with edges of a wanted length everywhere (Botsch & Kobbelt, "A remeshing approach to
multiresolution modeling", 2004). All orders are fixed, so the result is too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from tools.open_hand.surface import REST, Piece, project

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Edge = tuple[int, int]


def marching_cubes(piece: Piece, low: Floats, high: Floats, step: float) -> tuple[Floats, Ints]:
    """Vertices ``(V, 3)`` and outward faces ``(F, 3)`` of the zero level within a box."""
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    field = piece.distance(grid.reshape(-1, 3), REST).reshape(grid.shape[:3])
    measure = require("skimage.measure", extra="train")
    vertices, faces, _, _ = measure.marching_cubes(field, 0.0, spacing=(step,) * 3)
    return vertices.astype(np.float64) + low, faces.astype(np.int64)


class _Net:
    """A triangle mesh that can be edited: positions, faces, and the faces round each vertex."""

    def __init__(self, vertices: Floats, faces: Ints) -> None:
        self.positions = [np.array(v) for v in vertices]
        self.faces: dict[int, tuple[int, int, int]] = {
            i: (int(a), int(b), int(c)) for i, (a, b, c) in enumerate(faces)
        }
        self.next = len(self.faces)
        self.round: list[set[int]] = [set() for _ in self.positions]
        for i, face in self.faces.items():
            for v in face:
                self.round[v].add(i)

    def edges(self) -> list[Edge]:
        pairs = {
            (min(a, b), max(a, b))
            for f in self.faces.values()
            for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0]))
        }
        return sorted(pairs)

    def add(self, face: tuple[int, int, int]) -> None:
        self.faces[self.next] = face
        for v in face:
            self.round[v].add(self.next)
        self.next += 1

    def remove(self, index: int) -> None:
        for v in self.faces.pop(index):
            self.round[v].discard(index)

    def wings(self, edge: Edge) -> list[int]:
        return sorted(self.round[edge[0]] & self.round[edge[1]])

    def neighbours(self, vertex: int) -> set[int]:
        return {v for f in self.round[vertex] for v in self.faces[f]} - {vertex}

    def length(self, edge: Edge) -> float:
        return float(np.linalg.norm(self.positions[edge[0]] - self.positions[edge[1]]))

    def normal(self, face: tuple[int, int, int]) -> Floats:
        a, b, c = (self.positions[v] for v in face)
        normal: Floats = np.cross(b - a, c - a)
        return normal

    def split(self, edge: Edge) -> None:
        a, b = edge
        middle = len(self.positions)
        self.positions.append((self.positions[a] + self.positions[b]) / 2)
        self.round.append(set())
        for index in self.wings(edge):
            face = self.faces[index]
            self.remove(index)
            for old in (a, b):
                x, y, z = (middle if v == old else v for v in face)
                self.add((x, y, z))

    def collapse(self, edge: Edge, longest: Callable[[Floats], float]) -> bool:
        """Merge the edge's ends in its middle, unless that would spoil the mesh."""
        a, b = edge
        if len(self.neighbours(a) & self.neighbours(b)) != 2:
            return False
        middle = (self.positions[a] + self.positions[b]) / 2
        gone = set(self.wings(edge))
        around = (self.neighbours(a) | self.neighbours(b)) - {a, b}
        limit = longest(middle)
        if any(np.linalg.norm(self.positions[v] - middle) > limit for v in sorted(around)):
            return False
        if any(len(self.neighbours(v)) <= 4 for v in self.neighbours(a) & self.neighbours(b)):
            return False
        for index in (self.round[a] | self.round[b]) - gone:
            before = self.normal(self.faces[index])
            x, y, z = (middle if v in (a, b) else self.positions[v] for v in self.faces[index])
            after = np.cross(y - x, z - x)
            if before @ after < 0.3 * np.linalg.norm(before) * np.linalg.norm(after):
                return False
        for index in sorted(gone):
            self.remove(index)
        for index in sorted(self.round[b]):
            x, y, z = (a if v == b else v for v in self.faces[index])
            self.remove(index)
            self.add((x, y, z))
        self.positions[a] = middle
        return True

    def flip(self, edge: Edge) -> bool:
        """Turn the edge to the other diagonal if that evens out the numbers of neighbours."""
        a, b = edge
        wings = self.wings(edge)
        if len(wings) != 2:
            return False
        first, second = (self.faces[w] for w in wings)
        (c,) = set(first) - {a, b}
        (d,) = set(second) - {a, b}
        if d in self.neighbours(c):
            return False
        count = {v: len(self.neighbours(v)) - 6 for v in (a, b, c, d)}
        before = sum(n * n for n in count.values())
        after = (
            (count[a] - 1) ** 2 + (count[b] - 1) ** 2 + (count[c] + 1) ** 2 + (count[d] + 1) ** 2
        )
        if after >= before:
            return False
        at = first.index(a)
        if first[(at + 1) % 3] != b:
            a, b = b, a
        new = ((c, a, d), (d, b, c))
        normal = self.normal(first) + self.normal(second)
        for face in new:
            turned = self.normal(face)
            if turned @ normal < 0.5 * np.linalg.norm(turned) * np.linalg.norm(normal):
                return False
        for index in wings:
            self.remove(index)
        for face in new:
            self.add(face)
        return True

    def arrays(self) -> tuple[Floats, Ints]:
        faces = np.array([self.faces[i] for i in sorted(self.faces)])
        used, compact = np.unique(faces, return_inverse=True)
        return np.array(self.positions)[used], compact.reshape(-1, 3)


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals ``(V, 3)``: means of the faces round each vertex, weighted by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], across)
    unit: Floats = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return unit


def neighbour_means(vertices: Floats, faces: Ints, values: Floats) -> Floats:
    """Mean of ``values (V, D)`` over the vertices that share an edge with each vertex."""
    total, count = np.zeros_like(values), np.zeros(len(vertices))
    for k in range(3):
        np.add.at(total, faces[:, k], values[faces[:, (k + 1) % 3]])
        np.add.at(count, faces[:, k], 1.0)
    mean: Floats = total / count[:, None]
    return mean


def relax(
    piece: Piece,
    vertices: Floats,
    faces: Ints,
    rounds: int,
    free: NDArray[np.bool_] | None = None,
) -> Floats:
    """Even out the ``free (V,)`` vertices (None: all) along the surface, and put them onto it."""
    for _ in range(rounds):
        step = neighbour_means(vertices, faces, vertices) - vertices
        normals = vertex_normals(vertices, faces)
        step -= (step * normals).sum(1, keepdims=True) * normals
        moved = project(piece, vertices + 0.6 * step, steps=1)
        vertices = moved if free is None else np.where(free[:, None], moved, vertices)
    return vertices


def remesh(
    piece: Piece,
    vertices: Floats,
    faces: Ints,
    size: Callable[[Floats], Floats],
    rounds: int = 8,
) -> tuple[Floats, Ints]:
    """Edges of about ``size(points (N, 3)) -> (N,)`` everywhere, vertices on the surface."""

    def longest(point: Floats) -> float:
        return float(4 / 3 * size(point[None])[0])

    for _ in range(rounds):
        net = _Net(vertices, faces)
        for long in (True, False):
            edges = np.array(net.edges())
            ends = np.array(net.positions)[edges]
            lengths = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
            ratio = lengths / size(ends.mean(1))
            chosen = np.nonzero(ratio > 4 / 3 if long else ratio < 4 / 5)[0]
            order = chosen[np.argsort(-ratio[chosen] if long else ratio[chosen], kind="stable")]
            for a, b in edges[order].tolist():
                if long:
                    net.split((a, b))
                elif len(net.wings((a, b))) == 2:
                    net.collapse((a, b), longest)
        for edge in net.edges():
            net.flip(edge)
        vertices, faces = net.arrays()
        vertices = relax(piece, vertices, faces, 3)
    return vertices, faces
