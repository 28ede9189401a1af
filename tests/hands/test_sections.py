"""Where recordings are parted, of hands whose movements are known."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

import fakes
from chereme.errors import InputError
from chereme.hands.detector import Detection
from chereme.hands.sections import (
    FrameSections,
    LandmarkSections,
    Section,
    SectionFinder,
    cut,
    join,
)
from chereme.types import Frame, Landmarks, frames_of

RATE = 10.0
MakeHand = Callable[..., np.ndarray]
PICTURE = np.zeros((36, 64, 3), np.uint8)


@pytest.fixture
def film(hand: MakeHand) -> Callable[..., Landmarks]:
    """``film(first, ...)``: what each hand does, a character for each second: "s" it spells, "h"
    it holds still, "_" it is away. The detector trembles by a thirtieth of a palm."""

    def make(*hands: str) -> Landmarks:
        rng = np.random.default_rng(1)
        frames = int(len(hands[0]) * RATE)
        points = np.full((frames, len(hands), 21, 3), np.nan, np.float32)
        for column, plan in enumerate(hands):
            for frame in range(frames):
                what = plan[int(frame / RATE)]
                bend = 0.5 * (frame % 4 < 2) if what == "s" else 0.0
                if what != "_":
                    points[frame, column] = hand(300 + 500 * column, 400, bend=bend)
        points += rng.normal(0, 1.7, points.shape) * [1, 1, 0]
        return fakes.seen_hands(points, RATE, ("right", "left")[: len(hands)])

    return make


class Seen:
    """A detector that gives the hands of landmarks, frame after frame."""

    def __init__(self, landmarks: Landmarks, vectors: bool = False) -> None:
        self._answers = self._all(landmarks, vectors)

    def _all(self, landmarks: Landmarks, vectors: bool) -> Iterator[list[Detection]]:
        for t, hands in enumerate(landmarks.landmarks):
            yield [
                Detection(
                    points,
                    points / 1000,
                    landmarks.handedness[column],  # type: ignore[arg-type]
                    0.95,
                    vector=np.full(1152, 1.0 + t, np.float32) if vectors else None,
                )
                for column, points in enumerate(hands)
                if landmarks.confidence[t, column].any()
            ]

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        return next(self._answers)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def followed(landmarks: Landmarks, **options: bool) -> list[Section]:
    sections = FrameSections(Seen(landmarks, **options), **options)
    found = [sections.update(Frame(PICTURE, time)) for time in landmarks.timestamps.tolist()]
    return [section for section in (*found, sections.finish()) if section is not None]


def spans(sections: list[Section]) -> list[tuple[float, float]]:
    """First and last seconds of those in which a hand may spell."""
    every = [one.landmarks.timestamps for one in sections if not one.resting]
    return [(round(float(times[0]), 1), round(float(times[-1]), 1)) for times in every]


@pytest.mark.parametrize(
    ("hands", "expected"),
    [
        (("ssss",), [(0, 3.9)]),
        (("hh",), [(0, 1.9)]),  # the letter of a film in which nothing moves
        (("__ssss",), [(2, 5.9)]),
        (("ss____ss",), [(0, 3.0), (6, 7.9)]),  # until a second after it has left
        (("ss_ss",), [(0, 4.9)]),
        (("sshhss",), [(0, 5.9)]),  # a letter is held
        (("sshhhhhss",), [(0, 4.9), (7, 8.9)]),  # until it has rested for three seconds
        (("sshhhhhh", "hhssssss"), [(0, 7.9)]),  # another hand goes on
        (("ss_____", "hhhhhhh"), [(0, 3.0)]),  # an idle hand stays
        (("hhhhhhh", "______s"), [(0, 3.0), (6, 6.9)]),  # another one comes
    ],
)
def test_sections_end_where_no_hand_spells(
    film: Callable[..., Landmarks], hands: tuple[str, ...], expected: list[tuple[float, float]]
) -> None:
    seen = film(*hands)
    for sections in (followed(seen), cut(seen)):
        found = spans(sections)
        # A frame is not told from the next one by less than it lasts.
        np.testing.assert_allclose(found, expected, atol=0.21)
        assert sum(len(one.landmarks.timestamps) for one in sections) == len(seen.timestamps)


def test_who_spells_on_and_on_is_parted_in_ever_shorter_pauses(
    film: Callable[..., Landmarks],
) -> None:
    pauses = [*"s" * 15, *"hh", *"s" * 8, *"hh", *"s" * 10]
    found = spans(cut(film("".join(pauses))))
    np.testing.assert_allclose(found, [(0, 26.1), (27.0, 36.9)], atol=0.21)
    without = spans(cut(film("s" * 130)))
    assert without == [(0, 60.0), (60.1, 120.1), (120.2, 129.9)]


def test_pictures_and_landmarks_are_parted_alike(film: Callable[..., Landmarks]) -> None:
    seen = film("_ss____sss_hhhhhhss", "hhhh____hhhssssss__")
    pictures, pieces = followed(seen), LandmarkSections()
    found = [
        section
        for frame in range(len(seen.timestamps))
        for section in pieces.update(frames_of(seen, slice(frame, frame + 1)))
    ]
    last = pieces.finish()
    assert last is not None
    for one, other, whole in zip(pictures, [*found, last], cut(seen), strict=True):
        assert one.resting == other.resting == whole.resting
        for name in ("landmarks", "confidence", "timestamps"):
            given = getattr(whole.landmarks, name)
            np.testing.assert_array_equal(getattr(other.landmarks, name), given)
        np.testing.assert_array_equal(one.landmarks.timestamps, whole.landmarks.timestamps)
        for side in one.landmarks.handedness:
            np.testing.assert_array_equal(
                one.landmarks.landmarks[:, one.landmarks.handedness.index(side)],
                whole.landmarks.landmarks[:, whole.landmarks.handedness.index(side)],
            )


def test_sections_together_are_the_recording(film: Callable[..., Landmarks]) -> None:
    seen = film("ss____ss____", "______ssssss")
    whole, sections = join(followed(seen, vectors=True))
    assert (whole.handedness, whole.vectors) == (("left", "right"), None)
    np.testing.assert_array_equal(whole.timestamps, seen.timestamps)
    np.testing.assert_array_equal(whole.landmarks, seen.landmarks[:, ::-1])
    np.testing.assert_array_equal(whole.confidence, seen.confidence[:, ::-1])
    for section in sections:
        part = section.landmarks
        frames = slice(section.first, section.first + len(part.timestamps))
        np.testing.assert_array_equal(whole.timestamps[frames], part.timestamps)
        np.testing.assert_array_equal(
            whole.landmarks[frames, list(section.columns)], part.landmarks
        )
        if part.vectors is not None:
            there = part.confidence.any(axis=2)
            numbers = 1 + section.first + np.arange(len(there))
            np.testing.assert_array_equal(
                part.vectors[..., 7], np.where(there, numbers[:, None], 0)
            )


def test_a_hand_keeps_the_votes_for_its_side(film: Callable[..., Landmarks]) -> None:
    """Of the second section alone nobody knows the side."""
    seen = film("ssssshhhhhss")

    class Wavering(Seen):
        def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
            found = super().detect(image, timestamp)
            if timestamp < 10:
                return found
            return [replace(one, handedness="left", score=0.55) for one in found]

    sections = FrameSections(Wavering(seen))
    found = [sections.update(Frame(PICTURE, time)) for time in seen.timestamps.tolist()]
    last = sections.finish()
    assert last is not None
    assert sum(section is not None for section in found) == 2
    assert last.landmarks.handedness == ("right",)


def test_what_rests_is_let_go(film: Callable[..., Landmarks]) -> None:
    seen = film("ss" + "h" * 40 + "_" * 20 + "s")
    sections = FrameSections(Seen(seen), rests=False)
    found = [sections.update(Frame(PICTURE, time)) for time in seen.timestamps.tolist()]
    pieces = LandmarkSections(rests=False)
    for some in (found, pieces.update(seen)):
        assert [one.resting for one in some if one is not None] == [False]
    for one in (sections, pieces):
        last = one.finish()
        assert last is not None
        np.testing.assert_allclose(last.landmarks.timestamps[0], 62.0)


def test_a_gap_in_time_ends_a_section() -> None:
    """But not where all frames are so far apart, as in a time-lapse."""

    def hand(time: float) -> dict[str, np.ndarray]:
        return {"hand": np.full((21, 3), 100 * time)}

    steady, sudden = SectionFinder(), SectionFinder()
    assert [steady.update(hand(n), 1.5 * n) for n in range(4)] == [True, False, False, False]
    times = [*np.arange(0, 1, 0.1), 5.0]
    assert [sudden.update(hand(time), time) for time in times] == [True, *[False] * 9, True]
    assert not sudden.resting


def test_landmarks_must_go_on(film: Callable[..., Landmarks]) -> None:
    seen = film("ss")
    first, second = frames_of(seen, slice(0, 9)), frames_of(seen, slice(9, 20))
    other = replace(second, handedness=("left",))
    later = frames_of(seen, slice(8, 20))
    for wrong, message in ((other, "expected the hands right in"), (later, "expected times after")):
        sections = LandmarkSections()
        sections.update(first)
        with pytest.raises(InputError, match=message):
            sections.update(wrong)
