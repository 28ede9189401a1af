"""Sentences with their pictures and their pose tracks, for stage II of SignX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from chereme.datasets.sentences import Sentence, SentenceCorpus
from chereme.errors import InputError, UsageError
from chereme.formats.tracks import PoseTracks
from chereme.systems.signx.data import (
    SentenceBatch,
    SentenceClip,
    SentenceData,
    collate_sentences,
)
from chereme.systems.signx.track_augmentation import GEOMETRY
from chereme.training.data import Split
from chereme.video import open_video
from chereme.video.letterbox import letterbox

Images = NDArray[np.uint8]
_LATE = 0.25  # seconds that tracks may go on after the last picture


class Pictures(NamedTuple):
    """``images (T, S, S, 3)`` RGB, squares (`letterbox`) of pictures of ``width`` x ``height``
    pixels."""

    images: Images
    width: int
    height: int


def pictures_at(path: str | Path, times: Sequence[float], size: int) -> Pictures:
    """What a recording shows nearest to each of ``times``, seconds, rising.

    Raises:
        InputError: a recording that cannot be read, shows nothing, or ends earlier.
    """
    images: list[Images] = []
    stamps: list[float] = []
    width = height = 0
    with open_video(path) as video:
        for frame in video:
            # One beyond the last, which may be nearer to it.
            if stamps and stamps[-1] >= times[-1]:
                break
            if frame.timestamp <= times[0]:  # and one before the first
                images.clear()
                stamps.clear()
            images.append(letterbox(frame.image, size))
            stamps.append(frame.timestamp)
            height, width = frame.image.shape[:2]
    if not stamps or times[-1] > stamps[-1] + _LATE:
        raise InputError(
            f"{path}: expected a recording of at least {times[-1]:.2f} s, as its tracks are, got "
            f"{f'{stamps[-1]:.2f} s' if stamps else 'no pictures'}; were they made of another?"
        )
    middles = (np.array(stamps[1:]) + np.array(stamps[:-1])) / 2
    nearest = np.searchsorted(middles, times)
    return Pictures(np.stack(images)[nearest], width, height)


@dataclass(frozen=True)
class PictureAugmentation:
    """How much pictures are changed, each time that they are seen, and their tracks with them.

    Standard deviations, but for ``noise``: ``brightness`` and ``contrast`` of the logarithm of a
    factor, ``colour`` likewise of each of red, green and blue; ``scale`` of the logarithm of the
    size of all, ``shift`` of where it is, of the picture's side. ``noise``: of each number, up to
    this share of white. ``scale`` and ``shift`` are of tracks all of which hold places
    (`GEOMETRY`); their depths stay as they are.
    """

    brightness: float = 0.2
    contrast: float = 0.1
    colour: float = 0.05
    scale: float = 0.05
    shift: float = 0.03
    noise: float = 0.02

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if wrong := {name: value for name, value in values.items() if value < 0}:
            raise UsageError(f"augmentation: expected nothing below 0, got {wrong}")

    def changed(
        self, pictures: Pictures, clip: PoseTracks, rng: np.random.Generator
    ) -> tuple[Images, PoseTracks]:
        """The pictures of a clip, and the clip, as another camera might have seen them."""
        gain = np.exp(rng.normal(0, self.brightness) + rng.normal(0, self.colour, 3))
        contrast = float(np.exp(rng.normal(0, self.contrast)))
        scale, shift = float(np.exp(rng.normal(0, self.scale))), rng.normal(0, self.shift, 2)
        images = pictures.images
        moves = bool(self.scale or self.shift)
        if moves and all(name in GEOMETRY for name in clip.values):
            images = _warped(images, scale, shift)
            clip = _moved(clip, pictures, scale, shift)
        level = images.mean(axis=(0, 1, 2))
        x = (images - level) * np.float32(contrast) + level
        x *= gain.astype(np.float32)
        if self.noise:
            strength = np.float32(255 * rng.uniform(0, self.noise))
            x += strength * rng.standard_normal(x.shape, np.float32)
        return x.clip(0, 255).astype(np.uint8), clip


def _warped(images: Images, scale: float, shift: NDArray[np.float64]) -> Images:
    size = images.shape[1]
    middle = (size - 1) / 2  # of the first pixel to that of the last
    x, y = middle - scale * middle + shift * size
    matrix = np.array([[scale, 0.0, x], [0.0, scale, y]])
    return np.stack(
        [cv2.warpAffine(i, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE) for i in images]
    ).astype(np.uint8, copy=False)


def _moved(
    clip: PoseTracks, pictures: Pictures, scale: float, shift: NDArray[np.float64]
) -> PoseTracks:
    side = max(pictures.width, pictures.height)
    parts = (side / pictures.width, side / pictures.height)
    values = {}
    for name, track in clip.values.items():
        geometry, track = GEOMETRY[name], track.copy()
        sides = ((geometry.x, geometry.width), (geometry.y, geometry.height))
        for (columns, extent), part, way in zip(sides, parts, shift, strict=True):
            middle = np.float32(extent / 2)
            moved = np.float32(way * part * extent)
            track[:, columns] = middle + (track[:, columns] - middle) * np.float32(scale) + moved
        values[name] = track
    return replace(clip, values=values)


# -- batches ---------------------------------------------------------------------------------------
class VideoBatch(NamedTuple):
    """``frames (B, T, 3, S, S)`` uint8, and the sentences that they are of: ``glosses`` of all, if
    only a part is seen."""

    frames: Tensor
    sentences: SentenceBatch


class VideoClip(NamedTuple):
    """Pictures ``(T, S, S, 3)`` of a part of a sentence, and the sentence with tracks of it."""

    images: Images
    sentence: SentenceClip


@dataclass(frozen=True)
class Window:
    """``count`` frames from ``first`` on of training sentence number ``index``; ``draw``: the
    number of this window in its epoch."""

    index: int
    first: int
    count: int
    draw: int


def collate_videos(items: Sequence[VideoClip]) -> VideoBatch:
    """Clips as a batch, padded to the longest."""
    longest = max(len(item.images) for item in items)
    frames = torch.zeros(len(items), longest, 3, *items[0].images.shape[1:3], dtype=torch.uint8)
    for row, item in enumerate(items):
        frames[row, : len(item.images)] = torch.from_numpy(item.images).permute(0, 3, 1, 2)
    return VideoBatch(frames, collate_sentences([item.sentence for item in items]))


class _Windows(Dataset[VideoClip]):
    """Parts of training sentences."""

    def __init__(self, data: VideoData, epoch: int) -> None:
        self._data, self._epoch = data, epoch

    def __getitem__(self, window: Window) -> VideoClip:
        data = self._data
        sentence = data.sentences["train"][window.index]
        pictures = data.pictures_of(sentence)
        part = slice(window.first, window.first + window.count)
        clip = data.tracks_of(sentence).at_frames(np.arange(part.start, part.stop, dtype=float))
        images = pictures.images[part]
        if data.pictures is not None:
            rng = np.random.default_rng([data.seed, self._epoch, window.draw, 1])
            images, clip = data.pictures.changed(pictures._replace(images=images), clip, rng)
        ids = data.ids["train"][window.index]
        return VideoClip(images, SentenceClip(sentence, clip, ids))


class _Whole(Dataset[VideoClip]):
    """The sentences of a split as they are."""

    def __init__(self, data: VideoData, split: Split) -> None:
        self._data, self._split = data, split

    def __len__(self) -> int:
        return len(self._data.sentences[self._split])

    def __getitem__(self, index: int) -> VideoClip:
        data, split = self._data, self._split
        sentence = data.sentences[split][index]
        clip = SentenceClip(sentence, data.tracks_of(sentence), data.ids[split][index])
        return VideoClip(data.pictures_of(sentence).images, clip)


class VideoData(SentenceData):
    """Sentences with their tracks and the videos that these were found in.

    In training, parts of sentences are seen: of a step all are of one length, from ``shortest``
    frames to whole sentences, the short ones more often. Choice: many different pictures a step
    teach a ViT more than many of the same clip, and attention over time learns from the long ones.

    Args:
        root: a manifest of files of poses with the column ``video``, or a folder with
            ``manifest.csv`` (``chereme prepare signing``).
        batch_frames: frames a step and process.
        shortest: frames of the shortest parts.
        pictures: how pictures are changed, and tracks with them; None: they stay as they are.
        batch_size: whole sentences that are read at once.
        sentences: see `SentenceData`; ``in_memory`` is of pictures too, which are decoded each time
            that they are seen otherwise. An epoch has as many frames as there are, if nothing is
            said.
    """

    collate = staticmethod(collate_videos)

    def __init__(
        self,
        root: str,
        batch_frames: int = 256,
        shortest: int = 16,
        pictures: PictureAugmentation | None = None,
        batch_size: int = 8,
        **sentences: Any,
    ) -> None:
        super().__init__(root, batch_size=batch_size, **sentences)
        if not 1 <= shortest <= batch_frames:
            raise UsageError(
                "shortest: expected at least 1 frame and no more than the frames of a step, got "
                f"{shortest} and {batch_frames}"
            )
        self.batch_frames, self.shortest, self.pictures = batch_frames, shortest, pictures
        self._seen: dict[str, Pictures] = {}

    def facts(self) -> dict[str, Any]:
        frames = sum(self.tracks_of(sentence).frames for sentence in self.sentences["train"])
        return super().facts() | {"training_frames": frames}

    def setup(self, stage: str | None = None) -> None:
        """See `SentenceData.setup`; the task says by ``image_size`` what it looks at.

        Raises:
            InputError: as there; no sentence with a video.
        """
        if self.trainer is not None:
            task: Any = self.trainer.lightning_module
            self.image_size = int(task.image_size)
        super().setup(stage)
        known = [
            {name: np.isfinite(track).any(axis=0) for name, track in clip.values.items()}
            for clip in map(self.tracks_of, self.sentences["train"])
        ]
        self.known: dict[str, NDArray[np.bool_]] = {
            name: np.any([clip[name] for clip in known if name in clip], axis=0)
            for name in self.statistics
        }
        """The numbers ``(W,)`` of each track that any training sentence knows."""

    def _corpus(self) -> SentenceCorpus:
        corpus = super()._corpus()
        filmed = tuple(s for s in corpus.sentences if s.video is not None and s.video.exists())
        if not filmed:
            raise InputError(
                f"{self.root}: expected sentences whose videos are on disk (the column video of "
                f"the manifest), got none of {len(corpus.sentences):,}"
            )
        present = {sentence.id for sentence in filmed}
        without = [s.id for s in corpus.sentences if s.id not in present]
        self._count("without_video", without, "have no video on disk", corpus.rows)
        return SentenceCorpus(
            corpus.name, filmed, corpus.rows, corpus.findings, dict(corpus.published)
        )

    def pictures_of(self, sentence: Sentence) -> Pictures:
        """The pictures of a sentence, one for each frame of its tracks.

        Raises:
            InputError: see `pictures_at`.
        """
        if sentence.id in self._seen:
            return self._seen[sentence.id]
        clip = self.tracks_of(sentence)
        times = clip.start + np.arange(clip.frames) / clip.rate
        assert sentence.video is not None
        pictures = pictures_at(sentence.video, times.tolist(), self.image_size)
        if self.in_memory:
            self._seen[sentence.id] = pictures
        return pictures

    # -- batches -----------------------------------------------------------------------------------
    @property
    def steps(self) -> int:
        """Steps of an epoch, the same in every process."""
        steps = max(1, sum(self._frames) // (self.batch_frames * self.world[0]))
        return steps if self.steps_per_epoch is None else self.steps_per_epoch

    def epoch_batches(self, epoch: int) -> list[list[Window]]:
        """What is seen in each step of an epoch."""
        world, rank = self.world
        rng = np.random.default_rng([self.seed, epoch])
        longest = max(*self._frames, self.shortest)
        deck: list[int] = []
        steps: list[list[Window]] = []
        draw = 0
        for _ in range(self.steps * world):
            length = round(float(np.exp(rng.uniform(*np.log([self.shortest, longest])))))
            step = []
            for _ in range(max(1, self.batch_frames // length)):
                deck = deck or rng.permutation(len(self._frames)).tolist()
                index = deck.pop()
                count = min(length, self._frames[index])
                first = int(rng.integers(self._frames[index] - count + 1))
                step.append(Window(index, first, count, draw))
                draw += 1
            steps.append(step)
        return steps[rank::world]

    def dataset(self, split: Split, epoch: int | None) -> Dataset[Any]:
        return _Whole(self, split) if epoch is None else _Windows(self, epoch)
