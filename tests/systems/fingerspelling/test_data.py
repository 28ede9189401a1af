"""The data module: what it refuses, warns of and loads."""

from __future__ import annotations

import dataclasses
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from chereme.datasets.clips import CropSettings
from chereme.datasets.prepare_crops import SETTINGS, check_settings
from chereme.datasets.shards import write
from chereme.errors import InputError, UsageError
from chereme.hands.signing import bridge_gaps
from chereme.systems.fingerspelling.batches import Inputs
from chereme.systems.fingerspelling.data import ShardData, alphabet_of
from chereme.training.shards import BRIDGE

INPUTS = Inputs(image_size=8, vector_dim=None, stride=1, symbols=27)


def ids(loader) -> list[list[str]]:
    return [batch.ids for batch in loader]


def flat(batches: list[list[str]]) -> list[str]:
    return [name for batch in batches for name in batch]


def set_up(data: ShardData, inputs: Inputs = INPUTS) -> ShardData:
    data.inputs = inputs
    data.setup()
    return data


def test_alphabets() -> None:
    assert len(alphabet_of("asl")) == 27
    assert len(alphabet_of("chicago")) == 32
    assert len(alphabet_of("greek")) == 25
    assert alphabet_of("ab ").symbols == ("a", "b", " ")


def test_dev_is_whole_and_unchanged(coloured_shards: Path) -> None:
    data = set_up(ShardData([str(coloured_shards)], workers=0, dev_batch_size=4))
    loader = data.val_dataloader()
    batches = list(loader)
    assert len(loader) == len(batches) == 2
    assert sorted(flat([b.ids for b in batches])) == [f"dev{i}" for i in range(6)]
    assert torch.equal(batches[0].crops, next(iter(loader)).crops)
    assert data.rate == 25.0


def test_a_folder_that_is_listed_twice_counts_twice(
    coloured_shards: Path, tmp_path: Path, make_clip: Callable
) -> None:
    """Its clips are then changed in two ways; clips without a hand are not trained on."""
    photos = [make_clip("photo", "abc"), make_clip("unseen", "a", absent=tuple(range(6)))]
    write(photos, tmp_path / "photos")
    shutil.copy(coloured_shards / SETTINGS, tmp_path / "photos")
    both = [str(coloured_shards), str(tmp_path / "photos")]
    data = ShardData(both * 2, workers=0, batch_size=1)
    with pytest.warns(UserWarning, match="2 clips show no hand and are left out"):
        set_up(data)
    assert data.steps == 26
    one, other = [batch.crops for batch in data.epoch_loader(0) if batch.ids == ["photo"]]
    assert one.shape != other.shape or not torch.equal(one, other)
    assert len(flat(ids(data.whole("dev")))) == 6
    other = set_up(ShardData(both[:1], test=[], workers=0))
    assert ids(other.whole("test")) == []
    with pytest.raises(InputError, match=r"photos: expected shards dev-000000\.tar"):
        set_up(ShardData(both[1:]))


def test_a_smaller_fraction_of_the_clips_is_part_of_a_larger_one(coloured_shards: Path) -> None:
    shards, parts = [str(coloured_shards)], []
    for fraction in (0.01, 0.25, 0.5, 1.0):
        data = set_up(ShardData(shards, workers=0, fraction=fraction))
        parts.append({entry.id for entry in data.entries("train")})
        assert len(data.clips["train"]) == len(parts[-1])
        assert len(data.clips["dev"]) == 6
        assert data.facts()["fraction"] == fraction
    assert [len(part) for part in parts] == [1, 3, 6, 12]
    assert parts[0] < parts[1] < parts[2] < parts[3]
    with pytest.raises(UsageError, match="fraction: expected more than 0"):
        set_up(ShardData(shards, fraction=0.0))


def test_epochs_repeat_themselves_and_change_clips_otherwise(coloured_shards: Path) -> None:
    data = set_up(ShardData([str(coloured_shards)], workers=0, batch_size=2))
    one, again, later = (list(data.epoch_loader(epoch)) for epoch in (0, 0, 1))
    for a, b in zip(one, again, strict=True):
        assert a.ids == b.ids
        assert torch.equal(a.crops, b.crops)
    assert [b.ids for b in later] != [b.ids for b in one]
    frames = [
        next(b.crops[b.ids.index("t3")] for b in run if "t3" in b.ids)[0] for run in (one, later)
    ]
    assert not torch.equal(*frames)


def test_characters_outside_the_alphabet_are_told(coloured_shards: Path) -> None:
    some = ShardData([str(coloured_shards)], alphabet="bcdefghijklmnopqrstuvwxyz12", workers=0)
    with pytest.warns(UserWarning, match=r"labels of 8 clips .*left out.*1 different: 'a' in 8\)"):
        set_up(some, dataclasses.replace(INPUTS, symbols=28))


def test_crops_are_described_as_they_are_made(coloured_shards: Path) -> None:
    assert inspect.signature(bridge_gaps).parameters["max_gap"].default == BRIDGE
    crop = ShardData([str(coloured_shards)]).crop
    assert crop == {"padding": 0.31, "smoothing": 1.5, "bridge": BRIDGE}


def test_crops_that_were_made_in_different_ways(
    coloured_shards: Path, tmp_path: Path, make_clip: Callable
) -> None:
    write([make_clip("photo", "a")], tmp_path)
    data = ShardData([str(coloured_shards), str(tmp_path)], workers=0)
    with pytest.raises(InputError, match=r"preparation\.json: no such file.*chereme prepare"):
        set_up(data)
    check_settings(tmp_path, "photos", CropSettings(padding=0.1, smoothing=1.5, size=8), {})
    with pytest.raises(
        UsageError, match=r"got \(0\.31, 1\.5, 'hand'\) in .* and \(0\.1, 1\.5, 'hand'\) in "
    ) as error:
        set_up(data)
    assert str(coloured_shards) in str(error.value)
    assert str(tmp_path) in str(error.value)
    set_up(ShardData(data.folders("train"), teacher="toy"), Inputs(None, 6, 1, 27))  # reads none


@pytest.fixture
def short(coloured_shards: Path, tmp_path: Path, make_clip: Callable) -> Path:
    shutil.copy(coloured_shards / SETTINGS, tmp_path)
    write([make_clip("fits", "ab"), make_clip("too-short", "aabbcc", hold=1)], tmp_path)
    write([make_clip("watched", "ab", "dev")], tmp_path)
    return tmp_path


def test_labels_that_do_not_fit_are_counted(short: Path) -> None:
    data = ShardData([str(short)], workers=0)
    with pytest.warns(UserWarning, match=r"1 of 2 clips .*stride of 3.*among them too-short"):
        set_up(data, Inputs(8, None, stride=3, symbols=27))


def test_labels_that_mostly_do_not_fit_are_refused(short: Path) -> None:
    with pytest.raises(UsageError, match=r"kernels: 2 of 2 clips .*among them fits"):
        set_up(ShardData([str(short)], workers=0), Inputs(8, None, stride=12, symbols=27))


def test_what_does_not_go_together(coloured_shards: Path, tmp_path: Path) -> None:
    folder = [str(coloured_shards)]
    with pytest.raises(UsageError, match=r"num_symbols: expected 32.*got 27"):
        set_up(ShardData(folder, alphabet="chicago"))
    with pytest.raises(UsageError, match=r"teacher: expected the name"):
        set_up(ShardData(folder), Inputs(8, 6, 1, 27))
    with pytest.raises(UsageError, match=r"teacher: expected none.*got toy"):
        set_up(ShardData(folder, teacher="toy"))
    with pytest.raises(InputError, match="chereme prepare"):
        set_up(ShardData([str(tmp_path)]))
