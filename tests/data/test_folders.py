import pytest

from chereme.data import folders
from chereme.errors import InputError, UsageError
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


@pytest.fixture
def tree(tmp_path, clip):
    def make(*files, frames=()):
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        for name in frames:
            clip(tmp_path / name, range(1, 4))
        return tmp_path

    return make


def test_a_folder_for_each_sign(tree):
    root = tree(
        *("hello/ann_1.mp4", "hello/bob_1.pose", "hello/.hidden.mp4", "hello/notes.txt"),
        *("thank you/ann_1.npz", "readme.md"),
        frames=["thank you/bob_2"],
    )
    (root / "empty").mkdir()
    corpus = folders.read_tree(root, signer=r"/([^_]+)_", language="ase")
    assert [(i.id, i.label, i.signer, i.split, i.frames) for i in corpus.items] == [
        ("hello/ann_1.mp4", "hello", "ann", None, None),
        ("hello/bob_1.pose", "hello", "bob", None, None),
        ("thank you/ann_1.npz", "thank you", "ann", None, None),
        ("thank you/bob_2", "thank you", "bob", None, 3),
    ]
    assert corpus.items[0].language == "ase"
    assert [(f.id, f.reason) for f in corpus.findings] == [("empty", "no clip in its folder")]


def test_folders_of_splits_hold_the_signs(tree):
    root = tree("train/a/1.mp4", "val/a/1.mp4", "test/b/1.mp4")
    corpus = folders.read_tree(root)
    assert [(i.id, i.label, i.split, i.signer) for i in corpus.items] == [
        ("test/b/1.mp4", "b", "test", None),
        ("train/a/1.mp4", "a", "train", None),
        ("val/a/1.mp4", "a", "dev", None),
    ]
    # A sign called test is a sign, where the others are no splits.
    other = tree("test/1.mp4", "exam/1.mp4")
    (other / "train/a/1.mp4").unlink()
    assert {i.label for i in folders.read_tree(other).items} >= {"test", "exam"}


def test_a_tree_that_is_none(tree, tmp_path):
    with pytest.raises(InputError, match="expected at least one clip"):
        folders.read_tree(tmp_path)
    with pytest.raises(InputError, match="a folder for each sign, and it cannot be listed"):
        folders.read_tree(tmp_path / "nowhere")
    root = tree("a/1.mp4")
    with pytest.raises(UsageError, match=r"expected a regular expression, got '\('"):
        folders.read_tree(root, signer="(")
    with pytest.raises(UsageError, match=r"one group, the signer's name, got '.*' with 0"):
        folders.read_tree(root, signer="_")


def test_rows_whose_path_cannot_be_are_dropped_and_named(tmp_path, table):
    (tmp_path / "a.mp4").write_bytes(b"")
    rows = [("a.mp4", "a"), ("x" * 5000, "b"), ("c\0.mp4", "c")]
    corpus = folders.read(table(tmp_path / "m.csv", ("path", "label"), *rows))
    assert [item.label for item in corpus.items] == ["a"]
    assert [(f.id[:3], f.reason) for f in corpus.findings] == [
        ("xxx", "not on disk"),
        ("c\0.", "not on disk"),
    ]
