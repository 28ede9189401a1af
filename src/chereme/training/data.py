"""What the data modules of all systems share: which clips come when, and to which process.

Everything random is a function of (seed, epoch) or of (seed, epoch, clip), so a run repeats itself,
and one that was cut off, in the middle of an epoch too, goes on as it would have.
"""

from __future__ import annotations

import hashlib
import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, cast

import cv2
import lightning
import numpy as np
from torch.utils.data import DataLoader, Dataset

from chereme.datasets.pose_clips import Entry
from chereme.datasets.status import dropped_items, subsets
from chereme.errors import InputError, UsageError

Split = Literal["train", "dev", "test"]
ClipIndex = tuple[int, int]  # folder, clip in it
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


class DataModule(lightning.LightningDataModule):
    """The base of all data modules. A system's own lists its clips and says how many there are
    (``count``) and what a clip is (``dataset``).

    Class attributes:
        collate: clips to a batch.
        pool: batches whose clips are sorted by ``length`` together, so that little is padding; 1:
            clips come as they are drawn.

    Args:
        batch_size: clips a step and process.
        steps_per_epoch: batches after which an epoch ends; None: when all clips have been seen.
        workers: processes that read beside each training process.
        seed: of the order of clips, and of how they are changed.
    """

    collate: Any  # of clips
    pool: ClassVar[int] = 1

    def __init__(
        self,
        batch_size: int = 8,
        steps_per_epoch: int | None = None,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UsageError(f"batch_size: expected at least 1, got {batch_size}")
        self.batch_size, self.steps_per_epoch = batch_size, steps_per_epoch
        self.workers, self.seed = workers, seed
        self.dev_batch_size = batch_size
        """Clips that are scored at once."""
        self.validate = True
        """Whether ``best.ckpt`` is chosen on clips of dev."""

    def __getstate__(self) -> dict[str, Any]:
        # Datasets know their data module, and workers need no trainer.
        return self.__dict__ | {"trainer": None}

    # -- what a system's own data module says ------------------------------------------------------
    @property
    @abstractmethod
    def count(self) -> int:
        """Clips of an epoch, in all processes together."""

    @abstractmethod
    def dataset(self, split: Split, epoch: int | None) -> Dataset[Any]:
        """The clips of a split; ``epoch``: of training, None: as they are, to be scored."""

    def length(self, index: int, epoch: int) -> float:
        """About how long a training clip is in an epoch, to sort a ``pool``."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What ``metrics.json`` says of the data."""
        return {}

    def checkpoint_entry(self) -> dict[str, Any]:
        """What a checkpoint says of the data, in plain values."""
        return {}

    # -- batches of training -----------------------------------------------------------------------
    @property
    def world(self) -> tuple[int, int]:
        """How many processes train, and the rank of this one."""
        trainer = self.trainer
        return (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)

    def _own_batch_size(self) -> int:
        """Smaller than asked for where there are fewer clips."""
        count, world = self.count, self.world[0]
        if count < world:
            raise UsageError(
                f"clips: expected at least one for each of {world} processes, got {count}; train "
                "with fewer"
            )
        return min(self.batch_size, count // world)

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same in every process."""
        steps = self.count // (self._own_batch_size() * self.world[0])
        return steps if self.steps_per_epoch is None else min(steps, self.steps_per_epoch)

    def epoch_batches(self, epoch: int) -> Sequence[Sequence[Any]]:
        """The clips of each batch of an epoch of this process, by their numbers in ``dataset``.
        What does not fill a batch is left out of this epoch."""
        size, (world, rank) = self._own_batch_size(), self.world
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.count)[rank::world][: self.steps * size].tolist()
        if self.pool > 1:
            for start in range(0, len(order), self.pool * size):
                part = slice(start, start + self.pool * size)
                order[part] = sorted(order[part], key=lambda index: self.length(index, epoch))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        return batches if self.pool == 1 else [batches[i] for i in rng.permutation(len(batches))]

    def epoch_loader(self, epoch: int, skip: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number ``skip`` on."""
        return iter(self._loader(self.dataset("train", epoch), self.epoch_batches(epoch)[skip:]))

    def train_dataloader(self) -> Epochs:
        return Epochs(self)

    # -- batches of validation, and of the score ---------------------------------------------------
    def val_dataloader(self) -> Any:
        return self.whole("dev") if self.validate else []

    def whole(self, split: Split, *, own: bool = False) -> Any:
        """All clips of a split, in their order; of them the part of this process, if ``own``."""
        clips: Any = self.dataset(split, None)
        world, rank = self.world if own else (1, 0)
        numbers, size = range(len(clips))[rank::world], self.dev_batch_size
        starts = range(0, len(numbers), size)
        return self._loader(clips, [numbers[start : start + size] for start in starts])

    def _loader(self, clips: Dataset[Any], batches: Sequence[Sequence[Any]]) -> DataLoader[Any]:
        return DataLoader(
            clips,
            batch_sampler=cast(Any, batches),
            collate_fn=self.collate,
            num_workers=self.workers,
            worker_init_fn=_one_thread,
        )


class FolderData(DataModule):
    """The clips of some folders.

    Class attributes:
        named: what the argument with the folders is called, for messages.
        open_folder: reads a folder: its ``entries``, of `chereme.datasets.pose_clips`, and clips.

    Args:
        folders: of the clips to train on: those of the split train, or of none.
        dev: folders whose split dev is for validation; None: those of ``folders``.
        test: likewise, of the final score; there may be no clips.
        count_dropped: clips of dev and test that their preparation could not use count as read
            wrongly; False: they are left out of the score. Choice: papers do not say. In either
            case ``metrics.json`` has n of N (``prepared``).
        batch_size, steps_per_epoch, workers, seed: see `DataModule`.
    """

    named: ClassVar[str]
    open_folder: ClassVar[Any]  # of a path

    def __init__(
        self,
        folders: list[str],
        dev: list[str] | None = None,
        test: list[str] | None = None,
        count_dropped: bool = True,
        **batches: Any,
    ) -> None:
        super().__init__(**batches)
        self.count_dropped = count_dropped
        if not folders:
            raise UsageError(f"{self.named}: expected at least one folder, got none")
        self._folders = {"train": folders, "dev": dev, "test": test}
        self.clips: dict[Split, list[ClipIndex]] = {}

    def folders(self, split: Split) -> list[str]:
        """The folders in which clips of ``split`` are looked for."""
        own, training = self._folders[split], self._folders["train"]
        assert training is not None
        return list(
            training if split == "train" else dict.fromkeys(training if own is None else own)
        )

    def list_clips(self, splits: Sequence[Split] = SPLITS) -> None:
        """Open the folders and list the clips of these splits in ``clips``. Those that are
        `left_out` are counted, with a warning.

        Raises:
            InputError: there is nothing to train on, or a folder cannot be read.
        """
        names = list(dict.fromkeys(name for split in splits for name in self.folders(split)))
        self.corpora = [self.open_folder(name) for name in names]
        left_out: Counter[str] = Counter()
        for split in splits:
            wanted = {split, ""} if split == "train" else {split}
            self.clips[split] = []
            for folder in map(names.index, self.folders(split)):
                for number, entry in enumerate(self.corpora[folder].entries):
                    if entry.split in wanted:
                        reason = self.left_out(split, (folder, number))
                        left_out[reason] += 1
                        if not reason:
                            self.clips[split].append((folder, number))
        for reason, count in left_out.items():
            if reason:
                warnings.warn(f"{count:,} clips {reason} and are left out", stacklevel=3)
        if "train" in splits and not self.clips["train"]:
            raise InputError(
                f"{', '.join(self.folders('train'))}: expected clips to train on (split train, or "
                "none), got none"
            )

    def left_out(self, split: Split, clip: ClipIndex) -> str:
        """Why a clip is not used, after 'clips'; empty if it is."""
        return ""

    def entry(self, clip: ClipIndex) -> Entry:
        """What is known of a clip."""
        entry: Entry = self.corpora[clip[0]].entries[clip[1]]
        return entry

    def entries(self, split: Split) -> list[Entry]:
        """What is known of the clips of a split."""
        return [self.entry(clip) for clip in self.clips[split]]

    def dropped(self, split: Split) -> list[Entry]:
        """The clips of a split that their preparation could not use, where they count."""
        return self._dropped(split) if self.count_dropped else []

    def _dropped(self, split: Split) -> list[Entry]:
        items = [item for name in self.folders(split) for item in dropped_items(name, split)]
        return [Entry(item.id, item.label, item.signer or "", split, 0.0, 0) for item in items]

    def subsets(self, split: Split) -> dict[str, str]:
        """The subset of each clip of a split that is in one, by id."""
        return {name: subset for folder in self.folders(split) for name, subset in subsets(folder)}

    @property
    def rate(self) -> float:
        """Frames a second of the training clips: the middle one."""
        return float(np.median([entry.rate for entry in self.entries("train")]))

    @property
    def count(self) -> int:
        return len(self.clips["train"])

    def facts(self) -> dict[str, Any]:
        folders = {split: self.folders(split) for split in SPLITS}
        prepared = {split: len(self.clips.get(split, ())) for split in SPLITS[1:]}
        return {
            "data": folders,
            "training_clips": len(self.clips["train"]),
            "prepared": {
                split: {"clips": clips, "of": clips + len(self._dropped(split))}
                for split, clips in prepared.items()
            },
            "count_dropped": self.count_dropped,
        }


def part_of(
    clips: Sequence[ClipIndex], fraction: float, name: Callable[[ClipIndex], str]
) -> list[ClipIndex]:
    """That fraction of some clips, at least one, in their order. Which, their names say: a smaller
    fraction is a part of a larger one. UsageError for a fraction that is none."""
    if not 0 < fraction <= 1:
        raise UsageError(f"fraction: expected more than 0, at most 1, got {fraction:g}")
    if fraction == 1:
        return list(clips)
    order = sorted(clips, key=lambda clip: hashlib.sha256(name(clip).encode()).digest())
    chosen = set(order[: max(1, round(fraction * len(clips)))])
    return [clip for clip in clips if clip in chosen]


class Epochs:
    """What is left of the epoch that the trainer is in, each time that it is asked."""

    def __init__(self, data: DataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.steps

    def __iter__(self) -> Iterator[Any]:
        # Read when the first batch is asked for: Lightning takes iterators before it restores a
        # checkpoint, which holds this number of batches, of all epochs, whose step was taken.
        trainer: Any = self.data.trainer
        done = trainer.fit_loop.epoch_loop.batch_progress.total.processed
        yield from self.data.epoch_loader(done // len(self), done % len(self))


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)
