"""Fingerspelling while it comes: the same as what is read of the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chereme
import fakes
from chereme.errors import InputError, UsageError
from chereme.hands.skeleton import turn
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.letter_stream import LetterStream
from chereme.recognition.streams import Streams
from chereme.types import Event, Frame, Landmarks, Token, frames_of
from chereme.video import open_video

# A word, a second and more away, words between which the hand hangs down for 4 s, a letter that is
# held for 5 s and one that follows it.
STORY = "dab" + "_" * 6 + "vail" + " " * 14 + "lid" + "_" * 5 + "a" * 17 + "bi" + "_" * 5
READ = "dab vail lid a bi"
PICTURE = np.zeros((fakes.HEIGHT // 10, fakes.WIDTH // 10, 3), np.uint8)
Size = int | None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "fake")


@pytest.fixture(scope="module")
def both(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Streams:
    hand = fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "hand", stream="hand")
    return Streams((bundle, hand), "fused")


def pushed(stream: LetterStream, seen: Landmarks, size: Size, pictures: bool) -> list[Event]:
    """The events of all frames of ``seen``, ``size`` (None: all) at once."""
    events: list[Event] = []
    frames = len(seen.timestamps)
    for first in range(0, frames, size or frames):
        part = frames_of(seen, slice(first, first + (size or frames)))
        times = part.timestamps
        given: Any = (np.stack([PICTURE] * len(times)), times) if pictures else (part,)
        events += stream.push(*given)
    return events + stream.finish()


def text(events: Sequence[Event]) -> str:
    return " ".join(event.text for event in events if event.kind == "final" and event.text)


@pytest.mark.parametrize(("pictures", "left"), [(False, False), (True, True)])
def test_whatever_the_pushes_the_final_text_is_that_of_the_whole(
    both: Streams, pictures: bool, left: bool
) -> None:
    seen = fakes.with_vectors(fakes.spell(STORY, left=left, idle_hand=left), STORY)
    detectors = fakes.Detectors(seen)
    recognizer = Recognizer(both, make_detector=detectors)
    frames = [Frame(PICTURE, time) for time in seen.timestamps.tolist()]
    expected = recognizer.recognize(frames if pictures else seen)
    assert expected.text == READ
    for size in (1, 7, 30, None):
        detectors.asked = 0
        events = pushed(recognizer.stream(), seen, size, pictures)
        assert text(events) == READ
        tokens = [token for event in events if event.kind == "final" for token in event.tokens]
        assert tokens == list(expected.tokens)
        assert detectors.asked == (len(frames) if pictures else 0)


def test_partial_texts_come_soon_and_take_back_two_letters_at_most(bundle: Bundle) -> None:
    seen = fakes.spell("dabvail" * 2 + "____")
    stream, shown, delays = Recognizer(bundle).stream(), "", []
    for frame in range(len(seen.timestamps)):
        for event in stream.push(frames_of(seen, slice(frame, frame + 1))):
            pairs = zip(shown, event.text, strict=False)
            common = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            assert event.text == "".join(token.text for token in event.tokens)
            if event.kind == "partial":
                assert common >= len(shown) - 2
                ends = (1 + np.arange(len(shown), len(event.text))) * 0.3
                delays += (seen.timestamps[frame] - ends).tolist()
            shown = event.text
    assert shown == "dabvail" * 2
    assert event.kind == "final"
    assert len(delays) == 14
    assert max(delays) <= 0.3


def test_what_is_shown_is_kept_but_for_two_letters() -> None:
    from chereme.recognition.letter_stream import _joined, _Letter, _text

    def letters(shown: str, start: float = 0.0, step: float = 0.3) -> list[_Letter]:
        return [
            _Letter(Token(one, start + step * n, start + step * (n + 1), 0.9), first=n == 0)
            for n, one in enumerate(shown)
        ]

    assert _text(_joined(letters("abc"), letters("abcd"), 0.0)) == "abcd"
    assert _text(_joined(letters("abc"), letters("avil"), 0.0)) == "avil"
    assert _text(_joined(letters("abcd"), letters("xyzzyx"), 0.0)) == "abzzyx"
    assert _text(_joined(letters("abcd"), [], 0.0)) == "ab"
    # What lies before the window stays, although it is read no more.
    assert _text(_joined(letters("ab"), letters("d", 5.0), 4.0)) == "ab d"


class Hesitant:
    """Takes the second letter for an O until it has seen three."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds  # of a letter

    def hands(self, landmarks: Landmarks, turns: object) -> list[Landmarks]:
        return [landmarks]

    def turns(self, landmarks: Landmarks) -> None:
        pass

    def read(self, hands: list[Landmarks], *_: object, is_still: bool) -> list[str]:
        seen = round(hands[0].timestamps[-1] / self.seconds)
        return [("hello" if seen > 2 else "ho")[:seen]]

    def judged(self, text: str, hand: Landmarks) -> Any:
        tokens = tuple(
            Token(one, n * self.seconds, (n + 1) * self.seconds, 0.9) for n, one in enumerate(text)
        )
        return SimpleNamespace(segments=[SimpleNamespace(tokens=tokens)])


def test_the_first_letters_of_a_word_are_corrected_too() -> None:
    def make_reader(landmarks: Landmarks, pictures: bool) -> Any:
        return Hesitant(0.1)

    stream = LetterStream(make_reader, fakes.Detectors(fakes.spell("a")), every=0.1)
    texts = [event.text for event in pushed(stream, fakes.spell("dab"), 1, False)]
    assert "ho" in texts
    assert texts[texts.index("ho") + 1].startswith("hel")
    assert texts[-1] == "hello"


def test_one_picture_is_read_as_a_still(bundle: Bundle) -> None:
    seen = fakes.spell("v", letter_seconds=1 / fakes.RATE)
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(seen))
    (event,) = pushed(recognizer.stream(), seen, None, True)
    expected = recognizer.recognize([Frame(PICTURE, 0.0)])
    assert (event.kind, event.text, event.tokens) == ("final", "v", expected.tokens)


@pytest.mark.parametrize("pictures", [False, True])
def test_mirrored_and_turned_frames(bundle: Bundle, pictures: bool) -> None:
    seen = fakes.spell("vail", left=True)
    mirrored = fakes.seen_in_mirror(seen)
    stream = Recognizer(bundle, mirrored=True, make_detector=fakes.Detectors(mirrored)).stream()
    assert text(pushed(stream, mirrored, 7, pictures)) == "vail"
    if not pictures:
        size = (fakes.WIDTH, fakes.HEIGHT)
        turned = replace(
            seen, landmarks=turn(seen.landmarks, 90, size), width=size[1], height=size[0]
        )
        stream = Recognizer(bundle, rotate=270).stream()
        assert text(pushed(stream, turned, 7, False)) == "vail"


def test_turned_pictures_are_looked_at_upright(bundle: Bundle) -> None:
    shapes = []

    class Detector(fakes.FakeDetector):
        def detect(self, image: np.ndarray, timestamp: float) -> list:
            shapes.append((image.shape, int(image[0, 0, 0])))
            return []

    stream = Recognizer(
        bundle, rotate=90, make_detector=lambda still: Detector(fakes.spell("a"))
    ).stream()
    picture = PICTURE.copy()
    picture[-1, 0] = 255  # lower left, which becomes the upper left
    stream.push(picture, 0.0)
    assert shapes == [((PICTURE.shape[1], PICTURE.shape[0], 3), 255)]


def test_iterators_plain_and_asynchronous(bundle: Bundle) -> None:
    seen = fakes.spell("dab")
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(seen))
    times = seen.timestamps.tolist()
    events = list(recognizer.stream().read(Frame(PICTURE, time) for time in times))
    assert text(events) == "dab"
    assert [event.kind for event in events].count("partial") > 1

    async def camera() -> AsyncIterator[tuple[np.ndarray, float]]:
        for time in times:
            yield PICTURE, time

    async def follow() -> list[Event]:
        return [event async for event in recognizer.stream().follow(camera())]

    assert asyncio.run(follow()) == events


def test_the_detector_is_closed_when_the_stream_ends_or_is_left(bundle: Bundle) -> None:
    made: list[fakes.FakeDetector] = []

    def make(still: bool) -> fakes.FakeDetector:
        made.append(fakes.FakeDetector(fakes.spell("dab")))
        return made[-1]

    recognizer = Recognizer(bundle, make_detector=make)
    with recognizer.stream() as stream:
        stream.push(PICTURE, 0.0)
    assert stream.finish() == []
    other = recognizer.stream()
    other.push(PICTURE, 0.0)
    other.finish()
    other.close()
    assert [detector.closed for detector in made] == [1, 1]
    assert recognizer.stream().finish() == []
    with pytest.raises(UsageError, match="the stream has ended"):
        other.push(PICTURE, 0.1)


@pytest.mark.parametrize(
    ("frame", "seconds", "error", "message"),
    [
        (PICTURE, None, UsageError, "expected the seconds of the picture"),
        (PICTURE, 1.0, InputError, "after 1, those of the frame before"),
        (PICTURE, [2.0, 3.0], InputError, "expected the seconds of each of 1 pictures"),
        (np.stack([PICTURE] * 2), [2.0], InputError, "expected the seconds of each of 2 pictures"),
        (PICTURE.astype(float), 2.0, InputError, "expected an array"),
        (PICTURE[1:], 2.0, InputError, r"expected a picture of \(48, 64\), as before"),
        ("clip.mp4", 2.0, InputError, "expected a picture as an array"),
        (Frame(PICTURE, 2.0), 2.0, UsageError, "a Frame has its own"),
        (fakes.spell("a"), 2.0, UsageError, "the landmarks have their times"),
        (fakes.spell("a"), None, UsageError, "expected a picture, as before, got landmarks"),
    ],
)
def test_what_is_no_next_frame(
    bundle: Bundle, frame: Any, seconds: Any, error: type[Exception], message: str
) -> None:
    stream = Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell("dab"))).stream()
    stream.push(PICTURE, 1.0)
    with pytest.raises(error, match=message):
        stream.push(frame, seconds)


def test_what_a_stream_cannot_be(both: Streams, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every: expected more than 0"):
        Recognizer(both).stream(every=0)
    with pytest.raises(UsageError, match="hand: expected auto"):
        Recognizer(both).stream(hand="both")  # type: ignore[arg-type]
    views = fakes.make_bundle(tmp_path / "views", stream="rgb")
    with pytest.raises(UsageError, match="reads crops of the hand, which a stream does not cut"):
        Recognizer(views).stream()
    stream = Recognizer(both).stream()
    stream.push(fakes.spell("a"))
    with pytest.raises(UsageError, match="expected landmarks, as before, got a picture"):
        stream.push(PICTURE, 9.0)


@pytest.mark.slow
def test_real_recordings_are_read_alike(shared_data: Path) -> None:
    recognizer = chereme.load("fingerspelling")
    for clip in sorted((shared_data / "fingerspelling_dev" / "video").glob("*.mp4")):
        expected = recognizer.recognize(clip)
        with open_video(clip) as reader:
            frames = list(reader)
        for size in (7, len(frames)):
            stream, events = recognizer.stream(), list[Event]()
            for first in range(0, len(frames), size):
                some = frames[first : first + size]
                pictures = np.stack([frame.image for frame in some])
                events += stream.push(pictures, [frame.timestamp for frame in some])
            events += stream.finish()
            assert text(events) == expected.text
