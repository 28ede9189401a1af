"""Clips are made of the photographs of all people, left hands mirrored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fake_letters import CornerEyes, hand_in, write_collections

from chereme.datasets.exemplars import Exemplars, build_exemplars
from chereme.datasets.letter_collections import DEV_PEOPLE, PEOPLE, dev_pictures, pictures
from chereme.datasets.shards import read_shards
from tools.people_photographs import main, of_people

EYES = CornerEyes("left")


def exemplars(root: Path, *, people_dev: bool = False) -> Exemplars:
    made = build_exemplars(root, EYES, variants=2, workers=1, people_dev=people_dev)
    return made.save(root / f"exemplars_{people_dev}.npz")


def test_photographs_have_the_hands_of_the_exemplars(tmp_path: Path) -> None:
    write_collections(tmp_path)
    found = list(of_people(list(pictures(tmp_path)), exemplars(tmp_path)))
    # hand1 and hand2, wild, the manual, and nine people; no digit, and nobody of digits_people.
    assert {photo.signer for photo in found} == {"hand1", "hand2", "wild", "manual", *PEOPLE}
    assert sum(photo.signer in PEOPLE for photo in found) == 2 * len(PEOPLE)
    for photo in found:
        if photo.signer in PEOPLE:  # whose hands these eyes take for left ones
            assert photo.flip
            mirrored = hand_in(90, 120)[:, :2] * [-1, 1] + [90, 0]
            np.testing.assert_allclose(photo.landmarks[:, :2], mirrored, atol=2)
            assert photo.ground is None
    assert {photo.ground for photo in found if photo.signer == "hand1"} == {0}
    assert {photo.ground for photo in found if photo.signer == "manual"} == {255}


def test_people_of_the_split_test_are_nowhere_else(tmp_path: Path) -> None:
    write_collections(tmp_path)
    for dev in (False, True):
        exemplars(tmp_path, people_dev=dev)
    files = [str(tmp_path / f"exemplars_{dev}.npz") for dev in (False, True)]
    folder = tmp_path / "clips"
    test = [DEV_PEOPLE[0], PEOPLE[0]]
    options = ["--clips", "40", "--dev", "wild", "--test", *test]
    main([str(tmp_path), str(folder), "--exemplars", *files, *options])
    who = {split: [s.signer for s in read_shards(folder, split)] for split in ("train", "test")}
    assert set(who["test"]) == set(test)
    assert set(PEOPLE[1:]) & set(who["train"])
    assert not {*test, "wild"} & set(who["train"])
    sample = next(iter(read_shards(folder, "train")))
    assert sample.teacher["hand_network"].shape == (len(sample.jpegs), 1152)
    assert len(list(dev_pictures(tmp_path))) == len(DEV_PEOPLE)
