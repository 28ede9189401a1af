import itertools

import numpy as np
import pytest

from chereme.errors import UsageError
from chereme.synthesis.articulation import decode
from chereme.synthesis.signing import (
    LEXICON,
    LONGEST,
    PLACES,
    SHORTEST,
    Signing,
    part_of,
    sentence,
    utter,
)
from chereme.text.glosses import as_gloss


def _sentences(count: int) -> list[tuple[str, ...]]:
    rng = np.random.default_rng(0)
    return [sentence(rng) for _ in range(count)]


def test_sentences_follow_the_grammar() -> None:
    kinds = {"TIME": "T", "WHO": "S", "IX": "S", "DO": "V", "THING": "O", "NEG": "E", "WH": "E"}
    shapes = set()
    for words in _sentences(500):
        assert SHORTEST <= len(words) <= LONGEST
        letters = "".join(kinds[word.split("-")[0]] for word in words)
        shapes.add(letters)
        assert letters.count("V") == 1
        assert letters.count("S") in (1, 2)
        assert "S" in letters[: letters.index("V")]
        assert "T" not in letters[1:]
        assert "E" not in letters[:-1]
        # Somebody is pointed to where they were put.
        for before, after in itertools.pairwise(words):
            if before in PLACES and after.startswith("IX"):
                assert after == PLACES[before]
    assert {"SV", "TSVOE", "OSV"} <= shapes
    assert {word for words in _sentences(500) for word in words} == set(LEXICON)
    assert [as_gloss(name) for name in LEXICON] == list(LEXICON)


def test_no_signer_and_no_sentence_is_in_two_parts() -> None:
    signing = Signing(120, signers=12, seed=3)
    clips = [signing.describe(i) for i in range(len(range(120)))]
    for place in (1, 3):  # signer, glosses
        of_part = {p: {c[place] for c in clips if c[2] == p} for p in ("train", "dev", "test")}
        assert all(of_part.values())
        assert not of_part["train"] & (of_part["dev"] | of_part["test"])
        assert not of_part["dev"] & of_part["test"]
    assert all(part_of(clip[3]) == clip[2] for clip in clips)


def test_the_same_seed_gives_the_same_motion() -> None:
    one, other = (Signing(12, signers=10, seed=5).utterance(4) for _ in range(2))
    np.testing.assert_array_equal(decode(one.main.hand), decode(other.main.hand))
    np.testing.assert_array_equal(decode(one.other.hand), decode(other.other.hand))
    assert one.glosses == other.glosses
    another = Signing(12, signers=10, seed=6).utterance(4)
    assert another.main.hand.wrist.shape != one.main.hand.wrist.shape or not np.allclose(
        another.main.hand.wrist, one.main.hand.wrist
    )


def test_hands_rise_sign_at_their_place_and_go_back() -> None:
    rng = np.random.default_rng(2)
    said = utter(("WHO-B", "DO-A"), 0, 1, rng, 25.0, substeps=2)
    (_, first, last), two_handed = said.glosses
    times, main, other = said.main.times, said.main.hand.wrist, said.other.hand.wrist
    assert len(times) % 2 == 1
    assert np.isfinite(decode(said.main.hand)).all()
    assert main[0, 1] > 3
    assert main[-1, 1] > 3
    middle = np.abs(times - (first + last) / 2).argmin()
    place = LEXICON["WHO-B"].place
    assert np.abs(main[middle, :2] - place).max() < 1.2
    assert other[middle, 1] > 3  # it has nothing to do
    during = (times >= two_handed.start) & (times <= two_handed.end)
    assert np.abs(main[during] - other[during]).max() < 1.5  # as right hands: in the mirror
    assert 0 < first < last < two_handed.start < two_handed.end < times[-1]


def test_unknown_words_and_too_few_clips_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="HOUSE"):
        utter(("WHO-A", "HOUSE"), 0, 0, rng, 25.0)
    with pytest.raises(UsageError, match="none"):
        utter((), 0, 0, rng, 25.0)
    with pytest.raises(UsageError, match="at least one for each of 20"):
        Signing(19, signers=20)
    with pytest.raises(UsageError, match="rate"):
        Signing(20, signers=10, rate=0)
