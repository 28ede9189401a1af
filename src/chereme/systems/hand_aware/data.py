"""Clips of isolated signs as system B and its partners read them, as Lightning wants them.

What is random is a function of (seed, epoch) or of (seed, epoch, clip), see `PoseData`.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from chereme.datasets.shards import Sample
from chereme.errors import InputError, UsageError
from chereme.hands.both import Sampling, choose_frames
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.systems.hand_aware.clips import SignCorpus
from chereme.systems.signbert.data import UNKNOWN, Place, PoseData, Split
from chereme.training.augmentation import Augmentation, augment_crops, resize
from chereme.types import NUM_JOINTS

Floats = NDArray[np.floating[Any]]
_FRAMES = 32  # of a clip: Implementation Details of the paper
_TRUTH = "joints"  # of rendered hands, as ``chereme.synthesis.filmed_signs`` names the vectors


@dataclass(frozen=True)
class SignInputs:
    """What a network reads of a clip.

    ``hands``: 1: the hand that signs, whichever it is; 2: the left and the right one. ``size``:
    side of its pictures in pixels, None where it reads none. ``whole``: these are whole frames and
    no crops. ``layout``: of the keypoints of whole frames, None where it reads none.
    """

    hands: int = 1
    size: int | None = None
    whole: bool = False
    layout: str | None = None


class SignClip(NamedTuple):
    """One clip of a `SignBatch`, without the first dimension; ``crops (H, T, S, S, 3)``."""

    id: str
    crops: NDArray[np.uint8]
    present: NDArray[np.bool_]
    landmarks: Floats
    confidence: Floats
    truth: Floats
    keypoints: Floats
    label: int


class SignBatch(NamedTuple):
    """B clips, padded to T frames; H hands, of both the left one first.

    ``crops (B, H, T, 3, S, S)`` uint8 RGB, S = 0 where the network reads none. ``present (B, H,
    T)``: frames that show that hand; ``mask (B, T)``: frames that exist.

    ``landmarks (B, H, T, 21, 2)`` that a detector found, with their ``confidence (B, H, T, 21)``,
    and ``truth (B, H, T, 21, 3)``, NaN where nobody knows it, are in crop units: the crop spans -1
    to 1. ``keypoints (B, T, N, 3)`` of the whole frame: parts of its width and height, confidence.
    ``classes (B,)``: ``UNKNOWN`` for a gloss that training has no clip of.
    """

    ids: tuple[str, ...]
    crops: Tensor
    present: Tensor
    mask: Tensor
    landmarks: Tensor
    confidence: Tensor
    truth: Tensor
    keypoints: Tensor
    classes: Tensor


def collate_signs(clips: Sequence[SignClip]) -> SignBatch:
    """Clips as a batch, padded to the longest."""
    longest = max(clip.present.shape[1] for clip in clips)

    def together(name: str, time: int) -> Tensor:
        arrays = [getattr(clip, name) for clip in clips]
        shape = list(arrays[0].shape)
        shape[time] = longest
        out = np.zeros((len(clips), *shape), arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[(slice(None),) * time + (slice(array.shape[time]),)] = array
        return torch.from_numpy(out)

    lengths = torch.tensor([clip.present.shape[1] for clip in clips])
    return SignBatch(
        tuple(clip.id for clip in clips),
        together("crops", 1).permute(0, 1, 2, 5, 3, 4),
        together("present", 1),
        torch.arange(longest) < lengths[:, None],
        together("landmarks", 1),
        together("confidence", 1),
        together("truth", 1),
        together("keypoints", 0),
        torch.tensor([clip.label for clip in clips]),
    )


class ClipReader:
    """Makes what a network reads of the hands of a clip."""

    def __init__(self, inputs: SignInputs, augmentation: Augmentation) -> None:
        self.inputs, self.augmentation = inputs, augmentation

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of the vectors that are looked at."""
        return (_TRUTH,) if self.inputs.layout is None else (_TRUTH, self.inputs.layout)

    def read(
        self,
        name: str,
        hands: Sequence[Sample],
        frames: NDArray[np.int64],
        label: int,
        rng: np.random.Generator | None = None,
    ) -> SignClip:
        """These ``frames`` of a clip, changed at random where ``rng`` is given.

        InputError for a clip without the keypoints that the network reads.
        """
        wanted, size = self.inputs, self.inputs.size or 0
        flip = rng is not None and bool(rng.random() < self.augmentation.flip)
        shape = (wanted.hands, len(frames))
        crops = np.zeros((*shape, size, size, 3), np.uint8)
        present = np.zeros(shape, bool)
        landmarks = np.zeros((*shape, NUM_JOINTS, 2), np.float32)
        confidence = np.zeros((*shape, NUM_JOINTS), np.float32)
        truth = np.full((*shape, NUM_JOINTS, 3), np.nan, np.float32)
        seed = None if rng is None else int(rng.integers(1 << 62))
        for hand in hands[: wanted.hands]:
            # Left hands come mirrored, so that a mirrored video is one in which the left hand
            # did what the right one does, and shows the same crops.
            slot = int((hand.handedness == "right") != flip) if wanted.hands == 2 else 0
            # Of one random change both hands, and all frames.
            own = None if seed is None else np.random.default_rng(seed)
            pictures, place = self._pictures(hand, frames, own, flip=flip and wanted.whole)
            crops[slot] = pictures
            present[slot] = hand.present[frames]
            sure = hand.confidence[frames]
            seen = (sure > 0) & np.isfinite(hand.landmarks[frames]).all(-1)
            found = place(hand.landmarks[frames])[..., :2]
            landmarks[slot] = np.where(seen[..., None], found, 0)
            confidence[slot] = np.where(seen, sure, 0)
            if _TRUTH in hand.teacher:
                joints = hand.teacher[_TRUTH][frames].astype(np.float32)
                truth[slot] = place(joints.reshape(len(frames), NUM_JOINTS, 3))
        keypoints = self._keypoints(name, hands[0], frames, flip)
        return SignClip(name, crops, present, landmarks, confidence, truth, keypoints, label)

    def _pictures(
        self,
        hand: Sample,
        frames: NDArray[np.int64],
        rng: np.random.Generator | None,
        *,
        flip: bool,
    ) -> tuple[NDArray[np.uint8], Any]:
        """Pictures ``(T, S, S, 3)``, and the function that brings joints ``(T, 21, 3)`` in pixels
        of the crop to units of these pictures."""
        size, how = self.inputs.size, self.augmentation
        part, corner, degrees = 1.0, np.zeros(2), 0.0
        if rng is not None:
            part = float(rng.uniform(how.crop, 1))
            corner = rng.random(2) * (1 - part)  # of the window, as a part of the crop
            degrees = float(rng.uniform(-how.rotation, how.rotation))
        turn = np.radians(degrees)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

        def place(points: Floats) -> Floats:
            window = (points[..., :2] / hand.size - corner) * (2 / part) - 1
            depth = points[..., 2:] * (2 / (part * hand.size))
            placed: Floats = np.concatenate([window @ matrix.T, depth], axis=-1)
            return placed

        if size is None:
            return np.zeros((len(frames), 0, 0, 3), np.uint8), place
        crops = hand.decode(frames)
        if rng is None:
            return resize(crops, size), place
        whole = round(size / part)
        if hand.size > 1.5 * whole:  # otherwise there is hardly anything to alias
            crops = resize(crops, whole)
        scale = crops.shape[1] / size * part
        crops = _moved(crops, size, scale, corner / part, matrix)
        how = replace(how, crop=1.0, rotation=0.0)
        return augment_crops(crops, size, rng, how, flip=flip), place

    def _keypoints(
        self, name: str, hand: Sample, frames: NDArray[np.int64], flip: bool
    ) -> NDArray[np.float32]:
        layout = self.inputs.layout
        if layout is None:
            return np.zeros((len(frames), 0, 3), np.float32)
        if layout not in hand.teacher:
            raise InputError(
                f"clip {name}: expected the keypoints {layout!r} of the whole frame, its shard has "
                f"{', '.join(sorted(hand.teacher)) or 'none'}; prepare them as the vectors of a "
                "teacher of that name (x, y and confidence of each)"
            )
        about = keypoint_layout(layout)
        stored = hand.teacher[layout][frames].astype(np.float32)
        keypoints = stored.reshape(len(frames), about.size, 3)
        if not flip:
            return keypoints
        flipped = keypoints.copy()
        source = np.array(about.source)
        flipped[:, source[list(about.mirror)]] = keypoints[:, source]
        seen = flipped[..., 2] > 0
        flipped[..., 0] = np.where(seen, 1 - flipped[..., 0], flipped[..., 0])
        return flipped


def _moved(
    crops: NDArray[np.uint8], size: int, scale: float, corner: Floats, matrix: Floats
) -> NDArray[np.uint8]:
    """The windows ``(T, size, size, 3)`` of crops: ``corner (2,)`` as a part of the window, of
    which a pixel is ``scale`` pixels of the crops; turned by ``matrix`` about their middle."""
    # What is at p of the window, in pixels from its corner, comes from M p + b of the crops; cv2
    # has the centres of pixels at whole numbers, ours lie at halves.
    inverse = matrix.T * scale
    middle = np.full(2, size / 2)
    shift = (corner * size + middle) * scale - inverse @ middle
    shift = shift + inverse @ np.full(2, 0.5) - 0.5
    whole = np.concatenate([inverse, shift[:, None]], axis=1)
    out = np.empty((len(crops), size, size, 3), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for frame, moved in zip(crops, out, strict=True):
        cv2.warpAffine(
            frame, whole, (size, size), dst=moved, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
    return out


class _Clips(Dataset[SignClip]):
    """Clips; ``epoch``: of training, or None for the middle of each part of each clip."""

    def __init__(self, data: SignData, places: Sequence[Place], epoch: int | None) -> None:
        self._corpora, self._places = data.corpora, places
        self._number = {name: number for number, name in enumerate(data.classes)}
        self._frames, self._sampling = data.frames, data.sampling
        self._reader = ClipReader(data.inputs, data.crop_augmentation)
        self._seed, self._epoch = data.seed, epoch

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> SignClip:
        folder, number = self._places[index]
        corpus = self._corpora[folder]
        entry = corpus.entries[number]
        rng = None
        if self._epoch is not None:
            name = zlib.crc32(f"{folder}/{entry.id}".encode())
            rng = np.random.default_rng([self._seed, self._epoch, name])
        frames = choose_frames(entry.frames, self._frames, self._sampling, rng)
        label = self._number.get(entry.label, UNKNOWN)
        hands = corpus.read(number, self._reader.teachers)
        return self._reader.read(entry.id, hands, frames, label, rng)


class SignData(PoseData):
    """The clips of some folders of shards, for training and to watch.

    Args:
        shards: folders that ``chereme prepare`` wrote; clips of theirs without
            a split are for training.
        dev: folders whose split dev is watched; None: those of ``shards``.
        test: likewise, of the final score; there may be none.
        frames: taken of a clip: the paper's 32.
        sampling: "spread": one of each of as many equal parts of the clip; "window": in a row.
        augmentation: of training clips; ``tempo`` does not count, as frames are sampled. A flip
            has left and right hand change places, and mirrors whole frames and their keypoints.
        share, share_seed, hold_out, batch_size, steps_per_epoch, workers, seed: see `PoseData`.
    """

    corpora: list[SignCorpus]  # type: ignore[assignment]
    collate = staticmethod(collate_signs)  # type: ignore[assignment]

    def __init__(
        self,
        shards: list[str],
        dev: list[str] | None = None,
        test: list[str] | None = None,
        frames: int = _FRAMES,
        sampling: Sampling = "spread",
        augmentation: Augmentation | None = None,
        share: float = 1.0,
        share_seed: int = 0,
        hold_out: float = 0.0,
        batch_size: int = 16,
        steps_per_epoch: int | None = None,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        if not shards:
            raise UsageError("shards: expected at least one folder of prepared clips, got none")
        super().__init__(
            shards,
            dev=dev,
            test=test,
            frames=frames,
            sampling=sampling,
            share=share,
            share_seed=share_seed,
            hold_out=hold_out,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            workers=workers,
            seed=seed,
        )
        self.crop_augmentation = augmentation or Augmentation(flip=0.0, tempo=0.0)
        self.inputs = SignInputs()

    def setup(self, stage: str | None = None) -> None:
        """List the clips and check them; the task says by ``inputs`` what is read of them.

        Clips without a gloss are left out, and in training those in which no hand was seen.
        Errors are those of `PoseData.setup`.
        """
        if self.trainer is not None:
            self.inputs = self.trainer.lightning_module.inputs  # type: ignore[assignment]
        splits: tuple[Split, ...] = ("train", "dev", "test")
        names = list(dict.fromkeys(name for split in splits for name in self.folders(split)))
        self.corpora = [SignCorpus(name) for name in names]
        self.places: dict[str, list[Place]] = {}
        unlabelled = unseen = 0
        for split in splits:
            wanted = {split, ""} if split == "train" else {split}
            found = [
                (names.index(name), number)
                for name in self.folders(split)
                for number, entry in enumerate(self.corpora[names.index(name)].entries)
                if entry.split in wanted
            ]
            places = [place for place in found if self.entry(place).label]
            unlabelled += len(found) - len(places)
            if split == "train":
                shown = [p for p in places if self.corpora[p[0]].seen[p[1]]]
                unseen, places = len(places) - len(shown), shown
            self.places[split] = places
        for count, why in ((unlabelled, "have no gloss"), (unseen, "show no hand")):
            if count:
                warnings.warn(f"{count:,} clips {why} and are left out", stacklevel=2)
        if not self.places["train"]:
            raise InputError(
                f"{', '.join(self.folders('train'))}: expected clips to train on (split train, or "
                "none), got none"
            )
        if not self.places["dev"]:
            self._hold_out()
        self.places["train"] = self._shared(self.places["train"], self.share)
        self._check_glosses()

    def clips(self, places: Sequence[Place], epoch: int | None) -> Dataset[Any]:
        """See `PoseData.clips`."""
        return _Clips(self, places, epoch)
