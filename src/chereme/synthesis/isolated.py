"""Isolated signs of made-up signers, as the joints that a detector would have found: no pictures.

For experiments whose truth is known. A sign (`Gloss`) is one to three handshapes, held towards the
camera in some way, that move along a path; it is signed by one hand, by two that mirror each other,
or by one on another that keeps still. Signers differ in the shape of their hands, in how they form
handshapes, in speed and in what hand they sign with; each clip has its view and its detector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from chereme.datasets.pose_clips import Entry, PoseClip
from chereme.datasets.registry import Kind, dataset
from chereme.errors import UsageError
from chereme.hand_model import HandLayer
from chereme.hands.camera import Camera
from chereme.hands.skeleton import palm_size
from chereme.synthesis.articulation import Articulation, decode, encode, mix
from chereme.synthesis.corpus import Part, check_corpus, open_hand, parts, signer
from chereme.synthesis.detection import detector_noise, lost_frames, mistake_fast_frames
from chereme.synthesis.handshapes import to_exemplars
from chereme.synthesis.signers import Signer
from chereme.synthesis.spelling import Motion, Speller
from chereme.synthesis.style import SpellingStyle

Floats = NDArray[np.floating[Any]]
Hands = Literal["one", "mirrored", "base"]
Movement = Literal["none", "line", "arc", "circle", "shake"]

# Letters and digits whose handshapes differ by more than how they are held, and that do not move.
_SHAPES = "abcdefiklmorsuvwxy3578"
_TURNS = ((0, 0, 0), (0, 0, 70), (0, 0, -60), (0, 75, 0), (-55, 0, 0), (0, 180, 0))  # degrees
_MOVEMENTS: tuple[Movement, ...] = ("none", "line", "arc", "circle", "shake")
_SLOWER = 1.6  # a handshape of a sign takes longer than a letter of a word
_APART = 2.2  # palms from the middle of the body to where a hand begins
_WIDTH, _HEIGHT = 640, 480
_PALMS = (20.0, 48.0)  # pixels: from a signer some steps away to one before a webcam
_GLOSSES, _VIEW = 1 << 21, 1 << 22  # keep the seeds of the lexicon and of views apart from others


@dataclass(frozen=True)
class Gloss:
    """A sign. ``turns``: how it is held when it begins and when it ends, numbers of ``_TURNS``.
    ``base``: the handshape of the other hand, of ``hands`` "base". ``reach (2,)`` palms: how far
    and where to the movement goes; ``place (2,)`` palms: where it begins."""

    name: str
    shapes: str
    turns: tuple[int, int]
    hands: Hands
    base: str
    movement: Movement
    reach: tuple[float, float]
    place: tuple[float, float]

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells it from others, seen in the hands alone, without their paths."""
        return self.shapes, self.turns, self.hands, self.base


@lru_cache(maxsize=8)
def lexicon(glosses: int, seed: int) -> tuple[Gloss, ...]:
    """So many signs; no two are alike but for their paths, and some differ in one thing alone."""
    if glosses < 2:
        raise UsageError(f"glosses: expected at least 2, got {glosses}")
    rng = np.random.default_rng([seed, _GLOSSES])
    found: list[Gloss] = []
    known: set[tuple[Any, ...]] = set()
    while len(found) < glosses:
        gloss = _gloss(f"sign-{len(found):04d}", rng)
        if found and rng.random() < 0.3:
            gloss = _neighbour(gloss, found[int(rng.integers(len(found)))], rng)
        if gloss.identity not in known:
            known.add(gloss.identity)
            found.append(gloss)
    return tuple(found)


def _gloss(name: str, rng: np.random.Generator) -> Gloss:
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
    shapes = "".join(rng.choice(list(_SHAPES), count, replace=False))
    start = int(rng.integers(len(_TURNS)))
    end = int(rng.integers(len(_TURNS))) if rng.random() < 0.3 else start
    hands = cast(Hands, str(rng.choice(["one", "mirrored", "base"], p=[0.5, 0.3, 0.2])))
    base = str(rng.choice(list(_SHAPES))) if hands == "base" else ""
    way = rng.uniform(0, 2 * np.pi)
    far = rng.uniform(0.8, 2.2)
    return Gloss(
        name,
        shapes,
        (start, end),
        hands,
        base,
        _MOVEMENTS[int(rng.integers(len(_MOVEMENTS)))],
        (float(far * np.cos(way)), float(far * np.sin(way))),
        (float(rng.normal(0, 0.5)), float(rng.normal(0, 0.8))),
    )


def _neighbour(new: Gloss, old: Gloss, rng: np.random.Generator) -> Gloss:
    """``old`` with one thing of ``new``."""
    near = replace(old, name=new.name)
    kind = rng.integers(3)
    if kind == 0:
        return replace(near, shapes=new.shapes)
    if kind == 1:
        return replace(near, turns=new.turns)
    return replace(near, hands=new.hands, base=new.base)


# -- signing ---------------------------------------------------------------------------------------
class SigningHand:
    """The hand of one signer: it forms handshapes, and has the same bones in each clip."""

    def __init__(self, who: Signer) -> None:
        layer = open_hand()
        template = layer.template
        own = HandLayer(
            replace(template, v_template=template.v_template + template.shapedirs @ who.betas),
            flat_hand_mean=True,
        )
        exemplars = to_exemplars(who.handshapes, own)
        self.speller = Speller(exemplars, mixing=0.0)
        self.poses = encode(exemplars.landmarks.astype(np.float64))
        self._labels = [str(label) for label in exemplars.label]
        with torch.no_grad():
            rest = own(torch.zeros(1, 10), torch.zeros(1, 45), torch.zeros(1, 3)).joints
        joints = rest.double().numpy()
        self.lengths = encode(joints).lengths
        self.palm = float(palm_size(joints)[0])  # metres

    def sign(
        self, shapes: str, style: SpellingStyle, rng: np.random.Generator, substeps: int = 1
    ) -> Motion:
        """These handshapes one after the other, with the bones of this signer."""
        motion = self.speller.perform(shapes, rng, style, substeps=substeps)
        lengths = np.broadcast_to(self.lengths, (len(motion.hand), 5, 4))
        return replace(motion, hand=motion.hand.replace(lengths=lengths))

    def shape(self, letter: str) -> Articulation:
        """The handshape of a letter or digit, one frame, its wrist at the origin."""
        pose = self.poses[[self._labels.index(letter)]]
        return pose.replace(lengths=self.lengths, wrist=np.zeros((1, 3)))

    def any_pose(self, rng: np.random.Generator) -> Articulation:
        """One of the handshapes."""
        return self.poses[[int(rng.integers(len(self.poses)))]]


@lru_cache(maxsize=512)
def signing_signer(number: int, seed: int) -> tuple[Signer, SigningHand]:
    """The signer of that number in the population of ``seed``, and their hand."""
    who = signer(number, seed)
    return who, SigningHand(who)


@dataclass(frozen=True)
class Performance:
    """A gloss as a signer signs it once: ``motion`` of the signing hand, ``other`` what the other
    hand does meanwhile, as if it were a right one too, or None while it is out of sight."""

    who: Signer
    style: SpellingStyle
    motion: Motion
    other: Articulation | None


def perform(
    gloss: Gloss,
    number: int,
    seed: int,
    rng: np.random.Generator,
    rate: float,
    *,
    substeps: int = 1,
) -> Performance:
    """The signer of that number in the population of ``seed`` signs ``gloss``: ``substeps`` poses
    for each of ``rate`` frames a second."""
    who, hand = signing_signer(number, seed)
    style = who.style(rng, len(gloss.shapes), rate)
    style = replace(style, letter_seconds=_SLOWER * style.letter_seconds, drift=0.05)
    motion = hand.sign(gloss.shapes, style, rng, substeps)
    motion = replace(motion, hand=moved(motion, gloss, float(rng.normal(1, 0.15))))
    other = _other(gloss, hand, motion.hand, style, rng, rate * substeps)
    return Performance(who, style, motion, other)


def moved(
    motion: Motion,
    gloss: Gloss,
    size: float,
    turnings: Sequence[tuple[float, float, float]] = _TURNS,
) -> Articulation:
    """The hand of ``motion`` turned and moved as the gloss has it, from its first span to its last;
    ``size``: of the movement; ``turnings``: what its ``turns`` are numbers of, degrees."""
    hand = motion.hand
    begin, end = motion.spans[0][1], motion.spans[-1][2]
    s = np.clip((motion.times - begin) / max(end - begin, 1e-6), 0, 1)
    s = s * s * (3 - 2 * s)
    turns = Rotation.from_euler("xyz", [turnings[turn] for turn in gloss.turns], degrees=True)
    turned = Slerp([0, 1], turns)(s) * Rotation.from_quat(hand.orientation)
    reach = np.array(gloss.reach)
    aside = np.array([-reach[1], reach[0]])
    along: Floats = np.zeros(len(s))
    across: Floats = np.zeros(len(s))
    if gloss.movement in ("line", "arc"):
        along = s
        across = 0.5 * np.sin(np.pi * s) if gloss.movement == "arc" else across
    elif gloss.movement == "circle":
        along, across = 0.5 * np.sin(2 * np.pi * s), 0.5 * (1 - np.cos(2 * np.pi * s))
    elif gloss.movement == "shake":
        along = 0.3 * np.sin(6 * np.pi * s)
    path = size * (along[:, None] * reach + across[:, None] * aside) + np.array(gloss.place)
    wrist = hand.wrist + np.pad(path, ((0, 0), (0, 1)))
    return hand.replace(orientation=turned.as_quat(), wrist=wrist)


def _resampled(hand: Articulation, count: int) -> Articulation:
    """``hand`` in ``count`` frames."""
    at = np.linspace(0, len(hand) - 1, count)
    low = at.astype(int)
    high = np.minimum(low + 1, len(hand) - 1)
    return mix(hand[low], hand[high], at - low)


def _other(
    gloss: Gloss,
    hand: SigningHand,
    signing: Articulation,
    style: SpellingStyle,
    rng: np.random.Generator,
    rate: float,
) -> Articulation | None:
    """What the other hand does meanwhile, ``rate`` poses a second; None: it is out of sight."""
    frames = len(signing)
    if gloss.hands == "mirrored":
        # A little late or early, as no two hands are quite together.
        late = np.clip(np.arange(frames) - int(rng.integers(-1, 2)), 0, frames - 1)
        return signing[late]
    if gloss.hands == "base":
        calm = replace(style, rise=False, sink=False, cut_start=False, cut_end=False)
        base = _resampled(hand.sign(gloss.base, calm, rng).hand, frames)
        return base.replace(wrist=base.wrist + np.array([0.6, 1.2, 0.0]))
    if rng.random() < 0.6:
        return None
    idle = hand.speller.rest(rng, style, seconds=frames / rate, calm=True).hand
    lengths = np.broadcast_to(hand.lengths, (len(idle), 5, 4))
    idle = _resampled(idle.replace(lengths=lengths), frames)
    return idle.replace(wrist=idle.wrist + np.array([0.0, 3.0, 0.0]))


@dataset("isolated", Kind.SYNTHETIC_POSES)
@dataclass(frozen=True)
class IsolatedSigns:
    """Isolated signs of made-up signers, as the joints that a detector would find.

    No signer is in two of train, dev and test; every signer signs all signs equally often, as far
    as the number of clips goes.

    Args:
        clips: how many.
        glosses: how many signs.
        signers: how many; if not given one for each 40 clips, at least 10.
        seed: the same seed gives the same clips.
        lexicon_seed: of the signs, so that other signers can sign the same, or the same other ones.
        rate: frames a second.
        noise: of a detector; without it, joints are the true ones and all are seen.
    """

    clips: int
    glosses: int = 50
    signers: int | None = None
    seed: int = 0
    lexicon_seed: int = 0
    rate: float = 25.0
    noise: bool = True

    def __post_init__(self) -> None:
        check_corpus(self.clips, self.population, self.rate)

    @property
    def population(self) -> int:
        """The number of signers."""
        return max(10, self.clips // 40) if self.signers is None else self.signers

    def __len__(self) -> int:
        return self.clips

    def describe(self, index: int) -> tuple[str, Part]:
        """Id and split of a clip."""
        part = parts(self.population)[index % self.population]
        return f"isolated-{self.seed}-{index:06d}", part

    def gloss(self, index: int) -> Gloss:
        """What is signed in a clip."""
        who, turn = index % self.population, index // self.population
        order = np.random.default_rng([self.seed, _VIEW, who]).permutation(self.glosses)
        return lexicon(self.glosses, self.lexicon_seed)[int(order[turn % self.glosses])]

    def clip(self, index: int) -> PoseClip:
        """The clip of that number."""
        name, part = self.describe(index)
        gloss = self.gloss(index)
        number = index % self.population
        hand = signing_signer(number, self.seed)[1]
        rng = np.random.default_rng([self.seed, index])
        performance = perform(gloss, number, self.seed, rng, self.rate)
        who, style = performance.who, performance.style
        signing = performance.motion.hand
        both = [signing, performance.other]
        view = _View(rng, hand.palm)
        frames = len(signing)
        joints = np.full((frames, 2, 21, 2), np.nan, np.float32)
        confidence = np.zeros((frames, 2, 21), np.float32)
        for number, pose in enumerate(both):
            if pose is None:
                continue
            # The picture of a signer: the right hand is on the left. Motions are of right hands.
            left = (number == 1) != who.left_handed
            points, sure = self._detected(pose, hand, style, rng)
            points = points + np.array([-_APART, 0.0, 0.0])
            pixels = view.project(points * [-1.0, 1.0, 1.0] if left else points)
            seen = view.sees(pixels) & (sure > 0)
            slot = 0 if left else 1
            joints[seen, slot] = pixels[seen]
            confidence[seen, slot] = sure[seen, None]
        entry = Entry(name, gloss.name, who.name, part, self.rate, frames)
        return PoseClip(entry, joints, confidence)

    def _detected(
        self, hand: Articulation, of: SigningHand, style: SpellingStyle, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Joints ``(T, 21, 3)`` in palms, and how sure the detector is of each frame ``(T,)``."""
        frames = len(hand)
        if not self.noise:
            return decode(hand), np.ones(frames)
        speed = np.zeros(frames)
        if frames > 1:
            speed = np.linalg.norm(np.gradient(hand.wrist, axis=0), axis=1) * self.rate
        hand = mistake_fast_frames(hand, lambda: of.any_pose(rng), self.rate, rng)
        points = decode(hand)
        points = points + detector_noise(points, style, rng)
        sure = np.clip(0.95 - 0.04 * speed + rng.normal(0, 0.04, frames), 0.2, 1.0)
        return points, np.where(lost_frames(frames, style.dropout, rng), 0.0, sure)

    def __iter__(self) -> Iterator[PoseClip]:
        """The clips in which a hand is seen."""
        return (clip for clip in map(self.clip, range(len(self))) if clip.present.any())


class _View:
    """A camera some way off, and where the signer stands in its picture."""

    def __init__(self, rng: np.random.Generator, palm: float) -> None:
        self.camera = Camera.from_field_of_view(_WIDTH, _HEIGHT, rng.uniform(48, 70))
        pixels = float(np.exp(rng.uniform(*np.log(_PALMS))))
        self.palm = palm
        depth = self.camera.fy * palm / pixels
        aside, down = rng.normal(0, 0.06 * _WIDTH), rng.normal(0.05, 0.04) * _HEIGHT
        self.origin = np.array([aside, down, self.camera.fx]) * depth / self.camera.fx

    def project(self, points: Floats) -> Floats:
        """``(T, 21, 3)`` palms from the signer's chest -> ``(T, 21, 2)`` pixels."""
        return self.camera.project(points * self.palm + self.origin)

    def sees(self, pixels: Floats) -> NDArray[np.bool_]:
        """``(T,)``: frames in which half of the hand is in the picture."""
        inside = ((pixels >= 0) & (pixels < [_WIDTH, _HEIGHT])).all(-1)
        seen: NDArray[np.bool_] = inside.mean(axis=1) >= 0.5
        return seen
