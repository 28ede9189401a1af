"""Which detection belongs to which hand: trajectories by spatial proximity over time.

MediaPipe's left/right label flips from frame to frame, and its order of hands means nothing. So
detections of consecutive frames are joined by where they are, in units of the hand's own size, and
the label is voted over the whole trajectory (Fingerspelling paper, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.hands.detector import Detection, HandDetector
from chereme.hands.skeleton import KNUCKLES, WRIST, palm_size
from chereme.types import NUM_JOINTS, Frame, Handedness, Landmarks

PALM = (WRIST, *KNUCKLES)
# All distances are in palm lengths.
# Mean over the joints below which two detections are one hand: of the same side they would have to
# be two people's, of different sides they may be a signer's hands laid on each other.
DUPLICATE_SAME_SIDE = 0.8
DUPLICATE_OTHER_SIDE = 0.4
REACH = 2.5  # how far a palm may be from where it was expected, one frame later
REACH_PER_SECOND = 8.0  # and how much farther for each second that it was not seen
MAX_REACH = 5.0
# What a label against the track's vote costs when both are certain. It only tips the balance
# between tracks that lie about equally near, as when hands touch; a doubtful label weighs nothing.
LABEL_COST = 1.0
MEMORY = 1.0  # seconds after which a hand that was not seen is a new fragment
SAME_HAND_SHARE = 0.7  # a vote that is clear enough to join or part fragments that lie apart
MAX_FRAGMENTS = 64
# What MediaPipe takes for a hand and is none, an ear mostly, has no side: its label flips, with low
# scores. Measured mean scores: hands 0.95 and more, ears 0.68.
NO_SIDE_SCORE = 0.75
NO_SIDE_SHARE = 0.75


class _Track:
    """One trajectory, or a fragment of one. Keeps arrays of floats only."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.times: list[float] = []
        self.landmarks: list[NDArray[np.float32]] = []
        self.world: list[NDArray[np.float32]] = []
        self.right = 0.0
        self.left = 0.0
        self.velocity = np.zeros(2)

    def add(self, frame: int, time: float, detection: Detection) -> None:
        centre = _centre(detection.landmarks)
        if self.times and time - self.times[-1] <= 0.1:
            step = (centre - self.centre) / (time - self.times[-1])
            self.velocity = 0.5 * self.velocity + 0.5 * step
        else:
            self.velocity = np.zeros(2)
        self.frames.append(frame)
        self.times.append(time)
        self.landmarks.append(detection.landmarks)
        self.world.append(detection.world_landmarks)
        if detection.handedness == "right":
            self.right += detection.score
        else:
            self.left += detection.score

    @property
    def centre(self) -> NDArray[np.float64]:
        return _centre(self.landmarks[-1])

    @property
    def size(self) -> float:
        return float(palm_size(self.landmarks[-1]))

    def expected(self, time: float) -> NDArray[np.float64]:
        """Where the palm should be: it goes on for a tenth of a second, then stays."""
        return self.centre + self.velocity * min(time - self.times[-1], 0.1)

    def vote(self) -> tuple[Handedness, float]:
        total = self.right + self.left
        if self.right == self.left:
            return "unknown", 0.5
        winner: Handedness = "right" if self.right > self.left else "left"
        return winner, max(self.right, self.left) / total

    def is_hand(self) -> bool:
        score = (self.right + self.left) / len(self.frames)
        return score >= NO_SIDE_SCORE or self.vote()[1] >= NO_SIDE_SHARE

    def join(self, later: _Track) -> None:
        for name in ("frames", "times", "landmarks", "world"):
            getattr(self, name).extend(getattr(later, name))
        self.right += later.right
        self.left += later.left
        self.velocity = later.velocity


class HandTracker:
    """Joins the detections of a recording, frame by frame, into at most ``max_tracks`` hands."""

    def __init__(self, width: int, height: int, *, max_tracks: int = 4) -> None:
        self._width = width
        self._height = height
        self._max_tracks = max_tracks
        self._tracks: list[_Track] = []
        self._timestamps: list[float] = []

    def update(self, detections: Sequence[Detection], timestamp: float) -> None:
        """The next frame's detections (none: ``[]``), at ``timestamp`` seconds."""
        frame = len(self._timestamps)
        self._timestamps.append(timestamp)
        hands = _without_duplicates(detections)
        live = [track for track in self._tracks if timestamp - track.times[-1] <= MEMORY]
        costs = np.array(
            [[_distance(track, hand, timestamp) for track in live] for hand in hands]
        ).reshape(len(hands), len(live))
        for hand, chosen in zip(hands, _assign(costs), strict=True):
            if chosen is None:
                self._tracks.append(_Track())
            track = self._tracks[-1] if chosen is None else live[chosen]
            track.add(frame, timestamp, hand)
        if len(self._tracks) > MAX_FRAGMENTS:
            self._tracks = _merged(self._tracks)
            self._tracks.sort(key=lambda track: len(track.frames), reverse=True)
            del self._tracks[MAX_FRAGMENTS // 2 :]

    def finish(self) -> Landmarks:
        """The hands seen, the longest-seen first; ``H`` is 0 if there were none.

        Left out as false alarms are those that were seen in very few frames (less than an eighth of
        a short recording, four in a long one) and those that seem neither left nor right.
        """
        fewest = max(1, min(4, len(self._timestamps) // 8))
        tracks = [
            track
            for track in _merged(self._tracks)
            if len(track.frames) >= fewest and track.is_hand()
        ]
        tracks.sort(key=lambda track: len(track.frames), reverse=True)
        tracks = tracks[: self._max_tracks]
        shape = (len(self._timestamps), len(tracks), NUM_JOINTS)
        landmarks = np.full((*shape, 3), np.nan, np.float32)
        world = np.full((*shape, 3), np.nan, np.float32)
        confidence = np.zeros(shape, np.float32)
        for column, track in enumerate(tracks):
            landmarks[track.frames, column] = track.landmarks
            world[track.frames, column] = track.world
            # Choice: MediaPipe Tasks gives no score per joint; a hand that it reports is seen.
            confidence[track.frames, column] = 1.0
        votes = [track.vote() for track in tracks]
        return Landmarks(
            landmarks=landmarks,
            confidence=confidence,
            timestamps=np.array(self._timestamps, np.float64),
            width=self._width,
            height=self._height,
            handedness=tuple(side for side, _ in votes),
            handedness_score=tuple(share for _, share in votes),
            world_landmarks=world,
        )


def track_hands(
    frames: Iterable[Frame], detector: HandDetector, *, max_tracks: int = 4
) -> Landmarks:
    """Find and follow the hands of a recording: ``(T, H, 21, 3)`` with one H per hand.

    Keeps landmarks, never pictures. ``detector`` is reset first. Raises ``InputError`` if there
    are no frames.
    """
    tracker: HandTracker | None = None
    detector.reset()
    for frame in frames:
        if tracker is None:
            height, width = frame.image.shape[:2]
            tracker = HandTracker(width, height, max_tracks=max_tracks)
        tracker.update(detector.detect(frame.image, frame.timestamp), frame.timestamp)
    if tracker is None:
        raise InputError("expected at least one frame to look for hands in, got none")
    return tracker.finish()


def _centre(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    centre: NDArray[np.float64] = landmarks[PALM, :2].astype(np.float64).mean(axis=0)
    return centre


def _distance(track: _Track, hand: Detection, time: float) -> float:
    """Cost of a match: palm to expected palm in palm lengths; infinite where out of reach."""
    size = max(track.size, float(palm_size(hand.landmarks)))
    distance = float(np.linalg.norm(_centre(hand.landmarks) - track.expected(time))) / size
    reach = min(REACH + REACH_PER_SECOND * (time - track.times[-1]), MAX_REACH)
    if distance > reach:
        return np.inf
    side, share = track.vote()
    certainty = (2 * share - 1) * (2 * hand.score - 1)
    return distance + (LABEL_COST * max(certainty, 0.0) if side != hand.handedness else 0.0)


def _without_duplicates(detections: Sequence[Detection]) -> list[Detection]:
    """MediaPipe now and then reports one hand twice, at times as a left and a right one."""
    kept: list[Detection] = []
    for hand in sorted(detections, key=lambda detection: -detection.score):
        if not any(_duplicates(hand, other) for other in kept):
            kept.append(hand)
    return kept


def _duplicates(hand: Detection, other: Detection) -> bool:
    apart = np.linalg.norm((hand.landmarks - other.landmarks)[:, :2], axis=1).mean()
    same = hand.handedness == other.handedness
    limit = DUPLICATE_SAME_SIDE if same else DUPLICATE_OTHER_SIDE
    return bool(apart <= limit * float(palm_size(hand.landmarks)))


def _assign(costs: NDArray[np.float64]) -> list[int | None]:
    """For each row (hand) a column (track) of its own or None: most pairs first, then least cost.

    Exhaustive: there are as many rows as hands in a picture.
    """
    best: tuple[int, float, list[int | None]] = (-1, 0.0, [])

    def extend(chosen: list[int | None], total: float) -> None:
        nonlocal best
        row = len(chosen)
        if row == len(costs):
            pairs = sum(column is not None for column in chosen)
            if (pairs, -total) > (best[0], -best[1]):
                best = (pairs, total, chosen)
            return
        for column in np.flatnonzero(np.isfinite(costs[row])):
            if int(column) not in chosen:
                extend([*chosen, int(column)], total + float(costs[row, column]))
        extend([*chosen, None], total)

    extend([], 0.0)
    return best[2]


def _merged(tracks: Sequence[_Track]) -> list[_Track]:
    """Join fragments, in the order of time, that are plausibly one hand."""
    whole: list[_Track] = []
    for later in sorted(tracks, key=lambda track: track.times[0]):
        candidates = [track for track in whole if _plausibly_same(track, later)]
        if candidates:
            nearest = min(
                candidates,
                key=lambda track: float(np.linalg.norm(track.centre - _centre(later.landmarks[0]))),
            )
            nearest.join(later)
        else:
            whole.append(later)
    return whole


def _plausibly_same(earlier: _Track, later: _Track) -> bool:
    """One after the other, of like size, and either of the same side for certain or close by and
    not of opposite sides for certain."""
    if earlier.frames[-1] >= later.frames[0]:
        return False
    sizes = earlier.size, float(palm_size(later.landmarks[0]))
    if max(sizes) > 2.5 * min(sizes):
        return False
    (side, share), (other_side, other_share) = earlier.vote(), later.vote()
    if (
        min(share, other_share) >= SAME_HAND_SHARE
        and min(len(earlier.frames), len(later.frames)) > 2
    ):
        return side == other_side
    distance = float(np.linalg.norm(earlier.centre - _centre(later.landmarks[0]))) / max(sizes)
    return distance <= MAX_REACH
