import pickle
from collections import OrderedDict

import pytest

from chereme.datasets import csl_daily
from chereme.errors import InputError

SPLIT = """name|split
S000020_P0000_T00|dev
S000020_P0004_T00|train
S000021_P0004_T00|train
S000022_P0004_T00|none
"""
MAP = """index|name|length|gloss|char|word|postag
0|S000020_P0000_T00|103|他 今天 年龄 4|他 今 年 四 岁 。|他 今年 四 岁 。|r t m q w
1|S000020_P0004_T00|98|他 今天 年龄 4|他 今 年 四 岁 。|他 今年 四 岁 。|r t m q w
2|S000022_P0004_T00|98|好|好|好|a
"""
INFO = [
    {
        "name": f"S000020_P000{n}_T00",
        "length": 103 if n == 0 else 98,
        "label_gloss": ["他", "今天", "年龄", "4"],
        "label_char": ["他", "今", "年", "四", "岁", "。"],
    }
    for n in (0, 4)
] + [{"name": "S000022_P0004_T00", "label_gloss": ["好"]}]


@pytest.fixture
def made(tmp_path):
    def make(**files):
        labels = tmp_path / "sentence_label"
        labels.mkdir(exist_ok=True)
        for name, content in {"split_1.txt": SPLIT, **files}.items():
            data = content if isinstance(content, bytes) else content.encode()
            (labels / name).write_bytes(data)
        return tmp_path

    return make


@pytest.mark.parametrize(
    "files", [{"video_map.txt": MAP}, {"csl2020ct_v2.pkl": pickle.dumps({"info": INFO})}]
)
def test_either_list_of_annotations(made, clip, files):
    root = made(**files)
    folder = clip(root / "sentence/frames_512x512/S000020_P0000_T00", range(3))
    corpus = csl_daily.read(root)
    (found,) = corpus.sentences
    assert (found.path, found.signer, found.split) == (folder, "P0000", "dev")
    assert found.words == ("他", "今天", "年龄", "4")
    assert (found.translation, found.frames, found.language) == ("他今年四岁。", 103, "csl")
    assert corpus.skipped() == {
        "not on disk": 1, "no annotation": 1, "split is not train, dev or test": 1,
    }  # fmt: skip
    assert "18,401 published" in corpus.report()


def test_objects_of_a_pickle_are_never_made(made):
    bad = pickle.dumps({"info": [OrderedDict(INFO[0])]})
    with pytest.raises(InputError, match=r"asks for 'collections.OrderedDict', which this"):
        csl_daily.read(made(**{"csl2020ct_v2.pkl": bad}))
    with pytest.raises(InputError, match="expected a pickle of lists"):
        csl_daily.read(made(**{"csl2020ct_v2.pkl": b"nothing"}))
    with pytest.raises(InputError, match="expected info with name and label_gloss"):
        csl_daily.read(made(**{"csl2020ct_v2.pkl": pickle.dumps({"info": [{"name": "a"}]})}))


def test_lists_that_lack(made, tmp_path):
    with pytest.raises(InputError, match=r"expected sentence_label/split_1.txt"):
        csl_daily.read(tmp_path)
    with pytest.raises(InputError, match=r"expected video_map\.txt or csl2020ct_v2\.pkl"):
        csl_daily.read(made())
    with pytest.raises(InputError, match="gloss lacking"):
        csl_daily.read(made(**{"video_map.txt": "index|name\n0|a\n"}))
