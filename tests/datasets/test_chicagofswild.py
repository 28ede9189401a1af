import csv

import pytest

from chereme.datasets import chicagofswild
from chereme.datasets.checks import shared_signers
from chereme.errors import InputError
from chereme.formats.manifests import read_manifest
from chereme.video import open_video

HEADER = (
    *("", "filename", "url", "start_time", "number_of_frames", "width", "height"),
    *("label_proc", "label_raw", "label_notes", "partition", "signer"),
)


def row(file, label, split="train", signer="ann", frames=6, notes="", width=32):
    url, start = "http://example.org/v, 1", "00:00:37.297"
    return [0, file, url, start, frames, width, 24, label, label.upper(), notes, split, signer]


@pytest.fixture
def wild(tmp_path, clip, table):
    """Makes the data set: ``wild(rows, frames={file: numbers}, name=..., under=..., ...)``."""

    def make(rows, frames=None, name="ChicagoFSWild", under=".", header=HEADER, **how):
        table(tmp_path / f"{name}.csv", header, *rows, **how)
        listed = {r[1]: range(1, 7) for r in rows if "/" in r[1]}
        for file, numbers in {**listed, **(frames or {})}.items():
            if numbers is not None:
                clip(tmp_path / under / file, numbers)
        return tmp_path

    return make


THREE = [
    row("aslized/ben_1745", "asl"),
    row("deafvideo_2/cat_0001_(youtube)", "o'neil & co", "DEV", "bob"),
    row("nad/dan_7219", "to me", "test", "eve"),
]


@pytest.mark.parametrize(
    "under",
    [
        ".",
        "ChicagoFSWild-Frames",
        "ChicagoFSWild-Frames/ChicagoFSWild-Frames",
        "frames",
    ],
)
def test_reads_the_official_table_and_partition(wild, under):
    root = wild(THREE, under=under)
    corpus = chicagofswild.read(root)
    assert corpus.name == "ChicagoFSWild"
    assert corpus.rows == 3
    assert corpus.findings == ()
    assert [(i.id, i.label, i.split, i.signer) for i in corpus.items] == [
        ("aslized/ben_1745", "asl", "train", "ann"),
        ("deafvideo_2/cat_0001_(youtube)", "o'neil & co", "dev", "bob"),
        ("nad/dan_7219", "to me", "test", "eve"),
    ]
    item = corpus.items[0]
    assert (item.frames, item.width, item.height, item.language) == (6, 32, 24, "ase")
    assert item.path == root / under / "aslized/ben_1745"
    with open_video(item.path) as video:
        assert [frame.image.shape for frame in video] == [(24, 32, 3)] * 6
    assert shared_signers(corpus.items) == {}


def test_plus_is_read_by_its_own_table(wild):
    root = wild([row("Batch7/Sepsis_1", "asl")], name="ChicagoFSWildPlus")
    corpus = chicagofswild.read_plus(root)
    assert (corpus.name, corpus.items[0].id) == ("ChicagoFSWildPlus", "Batch7/Sepsis_1")
    assert "1 of 1 clips (55,232 published)" in corpus.report()


def test_plus_is_found_where_its_archive_of_frames_unpacks(wild):
    rows = [row("Batch7/Sepsis_1", "asl")]
    under = "frames/ChicagoFSWildPlus"
    corpus = chicagofswild.read_plus(wild(rows, name="ChicagoFSWildPlus", under=under))
    assert corpus.items[0].path.is_dir()


def test_the_folder_of_the_frames_may_be_anywhere(wild, tmp_path):
    root = wild(THREE, under="on/another/disk")
    corpus = chicagofswild.read(root, frames=tmp_path / "on/another/disk")
    assert len(corpus.items) == 3


def test_byte_order_mark_carriage_returns_and_no_first_column(wild):
    root = wild(
        [r[1:] for r in THREE],
        {r[1]: range(1, 7) for r in THREE},
        header=HEADER[1:],
        encoding="utf-8-sig",
        end="\r\n",
    )
    assert [item.signer for item in chicagofswild.read(root).items] == ["ann", "bob", "eve"]


def test_rows_that_cannot_be_used_are_counted_by_reason(wild):
    rows = [
        *THREE,
        row("", "word"),
        row("NaN", "word"),
        row("a/no_label", "", notes="hand hidden"),
        row("a/nan_label", "NaN"),
        row("a/blank_label", "  "),
        row("a/val", "word", "valley"),
        row("a/none", "word", ""),
        row("a/digit", "route 66"),
        row("a/hash", "#1"),
        row("../outside", "word"),
        row("/etc/outside", "word"),
        row("nad/dan_7219", "word"),
        row("a/gone", "word"),
        row("a/empty", "word"),
        row("a/cut", "word"),
        row("a/short", "word")[:-1],
    ]
    frames = {"a/gone": None, "a/empty": [], "a/cut": range(1, 5), "../outside": None}
    frames |= {"/etc/outside": None, "nad/dan_7219": range(1, 7)}
    corpus = chicagofswild.read(wild(rows, frames))
    assert [item.id for item in corpus.items] == [r[1] for r in THREE]
    assert corpus.rows == len(rows) == len(corpus.items) + sum(corpus.skipped().values())
    assert corpus.skipped() == {
        "no label": 3,
        "no file name": 2,
        "split is not train, dev or test": 2,
        "character not in the alphabet": 2,
        "file name leaves the folder of the clips": 2,
        "listed twice": 1,
        "not on disk": 1,
        "no series of frames in its folder": 1,
        "too many frames missing": 1,
        "row of another length than the header": 1,
    }
    detail = {finding.id: finding.detail for finding in corpus.findings}
    assert detail["a/no_label"] == "hand hidden"
    assert detail["a/val"] == "valley"
    assert detail["a/digit"] == "6 in 'route 66'"
    assert detail["nad/dan_7219"] == "labelled 'word' here"
    assert detail["a/cut"] == "2 of 6: 5-6"
    assert "ChicagoFSWild.csv line 5" in detail  # the row without a file name
    report = corpus.report()
    assert "3 of 19 clips (7,304 published)" in report
    assert "dropped 16: 3 no label" in report
    assert "train: 1 clips (5,455 published), 1 signers" in report


def test_words_that_other_readers_take_for_gaps_are_words(wild):
    rows = [row(f"a/{word}", word) for word in ("nan", "null", "na", "none")]
    corpus = chicagofswild.read(wild(rows))
    assert [item.label for item in corpus.items] == ["nan", "null", "na", "none"]


def test_labels_are_brought_to_the_alphabet(wild):
    rows = [row("a/1", "ASL"), row("a/2", "Zoë"), row("a/3", " but"), row("a/4", "to  me")]
    corpus = chicagofswild.read(wild(rows))
    assert [item.label for item in corpus.items] == ["asl", "zoe", "but", "to me"]
    assert [(f.id, f.detail) for f in corpus.findings] == [("a/3", "' but'"), ("a/4", "'to  me'")]
    assert corpus.remarks() == {"white space merged in the label": 2}


def test_missing_and_extra_frames_are_reported_by_clip(wild):
    rows = [row(f"a/{i}", "asl", frames=20) for i in range(4)] + [row("a/4", "asl", frames="20.0")]
    frames = {
        "a/0": range(1, 21),
        "a/1": [n for n in range(1, 21) if n not in (4, 5)],
        "a/2": range(1, 23),
        "a/3": range(2, 21),
        "a/4": [*range(1, 17), 19],  # 17 of 20
    }
    corpus = chicagofswild.read(wild(rows, frames))
    assert [(f.id, f.reason, f.detail, f.dropped) for f in corpus.findings] == [
        ("a/1", "frames missing", "2 of 20: 4-5", False),
        ("a/2", "more frames than listed", "2: 21-22", False),
        ("a/3", "frames missing", "1 of 20: 1", False),
        ("a/4", "too many frames missing", "3 of 20: 17-18, 20", True),
    ]
    assert [item.frames for item in corpus.items] == [20, 18, 22, 19]  # what lies there
    assert "kept, with a remark: 2 frames missing, 1 more frames than listed" in corpus.report()


def test_a_table_without_a_count_takes_the_frames_on_disk(wild):
    rows = [row("a/1", "asl", frames="", width=""), row("a/2", "asl", frames="NaN")]
    corpus = chicagofswild.read(wild(rows, {"a/2": [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]}))
    assert [(item.frames, item.width) for item in corpus.items] == [(6, None), (10, 32)]
    assert [f.detail for f in corpus.findings] == ["1 of 11: 4"]


def test_a_clip_without_a_signer_is_kept_and_counted(wild):
    rows = [row("a/1", "asl", signer=""), row("a/2", "asl", signer="NaN"), row("a/3", "asl")]
    corpus = chicagofswild.read(wild(rows))
    assert [item.signer for item in corpus.items] == [None, None, "ann"]
    assert "1 signers, 2 clips of unknown signer" in corpus.report()


def test_a_signer_in_two_splits_is_named(wild):
    rows = [row("a/1", "asl"), row("a/2", "asl", "dev", "bob"), row("a/3", "asl", "test")]
    assert (
        "signers in more than one split: ann (train test)"
        in chicagofswild.read(wild(rows)).report()
    )


def test_written_as_manifest_and_findings(wild, tmp_path):
    corpus = chicagofswild.read(wild([*THREE, row("a/gone", "asl")], {"a/gone": None}))
    corpus.write(tmp_path / "lists/wild.csv")
    items = read_manifest(tmp_path / "lists/wild.csv")
    assert [i.path.resolve() for i in items] == [i.path.resolve() for i in corpus.items]
    for name in ("id", "label", "split", "signer", "language", "frames", "width", "height"):
        assert [getattr(i, name) for i in items] == [getattr(i, name) for i in corpus.items]
    with open(tmp_path / "lists/wild.findings.csv", newline="") as file:
        (finding,) = csv.DictReader(file)
    assert (finding["id"], finding["dropped"], finding["reason"]) == (
        *("a/gone", "True"),
        "not on disk",
    )


def test_without_a_look_at_the_disk_the_table_is_believed(wild, unchecked):
    corpus = chicagofswild.read(wild(THREE, {r[1]: None for r in THREE}))
    assert [item.frames for item in corpus.items] == [6, 6, 6]


def test_no_clip_at_all_is_an_error_that_says_why(wild):
    root = wild(THREE, {r[1]: None for r in THREE})
    with pytest.raises(InputError, match=r"none of 3 rows.*3 not on disk.*check the folder"):
        chicagofswild.read(root)


def test_another_table_is_refused_with_what_it_lacks(wild):
    root = wild([("a/1", "asl")], header=("filename", "label"))
    with pytest.raises(InputError, match=r"label_proc.*'filename,label'.*and signer lacking"):
        chicagofswild.read(root)


def test_an_empty_table_is_refused(tmp_path):
    (tmp_path / "ChicagoFSWild.csv").write_text("\n")
    with pytest.raises(InputError, match="expected a header with filename"):
        chicagofswild.read(tmp_path)


def test_a_quote_without_end_is_refused_not_swallowed(wild):
    root = wild(THREE)
    table = root / "ChicagoFSWild.csv"
    table.write_text(table.read_text().replace("O'NEIL", "\"O'NEIL"))
    with pytest.raises(InputError, match=r"line 3: expected CSV, got a bad row"):
        chicagofswild.read(root)


def test_a_folder_without_the_table_is_told(tmp_path):
    with pytest.raises(InputError, match=r"expected ChicagoFSWildPlus\.csv, got no such file"):
        chicagofswild.read_plus(tmp_path)
