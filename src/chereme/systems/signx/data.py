"""Sentences with their pose tracks, as SignX reads them."""

from __future__ import annotations

import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from chereme.datasets.registry import Kind, listed, reader_of
from chereme.datasets.sentence_folds import folds, folds_with_twins, signer_folds
from chereme.datasets.sentences import (
    Gloss,
    Sentence,
    SentenceCorpus,
    from_manifest,
    sentence_tracks,
)
from chereme.errors import InputError, UsageError
from chereme.formats.tracks import PAPER_RATE, TRACKS, Floats, PoseTracks, track_statistics
from chereme.systems.signx.losses import UNKNOWN
from chereme.systems.signx.sentence_mixing import (
    Composition,
    Segment,
    SentenceMixer,
    concat,
    numbered,
    shown_in,
)
from chereme.systems.signx.track_augmentation import TrackAugmentation
from chereme.text.glosses import LONGEST, PAD, GlossVocabulary, Units
from chereme.training.data import SPLITS, DataModule, Split


class SentenceBatch(NamedTuple):
    """``tracks``: ``(B, T, W)`` by name and ``present``: ``(B, T)`` bool, of all tracks that any of
    the sentences has; ``lengths (B,)`` in frames; ``glosses (B, L)`` int64, without ends, padded;
    ``words``: the glosses as they were signed. ``shown (B, T)`` int64: the place in the sentence of
    the gloss that each frame shows, ``NO_GLOSS`` or ``UNKNOWN``; None where none has times."""

    ids: tuple[str, ...]
    tracks: dict[str, Tensor]
    present: dict[str, Tensor]
    lengths: Tensor
    glosses: Tensor
    words: tuple[tuple[str, ...], ...]
    shown: Tensor | None = None


class SentenceClip(NamedTuple):
    """A sentence with its tracks and the ids of its glosses."""

    sentence: Sentence
    clip: PoseTracks
    ids: tuple[int, ...]


def collate_sentences(items: Sequence[SentenceClip]) -> SentenceBatch:
    """Sentences as a batch, padded to the longest; what a sentence has not is not present."""
    lengths = [item.clip.frames for item in items]
    longest, names = max(lengths), {name for item in items for name in item.clip.values}
    tracks, present = {}, {}
    for name in (name for name in TRACKS if name in names):
        tracks[name] = torch.zeros(len(items), longest, TRACKS[name].width)
        present[name] = torch.zeros(len(items), longest, dtype=torch.bool)
        for row, item in enumerate(items):
            if name in item.clip.values:
                tracks[name][row, : lengths[row]] = torch.from_numpy(item.clip.values[name])
                present[name][row, : lengths[row]] = torch.from_numpy(item.clip.present[name])
    glosses = torch.full((len(items), max(1, *(len(item.ids) for item in items), 1)), PAD)
    for row, item in enumerate(items):
        glosses[row, : len(item.ids)] = torch.tensor(item.ids, dtype=torch.long)
    return SentenceBatch(
        tuple(item.sentence.id for item in items),
        tracks,
        present,
        torch.tensor(lengths),
        glosses,
        tuple(item.sentence.words for item in items),
        _shown([item.clip for item in items], longest),
    )


def _shown(clips: Sequence[PoseTracks], longest: int) -> Tensor | None:
    if all(clip.shown is None for clip in clips):
        return None
    shown = torch.full((len(clips), longest), UNKNOWN)
    for row, clip in enumerate(clips):
        if clip.shown is not None:
            shown[row, : clip.frames] = torch.from_numpy(clip.shown)
    return shown


def ctc_frames(ids: Sequence[int]) -> int:
    """The frames that CTC needs for a sentence: one a gloss, and one between equal ones."""
    return len(ids) + sum(before == after for before, after in pairwise(ids))


class _Sentences(Dataset[SentenceClip]):
    """The sentences of a split; ``epoch``: of training, or None: as they are."""

    def __init__(self, data: SentenceData, split: Split, epoch: int | None) -> None:
        self._data, self._split, self._epoch = data, split, epoch

    def __len__(self) -> int:
        return len(self._data.sentences[self._split])

    def __getitem__(self, index: int) -> SentenceClip:
        data = self._data
        if self._epoch is None:
            sentence = data.sentences[self._split][index]
            return SentenceClip(sentence, data.tracks_of(sentence), data.ids[self._split][index])
        item = data.clip_of_epoch(index, self._epoch)
        if data.augmentation is None:
            return item
        rng = data.generator(item.sentence, self._epoch)
        spread = {track: std for track, (_, std) in data.statistics.items()}
        return item._replace(clip=data.augmentation.changed(item.clip, rng, spread))


class SentenceData(DataModule):
    """Sentences with their tracks, for training, validation and the score.

    The vocabulary, and mean and spread of the tracks' numbers, are those of the training sentences
    alone.

    Args:
        root: a manifest of files of poses (``path,label,split,...``; a label is glosses with spaces
            between), or a folder with ``manifest.csv``; or what the reader of ``layout`` reads.
        layout: "manifest", or a data set of sentences that has tracks, as ``chereme prepare`` calls
            it.
        split_by: "column": train (also: none), dev and test as the manifest says; "folds": fold
            number ``fold`` of ``folds`` is tested, repetitions of a sentence being in one fold;
            "twins": likewise, but two thirds of what is tested is repeated in training; "signers":
            a fold is the sentences of a signer.
        validate: choose the weights that are best on dev; of folds that is the next one. Else dev
            is trained on (of folds), and the last weights are scored.
        tracks: of these names alone; None: all that the task reads.
        rate: frames a second that all tracks are brought to; None: as they are.
        units: of the vocabulary, glosses or their pieces.
        min_count: glosses that are signed less often in training are unknown.
        compose: makes sentences of several training sentences; None: there are no others, as in
            the paper.
        augmentation: of training sentences; None: they stay as they are, as in the paper.
        in_memory: keep tracks that were read; of 2,100 sentences with all five tracks 3 GB.
        batch_size, batches: see `DataModule`.
    """

    collate: Any = staticmethod(collate_sentences)
    pool = 8

    def __init__(
        self,
        root: str,
        layout: str = "manifest",
        split_by: Literal["column", "folds", "twins", "signers"] = "column",
        folds: int = 5,
        fold: int = 0,
        validate: bool = True,
        tracks: list[str] | None = None,
        rate: float | None = PAPER_RATE,
        units: Units = "glosses",
        min_count: int = 1,
        compose: Composition | None = None,
        augmentation: TrackAugmentation | None = None,
        in_memory: bool = True,
        batch_size: int = 32,
        **batches: Any,
    ) -> None:
        super().__init__(batch_size, **batches)
        if split_by not in ("column", "folds", "twins", "signers"):
            raise UsageError(
                f"split_by: expected column, folds, twins or signers, got {split_by!r}"
            )
        self.root, self.layout = root, layout
        self.split_by, self.folds, self.fold, self.validate = split_by, folds, fold, validate
        self.rate, self.units, self.min_count = rate, units, min_count
        self.compose, self.augmentation, self.in_memory = compose, augmentation, in_memory
        self.names, self.longest = tracks, LONGEST
        self.counts: dict[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        split = {"split_by": self.split_by} | (
            {} if self.split_by == "column" else {"fold": self.fold}
        )
        return {
            "data": {"root": self.root, "layout": self.layout, **split},
            "training_sentences": len(self.sentences["train"]),
            "vocabulary": len(self.vocabulary),
            "tracks": list(self.statistics),
            "warnings": self.counts,
        }

    # -- what there is -----------------------------------------------------------------------------
    def setup(self, stage: str | None = None) -> None:
        """List the sentences, check their tracks, and count what cannot be used, with a warning.

        The task says, by ``tracks`` and ``longest``, which tracks it reads and how many glosses a
        sentence may have.

        Raises:
            InputError: there is nothing to train or to validate on; a damaged file, or one of
                another width.
            UsageError: a fold that there is not.
        """
        if self.trainer is not None:
            task: Any = self.trainer.lightning_module
            own = self.names
            self.names = [name for name in task.tracks if own is None or name in own]
            self.longest = task.longest
        self.counts = {}
        corpus = self._corpus()
        self._kept: dict[str, PoseTracks] = {}
        dropped = [finding for finding in corpus.findings if finding.dropped]
        self._count("not_listed", [f.id for f in dropped], "cannot be used", corpus.rows)
        without = [s.id for s in corpus.sentences if not self._has_tracks(s)]
        wanted = "tracks" if self.names is None else " or ".join(self.names)
        self._count("without_tracks", without, f"have no {wanted}", corpus.rows)
        every = self._split(corpus.sentences)
        lost = set(without)
        self.sentences = {split: [s for s in every[split] if s.id not in lost] for split in SPLITS}
        self.unread = {split: [s for s in every[split] if s.id in lost] for split in SPLITS}
        self._drop_too_long("glosses", [len(s.words) for s in self.sentences["train"]])
        self._check_splits()
        words = [sentence.words for sentence in self.sentences["train"]]
        self.vocabulary = GlossVocabulary.build(words, min_count=self.min_count, units=self.units)
        self._drop_too_long("pieces", [len(self.vocabulary.encode(own)) for own in words])
        self._check_splits()
        training = self.sentences["train"]
        self.ids = {split: self._encoded(split) for split in SPLITS}
        self.statistics: dict[str, tuple[Floats, Floats]] = track_statistics(
            self.tracks_of(sentence) for sentence in training
        )
        self._frames = [self.tracks_of(sentence).frames for sentence in training]
        self._composer = None
        if self.compose is not None:
            rates = [self.tracks_of(sentence).rate for sentence in training]
            self._composer = SentenceMixer(
                training, self.compose, self.longest, self._frames, rates
            )
        pairs = zip(training, self._frames, self.ids["train"], strict=True)
        short = [s.id for s, frames, ids in pairs if frames < ctc_frames(ids)]
        why = "have fewer frames than CTC needs for their glosses: it learns nothing of them"
        self._count("too_short_for_ctc", short, why, len(training))

    def _corpus(self) -> SentenceCorpus:
        if self.layout != "manifest":
            known = [name for name, entry in listed().items() if entry.kind is Kind.SENTENCES]
            if self.layout not in known:
                raise UsageError(
                    f"layout: expected manifest, {', '.join(known)}, got {self.layout!r}"
                )
            corpus: SentenceCorpus = reader_of(self.layout)(self.root)
            return corpus
        root = Path(self.root)
        return from_manifest(root / "manifest.csv" if root.is_dir() else root)

    def tracks_of(self, sentence: Sentence) -> PoseTracks:
        """Those tracks of a sentence that are read, at the common rate."""
        if sentence.id in self._kept:
            return self._kept[sentence.id]
        clip = sentence_tracks(sentence)
        clip = clip if self.names is None else clip.only(self.names)
        if self.rate is not None and self.rate != clip.rate:
            clip = clip.at_rate(self.rate)
        # Pieces of glosses have no times.
        if self.units == "glosses":
            clip = replace(clip, shown=shown_in(sentence, clip))
        if self.in_memory:
            self._kept[sentence.id] = clip
        return clip

    def _has_tracks(self, sentence: Sentence) -> bool:
        clip = sentence_tracks(sentence)
        names = clip.values if self.names is None else self.names
        return any(clip.present[name].any() for name in names if name in clip.present)

    def _split(self, sentences: Sequence[Sentence]) -> dict[Split, list[Sentence]]:
        if self.split_by == "column":
            found: dict[Split, list[Sentence]] = {split: [] for split in SPLITS}
            for sentence in sentences:
                found[sentence.split or "train"].append(sentence)
            return found if self.validate else found | {"dev": []}
        if self.split_by == "signers":
            parts = signer_folds(sentences)
        else:
            of = folds if self.split_by == "folds" else folds_with_twins
            parts = of(sentences, self.folds)
        if not 0 <= self.fold < len(parts):
            raise UsageError(f"fold: expected 0 to {len(parts) - 1}, got {self.fold}")
        test = set(parts[self.fold])
        dev = set(parts[(self.fold + 1) % len(parts)]) if self.validate else set()
        return {
            "train": [s for s in sentences if s.id not in test | dev],
            "dev": [s for s in sentences if s.id in dev],
            "test": [s for s in sentences if s.id in test],
        }

    def _drop_too_long(self, what: str, lengths: Sequence[int]) -> None:
        """Only of training: what is read is compared with the whole sentence."""
        pairs = list(zip(self.sentences["train"], lengths, strict=True))
        self.sentences["train"] = [s for s, length in pairs if length <= self.longest]
        too_long = [s.id for s, length in pairs if length > self.longest]
        why = f"are longer than {self.longest} {what} and are not trained on"
        self._count("too_long", too_long, why, len(pairs))

    def _check_splits(self) -> None:
        if not self.sentences["train"]:
            raise InputError(
                f"{self.root}: expected sentences to train on (split train, or none) with tracks, "
                "got none"
            )
        if self.validate and not self.sentences["dev"]:
            raise InputError(
                f"{self.root}: expected sentences of the split dev, for validation, got none; give "
                "some sentences this split (best those of signers of their own), or train to the "
                "end without validation (data.init_args.validate=false)"
            )

    def _encoded(self, split: Split) -> list[tuple[int, ...]]:
        words = [sentence.words for sentence in self.sentences[split]]
        found = self.vocabulary.encode_all(words, self.longest)
        if found.unknown:
            self.counts[f"{split}_unknown_glosses"] = found.unknown.total()
        for warning in found.warnings:
            warnings.warn(f"{split}: {warning}", stacklevel=2)
        # Of dev and test alone: pieces of glosses are more than glosses.
        return [ids[: self.longest] for ids in found.ids]

    def _count(self, name: str, ids: Sequence[str], why: str, of: int) -> None:
        if ids:
            self.counts[name] = self.counts.get(name, 0) + len(ids)
            more = ", ..." if len(ids) > 5 else ""
            warnings.warn(
                f"{len(ids):,} of {of:,} sentences {why} ({', '.join(ids[:5])}{more})",
                stacklevel=2,
            )

    def unseen(self, split: Split) -> float:
        """The percentage of the glosses of a split that training has not: a floor of its WER."""
        known = {word for sentence in self.sentences["train"] for word in sentence.words}
        count = Counter(word in known for s in self.sentences[split] for word in s.words)
        return 100.0 * count[False] / max(1, count.total())

    # -- training sentences, and those made of them ------------------------------------------------
    def generator(self, sentence: Sentence, epoch: int, draw: int = 0) -> np.random.Generator:
        """What is random about a training sentence in an epoch; ``draw``: 0: how it is changed, 1:
        what is made of it."""
        name = zlib.crc32(sentence.id.encode())
        return np.random.default_rng([self.seed, epoch, name, *([draw] if draw else [])])

    def _segments(self, index: int, epoch: int) -> list[Segment]:
        assert self._composer is not None
        rng = self.generator(self.sentences["train"][index], epoch, draw=1)
        return self._composer.segments(index, rng)

    def clip_of_epoch(self, index: int, epoch: int) -> SentenceClip:
        """Training sentence number ``index``, or what is made of it in this epoch, unchanged."""
        training = self.sentences["train"]
        sentence = training[index]
        parts = [] if self._composer is None else self._segments(index, epoch)
        whole = [Segment(index, 0, len(sentence.words))]
        if self._composer is None or parts == whole:
            return SentenceClip(sentence, self.tracks_of(sentence), self.ids["train"][index])
        glosses = [
            gloss
            for part in parts
            for gloss in training[part.sentence].glosses[part.first : part.last]
        ]
        ids = tuple(self.vocabulary.encode([gloss.text for gloss in glosses]))
        if len(ids) > self.longest:  # of pieces
            return SentenceClip(sentence, self.tracks_of(sentence), self.ids["train"][index])
        clips, signed = [], 0
        for part in parts:
            clip, span = self.tracks_of(training[part.sentence]), self._composer.span(part)
            clip = clip.part(
                clip.start + span.start / clip.rate, clip.start + span.stop / clip.rate
            )
            clips.append(numbered(clip, part, signed))
            signed += part.last - part.first
        # Its glosses have no times any more.
        own = replace(sentence, glosses=tuple(Gloss(gloss.text) for gloss in glosses), frames=None)
        return SentenceClip(own, concat(clips, self._composer.config.bridge), ids)

    # -- batches -----------------------------------------------------------------------------------
    @property
    def count(self) -> int:
        return len(self.sentences["train"])

    def length(self, index: int, epoch: int) -> float:
        """In frames, nearly: a made sentence takes of each of its sentences as much as it takes of
        its glosses."""
        if self._composer is None:
            return self._frames[index]
        sentences = self.sentences["train"]
        return sum(
            self._frames[number] * (last - first) // len(sentences[number].words)
            for number, first, last in self._segments(index, epoch)
        )

    def dataset(self, split: Split, epoch: int | None) -> Dataset[Any]:
        return _Sentences(self, split, epoch)
