"""Words -> landmark recordings of a hand that spells them.

Each letter's handshape comes from an exemplar of a real hand; between letters the joint angles
follow minimum-jerk paths, every finger with its own lag, and the whole is smoothed the more the
faster the hand spells, so that targets are undershot as in fluent spelling (coarticulation). J and
Z are movements, doubled letters slide or bounce in between, letters that are held long waver, and a
clip may begin and end with the hand rising from rest and sinking back. What the hand network says
of pictures goes the same way, where there are pictures of all hands of a clip.

Everything is in palm sizes, camera axes (x right, y down, z away), a right hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.errors import UsageError
from chereme.hands.skeleton import palm_size
from chereme.synthesis.articulation import Articulation, decode, encode, mix
from chereme.synthesis.detection import (
    detector_noise,
    lost_frames,
    mistake_fast_frames,
    vector_noise,
)
from chereme.synthesis.exemplar_hands import Cast, ExemplarHands, Shape
from chereme.synthesis.key_poses import KeyPoses, interpolate
from chereme.synthesis.strokes import drawn_stroke
from chereme.synthesis.style import SpellingStyle
from chereme.types import HandTrack, frames_of

Floats = NDArray[np.floating[Any]]

# Their index finger lies across the picture. Photographed alphabets often show them with the palm
# to the camera (pointing left, for a right hand), signers mostly with the palm to themselves.
_SIDEWAYS = "ghpq"
_OFTEN_FROM_SIDE = "codx"
_SHORTEST = 0.4  # seconds of a recording
_STARTS_AS = {"j": ("i", 0.7), "z": ("d", 0.3)}  # and how often
_BEFORE_STROKE = 2.0  # seconds that a hand is held, at most, before it draws a letter
_WAVERS = 0.35  # seconds of a hold in which a hand stays as it is


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


class Speller:
    """Composes clips from the exemplars of some signers.

    ``mixing`` is how often two exemplars of a letter are mixed into one: right for many noisy views
    of one handshape, wrong (0) for a few clean ones that differ on purpose."""

    def __init__(self, exemplars: Exemplars, *, mixing: float = 0.5) -> None:
        self._hands = ExemplarHands(exemplars, mixing)
        self._motions: dict[str, dict[str, list[Articulation]]] = {}
        for label, signer, landmarks in zip(
            exemplars.motion_label,
            exemplars.motion_signer,
            exemplars.motion_landmarks.astype(np.float64),
            strict=True,
        ):
            wrist = landmarks[:, 0] / np.median(palm_size(landmarks))
            motion = encode(landmarks).replace(wrist=(wrist - wrist[0]) * [1.0, 1.0, 0.0])
            own = self._motions.setdefault(str(label), {})
            own.setdefault(str(signer), []).append(motion)

    @property
    def letters(self) -> str:
        """The letters that can be spelled."""
        return "".join(sorted(c for c in self._hands.labels if c))

    @property
    def spread(self) -> Floats:
        """``(1152,)`` standard deviation of each number of the hands' vectors."""
        return self._hands.spread

    # -- single poses -------------------------------------------------------------------------
    def _base(self, letter: str, rng: Any) -> str:
        """The letter whose handshape ``letter`` starts from; a still of J is any moment of J."""
        base, often = _STARTS_AS.get(letter, (letter, 1.0))
        return base if base in self.letters and rng.random() < often else letter

    def _shown(
        self, letter: str, pose: Articulation, style: SpellingStyle, rng: Any
    ) -> Articulation:
        """The exemplar turned, mostly about the vertical, as this signer holds this letter."""
        turn = rng.normal(0, style.letter_turn * (2.0 if letter in _OFTEN_FROM_SIDE else 1.0))
        # What a picture shows is not the other side of the hand.
        if letter in _SIDEWAYS and pose.vectors is None:
            index_tip = decode(pose)[0, 8]
            if (index_tip[0] > 0) != style.sideways_right:
                turn += 180.0
        tilt, roll = rng.normal(0, 0.7 * style.letter_turn, 2)
        return _turned(pose, [tilt, turn, roll])

    def _varied(self, pose: Articulation, style: SpellingStyle, rng: Any) -> Articulation:
        spread = style.letter_spread
        turn = rng.normal(0, spread, 3)
        bent = np.radians(rng.normal(0, spread, pose.angles.shape)) * [0.6, 1.0]
        return _turned(pose.replace(angles=pose.angles + bent), turn)

    def _rest(self, cast: Cast, rng: np.random.Generator) -> Articulation:
        """A hand that spells nothing, hanging or turned away more or less."""
        silent = "" in cast.groups and rng.random() < 0.5
        # The picture of a loosened letter would still be that letter's: a mean of three is not.
        count = min(3, len(self.letters)) if cast.pictured else 1
        labels = [""] if silent else rng.choice(list(self.letters), count, replace=False)
        hands = [self._hands.draw(str(label), cast, rng).pose for label in labels]
        pose = hands[0]
        if pose.vectors is not None:
            known = [hand.vectors for hand in hands if hand.vectors is not None]
            noise = rng.normal(0, 0.3, pose.vectors.shape) * self._hands.spread
            pose = pose.replace(vectors=np.mean(known, axis=0) + noise)
        loose = pose.angles.copy()
        loose[..., 1] = 0.5 * loose[..., 1] + np.radians(rng.uniform(0, 25))
        # A loosened letter held upright may still be that letter: it is turned well away.
        hangs = not silent or rng.random() < 0.5
        hang = rng.uniform(60, 200) * rng.choice([-1, 1]) if hangs else 0.0
        return _turned(pose.replace(angles=loose), rng.normal([0, 0, hang], [40, 40, 25]))

    # -- movements ----------------------------------------------------------------------------
    def _stroke(
        self, letter: str, pose: Articulation, cast: Cast, rng: np.random.Generator
    ) -> list[Articulation]:
        """The movement of J or Z as poses in equal steps, starting from ``pose``."""
        of_signers = list(self._motions.get(letter, {}).values())
        if of_signers and rng.random() < 0.7:
            size = np.array([len(own) for own in of_signers]) ** 0.5
            own = of_signers[rng.choice(len(size), p=size / size.sum())]
            poses = _as_recorded(own[rng.integers(len(own))], pose, rng)
        else:
            poses = drawn_stroke(letter, pose, rng)
        if letter == "j" and pose.vectors is not None:
            end = self._hands.draw("j", cast, rng).pose.vectors
            if end is not None:
                share = np.linspace(0, 1, len(poses))
                poses = [
                    p.replace(vectors=(1 - s) * pose.vectors + s * end)
                    for p, s in zip(poses, share, strict=True)
                ]
        return poses

    def _between_doubles(
        self, pose: Articulation, rng: np.random.Generator
    ) -> tuple[Articulation, float]:
        """What the hand does between two equal letters, and how far it ends up to the right.

        It slides aside or bounces; seldom it opens a little as well."""
        loosened = rng.uniform(0.15, 0.45) if rng.random() < 0.1 else rng.uniform(0.0, 0.1)
        angles = pose.angles.copy()
        angles[..., 1] *= 1 - loosened
        if rng.random() < 0.6:
            return pose.replace(angles=angles), rng.uniform(0.25, 0.9)
        up = np.array([[0.0, -rng.uniform(0.15, 0.4), 0.0]])
        return pose.replace(angles=angles, wrist=pose.wrist + up), 0.0

    def _hold(
        self, path: KeyPoses, shape: Shape, seconds: float, style: SpellingStyle, rng: Any
    ) -> None:
        """The last pose of ``path``, of the handshape ``shape``, held for ``seconds``.

        In a long hold the hand wanders slowly, and the detector comes to see it as in another view
        of it, at once or little by little."""
        pose, end = path.poses[-1], path.times[-1] + seconds
        held = pose
        while style.sway and end - path.times[-1] > _WAVERS:
            step = min(rng.uniform(0.04, 0.7), end - path.times[-1])
            angles, vectors = self._hands.near(shape, rng)
            share = rng.uniform(0, 0.6)
            aside = style.sway * np.sqrt(step) * rng.normal(size=3) * [1.0, 1.0, 0.0]
            held = _turned(pose, rng.normal(0, 20 * style.sway, 3)).replace(
                angles=pose.angles + share * angles,
                wrist=held.wrist + aside,
            )
            if vectors is not None and pose.vectors is not None:
                held = held.replace(vectors=pose.vectors + share * vectors)
            path.add(held, step)
            if rng.random() < 0.5:
                path.add(held, min(rng.uniform(0.1, 0.6), end - path.times[-1]))
        path.add(held, end - path.times[-1])

    # -- clips --------------------------------------------------------------------------------
    def _key_poses(
        self, text: str, style: SpellingStyle, rng: Any
    ) -> tuple[KeyPoses, list[tuple[str, float, float]]]:
        path, spans = KeyPoses(), []
        where = np.zeros(3)
        cast = self._hands.cast(text, rng)
        shapes = {
            letter: self._hands.draw(self._base(letter, rng), cast, rng)
            for letter in sorted(set(text) - {" "})
        }
        habit = {
            letter: self._shown(letter, shape.pose, style, rng) for letter, shape in shapes.items()
        }
        if style.rise:
            low = np.array([[rng.normal(0, 1.5), rng.uniform(1, 6), 0.0]])
            path.add(self._rest(cast, rng).replace(wrist=low), 0.0)
            path.add(path.poses[0], rng.uniform(0.0, 0.3) + style.rest)
        held = min(int(style.held_at * len(text)), len(text) - 1)
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
                path.add(mix(path.poses[-1], self._rest(cast, rng), 0.4), rng.uniform(0.2, 0.5))
                continue
            if last:
                hold += style.last_hold
            if index == held:
                hold += style.held
            pose = self._varied(habit[letter], style, rng)
            if index and _doubles(text[index - 1], letter):
                move = max(move, 0.12) / 2
                between, aside = self._between_doubles(path.poses[-1], rng)
                path.add(between, move)
                where = where + np.array([aside, 0.0, 0.0])
            else:
                where = where + rng.normal(0, style.drift, 3) * [1, 1, 0]
            path.add(pose.replace(wrist=where[None]), move)
            start = path.times[-1] - move / 2
            if letter in MOVING:
                before = rng.uniform(0, 1)  # how much of the hold comes before the movement
                still = min(before * hold, _BEFORE_STROKE) + style.before_stroke
                self._hold(path, shapes[letter], still, style, rng)
                stroke = self._stroke(letter, path.poses[-1], cast, rng)
                step = _stroke_seconds(style, rng) / len(stroke)
                for moved in stroke[1:]:
                    path.add(moved, step)
                path.add(path.poses[-1], min(0.5 * (1 - before) * hold, 1.0))
                where = path.poses[-1].wrist[0] * rng.uniform(0.5, 1.0)
            else:
                self._hold(path, shapes[letter], hold, style, rng)
                where = path.poses[-1].wrist[0]
            spans.append((letter, start, path.times[-1]))
        if style.sink:
            low = where + np.array([rng.normal(0, 1.5), rng.uniform(1, 6), 0.0])
            path.add(self._rest(cast, rng).replace(wrist=low[None]), rng.uniform(0.08, 0.5))
            path.add(path.poses[-1], rng.uniform(0.0, 0.3) + style.rest)
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
        path, cast = KeyPoses(), self._hands.cast("", rng)
        pose = self._rest(cast, rng)
        moves = rng.integers(1, 5)
        while moves > 0 or path.times[-1] < seconds:
            moves -= 1
            path.add(pose, rng.uniform(0.1, 0.8))
            path.add(pose, rng.uniform(0.0, 0.8))
            if rng.random() < 0.6 and not calm:
                pose = self._rest(cast, rng)
            away = rng.normal(0, 0.05 if calm else 2.0, 3)
            pose = pose.replace(wrist=pose.wrist + away * [1, 1, 0])
        return self._perform(path, "", [], style, rng, end=seconds or None, substeps=substeps)

    def still(self, letter: str, rng: np.random.Generator, seconds: float) -> SpelledClip:
        """One picture of a letter, shown for a while, as a photograph is given to the network."""
        if letter not in self.letters:
            raise UsageError(f"cannot show {letter!r}: expected one of {self.letters!r}")
        style = SpellingStyle.sample(rng)
        path, cast = KeyPoses(), self._hands.cast(letter, rng)
        pose = self._shown(letter, self._hands.draw(letter, cast, rng).pose, style, rng)
        path.add(pose, 0.0)
        picture = self._detect(self._perform(path, letter, [], style, rng), style, rng)
        track = frames_of(picture.track, np.zeros(2, int), np.array([0.0, seconds]))
        track = replace(track, confidence=np.ones((2, 21)))
        return SpelledClip(track, letter, ((letter, 0.0, seconds),))

    def _perform(
        self,
        path: KeyPoses,
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
        hand = interpolate(path, begin + times, rate, style, rng)
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
        cast = self._hands.cast(motion.text, rng)
        hand = mistake_fast_frames(hand, lambda: self._rest(cast, rng), style.rate, rng)
        points = decode(hand)
        points = points + detector_noise(points, style, rng)
        points[..., 0] *= style.stretch
        if not style.depth:
            points[..., 2] = 0.0
        confidence = np.ones((count, 21), dtype=np.float32)
        lost = lost_frames(count, style.dropout, rng)
        confidence[lost] = 0.0
        vectors = None
        if hand.vectors is not None and not style.from_behind:  # no picture shows a hand from there
            noisy = vector_noise(hand.vectors, self._hands.spread, style.rate, rng)
            noisy[lost] = 0.0
            vectors = noisy.astype(np.float16)
        track = HandTrack(points, confidence, motion.times, 1, 1, "right", vectors=vectors)
        return SpelledClip(track, motion.text, motion.spans)


def _turned(pose: Articulation, degrees: Any) -> Articulation:
    """``pose`` turned about the camera's axes by a rotation vector in degrees."""
    about = Rotation.from_rotvec(np.radians(degrees))
    return pose.replace(orientation=(about * Rotation.from_quat(pose.orientation)).as_quat())


def _doubles(before: str, letter: str) -> bool:
    """Whether the hand must move between two letters for both to be seen; J comes from an I."""
    return (before == letter and letter not in MOVING) or before + letter == "ij"


def _stroke_seconds(style: SpellingStyle, rng: np.random.Generator) -> float:
    """How long the movement of J or Z takes: mostly as fast as this signer spells."""
    if rng.random() < 0.6:
        return float(np.clip(style.letter_seconds, 0.22, 1.0) * rng.uniform(0.9, 1.8))
    return float(np.exp(rng.uniform(*np.log([0.25, 1.6]))))


def _as_recorded(
    motion: Articulation, pose: Articulation, rng: np.random.Generator
) -> list[Articulation]:
    """``pose`` moved as the recorded ``motion (T)``, larger or smaller."""
    start = Rotation.from_quat(motion.orientation[0]).inv()
    size = np.clip(rng.lognormal(0, 0.35), 0.5, 2.0)
    turned = Rotation.from_quat(motion.orientation) * start * Rotation.from_quat(pose.orientation)
    return [
        pose.replace(
            orientation=orientation[None],
            angles=pose.angles + 0.7 * (angles - motion.angles[0]),
            wrist=pose.wrist + size * wrist,
        )
        for orientation, angles, wrist in zip(
            turned.as_quat(), motion.angles, motion.wrist, strict=True
        )
    ]
