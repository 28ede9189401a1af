"""Recorded signs: whose they are, which are left out, and where their joints lie."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.recorded_signs import read
from chereme.errors import InputError, UsageError


def write(root: Path, name: str, labels: str, signers: list[str]) -> None:
    """A file of ``sequences``: of each clip frames 1 to 3 of 6 show the right hand, joint j at
    (j / 100, j / 50)."""
    rows = labels.split()
    hands = np.zeros((len(rows), 6, 2, 21, 3), np.float32)
    joint = np.arange(1, 22)
    hands[:, 1:4, 1] = np.stack([joint / 100, joint / 50, 0 * joint], axis=-1)
    hands[:, 2, 1] = 0  # lost in between
    hands[np.array(rows) == "blind"] = 0
    (root / "sequences").mkdir(exist_ok=True)
    signer = np.array(signers if len(signers) == len(rows) else "a team of five")
    np.savez(root / f"sequences/{name}.npz", hands=hands, label=np.array(rows), signer=signer)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    signers = ["cam", "danial", "cam", "cam", "danial", "alex", "cam"]
    write(tmp_path, "traduttore_words", "tea tea coffee thank-you a get blind", signers)
    write(tmp_path, "kelhuynh_signs", "thanks i noinput", [])
    write(tmp_path, "libras_signs", "a ola", [])
    return tmp_path


def test_whose_signs_they_are_and_which_are_no_signs(root: Path) -> None:
    found = read(root)
    assert [(item.id, item.label, item.signer, item.split) for item in found.items] == [
        ("traduttore-0000", "tea", "cam", "train"),
        ("traduttore-0001", "tea", "danial", "train"),
        ("traduttore-0002", "coffee", "cam", "train"),
        ("traduttore-0003", "thank-you", "cam", "train"),
        ("traduttore-0005", "get", "alex", "train"),
        ("kelhuynh-0000", "thank-you", "team", "train"),
        ("kelhuynh-0001", "i", "team", "train"),  # a sign there, a letter in the other file
    ]
    assert Counter(own.reason for own in found.findings) == {"no sign": 2, "no hand seen": 1}
    assert [item.label for item in read(root, "brazilian").items] == ["ola"]
    assert len(read(root, "all").items) == 8


def test_joints_are_square_pixels_from_the_first_hand_to_the_last(root: Path) -> None:
    # The first frame of the one file is of another moment; joint 21 is at (0.21, 0.42) of 480 lines
    # with the signer's aspect, 16:9 where nobody measured it.
    first, last = read(root).items[0].clip, read(root).items[-1].clip
    for clip, aspect in ((first, 1.88), (last, 16 / 9)):
        assert clip.present.tolist() == [[False, True], [False, False], [False, True]]
        assert clip.joints[0, 1, 20] == pytest.approx((0.21 * 480 * aspect, 0.42 * 480))
        assert clip.entry.frames == 3


def test_one_person_is_left_out(root: Path) -> None:
    found = read(root, leave_out="cam")
    splits = {item.id: item.split for item in found.items}
    assert [id for id, split in splits.items() if split == "test"] == [
        "traduttore-0000",
        "traduttore-0003",
    ]
    assert found.skipped() == {"no sign": 2, "signed by nobody else": 2}  # coffee, blind
    entries = {item.clip.entry.id: item.clip.entry for item in found.items}
    assert {id: entry.split for id, entry in entries.items()} == splits
    assert entries["kelhuynh-0000"].signer == "team"


def test_broken_input(root: Path) -> None:
    with pytest.raises(InputError, match="expected alex, cam, danial, team, got 'bob'"):
        read(root, leave_out="bob")
    with pytest.raises(UsageError, match="language: expected american, brazilian, all, got asl"):
        read(root, "asl")  # type: ignore[arg-type]
    (root / "sequences" / "kelhuynh_signs.npz").unlink()
    with pytest.raises(InputError, match="kelhuynh_signs"):
        read(root)
