"""Training data of recognisers of landmarks and of hands: clips composed of recorded hands.

Clips are composed while training goes on (``chereme.synthesis.spelling``), or whole recordings are
shown in other ways (``chereme.synthesis.replay``), each from a random number generator seeded by
(seed, epoch, worker, process), so a run repeats itself and a resumed run goes on as the
uninterrupted one would have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.letter_collections import KEPT
from chereme.datasets.recordings import Recordings
from chereme.datasets.words import ACOUSTIC_SHARES, TextSampler
from chereme.errors import InputError, UsageError
from chereme.hands.normalise import (
    FEATURES_PER_FRAME,
    hand_features,
    landmark_features,
)
from chereme.synthesis.replay import replay
from chereme.synthesis.spelling import SpelledClip, Speller
from chereme.synthesis.style import SpellingStyle
from chereme.systems.fingerspelling.batches import Batch, Clip, TrackStream, collate
from chereme.text import ASL_LETTERS
from chereme.training.data import DataModule, Split
from chereme.types import HandTrack

Features = NDArray[np.float32]  # (T, F), of the stream
MakeFeatures = Callable[[HandTrack, float], tuple[Features, NDArray[np.floating[Any]]]]
FEATURES: Mapping[TrackStream, MakeFeatures] = {
    "landmarks": landmark_features,
    "hand": hand_features,
}
"""What makes the features of each stream of a track."""
_SEEN = FEATURES_PER_FRAME - 1  # the feature that is 1 where the hand is seen


def collate_composed(clips: Sequence[tuple[Features, str]]) -> Batch:
    """``(features, text)`` pairs as a batch, the features as its ``vectors``."""
    return collate(
        [Clip(text, text, None, features, features[:, _SEEN] > 0) for features, text in clips],
        ASL_LETTERS,
    )


@dataclass(frozen=True)
class ClipMix:
    """What clips show if not a spelled text: one letter as a still or as it is shown to a camera,
    or a hand that spells nothing. ``holds``: texts one letter of which is held for long.
    ``spelled`` and ``silent``: recordings of spelling and of other hands, where there are any."""

    still: float = 0.05
    idle: float = 0.07
    alone: float = 0.10
    holds: float = 0.13
    spelled: float = 0.20
    silent: float = 0.06


class Replayed:
    """Whole ``recordings``, but those of signers ``without``; ``spread (1152,)``: see `replay`."""

    def __init__(
        self, recordings: Recordings, without: Sequence[str], spread: NDArray[np.floating[Any]]
    ) -> None:
        self._recordings, self._spread = recordings, spread
        known = ~np.isin(recordings.signer, without)
        self._rows = [
            np.flatnonzero(known & own) for own in (recordings.text != "", recordings.text == "")
        ]

    def draw(self, mix: ClipMix, rng: np.random.Generator) -> SpelledClip | None:
        """A recording as it might have been, as often as ``mix`` says; else None."""
        kind = rng.random()
        for rows, share in zip(self._rows, (mix.spelled, mix.silent), strict=True):
            if kind < share and len(rows):
                return replay(self._recordings.clip(int(rng.choice(rows))), self._spread, rng)
            kind -= share
        return None


def compose_clip(
    speller: Speller,
    texts: TextSampler,
    rng: np.random.Generator,
    mix: ClipMix,
    replayed: Replayed | None = None,
) -> SpelledClip:
    """One clip: a recording, an idle hand, a still letter, a letter alone, or a spelled text."""
    if replayed is not None and (clip := replayed.draw(mix, rng)) is not None:
        return clip
    kind = rng.random()
    if kind < mix.idle:
        return speller.idle(rng)
    if kind < mix.idle + mix.still:
        letters = [c for c in speller.letters if c not in MOVING]
        return speller.still(str(rng.choice(letters)), rng, rng.uniform(0.3, 1.0))
    if kind < mix.idle + mix.still + mix.alone:
        # Drawn letters come twice as often: they are learned from movements alone.
        letters = [c for c in speller.letters for _ in range(1 + (c in MOVING))]
        letter = str(rng.choice(letters))
        return speller.spell(letter, rng, _alone(letter, rng))
    text = texts.sample(rng)
    return speller.spell(text, rng, SpellingStyle.sample(rng, len(text), mix.holds))


def _alone(letter: str, rng: np.random.Generator) -> SpellingStyle:
    """How a letter is shown by itself: the hand mostly rises and sinks, and holds it 0.3 to 5 s."""
    held = 0.0 if letter in MOVING else float(np.exp(rng.uniform(*np.log([0.3, 5.0]))))
    rise, sink = rng.random(2) < 0.7
    return replace(SpellingStyle.sample(rng), held=held, rise=bool(rise), sink=bool(sink))


class ComposedClips(IterableDataset[Batch]):
    """``steps`` batches, each of clips of similar length; others in each process of ``rank``."""

    pool = 6  # batches composed together and sorted by length, so that little is padding

    def __init__(
        self,
        speller: Speller,
        *,
        steps: int,
        batch_size: int,
        rate: float,
        seed: int,
        epoch: int,
        rank: int = 0,
        stream: TrackStream = "landmarks",
        mix: ClipMix = ClipMix(),
        replayed: Replayed | None = None,
    ) -> None:
        self.mix, self.replayed = mix, replayed
        self.features = FEATURES[stream]
        self.speller, self.steps, self.batch_size = speller, steps, batch_size
        self.rate, self.seed, self.epoch, self.rank = rate, seed, epoch, rank
        self.texts = TextSampler(shares=ACOUSTIC_SHARES, split="train", max_length=12)

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        rng = np.random.default_rng([self.seed, self.epoch, worker, self.rank])
        left = self.steps // workers + (worker < self.steps % workers)
        while left > 0:
            clips = []
            for _ in range(self.pool * self.batch_size):
                clip = compose_clip(self.speller, self.texts, rng, self.mix, self.replayed)
                clips.append((self.features(clip.track, self.rate)[0], clip.text))
            clips.sort(key=lambda c: len(c[0]))
            for k in rng.permutation(self.pool)[:left]:
                yield collate_composed(clips[k * self.batch_size : (k + 1) * self.batch_size])
                left -= 1


class ComposedData(DataModule):
    """Composed training clips, and a fixed set of composed clips of other signers for validation.

    Args:
        exemplars: file made by ``chereme prepare exemplars``.
        recordings: file made by ``chereme prepare recordings``, of which some clips are.
        held_out: signers whose hands training never sees; the clips of dev are made of them alone.
            Empty: train on all, validate on fresh clips of the same hands (not a measure of
            accuracy). Recordings that are kept to measure with (``letter_collections.KEPT``)
            are never trained on.
        batch_size: clips a step and process.
        steps_per_epoch: batches of an epoch.
        dev_clips: of dev.
        rate: samples per second of the network.
        mix: what clips show, and how often.
        workers: processes that compose beside each training process.
    """

    collate = staticmethod(collate_composed)
    alphabet = ASL_LETTERS

    def __init__(
        self,
        exemplars: str,
        recordings: str | None = None,
        held_out: list[str] | None = None,
        batch_size: int = 32,
        steps_per_epoch: int = 500,
        dev_clips: int = 256,
        rate: float = 30.0,
        mix: ClipMix = ClipMix(),
        workers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, steps_per_epoch, workers, seed)
        self.mix = mix
        self.path, self.held_out = exemplars, tuple(held_out or ())
        self.recordings = recordings
        self.dev_clips, self.rate = dev_clips, rate
        self.stream: TrackStream = "landmarks"  # unless the network reads another

    def setup(self, stage: str | None = None) -> None:
        """Read the hands and compose the clips of dev.

        Raises:
            UsageError: the network reads something else, or ``held_out`` names unknown signers.
            InputError: no such file, or hands of too few letters.
        """
        task: Any = None if self.trainer is None else self.trainer.lightning_module
        if task is not None:
            if task.inputs.track is None:
                raise UsageError(
                    "stream: expected landmarks or hand, which is what composed clips are made "
                    f"of, got {task.config.stream!r}"
                )
            self.stream = task.inputs.track
        exemplars = Exemplars.load(self.path)
        if self.stream == "landmarks":  # vectors that nobody reads are half the work of a clip
            exemplars = replace(exemplars, vectors=np.zeros_like(exemplars.vectors[:, :1]))
        signers = {*exemplars.signer.tolist(), *exemplars.motion_signer.tolist()}
        if unknown := set(self.held_out) - signers:
            raise UsageError(
                f"held_out: expected signers of {self.path} ({', '.join(sorted(signers))}), got "
                f"{', '.join(unknown)}"
            )
        kept = tuple(name for name in signers if name.endswith(KEPT))
        self.speller = Speller(exemplars.select(without=(*self.held_out, *kept)))
        self.replayed = None
        if self.recordings is not None:
            recordings = Recordings.load(self.recordings)
            if self.stream == "landmarks":
                recordings = replace(recordings, vectors=np.zeros_like(recordings.vectors[:, :1]))
            self.replayed = Replayed(recordings, self.held_out, self.speller.spread)
        others = exemplars.select(only=self.held_out) if self.held_out else exemplars
        self.dev = held_out_clips(others, self.dev_clips, self.rate, stream=self.stream)

    @property
    def steps(self) -> int:
        assert self.steps_per_epoch is not None
        return self.steps_per_epoch

    def epoch_loader(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        clips = ComposedClips(
            self.speller,
            steps=self.steps,
            batch_size=self.batch_size,
            rate=self.rate,
            seed=self.seed,
            epoch=epoch,
            rank=self.world[1],
            stream=self.stream,
            mix=self.mix,
            replayed=self.replayed,
        )
        loader = DataLoader(clips, batch_size=None, num_workers=self.workers)
        return itertools.islice(loader, skip, None)

    def dataset(self, split: Split, epoch: int | None) -> Dataset[Any]:
        """The clips of dev; no others are kept."""
        clips: Any = self.dev if split == "dev" else []
        return clips  # type: ignore[no-any-return]

    def facts(self) -> dict[str, Any]:
        files = {"exemplars": self.path, "recordings": self.recordings}
        return {"data": files | {"held_out": list(self.held_out)}}

    def checkpoint_entry(self) -> dict[str, Any]:
        return {"rate": self.rate, "alphabet": list(self.alphabet.symbols)}

    def dropped_texts(self, split: Split) -> list[str]:
        """No clip is dropped."""
        return []

    def some_frames(self, clips: int = 300) -> Tensor:
        """``(N, F)`` features of frames with a hand, for the encoder's mean and spread."""
        rng = np.random.default_rng([self.seed, 1 << 20])
        texts = TextSampler(shares=ACOUSTIC_SHARES, split="train", max_length=12)
        frames = [
            FEATURES[self.stream](
                compose_clip(self.speller, texts, rng, ClipMix(), self.replayed).track, self.rate
            )
            for _ in range(clips)
        ]
        every = np.concatenate([features for features, _ in frames])
        return torch.from_numpy(every[every[:, _SEEN] > 0])


def held_out_clips(
    exemplars: Exemplars,
    count: int,
    rate: float,
    seed: int = 12345,
    *,
    stream: TrackStream = "landmarks",
) -> list[tuple[Features, str]]:
    """``(features, text)`` of words that training does not draw, spelled by other hands.

    A hand of which some letters are not known (J and Z, mostly) spells the words it can.
    """
    speller, rng = Speller(exemplars), np.random.default_rng(seed)
    texts = TextSampler(shares=ACOUSTIC_SHARES, split="held_out", max_length=12)
    clips: list[tuple[Features, str]] = []
    for _ in range(200 * count):
        if len(clips) == count:
            return clips
        text = texts.sample(rng)
        if set(text) <= set(speller.letters):
            clips.append((FEATURES[stream](speller.spell(text, rng).track, rate)[0], text))
    raise InputError(
        f"expected exemplars of most letters, got {speller.letters!r}: too few words can be spelled"
    )
