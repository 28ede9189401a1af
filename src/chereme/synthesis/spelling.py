"""Words -> landmark recordings of a hand that spells them.

Each letter's handshape comes from an exemplar of a real hand; between letters the joint angles
follow minimum-jerk paths, every finger with its own lag, and the whole is smoothed the more the
faster the hand spells, so that targets are undershot as in fluent spelling (coarticulation). J and
Z are movements, doubled letters slide, bounce or open in between, and a clip may begin and end with
the hand rising from rest and sinking back.

Everything is in palm sizes, camera axes (x right, y down, z away), a right hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.errors import UsageError
from chereme.hands.skeleton import palm_size
from chereme.synthesis.articulation import Articulation, decode, encode, mix
from chereme.synthesis.detection import detector_noise, lost_frames, mistake_fast_frames
from chereme.synthesis.strokes import drawn_stroke
from chereme.synthesis.style import SpellingStyle
from chereme.types import HandTrack

Floats = NDArray[np.floating[Any]]

# Their index finger lies across the picture. Photographed alphabets often show them with the palm
# to the camera (pointing left, for a right hand), signers mostly with the palm to themselves.
_SIDEWAYS = "ghpq"
_OFTEN_FROM_SIDE = "codx"
_SHORTEST = 0.4  # seconds of a recording
_STARTS_AS = {"j": "i", "z": "d"}


@dataclass(frozen=True)
class Motion:
    """A hand that spells ``text``: its pose at each of ``times (N,)`` seconds, in camera axes, and
    ``spans``, (letter, start s, end s)."""

    hand: Articulation
    times: Floats
    text: str
    spans: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class SpelledClip:
    """A ``Motion`` as a hand detector saw it."""

    track: HandTrack
    text: str
    spans: tuple[tuple[str, float, float], ...]


@dataclass
class _Path:
    """Key poses with their times; a hold is the same pose twice."""

    times: list[float] = field(default_factory=list)
    poses: list[Articulation] = field(default_factory=list)

    def add(self, pose: Articulation, after: float) -> None:
        self.times.append(self.times[-1] + after if self.times else 0.0)
        self.poses.append(pose)


class Speller:
    """Composes clips from the exemplars of some signers.

    ``mixing`` is how often two exemplars of a letter are mixed into one: right for many noisy views
    of one handshape, wrong (0) for a few clean ones that differ on purpose."""

    def __init__(self, exemplars: Exemplars, *, mixing: float = 0.5) -> None:
        self._mixing = mixing
        self._hands = encode(exemplars.landmarks.astype(np.float64))
        self._hands = self._hands.replace(wrist=np.zeros_like(self._hands.wrist))
        self._groups: dict[str, list[NDArray[np.int64]]] = {}
        for label in np.unique(exemplars.label):
            of_label = exemplars.label == label
            self._groups[str(label)] = [
                np.flatnonzero(of_label & (exemplars.signer == signer))
                for signer in np.unique(exemplars.signer[of_label])
            ]
        self._pictures = exemplars.picture
        self._motions: dict[str, list[Articulation]] = {}
        for label, landmarks in zip(
            exemplars.motion_label, exemplars.motion_landmarks, strict=True
        ):
            scale = np.median(palm_size(landmarks.astype(np.float64)))
            motion = encode(landmarks.astype(np.float64))
            wrist = landmarks[:, 0] / scale
            self._motions.setdefault(str(label), []).append(
                motion.replace(wrist=(wrist - wrist[0]) * [1.0, 1.0, 0.0])
            )

    @property
    def letters(self) -> str:
        """The letters that can be spelled."""
        return "".join(sorted(c for c in self._groups if c))

    # -- single poses -------------------------------------------------------------------------
    def _exemplar(self, label: str, rng: np.random.Generator) -> Articulation:
        """One exemplar: a signer, then a picture, then a view of it; often two of them mixed."""
        groups = self._groups[label]
        size = np.array([len(g) for g in groups], dtype=float) ** 0.4
        chosen = []
        for _ in range(2 if rng.random() < self._mixing else 1):
            group = groups[rng.choice(len(groups), p=size / size.sum())]
            pictures = np.unique(self._pictures[group])
            of_picture = group[self._pictures[group] == rng.choice(pictures)]
            chosen.append(self._hands[[int(rng.choice(of_picture))]])
        return chosen[0] if len(chosen) == 1 else mix(chosen[0], chosen[1], rng.uniform(-0.3, 0.9))

    def _base(self, letter: str, rng: Any) -> str:
        """The letter whose handshape ``letter`` starts from; a still of J is any moment of J."""
        base = _STARTS_AS.get(letter, letter)
        return base if base in self._groups and rng.random() < 0.5 else letter

    def _shown(
        self, letter: str, pose: Articulation, style: SpellingStyle, rng: Any
    ) -> Articulation:
        """The exemplar turned, mostly about the vertical, as this signer holds this letter."""
        turn = rng.normal(0, style.letter_turn * (2.0 if letter in _OFTEN_FROM_SIDE else 1.0))
        if letter in _SIDEWAYS:
            index_tip = decode(pose)[0, 8]
            if (index_tip[0] > 0) != style.sideways_right:
                turn += 180.0
        tilt, roll = rng.normal(0, 0.7 * style.letter_turn, 2)
        about = Rotation.from_rotvec(np.radians([tilt, turn, roll]))
        return pose.replace(orientation=(about * Rotation.from_quat(pose.orientation)).as_quat())

    def _varied(self, pose: Articulation, style: SpellingStyle, rng: Any) -> Articulation:
        turn = Rotation.from_rotvec(np.radians(rng.normal(0, style.letter_spread, 3)))
        return pose.replace(
            angles=pose.angles
            + np.radians(rng.normal(0, style.letter_spread, pose.angles.shape)) * [0.6, 1.0],
            orientation=(turn * Rotation.from_quat(pose.orientation)).as_quat(),
        )

    def _rest(self, rng: np.random.Generator) -> Articulation:
        """A hand that spells nothing, hanging or turned away more or less."""
        silent = "" in self._groups and rng.random() < 0.5
        pose = self._exemplar("" if silent else str(rng.choice(list(self.letters))), rng)
        loose = pose.angles.copy()
        loose[..., 1] = 0.5 * loose[..., 1] + np.radians(rng.uniform(0, 25))
        # A loosened letter held upright may still be that letter: it is turned well away.
        hangs = not silent or rng.random() < 0.5
        hang = rng.uniform(60, 200) * rng.choice([-1, 1]) if hangs else 0.0
        turn = Rotation.from_rotvec(np.radians(rng.normal([0, 0, hang], [40, 40, 25])))
        return pose.replace(
            angles=loose,
            orientation=(turn * Rotation.from_quat(pose.orientation)).as_quat(),
        )

    # -- movements ----------------------------------------------------------------------------
    def _stroke(self, letter: str, pose: Articulation, rng: Any) -> list[Articulation]:
        """The movement of J or Z as poses in equal steps, starting from ``pose``."""
        templates = self._motions.get(letter, [])
        if templates and rng.random() < 0.6:
            motion = templates[rng.integers(len(templates))]
            start = Rotation.from_quat(motion.orientation[0]).inv()
            size = rng.uniform(0.7, 1.6)
            return [
                pose.replace(
                    orientation=(
                        Rotation.from_quat(q) * start * Rotation.from_quat(pose.orientation)
                    ).as_quat(),
                    angles=pose.angles + 0.7 * (angles - motion.angles[0]),
                    wrist=pose.wrist + size * wrist,
                )
                for q, angles, wrist in zip(
                    motion.orientation, motion.angles, motion.wrist, strict=True
                )
            ]
        return drawn_stroke(letter, pose, rng)

    def _between_doubles(self, pose: Articulation, rng: Any) -> tuple[Articulation, float]:
        """What the hand does between two equal letters, and how far it ends up to the right.

        It slides aside, bounces, or opens a little."""
        kind = rng.choice(["slide", "bounce", "open"])
        if kind == "bounce":
            return pose.replace(wrist=pose.wrist + _up(rng.uniform(0.12, 0.35))), 0.0
        angles = pose.angles.copy()
        angles[..., 1] *= 1 - (rng.uniform(0.15, 0.45) if kind == "open" else 0.08)
        aside = rng.uniform(0.25, 0.9) if kind == "slide" or rng.random() < 0.5 else 0.0
        return pose.replace(angles=angles), aside

    # -- clips --------------------------------------------------------------------------------
    def _key_poses(
        self, text: str, style: SpellingStyle, rng: Any
    ) -> tuple[_Path, list[tuple[str, float, float]]]:
        path, spans = _Path(), []
        where = np.zeros(3)
        habit = {
            letter: self._shown(letter, self._exemplar(self._base(letter, rng), rng), style, rng)
            for letter in sorted(set(text) - {" "})
        }
        if style.rise:
            low = np.array([[rng.normal(0, 1.5), rng.uniform(1, 6), 0.0]])
            path.add(self._rest(rng).replace(wrist=low), 0.0)
            path.add(path.poses[0], rng.uniform(0.0, 0.3))
        for index, letter in enumerate(text):
            seconds = style.letter_seconds * rng.lognormal(0, 0.2)
            hold = seconds * style.hold_fraction
            first, last = index == 0, index == len(text) - 1
            if first:
                hold += style.first_hold
                move = rng.uniform(0.08, 0.5) if style.rise else 0.0
            else:
                move = seconds - hold
            if letter == " ":
                where = where + rng.normal(0, style.drift, 3) * [2, 2, 0]
                path.add(mix(path.poses[-1], self._rest(rng), 0.4), rng.uniform(0.2, 0.5))
                continue
            if last:
                hold += style.last_hold
            pose = self._varied(habit[letter], style, rng)
            if index and text[index - 1] == letter and letter not in MOVING:
                move = max(move, 0.12) / 2
                between, aside = self._between_doubles(path.poses[-1], rng)
                path.add(between, move)
                where = where + np.array([aside, 0.0, 0.0])
            else:
                where = where + rng.normal(0, style.drift, 3) * [1, 1, 0]
            pose = pose.replace(wrist=where[None])
            path.add(pose, move)
            start = path.times[-1] - move / 2
            if letter in MOVING:
                before = rng.uniform(0, 1)  # how much of the hold comes before the movement
                path.add(pose, before * hold)
                stroke = self._stroke(letter, pose, rng)
                step = max(style.letter_seconds, 0.22) * rng.uniform(0.9, 1.8) / len(stroke)
                for moved in stroke[1:]:
                    path.add(moved, step)
                where = path.poses[-1].wrist[0] * rng.uniform(0.5, 1.0)
                path.add(path.poses[-1], 0.5 * (1 - before) * hold)
            else:
                path.add(pose, hold)
            spans.append((letter, start, path.times[-1]))
        if style.sink:
            low = where + np.array([rng.normal(0, 1.5), rng.uniform(1, 6), 0.0])
            path.add(self._rest(rng).replace(wrist=low[None]), rng.uniform(0.08, 0.5))
            path.add(path.poses[-1], rng.uniform(0.0, 0.3))
        return path, spans

    def perform(
        self,
        text: str,
        rng: np.random.Generator,
        style: SpellingStyle | None = None,
        *,
        substeps: int = 1,
    ) -> Motion:
        """A hand that spells ``text`` (letters that the exemplars have, and spaces).

        ``substeps`` poses for each frame of ``style.rate``: what a shutter sees while it is open.
        """
        missing = sorted(set(text) - set(self.letters) - {" "})
        if missing or not text.strip():
            raise UsageError(
                f"cannot spell {text!r}: expected letters of {self.letters!r} and spaces"
                + (f", got {''.join(missing)!r}" if missing else "")
            )
        style = style or SpellingStyle.sample(rng, letters=len(text))
        path, spans = self._key_poses(text.strip(), style, rng)
        begin = rng.uniform(0, spans[0][1]) if style.cut_start else 0.0
        end = rng.uniform(spans[-1][2], path.times[-1]) if style.cut_end else path.times[-1]
        end = max(end, begin + _SHORTEST)
        spans = [(letter, start - begin, stop - begin) for letter, start, stop in spans]
        return self._perform(path, text, spans, style, rng, begin=begin, end=end, substeps=substeps)

    def spell(
        self, text: str, rng: np.random.Generator, style: SpellingStyle | None = None
    ) -> SpelledClip:
        """A recording of ``perform(text)`` by a hand detector."""
        style = style or SpellingStyle.sample(rng, letters=len(text))
        return self._detect(self.perform(text, rng, style), style, rng)

    def idle(self, rng: np.random.Generator, style: SpellingStyle | None = None) -> SpelledClip:
        """A recording of a hand that spells nothing: it rests, moves about, changes its shape."""
        style = style or SpellingStyle.sample(rng)
        return self._detect(self.rest(rng, style), style, rng)

    def rest(
        self,
        rng: np.random.Generator,
        style: SpellingStyle,
        *,
        seconds: float = 0.0,
        calm: bool = False,
        substeps: int = 1,
    ) -> Motion:
        """A hand that spells nothing, for at least ``seconds``.

        ``calm``: it hardly moves, as the other hand of somebody who spells."""
        path = _Path()
        pose = self._rest(rng)
        moves = rng.integers(1, 5)
        while moves > 0 or path.times[-1] < seconds:
            moves -= 1
            path.add(pose, rng.uniform(0.1, 0.8))
            path.add(pose, rng.uniform(0.0, 0.8))
            if rng.random() < 0.6 and not calm:
                pose = self._rest(rng)
            away = rng.normal(0, 0.05 if calm else 2.0, 3)
            pose = pose.replace(wrist=pose.wrist + away * [1, 1, 0])
        return self._perform(path, "", [], style, rng, end=seconds or None, substeps=substeps)

    def still(self, letter: str, rng: np.random.Generator, seconds: float) -> SpelledClip:
        """One picture of a letter, shown for a while, as a photograph is given to the network."""
        if letter not in self.letters:
            raise UsageError(f"cannot show {letter!r}: expected one of {self.letters!r}")
        style = SpellingStyle.sample(rng)
        path = _Path()
        pose = self._shown(letter, self._exemplar(letter, rng), style, rng)
        path.add(pose, 0.0)
        picture = self._detect(self._perform(path, letter, [], style, rng), style, rng)
        track = HandTrack(
            picture.track.landmarks[[0, 0]],
            np.ones((2, 21)),
            np.array([0.0, seconds]),
            1,
            1,
            "right",
        )
        return SpelledClip(track, letter, ((letter, 0.0, seconds),))

    def _perform(
        self,
        path: _Path,
        text: str,
        spans: list[tuple[str, float, float]],
        style: SpellingStyle,
        rng: Any,
        *,
        begin: float = 0.0,
        end: float | None = None,
        substeps: int = 1,
    ) -> Motion:
        """Key poses -> this signer's hand before this camera, from ``begin`` to ``end``."""
        rate = style.rate * substeps
        count = int(((path.times[-1] if end is None else end) - begin) * rate) + 1
        times = np.arange(count) / rate
        hand = _interpolate(
            np.array(path.times) - begin, _stack(path.poses), times, rate, style, rng
        )
        habit = np.radians(rng.normal(0, style.shape_spread, (1, 5, 4, 2))) * [0.6, 1.0]
        habit[:, :, 3] *= 0.5
        grown = rng.normal(1, 0.05, (1, 5, 1)) * rng.normal(1, 0.03, (1, 5, 4))
        view = Rotation.from_rotvec(
            np.radians(rng.normal(0, [style.view_turn, 1.5 * style.view_turn, style.view_roll]))
        )
        if style.from_behind:
            view = view * Rotation.from_rotvec([0.0, np.pi, 0.0])
        each = rng.normal() + 0.7 * rng.normal(size=(5, 1))
        tightness = 1 + style.tightness_spread * each
        angles = hand.angles + habit
        angles[:, :, 1:, 1] *= tightness
        hand = hand.replace(
            angles=angles,
            lengths=hand.lengths * grown,
            orientation=(view * Rotation.from_quat(hand.orientation)).as_quat(),
        )
        return Motion(hand, times, text, tuple(spans))

    def _detect(self, motion: Motion, style: SpellingStyle, rng: Any) -> SpelledClip:
        """What a hand detector would have made of it."""
        hand, count = motion.hand, len(motion.times)
        hand = mistake_fast_frames(hand, lambda: self._rest(rng), style.rate, rng)
        points = decode(hand)
        points = points + detector_noise(points, style, rng)
        points[..., 0] *= style.stretch
        if not style.depth:
            points[..., 2] = 0.0
        confidence = np.ones((count, 21), dtype=np.float32)
        confidence[lost_frames(count, style.dropout, rng)] = 0.0
        track = HandTrack(points, confidence, motion.times, 1, 1, "right")
        return SpelledClip(track, motion.text, motion.spans)


def _up(palms: float) -> Floats:
    return np.array([[0.0, -palms, 0.0]])


def _stack(poses: list[Articulation]) -> Articulation:
    return Articulation(
        *(
            np.concatenate([getattr(p, name) for p in poses])
            for name in ("orientation", "angles", "lengths", "wrist")
        )
    )


def _interpolate(
    key_times: Floats,
    poses: Articulation,
    times: Floats,
    rate: float,
    style: SpellingStyle,
    rng: Any,
) -> Articulation:
    """Minimum-jerk paths between key poses, with a lag for each finger, then smoothing."""
    lags = np.append(rng.normal(0, style.finger_lag, 5), 0.0)  # five fingers, then the wrist
    lags = np.clip(lags, -0.06, 0.06)

    def place(lag: float) -> tuple[NDArray[np.int64], Floats]:
        at = np.clip(times - lag, key_times[0], key_times[-1])
        low = np.clip(np.searchsorted(key_times, at, side="right") - 1, 0, len(key_times) - 1)
        high = np.minimum(low + 1, len(key_times) - 1)
        span = key_times[high] - key_times[low]
        s = np.where(span > 0, (at - key_times[low]) / np.where(span > 0, span, 1), 0.0)
        return low, s**3 * (10 - 15 * s + 6 * s * s)

    def between(values: Floats, low: NDArray[np.int64], s: Floats) -> Floats:
        s = s.reshape(-1, *[1] * (values.ndim - 1))
        high = np.minimum(low + 1, len(key_times) - 1)
        mixed: Floats = values[low] * (1 - s) + values[high] * s
        return mixed

    low, s = place(lags[5])
    quaternions = poses.orientation.copy()
    for k in range(1, len(quaternions)):
        if quaternions[k] @ quaternions[k - 1] < 0:
            quaternions[k] *= -1
    orientation = between(quaternions, low, s)
    lengths, wrist = between(poses.lengths, low, s), between(poses.wrist, low, s)
    angles = np.empty((len(times), 5, 4, 2))
    for finger in range(5):
        flow, fs = place(lags[finger])
        angles[:, finger] = between(poses.angles[:, finger], flow, fs)
    sigma = style.smoothing * rate
    if sigma > 0.2 and len(times) > 1:
        angles, orientation, wrist = (
            gaussian_filter1d(x, sigma, axis=0, mode="nearest")
            for x in (angles, orientation, wrist)
        )
    norm = np.maximum(np.linalg.norm(orientation, axis=1, keepdims=True), 1e-6)
    return Articulation(orientation / norm, angles, lengths, wrist)
