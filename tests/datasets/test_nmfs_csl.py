import pytest

from chereme.datasets import nmfs_csl
from chereme.errors import InputError, UsageError

TRAIN = [("0001/P01_0001_1", 0), ("0001/P02_0001_1", 0), ("0002/P01_0002_1", 1)]
TEST = [("0002/P09_0002_1", 1)]


@pytest.fixture
def made(tmp_path, clip, table):
    def make(train=TRAIN, test=TEST, words=None, there=None):
        table(tmp_path / "uni_trainlist01.csv", *train)
        table(tmp_path / "uni_testlist01.csv", *test)
        if words is not None:
            table(tmp_path / "words.csv", ("label", "word", "kind"), *words)
        for row in [*train, *test] if there is None else there:
            folder = clip(tmp_path / "jpg_video" / row[0], [])
            for number in (1, 2):
                (folder / f"image_{number:05d}.jpg").write_bytes(b"")
        return tmp_path

    return make


WORDS = [(0, "高兴", "confusing"), (1, "桌子", "normal")]


def test_reads_the_lists(made):
    corpus = nmfs_csl.read(made())
    assert [(i.id, i.label, i.split, i.signer, i.frames) for i in corpus.items] == [
        ("0001/P01_0001_1", "0000", "train", None, 2),
        ("0001/P02_0001_1", "0000", "train", None, 2),
        ("0002/P01_0002_1", "0001", "train", None, 2),
        ("0002/P09_0002_1", "0001", "test", None, 2),
    ]
    assert "4 of 4 clips (32,010 published)" in corpus.report()


def test_words_and_their_kinds(made):
    root = made(words=WORDS)
    both = {(item.label, item.subset) for item in nmfs_csl.read(root).items}
    assert both == {("高兴", "confusing"), ("桌子", "normal")}
    confusing, normal = nmfs_csl.read(root, "confusing"), nmfs_csl.read(root, "normal")
    assert [item.label for item in confusing.items] == ["高兴", "高兴"]
    assert [(item.label, item.split) for item in normal.items] == [
        ("桌子", "train"),
        ("桌子", "test"),
    ]
    assert (confusing.rows, confusing.published) == (2, {})


def test_a_part_is_enough(made, tmp_path):
    root = made(there=TRAIN[:1])
    corpus = nmfs_csl.read(root)
    assert (len(corpus.items), corpus.skipped()) == (1, {"not on disk": 3})
    (root / "uni_testlist01.csv").unlink()
    assert nmfs_csl.read(root).rows == 3
    video = tmp_path / "videos/0001/P01_0001_1.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"")
    assert [i.path for i in nmfs_csl.read(root, videos=tmp_path / "videos").items] == [video]


def test_a_suffix_in_the_list_does_not_matter(made):
    root = made([("0001/P01_0001_1.mp4", 0)], [], there=TRAIN[:1])
    assert [i.path.name for i in nmfs_csl.read(root).items] == ["P01_0001_1"]


def test_rows_that_cannot_be_used_are_counted(made):
    rows = [*TRAIN, ("a/b",), ("a/c", "word"), ("a/d", 1067), ("../e", 0), ("0001/P01_0001_1", 1)]
    corpus = nmfs_csl.read(made(rows, there=TRAIN))
    assert len(corpus.items) == 3
    assert corpus.skipped() == {
        "label is no number of a word": 2,
        "row of another length than clip,label": 1,
        "file name leaves the folder of the clips": 1,
        "listed twice": 1,
        "not on disk": 1,
    }


def test_what_is_lacking_is_said(made, tmp_path, table):
    with pytest.raises(InputError, match=r"uni_trainlist01.csv or uni_testlist01.csv, got neither"):
        nmfs_csl.read(tmp_path)
    root = made()
    with pytest.raises(InputError, match="a table of words to tell which are confusing"):
        nmfs_csl.read(root, "confusing")
    with pytest.raises(UsageError, match="subset: expected all, confusing, normal, got hard"):
        nmfs_csl.read(root, "hard")
    table(root / "words.csv", ("label", "word"), (0, "高兴"))
    with pytest.raises(InputError, match="a header with label,word,kind, got 'label,word'"):
        nmfs_csl.read(root)
    for row in [(0, "高兴", "odd"), ("x", "高兴", "normal"), (0, "", "normal")]:
        made(words=[row])
        with pytest.raises(InputError, match="line 2: expected a number, a word and confusing or"):
            nmfs_csl.read(root)
