import math
from pathlib import Path

import pytest

from chereme.datasets.corpus import Unusable
from chereme.datasets.metadata import ClipFiles, distinct, escapes, whole_of, youtube_id


@pytest.mark.parametrize(
    ("url", "id"),
    [
        ("https://www.youtube.com/watch?v=0UsjUE-TXns", "0UsjUE-TXns"),
        ("www.youtube.com/watch?v=-kgTBeOw95A", "-kgTBeOw95A"),
        ("https://youtube.com/watch?t=3&v=ieLzL1Sl6SU&x=1", "ieLzL1Sl6SU"),
        ("https://youtu.be/1QOYOZ3g-aY", "1QOYOZ3g-aY"),
        ("https://www.youtube.com/embed/1QOYOZ3g-aY?rel=0", "1QOYOZ3g-aY"),
        ("https://www.youtube.com/watch?v=short", None),
        ("http://aslbricks.org/New/ASL-Videos/book.mp4", None),
        ("", None),
    ],
)
def test_the_id_of_a_youtube_video(url, id):
    assert youtube_id(url) == id


def test_a_video_goes_before_frames_and_these_before_landmarks(tmp_path):
    for name in ("a.pose", "a.mp4", "b.npz", "b/", "c.txt", ".d.mp4", "e.x.AVI"):
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_bytes(b"")
    files = ClipFiles(tmp_path)
    assert files.find("a") == tmp_path / "a.mp4"
    assert files.find("b") == tmp_path / "b"
    assert files.find("e.x") == tmp_path / "e.x.AVI"
    for lacking in ("c", ".d", "none/x"):
        assert files.find(lacking) == tmp_path / f"{lacking}.mp4"


def test_names_that_leave_their_folder():
    assert all(map(escapes, ["../x", "a/../../x", "/etc/x", " ", "a\0b"]))
    assert not any(map(escapes, ["x", "a/b.c"]))
    with pytest.raises(Unusable, match=r"file name leaves the folder of the clips: \.\./x"):
        ClipFiles(Path("somewhere")).find("../x")


def test_numbers_that_are_none():
    assert whole_of({"n": 3.0}, "n") == 3
    for value in (math.nan, math.inf, 2.5, "3", True, None):
        with pytest.raises(Unusable, match="no n"):
            whole_of({"n": value}, "n")


def test_words_of_several_classes_are_told_apart():
    assert distinct({1: "a", 2: "b", 3: "a"}, 2) == {1: "a (01)", 2: "b", 3: "a (03)"}
