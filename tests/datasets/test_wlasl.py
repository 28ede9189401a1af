import json

import numpy as np
import pytest

from chereme.datasets import wlasl
from chereme.errors import InputError, UsageError
from chereme.recognition.hand_landmarks import detect_hands
from chereme.video import write_video
from fake_signing import Hands


def instance(video, split="train", start=1, end=-1, signer=7, url="http://asl.example/a.mp4"):
    return {
        "bbox": [385, 37, 885, 720],
        "fps": 25,
        "frame_end": end,
        "frame_start": start,
        "instance_id": 0,
        "signer_id": signer,
        "source": "aslu",
        "split": split,
        "url": url,
        "variation_id": 0,
        "video_id": video,
    }


def published(*first, classes=100):
    """The layout of ``WLASL_v0.3.json``: the instances of ``book``, then words with one each."""
    others = [
        {"gloss": f"word {i}", "instances": [instance(f"{i:05d}")]} for i in range(1, classes)
    ]
    return [{"gloss": "book", "instances": list(first)}, *others]


@pytest.fixture
def made(tmp_path):
    def make(content, videos=(), name="WLASL_v0.3.json", folder="videos"):
        (tmp_path / name).write_text(json.dumps(content))
        (tmp_path / folder).mkdir(parents=True)
        for video in videos:
            (tmp_path / folder / video).write_bytes(b"")
        return tmp_path

    return make


def test_reads_the_published_layout(made):
    root = made(
        published(
            instance("69241", "train", signer=118),
            instance("07069", "val", 10, 34, signer=-1),
            instance("07068", "test"),
            classes=120,
        ),
        ["69241.mp4", "07069.mkv", "07068.pose", "00001.mp4", "00110.mp4"],
    )
    corpus = wlasl.read(root, 100)
    assert corpus.name == "WLASL100"
    found = {item.id: item for item in corpus.items}
    assert set(found) == {"69241", "07069", "07068", "00001"}  # 00110 is of the 111th gloss
    book = found["69241"]
    assert (book.label, book.split, book.signer, book.language) == ("book", "train", "118", "ase")
    assert book.path == root / "videos/69241.mp4"
    assert (book.start, book.end, book.frames) == (None, None, None)
    part = found["07069"]
    assert (part.path.name, part.split, part.signer) == ("07069.mkv", "dev", None)
    assert (part.start, part.end, part.frames) == (None, None, 25)  # cut already: 10 to 34
    assert found["07068"].path.name == "07068.pose"
    assert corpus.rows == 102
    assert corpus.skipped() == {"not on disk": 98}
    assert "WLASL100: 4 of 102 clips (2,038 published)" in corpus.report()


def test_whole_recordings_are_found_by_the_id_of_youtube(made):
    """Cut by the number of a frame in the file, whatever its rate, as the start kit does."""
    root = made(
        published(
            instance("1", start=11, end=20, url="https://www.youtube.com/watch?v=0UsjUE-TXns"),
            instance("2", start=1, end=15, url="https://youtu.be/1QOYOZ3g-aY"),
            instance("3", start=2, url="https://www.handspeak.com/word/h/help.mp4"),
            instance("4", start=22, end=31, url="https://youtu.be/1QOYOZ3g-aY"),
            instance("5", start=31, end=40, url="https://youtu.be/1QOYOZ3g-aY"),
            instance("6", start=2, end=5),
            instance("7", start=3, end=5),
        ),
        ["6.mp4", "7.npz"],
        folder="raw_videos_mp4",
    )
    for name, rate in (("0UsjUE-TXns", 30), ("1QOYOZ3g-aY", 25), ("3", 30)):
        pictures = [np.full((32, 32, 3), 8 * number, np.uint8) for number in range(30)]
        write_video(root / "raw_videos_mp4" / f"{name}.mp4", pictures, rate)
    corpus = wlasl.read(root, 100, whole=True)
    assert [(i.id, i.path.stem, i.start, i.end, i.frames) for i in corpus.items] == [
        (
            "1",
            "0UsjUE-TXns",
            pytest.approx(10 / 30, abs=1e-3),
            pytest.approx(20 / 30, abs=1e-3),
            10,
        ),
        ("2", "1QOYOZ3g-aY", None, 15 / 25, 15),
        ("3", "3", pytest.approx(1 / 30, abs=1e-3), None, None),
        ("4", "1QOYOZ3g-aY", 21 / 25, None, 10),
        ("7", "7", 2 / 25, 5 / 25, 3),  # of landmarks
    ]
    assert corpus.skipped() == {
        "not on disk": 99,
        "recording ends before the clip": 1,
        "cannot be read": 1,
    }
    whole, (start, end) = corpus.items[0].path, (corpus.items[0].start, corpus.items[0].end)
    shown = detect_hands(whole, start=start, end=end, make_detector=Hands()).landmarks
    np.testing.assert_allclose(shown.timestamps, np.arange(10, 20) / 30, atol=1e-3)


def test_folders_of_frames_and_another_place(made, clip, tmp_path):
    root = made(published(instance("69241", end=3)))
    clip(tmp_path / "else/69241", range(1, 5))
    corpus = wlasl.read(root, 100, videos=tmp_path / "else")
    assert [(item.path, item.frames) for item in corpus.items] == [(tmp_path / "else/69241", 4)]


@pytest.fixture
def nslt(made):
    content = {
        "05237": {"subset": "train", "action": [77, 1, 55]},
        "69422": {"subset": "val", "action": [99, 5, -1]},
        "00001": {"subset": "test", "action": [1, 1, 9]},
    }
    root = made(content, [f"{video}.mp4" for video in content], "nslt_100.json")
    words = "".join(f"{i}\tword {i}\n" for i in range(2000))
    (root / "wlasl_class_list.txt").write_text(words)
    return root


def test_reads_the_lists_of_the_subsets(nslt):
    corpus = wlasl.read(nslt, 100)
    assert [(i.id, i.label, i.split, i.signer, i.frames) for i in corpus.items] == [
        ("05237", "word 77", "train", None, 55),
        ("69422", "word 99", "dev", None, None),
        ("00001", "word 1", "test", None, 9),
    ]


def test_lists_of_numbers_need_the_list_of_glosses(nslt):
    (nslt / "wlasl_class_list.txt").unlink()
    with pytest.raises(
        InputError,
        match=r"wlasl_class_list.txt, got no such file; give the list",
    ):
        wlasl.read(nslt, 100)
    (nslt / "wlasl_class_list.txt").write_text("book\n")
    with pytest.raises(InputError, match="line 1: expected a number, a tab and a word"):
        wlasl.read(nslt, 100)


def test_rows_that_cannot_be_used_are_counted(made):
    no_id, no_split = instance("x"), instance("2", "")
    del no_id["video_id"]
    root = made(
        published(
            instance("1"),
            instance("1", "test"),
            no_id,
            no_split,
            instance("3", "all"),
            instance("4", start=0),
            instance("5", start=9, end=3),
            instance("../6"),
            instance("7", start="one"),
            "not a record",
        ),
        ["1.mp4", "2.mp4", "3.mp4", "4.mp4", "5.mp4", "7.mp4"],
    )
    corpus = wlasl.read(root, 100)
    assert [item.id for item in corpus.items] == ["1"]
    assert corpus.skipped() == {
        "not on disk": 99,
        "frame numbers that make no part": 2,
        "no video_id": 2,
        "listed twice": 1,
        "split is not train, dev or test": 2,
        "file name leaves the folder of the clips": 1,
        "no frame_start": 1,
    }
    assert corpus.rows == 109


def test_metadata_that_is_none(made, tmp_path):
    with pytest.raises(InputError, match=r"WLASL_v0.3.json or .* or asl300.json or .*"):
        wlasl.read(tmp_path, 300)
    with pytest.raises(UsageError, match="classes: expected 100, 300, 1000, 2000, got 500"):
        wlasl.read(tmp_path, 500)
    root = made(published())
    with pytest.raises(InputError, match="expected at least 300 glosses, got 100"):
        wlasl.read(root, 300)
    for content in ({"a": 1}, [{"gloss": "book"}], 3):
        (root / "WLASL_v0.3.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="got another layout"):
            wlasl.read(root, 100)
    (root / "WLASL_v0.3.json").write_text("[{")
    with pytest.raises(InputError, match=r"expected JSON, got something else .*line 1"):
        wlasl.read(root, 100)


def test_nothing_on_disk_is_an_error_that_says_so(made):
    with pytest.raises(InputError, match="none of 99 rows can be used: 99 not on disk"):
        wlasl.read(made(published()), 100)


@pytest.mark.parametrize("classes", [100, 300])
def test_the_published_annotations(shared_data, classes, unchecked):
    table = shared_data / f"labels/wlasl/asl{classes}.json"
    if not table.is_file():
        pytest.skip(f"annotations not found: expected {table}")
    corpus = wlasl.read(table.parent, classes)
    counts = {"all": len(corpus.items)}
    counts |= {split: len(corpus.split(split)) for split in ("train", "dev", "test")}
    assert counts == wlasl.PUBLISHED[classes]
    assert len({item.label for item in corpus.items}) == classes
    assert corpus.findings == ()
