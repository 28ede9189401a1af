"""Clips of words made of real photographs of letters: hands as they are, motion as it might be.

A network that has only seen rendered hands meets other skin, light and cameras in a recording.
Photographs of letters show these. Here one person's photographs are held, moved a little and faded
into each other as a hand that spells: each has its place on a canvas, wrist on wrist and palm as
large as palm, that wanders as hands do. J and Z, which are movements, are not among them.

The collections, and the landmarks that MediaPipe found in each picture, are read in the layout of
the data folder (``letters_studio``, ``letters_wild``, ``handshapes_261``, ``letters_landmarks``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from chereme.datasets.clips import CropSettings, TrackedClip, sample_of
from chereme.datasets.letter_collections import (
    LETTERS,
    MOVING,
    UPRIGHT_LETTERS,
    collection_file,
    rows_of,
)
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.shards import SIZE, jpeg_of
from chereme.datasets.words import ACOUSTIC_SHARES, TextSampler
from chereme.errors import InputError, UsageError
from chereme.hands.crop import crop
from chereme.hands.skeleton import mirror, palm_size
from chereme.synthesis.rendering.background import clutter
from chereme.synthesis.rendering.film import compress, srgb_encode
from chereme.types import FloatArray, HandTrack

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]
Split = Literal["train", "dev", "test"]
_CANVAS = 384  # pixels; what a hand moves in
_PALM = (34.0, 60.0)  # pixels of a palm on it
_STORED = 220  # pixels of the longer side that photographs are kept at
_LETTERS = "".join(letter for letter in LETTERS if letter not in MOVING)
# Grey levels from black, or from white, up to which a pixel is no part of a hand that was cut out;
# the second, stricter one for what the hand encloses: shadows between fingers are dark too.
_GROUND, _ENCLOSED = 22, 9
_LEAST_HOLE = 0.012  # of the hand's area
_UNLIKE = 0.6  # palm lengths from the median of its letter: landmarks that are of something else


class Photograph(NamedTuple):
    """One picture of a right hand: ``landmarks (21, 3)`` pixels, ``world (21, 3)`` metres.

    ``flip``: the file shows a left hand; ``aspect``: what its width is to be multiplied by;
    ``ground``: the grey level that the hand was cut out on, None where it was not; ``light``: name
    of the lighting, where it is known. The landmarks are of the picture as it should be.
    """

    path: Path
    label: str
    signer: str
    landmarks: Floats
    world: Floats
    aspect: float
    flip: bool
    ground: int | None
    light: str


@cache
def photographs(root: Path) -> tuple[Photograph, ...]:
    """All pictures of letters under ``root`` in which a hand was found.

    InputError if a collection is missing or of another layout.
    """
    found: list[Photograph] = []
    upright = {
        row["path"]: next((c for c in row["fingerspelling"].split(",") if c in UPRIGHT_LETTERS), "")
        for row in rows_of(collection_file(root, "handshapes_261/index.csv"))
        if row["angle"] == "1" and row["fingerspelling"]
    }
    for file, folder, ending, aspect in (
        ("letters_landmarks/letters_studio_landmarks.npz", "", "", 1.0),
        ("letters_landmarks/letters_wild_landmarks.npz", "", "_ar", 0.75),
        ("handshapes_261/handshapes_261_landmarks.npz", "handshapes_261", "", 1.0),
    ):
        manual = bool(folder)
        with np.load(collection_file(root, file), allow_pickle=False) as arrays:
            paths = [str(path) for path in arrays["path"]]
            labels = [upright.get(p, "") for p in paths] if manual else arrays["label"].tolist()
            studio = "signer" in arrays
            signers = arrays["signer"].tolist() if studio else ["manual" if manual else "wild"]
            points, world = arrays[f"image_landmarks{ending}"], arrays[f"world_landmarks{ending}"]
            sizes, sides = arrays["image_size"], arrays[f"handedness{ending}"]
        for index, (path, label) in enumerate(zip(paths, labels, strict=True)):
            if label not in _LETTERS or not label or not np.isfinite(points[index]).all():
                continue
            width, height = sizes[index] * np.array([aspect, 1.0])
            pixels = points[index].astype(np.float64) * [width, height, width]
            # The collections of the studio and of the manual are of right hands throughout.
            flip = not (studio or manual) and str(sides[index]).lower() == "left"
            found.append(
                Photograph(
                    root / folder / path,
                    label,
                    signers[index if studio else 0],
                    mirror(pixels, width) if flip else pixels,
                    mirror(world[index], None) if flip else world[index],
                    aspect,
                    flip,
                    0 if studio else 255 if manual else None,
                    path.split("_")[3] if studio else "",  # hand1_a_bot_seg_1_cropped.jpeg
                )
            )
    return tuple(photo for photo, good in zip(found, _alike(found), strict=True) if good)


def _alike(found: Sequence[Photograph]) -> NDArray[np.bool_]:
    """Whether the landmarks of each are like most of its letter's: a few are of something else."""
    shapes = np.stack([_upright(p.world) for p in found])
    labels = np.array([p.label for p in found])
    good = np.ones(len(found), bool)
    for label in set(labels.tolist()):
        own = labels == label
        if own.sum() > 4:
            apart = np.linalg.norm(shapes[own] - np.median(shapes[own], axis=0), axis=-1)
            good[own] = apart.mean(axis=1) < _UNLIKE
    return good


def _upright(world: Floats) -> Floats:
    """The joints about the wrist, in palm lengths, turned so that the palm points up."""
    joints = (world - world[0]) / palm_size(world)
    x, y = joints[9, :2] / np.linalg.norm(joints[9, :2])
    turn = np.array([[-y, x, 0.0], [-x, -y, 0.0], [0.0, 0.0, 1.0]])
    upright: Floats = joints @ turn.T
    return upright


@lru_cache(maxsize=1500)
def _opened(
    path: Path, aspect: float, flip: bool, ground: int | None
) -> tuple[Picture, Picture | None, float]:
    """The picture, which part of it is the hand (None: all is shown), and its scale."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise InputError(f"{path}: expected a photograph, it could not be read")
    height, width = image.shape[:2]
    scale = min(1.0, _STORED / max(width * aspect, height))
    size = (round(width * aspect * scale), round(height * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if flip:
        image = np.ascontiguousarray(image[:, ::-1])
    picture: Picture = np.asarray(image, np.uint8)
    return picture, None if ground is None else _hand_of(picture, ground), scale


def _hand_of(image: Picture, ground: int) -> Picture:
    """The hand that was cut out on ``ground``, 0 to 255: the largest part that differs from it."""
    apart = np.abs(image.astype(np.int16) - ground).max(axis=2)
    light = (apart > _GROUND).astype(np.uint8)
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))  # type: ignore[assignment]
    outlines, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hand = np.zeros(image.shape[:2], np.uint8)
    if outlines:
        cv2.drawContours(hand, [max(outlines, key=cv2.contourArea)], -1, (255,), cv2.FILLED)
        holes = ((apart <= _ENCLOSED) & (hand > 0)).astype(np.uint8)
        _, parts, about, _ = cv2.connectedComponentsWithStats(holes, connectivity=4)
        wide = about[:, cv2.CC_STAT_AREA] > _LEAST_HOLE * (hand > 0).sum()
        wide[0] = False
        hand[wide[parts]] = 0
    hand = cv2.erode(hand, np.ones((3, 3), np.uint8))  # type: ignore[assignment]
    return np.asarray(cv2.GaussianBlur(hand, (0, 0), 0.8), np.uint8)


@dataset("photographs", Kind.SYNTHETIC_CROPS)
@dataclass(frozen=True)
class PhotographClips:
    """Words and letters made of photographs of letters, held, moved and faded into each other.

    Args:
        root: the folder of letters_studio, letters_wild, handshapes_261 and letters_landmarks.
        clips: how many.
        seed: the same seed gives the same clips.
        rate: frames a second.
        size: pixels of a side of the crops.
        dev: signers of the split dev: of hand1 to hand5 (the studio), wild (many people), manual.
        test: signers of the split test, likewise; the others are to train on.
    """

    root: Path
    clips: int
    seed: int = 0
    rate: float = 20.0
    size: int = SIZE
    dev: list[str] | None = None
    test: list[str] | None = None

    name = "photographs"

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise UsageError(f"clips: expected at least 1, got {self.clips}")
        if unknown := {*(self.dev or ()), *(self.test or ())} - set(self._signers):
            raise UsageError(
                f"signers: expected some of {', '.join(self._signers)}, got "
                f"{', '.join(sorted(unknown))}"
            )

    @cached_property
    def settings(self) -> CropSettings:
        """How crops are cut."""
        return CropSettings(size=self.size)

    def __len__(self) -> int:
        return self.clips

    @property
    def photos(self) -> tuple[Photograph, ...]:
        """What clips are made of."""
        return photographs(self.root)

    @property
    def _signers(self) -> list[str]:
        # Drawn by the root of how many pictures there are: neither one person nor one room rules.
        return sorted({photo.signer for photo in self.photos})

    def _signer(self, index: int) -> str:
        signers = self._signers
        counts = [sum(p.signer == s for p in self.photos) for s in signers]
        shares = np.sqrt(counts) / np.sqrt(counts).sum()
        return str(np.random.default_rng([self.seed, index, 1]).choice(signers, p=shares))

    def describe(self, index: int) -> tuple[str, Split]:
        """Id and split of a clip."""
        signer = self._signer(index)
        dev, test = self.dev or (), self.test or ()
        split: Split = "dev" if signer in dev else "test" if signer in test else "train"
        return f"photographs-{self.seed}-{index:06d}", split

    def clip(self, index: int) -> TrackedClip:
        """The clip of that number, its vectors left to teachers."""
        name, split = self.describe(index)
        rng = np.random.default_rng([self.seed, index, 2])
        signer = self._signer(index)
        own: dict[str, list[Photograph]] = {}
        for photo in self.photos:
            if photo.signer == signer:
                own.setdefault(photo.label, []).append(photo)
        text = _text(rng, "".join(own))
        light = str(rng.choice(sorted({p.light for photos in own.values() for p in photos})))
        shown = []
        for letter in text:
            alike = [photo for photo in own[letter] if photo.light == light] or own[letter]
            shown.append(alike[int(rng.integers(len(alike)))])
        motion = _Motion.sample(text, shown, self.rate, rng)
        track = motion.track(self.rate)
        boxes = self.settings.boxes(motion.as_detected(track, rng))
        look = _look(rng, self.size)
        background = _room(rng) if shown[0].ground is not None else None
        jpegs = tuple(
            jpeg_of(look(picture), self.settings.quality)
            for picture in motion.pictures(boxes, self.size, background)
        )
        about = {"id": name, "label": text, "signer": signer, "split": split, "rate": self.rate}
        sample = sample_of(track, boxes, jpegs, self.size, **about)
        return TrackedClip(sample, track, Path(name))


def _text(rng: np.random.Generator, letters: str) -> str:
    """A single letter, a word, or a string of letters."""
    kind = rng.random()
    if kind < 0.3:
        return str(rng.choice(list(letters)))
    if kind < 0.65:
        words = TextSampler(shares=ACOUSTIC_SHARES, split="train", max_length=6)
        for _ in range(20):
            word = words.sample(rng)
            if set(word) <= set(letters):
                return word
    return "".join(rng.choice(list(letters), int(rng.integers(2, 7))))


def _room(rng: np.random.Generator) -> Picture:
    """What is behind a hand that was cut out."""
    room = np.clip(clutter(rng, _CANVAS, _CANVAS), 0, 1)
    encoded: Picture = np.rint(255 * srgb_encode(room)).astype(np.uint8)
    return encoded


def _look(rng: np.random.Generator, size: int) -> Callable[[Picture], Picture]:
    """What a camera and the compression of a video do to all pictures of a clip."""
    small = int(rng.uniform(0.35, 1.0) * size)
    quality = int(rng.uniform(40, 95))
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.06, 3))

    def tone_map(picture: Picture) -> Picture:
        tiny = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        lit = np.clip(tiny * gain, 0, 255).astype(np.uint8)
        seen = compress(lit, quality)
        return np.asarray(cv2.resize(seen, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)

    return tone_map


@dataclass(frozen=True, eq=False)
class _Motion:
    """``shown`` photographs in T frames: ``weights (T, N)`` of each, sums of 1; where their wrists
    are ``(T, 2)``, how they are turned ``(T,)`` radians and how large a palm is ``(T,)``, pixels.
    """

    shown: Sequence[Photograph]
    weights: Floats
    wrist: Floats
    roll: Floats
    palm: Floats

    @classmethod
    def sample(
        cls, text: str, shown: Sequence[Photograph], rate: float, rng: np.random.Generator
    ) -> _Motion:
        seconds = float(np.clip(rng.lognormal(np.log(0.28), 0.4), 0.12, 0.7))
        holds = seconds * np.exp(rng.normal(0, 0.2, len(text))) * rng.uniform(0.4, 0.9)
        if len(text) == 1:
            holds += 0.3
        holds[[0, -1]] += rng.uniform(0, 0.4, 2) * (rng.random(2) < 0.5)
        moves = seconds * rng.uniform(0.25, 0.6, len(text) - 1)
        ends = np.cumsum(holds) + np.concatenate([[0.0], np.cumsum(moves)])
        # Knots: each photograph alone from its start to its end, the next one after the move.
        knots = np.column_stack([ends - holds, ends]).ravel()
        letters = np.repeat(np.arange(len(text)), 2).astype(float)
        frames = max(3, int(ends[-1] * rate))
        times = (np.arange(frames) + 0.5) / frames * ends[-1]
        at = np.interp(times, knots, letters)
        part = at % 1
        part = part * part * (3 - 2 * part)
        low = np.minimum(at.astype(int), len(text) - 1)
        weights = np.zeros((frames, len(text)))
        weights[np.arange(frames), low] = 1 - part
        weights[np.arange(frames), np.minimum(low + 1, len(text) - 1)] += part
        palm = float(np.exp(rng.uniform(*np.log(_PALM))))
        wander = _wander(frames, rate, rng)
        places = np.cumsum(rng.normal(0, 0.12, (len(text), 2)), axis=0)
        for second in range(1, len(text)):
            if text[second] == text[second - 1]:  # the second of two slides aside
                places[second:] += [rng.uniform(0.25, 0.6), 0.0]
        wrist = palm * (weights @ places + 0.25 * wander[:, :2])
        middle = np.array([0.5, 0.62]) * _CANVAS
        turns = rng.normal(0, np.radians(5)) + rng.normal(0, np.radians(3), len(text))
        return cls(
            shown,
            weights,
            middle + wrist - wrist.mean(axis=0),
            weights @ turns + np.radians(3) * wander[:, 2],
            palm * np.exp(weights @ rng.normal(0, 0.03, len(text)) + 0.03 * wander[:, 3]),
        )

    def _onto_canvas(self, frame: int, letter: int) -> Floats:
        """``(2, 3)``: from the pixels of a photograph, as it should be, to those of the canvas."""
        photo = self.shown[letter]
        scale = self.palm[frame] / float(palm_size(photo.landmarks))
        c, s = scale * np.cos(self.roll[frame]), scale * np.sin(self.roll[frame])
        turn = np.array([[c, -s], [s, c]])
        move = self.wrist[frame] - turn @ photo.landmarks[0, :2]
        return np.column_stack([turn, move])

    def track(self, rate: float) -> HandTrack:
        """The hand on the canvas; between two letters its joints are those of both, by weight."""
        frames = len(self.weights)
        points, world = np.zeros((frames, 21, 3)), np.zeros((frames, 21, 3))
        for frame in range(frames):
            for letter in np.flatnonzero(self.weights[frame]).tolist():
                weight, photo = self.weights[frame, letter], self.shown[letter]
                onto = self._onto_canvas(frame, letter)
                flat = photo.landmarks[:, :2] @ onto[:, :2].T + onto[:, 2]
                deep = photo.landmarks[:, 2:] * np.linalg.norm(onto[:, 0])
                points[frame] += weight * np.concatenate([flat, deep], axis=1)
                c, s = np.cos(self.roll[frame]), np.sin(self.roll[frame])
                turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
                world[frame] += weight * photo.world @ turn.T
        return HandTrack(
            points.astype(np.float32),
            np.ones((frames, 21), np.float32),
            np.arange(frames) / rate,
            _CANVAS,
            _CANVAS,
            "right",
            world_landmarks=world.astype(np.float32),
        )

    def as_detected(self, track: HandTrack, rng: np.random.Generator) -> HandTrack:
        """``track`` with the errors of a detector from frame to frame, for its boxes."""
        noise = 0.03 * float(self.palm.mean()) * rng.standard_normal(track.landmarks.shape)
        points = (track.landmarks + noise).astype(np.float32)
        return HandTrack(
            points, track.confidence, track.timestamps, track.width, track.height, "right"
        )

    def pictures(self, boxes: FloatArray, size: int, background: Picture | None) -> list[Picture]:
        """The crops ``(size, size, 3)`` of all frames; photographs that were not cut out bring
        their own background."""
        speeds = np.gradient(self.wrist, axis=0)
        pictures = []
        for frame, box in enumerate(boxes):
            scale = size / (box[2] - box[0])
            total: Floats = np.zeros((size, size, 3), np.float32)
            cover = np.zeros((size, size, 1), np.float32)
            for letter in np.flatnonzero(self.weights[frame]).tolist():
                onto = self._onto_canvas(frame, letter)
                onto = scale * (onto - np.array([[0, 0, box[0]], [0, 0, box[1]]]))
                colour, hand = _warped(self.shown[letter], onto, size)
                weight = np.float32(self.weights[frame, letter])
                total += weight * colour * hand
                cover += weight * hand
            moving = 1 - float((self.weights[frame] ** 2).sum())
            streak = 0.5 * scale * speeds[frame]
            blended = _streaked(np.concatenate([total, cover], axis=2), streak, 2.5 * moving)
            total, cover = blended[..., :3], blended[..., 3:]
            if background is not None:
                total = total + (1 - cover) * crop(background, box, size)
            else:
                total = total / np.maximum(cover, 1e-3)
            pictures.append(np.clip(np.rint(total), 0, 255).astype(np.uint8))
        return pictures


def _warped(photo: Photograph, onto: Floats, size: int) -> tuple[Floats, Floats]:
    """A photograph in a crop: colours ``(size, size, 3)``, and 0 to 1 where it covers
    ``(size, size, 1)``."""
    image, hand, scale = _opened(photo.path, photo.aspect, photo.flip, photo.ground)
    # cv2 has pixel centres at whole numbers; ours lie at halves.
    linear = onto[:, :2] / scale
    matrix = np.column_stack([linear, onto[:, 2] + linear @ [0.5, 0.5] - 0.5])
    flags = cv2.INTER_AREA if np.linalg.norm(linear[:, 0]) < 0.7 else cv2.INTER_LINEAR
    colour = cv2.warpAffine(
        image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    if hand is None:
        return colour, np.ones((size, size, 1), np.float32)
    cover = cv2.warpAffine(hand, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return colour, (cover.astype(np.float32) / 255)[..., None]


def _streaked(picture: Any, streak: Floats, blur: float) -> Floats:
    """``picture`` as it is when it moves by ``streak`` pixels while the shutter is open."""
    length = float(np.hypot(*streak))
    if length > 1:
        reach = int(np.ceil(length / 2))
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        ends = [[round(reach + side * float(v) / 2) for v in streak] for side in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], (1.0,))
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    if blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    blended: Floats = picture
    return blended


def _wander(frames: int, rate: float, rng: np.random.Generator) -> Floats:
    """``(frames, 4)`` smooth random movement, deviation 1."""
    steps = rng.standard_normal((frames + int(2 * rate), 4))
    window = np.hanning(max(3, int(rate)))
    window /= np.sqrt((window**2).sum())
    return np.stack(
        [np.convolve(column, window, "same")[int(rate) : int(rate) + frames] for column in steps.T],
        axis=1,
    )
