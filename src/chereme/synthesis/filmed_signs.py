"""Isolated signs of made-up signers, rendered as crops of the hands that sign, or as whole frames.

The motions are those of `chereme.synthesis.isolated`; what is filmed is what `RenderedClips` films.
Some glosses are pairs that differ in nothing but where the hand is relative to the body, which its
crops do not show. What a detector would find in the whole frame, and the true joints, go with each
clip as the vectors of "teachers" (`Known`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.clips import AS_SERVED, CropSettings, TrackedClip, in_crop, sample_of
from chereme.datasets.shards import jpeg_of
from chereme.errors import InputError, UsageError
from chereme.hands.camera import Camera
from chereme.hands.crop import crop
from chereme.hands.skeleton import JOINT_NAMES, mirror, palm_size
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.synthesis.corpus import Part, check_corpus, open_hand, signer
from chereme.synthesis.isolated import Gloss, lexicon, perform
from chereme.synthesis.rendered_clips import SUBSTEPS, RenderedClip
from chereme.synthesis.rendering.film import compress
from chereme.synthesis.scenes import Scene
from chereme.teachers import Clip, ClipEmbeddings
from chereme.types import FloatArray, Handedness, HandTrack
from chereme.video.letterbox import resized

Floats = NDArray[np.floating[Any]]
JOINTS = "joints"
"""Name of the vectors with the true joints: (21 x 3) pixels of the crop, z in the same scale."""
LAYOUT = "openpose_137"
"""Layout of the keypoints of the whole frame, and name of their vectors: (N x 3) x and y as parts
of the frame's width and height, and the confidence."""

_PLACES = {"high": -1.8, "low": 1.2}  # palms below where other signs begin
_ENOUGH = 64  # times as many signs are looked through as are wanted
_HEIGHTS = (180, 300)  # pixels of the frames that crops are cut from
_PALMS = (0.085, 0.13)  # of a frame's height: a signer from the waist up
_PALM = 0.095  # metres
_OFFSET = 0.08  # palm lengths: of a box, throughout a clip
_ERROR, _LARGE_ERROR, _LARGE_SHARE = 0.06, 0.5, 0.08  # palm lengths: of a detector's joints
_IN_SIGHT = 0.6  # share of the joints in the frame from which on a hand is found
# Of somebody whose size is 1, from the pit of the neck, metres; "left" is the picture's.
_FACE = {
    "nose": (0.0, -0.15, -0.13),
    "left_eye": (-0.03, -0.172, -0.105),
    "right_eye": (0.03, -0.172, -0.105),
    "left_ear": (-0.076, -0.167, 0.0),
    "right_ear": (0.076, -0.167, 0.0),
}


@lru_cache(maxsize=8)
def signs(glosses: int, pairs: int, seed: int = 0, *, both: bool = False) -> tuple[Gloss, ...]:
    """``glosses`` signs that hands alone tell apart, and ``pairs`` of signs that they do not.

    Of a pair one is signed "high", beside the head, and one "low", before the chest; their names
    are alike but for these words, see `ambiguous`. ``both``: some are signed with both hands.
    """
    if glosses < 0 or pairs < 0 or glosses + pairs < 1:
        raise UsageError(f"glosses, pairs: expected some signs, got {glosses} and {pairs}")
    found: dict[tuple[Any, ...], Gloss] = {}
    for gloss in lexicon(_ENOUGH * (glosses + pairs), seed):
        if both or gloss.hands == "one":
            found.setdefault((gloss.shapes, gloss.turns, gloss.hands, gloss.base), gloss)
    some = list(found.values())[: glosses + pairs]
    paired = [
        replace(gloss, name=f"{gloss.name} {name}", place=(gloss.place[0], place))
        for gloss in some[glosses:]
        for name, place in _PLACES.items()
    ]
    return (*some[:glosses], *paired)


def ambiguous(label: str) -> bool:
    """Whether the crops of a gloss of `signs` cannot tell it from another."""
    return label.rpartition(" ")[2] in _PLACES


@dataclass(frozen=True)
class Known:
    """What is known of a clip of `FilmedSigns`, as the vectors of a teacher of that name."""

    name: str
    dim: int

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        """InputError for a clip of which this is not known."""
        if clip.truth is None or self.name not in clip.truth:
            raise InputError(f"clip {clip.id}: expected a rendered clip that knows its {self.name}")
        return ClipEmbeddings(np.asarray(clip.truth[self.name], np.float32), None)


def known() -> list[Known]:
    """All that a clip of `FilmedSigns` knows."""
    return [
        Known(JOINTS, 3 * len(JOINT_NAMES)),
        Known(LAYOUT, 3 * keypoint_layout(LAYOUT).size),
    ]


class _Seen(NamedTuple):
    """What a detector sees of a hand: pixels of the finished frames."""

    points: Floats  # (T, 21, 2)
    confidence: Floats  # (T, 21)
    found: NDArray[np.bool_]  # (T,)


class RenderedSign(RenderedClip):
    """A rendered clip, and where the signer's body is in its finished pictures."""

    def body(self) -> dict[str, Floats]:
        """Pixels ``(2,)`` of the joints that keep still; left and right are the signer's own."""
        person = self._person
        points: dict[str, Floats] = {
            name: self._neck + person.size * np.array(p) for name, p in _FACE.items()
        }
        points["neck"] = self._neck
        points["left_shoulder"] = person.shoulder(self._neck, -1)
        points["right_shoulder"] = person.shoulder(self._neck, 1)
        camera = self.scene.camera
        placed = {}
        for name, point in points.items():
            pixel = camera.project(point)
            if self.signer.left_handed:
                pixel = np.array([camera.width - pixel[0], pixel[1]])
            # Who faces the camera has the right side on the picture's left; a mirrored picture,
            # which that of a left-handed signer is, has them the other way round.
            side, _, part = name.partition("_")
            if part and not self.signer.left_handed:
                name = f"{'right' if side == 'left' else 'left'}_{part}"
            placed[name] = pixel
        return placed


@dataclass(frozen=True)
class FilmedSigns:
    """``clips`` clips of the `signs` by ``signers`` made-up signers: a `ClipGenerator`.

    The label of a clip is its gloss. No signer is in two of train, dev and test, of the last two
    each has ``held_out`` of its own; every signer signs all signs equally often, as far as the
    number of clips goes. The same ``seed`` gives the same clips; ``lexicon_seed`` gives the signs.

    ``view``: "hands": crops of the hand that signs; "frame": whole frames, squeezed to squares.
    ``both``: signs of both hands too. Each hand of a clip is a sample then, whose id ends in
    "@left" or "@right", the signer's own side; the crops of left hands are mirrored.

    ``landmarks`` are those of a detector that errs; the truth is the vectors of `known`.
    """

    clips: int
    glosses: int = 6
    pairs: int = 3
    signers: int = 20
    held_out: int = 2
    seed: int = 0
    lexicon_seed: int = 0
    rate: float = 12.0
    view: Literal["hands", "frame"] = "hands"
    both: bool = False
    settings: CropSettings = AS_SERVED

    def __post_init__(self) -> None:
        check_corpus(self.clips, self.signers, self.rate)
        if self.held_out < 1 or self.signers < 2 * self.held_out + 1:
            raise UsageError(
                "signers, held_out: expected signers for train beside those of dev and of test, "
                f"got {self.signers} and {self.held_out} for each of the last two"
            )
        if self.view not in ("hands", "frame"):
            raise UsageError(f"view: expected hands or frame, got {self.view!r}")

    @property
    def name(self) -> str:
        """Of the collection."""
        return "filmed signs" if self.view == "hands" else "filmed signs, whole frames"

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Clip and hand (0 the signing one, 1 the other) of each sample."""
        hands = 2 if self.both and self.view == "hands" else 1
        return [
            (clip, hand)
            for clip in range(self.clips)
            for hand in range(hands)
            if not hand or self.gloss(clip).hands != "one"
        ]

    def __len__(self) -> int:
        return len(self._places)

    def gloss(self, clip: int) -> Gloss:
        """What is signed in a clip."""
        all_signs = signs(self.glosses, self.pairs, self.lexicon_seed, both=self.both)
        who, turn = clip % self.signers, clip // self.signers
        order = np.random.default_rng([self.seed, who, _ENOUGH]).permutation(len(all_signs))
        return all_signs[int(order[turn % len(all_signs)])]

    def describe(self, index: int) -> tuple[str, Part]:
        """Id and split of a sample."""
        clip, hand = self._places[index]
        number = clip % self.signers
        part: Part = "train"
        if number >= self.signers - 2 * self.held_out:
            part = "dev" if number < self.signers - self.held_out else "test"
        name = f"signs-{self.seed}-{clip:06d}"
        if self.both and self.view == "hands":
            left = signer(number, self.seed).left_handed != bool(hand)
            name += "@left" if left else "@right"
        return name, part

    def clip(self, index: int) -> TrackedClip:
        """The sample of that number, its vectors left to `known`."""
        number, hand = self._places[index]
        name, part = self.describe(index)
        rendered = self._footage(number)
        seen = [self._detected(number, rendered, h) for h in range(len(rendered.handedness))]
        own = seen[hand]
        # As in serving: what lies before the first sight of the signing hand and after the last is
        # no part.
        frames = np.arange(*np.flatnonzero(seen[0].found)[[0, -1]] + [0, 1])
        found = own.found[frames]
        side: Handedness = rendered.handedness[hand]  # type: ignore[assignment]
        camera, points = rendered.camera, rendered.landmarks.landmarks[frames, hand].astype(float)
        detected = np.concatenate([own.points[frames], points[..., 2:]], axis=-1)
        if side == "left":
            points, detected = mirror(points, camera.width), mirror(detected, camera.width)
        hidden = ~found[:, None, None]
        track = HandTrack(
            np.where(hidden, np.float32(np.nan), detected).astype(np.float32),
            np.where(hidden[..., 0], 0, own.confidence[frames]).astype(np.float32),
            rendered.timestamps[frames],
            camera.width,
            camera.height,
            side,
            mirrored=False,
        )
        if self.view == "frame":
            boxes = np.tile([0.0, 0.0, camera.width, camera.height], (len(frames), 1))
            jpegs = self._whole(number, rendered, frames)
        else:
            boxes = self._boxes(number, replace(track, landmarks=points))
            jpegs = self._cut(number, rendered, frames, found, boxes, hand)
        size, who = self.settings.size, rendered.signer.name
        about = {"id": name, "label": self.gloss(number).name, "signer": who, "split": part}
        sample = sample_of(track, boxes, jpegs, size, rate=self.rate, **about)
        truth = {
            JOINTS: in_crop(points, boxes, size).reshape(len(frames), -1),
            LAYOUT: self._keypoints(number, rendered, seen)[frames],
        }
        return TrackedClip(sample, replace(track, mirrored=side == "left"), Path(name), truth=truth)

    # -- what is filmed --------------------------------------------------------------------------
    def _footage(self, clip: int) -> RenderedSign:
        rng = np.random.default_rng([self.seed, clip])
        shown = perform(
            self.gloss(clip), clip % self.signers, self.seed, rng, self.rate, substeps=SUBSTEPS
        )
        height = 2 * round(rng.uniform(*_HEIGHTS) / 2)
        other = None if shown.other is None else replace(shown.motion, hand=shown.other)
        return RenderedSign(
            shown.motion,
            shown.who,
            _scene(rng, 2 * round(height * 2 / 3), height),
            open_hand(),
            other=other,
            seed=int(rng.integers(1 << 31)),
        )

    def _rng(self, clip: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, clip, purpose])

    def _detected(self, clip: int, rendered: RenderedSign, hand: int) -> _Seen:
        """Joints with errors, most of the large ones noticed (a low confidence)."""
        rng = self._rng(clip, hand)
        truth = rendered.landmarks.landmarks[:, hand].astype(np.float64)
        frames = len(truth)
        palm = palm_size(truth)[:, None, None]
        large = rng.random((frames, 21, 1)) < _LARGE_SHARE
        error = rng.standard_normal((frames, 21, 2)) * np.where(large, _LARGE_ERROR, _ERROR)
        sure = 0.95 - 1.2 * np.linalg.norm(error, axis=-1) + rng.normal(0, 0.08, (frames, 21))
        points = truth[..., :2] + palm * error
        camera = rendered.camera
        inside = ((truth[..., :2] >= 0) & (truth[..., :2] < [camera.width, camera.height])).all(-1)
        found = inside.mean(axis=1) >= _IN_SIGHT
        if hand == 0 and not found.any():  # a clip shows something, however little
            found = inside.mean(axis=1) >= inside.mean(axis=1).max()
        return _Seen(points, sure.clip(0.05, 1.0), found)

    def _keypoints(self, clip: int, rendered: RenderedSign, seen: Sequence[_Seen]) -> Floats:
        """``(T, 3 N)``: what a detector of whole people finds in each frame."""
        rng = self._rng(clip, 2)
        layout, camera = keypoint_layout(LAYOUT), rendered.camera
        size = np.array([camera.width, camera.height])
        place = dict(zip(layout.names, layout.source, strict=True))
        frames = rendered.count
        found = np.zeros((frames, layout.size, 3), np.float32)
        palm = float(np.median(palm_size(rendered.landmarks.landmarks[:, 0])))
        for name, pixel in rendered.body().items():
            if (pixel >= 0).all() and (pixel < size).all():
                shaken = pixel + palm * _ERROR * rng.standard_normal((frames, 2))
                found[:, place[name], :2] = shaken / size
                found[:, place[name], 2] = rng.uniform(0.7, 1.0, frames)
        for hand, side in zip(seen, rendered.handedness, strict=True):
            joints = [place[f"{side}_hand_{joint}"] for joint in JOINT_NAMES]
            values = np.concatenate([hand.points / size, hand.confidence[..., None]], axis=-1)
            hidden = ~hand.found[:, None, None]
            found[:, joints] = np.where(hidden, 0, values)
            found[:, place[f"{side}_wrist"]] = found[:, joints[0]]
        return found.reshape(frames, -1)

    def _boxes(self, clip: int, track: HandTrack) -> FloatArray:
        """Of the true hand, a little off throughout the clip."""
        rng = self._rng(clip, 3)
        points = track.landmarks
        palm = float(np.nanmedian(palm_size(points)))
        middle = points.mean(axis=1, keepdims=True)
        points = middle + (points - middle) * np.exp(_OFFSET * rng.standard_normal())
        points = points + palm * _OFFSET * rng.standard_normal((1, 1, 3))
        return self.settings.boxes(replace(track, landmarks=points.astype(np.float32)))

    def _cut(
        self,
        clip: int,
        rendered: RenderedSign,
        frames: NDArray[np.intp],
        found: NDArray[np.bool_],
        boxes: FloatArray,
        hand: int,
    ) -> list[bytes | None]:
        """Crops that show a right hand. ``boxes`` are those of the picture in which it is one."""
        quality = int(self._rng(clip, 4).uniform(40, 98))  # of a video's compression
        jpegs: list[bytes | None] = [None] * len(frames)
        shown = np.flatnonzero(found)
        if not len(shown):
            return jpegs
        # The scene's own picture shows the signing hand as a right one, and the other as a left.
        width = rendered.scene.camera.width
        if hand:
            boxes = np.stack(
                [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1
            )
        windows = rendered.windows(frames[shown], boxes[shown])
        for index, (image, (x, y)) in zip(shown, windows, strict=True):
            box = boxes[index] - np.array([x, y, x, y])
            cut = crop(compress(image, quality), box, self.settings.size, mirrored=bool(hand))
            jpegs[index] = jpeg_of(cut, self.settings.quality)
        return jpegs

    def _whole(
        self, clip: int, rendered: RenderedSign, frames: NDArray[np.intp]
    ) -> list[bytes | None]:
        quality = int(self._rng(clip, 4).uniform(40, 98))
        size = self.settings.size
        jpegs: list[bytes | None] = []
        for number, image in zip(count(), rendered.frames(), strict=False):
            if frames[0] <= number <= frames[-1]:
                small = resized(compress(image, quality), size, size)
                jpegs.append(jpeg_of(small, self.settings.quality))
        return jpegs


def _scene(rng: np.random.Generator, width: int, height: int) -> Scene:
    """A signer from the waist up, so that places high and low are in the picture."""
    scene = Scene.sample(rng, width, height)
    camera = Camera.from_field_of_view(width, height, rng.uniform(45, 60))
    depth = camera.fy * _PALM / (rng.uniform(*_PALMS) * height)
    x, y = rng.uniform(0.3, 0.42) * width, rng.uniform(0.54, 0.62) * height
    origin = np.array([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0]) * depth
    return replace(scene, camera=camera, origin=origin, body=True)
