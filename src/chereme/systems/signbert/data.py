"""Clips of both hands' joints (`chereme.datasets.pose_clips`), as Lightning wants them.

Everything random is a function of (seed, epoch) or of (seed, epoch, clip), so a run repeats itself,
and one that was cut off goes on as it would have.
"""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, cast

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from chereme.datasets.pose_clips import Entry, PoseClip, PoseCorpus
from chereme.datasets.status import dropped_items
from chereme.errors import InputError, UsageError
from chereme.hands.both import Sampling, choose_frames
from chereme.systems.signbert.augmentation import PoseAugmentation
from chereme.systems.signbert.tokens import HandPoses
from chereme.training.shards import Epochs

Split = Literal["train", "dev", "test"]
Place = tuple[int, int]  # folder, clip in it
UNKNOWN = -1  # the class of a gloss that training has no clip of
OTHERS = 0.5  # clips of other signs in an epoch, for each of the glosses


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


class _Clips(Dataset[tuple[PoseClip, int]]):
    """Clips with their classes; ``epoch``: of training, or None for the middle of each clip."""

    def __init__(self, data: PoseData, places: Sequence[Place], epoch: int | None) -> None:
        self._corpora, self._places = data.corpora, places
        self._number = {name: number for number, name in enumerate(data.classes)}
        self._others = data.folders_of_others
        self._frames, self._sampling = data.frames, data.sampling
        self._seed, self._epoch = data.seed, epoch
        self._augmentation = data.augmentation

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[PoseClip, int]:
        folder, number = self._places[index]
        clip = self._corpora[folder][number]
        rng = None
        if self._epoch is not None:
            name = zlib.crc32(f"{folder}/{clip.entry.id}".encode())
            rng = np.random.default_rng([self._seed, self._epoch, name])
        if rng is not None and self._augmentation is not None:
            clip = self._augmentation.trimmed(clip, rng)
        chosen = choose_frames(clip.entry.frames, self._frames, self._sampling, rng)
        entry = replace(clip.entry, frames=len(chosen))
        clip = PoseClip(entry, clip.joints[chosen], clip.confidence[chosen])
        if rng is not None and self._augmentation is not None:
            clip = self._augmentation.changed(clip, rng)
        if folder in self._others:
            return clip, len(self._number)
        return clip, self._number.get(entry.label, UNKNOWN)


class PoseData(lightning.LightningDataModule):
    """The clips of some folders of poses, for training and to watch.

    Args:
        poses: folders; clips of theirs without a split are for training.
        dev: folders whose split dev is watched; None: those of ``poses``; none: nothing is watched.
        test: likewise, of the final score; there may be none.
        frames: taken of a clip, see ``choose_frames``.
        share: of the training clips of each gloss that are trained on, at least one of each. A
            smaller share is a part of a larger one.
        share_seed: which.
        hold_out: share of the training clips of each gloss that is watched, where no folder has the
            split dev.
        others: folders of clips that show none of the glosses. In each epoch others of them are
            trained on as well, half as many as there are clips of the glosses, with a class of
            their own, the last.
        without: glosses that are not trained on.
        batch_size: clips a step and process.
        augmentation: of training clips; None: they stay as they are, as in the papers.
        steps_per_epoch: batches after which an epoch ends; None: when all clips have been seen.
        workers: processes that read beside each training process.
    """

    collate = staticmethod(collate_poses)  # clips to a batch

    def __init__(
        self,
        poses: list[str],
        dev: list[str] | None = None,
        test: list[str] | None = None,
        frames: int = 32,
        sampling: Sampling = "window",
        share: float = 1.0,
        share_seed: int = 0,
        hold_out: float = 0.0,
        batch_size: int = 32,
        steps_per_epoch: int | None = None,
        workers: int = 0,
        seed: int = 0,
        augmentation: PoseAugmentation | None = None,
        others: list[str] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if not poses:
            raise UsageError("poses: expected at least one folder of poses, got none")
        if frames < 1 or batch_size < 1:
            raise UsageError(f"frames, batch_size: expected at least 1, got {frames}, {batch_size}")
        if sampling not in ("window", "spread"):
            raise UsageError(f"sampling: expected window or spread, got {sampling!r}")
        if not 0 < share <= 1:
            raise UsageError(f"share: expected more than 0, at most 1, got {share:g}")
        if not 0 <= hold_out < 1:
            raise UsageError(f"hold_out: expected a share from 0 to below 1, got {hold_out:g}")
        self._given = {"train": list(poses), "dev": dev, "test": test}
        self.frames, self.sampling = frames, sampling
        self.share, self.share_seed, self.hold_out = share, share_seed, hold_out
        self.batch_size, self.steps_per_epoch = batch_size, steps_per_epoch
        self.workers, self.seed = workers, seed
        self.augmentation = augmentation
        self.others = list(dict.fromkeys(others or []))
        self.without = frozenset(without)
        self._of_others: list[Place] = []
        self.labelled = True
        self.classes: tuple[str, ...] = ()

    def folders(self, split: Split) -> list[str]:
        """The folders in which clips of ``split`` are looked for."""
        given = self._given[split]
        return list(dict.fromkeys((self._given["train"] or []) if given is None else given))

    def setup(self, stage: str | None = None) -> None:
        """List the clips and check them.

        The task says, by ``labelled``, whether glosses are wanted: then clips without one are left
        out, and ``classes`` are the glosses of the training clips.

        Raises:
            InputError: there is nothing to train on or to watch.
            UsageError: there are not two glosses to tell apart.
        """
        if self.trainer is not None:
            self.labelled = self.trainer.lightning_module.labelled  # type: ignore[assignment]
        splits: tuple[Split, ...] = ("train", "dev", "test")
        names = list(dict.fromkeys(name for split in splits for name in self.folders(split)))
        self.folders_of_others = range(len(names), len(names) + len(self.others))
        self.corpora = [PoseCorpus(name) for name in (*names, *self.others)]
        self._of_others = [
            (folder, number)
            for folder in self.folders_of_others
            for number in range(len(self.corpora[folder]))
        ]
        unlabelled = 0
        self.places: dict[str, list[Place]] = {}
        for split in splits:
            wanted = {split, ""} if split == "train" else {split}
            found = [
                (names.index(name), number)
                for name in self.folders(split)
                for number, entry in enumerate(self.corpora[names.index(name)].entries)
                if entry.split in wanted and (split != "train" or entry.label not in self.without)
            ]
            self.places[split] = [p for p in found if not self.labelled or self.entry(p).label]
            unlabelled += len(found) - len(self.places[split])
        if unlabelled:
            warnings.warn(
                f"{unlabelled:,} clips have no gloss (an empty label) and are left out",
                stacklevel=2,
            )
        if not self.places["train"]:
            raise InputError(
                f"{', '.join(self.folders('train'))}: expected clips to train on (split train, or "
                "none), got none"
            )
        if not self.places["dev"] and self._given["dev"] != []:
            self._hold_out()
        self.places["train"] = self._shared(self.places["train"], self.share)
        self.classes = ()
        if self.labelled:
            self._check_glosses()

    def entry(self, place: Place) -> Entry:
        """What is known of a clip."""
        return self.corpora[place[0]].entries[place[1]]

    def entries(self, split: Split) -> list[Entry]:
        """What is known of the clips of a split."""
        return [self.entry(place) for place in self.places[split]]

    def dropped(self, split: Split) -> list[Entry]:
        """The clips of a split that their preparation could not use."""
        items = [item for name in self.folders(split) for item in dropped_items(name, split)]
        return [Entry(item.id, item.label, item.signer or "", split, 0.0, 0) for item in items]

    def _shared(self, places: Sequence[Place], share: float, purpose: str = "") -> list[Place]:
        """That share of the clips of each gloss, at least one, in their order."""
        if share == 1:
            return list(places)
        of_label: dict[str, list[Place]] = defaultdict(list)
        for place in places:
            of_label[self.entry(place).label].append(place)

        def order(place: Place) -> bytes:
            name = f"{purpose}{self.share_seed}\0{self.entry(place).id}"
            return hashlib.sha256(name.encode()).digest()

        chosen: set[Place] = set()
        for members in of_label.values():
            chosen |= set(sorted(members, key=order)[: max(1, round(share * len(members)))])
        return [place for place in places if place in chosen]

    def _hold_out(self) -> None:
        training = self.places["train"]
        counts = Counter(self.entry(place).label for place in training)
        several = [place for place in training if counts[self.entry(place).label] > 1]
        if not self.hold_out or not several:
            raise InputError(
                f"{', '.join(self.folders('dev'))}: expected clips of the split dev, to watch, got "
                "none; give some clips this split (best those of signers of their own), name a "
                "folder that has some (data.init_args.dev), or hold some of the training clips "
                "out (data.init_args.hold_out=0.2; of glosses with at least two clips)"
            )
        self.places["dev"] = self._shared(several, self.hold_out, "held out ")
        held = set(self.places["dev"])
        self.places["train"] = [place for place in training if place not in held]

    def _check_glosses(self) -> None:
        training = Counter(entry.label for entry in self.entries("train"))
        self.classes = tuple(sorted(training))
        if len(self.classes) < 2:
            raise UsageError(
                f"glosses: expected at least 2 to tell apart in the training clips, got "
                f"{', '.join(map(repr, self.classes))}"
            )
        watched: tuple[Split, ...] = ("dev", "test")
        for split in watched:
            found = Counter(entry.label for entry in self.entries(split))
            unknown = sorted(set(found) - set(training))
            if unknown:
                clips = sum(found[name] for name in unknown)
                warnings.warn(
                    f"{split}: {clips:,} clips are of {len(unknown):,} glosses without a training "
                    f"clip ({_some(unknown)}): they count as read wrongly",
                    stacklevel=2,
                )
            empty = sorted(set(training) - set(found))
            if empty and found:
                warnings.warn(
                    f"{split}: {len(empty):,} of {len(training):,} glosses have no clip "
                    f"({_some(empty)}): the accuracy per class is that of the others",
                    stacklevel=2,
                )
        signers = {entry.signer for entry in (*self.entries("train"), *self.entries("dev"))}
        if len(signers) == 1 and signers != {""}:
            warnings.warn(
                f"all clips are of one signer ({signers.pop()}): the accuracy says nothing of "
                "other signers",
                stacklevel=2,
            )

    @property
    def rate(self) -> float:
        """Frames a second of the training clips: the middle one."""
        return float(np.median([entry.rate for entry in self.entries("train")]))

    # -- batches -----------------------------------------------------------------------------------
    @property
    def _world(self) -> tuple[int, int]:
        """How many processes train, and which one this is."""
        trainer = self.trainer
        return (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)

    @property
    def _count(self) -> int:
        """Clips of an epoch."""
        clips = len(self.places["train"])
        return clips + (round(OTHERS * clips) if self._of_others else 0)

    def _seen(self, epoch: int) -> list[Place]:
        """The clips of an epoch, not yet in their order."""
        places, others = self.places["train"], self._of_others
        rng, count = np.random.default_rng([self.seed, epoch, 1]), self._count - len(places)
        drawn = rng.choice(len(others), count, replace=count > len(others)) if others else ()
        return [*places, *(others[number] for number in drawn)]

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same in every process."""
        size = self._size
        steps = self._count // (size * self._world[0])
        return steps if self.steps_per_epoch is None else min(steps, self.steps_per_epoch)

    @property
    def _size(self) -> int:
        clips, world = self._count, self._world[0]
        if clips < world:
            raise UsageError(
                f"poses: expected at least one clip for each of {world} processes, got {clips}"
            )
        return min(self.batch_size, clips // world)

    def clips(self, places: Sequence[Place], epoch: int | None) -> Dataset[Any]:
        """The clips at ``places``; ``epoch``: of training, None for those that are scored."""
        return _Clips(self, places, epoch)

    def epoch_loader(self, epoch: int, skip: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number ``skip`` on."""
        places, size, (world, rank) = self._seen(epoch), self._size, self._world
        order = np.random.default_rng([self.seed, epoch]).permutation(len(places))[rank::world]
        batches = [order[i * size : (i + 1) * size].tolist() for i in range(skip, self.steps)]
        return iter(self._loader(self.clips(places, epoch), batches))

    def _loader(self, clips: Dataset[Any], batches: Sequence[Sequence[int]]) -> DataLoader[Any]:
        return DataLoader(
            clips,
            batch_sampler=cast(Any, batches),
            collate_fn=self.collate,
            num_workers=self.workers,
        )

    def train_dataloader(self) -> Epochs:
        # It asks for steps, trainer and epoch_loader alone, which are those of shards.
        return Epochs(cast(Any, self))

    def val_dataloader(self) -> DataLoader[Any]:
        return self.whole("dev")

    def whole(self, split: Split) -> DataLoader[Any]:
        """All clips of a split, in their order; every process has all of them."""
        places, size = self.places[split], self.batch_size
        numbers = list(range(len(places)))
        batches = [numbers[start : start + size] for start in numbers[::size]]
        return self._loader(self.clips(places, None), batches)


def _some(names: Sequence[str], count: int = 5) -> str:
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
