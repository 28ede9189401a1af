"""Which clips come when: everyone's once, in an order that repeats, wherever a run was cut off."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from chereme.datasets.shards import write
from chereme.errors import InputError, UsageError
from chereme.text import ASL_LETTERS
from chereme.training.augmentation import NONE, Augmentation
from chereme.training.batches import ClipTransform, Inputs
from chereme.training.shard_sampler import TrainingClips, after, assign, list_shards, plan_lanes

INPUTS = Inputs(image_size=8, vector_dim=None, stride=1, symbols=27)
MAKER = ClipTransform(INPUTS, ASL_LETTERS)


def flat(batches: list[list[str]]) -> list[str]:
    return [name for batch in batches for name in batch]


def of_lanes(lanes, epoch: int = 0, skip: int = 0, seed: int = 1, how: Augmentation = NONE):
    """The batches of an epoch as a DataLoader's workers deliver them in turn, without processes."""
    clips = TrainingClips(lanes, MAKER, how, seed=seed, epoch=epoch, skip=skip)
    streams = []
    for lane in clips.lanes:
        clips.lanes, every = [lane], clips.lanes
        streams.append(list(clips))
        clips.lanes = every
    batches = []
    while any(streams):
        batches += [stream.pop(0) for stream in streams if stream]
    return batches


@pytest.mark.parametrize(("world", "workers"), [(1, 1), (2, 1), (1, 2), (2, 2), (3, 4)])
def test_every_clip_once_and_as_many_batches_everywhere(
    coloured_shards: Path, world: int, workers: int
) -> None:
    slices = list_shards([coloured_shards], "train")
    ranks = plan_lanes(slices, 1, world=world, workers=workers)
    steps = {sum(lane.steps for lane in rank) for rank in ranks}
    assert len(steps) == 1
    names = [flat([b.ids for b in of_lanes(rank)]) for rank in ranks]
    assert set().union(*names) == {f"t{i}" for i in range(12)}
    repeated = sum(Counter(flat(names)).values()) - 12
    assert repeated == steps.pop() * world - 12


def test_uneven_processes_wrap_around(tmp_path: Path, make_clip) -> None:
    write([make_clip(f"c{i}", "a") for i in range(5)], tmp_path)
    one, other = plan_lanes(list_shards([tmp_path], "train"), 1, world=2)  # 3 clips and 2
    assert [lane.steps for lane in (*one, *other)] == [3, 3]
    assert sorted(Counter(flat([b.ids for b in of_lanes(other)])).values()) == [1, 2]


def test_shards_are_dealt_evenly(coloured_shards: Path) -> None:
    slices = list_shards([coloured_shards], "train")
    assert [len(p.entries) for p in slices] == [4, 4, 4]
    for hands, expected in ((1, [12]), (3, [4, 4, 4]), (2, [6, 6]), (5, [3, 3, 2, 2, 2])):
        dealt = assign(slices, hands)
        held = [sum(len(p.entries) for p in hand) for hand in dealt]
        assert sorted(held, reverse=True) == expected
        assert {p.parts for hand in dealt for p in hand} == {hands if hands in (2, 5) else 1}
        for hand in dealt:
            for part in hand:
                assert [s.id for s in part.samples()] == [e.id for e in part.entries]


def test_a_folder_listed_twice_counts_twice(coloured_shards: Path) -> None:
    (lanes,) = plan_lanes(list_shards([coloured_shards] * 2, "train"), 4)
    assert set(Counter(flat([b.ids for b in of_lanes(lanes)])).values()) == {2}


def test_order_repeats_and_differs_by_epoch_and_seed(coloured_shards: Path) -> None:
    (lanes,) = plan_lanes(list_shards([coloured_shards], "train"), 2)
    how = Augmentation()
    one, again = (of_lanes(lanes, how=how) for _ in range(2))
    assert [b.ids for b in one] == [b.ids for b in again]
    for a, b in zip(one, again, strict=True):
        assert torch.equal(a.crops, b.crops)
    later, other = of_lanes(lanes, epoch=1, how=how), of_lanes(lanes, seed=2, how=how)
    assert [b.ids for b in later] != [b.ids for b in one] != [b.ids for b in other]
    # the same clip is changed otherwise in another epoch
    frames = [
        next(b.crops[b.ids.index("t3")] for b in run if "t3" in b.ids)[0] for run in (one, later)
    ]
    assert not torch.equal(*frames)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_skipping_gives_the_rest_of_the_epoch(coloured_shards: Path, workers: int) -> None:
    slices = list_shards([coloured_shards], "train")
    (lanes,) = plan_lanes(slices[:2] + slices[2].divided(2)[:1], 2, workers=workers)
    whole = of_lanes(lanes)
    for skip in range(len(whole) + 1):
        rest = of_lanes(lanes, skip=skip)
        assert [b.ids for b in rest] == [b.ids for b in whole[skip:]]


def test_whose_turn_it_is() -> None:
    assert after([3, 1, 2], 0) == ([0, 0, 0], 0)
    assert after([3, 1, 2], 4) == ([2, 1, 1], 1)
    assert after([3, 1, 2], 5) == ([2, 1, 2], 0)
    assert after([3, 1, 2], 6) == ([3, 1, 2], 1)


def test_batches_are_of_similar_length(tmp_path: Path, make_clip) -> None:
    labels = ["ab"[: 1 + i % 2] * (1 + i % 5) for i in range(60)]
    write([make_clip(f"c{i}", label) for i, label in enumerate(labels)], tmp_path)
    (lanes,) = plan_lanes(list_shards([tmp_path], "train"), 4)
    batches = of_lanes(lanes)
    lengths = np.concatenate([b.lengths.numpy() for b in batches])
    within = np.mean([b.lengths.numpy().std() for b in batches])
    assert within < 0.4 * lengths.std()
    order = [int(b.lengths.max()) for b in batches]
    assert order != sorted(order)


def test_the_buffer_mixes_clips_of_a_shard(
    tmp_path: Path, make_clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([make_clip(f"{i}", "a") for i in range(40)], tmp_path)
    (lanes,) = plan_lanes(list_shards([tmp_path], "train"), 1)
    monkeypatch.setattr(TrainingClips, "buffer", 10)
    monkeypatch.setattr(TrainingClips, "pool", 1)
    order = [int(b.ids[0]) for b in of_lanes(lanes)]
    assert sorted(order) == list(range(40))
    assert np.abs(np.diff(order)).mean() > 3
    assert all(number <= place + 10 for place, number in enumerate(order))  # no more were held


def test_clips_without_a_hand_are_passed_over(tmp_path: Path, make_clip) -> None:
    write(
        [make_clip("seen", "a"), make_clip("unseen", "a", absent=tuple(range(6)))], tmp_path / "one"
    )
    (lanes,) = plan_lanes(list_shards([tmp_path / "one"], "train"), 1)
    assert set(flat([b.ids for b in of_lanes(lanes)])) == {"seen"}
    write([make_clip("unseen", "a", absent=tuple(range(6)))], tmp_path / "none")
    (lanes,) = plan_lanes(list_shards([tmp_path / "none"], "train"), 1)
    with pytest.raises(InputError, match=r"train-000000\.tar: .*a hand was seen, found none"):
        of_lanes(lanes)


def test_fewer_clips_than_processes(coloured_shards: Path) -> None:
    with pytest.raises(UsageError, match="at least one clip for each of 40 processes, got 12"):
        plan_lanes(list_shards([coloured_shards], "train"), 1, world=40)


def test_a_damaged_shard_is_named(tmp_path: Path, make_clip) -> None:
    (path,) = write([make_clip("x", "a")], tmp_path)
    path.write_bytes(b"no tar")
    with pytest.raises(InputError, match=r"train-000000\.tar: .*damaged"):
        list_shards([tmp_path], "train")
