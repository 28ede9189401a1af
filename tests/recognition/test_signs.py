"""The bundled model of signs: what it knows, and that other hands get no answer."""

from __future__ import annotations

import numpy as np
import pytest

import chereme
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.synthesis import Speller, corpus, to_landmarks
from chereme.synthesis.handshapes import to_exemplars


@pytest.fixture(scope="module")
def recognizer() -> IsolatedRecognizer:
    loaded = chereme.load("signs")
    assert isinstance(loaded, IsolatedRecognizer)
    return loaded


def test_glosses_are_of_both_collections(recognizer: IsolatedRecognizer) -> None:
    assert len(recognizer.glosses) == 24
    assert {"coffee", "thank-you", "learn", "yes"} <= set(recognizer.glosses)


@pytest.mark.parametrize("letter", "abfjlvwy")
def test_letters_are_none_of_its_signs(recognizer: IsolatedRecognizer, letter: str) -> None:
    speller = Speller(to_exemplars(corpus.signer(0, 0).handshapes, corpus.open_hand()), mixing=0.0)
    clip = to_landmarks(speller.spell(letter, np.random.default_rng(1)))
    result = recognizer.recognize(clip)
    assert result.text == ""
    assert "no sign that the model knows" in " ".join(result.warnings)
    assert len(result.alternatives) > 1
