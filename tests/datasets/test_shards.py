"""Shards: what is written comes back, whole tars only, and a cut one is gone on with."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.shards import (
    Sample,
    ShardWriter,
    jpeg_of,
    read_shard,
    read_shards,
    shards,
    write,
)
from chereme.errors import InputError


def picture(seed: int, size: int = 32) -> np.ndarray:
    """A smooth colourful picture, which JPEG hardly changes."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(3 * x + seed), np.sin(3 * y + 2 * seed), np.sin(2 * (x + y) + 3 * seed)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


def sample(name: str = "a", frames: int = 3, split: str = "train", seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    landmarks = rng.normal(16, 5, (frames, 21, 3)).astype(np.float32)
    confidence = np.ones((frames, 21), np.float32)
    jpegs: list[bytes | None] = [jpeg_of(picture(seed + t)) for t in range(frames)]
    if frames > 1:
        jpegs[1], landmarks[1], confidence[1] = None, np.nan, 0
    return Sample(
        id=name,
        label="word",
        signer="ann",
        split=split,
        rate=29.97,
        handedness="left",
        jpegs=tuple(jpegs),
        landmarks=landmarks,
        confidence=confidence,
        boxes=rng.uniform(0, 99, (frames, 4)).astype(np.float32),
        teacher={"one": rng.normal(size=(frames, 5)), "two": np.full((frames, 2), 1e6)},
        teacher_mirrored={"one": rng.normal(size=(frames, 5))},
        size=32,
    )


def same(a: Sample, b: Sample) -> bool:
    for field in dataclasses.fields(Sample):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two)
        elif not field.name.startswith("teacher"):
            assert one == two, field.name
    return True


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    ids = ["a", "fold/er/1", "../up.mp4", "a.b", "a_b", "γράμμα ü", "x" * 150]
    written = [sample(name, 4, seed=i) for i, name in enumerate(ids)]
    assert write(written, tmp_path) == [tmp_path / "train-000000.tar"]
    read = list(read_shards(tmp_path, "train"))
    assert [s.id for s in read] == ids
    for before, after in zip(written, read, strict=True):
        assert same(before, after)
        np.testing.assert_allclose(
            after.teacher["one"], before.teacher["one"], rtol=1e-3, atol=1e-6
        )
        assert after.teacher["one"].dtype == np.float16
        np.testing.assert_array_equal(after.teacher["two"], before.teacher["two"])
        assert after.teacher["two"].dtype == np.float32  # too large for half precision
        assert set(after.teacher_mirrored) == {"one"}


def test_crops_are_decoded_and_black_where_no_hand_was_seen(tmp_path: Path) -> None:
    write([sample(frames=3)], tmp_path)
    (read,) = read_shards(tmp_path, "train")
    crops = read.crops
    assert crops.shape == (3, 32, 32, 3)
    assert read.present.tolist() == [True, False, True]
    assert not crops[1].any()
    for t in (0, 2):
        assert np.abs(crops[t].astype(int) - picture(t)).mean() < 4
    np.testing.assert_array_equal(read.decode([2]), crops[2:])


def test_a_tar_groups_as_webdataset_groups(tmp_path: Path) -> None:
    (path,) = write([sample("clip.one/x"), sample("clip.two/y", seed=1)], tmp_path)
    with tarfile.open(path) as tar:
        names = tar.getnames()
    # A key is what stands before the first dot of a file's own name.
    keys = [name.rpartition("/")[2].partition(".")[0] for name in names]
    assert list(dict.fromkeys(keys)) == ["clip%2Eone%2Fx", "clip%2Etwo%2Fy"]
    assert all("/" not in name for name in names)
    endings = [name.partition(".")[2] for name in names if name.startswith("clip%2Eone")]
    assert endings == [
        *("0000.jpg", "0002.jpg", "landmarks.npy", "confidence.npy", "boxes.npy"),
        *("teacher.one.npy", "teacher.two.npy", "mirrored.one.npy", "json"),
    ]


def test_webdataset_reads_them(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    (path,) = write([sample("a"), sample("b", seed=1)], tmp_path)
    read = list(webdataset.WebDataset(str(path), shardshuffle=False).decode())
    assert [r["json"]["id"] for r in read] == ["a", "b"]
    np.testing.assert_array_equal(read[0]["landmarks.npy"], sample("a").landmarks)


def test_tars_keep_to_their_limit_and_splits_apart(tmp_path: Path) -> None:
    clips = [sample(f"{i}", 3, "dev" if i % 3 == 0 else "train", i) for i in range(9)]
    (one,) = write(clips[1:2], tmp_path / "one")
    limit = 2 * one.stat().st_size + 600
    written = write(clips, tmp_path / "all", limit=limit)
    assert [path.name for path in written] == [
        *("dev-000000.tar", "dev-000001.tar"),
        *("train-000000.tar", "train-000001.tar", "train-000002.tar"),
    ]
    assert all(path.stat().st_size <= limit for path in written)
    assert shards(tmp_path / "all", "dev") == written[:2]
    read = [s.id for s in read_shards(tmp_path / "all", "train")]
    assert read == ["1", "2", "4", "5", "7", "8"]
    # A clip that is larger than a tar may be gets one of its own.
    assert len(write(clips[:2], tmp_path / "large", limit=100)) == 2


def test_tars_are_added_and_not_written_over(tmp_path: Path) -> None:
    write([sample("a")], tmp_path)
    write([sample("b")], tmp_path)
    assert [path.name for path in shards(tmp_path, "train")] == [
        "train-000000.tar",
        "train-000001.tar",
    ]
    assert [s.id for s in read_shards(tmp_path, "train")] == ["a", "b"]


def test_a_tar_cut_off_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    clips = [sample(str(i), 2, seed=i) for i in range(3)]
    (whole,) = write(clips, tmp_path / "whole")
    data = whole.read_bytes()
    for cut in [*range(0, len(data), 1237), len(data) - 1024, len(data) - 1]:
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "train-000000.tar.part").write_bytes(data[:cut])
        with ShardWriter(folder, "train") as writer:
            there = [about["id"] for about in writer.recovered]
            assert there == ["0", "1", "2"][: len(there)]
            for clip in clips[len(there) :]:
                assert writer.add(clip) == "train-000000.tar"
            assert writer.finish() == [folder / "train-000000.tar"]
        assert (folder / "train-000000.tar").read_bytes() == data
        assert not list(folder.glob("*.part"))


def test_a_tar_cut_off_in_its_first_clip_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "train-000000.tar.part").write_bytes(b"abc")
    with ShardWriter(tmp_path, "train") as writer:
        assert writer.recovered == []
        assert writer.finish() == []
    assert not list(tmp_path.iterdir())


def test_tars_that_are_not_whole_are_not_read(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "train") as writer:
        writer.add(sample())
    with pytest.raises(InputError, match="has begun"):
        list(read_shards(tmp_path, "train"))
    with pytest.raises(InputError, match="there are none; make them"):
        list(read_shards(tmp_path, "test"))


def test_a_damaged_tar_is_named(tmp_path: Path) -> None:
    (path,) = write([sample("a"), sample("b")], tmp_path)
    data = path.read_bytes()
    ends = data.index(b"b.0000.jpg")  # a cut between two clips
    for cut in (0, 100, 700, ends, len(data) - 2000, len(data) - 1024):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"train-000000\.tar: expected a tar"):
            list(read_shard(path))
    path.write_bytes(data.replace(b"a.json", b"a.jsox"))
    with pytest.raises(InputError, match="expected a tar"):
        list(read_shard(path))


def test_a_damaged_crop_is_named() -> None:
    with pytest.raises(InputError, match="clip a, frame 2: expected a crop of 32x32"):
        _ = dataclasses.replace(sample(), jpegs=(None, None, b"no picture")).crops
    with pytest.raises(InputError, match=r"frame 0: .* got 16x16"):
        _ = dataclasses.replace(sample(), jpegs=(jpeg_of(picture(0, 16)), None, None)).crops


@pytest.mark.parametrize(
    "change",
    [
        {"landmarks": np.zeros((2, 21, 3))},
        {"confidence": np.zeros((3, 20))},
        {"boxes": np.zeros((3, 2))},
        {"teacher": {"one": np.zeros((4, 5))}},
        {"teacher_mirrored": {"one": np.zeros(3)}},
    ],
)
def test_arrays_have_a_row_for_each_frame(change: dict) -> None:
    with pytest.raises(InputError, match=r"clip a: .*expected shape"):
        dataclasses.replace(sample(), **change)
