"""Other clips of the same sentence, made of one: other tempos, places, signers and trackers.

Ours; the paper trains on the tracks as they are. Time, lost frames and noise are of any track;
places in the picture only of tracks that hold such (`GEOMETRY`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from chereme.datasets import boston104
from chereme.errors import UsageError
from chereme.formats.tracks import TRACKS, PoseTracks

Floats = NDArray[np.float32]
_WANDER = 0.2  # seconds: deviation of the filter that smooths a part's way
_KNOT = 0.5  # seconds between the places at which the tempo changes
_PICTURE = (312.0, 242.0)  # of RWTH-BOSTON-104


@dataclass(frozen=True)
class Geometry:
    """Where a track has places: columns ``x`` and ``y``, ``width`` and ``height`` of the picture in
    their units, and ``mirrored``, the column that stands for each in the mirror."""

    x: NDArray[np.intp]
    y: NDArray[np.intp]
    width: float
    height: float
    mirrored: NDArray[np.intp]


def _points(blocks: Sequence[tuple[Sequence[int], int]], width: float, height: float) -> Geometry:
    """Points in a row; a block is the number of the point that each becomes in the mirror, and the
    numbers of a point: x, y, and others that the mirror leaves as they are."""
    starts: list[int] = []
    sizes: list[int] = []
    place = 0
    for partners, size in blocks:
        for _ in partners:
            starts.append(place)
            sizes.append(size)
            place += size
    partners_of = [partner for partners, _ in blocks for partner in partners]
    columns = [
        starts[partner] + number
        for partner, size in zip(partners_of, sizes, strict=True)
        for number in range(size)
    ]
    x = np.array(starts, np.intp)
    return Geometry(x, x + 1, width, height, np.array(columns, np.intp))


def _swapped(count: int, pairs: Sequence[tuple[int, int]], first: int = 0) -> list[int]:
    """Numbers of ``count`` points from ``first`` on, those of the pairs exchanged."""
    order = list(range(count))
    for one, other in pairs:
        order[one], order[other] = other, one
    return [first + number for number in order]


def _hands(first: int) -> list[int]:
    """Two hands of 21 points each, the left one first, exchanged."""
    return [*range(first + 21, first + 42), *range(first, first + 21)]


# MediaPipe's pose; OpenPose's body; the 68 points of a face.
_POSE_33 = [(1, 4), (2, 5), (3, 6), *((n, n + 1) for n in range(7, 33, 2))]
_BODY_18 = [(2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13), (14, 15), (16, 17)]
_FACE_68 = [
    *((n, 16 - n) for n in range(8)),
    *((17 + n, 26 - n) for n in range(5)),
    *((31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)),
]

GEOMETRY: Mapping[str, Geometry] = {
    boston104.TRACK.name: _points([([1, 0, 2], 2)], *_PICTURE),
    "mediapipe": _points([(_swapped(33, _POSE_33), 4), (_hands(33), 3)], 1.0, 1.0),
    "dwpose": _points(
        [(_swapped(18, _BODY_18), 3), (_hands(18), 3), (_swapped(68, _FACE_68, 60), 3)], 1.0, 1.0
    ),
}


PARTS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "mediapipe": {"pose": (0, 132), "left_hand": (132, 195), "right_hand": (195, 258)},
    "dwpose": {"body": (0, 54), "left_hand": (54, 117), "right_hand": (117, 180),
               "face": (180, 384)},
}  # fmt: skip
"""Columns of what a tool finds by itself: the first, and one beyond the last."""


@dataclass(frozen=True)
class TrackAugmentation:
    """How much clips are changed, each time that they are seen.

    ``speed``: standard deviation of the logarithm of the tempo of the whole clip; ``warp``:
    likewise of every half second. ``scale``: likewise of the size of all places about their middle;
    ``stretch``: likewise, of width against height; ``shift``: standard deviation of where the
    signer stands, of the picture's width and height. ``noise``: of each number of tracks that can
    be blended, in units of its spread in the training data. ``drift``: likewise of the place of
    each part as a whole (`PARTS`), which wanders, of the picture's width and height: as whoever
    predicts tracks from pictures errs (`chereme.systems.signx.video_task`). ``lost``: up to this
    fraction of the frames of each track is missing, in a row. ``mirror``: fraction of the clips
    that are signed by the other hand; of clips all of whose tracks can be mirrored. Choice: none,
    as pointing to the left is then pointing to the right; for glosses that name no side it is worth
    a trial.
    """

    speed: float = 0.1
    warp: float = 0.2
    scale: float = 0.08
    stretch: float = 0.04
    shift: float = 0.03
    noise: float = 0.03
    drift: float = 0.0
    lost: float = 0.1
    mirror: float = 0.0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        most = {"lost": 1.0, "mirror": 1.0}
        wrong = {n: v for n, v in values.items() if not 0 <= v <= most.get(n, np.inf)}
        if wrong or self.lost == 1:
            raise UsageError(
                "augmentation: expected nothing below 0, lost below 1 and mirror up to 1, got "
                f"{wrong or {'lost': self.lost}}"
            )

    def changed(
        self,
        clip: PoseTracks,
        rng: np.random.Generator,
        spread: Mapping[str, Floats] | None = None,
    ) -> PoseTracks:
        """``clip`` as it might have been signed, or tracked, another time; ``spread[name] (W,)``:
        of the training data, without which there is no noise."""
        clip = clip.at_frames(self._places(clip.frames, clip.rate, rng))
        scale, stretch = rng.normal(0, self.scale), rng.normal(0, self.stretch)
        size = np.exp([scale + stretch, scale - stretch])
        shift = rng.normal(0, self.shift, 2)
        mirrored = rng.random() < self.mirror and all(name in GEOMETRY for name in clip.values)
        values, present = {}, {}
        for name, given in clip.values.items():
            track = given
            if name in GEOMETRY:
                track = _moved(track, GEOMETRY[name], size, shift)
                track = mirror(track, GEOMETRY[name]) if mirrored else track
            if self.drift and name in PARTS:
                track = self._drifted(track, name, clip.rate, rng)
            drawn = rng.standard_normal(track.shape, np.float32)
            if spread is not None and name in spread and TRACKS[name].blends:
                track = track + np.float32(self.noise) * spread[name] * drawn
            values[name] = track
            present[name] = self._kept(clip.present[name], rng)
        if not any(frames.any() for frames in present.values()):
            present = dict(clip.present)
        return replace(clip, values=values, present=present)

    def _drifted(self, track: Floats, name: str, rate: float, rng: np.random.Generator) -> Floats:
        """Each part on a way of its own."""
        result: Floats = track.copy()
        geometry, wide = GEOMETRY[name], _WANDER * rate
        margin = 4 * max(1, round(wide))
        for first, last in PARTS[name].values():
            own = (geometry.x >= first) & (geometry.x < last)
            white = rng.standard_normal((len(track) + 2 * margin, 2))
            # Smoothing leaves 1 / sqrt(2 sqrt(pi) wide) of the deviation of white noise.
            way = gaussian_filter1d(white, wide, axis=0)[margin:-margin]
            way *= self.drift * np.sqrt(2 * np.sqrt(np.pi) * wide)
            result[:, geometry.x[own]] += (way[:, :1] * geometry.width).astype(np.float32)
            result[:, geometry.y[own]] += (way[:, 1:] * geometry.height).astype(np.float32)
        return result

    def _places(self, frames: int, rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """The frames, and places between them, that become the frames of the new clip."""
        knots = np.linspace(0, frames - 1, max(2, round(frames / (_KNOT * rate)) + 1))
        lasts = np.diff(knots) * np.exp(rng.normal(0, self.warp, len(knots) - 1))
        lasts *= (frames - 1) * np.exp(rng.normal(0, self.speed)) / max(lasts.sum(), 1e-9)
        when = np.concatenate([[0.0], lasts.cumsum()])
        count = max(1, round(when[-1]) + 1)
        return np.interp(np.linspace(0, when[-1], count), when, knots)

    def _kept(self, present: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        frames = len(present)
        count = int(rng.uniform(0, self.lost) * frames)
        start = int(rng.integers(frames - count + 1))
        kept = present.copy()
        kept[start : start + count] = False
        return kept


def mirror(track: Floats, geometry: Geometry) -> Floats:
    """The track of the same clip seen in a mirror."""
    result: Floats = track.copy()
    result[:, geometry.x] = geometry.width - track[:, geometry.x]
    return result[:, geometry.mirrored]


def _moved(
    track: Floats, geometry: Geometry, size: NDArray[np.float64], shift: NDArray[np.float64]
) -> Floats:
    """Places larger about their middle, in the whole clip, and elsewhere in the picture."""
    result: Floats = track.copy()
    sides = ((geometry.x, geometry.width), (geometry.y, geometry.height))
    for (columns, extent), factor, way in zip(sides, size, shift, strict=True):
        part = track[:, columns]
        known = part[np.isfinite(part)]
        middle = float(known.mean()) if len(known) else 0.0
        result[:, columns] = (
            middle + (part - middle) * np.float32(factor) + np.float32(way * extent)
        )
    return result
