"""Training data from shards of tracked hand crops (``chereme prepare``)."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from chereme.datasets.checks import ctc_fit
from chereme.datasets.greek import GREEK
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.systems.fingerspelling.batches import Batch, Clip, ClipTransform, Inputs, collate
from chereme.text import ASL_LETTERS, CHICAGO, Alphabet
from chereme.training.augmentation import Augmentation
from chereme.training.data import SPLITS, ClipIndex, FolderData, Split, part_of
from chereme.training.shards import ShardCorpus, crop_of, vectors_of

ALPHABETS = {"asl": ASL_LETTERS, "chicago": CHICAGO, "greek": GREEK}


def alphabet_of(name: str) -> Alphabet:
    """One of ``ALPHABETS``, or the alphabet of the characters of ``name``."""
    return ALPHABETS.get(name) or Alphabet(tuple(name))


class _Clips(Dataset[Clip]):
    """The clips of a split; ``epoch``: of training, None: as they are."""

    def __init__(self, data: ShardData, split: Split, epoch: int | None) -> None:
        self.data, self.clips, self.epoch = data, data.clips[split], epoch

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:
        data, (folder, number) = self.data, self.clips[index]
        teachers = () if data.teacher is None else (data.teacher,)
        sample = data.corpora[folder].read(number, teachers, mirrored=self.epoch is not None)[0]
        if self.epoch is None:
            return data.transform.make(sample)
        rng = np.random.default_rng([data.seed, self.epoch, index])
        return data.transform.make(sample, data.augmentation, rng)


class ShardData(FolderData):
    """The clips of some folders of shards.

    Args:
        shards: folders that ``chereme prepare`` wrote; one that is listed twice counts twice. Clips
            in which no hand was seen are not trained on.
        alphabet: asl (a to z), chicago (31 symbols), greek (24 letters), or the symbols themselves.
        teacher: name of the vectors in the shards, where the network reads them or distils them.
        rate: frames a second that clips are brought to. Choice: None, frames as they are, since
            the papers' data sets state no rate.
        fraction: of the training clips that are trained on. A smaller fraction is a part of a
            larger one.
        dev_batch_size: clips that are scored at once.
        augmentation: of training clips.
        clips: see `FolderData` and `DataModule`.
    """

    named = "shards"
    open_folder = ShardCorpus
    pool = 8

    def __init__(
        self,
        shards: list[str],
        alphabet: str = "asl",
        teacher: str | None = None,
        rate: float | None = None,
        fraction: float = 1.0,
        dev_batch_size: int = 8,
        augmentation: Augmentation | None = None,
        workers: int = 1,
        **clips: Any,
    ) -> None:
        super().__init__(shards, workers=workers, **clips)
        self.alphabet, self.teacher, self.resampled = alphabet_of(alphabet), teacher, rate
        self.fraction, self.dev_batch_size = fraction, dev_batch_size
        self.augmentation = augmentation or Augmentation()
        self.inputs: Inputs | None = None

    @property
    def transform(self) -> ClipTransform:
        """How samples become clips; ``inputs`` must be known."""
        assert self.inputs is not None
        return ClipTransform(self.inputs, self.alphabet, self.teacher, self.resampled)

    @property
    def rate(self) -> float:
        """Frames a second of the training clips: as asked for, or the middle one of theirs."""
        return super().rate if self.resampled is None else self.resampled

    @property
    def crop(self) -> dict[str, float]:
        """How the training crops were made, as their folders say (`crop_of`)."""
        return crop_of(self.folders("train"))

    def facts(self) -> dict[str, Any]:
        about = {"teacher": self.teacher, "fraction": self.fraction}
        vectors = {} if self.teacher is None else vectors_of(self._read_folders())
        return super().facts() | about | vectors

    def _read_folders(self) -> list[str]:
        return list(dict.fromkeys(name for split in SPLITS for name in self.folders(split)))

    def checkpoint_entry(self) -> dict[str, Any]:
        about: dict[str, Any] = {"rate": self.rate, "alphabet": list(self.alphabet.symbols)}
        crops = self.inputs is not None and self.inputs.image_size is not None
        return about | ({"crop": self.crop} if crops else {})

    def dropped_texts(self, split: Split) -> list[str]:
        """The texts of `dropped`."""
        return [self.alphabet.normalise(entry.label) for entry in self.dropped(split)]

    def setup(self, stage: str | None = None) -> None:
        """List the clips, and check that labels and network fit them; the task says by ``inputs``
        what is read.

        Raises:
            UsageError: the network has another number of symbols than the alphabet, or wants
                vectors and no teacher is named, or at its stride most labels cannot be spelled.
            InputError: there is nothing to train or to validate on.

        Where the network reads crops, also the errors of ``crop``; where vectors, of `vectors_of`.
        """
        if self.trainer is not None:
            self.inputs = self.trainer.lightning_module.inputs  # type: ignore[assignment]
        inputs = self.transform.inputs
        if inputs.track:
            raise UsageError(
                "stream: expected rgb, pose or rgb+pose, got landmarks, which are trained on "
                "composed clips (chereme.systems.fingerspelling.composed.ComposedData)"
            )
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
        self.list_clips()
        if not self.clips["dev"]:
            raise InputError(
                f"{', '.join(self.folders('dev'))}: expected shards dev-000000.tar and so on in "
                "one of them, for validation; name a folder that has some (data.init_args.dev)"
            )
        if inputs.image_size is not None:
            _ = self.crop  # now, not when the first checkpoint is written
        if self.teacher is not None:
            vectors_of(self._read_folders())
        self._check_lengths()
        self._check_labels()

    def list_clips(self, splits: Sequence[Split] = SPLITS) -> None:
        super().list_clips(splits)
        if "train" in splits:
            self.clips["train"] = part_of(
                self.clips["train"], self.fraction, lambda clip: self.entry(clip).id
            )

    def left_out(self, split: Split, clip: ClipIndex) -> str:
        unseen = split == "train" and not self.corpora[clip[0]].seen[clip[1]]
        return "show no hand" if unseen else ""

    def _check_lengths(self) -> None:
        items = (
            Item(Path(entry.id), entry.label, entry.id, frames=round(self.length(index, 0)))
            for index, entry in enumerate(self.entries("train"))
        )
        fit = ctc_fit(items, self.transform.inputs.stride, self.alphabet)
        some = ", ".join(fit.too_short[:5])
        if 2 * len(fit.too_short) > fit.clips:
            raise UsageError(f"kernels: {fit.warning()} (among them {some})")
        if fit.too_short:
            warnings.warn(f"{fit.warning()} (among them {some})", stacklevel=2)

    def _check_labels(self) -> None:
        unknown: Counter[str] = Counter()
        clips = 0
        for entry in self.entries("train"):
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

    # -- batches -----------------------------------------------------------------------------------
    def length(self, index: int, epoch: int) -> float:
        """In frames, at the rate that clips are brought to."""
        entry = self.entry(self.clips["train"][index])
        return entry.frames * (1.0 if self.resampled is None else self.resampled / entry.rate)

    def dataset(self, split: Split, epoch: int | None) -> Dataset[Any]:
        return _Clips(self, split, epoch)

    def collate(self, clips: Sequence[Clip]) -> Batch:
        """Clips as a batch."""
        return collate(clips, self.alphabet)

    def val_dataloader(self) -> Any:
        return self.whole("dev", own=True)
