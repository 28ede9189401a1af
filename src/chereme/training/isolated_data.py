"""What the data modules of isolated signs share: glosses, and which clips are for what."""

from __future__ import annotations

import warnings
import zlib
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from chereme.errors import InputError, UsageError, some
from chereme.hands.both import Sampling
from chereme.training.data import ClipIndex, FolderData, Split, part_of

UNKNOWN = -1  # the class of a gloss that training has no clip of
OTHERS = 0.5  # clips of other signs in an epoch, for each of the glosses


class IsolatedData(FolderData):
    """Clips of isolated signs, for training, validation and the score.

    Args:
        folders: of the training clips; clips of theirs without a split are for training.
        dev: folders whose split dev is for validation; None: those of ``folders``; none: there is
            no validation.
        test: likewise, of the final score; there may be none.
        frames: taken of a clip, see ``choose_frames``.
        sampling: "window": in a row; "spread": one of each of as many equal parts of the clip.
        fraction: of the training clips of each gloss that are trained on, at least one of each. A
            smaller fraction is a part of a larger one.
        fraction_seed: which.
        hold_out: fraction of the training clips of each gloss that is kept for validation, where no
            folder has the split dev.
        others: folders of clips that show none of the glosses. In each epoch others of them are
            trained on as well, half as many as there are clips of the glosses, with a class of
            their own, the last.
        without: glosses that are not trained on.
        batch_size, steps_per_epoch, workers, seed: see `DataModule`.
    """

    def __init__(
        self,
        folders: list[str],
        dev: list[str] | None = None,
        frames: int = 32,
        sampling: Sampling = "window",
        fraction: float = 1.0,
        fraction_seed: int = 0,
        hold_out: float = 0.0,
        others: list[str] | None = None,
        without: Sequence[str] = (),
        **more: Any,
    ) -> None:
        super().__init__(folders, dev, **more)
        if frames < 1:
            raise UsageError(f"frames: expected at least 1, got {frames}")
        if sampling not in ("window", "spread"):
            raise UsageError(f"sampling: expected window or spread, got {sampling!r}")
        if not 0 <= hold_out < 1:
            raise UsageError(f"hold_out: expected a fraction from 0 to below 1, got {hold_out:g}")
        self.frames, self.sampling = frames, sampling
        self.fraction, self.fraction_seed, self.hold_out = fraction, fraction_seed, hold_out
        self.others, self.without = list(dict.fromkeys(others or ())), frozenset(without)
        self.validate = dev is None or bool(dev)
        self.labelled = True
        self.classes: tuple[str, ...] = ()

    def folders(self, split: Split) -> list[str]:
        return list(dict.fromkeys(super().folders(split)))

    def facts(self) -> dict[str, Any]:
        return super().facts() | {
            "fraction": self.fraction,
            "fraction_seed": self.fraction_seed,
            "frames": self.frames,
            "sampling": self.sampling,
        }

    def checkpoint_entry(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "sampling": self.sampling,
            "rate": self.rate,
            **({"classes": list(self.classes)} if self.labelled else {}),
            **({"other": True} if self.others else {}),
        }

    # -- what there is -----------------------------------------------------------------------------
    def setup(self, stage: str | None = None) -> None:
        """List the clips and check them.

        The task may say, by ``labelled``, that no glosses are wanted: else clips without one are
        left out, and ``classes`` are the glosses of the training clips.

        Raises:
            InputError: there is nothing to train on or to validate on.
            UsageError: there are not two glosses to tell apart.
        """
        if self.trainer is not None:
            self.labelled = getattr(self.trainer.lightning_module, "labelled", True)
        self.list_clips()
        self.folders_of_others = range(len(self.corpora), len(self.corpora) + len(self.others))
        self.corpora += [self.open_folder(name) for name in self.others]
        self._of_others = [
            (folder, number)
            for folder in self.folders_of_others
            for number in range(len(self.corpora[folder]))
        ]
        if not self.clips["dev"] and self.validate:
            self._hold_out()
        self.clips["train"] = self._part(self.clips["train"], self.fraction)
        self.classes = self._glosses() if self.labelled else ()
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def left_out(self, split: Split, clip: ClipIndex) -> str:
        entry = self.entry(clip)
        if self.labelled and not entry.label:
            return "have no gloss (an empty label)"
        if split == "train" and entry.label in self.without:
            return "are of glosses that are not trained on"
        return ""

    def _part(
        self, clips: Sequence[ClipIndex], fraction: float, purpose: str = ""
    ) -> list[ClipIndex]:
        """That fraction of the clips of each gloss, at least one, in their order."""
        of_label: dict[str, list[ClipIndex]] = defaultdict(list)
        for clip in clips:
            of_label[self.entry(clip).label].append(clip)

        def name(clip: ClipIndex) -> str:
            return f"{purpose}{self.fraction_seed}\0{self.entry(clip).id}"

        chosen: set[ClipIndex] = set()
        for members in of_label.values():
            chosen.update(part_of(members, fraction, name))
        return [clip for clip in clips if clip in chosen]

    def _hold_out(self) -> None:
        training = self.clips["train"]
        counts = Counter(self.entry(clip).label for clip in training)
        several = [clip for clip in training if counts[self.entry(clip).label] > 1]
        if not self.hold_out or not several:
            raise InputError(
                f"{', '.join(self.folders('dev'))}: expected clips of the split dev, for "
                "validation, got none; give some clips this split (best those of signers of their "
                "own), name a folder that has some (data.init_args.dev), or hold some of the "
                "training clips out (data.init_args.hold_out=0.2; of glosses with at least two "
                "clips)"
            )
        self.clips["dev"] = self._part(several, self.hold_out, "held out ")
        held = set(self.clips["dev"])
        self.clips["train"] = [clip for clip in training if clip not in held]

    def _glosses(self) -> tuple[str, ...]:
        """The glosses of the training clips, checked against those of dev and test."""
        training = Counter(entry.label for entry in self.entries("train"))
        glosses = tuple(sorted(training))
        if len(glosses) < 2:
            raise UsageError(
                f"glosses: expected at least 2 to tell apart in the training clips, got "
                f"{', '.join(map(repr, glosses))}"
            )
        scored: tuple[Split, ...] = ("dev", "test")
        for split in scored:
            found = Counter(entry.label for entry in self.entries(split))
            unknown = sorted(set(found) - set(training))
            if unknown:
                clips = sum(found[name] for name in unknown)
                warnings.warn(
                    f"{split}: {clips:,} clips are of {len(unknown):,} glosses without a training "
                    f"clip ({some(unknown)}): they count as read wrongly",
                    stacklevel=2,
                )
            empty = sorted(set(training) - set(found))
            if empty and found:
                warnings.warn(
                    f"{split}: {len(empty):,} of {len(training):,} glosses have no clip "
                    f"({some(empty)}): the accuracy per class is that of the others",
                    stacklevel=2,
                )
        signers = {entry.signer for entry in (*self.entries("train"), *self.entries("dev"))}
        if len(signers) == 1 and signers != {""}:
            warnings.warn(
                f"all clips are of one signer ({signers.pop()}): the accuracy says nothing of "
                "other signers",
                stacklevel=2,
            )
        return glosses

    # -- batches -----------------------------------------------------------------------------------
    @property
    def count(self) -> int:
        clips = super().count
        return clips + (round(OTHERS * clips) if self._of_others else 0)

    def of_epoch(self, split: Split, epoch: int | None) -> list[ClipIndex]:
        """The clips of a split; those of an epoch, with others, where it is of training."""
        clips, others = self.clips[split], self._of_others
        if epoch is None or not others:
            return clips
        rng, count = np.random.default_rng([self.seed, epoch, 1]), self.count - len(clips)
        drawn = rng.choice(len(others), count, replace=count > len(others))
        return [*clips, *(others[number] for number in drawn)]

    def dataset(self, split: Split, epoch: int | None) -> Dataset[Any]:
        return _Clips(self, split, epoch)

    @abstractmethod
    def clip(self, index: ClipIndex, rng: np.random.Generator | None) -> Any:
        """A clip; ``rng``: of training, None for the middle of the clip."""

    def class_of(self, clip: ClipIndex) -> int:
        """The number of the class of a clip."""
        if clip[0] in self.folders_of_others:
            return len(self.classes)
        return self._numbers.get(self.entry(clip).label, UNKNOWN)


class _Clips(Dataset[Any]):
    """Clips of ``data``; ``epoch``: of training, or None for the middle of each clip."""

    def __init__(self, data: IsolatedData, split: Split, epoch: int | None) -> None:
        self.data, self.clips, self.epoch = data, data.of_epoch(split, epoch), epoch

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Any:
        folder, number = self.clips[index]
        rng = None
        if self.epoch is not None:
            name = zlib.crc32(f"{folder}/{self.data.entry((folder, number)).id}".encode())
            rng = np.random.default_rng([self.data.seed, self.epoch, name])
        return self.data.clip((folder, number), rng)
