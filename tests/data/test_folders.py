import pytest

from chereme.data import folders
from chereme.errors import InputError
from chereme.text.alphabet import ASL_LETTERS


def test_what_is_listed_and_there(tmp_path, clip, table):
    clip(tmp_path / "zero", range(5))
    clip(tmp_path / "gap", [1, 2, 3, 5, 6, 7, 8, 9, 10, 11])
    (tmp_path / "film.mp4").write_bytes(b"not looked into")
    clip(tmp_path / "part", range(30))
    path = table(
        tmp_path / "mine.csv",
        ("path", "label", "split", "signer", "frames", "start", "end"),
        ("zero", "To me!", "train", "ann", 5, "", ""),
        ("gap", "", "", "", "", "", ""),
        ("film.mp4", "asl", "test", "bob", 40, "", ""),
        ("part", "a", "", "", 6, 0.2, 0.4),
        ("part", "b", "", "", 5, "", 0.2),
        ("part", "c", "", "", 5, 0.8, ""),
        ("gone", "asl", "", "", "", "", ""),
        encoding="utf-8-sig",
        end="\r\n",
    )
    corpus = folders.read(path)
    assert corpus.name == "mine"
    assert [(i.id, i.label, i.split, i.frames) for i in corpus.items] == [
        ("zero", "To me!", "train", 5),
        ("gap", "", None, 10),
        ("film.mp4", "asl", "test", 40),
        ("part#0.2-0.4", "a", None, 6),
        ("part#-0.2", "b", None, 5),
        ("part#0.8-", "c", None, 5),
    ]
    assert [(f.id, f.reason, f.dropped) for f in corpus.findings] == [
        ("gap", "frames missing", False),
        ("gone", "not on disk", True),
    ]
    strict = folders.read(path, alphabet=ASL_LETTERS)
    assert strict.skipped() == {"character not in the alphabet": 1, "not on disk": 1}


def test_several_series_in_one_folder(tmp_path, clip, table):
    (clip(tmp_path / "two", [1]) / "left_1.jpg").write_bytes(
        (tmp_path / "two/0001.jpg").read_bytes()
    )
    path = table(tmp_path / "m.csv", ("path", "label"), ("two", "a"))
    with pytest.raises(InputError, match=r"none of 1 rows.*1 no series of frames.*one series"):
        folders.read(path)
