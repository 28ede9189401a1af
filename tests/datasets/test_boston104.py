import shutil
from collections import Counter

import numpy as np
import pytest

from chereme.datasets import boston104
from chereme.datasets.sentence_folds import (
    folds,
    folds_with_twins,
    signer_folds,
    without_variants,
)
from chereme.errors import InputError, UsageError


@pytest.fixture(scope="module")
def root(shared_data):
    return shared_data / "boston104"


@pytest.fixture(scope="module")
def sentences(root):
    return boston104.read(root).sentences


@pytest.fixture
def copy(root, tmp_path):
    """Copies the tables, with one of them changed."""

    def make(name, change):
        for table in root.glob("*.csv"):
            shutil.copyfile(table, tmp_path / table.name)
        (tmp_path / name).write_text(change((root / name).read_text()))
        return tmp_path

    return make


def test_real_sentences(root):
    corpus = boston104.read(root)
    assert (len(corpus.sentences), corpus.rows, corpus.findings) == (161, 161, ())
    assert corpus.gloss_counts().total() == 710
    assert len(corpus.gloss_counts()) == 112
    first = corpus.sentences[0]
    assert (first.id, first.signer, first.split, first.frames) == ("1", "woman-1", "train", 90)
    assert first.words == ("JOHN", "WRITE", "HOMEWORK")
    assert first.glosses[0].start == pytest.approx(8 / 30)
    assert first.glosses[0].end == pytest.approx(18 / 30)  # frame 17 is the last one


def test_real_tracks(root, sentences):
    tracks = boston104.read_tracks(root)
    assert {s.id: s.frames for s in sentences} == {n: t.frames for n, t in tracks.items()}
    assert sum(track.frames for track in tracks.values()) == 12422
    values = tracks["1"].values["boston104"]
    assert values[0].tolist() == [151, 178, 174, 171, 160, 56]
    assert tracks["1"].present["boston104"].all()
    assert tracks["1"].rate == 30


@pytest.mark.parametrize("count", [2, 5, 10])
def test_no_sentence_is_in_two_folds(sentences, count):
    tested = folds(sentences, count)
    assert sorted(id for fold in tested for id in fold) == sorted(s.id for s in sentences)
    where = {id: number for number, fold in enumerate(tested) for id in fold}
    home = {}
    for s in sentences:
        assert home.setdefault(without_variants(s.words), where[s.id]) == where[s.id]
    sizes = [len(fold) for fold in tested]
    assert max(sizes) - min(sizes) <= 2
    for signer in ("man-1", "woman-1", "woman-2"):
        share = [sum(s.signer == signer for s in sentences if s.id in fold) for fold in tested]
        assert max(share) - min(share) <= 2


def test_folds_are_the_same_everywhere(sentences):
    assert folds(sentences) == folds(sentences)
    assert folds(sentences) != folds(sentences, seed=1)
    # Whatever the version of anything: these were found when the folds were made.
    assert folds(sentences)[0][:5] == GOLDEN


GOLDEN = ("8", "9", "10", "11", "13")


@pytest.mark.parametrize("count", [4, 5, 8])
def test_two_thirds_of_what_is_tested_has_a_twin_in_training(sentences, count):
    tested = folds_with_twins(sentences, count)
    assert tested == folds_with_twins(sentences, count) != folds_with_twins(sentences, count, 1)
    by_id = {s.id: s for s in sentences}
    known = Counter(s.words for s in sentences)
    assert sum(known[s.words] > 1 for s in sentences) == 58
    every = [id for fold in tested for id in fold]
    assert len(every) == len(set(every)) == 58 + 29
    assert {id for id, s in by_id.items() if known[s.words] > 1} < set(every)
    assert max(map(len, tested)) - min(map(len, tested)) <= 2
    for number, fold in enumerate(tested):
        dev = tested[(number + 1) % count]
        training = {s.words for s in sentences if s.id not in {*fold, *dev}}
        for part in (fold, dev):
            twins = sum(by_id[id].words in training for id in part)
            assert twins == sum(known[by_id[id].words] > 1 for id in part)
            assert twins / len(part) == pytest.approx(2 / 3, abs=0.07)


def test_twins_want_enough_sentences(sentences):
    for wrong in (3, 59):
        with pytest.raises(UsageError, match="expected 4 to 58"):
            folds_with_twins(sentences, wrong)
    repeated = [s for s in sentences if sum(s.words == other.words for other in sentences) > 1]
    with pytest.raises(UsageError, match="at least 29 that are said once, got 5 folds and 0"):
        folds_with_twins(repeated)


def test_folds_of_signers(sentences):
    tested = signer_folds(sentences)
    assert [len(fold) for fold in tested] == [60, 53, 48]


def test_numbers_of_folds(sentences):
    assert without_variants(["GO1", "IX-1P", "42"]) == ("GO", "IX-1P", "42")
    for wrong in (1, 122):
        with pytest.raises(UsageError, match="expected 2 to 121"):
            folds(sentences, wrong)


def test_sentences_that_do_not_fit_are_dropped(copy):
    corpus = boston104.read(
        copy("train_sentences.csv", lambda t: t.replace(",90,JOHN WRITE", ",91,JOHN WRITE")
             .replace("IX-1P SEE JOHN", "IX-1P JOHN"))
    )  # fmt: skip
    assert corpus.skipped() == {
        "frames do not fit": 1, "words are not those of the sentence": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("train_words.csv", "JOHN,8,17", "JOHN,18,17", "line 2: expected endframe 18 or more"),
        ("train_words.csv", "JOHN,8,17", "JOHN,x,17", "column startframe: expected a whole number"),
        ("train_words.csv", "startframe", "start", "expected a header with video,word,startframe"),
        ("train_sentences.csv", "1,woman-1,90,", "1,woman-1,90,,", "expected 4 cells .*, got 5"),
        ("hands_condensed_train.csv", "1,2,151", "1,7,151", "line 4: expected frame 2, got 7"),
        ("hands_condensed_train.csv", "1,2,151,", "1,2,x,", "line 4: expected pixels or nothing"),
    ],
)
def test_broken_tables(copy, name, old, new, said):
    root = copy(name, lambda text: text.replace(old, new, 1))
    read = boston104.read_tracks if name == boston104.HANDS else boston104.read
    with pytest.raises(InputError, match=said):
        read(root)


def test_points_that_are_missing(copy):
    root = copy("hands_condensed_train.csv", lambda t: t.replace("1,2,151,178", "1,2,,", 1))
    track = boston104.read_tracks(root)["1"]
    assert np.isnan(track.values["boston104"][2]).tolist() == [True, True, *[False] * 4]


def test_no_tables(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        boston104.read(tmp_path)
