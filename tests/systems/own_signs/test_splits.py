"""No signer and no clip on both sides, and every gloss is learnt."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from chereme.datasets.pose_clips import Entry
from chereme.systems.own_signs.splits import divide


def clips(glosses: str, signers: str, each: int = 2, split: str = "") -> list[Entry]:
    return [
        Entry(f"{gloss}/{signer}{n}", gloss, signer.strip(), split, 25.0, 10)
        for gloss in glosses
        for signer in signers
        for n in range(each)
    ]


@pytest.mark.parametrize("signers", ["mn", "mnopq", "abcdefghijklm"])
def test_known_signers_are_tested_whole(signers: str) -> None:
    entries = clips("xyz", signers)
    for seed in range(4):
        found = divide(entries, seed=seed)
        assert found.by == "signer"
        of = {
            name: {e.signer for e in entries if found.split(e) == name}
            for name in ("train", "test")
        }
        assert of["train"] | of["test"] == set(signers)
        assert not of["train"] & of["test"]
        assert len(of["test"]) == max(1, round(len(signers) / 5))
        assert found == divide(entries[::-1], seed=seed)
    assert found.notes == (
        f"The test is of signers that are not trained on: {', '.join(sorted(of['test']))}.",
    )


def test_a_signer_who_alone_signs_something_is_trained_on() -> None:
    entries = [*clips("xy", "mnop"), *clips("z", "m")]
    found = divide(entries)
    assert found.by == "signer"
    assert not any("m" in id for id in found.tested)
    assert "Trained on but not tested: z." in found.notes
    # Of two signers with a gloss of their own each, the tested one's is trained on all the same.
    entries = [*clips("xy", "mn"), *clips("z", "m"), *clips("w", "n")]
    found = divide(entries)
    assert found.by == "signer"
    assert {e.label for e in entries if found.split(e) == "train"} == set("wxyz")
    assert {e.label for e in entries if found.split(e) == "test"} == set("xy")
    assert any("nobody but the tested signers" in note for note in found.notes)


@pytest.mark.parametrize("few", [1, 6])
def test_the_tested_signer_covers_the_signs(few: int) -> None:
    entries = [*clips("uvwxyz", "mn", 6), *clips("x", "o", few)]
    for seed in range(4):
        found = divide(entries, seed=seed)
        tested = {e.label for e in entries if found.split(e) == "test"}
        assert (found.by, tested) == ("signer", set("uvwxyz"))
    # Who signs half of them is a better test than who signs one.
    entries = [*clips("uvwxyz", "m", 6), *clips("uvw", "n", 6), *clips("x", "o", few)]
    assert {e.signer for e in entries if divide(entries).split(e) == "test"} == {"n"}


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (clips("xy", " ", 10), "The signers are not known"),
        (clips("xy", "m", 10), r"All clips are of one signer \(m\)"),
        ([*clips("x", "m", 10), *clips("y", "n", 10)], "No gloss is signed by two signers"),
    ],
)
def test_else_a_fifth_of_the_clips_of_each_gloss_and_it_is_said(entries, why) -> None:
    found = divide(entries)
    assert found.by == "clip"
    assert Counter(e.label for e in entries if e.id in found.tested) == {"x": 2, "y": 2}
    (note,) = found.notes
    assert re.match(why, note)
    assert "NOT that of unseen signers" in note


def test_few_clips_are_trained_on() -> None:
    entries = [*clips("x", " ", 3), *clips("y", " ", 2), *clips("z", " ", 1)]
    found = divide(entries)
    assert Counter(e.label for e in entries if e.id in found.tested) == {"x": 1}
    assert found.notes[-1] == "Trained on but not tested: y, z."
    none = divide(clips("xy", " ", 2))
    assert (none.by, none.tested) == ("none", frozenset())
    assert "No gloss has 3 clips" in none.notes[0]
    assert divide(entries, test=False).by == "none"


def test_clips_without_a_signer_are_trained_on() -> None:
    entries = [*clips("xy", "mnop"), *clips("xy", " ", 1)]
    found = divide(entries)
    assert found.by == "signer"
    assert {e.signer for e in entries if found.split(e) == "train"} >= {""}
    assert "2 clips have no signer" in found.notes[1]


def test_splits_of_the_folder_stay() -> None:
    train, dev, test = (clips("xy", "m", 2, split) for split in ("train", "dev", "test"))
    dev = [replace(entry, id=f"dev {entry.id}") for entry in dev]
    test = [replace(entry, id=f"test {entry.id}") for entry in test]
    found = divide([*train, *dev, *test])
    assert (found.by, found.tested) == ("given", {e.id for e in test})
    assert found.unused == {e.id for e in dev}
    assert [found.split(e) for e in (train[0], dev[0], test[0])] == ["train", "dev", "test"]
    found = divide([*train, *dev])
    assert (found.tested, found.unused) == ({e.id for e in dev}, frozenset())
    odd = [Entry("odd", "z", "m", "test", 25.0, 3)]
    found = divide([*train, *odd])
    assert "Tested but not trained on, and so always read wrongly: z." in found.notes
    assert divide(train).by == "none"
