"""The bundled model of single letters and digits, on a made-up hand that it was not trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chereme
from chereme.datasets.exemplars import DIGITS, LETTERS
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.synthesis import Speller, SpellingStyle, corpus, to_landmarks
from chereme.synthesis.handshapes import to_exemplars
from chereme.types import Landmarks


@pytest.fixture(scope="module")
def recognizer() -> IsolatedRecognizer:
    loaded = chereme.load("fingerspelled_letters")
    assert isinstance(loaded, IsolatedRecognizer)
    return loaded


@pytest.fixture(scope="module")
def speller() -> Speller:
    """The open hand with the handshapes of the table."""
    return Speller(to_exemplars(corpus.signer(0, 0).handshapes, corpus.open_hand()), mixing=0.0)


def composed(speller: Speller, letter: str) -> Landmarks:
    rng = np.random.default_rng(1)
    style = SpellingStyle.sample(rng)
    slow = replace(style, letter_seconds=0.6, hold_fraction=0.6, dropout=0.0, from_behind=False)
    return to_landmarks(speller.spell(letter, rng, slow))


def test_glosses_are_letters_and_digits(recognizer: IsolatedRecognizer) -> None:
    assert set(recognizer.glosses) == {*LETTERS, *DIGITS}


@pytest.mark.parametrize("gloss", "befiljzy5")
def test_composed_clips(recognizer: IsolatedRecognizer, speller: Speller, gloss: str) -> None:
    result = recognizer.recognize(composed(speller, gloss))
    assert result.alternatives[0].text == gloss, result.alternatives[:3]
    assert sum(p for _, p in result.alternatives) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("letter", "digit"), [("o", "0"), ("w", "6"), ("f", "9")])
def test_of_look_alikes_the_letter_comes_first(
    recognizer: IsolatedRecognizer, speller: Speller, letter: str, digit: str
) -> None:
    for shown in (letter, digit):
        glosses = [
            gloss for gloss, _ in recognizer.recognize(composed(speller, shown)).alternatives
        ]
        assert glosses[:2] == [letter, digit]


def test_without_a_hand_nothing_is_said(recognizer: IsolatedRecognizer, speller: Speller) -> None:
    seen = composed(speller, "a")
    nothing = replace(
        seen,
        landmarks=np.full_like(seen.landmarks, np.nan),
        confidence=np.zeros_like(seen.confidence),
    )
    result = recognizer.recognize(nothing)
    assert result.alternatives == ()
    assert result.warnings
