"""Which clips of shards come when, and to which process and worker.

Everything random is a function of (seed, epoch, worker) or of (seed, epoch, clip), so a run repeats
itself, and one that was cut off, in the middle of an epoch too, goes on as it would have.
"""

from __future__ import annotations

import itertools
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from chereme.datasets.shards import Sample, read_shard, shards
from chereme.errors import InputError, UsageError
from chereme.training.augmentation import Augmentation
from chereme.training.batches import Batch, ClipTransform, collate


# -- which clips there are ------------------------------------------------------------------------
@dataclass(frozen=True)
class Entry:
    """What is known of a clip before its pictures are decoded."""

    id: str
    label: str
    frames: int
    rate: float


@dataclass(frozen=True)
class ShardSlice:
    """Every ``parts``-th clip of a shard, from number ``part``: what one worker reads of it."""

    path: Path
    entries: tuple[Entry, ...]
    part: int = 0
    parts: int = 1

    def divided(self, parts: int) -> list[ShardSlice]:
        """The part of a whole shard as ``parts`` slices."""
        return [
            replace(self, entries=self.entries[part::parts], part=part, parts=parts)
            for part in range(parts)
        ]

    def samples(self) -> Iterator[Sample]:
        """The clips, their pictures not decoded yet."""
        return itertools.islice(read_shard(self.path), self.part, None, self.parts)


def list_shards(folders: Sequence[str | Path], split: str) -> list[ShardSlice]:
    """The shards of a split with what they hold; a folder that is listed twice counts twice.

    InputError for a folder without any, or a damaged shard.
    """
    found: dict[Path, ShardSlice] = {}
    paths = [path for folder in folders for path in shards(folder, split)]
    for path in paths:
        if path not in found:
            found[path] = ShardSlice(path, tuple(_entries(path)))
    return [found[path] for path in paths]


def _entries(path: Path) -> Iterator[Entry]:
    """What a shard says of its clips; their pictures are passed over, not read."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    about = json.loads(file.read()) if file else {}
                    yield Entry(about["id"], about["label"], about["frames"], about["rate"])
    except (tarfile.TarError, OSError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: expected a tar of prepared clips, but it is damaged ({error}); delete it and "
            "run 'chereme prepare' again, which makes what is missing"
        ) from error


def assign(slices: Sequence[ShardSlice], hands: int) -> list[list[ShardSlice]]:
    """Pieces dealt to ``hands`` readers as evenly as their numbers of clips allow.

    Where whole shards are too few to be even (one reader has a tenth more than its share), each is
    divided among all: every reader then reads through all of them.
    """
    dealt = _assigned(slices, hands)
    most, clips = max(map(count_clips, dealt)), count_clips(slices)
    if most * hands > 1.1 * clips:
        parts = [part for part in slices for part in part.divided(hands)]
        dealt = _assigned(parts, hands)
    return dealt


def _assigned(slices: Sequence[ShardSlice], hands: int) -> list[list[ShardSlice]]:
    dealt: list[list[ShardSlice]] = [[] for _ in range(hands)]
    for part in sorted(slices, key=lambda p: -len(p.entries)):
        min(dealt, key=count_clips).append(part)
    return dealt


def count_clips(slices: Sequence[ShardSlice]) -> int:
    """How many clips some slices hold."""
    return sum(len(part.entries) for part in slices)


# -- in which order they come ---------------------------------------------------------------------
@dataclass(frozen=True)
class WorkerShards:
    """What one worker delivers in each epoch: ``steps`` batches of its slices.

    ``batch_size`` is smaller than asked for where the slices hold fewer clips.
    """

    number: int
    slices: tuple[ShardSlice, ...]
    batch_size: int
    steps: int


def plan_lanes(
    slices: Sequence[ShardSlice], batch_size: int, *, world: int = 1, workers: int = 1
) -> list[list[WorkerShards]]:
    """The lanes of each of ``world`` processes, one for each worker.

    All processes have the same number of batches in an epoch, or those that had more would wait
    for the others for ever: where one has too few, its first lane goes round again. UsageError
    where there are fewer clips than processes.
    """
    lanes = []
    for number, own in enumerate(assign(slices, world * workers)):
        clips = count_clips(own)
        size = min(batch_size, clips)
        lanes.append(WorkerShards(number, tuple(own), size, clips // size if size else 0))
    # Readers that were dealt to last hold least: one of each round for every process.
    ranks = [[lanes[worker * world + rank] for worker in range(workers)] for rank in range(world)]
    steps = [sum(lane.steps for lane in rank) for rank in ranks]
    if min(steps) == 0:
        raise UsageError(
            f"shards: expected at least one clip for each of {world} processes, got "
            f"{count_clips(slices)}; train with fewer"
        )
    for rank, own_steps in zip(ranks, steps, strict=True):
        first = next(i for i, lane in enumerate(rank) if lane.steps)
        rank[first] = replace(rank[first], steps=rank[first].steps + max(steps) - own_steps)
    return ranks


def after(steps: Sequence[int], delivered: int) -> tuple[list[int], int]:
    """How many batches each worker has given when ``delivered`` have come, and whose turn it is.

    The workers of a ``DataLoader`` take turns, and who has no more is passed over.
    """
    given, turn = [0] * len(steps), 0
    while sum(given) < min(delivered, sum(steps)):
        if given[turn] < steps[turn]:
            given[turn] += 1
        turn = (turn + 1) % len(steps)
    return given, turn


class TrainingClips(IterableDataset[Batch]):
    """The batches of one epoch of one process, from ``skip`` on.

    Clips come in the order of shards that were shuffled, through a buffer from which they are taken
    at random; ``pool`` batches are sorted by length together, so that little is padding.
    """

    buffer = 256  # clips, as compressed pictures: some 100 MB
    pool = 8  # batches

    def __init__(
        self,
        lanes: Sequence[WorkerShards],
        maker: ClipTransform,
        augmentation: Augmentation,
        *,
        seed: int,
        epoch: int,
        skip: int = 0,
    ) -> None:
        given, turn = after([lane.steps for lane in lanes], skip)
        order = [*range(turn, len(lanes)), *range(turn)]
        self.lanes = [(lanes[i], given[i]) for i in order]
        self.maker, self.augmentation = maker, augmentation
        self.seed, self.epoch = seed, epoch

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        lane, skip = self.lanes[info.id if info else 0]
        rng = np.random.default_rng([self.seed, self.epoch, lane.number])
        samples = self._shuffled(lane, rng)
        for start in range(0, lane.steps, self.pool):
            count = min(self.pool, lane.steps - start)
            pool = list(itertools.islice(samples, count * lane.batch_size))
            pool.sort(key=lambda drawn: len(drawn[0].jpegs) * self.maker.pace(drawn[0]))
            for number, index in enumerate(rng.permutation(count), start):
                if number >= skip:
                    drawn = pool[index * lane.batch_size : (index + 1) * lane.batch_size]
                    yield self._batch(drawn)

    def _batch(self, drawn: Sequence[tuple[Sample, int]]) -> Batch:
        clips = []
        for sample, repeat in drawn:
            # Of its own, so that what is skipped need not be made.
            name = zlib.crc32(sample.id.encode())
            rng = np.random.default_rng([self.seed, self.epoch, name, repeat])
            clips.append(self.maker.make(sample, self.augmentation, rng))
        return collate(clips, self.maker.alphabet)

    def _shuffled(
        self, lane: WorkerShards, rng: np.random.Generator
    ) -> Iterator[tuple[Sample, int]]:
        """Samples and how often they have come before, without end."""
        for repeat in itertools.count():
            held: list[Sample] = []
            seen = 0
            for index in rng.permutation(len(lane.slices)):
                for sample in lane.slices[index].samples():
                    if not any(sample.jpegs):
                        continue
                    seen += 1
                    held.append(sample)
                    if len(held) > self.buffer:
                        yield _taken(held, rng), repeat
            while held:
                yield _taken(held, rng), repeat
            if not seen:
                raise InputError(
                    f"{lane.slices[0].path}: expected clips in which a hand was seen, found none"
                )


def _taken(held: list[Sample], rng: np.random.Generator) -> Sample:
    """One at random, taken out."""
    index = int(rng.integers(len(held)))
    held[index], held[-1] = held[-1], held[index]
    return held.pop()


class WholeClips(IterableDataset[Batch]):
    """All clips of some lanes once, unchanged; of a split, for the dev and the test score."""

    def __init__(
        self, lanes: Sequence[Sequence[ShardSlice]], maker: ClipTransform, batch_size: int
    ) -> None:
        self.lanes, self.maker, self.batch_size = lanes, maker, batch_size

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        lane = self.lanes[info.id if info else 0]
        samples = itertools.chain.from_iterable(part.samples() for part in lane)
        while some := list(itertools.islice(samples, 8 * self.batch_size)):
            some.sort(key=lambda sample: len(sample.jpegs))
            for start in range(0, len(some), self.batch_size):
                clips = [self.maker.make(s) for s in some[start : start + self.batch_size]]
                yield collate(clips, self.maker.alphabet)
