"""What is asked of people left out, what counts as right, and how decoding is chosen by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chereme.datasets.exemplars import Exemplars
from chereme.decoding import LanguageModel, Lexicon
from chereme.errors import InputError
from chereme.recognition.ctc_letters import LetterEmissions, Search
from chereme.systems.fingerspelling.checkpoints import Checkpoint
from chereme.systems.fingerspelling.left_out import (
    GREEDY,
    SPEEDS,
    STILL_LETTERS,
    STILLS,
    TEXTS,
    Answer,
    Decoding,
    Question,
    answers,
    emissions,
    figures,
    motions,
    questions,
    read,
    texts_of,
    tuned,
)
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.text import ASL_LETTERS
from chereme.types import HandTrack, Token

WAYS = ("words", "words, no words", "words, no search")
TRACK = HandTrack(np.zeros((2, 21, 3)), np.ones((2, 21)), np.array([0.0, 0.6]), 1, 1, "right")


class Flat(LanguageModel):
    """Every symbol is as likely as another."""

    def start(self):
        return ()

    def step(self, states, symbols):
        size = 1 + len(ASL_LETTERS.symbols)
        return np.full((len(states), size), -np.log(size)), [()] * len(states)


def said(text: str, sure: float = 0.9, stride: int = 1, last: float = 1.0) -> LetterEmissions:
    """A network that says ``text``, each letter for two steps and nothing for one, so surely; but
    for the last letter the next one of the alphabet unless ``last`` is 1: that is its share."""
    symbols = [s for letter in ASL_LETTERS.encode(text) for s in (letter, letter, 0)] or [0, 0]
    rest = (1 - sure) / len(ASL_LETTERS.symbols)
    probabilities = np.full((len(symbols), 1 + len(ASL_LETTERS.symbols)), rest)
    probabilities[np.arange(len(symbols)), symbols] = sure
    if last < 1:
        steps, letter = slice(len(symbols) - 3, len(symbols) - 1), symbols[-2]
        probabilities[steps, letter], probabilities[steps, letter % 26 + 1] = (
            last * sure,
            (1 - last) * sure,
        )
    times = np.arange(len(symbols) * stride) / 30
    return LetterEmissions(np.log(probabilities), times, stride, GREEDY)


def answer(text: str, found: str, *probabilities: float, person: str = "a") -> Answer:
    given = probabilities or (0.9,) * len(found)
    tokens = [Token(c, 0.0, 0.1, p) for c, p in zip(found, given, strict=True)]
    return Answer.of("words", person, "rgb", text, tokens)


# -- questions -------------------------------------------------------------------------------------
def test_a_person_is_asked_everything_in_the_same_way_each_time(exemplars: Exemplars) -> None:
    person = str(exemplars.signer[0])
    own = exemplars.select(only=(person,))
    first, again = (list(questions(own, person, 10)) for _ in range(2))
    assert all(
        np.array_equal(a.track.landmarks, b.track.landmarks)
        for a, b in zip(first, again, strict=True)
    )
    assert {q.person for q in first} == {person}
    kinds = [q.kind for q in first]
    pictures = np.unique(own.picture[np.isin(own.label, STILL_LETTERS)])
    assert kinds.count(STILLS) == len(pictures)
    assert all(kinds.count(kind) == 10 for kind in TEXTS)
    for speed in SPEEDS:
        assert kinds.count(f"{speed:g} letters a second") == 2
    single = [q for q in first if q.kind in ("held letters", "J and Z")]
    assert sorted(q.text for q in single) == sorted([*set(own.label.tolist()) - {""}] * 2)
    # Slow spelling takes longer, letter by letter.
    slow, fast = (
        np.mean([q.track.timestamps[-1] / len(q.text) for q in first if q.kind.startswith(speed)])
        for speed in ("0.5 ", "9 ")
    )
    assert slow > 4 * fast


def test_letters_are_held_as_long_as_is_said(exemplars: Exemplars) -> None:
    own = exemplars.select(only=(str(exemplars.signer[0]),))
    held = [q.track.timestamps[-1] for q in questions(own, "a", 1) if q.kind == "held letters"]
    assert 0.4 < min(held) < 1.5
    assert max(held) > 3.5


def test_who_has_few_letters_spells_no_texts(exemplars: Exemplars) -> None:
    few = replace(
        exemplars, label=np.where(np.isin(exemplars.label, [*"abcde"]), exemplars.label, "")
    )
    kinds = {q.kind for q in questions(few, "a", 10)}
    assert kinds == {STILLS, "held letters"}


def test_recorded_motions_are_asked_as_they_are(exemplars: Exemplars) -> None:
    asked = list(motions(exemplars))
    assert [q.text for q in asked] == exemplars.motion_label.tolist()
    for question, points in zip(asked, exemplars.motion_landmarks, strict=True):
        np.testing.assert_array_equal(question.track.landmarks, points)
        assert question.track.timestamps[-1] == 1.2


def test_texts_are_of_the_letters_and_long_enough() -> None:
    made = list(texts_of({*"etaoins"}, TEXTS["words"], 5, np.random.default_rng(0), shortest=3))
    assert len(made) == 5
    assert all(set(text) <= {*"etaoins"} and 3 <= len(text) <= 12 for text in made)


# -- answers ---------------------------------------------------------------------------------------
def test_a_single_letter_is_right_if_it_is_read_once_and_nothing_else() -> None:
    assert answer("k", "k").counts.edits == 0
    for wrong in ("kk", "ik", "", "v"):
        assert answer("k", wrong).counts.edits == 1
        assert answer("k", wrong).counts.reference_length == 1
    assert answer("jan", "ijan").counts.insertions == 1


def test_each_letter_that_is_read_is_right_or_wrong() -> None:
    made = answer("so", "jo", 0.6, 0.8)
    assert made.letters == ((0.6, False), (0.8, True))
    assert answer("so", "sxo", 0.5, 0.6, 0.7).letters == ((0.5, True), (0.6, False), (0.7, True))


def test_both_networks_together_are_the_mean_of_their_likelihoods() -> None:
    """The surer one decides, alone each says its own."""
    every = {"landmarks": [said("cat", 0.6)], "rgb": [said("cab", 0.99)]}
    found = {a.stream: a.read for a in answers(Question("words", "a", "cab", TRACK), every)}
    assert found == {"landmarks": "cat", "rgb": "cab", "fused": "cab"}
    members = {"rgb": [said("cat", 0.6), said("cab", 0.99)]}
    assert [a.read for a in answers(Question("words", "a", "cab", TRACK), members)] == ["cab"]
    still = {"landmarks": [said("t", 0.6)], "rgb": [said("s", 0.99)]}
    found = {a.stream: a.read for a in answers(Question(STILLS, "a", "s", TRACK), still)}
    assert found == {"landmarks": "t", "rgb": "s", "fused": "s"}
    assert [a.stream for a in answers(Question(STILLS, "a", "s", TRACK), {"rgb": [said("s")]})] == [
        "rgb"
    ]


@pytest.mark.parametrize("stream", ["landmarks", "hand"])
def test_networks_read_the_features_of_their_streams(exemplars: Exemplars, stream: str) -> None:
    model = FingerspellingRecognizer(FingerspellingConfig(stream=stream)).eval()  # type: ignore[arg-type]
    question = next(questions(exemplars, "a", 1))
    ((found, other),) = emissions(
        {"some": [Checkpoint(model, 30.0, ASL_LETTERS, None)] * 2}, question.track
    ).values()
    assert found.stride == model.config.sequence.temporal_stride
    assert len(found.log_probs) == -(-len(found.times) // found.stride)
    np.testing.assert_allclose(np.exp(found.log_probs).sum(-1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(other.log_probs, found.log_probs)


# -- decoding --------------------------------------------------------------------------------------
def test_decoding_is_tuned_on_every_other_text_and_tested_on_the_rest() -> None:
    """Networks that are right three times in four and say 99.9 % are to be cooled."""
    texts = ["cat", "dog", "hen", "pig"] * 4
    asked = [
        (
            Question("words", "a", text, TRACK),
            {"rgb": [said("owl" if number % 8 == 0 else text, 0.999)]},
        )
        for number, text in enumerate(texts)
    ]
    still = (Question(STILLS, "a", "s", TRACK), {"rgb": [said("s")]})
    tested, decodings = tuned([*asked, still], Flat())
    assert tested == [still, *asked[1::2]]
    assert decodings["rgb"].temperature > 1.5
    assert decodings["rgb"].facts["alpha"] == decodings["rgb"].search.alpha
    with pytest.raises(InputError, match="expected texts"):
        tuned([still], Flat())


def test_texts_are_read_with_the_search_and_without() -> None:
    question, said_so = Question("words", "a", "cat", TRACK), {"rgb": [said("cat")]}
    search = Search(False, 5, 0.0, 0.0, 0.0, None)
    found = list(read(question, said_so, {"rgb": Decoding(3.0, search)}))
    assert [(a.kind, a.read) for a in found] == [("words", "cat"), ("words, no search", "cat")]
    both = {"rgb": Decoding(1.0, search, 0.4, search)}
    ways = [a.kind for a in read(question, said_so, both)]
    assert ways == ["words", "words, no words", "words, no search"]
    warm, sure = (Decoding(t, search).warm(said("cat")).log_probs.max() for t in (3.0, 1.0))
    assert warm < sure
    (still,) = read(Question(STILLS, "a", "s", TRACK), {"rgb": [said("s")]}, both)
    assert still.read == "s"


def test_words_get_the_share_that_reads_most() -> None:
    """A network that doubts its last letters is helped by knowing the words."""
    texts = ["cat", "dog", "hen", "pig"] * 6
    asked = [(Question("words", "a", t, TRACK), {"rgb": [said(t, 0.97, last=0.4)]}) for t in texts]
    lexicon = Lexicon([ASL_LETTERS.encode(t) for t in texts[:4]], size=27)
    tested, decodings = tuned(asked, Flat(), lexicon)
    assert decodings["rgb"].word_share > 0
    assert decodings["rgb"].facts["word_share"] == decodings["rgb"].word_share
    found = [a for one in tested for a in read(*one, decodings)]
    right = {k: np.mean([a.read == a.text for a in found if a.kind == k]) for k in WAYS}
    assert right["words"] == 1.0
    assert right["words, no words"] == right["words, no search"] == 0.0


# -- figures ---------------------------------------------------------------------------------------
def test_people_count_alike_however_much_each_was_asked() -> None:
    given = [answer("a", "a", person="one")] * 9 + [answer("a", "b", person="two")]
    found = figures(given)
    assert found["accuracy"] == 50.0
    assert found["people"] == {"one": 100.0, "two": 0.0}
    assert found["letters"] == {"a": 90.0}
    assert found["interval"] == (0.0, 100.0)
    # Ten letters of 90 %, nine of them right.
    assert found["calibration_error"] == pytest.approx(0.0)
    assert figures([answer("ab", "")])["calibration_error"] is None
    assert figures([answer("ab", "")])["letters"] == {}
    with pytest.raises(InputError, match="expected at least one"):
        figures([])
