"""A whole data set: done once, whatever stops it, and every clip accounted for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chereme.datasets.clips import CropSettings
from chereme.datasets.folders import read
from chereme.datasets.preparation import Preparation
from chereme.datasets.prepare_crops import check_settings, prepare_crops, read_settings
from chereme.datasets.shards import read_shards
from chereme.datasets.status import read_status
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, read_manifest, write_manifest
from chereme.teachers import Clip, ClipEmbeddings
from fake_clips import ColourDetectors, write_frames

SIZE = 32
LIMIT = 40_000  # bytes: a few clips a tar


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 9 clips: 7 fine, one without a hand, one that is not a video."""
    folder = tmp_path_factory.mktemp("source")
    items = []
    for i in range(9):
        split = "dev" if i in (2, 6) else "train"
        path = folder / f"clip{i}"
        if i == 4:
            path = folder / "clip4.mp4"
            path.write_bytes(b"this is not a video")
        else:
            write_frames(path, 5 + i, left=i % 2 == 1, without=range(20) if i == 5 else ())
        items.append(Item(path, "ab" * i or "a", f"clip{i}", f"s{i}", split))  # type: ignore[arg-type]
    write_manifest(items, folder / "manifest.csv")
    return folder / "manifest.csv"


def run(source: Path, folder: Path, **options: Any) -> Preparation:
    options = {
        "size": SIZE,
        "tar_bytes": LIMIT,
        "make_detector": ColourDetectors(),
        "teachers": [Halves()],
    } | options
    return prepare_crops(read(source), folder, **options)


class Halves:
    """Mean colours of the crops: of the mirrored ones, red and green change halves."""

    name, dim = "halves", 6

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        means = clip.crops.astype(np.float32).reshape(-1, 32, 2, 16, 3).mean(axis=(1, 3))
        return ClipEmbeddings(means.reshape(-1, 6), means[:, ::-1].reshape(-1, 6))


def tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


@pytest.fixture(scope="module")
def uninterrupted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(source, folder)
    return folder


def test_every_clip_is_accounted_for(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = run(source, tmp_path, progress=lambda *counts: seen.append(counts))
    assert seen == [(i, 9) for i in range(1, 10)]
    assert [(row.id, row.status, row.reason) for row in result.rows] == [
        *((f"clip{i}", "done", "") for i in range(4)),
        ("clip4", "dropped", "cannot be read"),
        ("clip5", "dropped", "no hand seen"),
        *((f"clip{i}", "done", "") for i in range(6, 9)),
    ]
    assert result.report().splitlines() == [
        "manifest: 7 of 9 clips prepared",
        "  dropped 2: 1 cannot be read, 1 no hand seen",
        "  train: 5 of 7 clips, 44 frames, the hand seen in 100.0%",
        "  dev: 2 of 2 clips, 18 frames, the hand seen in 100.0%",
        "  teacher halves: 6 numbers a frame",
    ]
    assert read_status(tmp_path) == list(result.rows)
    assert len(tars(tmp_path)) > 2
    there = {s.id: s for split in ("train", "dev") for s in read_shards(tmp_path, split)}
    assert sorted(there) == sorted(row.id for row in result.rows if row.status == "done")
    assert [(s.label, s.signer) for s in read_shards(tmp_path, "dev")] == [
        ("abab", "s2"),
        ("ab" * 6, "s6"),
    ]
    for row in result.rows:
        if row.status == "done":
            frames = len(there[row.id].jpegs)
            assert (row.frames, row.seen) == (frames, int(there[row.id].present.sum()))
    assert [i.id for i in read_manifest(tmp_path / "manifest.csv")] == [
        f"clip{i}" for i in range(9)
    ]


def test_vectors_belong_to_their_orientation(uninterrupted: Path) -> None:
    for sample in read_shards(uninterrupted, "train"):
        left, right = np.split(sample.teacher["halves"], 2, axis=1)
        # All are right hands by now: red on the left, green on the right.
        assert (left[:, 0] > left[:, 1] + 50).all()
        assert (right[:, 1] > right[:, 0] + 50).all()
        np.testing.assert_array_equal(
            sample.teacher_mirrored["halves"], np.concatenate([right, left], axis=1)
        )


def test_nothing_is_done_twice(source: Path, uninterrupted: Path, tmp_path: Path) -> None:
    first = run(source, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.tar")}
    again = run(source, tmp_path, make_detector=_no_detector)
    assert sorted(again.rows, key=lambda r: r.id) == sorted(first.rows, key=lambda r: r.id)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.tar")} == times
    assert tars(tmp_path) == tars(uninterrupted)


def _no_detector(still: bool) -> Any:
    raise AssertionError("nothing is left to look at")


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from chereme.datasets.folders import read
from chereme.datasets.prepare_crops import prepare_crops
from fake_clips import ColourDetectors

if __name__ == "__main__":
    prepare_crops(
        read({source!r}), {folder!r}, size=32, tar_bytes={limit},
        make_detector=ColourDetectors(0.01), workers={workers},
    )
"""


@contextmanager
def process(source: Path, folder: Path, script: Path, workers: int) -> Iterator[subprocess.Popen]:
    """A preparation in a process of its own, which is killed at the end."""
    tests = str(Path(__file__).parents[1])
    script.write_text(
        SCRIPT.format(
            path=[tests], source=str(source), folder=str(folder), limit=LIMIT, workers=workers
        )
    )
    child = subprocess.Popen([sys.executable, str(script)])
    try:
        yield child
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_and_gone_on_with(source: Path, tmp_path: Path, workers: int) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    expected = run(source, whole, teachers=())
    status = folder / "status.csv"
    done = 0
    for _ in range(3):  # each run gets a little farther
        with process(source, folder, tmp_path / "run.py", workers) as child:

            def farther(before: int = done) -> bool:
                return status.exists() and len(read_status(folder)) > before

            wait_for(lambda child=child, farther=farther: farther() or child.poll() is not None)
        done = len(read_status(folder))
    assert done > 0
    go_on = run(source, folder, teachers=())
    assert go_on.done == expected.done
    # The same tars, byte for byte: nothing is lost, and nothing is there twice.
    assert tars(folder) == tars(whole)
    ids = [row.id for row in read_status(folder)]
    assert sorted(ids) == sorted(set(ids)) == sorted(row.id for row in expected.rows)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see what processes are left")
def test_workers_end_with_a_parent_that_is_killed(source: Path, tmp_path: Path) -> None:
    def children(parent: int) -> set[str]:
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[1]) == parent:
                found.add(stat.parent.name)
        return found

    with process(source, tmp_path / "out", tmp_path / "run.py", 2) as child:
        wait_for(lambda: (tmp_path / "out" / "status.csv").exists())
        wait_for(lambda: len(children(child.pid)) >= 3 or child.poll() is not None)
        workers = children(child.pid)
        assert workers
    wait_for(lambda: not any(_alive(pid) for pid in workers), seconds=20)


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("rows", [0, 1, 3, 9])
def test_clips_in_a_tar_without_their_row_are_not_done_again(
    source: Path, uninterrupted: Path, tmp_path: Path, rows: int
) -> None:
    # Killed after the clip was written and before its row was, or while that was written.
    run(source, tmp_path)
    last = sorted(tmp_path.glob("train-*.tar"))[-1]
    last.rename(last.with_suffix(".tar.part"))
    status = (tmp_path / "status.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "status.csv").write_bytes(b"".join(status[: len(status) - rows]) + b"cli")
    run(source, tmp_path)
    assert tars(tmp_path) == tars(uninterrupted)
    assert sorted(row.id for row in read_status(tmp_path)) == [f"clip{i}" for i in range(9)]


def test_a_tar_that_is_gone_is_made_again(source: Path, tmp_path: Path) -> None:
    first = run(source, tmp_path)
    (tmp_path / "train-000000.tar").unlink()
    again = run(source, tmp_path)
    assert again.done == first.done
    ids = [s.id for s in read_shards(tmp_path, "train")]
    assert sorted(ids) == sorted(set(ids)) == ["clip0", "clip1", "clip3", "clip7", "clip8"]


def test_several_workers_write_the_same(source: Path, uninterrupted: Path, tmp_path: Path) -> None:
    run(source, tmp_path, workers=2)
    assert tars(tmp_path) == tars(uninterrupted)


def test_ray_writes_the_same(source: Path, uninterrupted: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    run(source, tmp_path, workers=2, engine="ray")
    assert tars(tmp_path) == tars(uninterrupted)


def test_a_clip_that_kills_its_process_is_dropped(source: Path, tmp_path: Path) -> None:
    items = read_manifest(source)[:4]
    for name in ("bad1", "bad2"):
        (tmp_path / name).mkdir()
        white = np.full((90, 90, 3), 255, np.uint8)
        Image.fromarray(white).save(tmp_path / name / "1.png")
        items.insert(2, Item(tmp_path / name, "x", name, split="train"))
    write_manifest(items, tmp_path / "manifest.csv")
    result = run(tmp_path / "manifest.csv", tmp_path / "out", workers=2)
    dropped = {row.id: row for row in result.rows if row.status == "dropped"}
    assert set(dropped) == {"bad1", "bad2"}
    assert "the process that read it died" in dropped["bad1"].detail
    assert result.done == 4


def test_dropped_clips_are_tried_again_if_asked(source: Path, tmp_path: Path) -> None:
    items = [Item(tmp_path / "clip", "a", "one"), *read_manifest(source)[:1]]
    write_frames(tmp_path / "clip", 5, without=range(5))
    write_manifest(items, tmp_path / "manifest.csv")
    manifest, folder = tmp_path / "manifest.csv", tmp_path / "out"
    assert run(manifest, folder).done == 1
    write_frames(tmp_path / "clip", 5)
    assert run(manifest, folder).done == 1
    assert run(manifest, folder, retry=True).done == 2
    assert [s.id for s in read_shards(folder, "unsplit")] == ["one"]
    assert [row.status for row in read_status(folder)] == ["done", "done"]


def test_clips_that_come_later_are_added(source: Path, tmp_path: Path) -> None:
    items = read_manifest(source)
    late = Item(tmp_path / "late", "a", "late", split="train")
    write_manifest([late, *items[:2]], tmp_path / "manifest.csv")
    manifest, folder = tmp_path / "manifest.csv", tmp_path / "out"
    first = run(manifest, folder)
    rows = {row.id: (row.status, row.reason, row.stage) for row in first.rows}
    assert rows["late"] == ("dropped", "not on disk", "reader")
    assert "2 of 3 clips prepared" in first.report()
    write_frames(late.path, 6)
    assert run(manifest, folder).done == 3
    assert [s.id for s in read_shards(folder, "train")] == ["clip0", "clip1", "late"]


def test_a_teacher_may_refuse_a_clip(source: Path, tmp_path: Path) -> None:
    class Refusing:
        name, dim = "some", 2

        def embed_clip(self, clip: Clip) -> ClipEmbeddings:
            if clip.id == "clip1":
                raise InputError("I do not know this one")
            return ClipEmbeddings(np.zeros((len(clip.crops), 2), np.float32), None)

    result = run(source, tmp_path, teachers=[Refusing()])
    (row,) = (row for row in result.rows if row.id == "clip1")
    assert (row.status, row.reason) == ("dropped", "refused by a teacher")
    assert row.detail == "I do not know this one"
    sample = next(read_shards(tmp_path, "train"))
    assert set(sample.teacher) == {"some"}
    assert not sample.teacher_mirrored


def test_other_settings_are_refused(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path)
    for other in ({"size": 48}, {"teachers": ()}):
        with pytest.raises(UsageError, match="was prepared otherwise"):
            run(source, tmp_path, **other)
    (tmp_path / "preparation.json").write_text("{")
    with pytest.raises(InputError, match=r"preparation\.json: expected the settings"):
        run(source, tmp_path)


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"preparation\.json: no such file"):
        read_settings(tmp_path)
    settings = CropSettings(size=48, padding=0.4, smoothing=2.0)
    check_settings(tmp_path, "some", settings, {})
    assert read_settings(tmp_path) == settings
    for odd in ("[]", "{}", '{"crop": {"colour": 1}}'):
        (tmp_path / "preparation.json").write_text(odd)
        with pytest.raises(InputError, match=r"preparation\.json: expected the settings of"):
            read_settings(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are locked on POSIX alone")
def test_two_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            run(source, tmp_path)
    assert os.listdir(tmp_path) == [".lock"]


def test_if_nothing_can_be_prepared_it_is_an_error(source: Path, tmp_path: Path) -> None:
    write_manifest(read_manifest(source)[4:6], tmp_path / "manifest.csv")
    with pytest.raises(InputError, match=r"(?s)0 of 2 clips.*the first: clip4: .*clip4\.mp4"):
        run(tmp_path / "manifest.csv", tmp_path / "out")


def test_a_detector_that_cannot_be_made_is_no_fault_of_the_clips(
    source: Path, tmp_path: Path
) -> None:
    def lacking(still: bool) -> Any:
        raise InputError("no hand_landmarker.task")

    with pytest.raises(InputError, match="no hand_landmarker"):
        run(source, tmp_path, make_detector=lacking)
    assert read_status(tmp_path) == []
