import pytest

from chereme.datasets import folders
from chereme.errors import InputError, UsageError


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


SPLIT_TREE = ("train/a/1{0}", "train/b/1{0}", "valid/a/1{0}", "test/b/1{0}")


@pytest.mark.parametrize("suffix", [".mp4", ".pose", ".jpg", ".PNG"])
@pytest.mark.parametrize("around", ["", "data/", "data/images/", "asl/asl/"])
def test_splits_as_they_are_unpacked(tree, suffix, around):
    """What systems add beside the folders is not looked at, nor is a folder around them."""
    names = [around + name.format(suffix) for name in SPLIT_TREE]
    junk = ("__MACOSX/train/a/._1.mp4", ".git/a/1.mp4", "train/.DS_Store", "train/__MACOSX/1.mp4")
    corpus = folders.read_tree(tree(*names, "README.txt", *(around + name for name in junk)))
    assert [(i.label, i.split) for i in corpus.items] == [
        ("b", "test"),
        ("a", "train"),
        ("b", "train"),
        ("a", "dev"),
    ]
    assert not corpus.findings


def test_splits_with_frames_and_a_folder_of_pictures_in_each(tree):
    names = [f"{split}/images/{sign}/1.jpg" for split in ("Training", "Testing") for sign in "ab"]
    corpus = folders.read_tree(tree(*names))
    assert [(i.label, i.split) for i in corpus.items] == [
        ("a", "test"),
        ("b", "test"),
        ("a", "train"),
        ("b", "train"),
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("train/a/1.mp4", "test/a/1.mp4", "extra/1.mp4"),
            r"splits \(test, train\).*both \(extra\)",
        ),
        (("train/1.mp4", "test/1.mp4"), "test: expected a folder for each sign.*got no folder"),
        (("train/images/1.jpg", "train/labels/1.txt", "test/images/1.jpg"), "got images"),
    ],
)
def test_layouts_that_are_neither(tree, names, said):
    with pytest.raises(InputError, match=said):
        folders.read_tree(tree(*names))


def test_frames_without_a_folder_for_their_clip_are_no_photographs(tree):
    root = tree(*(f"hello/000{n}.jpg" for n in (1, 2, 3)), "bye/IMG_1.jpg", "bye/IMG_2.jpg")
    corpus = folders.read_tree(root)
    assert [i.id for i in corpus.items] == ["bye/IMG_1.jpg", "bye/IMG_2.jpg"]
    assert [(f.id, f.reason) for f in corpus.findings] == [("hello", "no clip in its folder")]


def test_a_folder_of_one_sign_is_no_wrapping(tree):
    frames = [f"hello/clip{n}/000{m}.jpg" for n in (1, 2) for m in (1, 2)]
    corpus = folders.read_tree(tree(*frames))
    assert [(i.label, i.path.name, i.frames) for i in corpus.items] == [
        ("hello", "clip1", 2),
        ("hello", "clip2", 2),
    ]


def test_one_sign_whose_accents_are_written_in_two_ways(tree):
    composed, apart = "\N{LATIN SMALL LETTER E WITH ACUTE}t", "e\N{COMBINING ACUTE ACCENT}t"
    root = tree(f"{composed}/1.mp4", f"{apart}/1.mp4", f"{apart}/2.mp4", "ete/1.mp4")
    corpus = folders.read_tree(root)
    assert {item.label for item in corpus.items} == {composed, "ete"}
    assert sorted(i.id for i in corpus.items if i.label == composed) == [
        f"{composed}/1.mp4",
        f"{composed}/1.mp4 (2)",
        f"{composed}/2.mp4",
    ]
    assert all(item.path.exists() for item in corpus.items)
    corpus.write(root / "m.csv")
    assert len(folders.read(root / "m.csv").items) == 4


def test_a_tree_that_is_none(tree, tmp_path):
    with pytest.raises(InputError, match="expected at least one clip"):
        folders.read_tree(tmp_path)
    with pytest.raises(InputError, match="expected a folder, and it cannot be listed"):
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
