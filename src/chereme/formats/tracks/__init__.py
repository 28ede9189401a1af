"""Pose tracks: what several tools say of the same frames, each under its name.

SignX (section 3.1) lays the numbers of five tools side by side, 1959 a frame. Here each tool's
numbers are a *track* with a name, a width and a meaning (:class:`TrackSpec`), in memory and in the
file, so that no order of tracks is ever guessed. A tracks file is an ``.npz`` of plain arrays:

- ``tracks_version``: 1; ``rate``: frames a second;
- ``track/<name>``: ``(T, W)`` float32, NaN where a number is not known (a hand out of sight);
- ``present/<name>``: ``(T,)`` bool, the frames in which the tool found anything.

A track may be missing, and so may frames of it and numbers of a frame: these are masks and NaN,
never zeros. There is a module here for each tool.

The paper gives the widths of the five tracks and says of DWPose's what they are. What the numbers
of the others are is inferred from the tools, and said so at each function. What a tool did not find
is NaN here, whatever it writes for it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError, LimitError, UsageError
from chereme.formats.arrays import ArrayFile, plain_arrays
from chereme.formats.files import File, read_file
from chereme.types import in_span

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

TRACKS_VERSION = 1
PAPER_RATE = 30.0
"""Frames a second that the paper brings all videos to."""


@dataclass(frozen=True, slots=True)
class TrackSpec:
    """A kind of track. ``meaning``: what its ``width`` numbers are, in their order.

    ``blends``: the mean of two neighbouring frames means something (not so for classes, nor for
    rotation vectors, which jump from pi to -pi).
    """

    name: str
    width: int
    meaning: str
    blends: bool = True


_REGISTRY: dict[str, TrackSpec] = {}
TRACKS: Mapping[str, TrackSpec] = MappingProxyType(_REGISTRY)
"""The tracks that are known, by name."""


def register_track(spec: TrackSpec) -> TrackSpec:
    """Make another kind of track known to this process; equal ones may be registered again.

    Raises UsageError for a name that is no identifier or stands for something else already, or a
    width below 1.
    """
    if not spec.name.isidentifier():
        raise UsageError(f"track: expected a name of letters, digits and _, got {spec.name!r}")
    if spec.width < 1:
        raise UsageError(f"track {spec.name!r}: expected a width of 1 or more, got {spec.width}")
    known = _REGISTRY.setdefault(spec.name, spec)
    if known != spec:
        raise UsageError(
            f"track {spec.name!r} is registered already, of width {known.width} ({known.meaning}); "
            "choose another name"
        )
    return spec


def track_spec(name: str) -> TrackSpec:
    """The track of this name. InputError for one that is not registered."""
    if name not in _REGISTRY:
        raise InputError(
            f"tracks: expected any of {', '.join(_REGISTRY)}, got {name!r}; make other tracks "
            "known with register_track(TrackSpec(name, width, meaning)) first"
        )
    return _REGISTRY[name]


# The paper gives the widths, and of DWPose what its numbers are; the rest is inferred from the
# tools: the only split of each width that their output allows, or the plainest.
register_track(
    TrackSpec(
        "smplerx",
        165,
        "SMPL-X pose, 55 joints x 3 axis-angle, radians: global_orient 1, body_pose 21, jaw, left "
        "eye, right eye, left hand 15, right hand 15 (inferred: 165 = 3 x 55, model's order)",
        blends=False,
    )
)
register_track(
    TrackSpec(
        "dwpose",
        384,
        "128 points x (x, y, confidence): body 18 (OpenPose order), left hand 21, right hand 21, "
        "face 68; x and y in fractions of the picture (points: the paper; their order: inferred)",
    )
)
register_track(
    TrackSpec(
        "mediapipe",
        258,
        "Holistic: pose 33 x (x, y, z, visibility), left hand 21 x (x, y, z), right hand 21 x "
        "(x, y, z); fractions of the picture, z of its width (inferred: 258 = 33 x 4 + 2 x 21 x 3)",
    )
)
register_track(
    TrackSpec(
        "primedepth",
        576,
        "depth, means over 24 x 24 cells of the picture, row by row (inferred: 576 = 24 x 24)",
    )
)
register_track(
    TrackSpec(
        "sapiens",
        576,
        "body part segmentation, the most frequent class of each of 24 x 24 cells, row by row "
        "(inferred: 576 = 24 x 24)",
        blends=False,
    )
)
NO_GLOSS = -1
PAPER_TRACKS = ("smplerx", "dwpose", "mediapipe", "primedepth", "sapiens")


@dataclass(frozen=True, eq=False)
class PoseTracks:
    """The tracks of one clip. ``values[name]``: ``(T, W)`` float32; ``present[name]``: ``(T,)``.

    Every number of a frame in which its track is not present is NaN; in a present frame at least
    one number is known. Raises InputError for no track, an unknown or wrongly shaped one, another
    number of frames, infinite numbers, or a rate that is none. ``start``: the time of the first
    frame, seconds; what tools write of a video does not tell it, and is taken to begin at 0.
    ``shown (T,)``, of a sentence whose glosses have times: the number of the one that each frame
    shows, or ``NO_GLOSS``.
    """

    rate: float
    values: Mapping[str, Floats]
    present: Mapping[str, Flags]
    start: float = 0.0
    shown: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise InputError(
                f"rate: expected a positive number of frames a second, got {self.rate}"
            )
        if not math.isfinite(self.start):
            raise InputError(f"start: expected seconds, got {self.start}")
        if not self.values:
            raise InputError(f"tracks: expected at least one of {', '.join(TRACKS)}, got none")
        values, present = {}, {}
        frames = len(next(iter(self.values.values())))
        for name in sorted(self.values, key=_place):
            wanted = (frames, track_spec(name).width)
            track = np.array(self.values[name], np.float32)
            if track.shape != wanted or not frames:
                raise InputError(
                    f"track {name!r}: expected {wanted} numbers (frames, width) in at least one "
                    f"frame, got {track.shape}"
                )
            if np.isinf(track).any():
                raise InputError(f"track {name!r}: expected finite numbers or NaN, got infinity")
            if name not in self.present:
                raise InputError(f"track {name!r}: expected the frames in which it is present")
            there = np.array(self.present[name])
            if there.shape != (frames,) or there.dtype != np.bool_:
                raise InputError(
                    f"present {name!r}: expected ({frames},) of bool, got {there.shape} of "
                    f"{there.dtype}"
                )
            track[~there] = np.nan
            values[name], present[name] = track, there & ~np.isnan(track).all(axis=1)
        if extra := sorted(set(self.present) - set(values)):
            raise InputError(f"present: expected the tracks {', '.join(values)}, got {extra} too")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "present", present)

    @property
    def frames(self) -> int:
        return len(next(iter(self.values.values())))

    def part(self, start: float = 0.0, end: float | None = None) -> PoseTracks:
        """The frames from ``start`` seconds up to ``end``, which is not included; InputError if
        there is none."""
        times = self.start + np.arange(self.frames) / self.rate
        inside = np.flatnonzero(in_span(times, start, math.inf if end is None else end))
        if not inside.size:
            raise InputError(
                f"tracks of {self.frames / self.rate:.3f} s: expected a part of at least one "
                f"frame, got {start:g} to {'the end' if end is None else f'{end:g}'} s"
            )
        first, last = inside[0], inside[-1]
        part = self._each(lambda array: array[first : last + 1], self.rate)
        return replace(part, start=float(times[first]))

    def at_rate(self, rate: float = PAPER_RATE) -> PoseTracks:
        """The same clip at another rate: frames in between are blended where the track allows and
        both neighbours are present, else taken from the nearer one."""
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"rate: expected a positive number of frames a second, got {rate}")
        count = max(1, round(self.frames * rate / self.rate))
        place = np.minimum(np.arange(count) * self.rate / rate, self.frames - 1)
        return replace(self.at_frames(place), rate=rate)

    def at_frames(self, places: NDArray[np.float64]) -> PoseTracks:
        """The clip at other moments, in frames from 0, as ``at_rate`` takes those in between."""
        before = np.floor(places).astype(np.intp).clip(0, self.frames - 1)
        after = np.minimum(before + 1, self.frames - 1)
        weight = (places - before).astype(np.float32)[:, None]
        nearest = np.where(weight[:, 0] < 0.5, before, after)
        values = {}
        for name, track in self.values.items():
            values[name] = track[nearest]
            if TRACKS[name].blends:
                blended = (1 - weight) * track[before] + weight * track[after]
                values[name] = np.where(np.isnan(blended), values[name], blended)
        present = {name: there[nearest] for name, there in self.present.items()}
        shown = None if self.shown is None else self.shown[nearest]
        return PoseTracks(self.rate, values, present, self.start, shown)

    def only(self, names: Iterable[str]) -> PoseTracks:
        """Those of the tracks ``names`` that there are. InputError if there is none."""
        kept = [name for name in names if name in self.values]
        if not kept:
            raise InputError(
                f"tracks: expected other tracks, this clip has {', '.join(self.values)}"
            )
        return replace(
            self,
            values={n: self.values[n] for n in kept},
            present={n: self.present[n] for n in kept},
        )

    def _each(self, change: Any, rate: float) -> PoseTracks:
        return PoseTracks(
            rate,
            {name: change(track) for name, track in self.values.items()},
            {name: change(there) for name, there in self.present.items()},
            self.start,
            None if self.shown is None else change(self.shown),
        )


def _place(name: str) -> int:
    return list(TRACKS).index(name) if name in TRACKS else len(TRACKS)


def one_track(name: str, values: ArrayLike, rate: float) -> PoseTracks:
    """A clip of one track, present where any number is known (is not NaN)."""
    track = np.asarray(values, np.float32)
    if track.ndim != 2:
        raise InputError(f"track {name!r}: expected (frames, width) numbers, got {track.shape}")
    return PoseTracks(rate, {name: track}, {name: ~np.all(np.isnan(track), axis=1)})


def together(clips: Iterable[PoseTracks]) -> PoseTracks:
    """Tracks of the same clip, from several tools, as one. InputError unless they have the same
    frames and rate, and each track comes once."""
    parts = list(clips)
    if not parts:
        raise InputError("tracks: expected at least one, got none")
    first = parts[0]
    values: dict[str, Floats] = {}
    present: dict[str, Flags] = {}
    for part in parts:
        if (part.frames, part.rate) != (first.frames, first.rate):
            raise InputError(
                f"tracks of one clip: expected {first.frames} frames at {first.rate:g} a second as "
                f"{', '.join(first.values)}, got {part.frames} at {part.rate:g} of "
                f"{', '.join(part.values)}; were they made of the same video?"
            )
        if twice := sorted(values.keys() & part.values.keys()):
            raise InputError(
                f"tracks of one clip: expected each once, got {', '.join(twice)} twice"
            )
        values.update(part.values)
        present.update(part.present)
    return PoseTracks(first.rate, values, present, max(part.start for part in parts))


# -- numbers for a network -------------------------------------------------------------------------
def track_statistics(clips: Iterable[PoseTracks]) -> dict[str, tuple[Floats, Floats]]:
    """Mean and spread ``(W,)`` of every number of each track over the frames in which it is known;
    0 and 1 for a number that never is. For `TrackEncoder.set_statistics`."""
    sums: dict[str, NDArray[np.float64]] = {}
    for clip in clips:
        for name, track in clip.values.items():
            known = ~np.isnan(track)
            x = np.where(known, track, 0.0).astype(np.float64)
            parts = np.stack([known.sum(0), x.sum(0), (x * x).sum(0)])
            sums[name] = sums[name] + parts if name in sums else parts
    result = {}
    for name, (count, total, squares) in sums.items():
        often = np.maximum(count, 1)
        mean = total / often
        spread = np.sqrt(np.maximum(squares / often - mean**2, 0.0))
        spread[count == 0] = 1.0
        result[name] = (mean.astype(np.float32), spread.astype(np.float32))
    return result


# -- files -----------------------------------------------------------------------------------------
def write_tracks(clip: PoseTracks, path: str | Path) -> None:
    """Write a tracks file. UsageError for a name that does not end in .npz."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{path}: expected a name that ends in .npz")
    arrays: dict[str, Any] = {"tracks_version": TRACKS_VERSION, "rate": clip.rate}
    if clip.start:
        arrays["start"] = clip.start
    for name in clip.values:
        arrays[f"track/{name}"] = clip.values[name]
        arrays[f"present/{name}"] = clip.present[name]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def is_tracks_file(path: str | File) -> bool:
    """Whether an ``.npz`` says of itself that it holds tracks (and not, say, hand landmarks)."""
    try:
        with ArrayFile(read_file(path)) as file:
            return "tracks_version" in file.headers
    except (ValueError, LimitError):
        return False


def read_tracks(path: str | File) -> PoseTracks:
    """Read a tracks file.

    Raises InputError for a file that is damaged, has unnamed (unordered) or unknown tracks, a track
    of another width, or no rate.
    """
    arrays = plain_arrays(path)
    if "tracks_version" not in arrays:
        held = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise InputError(
            f"{path}: expected tracks by name (track/mediapipe, present/mediapipe, ...), got "
            f"{held}; the order of tracks in one array is never guessed: write the file with "
            "chereme.formats.tracks.write_tracks, or import the tool's own output"
        )
    version = arrays["tracks_version"]
    if version.shape != () or int(version) != TRACKS_VERSION:
        raise InputError(f"{path}: expected tracks_version {TRACKS_VERSION}, got {version}")
    if "rate" not in arrays or arrays["rate"].shape != ():
        raise InputError(f"{path}: expected one rate, in frames a second; write the file anew")
    values = {n.removeprefix("track/"): a for n, a in arrays.items() if n.startswith("track/")}
    present = {n.removeprefix("present/"): a for n, a in arrays.items() if n.startswith("present/")}
    others = set(arrays) - {"tracks_version", "rate", "start"}
    if stray := sorted(n for n in others if not n.startswith(("track/", "present/"))):
        raise InputError(f"{path}: expected track/<name> and present/<name> only, got {stray}")
    try:
        start = float(arrays.get("start", 0.0))
        return PoseTracks(float(arrays["rate"]), values, present, start)
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error
