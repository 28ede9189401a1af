"""Clips of isolated signs as system B and its baselines read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chereme.datasets.shards import Sample
from chereme.errors import InputError, UsageError
from chereme.hands.both import Sampling, choose_frames
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.training.augmentation import Augmentation, augment_crops, resize
from chereme.training.data import SPLITS, ClipIndex, Split
from chereme.training.isolated_data import IsolatedData
from chereme.training.shards import ShardCorpus, contents_of
from chereme.types import NUM_JOINTS

Floats = NDArray[np.floating[Any]]
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
            pictures, to_units = self._pictures(hand, frames, own, flip=flip and wanted.whole)
            crops[slot] = pictures
            present[slot] = hand.present[frames]
            sure = hand.confidence[frames]
            seen = (sure > 0) & np.isfinite(hand.landmarks[frames]).all(-1)
            found = to_units(hand.landmarks[frames])[..., :2]
            landmarks[slot] = np.where(seen[..., None], found, 0)
            confidence[slot] = np.where(seen, sure, 0)
            if _TRUTH in hand.teacher:
                joints = hand.teacher[_TRUTH][frames].astype(np.float32)
                truth[slot] = to_units(joints.reshape(len(frames), NUM_JOINTS, 3))
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

        def to_units(points: Floats) -> Floats:
            window = (points[..., :2] / hand.size - corner) * (2 / part) - 1
            depth = points[..., 2:] * (2 / (part * hand.size))
            placed: Floats = np.concatenate([window @ matrix.T, depth], axis=-1)
            return placed

        if size is None:
            return np.zeros((len(frames), 0, 0, 3), np.uint8), to_units
        crops = hand.decode(frames)
        if rng is None:
            return resize(crops, size), to_units
        whole = round(size / part)
        if hand.size > 1.5 * whole:  # otherwise there is hardly anything to alias
            crops = resize(crops, whole)
        scale = crops.shape[1] / size * part
        crops = _moved(crops, size, scale, corner / part, matrix)
        how = replace(how, crop=1.0, rotation=0.0)
        return augment_crops(crops, size, rng, how, flip=flip), to_units

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


class SignData(IsolatedData):
    """The clips of some folders of shards.

    Args:
        shards: folders that ``chereme prepare`` wrote.
        augmentation: of training clips; ``tempo`` does not count, as frames are sampled. A flip
            has left and right hand change places, and mirrors whole frames and their keypoints.
        clips: see `IsolatedData` and `DataModule`; the paper takes 32 frames of a clip. Training
            clips in which no hand was seen are left out.
    """

    named = "shards"
    open_folder = ShardCorpus
    collate = staticmethod(collate_signs)

    def __init__(
        self,
        shards: list[str],
        sampling: Sampling = "spread",
        batch_size: int = 16,
        augmentation: Augmentation | None = None,
        **clips: Any,
    ) -> None:
        super().__init__(shards, sampling=sampling, batch_size=batch_size, **clips)
        self.augmentation = augmentation or Augmentation(flip=0.0, tempo=0.0)
        self.inputs = SignInputs()

    def setup(self, stage: str | None = None) -> None:
        """See `IsolatedData.setup`; the task says by ``inputs`` what is read of the clips."""
        if self.trainer is not None:
            self.inputs = self.trainer.lightning_module.inputs  # type: ignore[assignment]
        self._check_contents()
        super().setup(stage)

    def _check_contents(self) -> None:
        """UsageError for shards of something else than the network reads."""
        inputs = self.inputs
        wanted = "frames" if inputs.whole else "crops" if inputs.layout is None else None
        for name in dict.fromkeys(name for split in SPLITS for name in self.folders(split)):
            into = contents_of(name)
            if wanted is not None and into not in (None, wanted):
                raise UsageError(
                    f"shards: expected {wanted}, got {into} in {name}; prepare the data set again "
                    f"with --into {wanted}, into another folder"
                )

    def left_out(self, split: Split, clip: ClipIndex) -> str:
        seen = self.inputs.layout is not None or self.corpora[clip[0]].seen[clip[1]]
        unseen = split == "train" and not seen
        return super().left_out(split, clip) or ("show no hand" if unseen else "")

    def clip(self, index: ClipIndex, rng: np.random.Generator | None) -> SignClip:
        entry, reader = self.entry(index), ClipReader(self.inputs, self.augmentation)
        frames = choose_frames(entry.frames, self.frames, self.sampling, rng)
        hands = self.corpora[index[0]].read(index[1], reader.teachers)
        return reader.read(entry.id, hands, frames, self.class_of(index), rng)
