"""Training data from shards of tracked hand crops (``chereme prepare``), as Lightning wants it."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
from torch.utils.data import DataLoader, IterableDataset

from chereme.datasets.checks import ctc_fit
from chereme.datasets.greek import GREEK
from chereme.datasets.prepare import read_settings
from chereme.datasets.status import dropped_items
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.text import ASL_LETTERS, CHICAGO, Alphabet
from chereme.training.augmentation import Augmentation
from chereme.training.batches import Batch, ClipTransform, Inputs
from chereme.training.shard_sampler import (
    TrainingClips,
    WholeClips,
    assign,
    count_clips,
    list_shards,
    plan_lanes,
)

BRIDGE = 0.2  # seconds: gaps that ``chereme.datasets.clips`` fills, by the default of bridge_gaps
ALPHABETS = {"asl": ASL_LETTERS, "chicago": CHICAGO, "greek": GREEK}


def alphabet_of(name: str) -> Alphabet:
    """One of ``ALPHABETS``, or the alphabet of the characters of ``name``."""
    return ALPHABETS.get(name) or Alphabet(tuple(name))


def crop_of(folders: Sequence[str]) -> dict[str, float]:
    """How the crops in ``folders`` were cut out, as a bundle says it; errors: `ShardData.crop`."""
    found = {folder: read_settings(folder) for folder in folders}
    boxes = {folder: (made.padding, made.smoothing) for folder, made in found.items()}
    first = folders[0]
    for folder, box in boxes.items():
        if box != boxes[first]:
            raise UsageError(
                "shards: expected crops of one padding and smoothing, as serving has one, got "
                f"{boxes[first]} in {first} and {box} in {folder}; prepare one of them again"
            )
    padding, smoothing = boxes[first]
    return {"padding": padding, "smoothing": smoothing, "bridge": BRIDGE}


class ShardData(lightning.LightningDataModule):
    """The clips of some folders of shards, for training and to watch.

    Args:
        shards: folders that ``chereme prepare`` wrote; one that is listed twice counts twice.
        dev: folders of whose split dev the letter accuracy is watched; None: those of ``shards``
            that have one.
        test: likewise, of the final score; there may be none.
        alphabet: asl (a to z), chicago (31 symbols), greek (24 letters), or the symbols themselves.
        teacher: name of the vectors in the shards, where the network reads them or distils them.
        rate: frames a second that clips are brought to. Choice: None, frames as they are, since
            the papers' data sets state no rate.
        batch_size: clips a step and process.
        steps_per_epoch: batches after which an epoch ends; None: when all clips have been seen.
        workers: processes that decode beside each training process.
    """

    def __init__(
        self,
        shards: list[str],
        dev: list[str] | None = None,
        test: list[str] | None = None,
        alphabet: str = "asl",
        teacher: str | None = None,
        rate: float | None = None,
        batch_size: int = 8,
        dev_batch_size: int = 8,
        steps_per_epoch: int | None = None,
        augmentation: Augmentation | None = None,
        workers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._given = {"train": list(shards), "dev": dev, "test": test}
        self.alphabet, self.teacher, self.resampled = alphabet_of(alphabet), teacher, rate
        self.batch_size, self.dev_batch_size = batch_size, dev_batch_size
        self.steps_per_epoch = steps_per_epoch
        self.augmentation = augmentation or Augmentation()
        self.workers, self.seed = workers, seed
        self.inputs: Inputs | None = None

    @property
    def maker(self) -> ClipTransform:
        """How samples become clips; ``inputs`` must be known."""
        assert self.inputs is not None
        return ClipTransform(self.inputs, self.alphabet, self.teacher, self.resampled)

    @property
    def rate(self) -> float:
        """Frames a second of the training clips: as asked for, or the middle one of theirs."""
        if self.resampled is not None:
            return self.resampled
        return float(np.median([e.rate for part in self.slices for e in part.entries]))

    @property
    def crop(self) -> dict[str, float]:
        """How the training crops were made, as their folders say
        (``chereme.systems.fingerspelling.checkpoints``).

        UsageError if it was in different ways; InputError if a folder does not say.
        """
        return crop_of(self.folders("train"))

    def folders(self, split: str) -> list[str]:
        """The folders that clips of ``split`` come from."""
        given, training = self._given[split], self._given["train"] or []
        if given is not None:
            return given
        own = list(dict.fromkeys(training))
        return [folder for folder in own if any(Path(folder).glob(f"{split}-[0-9]*.tar"))]

    def dropped(self, split: str) -> list[str]:
        """The texts of the clips of a split that their preparation could not use."""
        items = [item for name in self.folders(split) for item in dropped_items(name, split)]
        return [self.alphabet.normalise(item.label) for item in items]

    def setup(self, stage: str | None = None) -> None:
        """List the shards, and check that labels and network fit them.

        Raises:
            UsageError: the network has another number of symbols than the alphabet, or wants
                vectors and no teacher is named, or at its stride most labels cannot be spelled.
            InputError: there are no shards to train on or to watch.

        Where the network reads crops, also the errors of ``crop``.
        """
        if self.trainer is not None:
            self.inputs = self.trainer.lightning_module.inputs  # type: ignore[assignment]
        inputs = self.maker.inputs
        if inputs.symbols != len(self.alphabet):
            raise UsageError(
                f"num_symbols: expected {len(self.alphabet)}, the blank and the symbols "
                f"{''.join(self.alphabet.symbols)!r}, got {inputs.symbols}"
            )
        if (inputs.vector_dim is None) != (self.teacher is None):
            raise UsageError(
                "teacher: expected the name of the vectors, which the network needs, got none"
                if self.teacher is None
                else f"teacher: expected none, as the network needs no vectors, got {self.teacher}"
            )
        self.slices = list_shards(self.folders("train"), "train")
        if not self.folders("dev"):
            raise InputError(
                f"{', '.join(self.folders('train'))}: expected shards dev-000000.tar and so on in "
                "one of them, to watch; name a folder that has some (data.init_args.dev)"
            )
        if inputs.image_size is not None:
            _ = self.crop  # now, not when the first checkpoint is written
        self._check_lengths()
        self._check_labels()
        self.ranks = plan_lanes(
            self.slices, self.batch_size, world=self._world, workers=max(1, self.workers)
        )

    def _check_lengths(self) -> None:
        inputs, rate = self.maker.inputs, self.resampled
        fit = ctc_fit(
            (
                Item(
                    part.path,
                    entry.label,
                    entry.id,
                    frames=round(entry.frames * (1.0 if rate is None else rate / entry.rate)),
                )
                for part in self.slices
                for entry in part.entries
            ),
            inputs.stride,
            self.alphabet,
        )
        some = ", ".join(fit.too_short[:5])
        if 2 * len(fit.too_short) > fit.clips:
            raise UsageError(f"kernels: {fit.warning()} (among them {some})")
        if fit.too_short:
            warnings.warn(f"{fit.warning()} (among them {some})", stacklevel=2)

    def _check_labels(self) -> None:
        unknown: Counter[str] = Counter()
        clips = 0
        for part in self.slices:
            for entry in part.entries:
                characters = self.alphabet.unknown(entry.label)
                unknown.update(characters)
                clips += bool(characters)
        if unknown:
            some = ", ".join(f"{c!r} in {n:,}" for c, n in unknown.most_common(5))
            warnings.warn(
                f"the labels of {clips:,} clips have characters that the alphabet lacks, which are "
                f"left out of what is learned ({len(unknown)} different: {some})",
                stacklevel=2,
            )

    @property
    def _world(self) -> int:
        return 1 if self.trainer is None else self.trainer.world_size

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same in every process."""
        steps = sum(lane.steps for lane in self.ranks[self._rank])
        return steps if self.steps_per_epoch is None else min(steps, self.steps_per_epoch)

    def epoch_loader(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``skip`` on."""
        clips = TrainingClips(
            self.ranks[self._rank],
            self.maker,
            self.augmentation,
            seed=self.seed,
            epoch=epoch,
            skip=skip,
        )
        return itertools.islice(_loader(clips, self.workers), self.steps - skip)

    def train_dataloader(self) -> Epochs:
        return Epochs(self)

    def val_dataloader(self) -> Loader:
        return self.whole("dev")

    def whole(self, split: str, *, every: bool = False) -> Loader:
        """The clips of a split, unchanged: this process's part, or all where ``every``."""
        slices = list_shards(self.folders(split), split)
        world, rank = (1, 0) if every else (self._world, self._rank)
        dealt = assign(slices, world * max(1, self.workers))[rank::world]
        return Loader(WholeClips(dealt, self.maker, self.dev_batch_size), self.workers)


class Loader:
    """The batches of ``WholeClips``, and how many there are."""

    def __init__(self, clips: WholeClips, workers: int) -> None:
        self.clips, self.workers = clips, workers

    def __len__(self) -> int:
        return sum(-(-count_clips(lane) // self.clips.batch_size) for lane in self.clips.lanes)

    def __iter__(self) -> Iterator[Batch]:
        yield from _loader(self.clips, self.workers)


class Epochs:
    """What is left of the epoch that the trainer is in, each time that it is asked."""

    def __init__(self, data: ShardData) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.steps

    def __iter__(self) -> Iterator[Batch]:
        # Read when the first batch is asked for: Lightning takes iterators before it restores a
        # checkpoint, which holds this number of batches, of all epochs, whose step was taken.
        trainer: Any = self.data.trainer
        done = trainer.fit_loop.epoch_loop.batch_progress.total.processed
        yield from self.data.epoch_loader(done // len(self), done % len(self))


def _loader(clips: IterableDataset[Batch], workers: int) -> DataLoader[Batch]:
    return DataLoader(clips, batch_size=None, num_workers=workers, worker_init_fn=_one_thread)


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)
