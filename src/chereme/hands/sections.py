"""Where a recording is parted: into sections in which hands may spell, and what lies between.

Which hand is which, and which one signs, is decided section by section, from what was seen in it.
So what has no end, as a camera's pictures, is read as a recording of any length is, in constant
memory. A section ends where no hand is seen for a second, or where all hands rest; the next one
begins where a hand comes or moves. A letter that is held until then belongs to the former alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.hands.detector import Detection, HandDetector
from chereme.hands.skeleton import palm_size
from chereme.hands.tracking import MEMORY, SURE_FRACTION, FrameTracker
from chereme.types import NUM_JOINTS, FloatArray, Frame, Handedness, Landmarks, frames_of

# A hand rests while none of its joints is farther than this, in palm lengths, from where it was.
# Fingers that go to another letter go farther; the detector trembles less.
MOVED = 0.3
# Seconds of rest that end a section of up to so many seconds. Letters are held for less than 3 s,
# but by beginners; who spells on and on is parted in ever shorter pauses, and in the end anywhere.
RESTS = ((20.0, 3.0), (40.0, 1.0), (60.0, 0.4))
_BY_FRAME = ("landmarks", "confidence", "timestamps", "world_landmarks", "vectors")
SETTLED = 1.0  # seconds of rest after which a hand shows nothing new
STEPS = 30  # frames that tell what the usual time from one to the next is


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive frames of a recording, and the hands in them; ``resting``: none spells there.

    Where the whole is known, its frame ``first`` is the first of these, and its ``columns`` are
    those of ``landmarks``.
    """

    landmarks: Landmarks
    resting: bool
    first: int = 0
    columns: tuple[int, ...] = ()


@dataclass(slots=True)
class _Pose:
    """Where a hand has been ``since``, but for its trembling; ``seen`` last."""

    points: NDArray[np.floating]
    size: float
    since: float
    seen: float


class SectionFinder:
    """Tells, frame by frame, where sections begin. ``began``: the seconds where this one did."""

    def __init__(self) -> None:
        self.resting = True
        self._poses: dict[Any, _Pose] = {}
        self._steps: deque[float] = deque(maxlen=STEPS)
        self._time: float | None = None
        self.began = 0.0

    @property
    def news(self) -> float:
        """The seconds at which a hand was last seen that had not rested for a second by then."""
        times = [min(pose.seen, pose.since + SETTLED) for pose in self._poses.values()]
        return max(times, default=-math.inf)

    def update(self, hands: Mapping[Any, FloatArray], time: float) -> bool:
        """Whether another section begins with the next frame, at ``time`` seconds, in which these
        ``hands`` are seen: landmarks ``(21, 3)`` of each, under what names it."""
        if self._time is not None:
            self._steps.append(time - self._time)
        longest = MEMORY + (median(self._steps) if self._steps else 0.0)
        self._time = time
        self._poses = {
            name: pose for name, pose in self._poses.items() if time - pose.seen <= longest
        }
        empty, moved = not self._poses, False
        for name, landmarks in hands.items():
            points, pose = landmarks[:, :2], self._poses.get(name)
            if pose is None or _is_apart(points, pose):
                self._poses[name] = _Pose(points, float(palm_size(landmarks)), time, time)
                moved = True
            else:
                pose.seen = time
        begins, resting = False, not self._poses
        if self._poses and not empty:
            resting = self.resting and not moved
            if not self.resting:
                still = time - max(pose.since for pose in self._poses.values())
                needed = [rest for length, rest in RESTS if time - self.began <= length]
                resting = bool(needed) and still > needed[0]
                begins = not needed
        elif self._poses:
            begins = True
        begins |= resting != self.resting
        self.resting = resting
        if begins:
            self.began = time
        return begins


class FrameSections:
    """The sections of pictures, one after the other: hands are looked for by ``detector`` and
    followed. ``vectors``: keep those of the detections; ``rests``: keep what is seen of hands that
    rest, else of these there are no sections. ``finder`` tells of the section that goes on."""

    def __init__(
        self, detector: HandDetector, *, vectors: bool = False, rests: bool = True
    ) -> None:
        self._tracker = FrameTracker(detector, vectors=vectors)
        self.finder = SectionFinder()
        self._rests = rests

    @property
    def detections(self) -> list[Detection]:
        """The hands in the last picture."""
        return self._tracker.detections

    def update(self, frame: Frame) -> Section | None:
        """The section that ended before ``frame``, if one did."""
        hands = self._tracker.update(frame)
        time, resting = frame.timestamp, self.finder.resting
        seen = {fragment: fragment.last for fragment in hands.live if fragment.last_time == time}
        before = len(hands.timestamps) - 1
        ended = None
        if self.finder.update(seen, time) and before:
            ended = Section(hands.take(before), resting)
        if self.finder.resting and not self._rests:
            hands.forget(len(hands.timestamps))
        return ended

    def finish(self) -> Section | None:
        """The last section; None if there is none."""
        hands = self._tracker.hands
        if hands is None or not hands.timestamps:
            return None
        return Section(hands.take(len(hands.timestamps)), self.finder.resting)

    def latest(self, seconds: float) -> Landmarks:
        """The hands in the last ``seconds`` of the section that goes on."""
        assert self._tracker.hands is not None  # there is a section
        return self._tracker.hands.latest(self._tracker.hands.timestamps[-1] - seconds)


class LandmarkSections:
    """The sections of landmarks that come in pieces: of one frame, of several, or of all.
    ``rests``, ``finder``: as of :class:`FrameSections`."""

    def __init__(self, *, rests: bool = True) -> None:
        self.finder = SectionFinder()
        self._held: list[Landmarks] = []
        self._rests = rests
        self._before: Landmarks | None = None

    def update(self, landmarks: Landmarks) -> list[Section]:
        """The sections that ended in the next piece. InputError unless it has the columns and the
        size of picture of that before, and comes after it."""
        if self._before is not None:
            _check_goes_on(self._before, landmarks)
        found, begin = [], 0
        for number, time in enumerate(landmarks.timestamps.tolist()):
            resting = self.finder.resting
            if self.finder.update(_seen(landmarks, number), time):
                self._hold(landmarks, begin, number)
                found += self._section(resting)
                begin = number
        self._hold(landmarks, begin, len(landmarks.timestamps))
        if self.finder.resting and not self._rests:
            self._held = []
        return [section for section in found if self._rests or not section.resting]

    def finish(self) -> Section | None:
        """The last section; None if there is none."""
        return next(iter(self._section(self.finder.resting)), None)

    def latest(self, seconds: float) -> Landmarks:
        """The hands in the last ``seconds`` of the section that goes on."""
        held = _in_a_row(self._held)
        return frames_of(held, held.timestamps >= held.timestamps[-1] - seconds)

    def _hold(self, landmarks: Landmarks, first: int, stop: int) -> None:
        if first < stop:
            self._before = frames_of(landmarks, slice(first, stop))
            self._held.append(self._before)

    def _section(self, resting: bool) -> list[Section]:
        held, self._held = self._held, []
        return [Section(_in_a_row(held), resting)] if held else []


def cut(landmarks: Landmarks) -> list[Section]:
    """The sections of a whole recording."""
    sections = LandmarkSections()
    found = [*sections.update(landmarks), sections.finish()]
    columns = tuple(range(len(landmarks.handedness)))
    return _in_place([(section, columns) for section in found if section is not None])


def join(sections: Sequence[Section]) -> tuple[Landmarks, list[Section]]:
    """The landmarks of a recording of these sections, without vectors, the longest-seen column
    first; and the sections in it.

    Hands of one side share columns, sure ones with sure ones.
    """
    columns: list[_Shared] = []
    places: list[list[_Shared]] = []
    for section in sections:
        part, taken = section.landmarks, list[_Shared]()
        scores = part.handedness_score or (1.0,) * len(part.handedness)
        seen = (part.confidence > 0).any(axis=2).sum(axis=0).tolist()
        for side, score, frames in zip(part.handedness, scores, seen, strict=True):
            sure = score >= SURE_FRACTION
            free = [one for one in columns if one.is_of(side, sure) and one not in taken]
            shared = free[0] if free else _Shared(side, sure)
            if not free:
                columns.append(shared)
            shared.seen += frames
            shared.score += score * frames
            taken.append(shared)
        places.append(taken)
    columns.sort(key=lambda column: column.seen, reverse=True)
    placed = _in_place(
        [
            (section, tuple(columns.index(one) for one in taken))
            for section, taken in zip(sections, places, strict=True)
        ]
    )
    first = sections[0].landmarks
    times = np.concatenate([section.landmarks.timestamps for section in sections])
    shape = (len(times), len(columns), NUM_JOINTS)
    landmarks = np.full((*shape, 3), np.nan, np.float32)
    world = np.full((*shape, 3), np.nan, np.float32)
    confidence = np.zeros(shape, np.float32)
    for section in placed:
        part = section.landmarks
        frames = slice(section.first, section.first + len(part.timestamps))
        chosen = list(section.columns)
        landmarks[frames, chosen] = part.landmarks
        confidence[frames, chosen] = part.confidence
        world[frames, chosen] = part.world_landmarks
    whole = Landmarks(
        landmarks=landmarks,
        confidence=confidence,
        timestamps=times,
        width=first.width,
        height=first.height,
        handedness=tuple(column.side for column in columns),
        handedness_score=tuple(column.score / column.seen for column in columns),
        world_landmarks=world,
    )
    return whole, placed


def _in_place(sections: Sequence[tuple[Section, tuple[int, ...]]]) -> list[Section]:
    """The sections of a whole, each with its columns there."""
    found, first = [], 0
    for section, columns in sections:
        found.append(replace(section, first=first, columns=columns))
        first += len(section.landmarks.timestamps)
    return found


@dataclass(eq=False)
class _Shared:
    """A column of a whole recording: ``seen`` in so many frames, ``score`` their sum."""

    side: Handedness
    sure: bool
    seen: int = 0
    score: float = 0.0

    def is_of(self, side: Handedness, sure: bool) -> bool:
        return (self.side, self.sure) == (side, sure)


def _is_apart(points: NDArray[np.floating], pose: _Pose) -> bool:
    apart = np.linalg.norm(points - pose.points, axis=-1)
    return bool((apart > MOVED * pose.size).any())


def _seen(landmarks: Landmarks, frame: int) -> dict[int, FloatArray]:
    """The hands of which every joint is known in a frame, by column."""
    hands = landmarks.landmarks[frame]
    seen = (landmarks.confidence[frame] > 0).any(axis=1) & np.isfinite(hands).all(axis=(1, 2))
    return {int(column): hands[column] for column in np.flatnonzero(seen)}


def _check_goes_on(before: Landmarks, after: Landmarks) -> None:
    expected, got = (
        (one.handedness, one.width, one.height, one.vectors is None, one.world_landmarks is None)
        for one in (before, after)
    )
    if expected != got:
        raise InputError(
            f"landmarks: expected the hands {', '.join(before.handedness) or 'none'} in pictures "
            f"of {before.width} x {before.height}, as before, and as much known of them; got "
            f"{', '.join(after.handedness) or 'none'} in {after.width} x {after.height}; a hand "
            "that is not seen has a confidence of 0"
        )
    if len(after.timestamps) and after.timestamps[0] <= before.timestamps[-1]:
        raise InputError(
            f"landmarks: expected times after {before.timestamps[-1]:g} s, those of the frame "
            f"before, got {after.timestamps[0]:g} s"
        )


def _in_a_row(pieces: Sequence[Landmarks]) -> Landmarks:
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]

    def joined(name: str) -> Any:
        if getattr(first, name) is None:
            return None
        return np.concatenate([getattr(piece, name) for piece in pieces])

    return replace(first, **{name: joined(name) for name in _BY_FRAME})
