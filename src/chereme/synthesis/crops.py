"""Clips of the hands of made-up signers, rendered as crops: no video, and no hand detector.

They stand for what ``chereme prepare`` makes of the videos of ``chereme synthesize --corpus``, in a
fraction of the time: only the part of a picture that is looked at is rendered. What a detector and
a video would add is made up: boxes tremble as if their landmarks had been found, signers stand near
and far, and there are marks of compression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.clips import CropSettings, TrackedClip, sample_of
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.shards import SIZE, jpeg_of
from chereme.hands.crop import crop
from chereme.hands.skeleton import mirror, palm_size
from chereme.synthesis.corpus import Part, Pictures, check_corpus, compose, parts, signer, word
from chereme.synthesis.rendering.film import compress
from chereme.types import FloatArray, Handedness, HandTrack

_HEIGHTS = (160, 400)  # pixels of the pictures that crops are cut from: hands of 20 to 90 pixels
_TREMBLE = 0.03  # palm lengths: errors of a detector, anew in each frame
_OFFSET = 0.08  # and the same throughout a clip
_IN_SIGHT = (0.5, 0.9)  # share of the joints in the picture from which on a hand is found


@dataset("rendered", Kind.SYNTHETIC_CROPS)
@dataclass(frozen=True)
class RenderedClips:
    """Words spelled by made-up signers, rendered as crops of their hands.

    No signer, and no word, is in two of train, dev and test.

    Args:
        clips: how many.
        signers: how many; if not given one for each 10 clips, at least 10.
        seed: the same seed gives the same clips.
        rate: frames a second.
        size: pixels of a side of the crops.
    """

    clips: int
    signers: int | None = None
    seed: int = 0
    rate: float = 20.0
    size: int = SIZE

    name = "rendered"

    def __post_init__(self) -> None:
        check_corpus(self.clips, self.population, self.rate)

    @cached_property
    def settings(self) -> CropSettings:
        """How crops are cut."""
        return CropSettings(size=self.size)

    @property
    def population(self) -> int:
        """The number of signers."""
        return max(10, self.clips // 10) if self.signers is None else self.signers

    def __len__(self) -> int:
        return self.clips

    def describe(self, index: int) -> tuple[str, Part]:
        """Id and split of a clip."""
        part = parts(self.population)[index % self.population]
        return f"rendered-{self.seed}-{index:06d}", part

    def clip(self, index: int) -> TrackedClip:
        """The clip of that number, its vectors left to teachers."""
        name, part = self.describe(index)
        rng = np.random.default_rng([self.seed, index])
        who = signer(index % self.population, self.seed)
        height = 2 * round(float(np.exp(rng.uniform(*np.log(_HEIGHTS)))) / 2)
        pictures = Pictures(2 * round(height * 2 / 3), height)
        text = word(index, self.seed, part)
        rendered = compose(text, who, rng, pictures, self.rate)
        seen = rendered.landmarks
        side: Handedness = "left" if who.left_handed else "right"
        assert seen.world_landmarks is not None
        points, world = seen.landmarks[:, 0], seen.world_landmarks[:, 0]
        if side == "left":
            points, world = mirror(points, seen.width), mirror(world, None)
        found = _in_sight(points, seen.width, seen.height, rng)
        # As in serving: what lies before the first sight of the hand and after the last is no part.
        frames = np.arange(*np.flatnonzero(found)[[0, -1]] + [0, 1])
        points, world, found = points[frames], world[frames], found[frames]
        track = HandTrack(
            np.where(found[:, None, None], points, np.float32(np.nan)),
            np.repeat(found[:, None], 21, axis=1).astype(np.float32),
            seen.timestamps[frames],
            seen.width,
            seen.height,
            side,
            world_landmarks=np.where(found[:, None, None], world, np.float32(np.nan)),
        )
        boxes = self.settings.boxes(_as_detected(track, rng))
        quality = int(rng.uniform(40, 98))  # of a video's compression
        jpegs: list[bytes | None] = [None] * len(frames)
        shown = np.flatnonzero(found)
        windows = rendered.windows(frames[shown], boxes[shown])
        for index, (image, (x, y)) in zip(shown.tolist(), windows, strict=True):
            box = boxes[index] - np.array([x, y, x, y])
            cut = crop(compress(image, quality), box, self.size)
            jpegs[index] = jpeg_of(cut, self.settings.quality)
        about = {"id": name, "label": text, "signer": who.name, "split": part, "rate": self.rate}
        sample = sample_of(track, boxes, jpegs, self.size, **about)
        truth = {
            "timestamps": rendered.timestamps,
            "landmarks": rendered.landmarks.landmarks,
            **{key: rendered.truth[key] for key in ("global_orient", "hand_pose", "betas")},
        }
        return TrackedClip(sample, replace(track, mirrored=side == "left"), Path(name), truth=truth)


def _in_sight(
    points: FloatArray, width: int, height: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """``(T,)``: whether a detector would find the hand; at least once, where most of it is seen."""
    across, down = points[..., 0], points[..., 1]
    inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    share: FloatArray = inside.mean(axis=1)
    found: NDArray[np.bool_] = share >= min(rng.uniform(*_IN_SIGHT), share.max())
    return found


def _as_detected(track: HandTrack, rng: np.random.Generator) -> HandTrack:
    """``track`` with errors of a detector, which its boxes then have too."""
    points: FloatArray = track.landmarks.astype(np.float64)
    palm = float(np.nanmedian(palm_size(points)))
    points = points + palm * _TREMBLE * rng.standard_normal(points.shape)
    points += palm * _OFFSET * rng.standard_normal((1, 1, 3))
    middle = points.mean(axis=1, keepdims=True)
    points = middle + (points - middle) * np.exp(_OFFSET * rng.standard_normal())
    return replace(track, landmarks=points.astype(np.float32))
