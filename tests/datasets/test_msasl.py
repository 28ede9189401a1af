import json

import pytest

from chereme.datasets import msasl
from chereme.datasets.checks import shared_signers
from chereme.errors import InputError, UsageError


def record(video="J7tP98oDxqE", label=0, start=0, end=66, signer=3, fps=30.0, text=None):
    """A record in the published layout."""
    return {
        "org_text": "BOOK",
        "clean_text": "book",
        "start_time": start / fps,
        "signer_id": signer,
        "signer": -1,
        "start": start,
        "end": end,
        "file": "BOOK(3)",
        "label": label,
        "height": 360.0,
        "fps": fps,
        "end_time": end / fps,
        "url": f"www.youtube.com/watch?v={video}",
        "text": text or f"word {label}",
        "box": [0.05, 0.25, 0.99, 0.9],
        "width": 640.0,
    }


@pytest.fixture
def made(tmp_path):
    def make(train=(), val=(), test=(), videos=("J7tP98oDxqE.mp4",), classes=1000):
        for split, rows in {"train": train, "val": val, "test": test}.items():
            (tmp_path / f"MSASL_{split}.json").write_text(json.dumps(list(rows)))
        names = [f"name {i}" for i in range(classes)]
        (tmp_path / "MSASL_classes.json").write_text(json.dumps(names))
        for video in videos:
            path = tmp_path / "videos" / video
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def test_reads_parts_of_whole_recordings(made):
    root = made(
        [record(start=30, end=90), record(label=99, signer=-1), record(label=100)],
        [record("1AyT77LqJzQ", 5, signer=44)],
        [record("ieLzL1Sl6SU", 5, signer=11)],
        ["J7tP98oDxqE.mp4", "ieLzL1Sl6SU.webm"],
    )
    corpus = msasl.read(root, 100)
    assert (corpus.name, corpus.rows) == ("MS-ASL100", 4)
    first, second, third = corpus.items
    assert (first.id, first.label, first.signer, first.split) == (
        *("train/00000", "name 0", "3"),
        "train",
    )
    assert (first.start, first.end, first.frames, first.language) == (1.0, 3.0, 60, "ase")
    assert (second.id, second.label, second.signer) == ("train/00001", "name 99", None)
    assert (third.split, third.path) == ("test", root / "videos/ieLzL1Sl6SU.webm")
    assert corpus.skipped() == {"not on disk": 1}
    assert "dev: 0 clips (1,190 published)" in corpus.report()


def test_the_signers_box_is_read(made):
    rows = [record(label=n) for n in range(4)]
    rows[1]["box"] = None
    rows[2]["box"] = [0.9, 0.25, 0.05, 0.9]
    rows[3]["box"] = [0.9, 0.25]
    corpus = msasl.read(made(rows))
    first, second = corpus.items
    assert first.box == (0.25, 0.05, 0.9, 0.99)  # the list has top, left, bottom, right
    assert not hasattr(second, "box")
    assert corpus.skipped() == {"box that is no part of the picture": 2}


@pytest.mark.parametrize(("classes", "clips"), [(100, 1), (200, 2), (500, 3), (1000, 4)])
def test_a_subset_is_the_labels_below_its_number(made, classes, clips):
    root = made([record(label=label) for label in (0, 100, 499, 999)])
    assert len(msasl.read(root, classes).items) == clips


def test_clips_that_were_cut_are_named_by_a_pattern(made):
    root = made([record(label=4), record(label=5)], videos=["train/00001.mp4", "4/book_3.mp4"])
    by_row = msasl.read(root, 100, names="{split}/{row:05d}")
    assert [(i.id, i.start, i.end) for i in by_row.items] == [("train/00001", None, None)]
    by_label = msasl.read(root, 100, names="{label}/{clean_text}_{signer_id}")
    assert [item.id for item in by_label.items] == ["train/00000"]
    for pattern in ("{url}", "{row:x%}", "{", "{text.x}"):
        with pytest.raises(UsageError, match=r"names: expected a pattern of \{split\}, \{row\}"):
            msasl.read(root, 100, names=pattern)


def test_lists_of_a_subset_without_seconds(made, tmp_path):
    row = record("-kgTBeOw95A", 81, text="bad")
    for name in ("start_time", "end_time", "fps", "width", "height"):
        del row[name]
    made(videos=["-kgTBeOw95A.mp4", "test/00000.pose"])
    for path in tmp_path.glob("*.json"):
        path.unlink()
    (tmp_path / "MS_ASL_SI_ASL100_test.json").write_text(json.dumps([row]))
    with pytest.raises(InputError, match="1 no start_time"):
        msasl.read(tmp_path, 100)
    (item,) = msasl.read(tmp_path, 100, names="{split}/{row:05d}").items
    assert (item.label, item.signer, item.split, item.frames) == ("bad", "3", "test", 66)


def test_rows_that_cannot_be_used_are_counted(made):
    elsewhere = record() | {"url": "http://vimeo.com/12345678901"}
    no_label, no_time = record(), record() | {"end_time": "soon"}
    del no_label["label"]
    rows = [record(), elsewhere, no_label, no_time, record(start=9, end=9), record(label=-1)]
    corpus = msasl.read(made(rows), 100)
    assert [item.id for item in corpus.items] == ["train/00000"]
    assert corpus.skipped() == {
        "no label": 2,
        "not a video of YouTube": 1,
        "no end_time": 1,
        "ends before it begins": 1,
    }


def test_lists_that_are_none(made, tmp_path):
    with pytest.raises(InputError, match=r"expected MSASL_train.json, MSASL_val.json or"):
        msasl.read(tmp_path)
    with pytest.raises(UsageError, match="classes: expected 100, 200, 500, 1000, got 300"):
        msasl.read(tmp_path, 300)
    root = made([record()], classes=50)
    with pytest.raises(InputError, match="expected at least 100 names, got 50"):
        msasl.read(root, 100)
    (root / "MSASL_classes.json").write_text('{"book": 0}')
    with pytest.raises(InputError, match="expected a list of names"):
        msasl.read(root, 100)
    (root / "MSASL_classes.json").unlink()
    (root / "MSASL_train.json").write_text('{"book": 0}')
    with pytest.raises(InputError, match=r"MSASL_train.json: expected a list of records"):
        msasl.read(root, 100)


def test_the_published_annotations(shared_data, unchecked):
    folder = shared_data / "labels/msasl"
    if not folder.is_dir():
        pytest.skip(f"annotations not found: expected {folder}")
    corpus = msasl.read(folder, 100, names="{split}/{row:05d}")
    counts = {"all": len(corpus.items)}
    counts |= {split: len(corpus.split(split)) for split in ("train", "dev", "test")}
    assert counts == msasl.PUBLISHED[100]
    assert len({item.label for item in corpus.items}) == 100
    assert shared_signers(corpus.items) == {}
