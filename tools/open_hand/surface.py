"""The skin as a signed distance field: a smooth union of pieces that hang on the bones.

Pieces are generalised cylinders with oval sections (phalanges, metacarpal rays, wrist), ellipsoids
(muscle bellies, pads), and rounded segments and triangles (webs of skin). A piece is placed by the
rigid motions of its bones, so the same field gives the skin of a posed hand. Distances are exact
only near the surface, to first order, which is all that meshing and projecting need. Millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Floats = NDArray[np.floating[Any]]


def smooth_min(a: Floats, b: Floats, width: float) -> Floats:
    """Quadratic polynomial smooth minimum; it differs from ``min`` where ``|a - b| < width``."""
    h = np.maximum(width - np.abs(a - b), 0.0) / width
    result: Floats = np.minimum(a, b) - h * h * (width / 4)
    return result


class Piece(Protocol):
    """A solid that hangs on bones. ``motions (16, 4, 4)`` takes rest positions to posed ones."""

    def distance(self, points: Floats, motions: Floats) -> Floats:
        """``points (N, 3)`` -> signed distances ``(N,)``, negative inside."""
        ...


def _local(points: Floats, motion: Floats, origin: Floats, frame: Floats) -> Floats:
    """Coordinates of ``points`` in the frame (columns) that the motion carries along."""
    rotation = motion[:3, :3]
    local: Floats = (points - (rotation @ origin + motion[:3, 3])) @ (rotation @ frame)
    return local


def _oval_distance(q: Floats, radii: Floats) -> Floats:
    """First-order distance to the ellipsoid ``|q / radii| = 1``."""
    scaled = q / radii
    level = np.sqrt((scaled**2).sum(-1))
    slope = np.sqrt(((scaled / radii) ** 2).sum(-1))
    distance: Floats = level * (level - 1.0) / np.maximum(slope, 1e-9)
    deepest = -np.min(np.broadcast_to(radii, q.shape), axis=-1)
    held: Floats = np.where(level < 1e-6, deepest, np.maximum(distance, deepest))
    return held


@dataclass(frozen=True)
class Limb:
    """A generalised cylinder along ``frame``'s forward axis from ``origin``.

    ``stations (S, 4)``: position along the axis, half width (side), depth of the skin on the back
    (against the normal) and on the palm (along the normal) from the axis. Beyond the first and last
    station it is closed by half ellipsoids of the lengths ``caps``.
    """

    bone: int
    origin: Floats
    frame: Floats
    stations: Floats
    caps: tuple[float, float]

    @cached_property
    def _sections(self) -> PchipInterpolator:
        return PchipInterpolator(self.stations[:, 0], self.stations[:, 1:])

    def distance(self, points: Floats, motions: Floats) -> Floats:
        q = _local(points, motions[self.bone], self.origin, self.frame)
        s = self.stations[:, 0]
        along = np.clip(q[:, 1], s[0], s[-1])
        width, back, palm = self._sections(along).T
        beyond = np.maximum(q[:, 1] - s[-1], 0.0) + np.minimum(q[:, 1] - s[0], 0.0)
        cap = np.where(q[:, 1] > s[-1], self.caps[1], self.caps[0])
        centred = np.stack([q[:, 0], beyond, q[:, 2] - (palm - back) / 2], axis=-1)
        return _oval_distance(centred, np.stack([width, cap, (palm + back) / 2], axis=-1))


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with half axes ``radii`` along the columns of ``frame``."""

    bone: int
    centre: Floats
    frame: Floats
    radii: Floats

    def distance(self, points: Floats, motions: Floats) -> Floats:
        q = _local(points, motions[self.bone], self.centre, self.frame)
        return _oval_distance(q, self.radii)


@dataclass(frozen=True)
class Web:
    """A rounded segment (two corners) or triangle (three) of skin between bones.

    Each corner is a rest position and the bones that carry it, with weights that sum to 1."""

    corners: tuple[Floats, ...]
    carriers: tuple[dict[int, float], ...]
    radius: float

    def distance(self, points: Floats, motions: Floats) -> Floats:
        placed = []
        for corner, carrier in zip(self.corners, self.carriers, strict=True):
            motion = sum((w * motions[bone] for bone, w in carrier.items()), np.zeros((4, 4)))
            placed.append(motion[:3, :3] @ corner + motion[:3, 3])
        edges = [_segment_distance(points, placed[i], placed[i - 1]) for i in range(len(placed))]
        distance = np.min(edges, axis=0)
        if len(placed) == 3:
            distance = np.where(
                _above_triangle(points, *placed), _plane_distance(points, *placed), distance
            )
        thick: Floats = distance - self.radius
        return thick


def _segment_distance(points: Floats, a: Floats, b: Floats) -> Floats:
    t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
    distance: Floats = np.linalg.norm(points - a - t[:, None] * (b - a), axis=-1)
    return distance


def _plane_distance(points: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    normal = np.cross(b - a, c - a)
    distance: Floats = np.abs((points - a) @ (normal / np.linalg.norm(normal)))
    return distance


def _above_triangle(points: Floats, a: Floats, b: Floats, c: Floats) -> NDArray[np.bool_]:
    normal = np.cross(b - a, c - a)
    inside = np.ones(len(points), dtype=bool)
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= (points - p) @ np.cross(normal, q - p) >= 0
    return inside


@dataclass(frozen=True)
class Group:
    """Pieces joined with one width of blending; itself a piece."""

    pieces: Sequence[Piece]
    blend: float

    def distance(self, points: Floats, motions: Floats) -> Floats:
        total = self.pieces[0].distance(points, motions)
        for piece in self.pieces[1:]:
            total = smooth_min(total, piece.distance(points, motions), self.blend)
        return total


REST = np.tile(np.eye(4), (16, 1, 1))


def gradient(piece: Piece, points: Floats, motions: Floats = REST, step: float = 0.05) -> Floats:
    """Central differences of the field: outward normals ``(N, 3)``, not normalised."""
    columns = []
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step
        columns.append(
            piece.distance(points + shift, motions) - piece.distance(points - shift, motions)
        )
    result: Floats = np.stack(columns, axis=-1) / (2 * step)
    return result


def project(
    piece: Piece, points: Floats, motions: Floats = REST, steps: int = 4, reach: float = 4.0
) -> Floats:
    """Move points onto the surface along the gradient, at most ``reach`` in each of the steps."""
    for _ in range(steps):
        slope = gradient(piece, points, motions)
        square = np.maximum((slope**2).sum(-1, keepdims=True), 0.05)
        move = piece.distance(points, motions)[:, None] * slope / square
        length = np.linalg.norm(move, axis=-1, keepdims=True)
        points = points - move * np.minimum(1.0, reach / np.maximum(length, 1e-9))
    return points
