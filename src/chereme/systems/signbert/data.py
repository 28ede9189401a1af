"""Clips of both hands' joints (`chereme.datasets.pose_clips`), as SignBERT reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from chereme.datasets.pose_clips import PoseClip, PoseCorpus
from chereme.hands.both import choose_frames
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
        clips: see `IsolatedData` and `DataModule`.
    """

    named = "poses"
    open_folder = PoseCorpus
    collate = staticmethod(collate_poses)

    def __init__(
        self,
        poses: list[str],
        batch_size: int = 32,
        augmentation: PoseAugmentation | None = None,
        **clips: Any,
    ) -> None:
        super().__init__(poses, batch_size=batch_size, **clips)
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
