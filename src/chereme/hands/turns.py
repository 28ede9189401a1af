"""Which hand signs when, in a recording of any length.

The fingerspelling paper (section 3.1) takes the hand with the most motion, of a clip of one word.
In a long recording hands change and people take turns, so the same statistic is compared stretch by
stretch: a turn is a time in which one hand signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.hands.signing import activity, columns_of, hand_tracks
from chereme.types import HandTrack, Landmarks

MAX_GAP = 0.5  # seconds
# What it costs to pass from a hand that is there to another, in the units of activity: as much as
# the hand moved in the half seconds before and after, and a fraction of what it moved in ten
# seconds. So a hand that spells, or holds a letter, is left for one that does more, not for a
# fidget; a hand that has not moved is left at once.
NEAR, AROUND = 0.5, 5.0  # seconds on both sides
AROUND_FRACTION = 0.1
# While no hand does more than this a second, it is the turn of the one that moved most in the
# minute around: a letter may be held.
RESTING_RATE, MINUTE = 0.05, 30.0
SEEN = 1e-6  # of each frame in which a hand is seen
# A hand that was there while another signed must move this much of what that one did, in the same
# time, to be read when it is alone: an idle hand does not sign because the other one left.
IDLE_FRACTION = 0.1
# Activity a second of a hand that spells: 0.2 (slowly) to 3.5 (quickly), of one at rest: 0.02.
SIGNING_RATE = 0.2
RIVAL_FRACTION = 0.6  # of the signing hand's activity, from which on another hand may sign as well


@dataclass(frozen=True, slots=True)
class Turn:
    """A time in which the hand of one ``column`` signs: from frame ``first`` to frame ``last``, in
    which it was seen. ``rival``: seconds of it in which another hand moved about as much."""

    column: int
    first: int
    last: int
    rival: float = 0.0

    def rival_fraction(self, times: NDArray[np.floating[Any]]) -> float:
        """``rival`` as a fraction of the turn; ``times (T,)``: seconds of the frames."""
        seconds = float(times[self.last] - times[self.first])
        return min(self.rival / seconds, 1.0) if seconds > 0 else 0.0


def signing_turns(
    landmarks: Landmarks,
    hand: Literal["auto", "left", "right"] = "auto",
    *,
    max_gap: float = MAX_GAP,
) -> list[Turn]:
    """The turns of a recording, in the order of time; they do not overlap.

    ``auto``: of the hands that are seen at a time the one that moves most, unless it moves no
    more than what is worth a change of hands. ``left`` and ``right``: of the signer's hands of that
    side, or, if there is none at all, of those whose side the detector was unsure of. A hand that
    was not seen for more than ``max_gap`` seconds has left, and ends its turn.
    """
    tracks = hand_tracks(landmarks)
    columns = columns_of(tracks, hand)
    if not columns:
        return []
    times = landmarks.timestamps
    there = np.stack([_there(tracks[c], max_gap) for c in columns], axis=1)
    moved = np.stack([activity(tracks[c]) for c in columns], axis=1)
    chosen = _choose(there, moved + _preference(there, moved, times), times)
    rates = _sums_around(moved, times, NEAR) / (2 * NEAR)
    away = [np.flatnonzero(~column) for column in there.T]
    turns = []
    for first, last in _stretches(chosen):
        place, turn = int(chosen[first]), slice(first, last + 1)
        seen = first + np.flatnonzero(tracks[columns[place]].present[turn])
        if len(seen) and not _is_idle(turn, place, away[place], rates, chosen):
            rival = _rival_seconds(turn, place, there, rates, times)
            turns.append(Turn(columns[place], int(seen[0]), int(seen[-1]), rival))
    return turns


def turn_tracks(landmarks: Landmarks, turns: Sequence[Turn]) -> list[HandTrack]:
    """For each turn the track of its hand, seen in the turn alone.

    A track goes on until the next turn begins, the first from the beginning of the recording, the
    last to its end: one after the other they are as long as the recording.
    """
    tracks = hand_tracks(landmarks)
    begins = [0, *(turn.first for turn in turns[1:]), len(landmarks.timestamps)]
    found = []
    for turn, (begin, end) in zip(turns, pairwise(begins), strict=True):
        part = tracks[turn.column].part(begin, end - 1)
        confidence = np.zeros_like(part.confidence)
        shown = slice(turn.first - begin, turn.last - begin + 1)
        confidence[shown] = part.confidence[shown]
        found.append(replace(part, confidence=confidence))
    return found


def signing_columns(turns: Sequence[Turn], frames: int) -> NDArray[np.intp]:
    """``(frames,)``: the column of the hand that signs in each frame, -1 where none does."""
    columns = np.full(frames, -1)
    for turn in turns:
        columns[turn.first : turn.last + 1] = turn.column
    return columns


def _there(track: HandTrack, max_gap: float) -> NDArray[np.bool_]:
    """Where the hand is seen, or was and will be again after ``max_gap`` seconds at most,
    beyond the one frame that is usual."""
    there, times = track.present.copy(), track.timestamps
    frame = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    seen = np.flatnonzero(there)
    for before, after in pairwise(seen):
        if after - before > 1 and times[after] - times[before] - frame <= max_gap + 1e-6:
            there[before:after] = True
    return there


def _preference(
    there: NDArray[np.bool_], moved: NDArray[np.float64], times: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """``(T, H)``: what tips the balance between hands that rest, in the units of ``moved``."""
    around = _sums_around(moved, times, MINUTE) + SEEN * _sums_around(
        there.astype(np.float64), times, MINUTE
    )
    fraction = around / np.maximum(around.sum(axis=1, keepdims=True), 1e-12)
    steps = np.diff(times, prepend=times[:1])
    preference: NDArray[np.float64] = there * (RESTING_RATE * steps[:, None] * fraction + 1e-12)
    return preference


def _choose(
    there: NDArray[np.bool_], moved: NDArray[np.float64], times: NDArray[np.floating[Any]]
) -> NDArray[np.intp]:
    """``(T,)``: of the hands that are ``there (T, H)`` the one that signs, -1 where none is.

    The choice with the most activity ``moved (T, H)`` in all, less the costs of changes (Viterbi).
    """
    cost = _sums_around(moved, times, NEAR) + AROUND_FRACTION * _sums_around(moved, times, AROUND)
    # Only a hand that goes on being there is left at a cost.
    cost[1:][~(there[1:] & there[:-1])] = 0.0
    value = np.zeros(there.shape[1])
    came_from = np.tile(np.arange(there.shape[1]), (len(there), 1))
    for t in np.flatnonzero(there.any(axis=1)).tolist():
        left = value - cost[t]
        best = int(left.argmax())
        changes = left[best] > value
        came_from[t, changes] = best
        value = np.where(there[t], np.where(changes, left[best], value) + moved[t], -np.inf)
    chosen = np.full(len(there), -1)
    place = int(value.argmax())
    for t in range(len(there) - 1, -1, -1):
        if there[t].any():
            chosen[t] = place
            place = int(came_from[t, place])
    return chosen


def _stretches(chosen: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """First and last frames in which one hand was chosen and there without a break."""
    ends = np.flatnonzero(np.diff(chosen)) + 1  # where a hand is away, -1 lies between
    for first, stop in pairwise([0, *ends.tolist(), len(chosen)]):
        if chosen[first] >= 0:
            yield first, stop - 1


def _is_idle(
    turn: slice,
    place: int,
    away: NDArray[np.intp],
    rates: NDArray[np.float64],
    chosen: NDArray[np.intp],
) -> bool:
    """Whether a hand is only left over: it was there while another one signed, and moves little.

    ``away``: the frames in which it is not there.
    """
    index = int(np.searchsorted(away, turn.start))
    begin = int(away[index - 1]) + 1 if index else 0
    end = int(away[index]) if index < len(away) else len(chosen)
    passed_over = begin + np.flatnonzero(chosen[begin:end] != place)
    if not len(passed_over):
        return False
    most = rates[passed_over, chosen[passed_over]].max()
    return bool(rates[turn, place].max() < IDLE_FRACTION * most)


def _rival_seconds(
    turn: slice,
    place: int,
    there: NDArray[np.bool_],
    rates: NDArray[np.float64],
    times: NDArray[np.floating[Any]],
) -> float:
    others = np.delete(np.where(there[turn], rates[turn], 0.0), place, axis=1)
    own = rates[turn, place]
    if not others.shape[1]:
        return 0.0
    both = (own > SIGNING_RATE) & (others.max(axis=1) > RIVAL_FRACTION * own)
    return float(np.diff(times[turn], prepend=times[turn][:1])[both].sum())


def _sums_around(
    values: NDArray[np.float64], times: NDArray[np.floating[Any]], reach: float
) -> NDArray[np.float64]:
    """``(T, H)``: sums of ``values`` in the ``reach`` seconds before and after each frame."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    first = np.searchsorted(times, times - reach)
    last = np.searchsorted(times, times + reach, side="right")
    around: NDArray[np.float64] = sums[last] - sums[first]
    return around
