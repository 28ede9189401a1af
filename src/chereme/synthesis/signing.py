"""Sentences of made-up signs, as motions of both hands: no pictures.

Not a sign language: two dozen signs that differ in handshape, place, movement and hands, and a
grammar that says in what order they come. For experiments with continuous signing whose truth is
known; `chereme.synthesis.signing_film` films them.

Lengths are in palms, from the pit of the signer's neck, in the axes of a picture in which the
signer's right hand is on the left: x right, y down, z away. A left hand's are those of its mirror
image.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from chereme.errors import UsageError
from chereme.synthesis.articulation import Articulation, mix
from chereme.synthesis.corpus import Part, check_corpus, parts
from chereme.synthesis.isolated import Gloss, moved, signing_signer
from chereme.synthesis.signers import Signer
from chereme.synthesis.spelling import Motion

Floats = NDArray[np.floating[Any]]

# Degrees about x, y and z. 0: palm to the camera, fingers up; 1: back of the hand, fingers to the
# middle; 2: palm, fingers outwards; 3: palm to the middle; 4: back of the hand, fingers up.
_TURNS = ((0, 0, 0), (0, 180, 70), (0, 0, -60), (0, -75, 0), (0, 180, 0))
# fmt: off
LEXICON: dict[str, Gloss] = {sign.name: sign for sign in (
    # name, shapes, turns, hands, base, movement, reach, place
    Gloss("TIME-A", "y", (0, 0), "mirrored", "", "line", (0.0, 1.3), (-1.9, 2.0)),
    Gloss("TIME-B", "5", (4, 4), "one", "", "line", (-0.5, -1.8), (-2.4, 1.0)),
    Gloss("TIME-C", "l", (0, 1), "one", "", "arc", (0.9, 0.3), (-2.2, -0.6)),
    Gloss("WHO-A", "5", (3, 3), "one", "", "shake", (1.0, 0.0), (-0.4, 1.0)),
    Gloss("WHO-B", "5", (3, 3), "one", "", "shake", (1.0, 0.0), (-0.6, -1.0)),
    Gloss("WHO-C", "y", (0, 0), "one", "", "shake", (0.0, 1.0), (-1.5, 0.2)),
    Gloss("WHO-D", "b", (0, 0), "one", "", "line", (-1.8, 0.2), (-0.7, -1.0)),
    Gloss("IX-1p", "d", (1, 1), "one", "", "line", (0.7, 0.2), (-1.6, 2.0)),
    Gloss("IX-3p:i", "d", (2, 2), "one", "", "line", (-1.0, 0.0), (-2.2, 1.4)),
    Gloss("IX-3p:j", "d", (1, 1), "one", "", "line", (1.5, -0.2), (-0.3, 1.0)),
    Gloss("DO-A", "5", (0, 0), "mirrored", "", "circle", (1.6, 0.0), (-1.8, 2.2)),
    Gloss("DO-B", "s", (0, 0), "mirrored", "", "shake", (0.0, 2.2), (-1.5, 2.0)),
    Gloss("DO-C", "v", (0, 0), "base", "b", "line", (0.6, 1.4), (-0.9, 0.6)),
    Gloss("DO-D", "o", (3, 3), "one", "", "shake", (0.0, 1.2), (-0.5, 0.8)),
    Gloss("DO-E", "b", (3, 3), "mirrored", "", "line", (-1.6, -1.5), (-0.9, 2.4)),
    Gloss("DO-F", "5s", (0, 0), "one", "", "line", (1.6, 0.6), (-2.8, 1.0)),
    Gloss("THING-A", "s", (0, 0), "base", "s", "circle", (1.2, 0.0), (-0.4, 1.2)),
    Gloss("THING-B", "d", (0, 0), "mirrored", "", "line", (0.0, 2.0), (-1.5, 0.0)),
    Gloss("THING-C", "s5", (0, 0), "one", "", "none", (0.0, 0.0), (-1.0, -0.9)),
    Gloss("THING-D", "c", (3, 3), "mirrored", "", "none", (0.0, 0.0), (-1.2, 2.0)),
    Gloss("THING-E", "i", (0, 0), "one", "", "line", (0.2, 1.4), (0.9, 0.9)),
    Gloss("THING-F", "w", (0, 0), "base", "5", "shake", (1.6, 0.0), (-0.4, 0.9)),
    Gloss("NEG", "5", (0, 0), "one", "", "shake", (2.6, 0.0), (-2.5, 0.4)),
    Gloss("WH", "5", (2, 2), "mirrored", "", "shake", (1.2, 0.0), (-2.3, 2.6)),
)}
# fmt: on
PLACES = {"WHO-A": "IX-3p:i", "WHO-B": "IX-3p:i", "WHO-C": "IX-3p:j", "WHO-D": "IX-3p:j"}
"""Where each person was put, to be pointed at."""
SHORTEST, LONGEST = 2, 6

_BASE = (-0.1, 2.7)  # where a base hand is
_BASE_TURN = (0.0, 180.0, 60.0)
_FORWARD = {"low": -2.7, "high": -2.1}  # of the chest, and beside the face
_FACE = 0.6  # places above it are beside the face
_REST = (-0.9, 3.9, -1.8)
_REST_TURN = (0.0, 180.0, 105.0)
# Seconds: of a sign's movement, of each further handshape, of a way of no length and of one palm.
_MOVING = {"none": 0.28, "line": 0.34, "arc": 0.38, "circle": 0.55, "shake": 0.55}
_SHAPE, _WAY, _PALM_WAY = 0.12, 0.16, 0.035
_UNDERSHOT = 0.035  # seconds over which the path is smoothed
_SIGNERS = 1 << 23  # keeps the seeds of signers' habits apart from those of clips


def sentence(rng: np.random.Generator) -> tuple[str, ...]:
    """``[TIME] SUBJECT VERB [OBJECT] [NEG | WH]``, 2 to 6 glosses.

    A subject is a person, after which may be pointed to where it was put (`PLACES`), or pointing
    alone. An object may come before the subject, as a topic.
    """

    def one(kind: str) -> str:
        names = [name for name in LEXICON if name.startswith(kind)]
        return names[int(rng.integers(len(names)))]

    while True:
        words = [one("TIME")] if rng.random() < 0.4 else []
        subject = [one("IX")] if rng.random() < 0.4 else [one("WHO")]
        if subject[0] in PLACES and rng.random() < 0.5:
            subject.append(PLACES[subject[0]])
        thing = [one("THING")] if rng.random() < 0.75 else []
        if thing and rng.random() < 0.25:
            words += [*thing, *subject, one("DO")]
        else:
            words += [*subject, one("DO"), *thing]
        end = rng.random()
        words += ["NEG"] if end < 0.25 else ["WH"] if end < 0.45 else []
        if SHORTEST <= len(words) <= LONGEST:
            return tuple(words)


def part_of(words: tuple[str, ...]) -> Part:
    """The only part in which a sentence comes: about 80, 10 and 10 of a hundred sentences."""
    place = zlib.crc32(" ".join(words).encode()) % 10
    return "test" if place == 0 else "dev" if place == 1 else "train"


class Timed(NamedTuple):
    """A gloss with its seconds, without the way to it and from it."""

    gloss: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """A sentence as it is signed once. ``main`` and ``other``: motions of the dominant hand and of
    the other one, both as right hands, at the same times."""

    who: Signer
    main: Motion
    other: Motion
    glosses: tuple[Timed, ...]


class _Habits:
    """What is the same whenever a signer signs: tempo, and how each sign is made."""

    def __init__(self, number: int, seed: int) -> None:
        rng = np.random.default_rng([seed, _SIGNERS + number])
        self.tempo = float(np.exp(rng.normal(0, 0.12)))
        self.size = float(np.exp(rng.normal(0, 0.08)))
        self.places = {name: rng.normal(0, 0.12, 3) for name in LEXICON}
        self.turns = {name: rng.normal(0, 6, 3) for name in LEXICON}
        self.rest = rng.normal(0, [0.25, 0.25, 0.1])


@dataclass(frozen=True)
class _Step:
    """What both hands do for some seconds; ``gloss`` None: they rest."""

    gloss: str | None
    main: Articulation
    other: Articulation


class _Signing:
    """One signer signs one sentence, ``rate`` poses a second."""

    def __init__(self, number: int, seed: int, rng: np.random.Generator, rate: float) -> None:
        self.who, self.hand = signing_signer(number, seed)
        self.habits, self.rng, self.rate = _Habits(number, seed), rng, rate

    def _frames(self, seconds: float) -> int:
        return max(2, round(seconds * self.rate))

    def rest(self, seconds: float) -> _Step:
        """Both hands before the lap."""
        hands = []
        for _ in range(2):
            pose = self._turned(self.hand.shape("5"), _REST_TURN, self.rng.normal(0, 6, 3))
            at = _REST + self.habits.rest + self.rng.normal(0, 0.1, 3)
            hands.append(_held(pose.replace(wrist=at[None]), self._frames(seconds)))
        return _Step(None, *hands)

    def sign(self, name: str, before: _Step, stays: bool) -> _Step:
        """A sign; ``stays``: the other hand, if it has nothing to do, waits where it is."""
        gloss, habits, rng = LEXICON[name], self.habits, self.rng
        seconds = (_MOVING[gloss.movement] + _SHAPE * (len(gloss.shapes) - 1)) / habits.tempo
        count = self._frames(seconds * float(np.exp(rng.normal(0, 0.1))))
        main = self._performed(gloss, count)
        if gloss.hands == "mirrored":
            other = self._performed(gloss, count)
        elif gloss.hands == "base":
            pose = self._turned(self.hand.shape(gloss.base), _BASE_TURN, habits.turns[name])
            at = self._place((*_BASE, _FORWARD["low"]), name)
            other = _held(pose.replace(wrist=at[None]), count)
        elif stays:
            other = _held(before.other[-1:], count)
        else:
            other = self.rest(count / self.rate).other
        return _Step(name, main, other)

    def _performed(self, gloss: Gloss, count: int) -> Articulation:
        s = np.linspace(0, 1, count)
        shapes = [self.hand.shape(letter) for letter in gloss.shapes]
        hand = _held(shapes[0], count)
        if len(shapes) == 2:
            hand = mix(hand, _held(shapes[1], count), _eased(np.clip(2 * s - 0.5, 0, 1)))
        jitter = self.habits.turns[gloss.name] + self.rng.normal(0, 5, 3)
        hand = self._turned(hand, (0.0, 0.0, 0.0), jitter)
        height = "high" if gloss.place[1] < _FACE else "low"
        offset = self._place((*gloss.place, _FORWARD[height]), gloss.name) - [*gloss.place, 0.0]
        motion = Motion(hand, s, gloss.name, ((gloss.name, 0.0, 1.0),))
        path = moved(motion, gloss, self.habits.size * float(self.rng.normal(1, 0.12)), _TURNS)
        return path.replace(wrist=path.wrist + offset)

    def _place(self, place: tuple[float, ...], name: str) -> Floats:
        at: Floats = np.array(place) * [self.habits.size, self.habits.size, 1.0]
        at += self.habits.places[name] + self.rng.normal(0, 0.1, 3)
        return at

    def _turned(
        self, hand: Articulation, degrees: tuple[float, ...], jitter: Floats
    ) -> Articulation:
        turn = Rotation.from_euler("xyz", degrees, degrees=True)
        turn = Rotation.from_rotvec(np.radians(jitter)) * turn
        return hand.replace(orientation=(turn * Rotation.from_quat(hand.orientation)).as_quat())

    def way(self, before: _Step, after: _Step) -> tuple[Articulation, Articulation]:
        """From the end of one step to the beginning of the next; without these two."""
        far = max(
            float(np.linalg.norm(b.wrist[0] - a.wrist[-1]))
            for a, b in ((before.main, after.main), (before.other, after.other))
        )
        seconds = (_WAY + _PALM_WAY * far) / self.habits.tempo
        count = self._frames(seconds * float(np.exp(self.rng.normal(0, 0.12))))
        s = _eased(np.linspace(0, 1, count + 2)[1:-1])
        main = mix(_held(before.main[-1:], count), _held(after.main[:1], count), s)
        other = mix(_held(before.other[-1:], count), _held(after.other[:1], count), s)
        return main, other


def _held(pose: Articulation, count: int) -> Articulation:
    return pose[np.zeros(count, np.intp)]


def _eased(s: Floats) -> Floats:
    """Minimum jerk."""
    return s**3 * (10 - 15 * s + 6 * s * s)


def _joined(hands: list[Articulation], smooth: float) -> Articulation:
    joined = Articulation(
        np.concatenate([hand.orientation for hand in hands]),
        np.concatenate([hand.angles for hand in hands]),
        np.concatenate([hand.lengths for hand in hands]),
        np.concatenate([hand.wrist for hand in hands]),
    )
    return joined.replace(
        wrist=gaussian_filter1d(joined.wrist, smooth, axis=0, mode="nearest"),
        angles=gaussian_filter1d(joined.angles, smooth, axis=0, mode="nearest"),
    )


def utter(
    words: tuple[str, ...],
    number: int,
    seed: int,
    rng: np.random.Generator,
    rate: float,
    *,
    substeps: int = 1,
) -> Utterance:
    """The signer of that number in the population of ``seed`` signs ``words``, of `LEXICON`:
    ``substeps`` poses for each of ``rate`` frames a second, and one more. Both hands rise from rest
    and go back there; the signer is right-handed.

    Raises:
        UsageError: no words, or others.
    """
    unknown = [word for word in words if word not in LEXICON]
    if unknown or not words:
        got = ", ".join(unknown) or "none"
        raise UsageError(f"words: expected some of {', '.join(LEXICON)}, got {got}")
    signing = _Signing(number, seed, rng, rate * substeps)
    both = [LEXICON[word].hands != "one" for word in words]
    steps = [signing.rest(rng.uniform(0.1, 0.35))]
    for place, word in enumerate(words):
        between = any(both[:place]) and any(both[place + 1 : place + 2])
        steps.append(signing.sign(word, steps[-1], between))
    steps.append(signing.rest(rng.uniform(0.1, 0.35)))
    main, other, spans, count = [steps[0].main], [steps[0].other], [], len(steps[0].main)
    for before, after in pairwise(steps):
        main_way, other_way = signing.way(before, after)
        main += [main_way, after.main]
        other += [other_way, after.other]
        start = count + len(main_way)
        count = start + len(after.main)
        if after.gloss is not None:
            spans.append(Timed(after.gloss, start / signing.rate, (count - 1) / signing.rate))
    # Whole frames, and the pose in which the last one ends.
    missing = -(count - 1) % substeps
    main.append(_held(main[-1][-1:], missing))
    other.append(_held(other[-1][-1:], missing))
    times = np.arange(count + missing) / signing.rate
    text = " ".join(words)
    smooth = _UNDERSHOT * signing.rate
    return Utterance(
        replace(signing.who, left_handed=False),
        Motion(_joined(main, smooth), times, text, tuple(spans)),
        Motion(_joined(other, smooth), times, text, ()),
        tuple(spans),
    )


@dataclass(frozen=True)
class Signing:
    """``clips`` sentences by ``signers`` made-up signers, each in one of train, dev and test; so is
    each sentence. The same ``seed`` gives the same ones.

    ``signers``: None for one for each thirty clips, at least ten. ``rate``: frames a second."""

    clips: int
    signers: int | None = None
    seed: int = 0
    rate: float = 12.5

    def __post_init__(self) -> None:
        check_corpus(self.clips, self.population, self.rate)
        parts(self.population)

    @property
    def population(self) -> int:
        """The number of signers."""
        return max(10, self.clips // 30) if self.signers is None else self.signers

    def describe(self, index: int) -> tuple[str, str, Part, tuple[str, ...]]:
        """Id, signer, part and glosses of a clip."""
        number = index % self.population
        part = parts(self.population)[number]
        rng = np.random.default_rng([self.seed, index, 1])
        words = sentence(rng)
        while part_of(words) != part:
            words = sentence(rng)
        return f"{part}-{index:06d}", f"synthetic-{self.seed}-{number:04d}", part, words

    def utterance(self, index: int, substeps: int = 1) -> Utterance:
        """What is signed in a clip."""
        rng = np.random.default_rng([self.seed, index, 2])
        words = self.describe(index)[3]
        number = index % self.population
        return utter(words, number, self.seed, rng, self.rate, substeps=substeps)
