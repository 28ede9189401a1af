"""The arm that a hand grows out of, and the sleeve over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.synthesis.rendering.bending import Bend
from chereme.synthesis.rendering.mesh import CLOTH, SKIN, Mesh
from chereme.synthesis.rendering.noise import LATTICE, noise_at
from chereme.synthesis.rendering.openings import cut_open, grown
from chereme.synthesis.rendering.shapes import grid_faces
from chereme.synthesis.rendering.skin import SkinTone

Floats = NDArray[np.floating[Any]]
_WRIST = (-0.012, 0.046)  # metres below the wrist joint where its bend begins, and its length
_CUTS = np.array([8, 9, 10, 11, 12, 13, 14, 7, 6, 5, 4]) / 1000  # below the wrist, best first
_ELBOW = 0.08  # metres of the arm that the bend of the elbow takes
_TIGHTEST = np.radians(140)  # bend of the elbow
_SPACING = 0.014  # metres between rings
_ROUNDED = 0.06  # metres in which the arm's own shape replaces that of the hand's rim
_SHOULDER = 0.045  # metres that the sleeve goes beyond the shoulder joint, into the body
_HIDDEN = 0.03  # metres of skin under the sleeve
_COLUMNS, _SLEEVE_SPACING = 26, 0.011


@dataclass(frozen=True, slots=True)
class ArmShape:
    """Metres. ``length`` wrist to elbow and ``upper`` elbow to shoulder; half widths of the
    ``elbow`` (side to side, front to back) and the ``shoulder``: those of the wrist are the hand's
    own. ``sleeve`` is where the cuff ends, 0 = at the wrist .. 1 = at the elbow .. 2 = at the
    shoulder; ``looseness`` the gap of the cuff; ``wrinkles`` the height of the folds."""

    length: float = 0.25
    upper: float = 0.29
    elbow: tuple[float, float] = (0.042, 0.038)
    shoulder: float = 0.048
    sleeve: float = 0.35
    looseness: float = 0.006
    wrinkles: float = 0.003

    @classmethod
    def sample(cls, rng: np.random.Generator) -> ArmShape:
        """Arms to fit a hand of the usual size; a third have short sleeves."""
        short = rng.random() < 0.33
        stout = rng.uniform(0.88, 1.15)
        return cls(
            0.25 * rng.uniform(0.93, 1.07),
            0.29 * rng.uniform(0.93, 1.07),
            (0.042 * stout, 0.038 * stout),
            0.048 * stout,
            float(rng.uniform(1.25, 1.65) if short else rng.uniform(0.0, 0.8)),
            float(rng.uniform(0.002, 0.014)),
            float(rng.uniform(0.001, 0.005)),
        )

    def scaled(self, size: float) -> ArmShape:
        """The arm of a hand ``size`` times as large."""
        return replace(
            self,
            length=self.length * size,
            upper=self.upper * size,
            elbow=(self.elbow[0] * size, self.elbow[1] * size),
            shoulder=self.shoulder * size,
        )


class Arm:
    """A hand and its arm as one mesh, and the sleeve; all that does not move is made once.

    The hand's mesh is cut open below the wrist, whatever it has there, and rings continue its rim,
    so that there is no seam. ``hand`` is the mesh at rest, of skin; ``wrist (3,)`` its wrist joint
    and ``frame (3, 3)`` has the columns side (to the thumb), forward (to the middle finger) and
    normal (out of the palm). ``cloth`` is the sleeve's linear RGB ``(3,)``; ``seed`` picks the
    wrinkles. ``faces`` are those of the mesh of skin that ``place`` makes,
    ``count`` its number of vertices.

    Raises ``InputError`` for a hand that cannot be cut open below the wrist.
    """

    def __init__(
        self,
        shape: ArmShape,
        tone: SkinTone,
        cloth: Floats | tuple[float, ...],
        hand: Mesh,
        wrist: Floats,
        frame: Floats,
        seed: int = 0,
    ) -> None:
        self._shape = shape
        self._hand = len(hand.vertices)
        local = (hand.vertices - wrist) @ _basis(frame).T
        self._near = np.flatnonzero(local[:, 0] > _WRIST[0])
        kept, rim = _opened(hand, local[:, 0])
        around = local[rim]
        half = np.ptp(around[:, 1:], axis=0) / 2
        angle = np.arctan2(around[:, 2] / half[1], around[:, 1] / half[0])
        cuff = _length(shape, max(shape.sleeve, 0.05 / shape.length))
        end = min(cuff + _HIDDEN, shape.length + shape.upper)
        start = float(around[:, 0].max())
        rings = 1 + int(np.ceil((end - start) / _SPACING))
        # The first rings are closer, as the hand's mesh is.
        along = start + (end - start) * np.linspace(0, 1, rings + 1)[1:] ** 1.25
        # What the rim is more than an oval, and how it is jagged, dies out.
        share = np.clip((along - start) / _ROUNDED, 0, 1)
        fading = (1 - share * share * (3 - 2 * share))[:, None]
        radii = _radii(shape, (half[0], half[1]), along)
        odd = around[:, 1:] - np.stack([np.cos(angle), np.sin(angle)], -1) * half
        angle = np.unwrap(angle)
        even = np.arange(len(rim)) * (2 * np.pi / len(rim)) * np.sign(angle[-1] - angle[0])
        even += (angle - even).mean()
        angle = even + fading * (angle - even)
        oval = np.stack([np.cos(angle), np.sin(angle)], -1)
        self._skin = np.empty((len(along), len(rim), 3))
        jagged = np.exp(-np.arange(1, len(along) + 1) / 1.2)[:, None]
        self._skin[..., 0] = along[:, None] + (around[:, 0] - start) * jagged
        self._skin[..., 1:] = oval * radii[:, None] + odd * fading[..., None]
        self._skin_along = np.repeat(along, len(rim))
        self.count = self._hand + len(self._skin_along)
        self.faces = np.concatenate([kept, grown(rim, self._hand, len(along))]).astype(np.int32)

        inner = 0.35 * np.clip(0.5 + 0.9 * oval[..., 1], 0, 1)
        mix = fading[..., None] ** 1.5
        colour = mix * hand.colour[rim] + (1 - mix) * tone.albedo(palmar=inner)
        gloss = fading * hand.gloss[rim] + (1 - fading) * tone.glosses(inner)
        self._colour = np.concatenate([hand.colour, colour.reshape(-1, 3)])
        self._gloss = np.concatenate([hand.gloss, gloss.ravel()])
        detail = hand.vertices if hand.detail is None else hand.detail
        onward = (self._skin - around) @ _basis(frame)
        self._detail = np.concatenate([detail, (detail[rim] + onward).reshape(-1, 3)])
        self._sew(cuff, (half[0], half[1]), np.asarray(cloth, float), seed)

    def _sew(self, cuff: float, wrist: tuple[float, float], cloth: Floats, seed: int) -> None:
        """The sleeve."""
        end = self._shape.length + self._shape.upper
        rings = max(int((end + _SHOULDER - cuff) / _SLEEVE_SPACING), 6)
        along = np.linspace(cuff, end + _SHOULDER, rings)
        angle = np.arange(_COLUMNS) * 2 * np.pi / _COLUMNS
        oval = np.stack([np.cos(angle), np.sin(angle)], 1)
        self._sleeve_detail = np.concatenate(
            [np.repeat(along, _COLUMNS)[:, None], np.tile(0.035 * oval, (rings, 1))], axis=1
        ) + np.array([seed % 89, 0.0, 0.0])
        # Folds run round the arm rather than along it, and die out towards the hem.
        folds = noise_at(LATTICE, self._sleeve_detail / [0.022, 0.05, 0.05]).reshape(rings, -1)
        fade = np.interp(np.arange(rings), [0, 2, 6], [0.1, 0.3, 1.0])[:, None]
        gap = self._shape.looseness + self._shape.wrinkles * (0.4 + folds) * fade
        gap[0] -= 0.35 * self._shape.looseness  # the hem turns inwards a little
        # A shoulder is round.
        cap = np.sqrt(1 - (np.clip(along - end, 0, None) / (1.03 * _SHOULDER)) ** 2)
        size = _radii(self._shape, wrist, along)[:, None] + np.maximum(gap, 0.0015)[..., None]
        self._sleeve = np.empty((rings, _COLUMNS, 3))
        self._sleeve[..., 0] = along[:, None]
        self._sleeve[..., 1:] = oval * size * cap[:, None, None]
        self._sleeve_along = np.repeat(along, _COLUMNS)
        self._sleeve_faces = grid_faces(rings, _COLUMNS)
        self._cloth = cloth * (1 + 0.12 * folds.reshape(-1, 1))

    def place(
        self,
        hand: Floats,
        wrist: Floats,
        frame: Floats,
        elbow: Floats,
        shoulder: Floats | None = None,
    ) -> list[Mesh]:
        """The skin of hand and arm, and the sleeve, in the frame of the arguments.

        ``hand (V, 3)`` are the vertices of the posed hand, ``wrist (3,)`` and ``frame (3, 3)`` as
        for the rest, then ``elbow (3,)`` and ``shoulder (3,)``; without one the arm is straight.
        Each part is stretched to reach.
        """
        basis = _basis(frame)
        start, length = _WRIST
        to_elbow = basis @ (np.asarray(elbow, float) - wrist) - [start + length / 2, 0, 0]
        wrist_bend = Bend(start, length, to_elbow / np.linalg.norm(to_elbow))
        fore = start + length / 2 + float(np.linalg.norm(to_elbow))
        upper, elbow_bend = self._shape.upper, None
        if shoulder is not None:
            along_arm = wrist_bend.rotation.T @ (basis @ (np.asarray(shoulder, float) - elbow))
            upper = float(np.linalg.norm(along_arm))
            elbow_bend = Bend.at(fore, _ELBOW, _no_tighter(along_arm / upper))
        if elbow_bend is not None:  # a rounded corner is shorter
            upper += _ELBOW - 2 * elbow_bend.tangent
        whole = self._shape.length + self._shape.upper
        stations = [0.0, start + length, self._shape.length, whole, whole + 1]
        places = [0.0, start + length, fore, fore + upper, fore + upper + 1]

        def bent(points: Floats, along: Floats) -> Floats:
            now = np.interp(along, stations, places)
            points = points.reshape(-1, 3) + (now - along)[:, None] * [1.0, 0.0, 0.0]
            if elbow_bend is not None:
                points = elbow_bend(points, now)
            return wrist + wrist_bend(points, now) @ basis

        vertices = np.empty((self.count, 3))
        vertices[: self._hand] = hand
        local = (hand[self._near] - wrist) @ basis.T
        vertices[self._near] = wrist + wrist_bend(local, local[:, 0]) @ basis
        vertices[self._hand :] = bent(self._skin, self._skin_along)
        # A left hand's frame is a mirror image: so are its faces, and those of the arm with them.
        mirror = np.linalg.det(basis) < 0
        sleeve_faces = self._sleeve_faces[:, ::-1] if mirror else self._sleeve_faces
        sleeve = bent(self._sleeve, self._sleeve_along)
        gloss = np.full(len(sleeve), 0.12)
        return [
            Mesh(vertices, self.faces, self._colour, self._gloss, SKIN, self._detail),
            Mesh(
                sleeve, sleeve_faces, self._cloth, gloss, CLOTH, self._sleeve_detail, two_sided=True
            ),
        ]


def _basis(frame: Floats) -> Floats:
    """Rows: down the arm, to the thumb's side, out of the palm."""
    side, forward, normal = np.asarray(frame, float).T
    return np.stack([-forward, side, normal])


def _opened(hand: Mesh, along: Floats) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """The faces above the first cut below the wrist that leaves a clean rim, and the rim."""
    problem = InputError("")
    for cut in _CUTS:
        try:
            return cut_open(hand.faces, along > cut)
        except InputError as error:
            problem = error
    raise InputError(f"hand: cannot be cut open below the wrist: {problem}")


def _length(shape: ArmShape, share: float) -> float:
    """Metres from the wrist of a place on the arm, 0 = wrist .. 1 = elbow .. 2 = shoulder."""
    return float(np.interp(share, [0, 1, 2], [0, shape.length, shape.length + shape.upper]))


def _radii(shape: ArmShape, wrist: tuple[float, float], along: Floats) -> Floats:
    """``(K, 2)`` half widths at metres below the wrist: slim, the muscles, the elbow, the upper
    arm."""
    at = np.array([0.0, 0.12, 0.35, 0.62, 0.85, 1.0, 1.3, 1.6, 2.0])
    metres = np.interp(at, [0, 1, 2], [0, shape.length, shape.length + shape.upper])
    # Shares of the way from wrist to elbow, or of the elbow and shoulder themselves.
    swell = np.array([0.0, 0.05, 0.5, 0.97, 1.05, 1.0])
    columns = []
    for k in range(2):
        fore = wrist[k] + (shape.elbow[k] - wrist[k]) * swell
        above = np.array([0.98, 1.0, 1.0]) * [shape.elbow[k], shape.shoulder, shape.shoulder]
        columns.append(np.interp(along, metres, np.concatenate([fore, above])))
    return np.stack(columns, axis=1)


def _no_tighter(towards: Floats) -> Floats:
    """A direction no further than an elbow goes from the x axis."""
    beside = towards * [0.0, 1.0, 1.0]
    length = float(np.linalg.norm(beside))
    if np.arctan2(length, towards[0]) <= _TIGHTEST:
        return towards
    beside = beside / length if length > 1e-9 else np.array([0.0, 0.0, 1.0])
    limited: Floats = np.sin(_TIGHTEST) * beside
    limited[0] = np.cos(_TIGHTEST)
    return limited
