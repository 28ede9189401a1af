"""Crops of hands that are cut and encoded while the frames pass in which the hands are looked for.

Where a hand's box lies is known a moment after its frame (``crops.hand_boxes``), which hand signs
only at the end. So the neighbourhood of every hand is kept for that moment, and what may be the
signing hand is encoded; another thread does that while hands are looked for. What stays are the
features, and the boxes that they are of. Where the end shows that another hand, side or box is
read, ``crops.read_crop_features`` reads the recording again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import floor
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from chereme.hands.crop import crop
from chereme.hands.signing import CLEARLY_OTHER, activity
from chereme.hands.skeleton import mirror
from chereme.hands.tracking import SURE_FRACTION, Fragment, HandTracker
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LetterConfig
from chereme.recognition.crops import BLOCK, hand_boxes, usual_step
from chereme.recognition.networks import encode_frames
from chereme.recognition.report import Hand
from chereme.recognition.stages import Stages
from chereme.types import NUM_JOINTS, FloatArray, Frame, HandTrack

EVERY = 0.2  # seconds between decisions: each looks at more than a second
MOST_HANDS = 2  # that are encoded of one frame
# Activity in the last seconds, as a fraction of the most active hand's, from which on a hand may be
# the one that signs; and activity below which nothing tells.
DOUBT, RESTING, LATELY = 0.2, 0.15, 3.0
# How far the neighbourhood of a hand reaches from its centre, of its own box: a hand that is taken
# down is soon one and a half away. Of large pictures no more pixels, if it reaches once as far.
FAR, NEAR, FARTHEST = 2.0, 1.0, 700
MOST_KEPT = 128 << 20  # bytes of neighbourhoods
MOST_WAITING = 2  # decisions that wait for their crops to be cut
SAME = 1e-3  # pixels by which equal boxes may differ


class _Picture(NamedTuple):
    """A part of a frame of ``size`` (width, height), from its column ``left`` and row ``top``."""

    image: NDArray[np.uint8]
    left: int
    top: int
    size: tuple[int, int]

    def holds(self, box: FloatArray, size: int) -> bool:
        """Whether ``crop`` finds all here that it looks at to make ``size`` pixels of ``box``."""
        margin = 2 * (box[2] - box[0]) / size + 4
        height, width = self.image.shape[:2]
        right, bottom = self.left + width, self.top + height
        return bool(
            (self.left == 0 or self.left <= box[0] - margin)
            and (self.top == 0 or self.top <= box[1] - margin)
            and (right == self.size[0] or right >= box[2] + margin)
            and (bottom == self.size[1] or bottom >= box[3] + margin)
        )

    def crop(self, box: FloatArray, size: int, flip: bool) -> NDArray[np.uint8]:
        """The crop ``(3, size, size)`` of a box of the frame."""
        corner = np.array([self.left, self.top] * 2)
        return crop(self.image, box - corner, size, flip).transpose(2, 0, 1)


_Cutting = tuple[_Picture, FloatArray, bool]  # a box in it, and whether the crop is flipped


@dataclass
class _Followed:
    """A hand, the seconds at which it was seen first after it was away, and its pictures in frames
    whose boxes are not known yet."""

    fragment: Fragment
    began: float
    pictures: dict[int, _Picture] = field(default_factory=dict)


class PassingCrops:
    """Features of crops of the hands of one recording, for a ``bundle`` that reads crops.

    ``hand``, ``mirrored``: which signs, and what ``detect_hands`` is given; ``stages``: where the
    seconds of "crop" and "network" are added. A context in which :meth:`watch` is given the frames,
    then :meth:`finish` is called; an error of the encoder is raised by either. ``features (N, D)``,
    in blocks, are whole when it has finished.
    """

    def __init__(
        self, bundle: Bundle[LetterConfig], hand: Hand, mirrored: bool, stages: Stages
    ) -> None:
        preprocessing = bundle.config.preprocessing
        assert preprocessing.crop is not None  # the config of a model that reads crops has it
        self._bundle, self._hand, self._mirrored, self._stages = bundle, hand, mirrored, stages
        self._rate, self._crop = preprocessing.rate, preprocessing.crop
        self._segmentation = bundle.config.segmentation
        self._reach = 3 * preprocessing.crop.smoothing + 1e-6
        self._times: Sequence[float] = ()
        self._size = (0, 0)
        self._followed: dict[int, _Followed] = {}
        self._live: set[int] = set()
        self._kept = 0  # bytes of pictures
        self._due = -np.inf
        self._rows: dict[tuple[int, int], list[tuple[int, FloatArray]]] = defaultdict(list)
        self._count = 0
        self._pool = ThreadPoolExecutor(1, "chereme-crops")
        self._waiting: deque[Future[None]] = deque()
        self._crops: list[NDArray[np.uint8]] = []  # of the other thread alone, as are:
        self.features: list[FloatArray] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def watch(self, frame: Frame, tracker: HandTracker) -> None:
        """The next frame, which ``tracker`` has just seen."""
        image = frame.image[:, ::-1] if self._mirrored else frame.image
        self._times, self._size = tracker.timestamps, (image.shape[1], image.shape[0])
        index = len(self._times) - 1
        for followed in self._followed.values():
            if index - 1 in followed.pictures and not self._is_sample(index - 1, followed.began):
                self._take(followed, index - 1)
        self._live = {id(fragment) for fragment in tracker.live}
        for fragment in tracker.live:
            new = _Followed(fragment, frame.timestamp)
            followed = self._followed.setdefault(id(fragment), new)
            if self._came_back(fragment):
                followed.began = frame.timestamp
            if frame.timestamp - fragment.times[-1] <= self._segmentation.bridge:
                self._keep(followed, index, image)
        if frame.timestamp >= self._due:
            self._due = frame.timestamp + EVERY
            self._decide()

    def finish(self) -> None:
        """All frames have passed."""
        if self._times:
            self._decide(ended=True)
        if self._count:
            self._cut([])
        self._wait(0)

    def rows(self, wanted: NDArray[np.bool_], boxes: FloatArray) -> NDArray[np.intp]:
        """``(T, 2)``: the rows of ``features`` of the frames that are ``wanted (T, 2)``, as seen
        and flipped, if they are of ``boxes (T, 4)``; -1 of all others."""
        rows = np.full(wanted.shape, -1)
        for frame, flip in np.argwhere(wanted).tolist():
            for row, box in self._rows.get((frame, flip), ()):
                if np.abs(box - boxes[frame]).max() <= SAME:
                    rows[frame, flip] = row
        return rows

    def _came_back(self, fragment: Fragment) -> bool:
        """Whether a hand is seen again after a gap that ends a segment."""
        before, last = fragment.times[-2:] if len(fragment.times) > 1 else (np.inf, np.inf)
        return last == self._times[-1] and self._is_long(last - before, self._times[-100:])

    def _is_long(self, gap: float, times: Sequence[float] | FloatArray) -> bool:
        longest = self._segmentation.max_gap
        return gap > longest and gap - usual_step(np.asarray(times)) > longest + 1e-6

    def _is_sample(self, index: int, began: float) -> bool:
        """Whether a reading at the model's rate of a hand that ``began`` to be seen looks at a
        frame, whose next one is known."""
        before, time, after = (self._times[max(i, 0)] for i in (index - 1, index, index + 1))
        first, last = (before + time) / 2, (time + after) / 2
        number = floor((last - began) * self._rate + 0.5)
        moments = (began + k / self._rate for k in range(max(number - 2, 0), number + 1))
        return any(first < moment <= last for moment in moments) or time == began

    def _keep(self, followed: _Followed, index: int, image: NDArray[np.uint8]) -> None:
        points = followed.fragment.landmarks[-1][:, :2].astype(np.float64)
        if self._mirrored:
            points = mirror(points, self._size[0])
        low, high = points.min(axis=0), points.max(axis=0)
        side = (high - low).max() * (1 + 2 * self._crop.padding) + 4
        reach = max(NEAR * side, min(FAR * side, FARTHEST))
        first = np.maximum((low + high) / 2 - reach, 0)
        last = np.minimum((low + high) / 2 + reach, self._size)
        (left, top), (right, bottom) = first.astype(int).tolist(), np.ceil(last).astype(int)
        if right <= left or bottom <= top or self._kept > MOST_KEPT:
            return  # what is not kept is read again
        part = image[top:bottom, left:right].copy()
        followed.pictures[index] = _Picture(part, left, top, self._size)
        self._kept += part.nbytes

    def _take(self, followed: _Followed, index: int) -> _Picture:
        picture = followed.pictures.pop(index)
        self._kept -= picture.image.nbytes
        return picture

    def _decide(self, ended: bool = False) -> None:
        """Encode the pictures whose boxes are known by now, if they are of hands that may sign."""
        known: list[tuple[_Followed, list[int], HandTrack]] = []
        self._followed = {
            key: followed
            for key, followed in self._followed.items()
            if followed.pictures or key in self._live
        }
        for followed in self._followed.values():
            if not followed.pictures:
                continue
            track = self._lately(followed)
            until = np.inf if ended else self._known_until(followed.fragment, track)
            if frames := [i for i in followed.pictures if self._times[i] <= until]:
                known.append((followed, frames, track))
        signing = self._signing([followed.fragment for followed, _, _ in known])
        cuttings: list[_Cutting] = []
        for followed, frames, track in known:
            pictures = [self._take(followed, index) for index in frames]
            if followed.fragment not in signing:
                continue
            first = len(self._times) - len(track.timestamps)
            begins = np.zeros(len(track.timestamps), bool)
            boxes = hand_boxes(track, begins, self._bundle.config)
            for index, picture in zip(frames, pictures, strict=True):
                box = boxes[index - first]
                if np.isfinite(box).all() and picture.holds(box, self._crop.size):
                    for flip in self._flips(followed.fragment):
                        self._rows[index, int(flip)].append((self._count, box))
                        self._count += 1
                        cuttings.append((picture, box, flip))
        if cuttings:
            self._cut(cuttings)

    def _known_until(self, fragment: Fragment, track: HandTrack) -> float:
        """The time up to which the boxes of a hand will not change."""
        seen = fragment.times[-1]
        away = self._times[-1] - seen
        has_left = id(fragment) not in self._live or self._is_long(away, track.timestamps)
        return np.inf if has_left and away > self._reach else seen - self._reach

    def _lately(self, followed: _Followed) -> HandTrack:
        """What the boxes of the pictures depend on."""
        oldest = self._times[min(followed.pictures)]
        since = oldest - 2 * self._reach - self._segmentation.max_gap - 0.2
        return self._track(followed.fragment, since)

    def _track(self, fragment: Fragment, since: float) -> HandTrack:
        """A hand from the time ``since`` on, as seen."""
        first = bisect_left(self._times, since)
        begin = bisect_left(fragment.frames, first)
        times = np.array(self._times[first:])
        landmarks = np.full((len(times), NUM_JOINTS, 3), np.nan, np.float32)
        seen = np.array(fragment.frames[begin:], int) - first
        if len(seen):
            landmarks[seen] = fragment.landmarks[begin:]
        if self._mirrored:
            landmarks = mirror(landmarks, self._size[0])
        confidence = np.zeros(landmarks.shape[:2], np.float32)
        confidence[seen] = 1.0
        return HandTrack(landmarks, confidence, times, *self._size, handedness="unknown")

    def _signing(self, fragments: Sequence[Fragment]) -> list[Fragment]:
        """Those that may be the hand that signs."""
        if self._hand != "auto":
            fragments = [f for f in fragments if not self._is_clearly_other(f)]
        if len(fragments) <= 1:
            return list(fragments)
        since = self._times[-1] - LATELY
        moved = [float(activity(self._track(fragment, since)).sum()) for fragment in fragments]
        most = max(moved)
        least = DOUBT * most if most > RESTING else 0.0
        order = np.argsort(moved)[::-1][:MOST_HANDS]
        return [fragments[i] for i in order if moved[i] >= least]

    def _is_clearly_other(self, fragment: Fragment) -> bool:
        side, fraction = fragment.vote()
        same = (side == self._hand) != self._mirrored
        return side != "unknown" and not same and fraction >= CLEARLY_OTHER

    def _flips(self, fragment: Fragment) -> Iterable[bool]:
        """Whether to flip the crops of a hand; both where its side is not sure."""
        if self._hand != "auto":
            return (self._hand == "left",)
        side, fraction = fragment.vote()
        if fraction < SURE_FRACTION:
            return (False, True)
        return ((side == "left") != self._mirrored,)

    def _cut(self, cuttings: Sequence[_Cutting]) -> None:
        """Let the other thread cut and encode them, when it has done most of what waits."""
        self._waiting.append(self._pool.submit(self._encode, cuttings))
        self._wait(MOST_WAITING)

    def _wait(self, most: int) -> None:
        while len(self._waiting) > most:
            self._waiting.popleft().result()

    def _encode(self, cuttings: Sequence[_Cutting]) -> None:
        size = self._crop.size
        with self._stages("crop"):
            self._crops += [picture.crop(box, size, flip) for picture, box, flip in cuttings]
        while len(self._crops) >= BLOCK or (self._crops and not cuttings):
            block, self._crops = self._crops[:BLOCK], self._crops[BLOCK:]
            with self._stages("network"):
                self.features.append(encode_frames(self._bundle, np.stack(block)))
