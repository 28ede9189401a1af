"""Clips of both hands in one file: what is read is what was seen, and nothing is lost silently."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chereme.datasets import folders
from chereme.datasets.corpus import CorpusBuilder
from chereme.datasets.pose_clips import (
    CLIPS,
    POSES,
    Entry,
    PoseClip,
    PoseCorpus,
    both_hands,
    prepare_poses,
    relabel,
    write_poses,
)
from chereme.datasets.sign_clips import SignerItem
from chereme.datasets.status import dropped_items, read_status
from chereme.errors import InputError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.poses import write_landmarks
from chereme.types import Landmarks
from fake_clips import ColourDetector, ColourDetectors, write_frames


def seen(tracks: dict[str, str], rate: float = 25.0, seed: int = 0) -> Landmarks:
    """Tracks by name, whose frames are "x" (seen) or "."; a name begins with its side."""
    rng = np.random.default_rng(seed)
    frames = len(next(iter(tracks.values())))
    points = rng.uniform(50, 400, (frames, len(tracks), 21, 3)).astype(np.float32)
    confidence = np.full((frames, len(tracks), 21), 0.9, np.float32)
    for number, shown in enumerate(tracks.values()):
        hidden = [frame for frame, sign in enumerate(shown) if sign == "."]
        points[hidden, number], confidence[hidden, number] = np.nan, 0.0
    sides = tuple(name.split()[0] for name in tracks)
    return Landmarks(points, confidence, np.arange(frames) / rate, 640, 480, sides)  # type: ignore[arg-type]


def clip(name: str, frames: int, label: str = "a", split: str = "train") -> PoseClip:
    rng = np.random.default_rng(sum(map(ord, name)))
    joints = rng.uniform(0, 300, (frames, 2, 21, 2)).astype(np.float32)
    confidence = rng.uniform(0.1, 1, (frames, 2, 21)).astype(np.float32)
    return PoseClip(Entry(name, label, "s", split, 25.0, frames), joints, confidence)


def test_what_was_written_is_read_in_any_order(tmp_path: Path) -> None:
    clips = [clip("one", 3), clip('a "name", with', 1, label="x,y"), clip("three", 7, split="")]
    clips[0].confidence[1, 0] = 0
    clips[0].confidence[2, 0] = 1
    assert write_poses(clips, tmp_path) == 3
    corpus = pickle.loads(pickle.dumps(PoseCorpus(tmp_path)))
    assert corpus.entries == tuple(c.entry for c in clips)
    for index in (2, 0, 1):
        read = corpus[index]
        np.testing.assert_array_equal(read.confidence, clips[index].confidence)
        there = clips[index].confidence > 0
        np.testing.assert_array_equal(read.joints[there], clips[index].joints[there])
        assert np.isnan(read.joints[~there]).all()
    over = clips[0].confidence.copy()
    over[2, 0], clips[0].joints[0, 1, 3] = 1.1, np.inf
    write_poses([clips[0]._replace(confidence=over)], tmp_path / "odd")
    odd = PoseCorpus(tmp_path / "odd")[0]
    assert odd.confidence.max() == 1.0
    assert odd.confidence[0, 1, 3] == 0
    assert np.load(tmp_path / POSES).shape == (11, 2, 21, 3)
    assert corpus[0].present.tolist() == [[True, True], [False, True], [True, True]]


def test_a_writer_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    write_poses([clip("old", 2)], tmp_path)
    odd = clip("odd", 2)._replace(confidence=np.ones((2, 21)))
    with pytest.raises(InputError, match="confidences"):
        write_poses([clip("new", 2), odd], tmp_path)
    assert [e.id for e in PoseCorpus(tmp_path).entries] == ["old"]
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(InputError, match="at least a frame"):
        write_poses([clip("none", 0)], tmp_path)


@pytest.mark.parametrize("damage", ["no folder", "cut off", "no number", "no list"])
def test_damaged_folders_are_told_of(tmp_path: Path, damage: str) -> None:
    write_poses([clip("one", 3)], tmp_path)
    if damage == "no folder":
        tmp_path = tmp_path / "nowhere"
    elif damage == "cut off":
        (tmp_path / POSES).write_bytes((tmp_path / POSES).read_bytes()[:-100])
    elif damage == "no number":
        listed = (tmp_path / CLIPS).read_text()
        (tmp_path / CLIPS).write_text(listed.replace("25.0", "fast"))
    else:
        (tmp_path / CLIPS).write_text("id,label\na,b\n")
    with pytest.raises(InputError, match="expected"):
        PoseCorpus(tmp_path)


def test_tracks_of_a_hand_are_joined() -> None:
    found = seen({"right 1": "xxx...", "right 2": ".xxxx.", "left 1": "....xx"})
    joints, confidence = both_hands(found)
    assert (confidence > 0).all(-1).T.tolist() == [
        [False, False, False, False, True, True],
        [True, True, True, True, True, False],
    ]
    np.testing.assert_array_equal(joints[1:5, 1], found.landmarks[1:5, 1, :, :2])
    np.testing.assert_array_equal(joints[0, 1], found.landmarks[0, 0, :, :2])
    np.testing.assert_array_equal(joints[4:, 0], found.landmarks[4:, 2, :, :2])


@pytest.mark.parametrize(
    ("tracks", "hand", "taken"),
    [
        ({"unknown": "xx"}, "auto", {1: 0}),
        ({"unknown": "xx"}, "left", {0: 0}),
        ({"right": "x.", "unknown": "xx"}, "auto", {1: 0, 0: 1}),
        ({"right": "xx", "left": "xx", "unknown": "xx"}, "auto", {1: 0, 0: 1}),
    ],
)
def test_hands_of_unknown_side_take_a_free_one(tracks, hand, taken) -> None:
    found = seen(tracks)
    joints, confidence = both_hands(found, hand)
    for side in (0, 1):
        if side in taken:
            wanted = found.landmarks[:, taken[side], :, :2]
            np.testing.assert_array_equal(joints[:, side], wanted)
        else:
            assert not confidence[:, side].any()


def test_every_clip_of_a_manifest_is_prepared_or_told_of(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    whole = seen({"right": ".xxx.xx.", "left": "...x...."})
    write_landmarks(whole, data / "whole.npz")
    write_landmarks(seen({"right": ".x."}), data / "one.npz")
    write_landmarks(seen({"right": "..."}), data / "none.npz")
    (data / "broken.pose").write_bytes(b"no pose")
    items = [
        Item(data / f"{name}", "hello", name, "s", "train")
        for name in ("whole.npz", "one.npz", "none.npz", "broken.pose", "gone.npz")
    ]
    items.append(Item(data / "whole.npz", "bye", "part", "s", "dev", start=0.1, end=0.21))
    write_manifest(items, data / "manifest.csv")
    told: list[tuple[int, int]] = []
    result = prepare_poses(
        folders.read(data / "manifest.csv"), out, progress=lambda *done: told.append(done)
    )
    assert told[-1] == (5, 5)
    rows = {row.id: row for row in read_status(out)}
    assert {name: (row.status, row.reason) for name, row in rows.items()} == {
        "whole.npz": ("done", ""),
        "one.npz": ("done", "one frame only"),
        "none.npz": ("dropped", "no hand seen"),
        "broken.pose": ("dropped", "cannot be read"),
        "gone.npz": ("dropped", "not on disk"),
        "part": ("done", ""),
    }
    assert (rows["whole.npz"].frames, rows["whole.npz"].seen) == (6, 5)
    assert "3 of 6 clips prepared" in result.report()
    unread = dropped_items(out, "train")  # but for what the reader of the data set dropped
    assert [item.id for item in unread] == ["none.npz", "broken.pose"]
    assert dropped_items(out, "dev") == []
    corpus = PoseCorpus(out)
    assert [e.frames for e in corpus.entries] == [6, 1, 3]
    assert corpus.entries[2] == Entry("part", "bye", "s", "dev", pytest.approx(25.0), 3)
    np.testing.assert_array_equal(corpus[0].joints[:, 1], whole.landmarks[1:7, 0, :, :2])


def test_recordings_are_looked_at_once(tmp_path: Path) -> None:
    write_frames(tmp_path / "data" / "clip", 6)
    write_manifest([Item(tmp_path / "data" / "clip", "hello", "clip")], tmp_path / "m.csv")
    corpus = folders.read(tmp_path / "m.csv")
    prepare_poses(corpus, tmp_path / "out", make_detector=ColourDetectors())
    first = PoseCorpus(tmp_path / "out")[0]
    assert first.entry == Entry("clip", "hello", "", "", pytest.approx(30.0), 6)
    assert first.present.any()

    def refuse(still: bool) -> None:
        raise AssertionError("it was seen before")

    prepare_poses(corpus, tmp_path / "out", make_detector=refuse)  # type: ignore[arg-type]
    again = PoseCorpus(tmp_path / "out")[0]
    np.testing.assert_array_equal(again.joints, first.joints)


def test_hands_are_looked_for_in_the_box_of_the_signer(tmp_path: Path) -> None:
    clip = write_frames(tmp_path / "clip", 6)
    boxes = {"whole": (0.0, 0.0, 1.0, 1.0), "corner": (0.0, 0.0, 0.05, 0.05)}
    builder = CorpusBuilder("boxes")
    builder.add(Item(clip, "hello", "none"))
    for name, box in boxes.items():
        builder.add(SignerItem(path=clip, label="hello", id=name, box=box))
    result = prepare_poses(builder.build(), tmp_path / "out", make_detector=ColourDetectors())
    assert {row.id: row.reason for row in result.rows} == {
        "none": "",
        "whole": "",
        "corner": "no hand seen",
    }
    without, whole = PoseCorpus(tmp_path / "out")
    np.testing.assert_array_equal(without.joints, whole.joints)


def test_a_clip_of_which_the_reader_has_a_remark_is_not_dropped(tmp_path: Path) -> None:
    clip = write_frames(tmp_path / "clip", 12)
    sorted(clip.iterdir())[4].unlink()
    write_manifest([Item(clip, "hello", "clip")], tmp_path / "m.csv")
    corpus = folders.read(tmp_path / "m.csv")
    assert corpus.remarks() == {"frames missing": 1}
    result = prepare_poses(corpus, tmp_path / "out", make_detector=ColourDetectors())
    assert [(row.id, row.status) for row in result.rows] == [("clip", "done")]


@pytest.mark.slow
def test_workers_find_the_same(tmp_path: Path) -> None:
    for number in range(3):
        without = (0, 1) if number == 1 else ()
        write_frames(tmp_path / f"clip {number}", 3 + number, left=number == 2, without=without)
    items = [Item(tmp_path / f"clip {number}", "a", f"{number}") for number in range(3)]
    write_manifest(items, tmp_path / "m.csv")
    corpus = folders.read(tmp_path / "m.csv")
    for workers in (1, 2):
        prepare_poses(
            corpus, tmp_path / f"{workers}", workers=workers, make_detector=ColourDetectors()
        )
    alone, together = (PoseCorpus(tmp_path / f"{workers}") for workers in (1, 2))
    assert [e.frames for e in alone.entries] == [3, 2, 5]
    assert alone.entries == together.entries
    assert (tmp_path / "1" / POSES).read_bytes() == (tmp_path / "2" / POSES).read_bytes()


def test_a_clip_on_which_something_fails_is_told_of(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", 3)
    write_landmarks(seen({"left": "x"}), tmp_path / "one.npz")
    items = [Item(tmp_path / name, "a", name) for name in ("clip", "one.npz")]
    write_manifest(items, tmp_path / "m.csv")

    def fail(still: bool) -> None:
        raise ZeroDivisionError("once")

    prepare_poses(folders.read(tmp_path / "m.csv"), tmp_path / "out", make_detector=fail)  # type: ignore[arg-type]
    assert [(row.reason, row.detail) for row in read_status(tmp_path / "out")] == [
        ("failed", "ZeroDivisionError: once"),
        ("one frame only", ""),
    ]


def test_a_data_set_without_hands_is_an_error(tmp_path: Path) -> None:
    write_landmarks(seen({"right": "..."}), tmp_path / "none.npz")
    write_manifest([Item(tmp_path / "none.npz", "hello", "none")], tmp_path / "m.csv")
    with pytest.raises(InputError, match=r"(?s)1 no hand seen.*nothing was prepared"):
        prepare_poses(folders.read(tmp_path / "m.csv"), tmp_path / "out")
    assert not (tmp_path / "out" / POSES).exists()


@pytest.mark.slow
def test_a_clip_on_which_a_worker_dies_is_told_of(tmp_path: Path) -> None:
    for name in ("one", "deadly", "two"):
        write_frames(tmp_path / name, 3)
    for picture in (tmp_path / "deadly").iterdir():
        Image.fromarray(np.full((120, 160, 3), 255, np.uint8)).save(picture)
    items = [Item(tmp_path / name, "a", name) for name in ("one", "deadly", "two")]
    write_manifest(items, tmp_path / "m.csv")
    corpus = folders.read(tmp_path / "m.csv")
    result = prepare_poses(corpus, tmp_path / "out", workers=2, make_detector=ColourDetectors())
    assert [(row.id, row.status, row.reason) for row in result.rows] == [
        ("one", "done", ""),
        ("deadly", "dropped", "cannot be read"),
        ("two", "done", ""),
    ]
    assert "the process that read it died" in result.rows[1].detail
    assert [entry.id for entry in PoseCorpus(tmp_path / "out").entries] == ["one", "two"]


def test_clips_share_a_detector(tmp_path: Path) -> None:
    items = [Item(write_frames(tmp_path / name, 3), "a", name) for name in ("one", "two")]
    write_manifest(items, tmp_path / "m.csv")
    made: list[bool] = []

    def make(still: bool) -> ColourDetector:
        made.append(still)
        return ColourDetector(0.0)

    prepare_poses(folders.read(tmp_path / "m.csv"), tmp_path / "out", make_detector=make)
    assert made == [False]


def test_clips_are_relabelled_without_their_frames(tmp_path: Path) -> None:
    clips = [clip("one", 3), clip("two", 2)]
    write_poses(clips, tmp_path)
    before = (tmp_path / POSES).read_bytes()
    changed = relabel(tmp_path, lambda entry: replace(entry, label="b", split="test"))
    assert [(e.id, e.label, e.split) for e in changed] == [
        ("one", "b", "test"),
        ("two", "b", "test"),
    ]
    assert PoseCorpus(tmp_path).entries == changed
    assert (tmp_path / POSES).read_bytes() == before
