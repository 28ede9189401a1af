import pytest

from chereme.datasets import slr500
from chereme.errors import InputError, UsageError


@pytest.fixture
def made(tmp_path):
    def make(*clips, under="", dictionary="000000\t爱\n000001\t你好\n000002\t爱\n", how="utf-8"):
        for clip in clips:
            path = tmp_path / under / clip
            path.parent.mkdir(parents=True, exist_ok=True)
            if clip.endswith("/"):
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(b"")
        if dictionary is not None:
            (tmp_path / "dictionary.txt").write_bytes(dictionary.encode(how))
        return tmp_path

    return make


CLIPS = (
    "000000/P01_s1_00_0_color.avi",
    "000001/P36_s1_01_0_color.avi",
    "000001/P37_s1_01_4_color.avi",
    "000002/P50_25_19_2._color.mp4",
)


@pytest.mark.parametrize("under", ["", "color", "xf500_color_video"])
@pytest.mark.parametrize("how", ["utf-8", "utf-8-sig", "gb18030"])
def test_reads_the_folders_with_the_split_of_the_papers(made, under, how):
    corpus = slr500.read(made(*CLIPS, under=under, how=how))
    assert [(i.id, i.label, i.signer, i.split) for i in corpus.items] == [
        ("000000/P01_s1_00_0_color", "爱 (000000)", "P01", "train"),  # two signs, one word
        ("000001/P36_s1_01_0_color", "你好", "P36", "train"),
        ("000001/P37_s1_01_4_color", "你好", "P37", "test"),
        ("000002/P50_25_19_2._color", "爱 (000002)", "P50", "test"),
    ]
    assert corpus.items[0].language == "csl"
    assert "4 of 4 clips (125,000 published)" in corpus.report()
    assert "signers in more than one split" not in corpus.report()


def test_signers_that_count_from_nought_are_split_one_earlier(made):
    root = made(*(f"000000/P{n:02d}_0_color.avi" for n in (0, 35, 36, 49)))
    assert [i.split for i in slr500.read(root).items] == ["train", "train", "test", "test"]


def test_other_signers_may_be_tested(made):
    corpus = slr500.read(made(*CLIPS), test=["P01"], dev=["36"])
    assert [item.split for item in corpus.items] == ["test", "dev", "train", "train"]
    with pytest.raises(UsageError, match="none of the test signers, got 1"):
        slr500.read(made(*CLIPS), test=["P01"], dev=["P01"])


def test_folders_of_frames_and_no_dictionary(made, clip):
    root = made(dictionary=None)
    clip(root / "000000/P01_0_color", range(1, 4))
    clip(root / "000000/P40_0_color", [])
    corpus = slr500.read(root)
    assert [(i.label, i.frames) for i in corpus.items] == [("000000", 3)]
    assert corpus.skipped() == {"no series of frames in its folder": 1}


def test_what_cannot_be_used_is_counted(made):
    corpus = slr500.read(
        made(
            *CLIPS,
            "000000/colour.avi",
            "000000/P01_s1_00_0_depth.avi",
            "000000/notes.txt",
            "000003/P01_0_color.avi",
            "000004/",
            "preview/P01_0_color.avi",
        )
    )
    assert len(corpus.items) == 4
    assert corpus.skipped() == {
        "name does not begin with a signer": 1,
        "word not in the dictionary": 1,
        "no clip in its folder": 1,
    }


def test_no_data_set(made, tmp_path):
    with pytest.raises(InputError, match="expected folders 000000, 000001 and so on"):
        slr500.read(tmp_path)
    with pytest.raises(InputError, match="cannot be listed"):
        slr500.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="line 1: expected a number, a tab and a word"):
        slr500.read(made(*CLIPS, dictionary="爱\n"))
    with pytest.raises(InputError, match="UTF-8 or GB 18030, got neither"):
        slr500.read(made(*CLIPS, dictionary="\xff\xff", how="latin-1"))
    with pytest.raises(InputError, match="cannot be read"):
        slr500.read(made(*CLIPS), metadata=tmp_path / "words.txt")
