"""Delays of letters, of streams whose events and times are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fakes
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.latency import _delays, _Shown, measure_delays, measure_memory
from chereme.types import Event, Frame, Token

PICTURE = np.zeros((48, 64, 3), np.uint8)


def shown(kind: str, text: str, at: float, cpu: float) -> _Shown:
    tokens = tuple(Token(one, 1.0 * n, n + 0.5, 0.9) for n, one in enumerate(text))
    return _Shown(Event(kind, text, tokens), at, cpu)  # type: ignore[arg-type]


def test_a_letter_is_late_until_it_is_shown_for_good() -> None:
    events = [
        shown("partial", "a", 0.7, 0.6),
        shown("partial", "ax", 1.8, 1.7),
        shown("partial", "ab", 2.0, 1.9),
        shown("partial", "abx", 2.9, 2.8),
        shown("final", "abc", 4.0, 4.0),
        shown("final", "a", 9.0, 9.0),  # of another section: no partial text had it
    ]
    expected = [(0.2, 0.1), (0.5, 0.4), None, None]
    for found, delay in zip(_delays(events), expected, strict=True):
        assert found == (None if delay is None else pytest.approx(delay))


@pytest.fixture
def recognizer(tmp_path: Path) -> Recognizer:
    bundle = fakes.make_bundle(tmp_path / "fake")
    return Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell("dab")))


def test_all_letters_of_a_stream_are_waited_for(recognizer: Recognizer) -> None:
    times = fakes.spell("dab").timestamps.tolist()
    found = measure_delays(recognizer, (Frame(PICTURE, time) for time in times))
    assert (found["letters"], found["corrected"]) == (3, 0)
    for clock in ("wall", "cpu"):
        assert found["delay"][clock]["p50"] <= found["delay"][clock]["p95"]
        assert found["frame_ms"][clock] > 0


def test_memory_is_measured_with_hands_looked_for_once(recognizer: Recognizer) -> None:
    detectors = recognizer.make_detector
    assert isinstance(detectors, fakes.Detectors)
    frames = [Frame(PICTURE, n / 10) for n in range(len(fakes.spell("dab").timestamps))]
    found = measure_memory(recognizer, frames, 2.0)
    assert detectors.asked == len(frames)
    assert len(found) == 2
    assert recognizer.make_detector is detectors
