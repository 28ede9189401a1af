import pytest

from chereme.datasets import phoenix
from chereme.errors import InputError, UsageError

OLD = """id|folder|signer|annotation
01April_2010_heute_default-0|01April_2010_heute_default-0/1/*.png|Signer04|__ON__ LIEB ZUSCHAUER
01April_2010_heute_default-1|01April_2010_heute_default-1/1/*.png|signer05|REGEN
../../out|../../out/1/*.png|Signer04|REGEN
"""
NEW = """name|video|start|end|speaker|orth|translation
11August_2010-2|11August_2010-2/1/*.png|-1|-1|Signer08|DRUCK TIEF KOMMEN|tiefer luftdruck
"""


@pytest.fixture
def made(tmp_path):
    def make(name, text):
        path = tmp_path / "annotations" / "manual" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return tmp_path

    return make


def test_phoenix_2014(made, clip):
    root = made("train.corpus.csv", OLD)
    frames = root / "features/fullFrame-210x260px/train/01April_2010_heute_default-0/1"
    clip(frames, range(3))
    made("dev.corpus.csv", OLD.replace("default-1", "default-2").replace("default-0", "default-3"))
    corpus = phoenix.read(root, "2014")
    (found,) = corpus.sentences
    assert (found.path, found.signer, found.split) == (frames, "Signer04", "train")
    assert found.words == ("__ON__", "LIEB", "ZUSCHAUER")
    assert found.language == "gsg"
    assert corpus.skipped() == {
        "not on disk": 3, "file name leaves the folder of the clips": 2,
    }  # fmt: skip
    assert "5,672 published" in corpus.report()


@pytest.mark.parametrize("under", ["", "train/"])
def test_phoenix_2014t_with_files_of_poses(made, tmp_path, under):
    root = made("PHOENIX-2014-T.train.corpus.csv", NEW)
    pose = tmp_path / "poses" / f"{under}11August_2010-2.pose"
    pose.parent.mkdir(parents=True)
    pose.write_bytes(b"")
    (found,) = phoenix.read(root, videos=tmp_path / "poses").sentences
    assert (found.path, found.translation) == (pose, "tiefer luftdruck")
    assert found.glosses[0].start is None


def test_layouts_that_are_no_phoenix(made, tmp_path):
    with pytest.raises(InputError, match="got none of its splits"):
        phoenix.read(tmp_path)
    with pytest.raises(UsageError, match="version: expected 2014, 2014T, got 2015"):
        phoenix.read(tmp_path, "2015")
    with pytest.raises(InputError, match=r"name,video,speaker,orth, got 'id,folder"):
        phoenix.read(made("PHOENIX-2014-T.train.corpus.csv", OLD))
    with pytest.raises(InputError, match="line 3: expected 7 cells"):
        phoenix.read(made("PHOENIX-2014-T.train.corpus.csv", NEW + "a|b|c\n"))
    (tmp_path / "annotations/manual/PHOENIX-2014-T.train.corpus.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="table in UTF-8"):
        phoenix.read(tmp_path)
    with pytest.raises(InputError, match="expected a header"):
        phoenix.read(made("PHOENIX-2014-T.train.corpus.csv", ""))
