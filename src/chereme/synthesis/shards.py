"""Clips that are made rather than found in a data set, to shards, with the vectors of teachers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import torch

from chereme.datasets.clips import CropSettings, TrackedClip
from chereme.datasets.prepare import alone_in, check_settings, taught
from chereme.datasets.shards import ShardWriter, clips_in
from chereme.datasets.teaching import teaching
from chereme.synthesis.crops import RenderedClips
from chereme.synthesis.photographs import PhotographClips
from chereme.teachers import Teacher

__all__ = ["RATE", "ClipGenerator", "PhotographClips", "RenderedClips", "write_clips"]

RATE = 20.0  # frames a second of clips, where nothing else is said
_AHEAD = 4  # clips for each worker that are made before their turn


class ClipGenerator(Protocol):
    """Clips by their number, always the same ones; can be pickled."""

    @property
    def name(self) -> str:
        """Of the collection, for ``preparation.json``."""

    @property
    def settings(self) -> CropSettings:
        """How crops are cut."""

    def __len__(self) -> int: ...

    def describe(self, index: int) -> tuple[str, str]:
        """Id and split of a clip, at once."""

    def clip(self, index: int) -> TrackedClip:
        """The clip itself."""


def write_clips(
    generator: ClipGenerator,
    folder: str | Path,
    teachers: Sequence[Teacher] = (),
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write all clips of ``generator`` to shards in ``folder``; the number of clips there.

    A run that was stopped goes on where it was. The tars do not depend on the number of
    ``workers`` (processes). UsageError if ``folder`` holds clips made in another way.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = [generator.describe(index) for index in range(len(generator))]
    embed = teaching(teachers)
    with alone_in(folder), ExitStack() as stack:
        check_settings(folder, generator.name, generator.settings, embed.dims)
        writers = {
            split: stack.enter_context(ShardWriter(folder, split))
            for split in dict.fromkeys(split for _, split in about)
        }
        there = {
            clip["id"]
            for found in (
                *(clips_in(path)[0] for path in folder.glob("*.tar")),
                *(writer.recovered for writer in writers.values()),
            )
            for clip in found
        }
        todo = [index for index, (name, _) in enumerate(about) if name not in there]
        for done, clip in enumerate(_made(generator, todo, workers), start=1):
            writers[clip.sample.split].add(taught(clip, embed))
            if progress is not None:
                progress(done, len(todo))
        for writer in writers.values():
            writer.finish()
    return len(about)


def _made(generator: ClipGenerator, todo: Sequence[int], workers: int) -> Iterator[TrackedClip]:
    """The clips of these numbers, in their order."""
    if workers <= 1:
        yield from map(generator.clip, todo)
        return
    waiting = iter(todo)
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        begun: deque[Future[TrackedClip]] = deque()
        try:
            begun.extend(pool.submit(generator.clip, i) for i in islice(waiting, workers * _AHEAD))
            while begun:
                made = begun.popleft().result()
                begun.extend(pool.submit(generator.clip, index) for index in islice(waiting, 1))
                yield made
        finally:
            for future in begun:
                future.cancel()
