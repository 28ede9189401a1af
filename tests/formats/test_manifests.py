import csv
import unicodedata
from pathlib import Path

import pytest

from chereme.errors import InputError
from chereme.formats.manifests import Item, missing_files, read_manifest, write_manifest


def manifest(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "manifest.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_all_columns(tmp_path):
    path = manifest(
        tmp_path,
        "path,label,id,signer,split,start,end,hand,language\n"
        "a/b.mp4,to me,i1,s1,DEV,0.5,2,Left,ase\n"
        "c.mp4,,,,,,,,\n",
    )
    assert read_manifest(path) == [
        Item(tmp_path / "a/b.mp4", "to me", "i1", "s1", "dev", 0.5, 2.0, "left", "ase"),
        Item(tmp_path / "c.mp4", "", "c.mp4"),
    ]


def test_counts_and_sizes(tmp_path):
    path = manifest(tmp_path, "path,label,frames,width,height\na,x,22,640,360.0\nb,y,,,\nc,z,1,,\n")
    items = read_manifest(path)
    assert [(i.frames, i.width, i.height) for i in items] == [
        (22, 640, 360),
        (None, None, None),
        (1, None, None),
    ]
    write_manifest(items, path)
    assert read_manifest(path) == items


def test_spreadsheet_habits(tmp_path):
    text = (
        '\n Label , PATH ,notes\r\n"a, ""b""","x, y.mp4",\r\n\r\n,,\r\n'
        ' c ,z.mp4,"two\r\nlines"\r\nd,w.mp4,\r\n'
    )
    items = read_manifest(manifest(tmp_path, text, "utf-8-sig"))
    assert [(item.path.name, item.label) for item in items] == [
        ("x, y.mp4", 'a, "b"'),
        ("z.mp4", "c"),
        ("w.mp4", "d"),
    ]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label,signer,split\r\na.mp4,x,ann,test\r\nb.mp4,y\r\n", "utf-8"),
        ("path,label,,\na.mp4,x,,\nb.mp4,y,,,,\n", "utf-8"),
        ("path;label\r\na.mp4;x\r\nb.mp4;y\r\n", "utf-8-sig"),
        ("path\tlabel\r\na.mp4\tx\r\nb.mp4\ty\r\n", "utf-16"),
        ("path\tlabel\na.mp4\tx\nb.mp4\ty\n", "utf-32"),
        ("sep=;\r\npath;label\r\na.mp4;x\r\nb.mp4;y\r\n", "utf-8"),
        ('"path","label"\na.mp4,x\nb.mp4,"y"\n', "utf-8-sig"),
        ("PATH,Label\ra.mp4,x\rb.mp4,y\r", "utf-8"),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, text, encoding):
    items = read_manifest(manifest(tmp_path, text, encoding))
    assert [(item.path, item.label) for item in items] == [
        (tmp_path / "a.mp4", "x"),
        (tmp_path / "b.mp4", "y"),
    ]


def test_decimal_commas(tmp_path):
    (item,) = read_manifest(manifest(tmp_path, "path;label;start;end\na.mp4;x;0,5;1,25\n"))
    assert (item.start, item.end) == (0.5, 1.25)


@pytest.mark.parametrize(
    ("said", "split"),
    [
        *((name, "train") for name in ("train", "Training")),
        *((name, "dev") for name in ("dev", "val", "VALID", "validation", "development")),
        *((name, "test") for name in ("test", "testing")),
    ],
)
def test_other_names_of_the_splits(tmp_path, said, split):
    (item,) = read_manifest(manifest(tmp_path, f"path,label,split\na,x,{said}\n"))
    assert item.split == split


def test_paths_of_windows(tmp_path):
    (tmp_path / "odd\\name.mp4").touch()
    text = "path,label,video\nclips\\a.mp4,x,films\\a.mp4\nodd\\name.mp4,y,\n"
    a, odd = read_manifest(manifest(tmp_path, text))
    assert (a.path, a.video, a.id) == (
        tmp_path / "clips/a.mp4",
        tmp_path / "films/a.mp4",
        "clips/a.mp4",
    )
    assert odd.path.exists()


def test_repeated_rows_are_read_once_and_counted(tmp_path):
    path = manifest(tmp_path, "path,label\na,x\nb,x\na,x\na,x\n")
    with pytest.warns(
        UserWarning, match=r"2 of 4 rows repeat.*left out: line 4 \(as line 2\), line 5 \(as line 2"
    ):
        items = read_manifest(path)
    assert [item.id for item in items] == ["a", "b"]
    many = manifest(tmp_path, "path,label\n" + "a,x\n" * 10)
    with pytest.warns(UserWarning, match=r"9 of 10 rows .* and 4 more"):
        assert len(read_manifest(many)) == 1


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("there", ["NFC", "NFD"])
def test_accents_composed_or_not(tmp_path, written, there):
    name, label = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{LATIN SMALL LETTER E WITH ACUTE}t"
    folder = tmp_path / unicodedata.normalize(there, name)
    folder.mkdir()
    (folder / unicodedata.normalize(there, f"{name}.mp4")).touch()
    text = f"path,label,signer\n{name}/{name}.mp4,{label},{name}\n{name}/none.mp4,,\n"
    first, gone = read_manifest(manifest(tmp_path, unicodedata.normalize(written, text)))
    assert first.path.exists()
    assert (first.id, first.label, first.signer) == (f"{name}/{name}.mp4", label, name)
    assert missing_files([first, gone]) == [gone]


def test_paths_that_cannot_be_are_missing(tmp_path):
    long, deep, nul = "x" * 5000, "x/" * 5000, "a\0b.mp4"
    path = manifest(
        tmp_path, f"path,label\n{long},a\n{deep}\N{GREEK SMALL LETTER BETA},b\n{nul},c\n"
    )
    items = read_manifest(path)
    assert missing_files(items) == items
    assert len(items) == 3


def test_absolute_paths_stay(tmp_path):
    (item,) = read_manifest(manifest(tmp_path, f"path,label\n{tmp_path}/elsewhere/a.mp4,a\n"))
    assert item.path == tmp_path / "elsewhere/a.mp4"


def test_parts_of_one_recording_have_their_own_ids(tmp_path):
    path = manifest(tmp_path, "path,label,start,end\na.mp4,x,0,1\na.mp4,y,1,2\na.mp4,z,2,\n")
    assert [item.id for item in read_manifest(path)] == ["a.mp4#0-1", "a.mp4#1-2", "a.mp4#2-"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header line with path,label"),
        ("\n\n", "expected a header line with path,label"),
        ("path,word\na.mp4,x\n", r"line 1: .*path,label.*path,word.*label lacking"),
        ("path,label,path\na,b,c\n", "expected each column once, got 'path' twice"),
        ("path,label\na.mp4,x\n,y\n", "line 3, column path: expected a file or folder"),
        ("path,label\na.mp4,x,y\n", r"line 2: expected 2 cells \(path,label\), got 3.*quotes"),
        ("path,label\na.mp4\n", "line 2: expected 2 cells"),
        ("path,label,split\na,x,exam\n", "line 2, column split: .*train, dev.*got 'exam'"),
        ("path,label,hand\na,x,both\n", "line 2, column hand: .*auto, left, right.*got 'both'"),
        ("path,label,start\na,x,soon\n", "line 2, column start: expected seconds.*'soon'"),
        ("path,label,start\na,x,-1\n", "column start: expected seconds from 0"),
        ("path,label,end\na,x,nan\n", "column end: expected seconds"),
        ("path,label,start,end\na,x,2,2\n", r"column end: .*after the start \(2\), got 2"),
        ("path,label,end\na,x,0\n", r"column end: .*after the start \(0\), got 0"),
        ("path,label,frames\na,x,many\n", "line 2, column frames: .*whole number.*'many'"),
        ("path,label,frames\na,x,0\n", "column frames: expected a whole number from 1"),
        ("path,label,width\na,x,3.5\n", "column width: expected a whole number from 1"),
        ("path,label,height\na,x,inf\n", "column height: expected a whole number from 1"),
        ("path,label,id\na,x,i\nb,y,i\n", "line 3, column id: .*'i' as in line 2"),
        ("path,label\na,x\na,y\n", "line 3, column id: .*'a' as in line 2.*'x', here 'y'"),
        ("path,label\na,x\nb,y\na,z\na,x\n", "line 4, column id: .*as in line 2"),
        ("path,label,id\na,x,\nb,y,a\n", "line 3, column id: .*'a' as in line 2"),
        ('path,label\n"a\n\n",x\nb,y,z\n', "line 5: expected 2 cells"),
        ('path,label\na,"x\n', "expected CSV"),
    ],
)
def test_errors_name_line_and_column(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(manifest(tmp_path, text))
    assert "manifest.csv" in str(caught.value)


def test_other_encodings_are_named(tmp_path):
    with pytest.raises(InputError, match=r"expected UTF-8 text, got the byte 0xe9.*save"):
        read_manifest(manifest(tmp_path, "path,label\né.mp4,x\n", "latin-1"))


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")


def test_missing_files_are_told_not_fatal(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "frames").mkdir()
    items = read_manifest(manifest(tmp_path, "path,label\na.mp4,a\nb.mp4,b\nframes,c\n"))
    assert [item.label for item in missing_files(items)] == ["b"]
    assert len(items) == 3


def test_written_manifests_read_back_equal(tmp_path):
    items = [
        Item(tmp_path / "data/a, b.mp4", 'x "y"', "1", "s", "test", 0.1, 1 / 3, "right", "ase"),
        Item(tmp_path / "c.mp4", "", "2"),
    ]
    write_manifest(items, tmp_path / "lists/m.csv")
    assert read_manifest(tmp_path / "lists/m.csv") == [
        Item(tmp_path / "lists/../data/a, b.mp4", *[getattr(items[0], f) for f in FIELDS]),
        Item(tmp_path / "lists/../c.mp4", "", "2"),
    ]


FIELDS = ("label", "id", "signer", "split", "start", "end", "hand", "language")


def test_unused_columns_are_left_out_and_paths_are_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_manifest([Item(Path("data/a.mp4"), "x", "1", signer="s")], Path("m.csv"))
    with open("m.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["path", "label", "id", "signer"],
            ["data/a.mp4", "x", "1", "s"],
        ]


def test_real_manifest(shared_data):
    items = read_manifest(shared_data / "fingerspelling_dev/manifest.csv")
    assert len(items) == 35
    assert missing_files(items) == []
    assert (items[0].label, items[0].signer) == ("jan", "w1")


def test_a_manifest_of_another_layout_is_refused_with_its_columns(shared_data):
    with pytest.raises(InputError, match="got 'file,uid,transcript"):
        read_manifest(shared_data / "formats/isl_fingerspelling/manifest.csv")
