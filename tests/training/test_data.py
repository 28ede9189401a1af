"""Which clips come when: everyone's once, in an order that repeats, wherever a run was cut off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from chereme.errors import InputError, UsageError
from chereme.training.data import DataModule, Epochs, FolderData, Split

LENGTHS = np.random.default_rng(0).permutation(60)


class Numbers(Dataset[int]):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        if index >= self.count:
            raise IndexError
        return index


class Toy(DataModule):
    """Clips are numbers."""

    count = 0
    collate = staticmethod(list)

    def __init__(self, count: int, world: tuple[int, int] = (1, 0), **more: Any) -> None:
        settings = {"batch_size": 4, "steps_per_epoch": None, "workers": 0, "seed": 1} | more
        super().__init__(**settings)
        self.count, self._of_world = count, world

    @property
    def world(self) -> tuple[int, int]:
        return self._of_world

    def dataset(self, split: Split, epoch: int | None) -> Numbers:
        return Numbers(self.count)

    def length(self, index: int, epoch: int) -> float:
        return float(LENGTHS[index])


class Pooled(Toy):
    pool = 5


@pytest.mark.parametrize("kind", [Toy, Pooled])
@pytest.mark.parametrize(("world", "batch"), [(1, 4), (2, 4), (3, 1), (5, 7)])
def test_every_clip_once_and_as_many_batches_everywhere(kind, world: int, batch: int) -> None:
    ranks = [kind(53, (world, rank), batch_size=batch) for rank in range(world)]
    assert len({data.steps for data in ranks}) == 1
    epochs = [[data.epoch_batches(epoch) for data in ranks] for epoch in range(4)]
    for epoch in epochs:
        batches = [batch for rank in epoch for batch in rank]
        seen = [clip for batch in batches for clip in batch]
        assert len(seen) == len(set(seen)) == 53 // (world * batch) * world * batch
        assert {len(one) for one in batches} == {batch}
        assert {len(rank) for rank in epoch} == {ranks[0].steps}
    assert len({str(epoch) for epoch in epochs}) == 4
    again = kind(53, (world, 0), batch_size=batch, seed=2)
    assert again.epoch_batches(0) != epochs[0][0]


@pytest.mark.parametrize("kind", [Toy, Pooled])
def test_skipping_gives_the_rest_of_the_epoch(kind) -> None:
    data = kind(23)
    whole = list(data.epoch_loader(2))
    assert len(whole) == data.steps == 5
    for skip in range(6):
        assert list(data.epoch_loader(2, skip)) == whole[skip:]


def test_what_is_left_of_the_epoch_that_the_trainer_is_in() -> None:
    data = Toy(23)
    done = SimpleNamespace(total=SimpleNamespace(processed=13))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=done))
    data.trainer = SimpleNamespace(fit_loop=loop)
    left = Epochs(data)
    assert len(left) == 5
    assert list(left) == list(data.epoch_loader(2, 3))


def test_batches_are_of_similar_length() -> None:
    batches = Pooled(60).epoch_batches(0)
    spans = [np.ptp(LENGTHS[list(batch)]) for batch in batches]
    assert np.mean(spans) < 0.4 * np.mean([np.ptp(LENGTHS[b]) for b in Toy(60).epoch_batches(0)])
    longest = [max(LENGTHS[list(batch)]) for batch in batches]
    assert longest != sorted(longest)


def test_fewer_clips_than_a_batch_and_than_processes() -> None:
    few = Toy(5, (2, 1))
    assert (few.steps, len(few.epoch_batches(0)[0])) == (1, 2)
    assert Toy(60, steps_per_epoch=3).steps == len(Toy(60, steps_per_epoch=3).epoch_batches(0)) == 3
    with pytest.raises(UsageError, match="at least one for each of 7 processes, got 5"):
        _ = Toy(5, (7, 0)).steps
    with pytest.raises(UsageError, match="batch_size: expected at least 1, got 0"):
        Toy(5, batch_size=0)


def test_all_clips_are_scored_in_order_or_divided() -> None:
    assert list(Toy(6).val_dataloader()) == [[0, 1, 2, 3], [4, 5]]
    parts = [list(Toy(6, (2, rank)).whole("dev", own=True)) for rank in range(2)]
    assert parts == [[[0, 2, 4]], [[1, 3, 5]]]
    unwatched = Toy(6)
    unwatched.validate = False
    assert unwatched.val_dataloader() == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_worker_processes_deliver_the_same(workers: int) -> None:
    assert list(Toy(23, workers=workers).epoch_loader(1)) == list(Toy(23).epoch_loader(1))


# -- folders --------------------------------------------------------------------------------------
CLIPS = {"one": ["train", "", "dev", "test", "gone"], "two": ["train", "dev"], "none": []}


class Folders(FolderData):
    named = "poses"
    collate = staticmethod(list)

    @staticmethod
    def open_folder(name: str) -> Any:
        rows = enumerate(CLIPS[name])
        return SimpleNamespace(
            entries=[SimpleNamespace(id=f"{name}{n}", split=s, rate=10.0 + n) for n, s in rows]
        )

    def __init__(self, folders: list[str], dev: Any = None, test: Any = None) -> None:
        super().__init__(folders, dev, test, batch_size=2)

    def dataset(self, split: Split, epoch: int | None) -> Any:
        return [self.entry(clip).id for clip in self.clips[split]]

    def left_out(self, split: Split, clip: tuple[int, int]) -> str:
        return "are not wanted" if self.entry(clip).id == "one1" else ""


def test_splits_come_from_the_folders_that_have_them() -> None:
    data = Folders(["one", "two", "two"], test=["one"])
    with pytest.warns(UserWarning, match="1 clips are not wanted and are left out"):
        data.list_clips()
    named = {split: [entry.id for entry in data.entries(split)] for split in data.clips}
    assert named == {"train": ["one0", "two0", "two0"], "dev": ["one2", "two1"], "test": ["one3"]}
    assert (data.count, data.rate) == (3, 10.0)
    assert data.folders("dev") == ["one", "two"]
    with pytest.raises(InputError, match="none: expected clips to train on"):
        Folders(["none"]).list_clips()
    with pytest.raises(UsageError, match="poses: expected at least one folder"):
        Folders([])


def test_a_resumed_generator_is_not_needed() -> None:
    """Workers are given the data module without its trainer."""
    data = Toy(6)
    data.trainer = torch  # modules cannot be pickled
    import pickle

    assert pickle.loads(pickle.dumps(data)).trainer is None
