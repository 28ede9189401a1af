from pathlib import Path

import pytest

from chereme.datasets.checks import shared_signers
from chereme.datasets.splits import leave_signers_out, signer_folds
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item

SIGNERS = [f"s{n:02d}" for n in range(21)]


def clips(counts):
    return [
        Item(Path("x"), "a", f"{signer}/{n}", signer)
        for signer, count in counts.items()
        for n in range(count)
    ]


def test_every_signer_is_tested_once():
    folds = signer_folds(SIGNERS, 7)
    assert [len(fold) for fold in folds] == [3] * 7
    assert sorted(signer for fold in folds for signer in fold) == SIGNERS
    assert sorted(len(fold) for fold in signer_folds(SIGNERS[:16], 7)) == [2] * 5 + [3] * 2


def test_folds_depend_on_the_seed_and_on_nothing_else():
    folds = signer_folds(SIGNERS, 7, seed=3)
    assert folds == signer_folds(reversed([*SIGNERS, *SIGNERS]), 7, seed=3)
    assert folds != signer_folds(SIGNERS, 7, seed=4)
    # Written down, for the folds of a published score must never move.
    assert signer_folds(SIGNERS, 7)[0] == ("s04", "s08", "s20")


@pytest.mark.parametrize("folds", [1, 4])
def test_too_few_signers_for_the_folds(folds):
    with pytest.raises(UsageError, match=f"expected 2 to 3, the number of signers, got {folds}"):
        signer_folds(["a", "b", "c"], folds)


def test_dev_is_whole_signers_near_the_share():
    items = clips(dict.fromkeys(SIGNERS, 74))  # 21 x 74 = 1,554, as the Greek corpus has
    for number, tested in enumerate(signer_folds(SIGNERS, 7)):
        split = leave_signers_out(items, tested, seed=number)
        count = {name: sum(i.split == name for i in split) for name in ("train", "dev", "test")}
        assert count == {"train": 14 * 74, "dev": 4 * 74, "test": 3 * 74}  # 4 of 18 is 22 %
        assert shared_signers(split) == {}
        assert {i.signer for i in split if i.split == "test"} == set(tested)
        assert [i.id for i in split] == [i.id for i in items]


def test_dev_comes_near_the_share_with_signers_of_many_and_few_clips():
    counts = {signer: 10 + 13 * n for n, signer in enumerate(SIGNERS)}
    for seed in range(20):
        split = leave_signers_out(clips(counts), SIGNERS[:3], seed=seed)
        rest = [i for i in split if i.split != "test"]
        assert sum(i.split == "dev" for i in rest) / len(rest) == pytest.approx(0.2, abs=0.05)


def test_dev_by_clip_is_exact_and_keeps_test_independent():
    items = clips(dict.fromkeys(SIGNERS, 10))
    split = leave_signers_out(items, SIGNERS[:3], dev_by="clip")
    assert sum(i.split == "dev" for i in split) == 36
    shared = shared_signers(split)
    assert shared
    assert set(shared.values()) == {("train", "dev")}
    assert not set(shared) & set(SIGNERS[:3])


def test_seeds_change_dev():
    items = clips(dict.fromkeys(SIGNERS, 10))
    for by in ("signer", "clip"):
        first = leave_signers_out(items, SIGNERS[:3], dev_by=by, seed=1)
        assert first == leave_signers_out(items, SIGNERS[:3], dev_by=by, seed=1)
        assert first != leave_signers_out(items, SIGNERS[:3], dev_by=by, seed=2)


@pytest.mark.parametrize(
    ("counts", "tested", "empty"),
    [
        ({"a": 1, "b": 1}, ["a"], "dev"),
        ({"a": 1, "b": 1}, ["a", "b"], "train"),
        ({"a": 1, "b": 1, "c": 1}, ["d"], "test"),
        ({"a": 1, "b": 1, "c": 1}, [], "test"),
    ],
)
def test_empty_splits_are_refused(counts, tested, empty):
    with pytest.raises(InputError, match=f"got none in {empty}"):
        leave_signers_out(clips(counts), tested)


@pytest.mark.parametrize("by", ["signer", "clip"])
@pytest.mark.parametrize("count", [1, 9])
def test_two_signers_besides_the_tested_are_enough(by, count):
    split = leave_signers_out(clips({"a": 1, "b": count, "c": count}), ["a"], dev_by=by)
    assert {i.split for i in split} == {"train", "dev", "test"}


def test_items_without_signer_and_shares_that_are_none():
    with pytest.raises(InputError, match="one: expected a signer, got none"):
        leave_signers_out([Item(Path("x"), "a", "one")], ["a"])
    with pytest.raises(UsageError, match="between 0 and 1, got 20"):
        leave_signers_out(clips({"a": 1}), ["a"], dev_fraction=20)
