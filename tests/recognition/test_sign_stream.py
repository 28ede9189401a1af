"""Single signs while they come: between two of them the hands are away."""

from __future__ import annotations

import numpy as np
import pytest

import fake_signs
import fakes
from chereme.errors import UsageError
from chereme.recognition.bundle import Bundle
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.recognition.sign_stream import SignStream
from chereme.types import Event, Landmarks, frames_of

AWAY = "." * 40  # longer than a second
SIGNS = {"LEFT": ("x" * 20, "." * 20), "RIGHT": ("." * 20, "x" * 20), "BOTH": ("x" * 20, "x" * 20)}
PICTURE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fake_signs.make_signs(tmp_path_factory.mktemp("bundles") / "signs")


def story(*glosses: str) -> Landmarks:
    left, right = ("".join(SIGNS[gloss][side] + AWAY for gloss in glosses) for side in (0, 1))
    return fake_signs.signing(left, right)


def pushed(stream: SignStream, seen: Landmarks, size: int) -> list[Event]:
    events: list[Event] = []
    for first in range(0, len(seen.timestamps), size):
        events += stream.push(frames_of(seen, slice(first, first + size)))
    return events + stream.finish()


@pytest.mark.parametrize("size", [1, 7, 30, 1000])
def test_each_sign_is_read_as_a_clip_of_its_own(bundle: Bundle, size: int) -> None:
    recognizer = IsolatedRecognizer(bundle)
    events = pushed(recognizer.stream(), story("LEFT", "BOTH", "RIGHT"), size)
    final = [event for event in events if event.kind == "final"]
    assert [event.text for event in final] == ["LEFT", "BOTH", "RIGHT"]
    for event, gloss in zip(final, ("LEFT", "BOTH", "RIGHT"), strict=True):
        (token,) = event.tokens
        (alone,) = recognizer.recognize(fake_signs.signing(*SIGNS[gloss])).tokens
        assert token.probability == pytest.approx(alone.probability)
        assert token.end - token.start == pytest.approx(alone.end - alone.start)
    assert final[1].tokens[0].start == pytest.approx(60 / fake_signs.RATE)


def test_what_a_sign_looks_like_so_far_is_told_once(bundle: Bundle) -> None:
    events = pushed(IsolatedRecognizer(bundle).stream(every=0.1), story("LEFT", "LEFT"), 1)
    assert [event.kind for event in events] == ["partial", "final"] * 2


def test_no_sign_that_is_known_takes_back_what_was_shown(bundle: Bundle) -> None:
    doubtful = IsolatedRecognizer(bundle, min_probability=0.9)
    seen = fake_signs.signing("x" * 40 + AWAY, "." * 20 + "x" * 20 + AWAY)
    assert pushed(doubtful.stream(), seen, 1000) == []
    kinds = [(event.kind, event.text) for event in pushed(doubtful.stream(every=0.1), seen, 1)]
    assert kinds == [("partial", "LEFT"), ("partial", "")]


def test_of_pictures_and_mirrored(bundle: Bundle) -> None:
    seen = story("LEFT", "RIGHT")
    recognizer = IsolatedRecognizer(
        bundle, mirrored=True, make_detector=fakes.Detectors(fakes.seen_in_mirror(seen))
    )
    stream = recognizer.stream()
    events = [event for time in seen.timestamps.tolist() for event in stream.push(PICTURE, time)]
    events += stream.finish()
    assert [event.text for event in events if event.kind == "final"] == ["LEFT", "RIGHT"]


def test_what_it_cannot_be(bundle: Bundle) -> None:
    recognizer = IsolatedRecognizer(bundle)
    with pytest.raises(UsageError, match="every: expected more than 0"):
        recognizer.stream(every=0)
    with pytest.raises(UsageError, match="hand: expected auto"):
        recognizer.stream(hand="both")  # type: ignore[arg-type]
