import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from chereme.datasets.words import SOURCES, Shares, TextSampler, WordList, is_held_out, load_words
from chereme.errors import UsageError
from chereme.text import ASL_LETTERS, CHICAGO, Alphabet

ONLY = {source: float(0) for source in (*SOURCES, "full_names", "letters")}


def only(kind):
    return Shares(**{**ONLY, kind: 1.0})


def draw(sampler, count, seed=0):
    rng = np.random.default_rng(seed)
    return [sampler.sample(rng) for _ in range(count)]


def test_lists_hold_what_they_say():
    words = load_words()
    assert {"hello", "xylophone"} <= set(words["english"].words)
    assert {"mary", "james"} <= set(words["first_names"].words)
    assert {"smith", "nguyen"} <= set(words["last_names"].words)
    assert {"chicago", "newyork", "texas", "france", "tokyo"} <= set(words["places"].words)
    assert {"nasa", "tues", "jan", "youtube"} <= set(words["common"].words)
    assert len(words["english"].words) > 70_000


def test_words_are_spelled_in_the_alphabet_and_not_too_long():
    for alphabet in (ASL_LETTERS, CHICAGO, Alphabet(tuple("etaoinshr"))):
        for word_list in load_words(alphabet, max_length=8).values():
            for word in word_list.words:
                assert 2 <= len(word) <= 8
                alphabet.encode(word)
    assert "new york" in load_words(CHICAGO)["places"].words


def test_splits_part_the_words():
    train, held_out, both = (load_words(split=s) for s in ("train", "held_out", "all"))
    for source in SOURCES:
        ours, theirs = set(train[source].words), set(held_out[source].words)
        assert not ours & theirs
        assert ours | theirs == set(both[source].words)
    assert len(held_out["english"].words) == pytest.approx(
        len(both["english"].words) / 20, rel=0.05
    )
    in_training = set().union(*(w.words for w in train.values()))
    assert not any(set(w.words) & in_training for w in held_out.values())
    assert is_held_out("New York") == is_held_out("newyork")


def test_words_are_drawn_by_weight():
    words = WordList.of([("a", 1), ("b", 2), ("a", 1), ("c", 0)])
    assert words.words == ("a", "b", "c")
    rng = np.random.default_rng(0)
    counts = Counter(words.draw(rng) for _ in range(4000))
    assert counts["a"] / 4000 == pytest.approx(0.5, abs=0.03)
    assert counts["c"] == 0


@pytest.mark.parametrize("kind", SOURCES)
def test_a_single_share_draws_from_that_list(kind):
    assert set(draw(TextSampler(shares=only(kind)), 200)) <= set(load_words()[kind].words)


def test_letters_are_uniform():
    texts = draw(TextSampler(shares=only("letters"), letters_length=(2, 4)), 6000)
    lengths, letters = Counter(map(len, texts)), Counter("".join(texts))
    assert set(lengths) == {2, 3, 4}
    share = len("".join(texts)) / 26
    assert all(abs(letters[s] - share) < 6 * share**0.5 for s in ASL_LETTERS.symbols)
    assert any(a == b for text in texts for a, b in pairwise(text))
    with_space = draw(TextSampler(CHICAGO, only("letters")), 500)
    assert not any(" " in text for text in with_space)


def test_full_names_are_joined_as_the_alphabet_allows():
    assert all(" " in text for text in draw(TextSampler(CHICAGO, only("full_names")), 50))
    assert all(text.isalpha() for text in draw(TextSampler(shares=only("full_names")), 50))


def test_shares_hold():
    shares = Shares(**{**ONLY, "common": 3.0, "letters": 1.0})
    sampler = TextSampler(shares=shares, letters_length=(30, 30))
    long = sum(len(text) == 30 for text in draw(sampler, 4000))
    assert long / 4000 == pytest.approx(0.25, abs=0.03)


def test_same_seed_same_texts():
    sampler = TextSampler()
    assert draw(sampler, 100, seed=7) == draw(sampler, 100, seed=7)
    assert draw(sampler, 100, seed=7) != draw(sampler, 100, seed=8)


@pytest.mark.parametrize("shares", [Shares(**ONLY), Shares(english=-0.1)])
def test_impossible_shares(shares):
    with pytest.raises(UsageError, match="shares"):
        TextSampler(shares=shares)


def test_no_torch():
    code = "import sys, chereme.datasets.words; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
