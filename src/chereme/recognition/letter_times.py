"""When letters are signed: from where the networks emit them to the moves of the hand.

CTC emits a letter for an instant, somewhere in its hold and mostly near the end of it. Between two
letters that it emits the hand goes from the one to the other. The earlier letter ends where the
hand leaves it; the later one begins half-way, where the hand is nearer to it than to the one
before. So ``chereme.synthesis`` defines the times of what it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from chereme.decoding.moves import Floats, Move, find_move, find_return
from chereme.hands.normalise import resample
from chereme.hands.skeleton import palm_size
from chereme.types import NUM_JOINTS, HandTrack, Token

MOVING = "jz"
"""Letters that are drawn: the stroke is a part of them, in which the hand keeps its shape."""

_RATE = 60.0  # a second, at which moves are looked for
_LONG, _COARSE = 20.0, 10.0  # seconds; what is longer is looked through at this rate first
_NEAR = 1.5  # seconds on either side of what was found so
_SHORTEST = 0.02  # seconds of a letter
_CHANGED = 0.3  # palms that the hand moves, at least, where it begins to spell or stops
_PAIRS = np.triu_indices(NUM_JOINTS, 1)

Find = Callable[[Floats, Floats], Move | None]
View = Callable[[Floats, float], Floats]
"""Landmarks ``(N, 21, 3)`` of a hand of that palm -> numbers ``(N, D)`` whose Euclidean distance is
about that of a joint, in palms."""


def letter_times(tokens: Sequence[Token], track: HandTrack, end: float) -> tuple[Token, ...]:
    """``tokens`` of one segment with the times of the letters instead of those at which a network
    emits them; text and probabilities stay.

    ``track``: the segment, as a right hand; ``end``: the seconds at which its last frame does.
    Letters stay in order, never overlap, and lie inside of the segment.
    """
    hand = _Hand(track)
    if not tokens or not len(hand.times):
        return tuple(tokens)
    emitted = [(token.start + token.end) / 2 for token in tokens]
    start = _begun(hand, tokens[0].text, emitted[0])
    timed = []
    for (token, after), until in zip(pairwise(tokens), emitted[1:], strict=True):
        begin = max(token.start, start + _SHORTEST)
        if token.text == after.text:
            move = hand.move(find_return, _placed, begin, until)
            # A drawn letter begins again when the hand is back where the stroke begins.
            share = 0.25 if token.text in MOVING else 0.75
        else:
            view = _shape if after.text in MOVING else _joints
            move, share = hand.move(find_move, view, begin, until), 0.5
        if move is None:
            left, come = token.end, max(token.end, after.start)
        else:
            left, come = move.start, move.at(share)
        timed.append(replace(token, start=start, end=left))
        start = come
    last = tokens[-1]
    end = _left(hand, max(last.start, start + _SHORTEST), end)
    return (*timed, replace(last, start=start, end=end))


def _begun(hand: _Hand, letter: str, emitted: float) -> float:
    """When the hand has come half-way to the first letter: by the last of its moves before it."""
    begun = after = float(hand.first)
    view, later = (_shape, _shape) if letter in MOVING else (_placed, _joints)
    while (move := hand.move(find_move, view, after, emitted)) and move.size > _CHANGED:
        begun, after, view = move.at(0.5), move.end, later
    return begun


def _left(hand: _Hand, emitted: float, end: float) -> float:
    """When the hand leaves the last letter: by the first of its moves after it, or not."""
    view = _placed
    while (move := hand.move(find_move, view, emitted, end)) and move.size > _CHANGED:
        end, view = move.start, _joints
    return end


class _Hand:
    """A hand where it was seen, ``times (T,)``; between it goes straight."""

    def __init__(self, track: HandTrack) -> None:
        seen = track.present & np.isfinite(track.landmarks).all(axis=(1, 2))
        self.first = track.timestamps[0]
        self.times = track.timestamps[seen].astype(np.float64)
        self._landmarks = track.landmarks[seen]
        self._palm = float(np.median(_palms(self._landmarks))) if seen.any() else 1.0

    def move(self, find: Find, view: View, start: float, end: float) -> Move | None:
        """What ``find`` finds from ``start`` to ``end``."""
        if end - start > _LONG:
            found = find(*self._seen(view, start, end, _COARSE))
            if found is None:
                return None
            middle = found.at(0.5)
            start, end = max(start, middle - _NEAR), min(end, middle + _NEAR)
        return find(*self._seen(view, start, end, _RATE))

    def _seen(self, view: View, start: float, end: float, rate: float) -> tuple[Floats, Floats]:
        end = max(start, min(end, float(self.times[-1])))
        at: Floats = np.linspace(start, end, int(np.ceil((end - start) * rate)) + 1)
        low, high = np.searchsorted(self.times, [start, end])
        near = slice(max(0, low - 1), high + 1)
        times = self.times[near]
        points, _ = resample(self._landmarks[near], np.ones(len(times), bool), times, at)
        return at, view(points, self._palm)


def _palms(points: Floats) -> Floats:
    sizes: Floats = np.maximum(palm_size(points.astype(np.float64)), 1e-6)
    return sizes


def _joints(points: Floats, palm: float) -> Floats:
    """About the wrist."""
    about = (points[:, 1:] - points[:, :1]) / _palms(points)[:, None, None]
    joints: Floats = about.reshape(len(points), 3 * (NUM_JOINTS - 1)) / np.sqrt(NUM_JOINTS - 1)
    return joints


def _placed(points: Floats, palm: float) -> Floats:
    """About the wrist, and where the wrist is."""
    return np.concatenate([_joints(points, palm), points[:, 0] / palm], axis=1)


def _shape(points: Floats, palm: float) -> Floats:
    """Distances of joints from each other, however the hand is turned."""
    between = np.linalg.norm(points[:, _PAIRS[0]] - points[:, _PAIRS[1]], axis=-1)
    shape: Floats = between / _palms(points)[:, None] / np.sqrt(between.shape[1])
    return shape
