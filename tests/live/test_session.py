"""A stream that is watched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fakes
from chereme.live.session import Session, Status
from chereme.live.sources import Newest
from chereme.recognition.fingerspelling import Recognizer
from chereme.types import Frame

PICTURE = np.zeros((48, 64, 3), np.uint8)
STORY = "dab" + "_" * 5 + "lid" + "_" * 4


@pytest.fixture
def recognizer(tmp_path: Path) -> Recognizer:
    bundle = fakes.make_bundle(tmp_path / "fake")
    return Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell(STORY)))


class Patient(Newest):
    """Skips no frame: they wait until they are read."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        super().__init__(())
        self._frames = frames

    def __enter__(self) -> Iterator:
        return ((frame, 0.0) for frame in self._frames)

    def __exit__(self, *error: object) -> None:
        pass


def frames() -> Iterator[Frame]:
    for time in fakes.spell(STORY).timestamps.tolist():
        yield Frame(PICTURE, time)


def test_a_session_tells_the_text_and_ends_with_a_transcript(recognizer: Recognizer) -> None:
    session = Session(recognizer, Patient(frames()))
    partial = []
    finals = []
    for update in session:
        partial.append(session.partial)
        finals += [event.text for event in update.events if event.kind == "final"]
    end = session.finish()
    assert end.frame is None
    finals += [event.text for event in end.events]
    assert finals == ["dab", "lid"]
    assert {"", "dab", "lid"} <= set(partial)
    assert session.partial == ""
    transcript = session.transcript("clip.mp4")
    expected = recognizer.recognize(list(frames()))
    assert (transcript.text, transcript.tokens) == ("dab lid", expected.tokens)
    assert transcript.warnings == ()
    info = transcript.info
    assert info["frames"] == len(fakes.spell(STORY).timestamps)
    assert info["hand_coverage"] == pytest.approx(6 / 15)
    assert info["duration"] == pytest.approx(fakes.spell(STORY).timestamps[-1], abs=1e-3)


def test_frames_that_were_skipped_are_told(recognizer: Recognizer) -> None:
    newest = Patient(frames())
    session = Session(recognizer, newest)
    newest.skipped = 7
    for _ in session:
        pass
    assert "too slow: 7 frames skipped" in str(session.status)
    (warning,) = session.transcript(None).warnings
    assert warning == "the machine was too slow: 7 frames were skipped"
    assert "skipped" not in str(Status(30.0, 0.1, 1.0))
