"""Hands in a picture or a video: palms are looked for, hands are followed.

Each hand of a frame is looked for by the landmark network where the last frame had it. The palm
detector, which costs more, runs only where a hand is missing: when none is followed, and now and
then for a second one. Where it finds nothing, other views of the frame are tried
(``chereme.hands.search_regions``), at a bounded cost per frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chereme._imports import find
from chereme.errors import InputError, UsageError
from chereme.hands import search_regions
from chereme.hands.landmarks import LandmarkHand, LandmarkNetwork
from chereme.hands.palm import SIDE as PALM_SIDE
from chereme.hands.palm import Palm, PalmDetector
from chereme.hands.rectangle import Rectangle, of_landmarks, of_palm, overlap
from chereme.hands.search_regions import View
from chereme.hands.skeleton import KNUCKLES, WRIST, palm_size
from chereme.hands.smoothing import Smoother

__all__ = [
    "Detection",
    "HandDetector",
    "OnnxHandDetector",
    "find_detector",
    "own_detector",
    "without_duplicates",
]

# The probability of a hand from which on one is reported: in stills as MediaPipe does, in films
# where what is none is followed on. In 3,168 frames of films of people who show no hand, 0.5 finds
# 142 hands and 0.6 finds 53 (MediaPipe 91); of 989 real hands in films 0.6 finds 985.
PRESENCE, FILM_PRESENCE = 0.5, 0.6
KNOWN = 0.5  # overlap of a palm's square with a followed hand's from which on it is that hand
# Borders in the order of what they find. Measured on segmented studio photographs: untouched 64 %,
# a border of 50 % alone 99.5 %, all in turn 99.8 %.
BORDERS = ((0.5, False), (0.25, False), (1.0, False), (0.5, True), (0.25, True))
# In enlarged parts, ears and noses pass for hands, and so do the streaks of a replicated border.
# Measured on 292 enlarged parts without and 50 with a small hand: a threshold of 0.5 finds 2.1 %
# and 100 %, 0.9 finds none and 100 %, 0.99 none and 80 %.
STRICT_PRESENCE = 0.9
# Of so many frames one goes to the other views although something moves: it need not be the hand.
MOVING_TURNS = 6
FEWEST_MISSED = 2  # frames without a hand before it counts as lost
# Mean over the joints, in palm lengths, below which two detections are one hand: of the same side
# they would have to be two people's, of different sides they may be a signer's hands laid on each
# other.
DUPLICATE_SAME_SIDE = 0.8
DUPLICATE_OTHER_SIDE = 0.4


@dataclass(frozen=True, slots=True)
class Detection:
    """One hand in one frame.

    ``landmarks (21, 3)`` float32 pixels of the frame, z in the scale of x and relative to the
    wrist; ``world_landmarks (21, 3)`` float32 metres; the signer's own left or right hand, and the
    detector's score for that, 0.5..1; the probability that it is a hand; and, if asked for, the
    ``vector (1152,)`` float32 of features behind the landmarks.
    """

    landmarks: NDArray[np.float32]
    world_landmarks: NDArray[np.float32]
    handedness: Literal["left", "right"]
    score: float
    presence: float = 1.0
    vector: NDArray[np.float32] | None = None


class HandDetector(Protocol):
    """Anything that finds hands, frame after frame."""

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        """Hands in ``image (H, W, 3)`` uint8 RGB, shown at ``timestamp`` seconds."""
        ...

    def reset(self) -> None:
        """The next frame begins another recording, or another shot of a film."""
        ...

    def close(self) -> None: ...


DETECTORS = {"onnx": "chereme.hands.detector:own_detector"}
"""Hand detectors by name: the place of what makes one, whose argument ``still`` says that each
picture stands by itself."""


def find_detector(name: str) -> Callable[[bool], HandDetector]:
    """What makes detectors of this name, or of the class at the place ``module:class``; its
    argument is ``still``. Raises ``UsageError`` if there is none."""
    place = DETECTORS.get(name, name)
    try:
        if ":" not in place:
            raise LookupError(f"no detector is called {name!r}")
        kind = find(place)
    except (ImportError, AttributeError, LookupError) as error:
        raise UsageError(
            f"detector: expected {', '.join(DETECTORS)}, or module:class of another, got {name!r} "
            f"({error})"
        ) from error
    return lambda still: kind(still=still)


@dataclass(frozen=True)
class SearchTiming:
    """When a video's frames get a second look, in seconds.

    While one hand is followed, a second is looked for every ``second_hand``, and in each frame
    for ``unsettled`` after one was lost. Round a hand just lost one looks for ``lost_for``;
    after that the frames go in turn to the whole picture and to one of the other views, which
    bounds the cost of a recording without hands.
    """

    second_hand: float = 0.4
    unsettled: float = 0.2
    lost_for: float = 0.2


class OnnxHandDetector:
    """Finds and follows hands with the networks in ``chereme.hands.networks``.

    ``still`` treats every picture on its own and tries all views on it; at most ``max_hands`` hands
    per frame. A context manager. One detector may read many recordings one after the other: call
    ``reset`` between, and where a film is cut, which it does not find itself
    (``chereme.hands.cuts``). Not for use by several threads at once.

    Args:
        refine: look at hands of stills a second time, in the square of their landmarks, as at those
            of a video from the second frame on. Without it landmarks of stills are MediaPipe's.
        vectors: detections carry theirs.
        smoothing: landmarks without their tremor, for drawing (``chereme.hands.smoothing``).
        threads: of the networks, None for all processors.
        timing: when a video's frames get a second look.
    """

    def __init__(
        self,
        *,
        still: bool = False,
        max_hands: int = 2,
        refine: bool = False,
        vectors: bool = False,
        smoothing: bool = False,
        threads: int | None = 1,
        timing: SearchTiming = SearchTiming(),
    ) -> None:
        if max_hands < 1:
            raise InputError(f"max_hands: expected at least 1, got {max_hands}")
        self._still = still
        self._presence = PRESENCE if still else FILM_PRESENCE
        self._max_hands = max_hands
        self._refine = refine
        self._vectors = vectors
        self._smoothing = smoothing
        self._timing = timing
        self._palms = PalmDetector(threads)
        self._pool = ThreadPoolExecutor(1, "chereme-palms")
        self._network = LandmarkNetwork(threads)
        self.reset()

    def __enter__(self) -> OnnxHandDetector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread in which second hands are looked for."""
        self._pool.shutdown(cancel_futures=True)

    def reset(self) -> None:
        """Forget the recording so far."""
        self._size: tuple[int, int] | None = None
        self._hands: list[Detection] = []  # of the last frame
        self._last: list[Detection] = []  # of the last frame that had any
        self._last_seen = -np.inf
        self._missed = FEWEST_MISSED
        self._view: View | None = None  # where the hands were found, None: in the whole
        self._proven: View | None = None
        self._next_look = self._settled = -np.inf
        # Palms that are looked for in the frame before, and whether only sure hands count there.
        self._looking: tuple[Future[list[Palm]], bool] | None = None
        self._looks = 0
        self._tries = 0
        self._smoother = Smoother()
        self._moving = search_regions.MovingPart()

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        """Hands in ``image (H, W, 3)`` uint8 RGB; ``timestamp`` in seconds rises from call to call.

        Raises ``InputError`` for an array that is no such picture.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(
                f"image: expected (height, width, 3) uint8 RGB, got {image.shape} {image.dtype}"
            )
        height, width = image.shape[:2]
        if self._still:
            return self._search_still(image)
        if self._size != (width, height):
            self.reset()
            self._size = (width, height)
        hands = self._follow(image)
        looking, self._looking = self._looking, None
        if not hands:
            hands = self._recover(image, timestamp)
        elif len(hands) < self._max_hands:
            if looking is not None:
                palms, strict = looking
                hands = self._with_more(image, hands, palms.result(), strict=strict)
            if timestamp >= self._next_look or timestamp < self._settled:
                self._next_look = timestamp + self._timing.second_hand
                self._look_for_more(image, hands)
        if len(hands) < len(self._hands):
            self._settled = timestamp + self._timing.unsettled
        self._hands = hands
        if hands:
            self._last, self._last_seen, self._missed = hands, timestamp, 0
        else:
            self._missed += 1
        return self._smoothed(hands, timestamp) if self._smoothing else hands

    def _smoothed(self, hands: list[Detection], now: float) -> list[Detection]:
        smooth = self._smoother.smooth([hand.landmarks for hand in hands], now)
        return [replace(hand, landmarks=it) for hand, it in zip(hands, smooth, strict=True)]

    def _follow(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The hands of the last frame that are still there."""
        squares = [of_landmarks(hand.landmarks) for hand in self._hands]
        return self._landmarks(image, squares, self._presence)

    def _look_for_more(self, image: NDArray[np.uint8], hands: list[Detection]) -> None:
        """Look for palms in the whole picture, or in turn with it in the view that showed the hands
        that are followed, which the whole does not.

        Another thread does that while the next frame is read; that is where they are used.
        """
        self._looks += 1
        height, width = image.shape[:2]
        view = search_regions.whole(width, height)
        closer = self._view is not None and self._looks % 2 == 1
        if closer:
            points = np.concatenate([hand.landmarks[:, :2] for hand in hands])
            view = search_regions.around(points, factor=5.0)
        seen = view.sample(image, PALM_SIDE)  # here: the picture may be overwritten
        self._looking = self._pool.submit(self._palms.find_in, seen), closer

    def _recover(self, image: NDArray[np.uint8], now: float) -> list[Detection]:
        # At a low frame rate one step may be longer than ``lost_for``: count frames as well.
        if now - self._last_seen > self._timing.lost_for and self._missed >= FEWEST_MISSED:
            return self._search(image, now)
        if found := self._look(image, None):
            self._view = None
            return found
        for hand in self._last:
            if found := self._look(image, search_regions.around(hand.landmarks[:, :2], factor=4.0)):
                return found
        return []

    def _search(self, image: NDArray[np.uint8], now: float) -> list[Detection]:
        """Every other frame the whole picture, in between one of the other views in turn.

        Where something moves in a small part of the picture, that part is looked at in nearly every
        frame: a signer who is small in the picture would be read from the middle of a word else.
        On a recording's first frame all bordered views are tried. The view that shows a hand
        has every other turn after a loss.
        """
        height, width = image.shape[:2]
        self._view = None
        self._tries += 1
        if self._tries % 2 and (found := self._look(image, None)):
            return found
        moving = self._moving.view(image)
        borders = [search_regions.bordered(width, height, *border) for border in BORDERS]
        if self._tries == 1:
            candidates = borders
        elif moving is not None and self._tries % MOVING_TURNS:
            candidates = [moving]
        elif self._tries % 2:
            candidates = []
        elif self._proven is not None and self._tries % 4 == 0:
            candidates = [self._proven]
        else:
            others = _in_turn(borders, search_regions.tiles(width, height))
            candidates = [others[(self._tries // 2 - 1) % len(others)]]
        for view in candidates:
            if found := self._look(image, view):
                self._view = self._proven = view
                # Soon: the whole may show a second hand that this view does not.
                self._next_look = now + self._timing.second_hand
                return found
        return []

    def _search_still(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        borders = [search_regions.bordered(width, height, *border) for border in BORDERS]
        for view in (None, *borders, *search_regions.tiles(width, height)):
            if found := self._look(image, view):
                return self._refined(image, found) if self._refine else found
        return []

    def _refined(self, image: NDArray[np.uint8], hands: list[Detection]) -> list[Detection]:
        again = self._network.find(image, [of_landmarks(hand.landmarks) for hand in hands])
        return [
            hand if it is None or it.presence < self._presence else _detection(it, self._vectors)
            for hand, it in zip(hands, again, strict=True)
        ]

    def _look(self, image: NDArray[np.uint8], view: View | None) -> list[Detection]:
        """The hands that the palm detector sees in ``view`` (None: the whole picture)."""
        height, width = image.shape[:2]
        strict = view is not None and (view.replicate or view.enlarges(image))
        palms = self._palms.find(image, view or search_regions.whole(width, height))
        return self._with_more(image, [], palms, strict=strict)

    def _with_more(
        self,
        image: NDArray[np.uint8],
        known: list[Detection],
        palms: Sequence[Palm],
        *,
        strict: bool,
    ) -> list[Detection]:
        """The hands ``known`` and those of ``palms`` beside them; ``strict``: only sure ones."""
        squares = [of_landmarks(hand.landmarks) for hand in known]
        for palm in palms:
            square = of_palm(palm.box, palm.points)
            is_known = any(_holds(palm, hand) for hand in known)
            if not is_known and all(overlap(square, other) <= KNOWN for other in squares):
                squares.append(square)
        new = squares[len(known) : self._max_hands]
        found = self._landmarks(image, new, STRICT_PRESENCE if strict else self._presence)
        return without_duplicates([*known, *found])

    def _landmarks(
        self, image: NDArray[np.uint8], squares: Sequence[Rectangle], presence: float
    ) -> list[Detection]:
        hands = self._network.find(image, squares)
        return without_duplicates(
            [
                _detection(hand, self._vectors)
                for hand in hands
                if hand is not None and hand.presence >= presence
            ]
        )


def own_detector(still: bool) -> OnnxHandDetector:
    """The package's own detector as all of it uses it, for a video or for single pictures.

    Stills are refined: letters of strangers are read better by 3.8 points (95 %: 1.9 to 5.6, 852
    photographs of letters_people_dev).
    """
    return OnnxHandDetector(still=still, refine=True, vectors=True)


def without_duplicates(detections: Sequence[Detection]) -> list[Detection]:
    """Of detections that are one hand the surest: two that are followed may meet on one hand, at
    times as a left and a right one."""
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


def _in_turn(borders: list[View], tiles: list[View]) -> list[View]:
    """A border, a tile, a border, a tile ...: each tile once, borders as often as needed."""
    return [
        view for number, tile in enumerate(tiles) for view in (borders[number % len(borders)], tile)
    ]


def _middle(hand: Detection) -> NDArray[np.floating]:
    middle: NDArray[np.floating] = hand.landmarks[[WRIST, *KNUCKLES], :2].mean(axis=0)
    return middle


def _holds(palm: Palm, hand: Detection) -> bool:
    """Whether the box of ``palm`` holds the middle of the palm of ``hand``."""
    x, y = _middle(hand)
    left, top, right, bottom = palm.box
    return bool(left < x < right and top < y < bottom)


def _detection(hand: LandmarkHand, vectors: bool) -> Detection:
    is_right = hand.right >= 0.5
    return Detection(
        landmarks=hand.landmarks,
        world_landmarks=hand.world_landmarks,
        handedness="right" if is_right else "left",
        score=hand.right if is_right else 1 - hand.right,
        presence=hand.presence,
        vector=hand.vector if vectors else None,
    )
