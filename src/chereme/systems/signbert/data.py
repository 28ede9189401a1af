"""Clips of both hands' joints (`chereme.datasets.pose_clips`), as SignBERT reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chereme.datasets.pose_clips import PoseClip, PoseCorpus
from chereme.hands.both import Sampling, choose_frames
from chereme.systems.signbert.augmentation import PoseAugmentation
from chereme.systems.signbert.tokens import HandPoses
from chereme.training.data import ClipIndex
from chereme.training.isolated_data import IsolatedData


class PoseBatch(NamedTuple):
    """``poses``: of B clips; ``classes (B,)`` int64, ``UNKNOWN`` where there is none."""

    ids: tuple[str, ...]
    poses: HandPoses
    classes: Tensor


def collate_poses(clips: Sequence[tuple[PoseClip, int]]) -> PoseBatch:
    """Clips with their classes as a batch, padded to the longest."""
    longest = max(clip.entry.frames for clip, _ in clips)
    joints = torch.zeros(len(clips), longest, 2, 21, 2)
    confidence = torch.zeros(len(clips), longest, 2, 21)
    mask = torch.zeros(len(clips), longest, dtype=torch.bool)
    for row, (clip, _) in enumerate(clips):
        frames = clip.entry.frames
        seen = clip.confidence[..., None] > 0
        joints[row, :frames] = torch.from_numpy(np.where(seen, clip.joints, np.float32(0)))
        confidence[row, :frames] = torch.from_numpy(clip.confidence)
        mask[row, :frames] = True
    right = torch.tensor([False, True]).expand(len(clips), 2)
    return PoseBatch(
        tuple(clip.entry.id for clip, _ in clips),
        HandPoses(joints, confidence, right, mask),
        torch.tensor([label for _, label in clips]),
    )


class PoseData(IsolatedData):
    """The clips of some folders of poses.

    Args:
        poses: the folders.
        augmentation: of training clips; None: they stay as they are, as in the papers.
        dev, test, frames, sampling, fraction, fraction_seed, hold_out, others, without: see
            `IsolatedData`.
        batch_size, steps_per_epoch, workers, seed: see `DataModule`.
    """

    named = "poses"
    open_folder = PoseCorpus
    collate = staticmethod(collate_poses)

    def __init__(
        self,
        poses: list[str],
        dev: list[str] | None = None,
        test: list[str] | None = None,
        frames: int = 32,
        sampling: Sampling = "window",
        fraction: float = 1.0,
        fraction_seed: int = 0,
        hold_out: float = 0.0,
        batch_size: int = 32,
        steps_per_epoch: int | None = None,
        workers: int = 0,
        seed: int = 0,
        augmentation: PoseAugmentation | None = None,
        others: list[str] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__(
            poses,
            dev,
            test,
            frames,
            sampling,
            fraction,
            fraction_seed,
            hold_out,
            batch_size,
            steps_per_epoch,
            workers,
            seed,
            others or (),
            without,
        )
        self.augmentation = augmentation

    def clip(self, index: ClipIndex, rng: np.random.Generator | None) -> tuple[PoseClip, int]:
        """A clip with its class; see `IsolatedData.clip`."""
        folder, number = index
        clip: PoseClip = self.corpora[folder][number]
        augmentation = None if rng is None else self.augmentation
        if rng is not None and augmentation is not None:
            clip = augmentation.trimmed(clip, rng)
        chosen = choose_frames(clip.entry.frames, self.frames, self.sampling, rng)
        entry = replace(clip.entry, frames=len(chosen))
        clip = PoseClip(entry, clip.joints[chosen], clip.confidence[chosen])
        if rng is not None and augmentation is not None:
            clip = augmentation.changed(clip, rng)
        return clip, self.class_of(index)
