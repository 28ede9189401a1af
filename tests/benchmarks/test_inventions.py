"""Letters that are read where nobody spells."""

from __future__ import annotations

import sys
from pathlib import Path

from recipes import ROOT

import fakes
from chereme.recognition.fingerspelling import Recognizer

sys.path.append(str(ROOT / "benchmarks"))
from inventions import read
from recordings import Clip


def test_letters_before_judgement_are_told_beside_what_is_read(tmp_path: Path) -> None:
    recognizer = Recognizer(fakes.make_bundle(tmp_path / "fake"))
    clip = Clip("words", "somebody", "vail", fakes.spell("vail"))
    of, before, transcript = read(recognizer, clip)
    assert of is clip
    assert "".join(token.text for token in before) == transcript.text == "vail"
