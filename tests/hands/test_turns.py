"""Who signs when, of hands whose movements are known."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import fakes
from chereme.errors import UsageError
from chereme.hands.turns import Turn, signing_columns, signing_turns, turn_tracks
from chereme.types import Landmarks

MakeHand = Callable[..., np.ndarray]
RATE = 30.0


@pytest.fixture
def film(hand: MakeHand) -> Callable[..., Landmarks]:
    """``film(first, second, ...)``: what each hand does, a character for half a second: "s" it
    spells, "q" quickly, "h" it holds still, "f" it fidgets a little, "_" it is away. The detector
    trembles by half a pixel."""

    def make(*hands: str, sides: tuple[str, ...] = ("right", "left")) -> Landmarks:
        rng = np.random.default_rng(1)
        frames = int(len(hands[0]) * RATE / 2)
        points = np.full((frames, len(hands), 21, 3), np.nan, np.float32)
        for column, plan in enumerate(hands):
            for frame in range(frames):
                what, time = plan[int(frame * 2 / RATE)], frame / RATE
                swing, speed = {"s": (0.4, 2), "q": (0.8, 3), "f": (0.12, 1)}.get(what, (0.0, 0))
                if what != "_":
                    bend = swing * np.sin(2 * np.pi * speed * time)
                    points[frame, column] = hand(300 + 500 * column, 400, bend=bend)
        points += rng.normal(0, 0.5, points.shape) * [1, 1, 0]
        return fakes.seen_hands(points, RATE, sides[: len(hands)])

    return make


def plan_of(turns: list[Turn], frames: int) -> str:
    """The column that signs in the middle of each half second."""
    columns = signing_columns(turns, frames)
    return "".join("_" if c < 0 else str(c) for c in columns[7::15])


@pytest.mark.parametrize(
    ("hands", "signing"),
    [
        (("ssss",), "0000"),
        (("hhhh",), "0000"),  # the only hand is read, still or not
        (("ssss", "hhhh"), "0000"),
        (("hhhh", "ssss"), "1111"),
        (("ssssss__hh", "hhhhhhhhhh"), "000000__00"),  # the other hand has done nothing
        (("ss______", "____ssss"), "00__1111"),  # one after the other
        (("ssss____", "____ssss"), "00001111"),
        (("sssshhhhhhhh", "hhhhhhsssshh"), "000000111111"),
        (("ssssffffssss", "hhhhhhhhhhhh"), "000000000000"),
        (("sshhhhhhss", "hhhhffhhhh"), "0000000000"),  # a letter is held, the other hand fidgets
        (("ssssssssss", "____ss____"), "0000000000"),  # a gesture while the other spells
        (("hhhhhhhhhh", "___sss____"), "___111____"),  # idle all the time, but for the other hand
        (("__ss__ss__", "hhhhhhhhhh"), "__00__00__"),
        (("sshhhhss", "hhsssshh"), "00111100"),
    ],
)
def test_who_signs(film: Callable[..., Landmarks], hands: tuple[str, ...], signing: str) -> None:
    seen = film(*hands)
    turns = signing_turns(seen)
    assert all(one.last < two.first for one, two in pairwise(turns))
    found = plan_of(turns, len(seen.timestamps))
    # A hand at rest may be given the time before and after the other one's turn.
    assert len(found) == len(signing)
    busy = [n for n in range(len(signing)) if any(plan[n] in "sq" for plan in hands)]
    assert [found[n] for n in busy] == [signing[n] for n in busy], found
    if "s" not in "".join(hands) or "_" in signing:
        assert found == signing


def test_the_hand_that_is_asked_for(film: Callable[..., Landmarks]) -> None:
    seen = film("ssss__ss", "hhssss__")
    assert plan_of(signing_turns(seen, "right"), 120) == "0000__00"
    assert plan_of(signing_turns(seen, "left"), 120) == "111111__"
    rights = replace(seen, handedness=("right", "right"))
    assert signing_turns(rights, "left") == []
    unsure = replace(rights, handedness_score=(0.9, 0.6))
    assert {turn.column for turn in signing_turns(unsure, "left")} == {1}
    with pytest.raises(UsageError, match="both"):
        signing_turns(seen, "both")  # type: ignore[arg-type]


def test_two_who_sign_at_once_are_told(film: Callable[..., Landmarks]) -> None:
    (turn,) = signing_turns(film("qqqqqq", "hhqqqq"))
    assert turn.column == 0
    assert turn.rival == pytest.approx(2.0, abs=0.7)
    (alone,) = signing_turns(film("qqqqqq", "hhhhhh"))
    assert alone.rival == 0.0


def test_tracks_of_turns_make_up_the_recording(film: Callable[..., Landmarks]) -> None:
    seen = film("_ss___ss__", "____ss____")
    numbers = np.arange(seen.confidence[..., 0].size).reshape(*seen.confidence.shape[:2], 1)
    seen = replace(seen, vectors=np.broadcast_to(numbers, (*numbers.shape[:2], 1152)))
    turns = signing_turns(seen)
    tracks = turn_tracks(seen, turns)
    for turn, track in zip(turns, tracks, strict=True):
        inside = np.isin(seen.timestamps, track.timestamps)
        assert track.vectors is not None
        np.testing.assert_array_equal(track.vectors[:, 0], numbers[inside, turn.column, 0])
    assert [track.handedness for track in tracks] == ["right", "left", "right"]
    np.testing.assert_array_equal(
        np.concatenate([track.timestamps for track in tracks]), seen.timestamps
    )
    shown = np.concatenate([track.present for track in tracks])
    np.testing.assert_array_equal(shown, signing_columns(turns, len(shown)) >= 0)
    assert (seen.confidence > 0).any(axis=(1, 2)).sum() == shown.sum()


def test_no_hands(film: Callable[..., Landmarks]) -> None:
    assert signing_turns(film("____")) == []
    empty = Landmarks(np.zeros((5, 0, 21, 3)), np.zeros((5, 0, 21)), np.arange(5.0), 640, 480, ())
    assert signing_turns(empty) == []
    assert (signing_columns([], 3) == -1).all()
