import pytest

from chereme.datasets import greek
from chereme.datasets.checks import shared_signers
from chereme.errors import InputError, UsageError
from chereme.text.alphabet import ASL_LETTERS

SIGNERS = [f"s{n:02d}" for n in range(21)]
WORDS = ("γάτα", "ΦΩΣ", "ήλιος")


@pytest.fixture
def corpus(tmp_path, clip, table):
    """Makes a corpus: 21 signers, three words each; ``rows`` are added to its manifest."""

    def make(*rows, signers=SIGNERS):
        listed = []
        for signer in signers:
            for number, word in enumerate(WORDS):
                clip(tmp_path / signer / f"{number}", range(4))
                listed.append((f"{signer}/{number}", word, signer, "train"))
        table(tmp_path / "manifest.csv", ("path", "label", "signer", "split"), *listed, *rows)
        return tmp_path

    return make


def test_seven_folds_test_every_signer_once(corpus):
    root, tested = corpus(), []
    held: set[str | None] = set()
    for fold in range(1, 8):
        found = greek.read(root, fold)
        assert found.findings == ()
        assert [len(found.split(name)) for name in ("train", "dev", "test")] == [42, 12, 9]
        assert shared_signers(found.items) == {}
        held |= {item.signer for item in found.split("dev")}
        tested += [item.id for item in found.split("test")]
    assert sorted(tested) == sorted(item.id for item in found.items)
    assert len(tested) == 63
    assert len(held) > 12  # other signers are held out for dev in each fold


def test_labels_are_letters_of_the_alphabet(corpus):
    found = greek.read(corpus(), 1)
    assert {item.label for item in found.items} == {"γατα", "φωσ", "ηλιοσ"}
    assert {item.frames for item in found.items} == {4}
    assert len(greek.GREEK) == 25


def test_what_is_dropped_moves_no_other_clip(corpus):
    whole = {item.id: item.split for item in greek.read(corpus(), 2).items}
    root = corpus()
    for frame in (root / "s05/1").iterdir():
        frame.unlink()
    for number in range(3):
        (root / f"s06/{number}").rename(root / f"s06/moved {number}")  # a signer that is lacking
    part = greek.read(root, 2)
    assert part.skipped() == {"not on disk": 3, "no series of frames in its folder": 1}
    assert "59 of 63 clips (1,554 published)" in part.report()
    gone = {"s05/1", "s06/0", "s06/1", "s06/2"}
    assert {item.id: item.split for item in part.items} == {
        id: split for id, split in whole.items() if id not in gone
    }


def test_rows_that_cannot_be_used_are_counted(corpus, clip):
    root = corpus(("new/1", "φως", "", ""), ("new/2", "", "s01", ""), ("new/3", "cat", "s02", ""))
    for number in (1, 2, 3):
        clip(root / f"new/{number}", range(4))
    found = greek.read(root, 1)
    assert (len(found.items), found.rows) == (63, 66)
    assert found.skipped() == {
        "no signer": 1,
        "no label": 1,
        "character not in the alphabet": 1,
    }
    assert {f.id: f.detail for f in found.findings}["new/3"] == "cat in 'cat'"


def test_transliterated_labels_take_another_alphabet(tmp_path, clip, table):
    rows = [(f"{s}/1", "Gata", s) for s in SIGNERS]
    table(tmp_path / "manifest.csv", ("path", "label", "signer"), *rows)
    for row in rows:
        clip(tmp_path / row[0], range(4))
    found = greek.read(tmp_path, 1, alphabet=ASL_LETTERS)
    assert {item.label for item in found.items} == {"gata"}


def test_known_folds_may_be_given(corpus):
    folds = [SIGNERS[n : n + 3] for n in range(0, 21, 3)]
    found = greek.read(corpus(), 7, folds=folds)
    assert {item.signer for item in found.split("test")} == {"s18", "s19", "s20"}
    with pytest.raises(UsageError, match="in several: s00; in none: s20"):
        greek.read(corpus(), 1, folds=[*folds[:6], ["s18", "s19", "s00"]])


def test_the_seed_moves_folds_and_dev(corpus):
    root = corpus()
    first, second = (greek.read(root, 1, seed=seed) for seed in (0, 1))
    assert first == greek.read(root, 1)
    assert {i.signer for i in first.split("test")} != {i.signer for i in second.split("test")}


def test_dev_may_be_drawn_by_clip(corpus):
    found = greek.read(corpus(), 1, dev_by="clip")
    assert [len(found.split(name)) for name in ("train", "dev", "test")] == [43, 11, 9]
    assert set(shared_signers(found.items).values()) == {("train", "dev")}


@pytest.mark.parametrize("fold", [0, 8])
def test_folds_are_one_to_seven(corpus, fold):
    with pytest.raises(UsageError, match=f"fold: expected 1 to 7, got {fold}"):
        greek.read(corpus(), fold)


def test_too_few_signers(corpus):
    with pytest.raises(InputError, match="at least 7 signers for 7 folds, got 6"):
        greek.read(corpus(signers=SIGNERS[:6]), 1)


def test_without_manifest_the_error_says_what_to_write(tmp_path):
    with pytest.raises(InputError, match=r"layout .* not public, .*path,label,signer"):
        greek.read(tmp_path, 1)
