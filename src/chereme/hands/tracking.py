"""Which detection belongs to which hand: trajectories by spatial proximity over time.

A detector's left/right label flips from frame to frame, and its order of hands means nothing. So
detections of consecutive frames are joined by where they are, in units of the hand's own size, and
the label is voted over the whole trajectory (Fingerspelling paper, section 3.1).

In a long recording hands leave and come back, people take turns, and films are cut. A trajectory
that was not seen for a second is finished and put aside. In the end the trajectories of one side
share the columns of ``Landmarks``: one after the other, far enough apart in time to be read apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.hands.cuts import CutFinder
from chereme.hands.detector import Detection, HandDetector, without_duplicates
from chereme.hands.skeleton import KNUCKLES, WRIST, palm_size
from chereme.types import NUM_JOINTS, VECTOR_SIZE, Frame, Handedness, Landmarks

PALM = (WRIST, *KNUCKLES)
Vote = tuple[Handedness, float]  # and the fraction of the votes for it, 0.5..1
# All distances are in palm lengths.
REACH = 2.5  # how far a palm may be from where it was expected, one frame later
REACH_PER_SECOND = 8.0  # and how much farther for each second that it was not seen
MAX_REACH = 5.0
# What a label against the track's vote costs when both are certain. It only tips the balance
# between tracks that lie about equally near, as when hands touch; a doubtful label weighs nothing.
LABEL_COST = 1.0
# After so many seconds unseen, what is certain to be of the other side is another hand.
ANOTHER_AFTER, CERTAIN = 0.3, 0.8
MEMORY = 1.0  # seconds after which a hand that was not seen is a new fragment
SAME_HAND_FRACTION = 0.7  # a vote that is clear enough to join or part fragments that lie apart
AWAY = 10.0  # seconds after which a hand that comes back is voted on anew
# No hand goes beyond MAX_REACH between two frames: of what is there at once the film was cut.
AT_ONCE = 0.1
SURE_FRACTION = 0.8  # of the vote: hands that are sure to be of a side share no column with others
# What the detector takes for a hand and is none, an ear mostly, has no side: its label flips, with
# low scores. Measured mean scores: hands 0.95 and more, ears 0.68.
NO_SIDE_SCORE = 0.75
NO_SIDE_FRACTION = 0.75
_SIGHTS = ("frames", "times", "landmarks", "world", "vectors")  # of a Fragment, one a frame


class Fragment:
    """One trajectory without long gaps: ``frames`` in which the hand was seen, their ``times`` in
    seconds, and its ``landmarks (21, 3)`` in each, in pixels; its ``vectors``, if they are kept.
    ``seen``: the frames in which it was, with those that were taken away (:meth:`part`). Keeps
    arrays of floats only."""

    def __init__(self, shot: int) -> None:
        self.shot = shot
        self.seen = 0
        self.frames: list[int] = []
        self.times: list[float] = []
        self.landmarks: list[NDArray[np.float32]] = []
        self.world: list[NDArray[np.float32]] = []
        self.vectors: list[NDArray[np.float16] | None] = []
        self.right = 0.0
        self.left = 0.0
        self.velocity = np.zeros(2)
        self.last_time = -np.inf
        self.last = np.zeros((NUM_JOINTS, 3), np.float32)

    def add(self, frame: int, time: float, detection: Detection, *, vector: bool) -> None:
        """The hand is seen in another frame; ``vector``: keep its vector too."""
        if time - self.last_time <= 0.1:
            step = (_centre(detection.landmarks) - self.centre) / (time - self.last_time)
            self.velocity = 0.5 * self.velocity + 0.5 * step
        else:
            self.velocity = np.zeros(2)
        self.seen += 1
        self.last_time, self.last = time, detection.landmarks
        self.frames.append(frame)
        self.times.append(time)
        self.landmarks.append(detection.landmarks)
        self.world.append(detection.world_landmarks)
        if vector:
            given = detection.vector
            self.vectors.append(None if given is None else given.astype(np.float16))
        if detection.handedness == "right":
            self.right += detection.score
        else:
            self.left += detection.score

    def part(self, first: int, stop: int) -> Fragment:
        """What was seen of it from frame ``first`` up to ``stop``; the votes are those of all."""
        part = copy(self)
        chosen = slice(bisect_left(self.frames, first), bisect_left(self.frames, stop))
        for name in _SIGHTS:
            setattr(part, name, getattr(self, name)[chosen])
        if part.times:
            part.last_time, part.last = part.times[-1], part.landmarks[-1]
        return part

    def forget(self, stop: int) -> None:
        """Let go what was seen before frame ``stop``, but for the votes and the last sight."""
        count = bisect_left(self.frames, stop)
        for name in _SIGHTS:
            del getattr(self, name)[:count]

    @property
    def centre(self) -> NDArray[np.float64]:
        return _centre(self.last)

    @property
    def size(self) -> float:
        return float(palm_size(self.last))

    def expected(self, time: float) -> NDArray[np.float64]:
        """Where the palm should be: it goes on for a tenth of a second, then stays."""
        return self.centre + self.velocity * min(time - self.last_time, 0.1)

    def vote(self) -> Vote:
        """The side that it was taken for so far."""
        return _vote(self.right, self.left)


class _Hand:
    """Fragments, one after the other, that are plausibly one hand."""

    def __init__(self, first: Fragment) -> None:
        self.fragments = [first]
        self.seen = first.seen
        self.right, self.left = first.right, first.left

    def join(self, later: Fragment) -> None:
        self.fragments.append(later)
        self.seen += later.seen
        self.right += later.right
        self.left += later.left

    @property
    def last(self) -> Fragment:
        return self.fragments[-1]

    def vote(self) -> Vote:
        return _vote(self.right, self.left)

    def is_hand(self) -> bool:
        score = (self.right + self.left) / self.seen
        return score >= NO_SIDE_SCORE or self.vote()[1] >= NO_SIDE_FRACTION


class _Column:
    """Trajectories that share a column of ``Landmarks``; ``sure``: of their side."""

    def __init__(self, side: Handedness, sure: bool) -> None:
        self.side, self.sure = side, sure
        self.fragments: list[Fragment] = []
        self.seen = 0
        self.right = 0.0
        self.left = 0.0

    def add(self, fragment: Fragment) -> None:
        self.fragments.append(fragment)
        self.seen += len(fragment.frames)
        self.right += fragment.right
        self.left += fragment.left

    def is_free(self, fragment: Fragment, distance: float = 0.0) -> bool:
        """Whether all that is in it ended more than ``distance`` seconds before ``fragment``."""
        last = self.fragments[-1]
        return (
            last.frames[-1] < fragment.frames[0] and fragment.times[0] - last.times[-1] > distance
        )


class HandTracker:
    """Joins the detections of a recording, frame by frame, into hands.

    ``max_tracks``: columns of the result at most; what no column has room for is left out, as where
    more hands than these are seen at one time. ``vectors``: the result has those of the detections,
    if there are any. ``begins (T, H)``, known when it has finished: where another trajectory begins
    in a column of the result.
    """

    def __init__(
        self, width: int, height: int, *, max_tracks: int = 8, vectors: bool = False
    ) -> None:
        self._width = width
        self._height = height
        self._max_tracks = max_tracks
        self._vectors = vectors
        self._live: list[Fragment] = []
        self._finished: list[Fragment] = []
        self._first = 0  # number of the first frame that is held
        self._timestamps: list[float] = []
        self._shot = 0
        self.begins = np.zeros((0, 0), bool)

    @property
    def timestamps(self) -> Sequence[float]:
        """Seconds of the frames that are held: of all so far that were not taken."""
        return self._timestamps

    @property
    def live(self) -> Sequence[Fragment]:
        """Those that may go on."""
        return self._live

    def cut(self) -> None:
        """The next frame begins another shot: no hand goes on into it."""
        self._shot += 1
        self._finished += self._live
        self._live = []

    def update(self, detections: Sequence[Detection], timestamp: float) -> None:
        """The next frame's detections (none: ``[]``), at ``timestamp`` seconds."""
        frame = self._first + len(self._timestamps)
        self._timestamps.append(timestamp)
        hands = without_duplicates(detections)
        past = [fragment for fragment in self._live if timestamp - fragment.last_time > MEMORY]
        if past:
            self._finished += past
            self._live = [fragment for fragment in self._live if fragment not in past]
        live = list(self._live)
        costs = np.array(
            [[_distance(fragment, hand, timestamp) for fragment in live] for hand in hands]
        ).reshape(len(hands), len(live))
        for hand, chosen in zip(hands, _assign(costs), strict=True):
            if chosen is None:
                self._live.append(Fragment(self._shot))
            fragment = self._live[-1] if chosen is None else live[chosen]
            fragment.add(frame, timestamp, hand, vector=self._vectors)

    def finish(self) -> Landmarks:
        """The hands of all frames that are held, as :meth:`take` gives them."""
        landmarks, self.begins = self._laid_out(self._first, self._first + len(self._timestamps))
        return landmarks

    def take(self, frames: int) -> Landmarks:
        """The hands seen in the first ``frames`` that are held, the longest-seen column first;
        ``H`` is 0 if there were none. These frames are let go: what follows is another result, in
        which a hand that goes on keeps the votes for its side.

        Left out as false alarms are those that were seen in very few frames (less than an eighth of
        a short result, four in a long one) and those that seem neither left nor right.
        """
        taken, _ = self._laid_out(self._first, self._first + frames)
        self.forget(frames)
        return taken

    def forget(self, frames: int) -> None:
        """Let go of what was seen in the first ``frames`` that are held, but for the votes."""
        self._first += frames
        self._timestamps = self._timestamps[frames:]
        for fragment in (*self._finished, *self._live):
            fragment.forget(self._first)
        self._finished = [fragment for fragment in self._finished if fragment.frames]

    def latest(self, since: float) -> Landmarks:
        """The hands of the frames from ``since`` seconds on that are held, as :meth:`take` gives
        them, which go on being held."""
        first = self._first + bisect_left(self._timestamps, since)
        return self._laid_out(first, self._first + len(self._timestamps))[0]

    def _laid_out(self, first: int, stop: int) -> tuple[Landmarks, NDArray[np.bool_]]:
        """The hands of the frames from ``first`` up to ``stop``, and where trajectories begin."""
        count = stop - first
        every = [fragment.part(first, stop) for fragment in (*self._finished, *self._live)]
        hands = [
            hand
            for hand in _merged([fragment for fragment in every if fragment.frames])
            if hand.seen >= max(1, min(4, count // 8)) and hand.is_hand()
        ]
        columns = _columns(hands, self._max_tracks)
        columns.sort(key=lambda column: column.seen, reverse=True)
        shape = (count, len(columns), NUM_JOINTS)
        landmarks = np.full((*shape, 3), np.nan, np.float32)
        world = np.full((*shape, 3), np.nan, np.float32)
        confidence = np.zeros(shape, np.float32)
        begins = np.zeros(shape[:2], bool)
        # Column by column: where no hand is seen, zeros that nobody has written take no memory.
        vectors = np.zeros((len(columns), count, VECTOR_SIZE), np.float16)
        for number, column in enumerate(columns):
            for fragment in column.fragments:
                frames = [frame - first for frame in fragment.frames]
                landmarks[frames, number] = fragment.landmarks
                world[frames, number] = fragment.world
                # Choice: the detector has no score per joint; a hand that it reports is seen.
                confidence[frames, number] = 1.0
                begins[frames[0], number] = True
                for frame, vector in zip(frames, fragment.vectors, strict=False):
                    if vector is not None:
                        vectors[number, frame] = vector
        known = any(vector is not None for fragment in every for vector in fragment.vectors)
        votes = [_vote(column.right, column.left) for column in columns]
        laid_out = Landmarks(
            landmarks=landmarks,
            confidence=confidence,
            timestamps=np.array(self._timestamps[first - self._first : stop - self._first]),
            width=self._width,
            height=self._height,
            handedness=tuple(side for side, _ in votes),
            handedness_score=tuple(fraction for _, fraction in votes),
            world_landmarks=world,
            vectors=vectors.swapaxes(0, 1) if known else None,
        )
        return laid_out, begins


class FrameTracker:
    """Follows the hands of a film from picture to picture: ``detector`` finds them, and is reset
    first and at cuts. ``max_tracks``, ``vectors``: of the tracker, ``hands``, which is there after
    the first picture. ``detections`` are those of the last one. Keeps no pictures."""

    def __init__(
        self, detector: HandDetector, *, max_tracks: int = 8, vectors: bool = False
    ) -> None:
        self.hands: HandTracker | None = None
        self.detections: list[Detection] = []
        self._detector, self._max_tracks, self._vectors = detector, max_tracks, vectors
        self._cuts = CutFinder()
        detector.reset()

    def update(self, frame: Frame) -> HandTracker:
        """The tracker, after it has seen the next frame."""
        if self.hands is None:
            height, width = frame.image.shape[:2]
            self.hands = HandTracker(
                width, height, max_tracks=self._max_tracks, vectors=self._vectors
            )
        if self._cuts.is_cut(frame.image):
            self.hands.cut()
            self._detector.reset()
        self.detections = self._detector.detect(frame.image, frame.timestamp)
        self.hands.update(self.detections, frame.timestamp)
        return self.hands


Watch = Callable[[Frame, HandTracker], None]


def follow_hands(
    frames: Iterable[Frame],
    detector: HandDetector,
    *,
    max_tracks: int = 8,
    vectors: bool = False,
    watch: Watch | None = None,
) -> HandTracker:
    """A tracker that has seen the hands of all ``frames``, see :class:`FrameTracker`.

    ``watch`` is given each frame after the tracker has seen it. Raises ``InputError`` if there are
    no frames.
    """
    tracker = FrameTracker(detector, max_tracks=max_tracks, vectors=vectors)
    for frame in frames:
        hands = tracker.update(frame)
        if watch is not None:
            watch(frame, hands)
    if tracker.hands is None:
        raise InputError("expected at least one frame to look for hands in, got none")
    return tracker.hands


def track_hands(
    frames: Iterable[Frame], detector: HandDetector, *, max_tracks: int = 8
) -> Landmarks:
    """The hands of a recording: ``(T, H, 21, 3)``, hands of one side in one H; see follow_hands."""
    return follow_hands(frames, detector, max_tracks=max_tracks).finish()


def _centre(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    centre: NDArray[np.float64] = landmarks[PALM, :2].astype(np.float64).mean(axis=0)
    return centre


def _distance(track: Fragment, hand: Detection, time: float) -> float:
    """Cost of a match: palm to expected palm in palm lengths; infinite where out of reach."""
    size = max(track.size, float(palm_size(hand.landmarks)))
    distance = float(np.linalg.norm(_centre(hand.landmarks) - track.expected(time))) / size
    reach = min(REACH + REACH_PER_SECOND * (time - track.last_time), MAX_REACH)
    if distance > reach:
        return np.inf
    side, fraction = track.vote()
    if side == hand.handedness:
        return distance
    certainty = (2 * fraction - 1) * (2 * hand.score - 1)
    if certainty >= CERTAIN and time - track.last_time > ANOTHER_AFTER:
        return np.inf
    return distance + LABEL_COST * max(certainty, 0.0)


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


def _vote(right: float, left: float) -> Vote:
    if right == left:
        return "unknown", 0.5
    return ("right" if right > left else "left"), max(right, left) / (right + left)


def _merged(fragments: Sequence[Fragment]) -> list[_Hand]:
    """Join fragments, in the order of time, that are plausibly one hand."""
    hands: list[_Hand] = []
    recent: list[_Hand] = []
    for later in sorted(fragments, key=lambda fragment: fragment.times[0]):
        recent = [hand for hand in recent if later.times[0] - hand.last.times[-1] <= AWAY]
        candidates = [hand for hand in recent if _plausibly_same(hand, later)]
        if candidates:
            place = _centre(later.landmarks[0])
            nearest = min(
                candidates,
                key=lambda hand: float(np.linalg.norm(hand.last.centre - place)),
            )
            nearest.join(later)
        else:
            hand = _Hand(later)
            hands.append(hand)
            recent.append(hand)
    return hands


def _plausibly_same(hand: _Hand, later: Fragment) -> bool:
    """In one shot, one after the other, of like size, and either of the same side for certain or
    close by and not of opposite sides for certain."""
    earlier = hand.last
    if earlier.shot != later.shot or earlier.frames[-1] >= later.frames[0]:
        return False
    sizes = earlier.size, float(palm_size(later.landmarks[0]))
    if max(sizes) > 2.5 * min(sizes):
        return False
    distance = float(np.linalg.norm(earlier.centre - _centre(later.landmarks[0]))) / max(sizes)
    if distance > MAX_REACH and later.times[0] - earlier.times[-1] < AT_ONCE:
        return False
    (side, fraction), (other_side, other_share) = hand.vote(), later.vote()
    if min(fraction, other_share) >= SAME_HAND_FRACTION and min(hand.seen, later.seen) > 2:
        return side == other_side
    return distance <= MAX_REACH


def _columns(hands: Sequence[_Hand], most: int) -> list[_Column]:
    """Columns for the fragments of ``hands``, ``most`` of them at most.

    A fragment goes where its hand was before; else to hands of its side that ended ``MEMORY``
    seconds ago, so that the two are not read as one; else to a column of its own; and where there
    is none left, right behind others of its side.
    """
    columns: list[_Column] = []
    places: dict[int, _Column] = {}
    pairs = [(hand, fragment) for hand in hands for fragment in hand.fragments]
    for hand, fragment in sorted(pairs, key=lambda pair: pair[1].times[0]):
        side, fraction = hand.vote()
        sure = fraction >= SURE_FRACTION
        own = places.get(id(hand))
        same_side = [column for column in columns if column.side == side]
        alike = [column for column in same_side if column.sure == sure]
        apart = [column for column in alike if column.is_free(fragment, MEMORY)]
        if own is not None and own.is_free(fragment):
            column = own
        elif apart:
            column = max(apart, key=lambda column: column.seen)
        elif len(columns) < most:
            column = _Column(side, sure)
            columns.append(column)
        else:
            behind = [column for column in (*alike, *same_side) if column.is_free(fragment)]
            if not behind:
                continue
            column = behind[0]
        column.add(fragment)
        places[id(hand)] = column
    return columns
