"""Hands in a picture or a video, with MediaPipe, and with second looks where it finds nothing.

A video is followed in the cheap VIDEO mode. When the hand is lost or none was found yet, other
views of the frame are tried (``chereme.hands.search_regions``), at a bounded cost per frame; the
view that shows a hand becomes the one that is followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chereme._imports import find
from chereme.errors import InputError, UsageError
from chereme.hands import search_regions
from chereme.hands.cuts import CutFinder
from chereme.hands.landmarker import Landmarker, RawHand, find_hand_landmarker
from chereme.hands.search_regions import View
from chereme.hands.skeleton import palm_size

__all__ = ["Detection", "HandDetector", "MediaPipeDetector", "find_hand_landmarker"]

# Borders in the order of what they find. Measured on segmented studio photographs: untouched 64 %,
# a border of 50 % alone 99.5 %, all in turn 99.8 %.
BORDERS = ((0.5, False), (0.25, False), (1.0, False), (0.5, True), (0.25, True))
# In enlarged parts, ears and noses pass for hands, and so do the streaks of a replicated border.
# Measured on 292 enlarged parts without and 50 with a small hand: a threshold of 0.5 finds 2.1 %
# and 100 %, 0.9 finds none and 100 %, 0.99 none and 80 %.
STRICT_PRESENCE = 0.9
# Palm lengths that a hand may move in an enlarged part from one frame to the next.
ENLARGED_REACH = 2.0
MAX_RESCUES = 3
# Of so many frames one goes to the other views although something moves: it need not be the hand.
MOVING_TURNS = 6
FEWEST_MISSED = 2  # frames without a hand before it counts as lost


@dataclass(frozen=True, slots=True)
class Detection:
    """One hand in one frame.

    ``landmarks (21, 3)`` float32 pixels of the frame, z in the scale of x and relative to the
    wrist; ``world_landmarks (21, 3)`` float32 metres; the signer's own left or right hand, and the
    detector's score for that, 0.5..1.
    """

    landmarks: NDArray[np.float32]
    world_landmarks: NDArray[np.float32]
    handedness: Literal["left", "right"]
    score: float


class HandDetector(Protocol):
    """Anything that finds hands, frame after frame."""

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        """Hands in ``image (H, W, 3)`` uint8 RGB, shown at ``timestamp`` seconds."""
        ...

    def reset(self) -> None:
        """The next frame begins another recording."""
        ...

    def close(self) -> None: ...


DETECTORS = {"mediapipe": "chereme.hands.detector:MediaPipeDetector"}
"""Hand detectors by name: the place of a class whose argument ``still`` says that each picture
stands by itself."""


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

    Following one hand costs a third of following 'up to two', which searches for the second in
    every frame. So a lone hand is followed alone after ``alone_after``, with a look for a second
    every ``second_hand``. Round a hand just lost one looks for ``lost_for``; after that the frames
    go in turn to the whole picture and to one of the other views, which bounds the cost of a
    recording without hands. Another view than the whole is given up ``lost_for`` after its last
    hand, and the whole is tried again every ``whole``.
    """

    alone_after: float = 0.2
    second_hand: float = 0.2
    lost_for: float = 0.2
    whole: float = 1.0


class MediaPipeDetector:
    """Finds and follows hands with MediaPipe Tasks' ``HandLandmarker``.

    ``task`` is the model bundle (``None``: see ``find_hand_landmarker``); ``still`` treats every
    picture on its own and tries all views on it; at most ``max_hands`` hands per frame. A context
    manager. One detector may read many recordings one after the other: call ``reset`` between.
    Not for use by several threads at once.
    """

    def __init__(
        self,
        *,
        task: str | Path | None = None,
        still: bool = False,
        max_hands: int = 2,
        timing: SearchTiming = SearchTiming(),
    ) -> None:
        if max_hands < 1:
            raise InputError(f"max_hands: expected at least 1, got {max_hands}")
        bundle = find_hand_landmarker(task)
        self._still = still
        self._max_hands = max_hands
        self._timing = timing
        self._searcher = Landmarker(bundle, max_hands=max_hands, follows=False)
        self._strict_searcher = Landmarker(
            bundle, max_hands=max_hands, follows=False, presence=STRICT_PRESENCE
        )
        self._follower = Landmarker(bundle, max_hands=max_hands, follows=True)
        self._lone_follower = Landmarker(bundle, max_hands=1, follows=True)
        self.reset()

    def __enter__(self) -> MediaPipeDetector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the models."""
        for landmarker in (
            self._searcher,
            self._strict_searcher,
            self._follower,
            self._lone_follower,
        ):
            landmarker.close()

    def reset(self) -> None:
        """Forget the recording so far."""
        self._size: tuple[int, int] | None = None
        self._last: list[Detection] = []
        self._cuts = CutFinder()
        self._tries = 0
        self._proven: View | None = None
        self._moving = search_regions.MovingPart()
        self._start_over(None)

    def _start_over(self, view: View | None) -> None:
        """Follow ``view`` (None: the whole frame) from scratch."""
        self._view = view
        self._alone = False
        self._alone_since: float | None = None
        self._last_seen = -np.inf
        self._missed = FEWEST_MISSED
        self._due: dict[str, float] = {}
        self._rescues = 0
        self._follower.forget()
        self._lone_follower.forget()

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
        if self._size != (width, height) or self._cuts.is_cut(image):
            self.reset()
            self._size = (width, height)
        # At a low frame rate one step may be longer than ``lost_for``: count frames as well.
        long_ago = timestamp - self._last_seen > self._timing.lost_for
        lost = long_ago and self._missed >= FEWEST_MISSED
        if lost and self._view is not None:
            self._start_over(None)
        found = self._search(image, timestamp) if lost else self._follow(image, timestamp)
        if found:
            self._last, self._last_seen, self._missed = found, timestamp, 0
        else:
            self._missed += 1
        return found

    # -- following -------------------------------------------------------------------------------

    def _follow(self, image: NDArray[np.uint8], now: float) -> list[Detection]:
        if (
            self._view is not None
            and self._due_now("whole", now, self._timing.whole)
            and (found := self._look_anew(image, None))
        ):
            self._start_over(None)
            return found
        view = self._view
        found = []
        if self._alone:
            found = self._look_on(self._lone_follower, image, view)
            if found and not self._due_now("second_hand", now, self._timing.second_hand):
                return self._kept_in_view(found, image)
        both = self._look_on(self._follower, image, view)
        if len(both) != 1:
            self._alone, self._alone_since = False, None
        elif self._max_hands > 1 and not self._alone:
            self._alone_since = now if self._alone_since is None else self._alone_since
            if now - self._alone_since >= self._timing.alone_after:
                self._alone = True
                self._lone_follower.forget()
                self._due_now("second_hand", now, self._timing.second_hand)
        # A lone hand was followed without a break; the other follower had to find it again.
        better = found if len(both) == 1 and found else both or found
        if not better:
            return self._search_nearby(image)
        self._rescues = 0
        return self._kept_in_view(better, image)

    def _kept_in_view(self, found: list[Detection], image: NDArray[np.uint8]) -> list[Detection]:
        """Move an enlarged view on before the hand leaves it."""
        if self._view is not None and found:
            points = np.concatenate([hand.landmarks[:, :2] for hand in found])
            if not self._view.holds(
                points, image, margin=0.25 * float(np.ptp(points, axis=0).max())
            ):
                since = self._alone_since
                self._start_over(search_regions.around(points, factor=5.0))
                self._alone_since = since
        return found

    # -- searching -------------------------------------------------------------------------------

    def _search(self, image: NDArray[np.uint8], now: float) -> list[Detection]:
        """Every other frame the whole picture, in between one of the other views in turn.

        Where something moves in a small part of the picture, that part is looked at in nearly every
        frame: a signer who is small in the picture would be read from the middle of a word else.
        On a recording's first frame all bordered views are tried. The view that shows a hand
        becomes the one that is followed, and after a loss has every other turn.
        """
        height, width = image.shape[:2]
        self._tries += 1
        if self._tries % 2 and (found := self._look(self._follower, image, None)):
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
            if found := self._look_anew(image, view):
                self._start_over(view)
                self._proven = view
                # Soon: the whole may show a second hand that this view does not.
                self._due_now("whole", now, self._timing.second_hand)
                return found
        return []

    def _search_nearby(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Look round the hands of the last frame that had any."""
        for hand in self._last:
            view = search_regions.around(hand.landmarks[:, :2], factor=4.0)
            if found := self._look_anew(image, view):
                self._rescues += 1
                if self._rescues == MAX_RESCUES:
                    # The view followed does not show the hand well enough to find it again.
                    self._start_over(view)
                return found
        return []

    def _search_still(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        borders = [search_regions.bordered(width, height, *border) for border in BORDERS]
        for view in (None, *borders, *search_regions.tiles(width, height)):
            if found := self._look_anew(image, view):
                return found
        return []

    def _look_anew(self, image: NDArray[np.uint8], view: View | None) -> list[Detection]:
        if view is not None and (view.replicate or view.enlarges(image)):
            return self._look(self._strict_searcher, image, view)
        if self._still:
            return self._look(self._searcher, image, view)
        # For the sake of memory, the follower that follows nothing just now is the one to search.
        idle = self._alone or not self._follower.follows_hands
        searcher = self._follower if idle else self._lone_follower
        searcher.forget()
        found = self._look(searcher, image, view)
        searcher.forget()
        return found

    def _look_on(
        self, follower: Landmarker, image: NDArray[np.uint8], view: View | None
    ) -> list[Detection]:
        found = self._look(follower, image, view)
        if view is None or not view.enlarges(image):
            return found
        # A follower takes up new hands at its lower threshold: keep to those that are known.
        return [hand for hand in found if any(_near(hand, known) for known in self._last)]

    def _look(
        self, landmarker: Landmarker, image: NDArray[np.uint8], view: View | None
    ) -> list[Detection]:
        height, width = image.shape[:2]
        rendered = (view or search_regions.whole(width, height)).render(image)
        return [_detection(hand, rendered) for hand in landmarker.find(rendered.image)]

    def _due_now(self, what: str, now: float, every: float) -> bool:
        """True, and again only after ``every`` seconds."""
        if now < self._due.get(what, -np.inf):
            return False
        self._due[what] = now + every
        return True


def _in_turn(borders: list[View], tiles: list[View]) -> list[View]:
    """A border, a tile, a border, a tile ...: each tile once, borders as often as needed."""
    return [
        view for number, tile in enumerate(tiles) for view in (borders[number % len(borders)], tile)
    ]


def _near(hand: Detection, known: Detection) -> bool:
    apart = np.linalg.norm((hand.landmarks - known.landmarks)[:, :2].mean(axis=0))
    return bool(apart <= ENLARGED_REACH * palm_size(known.landmarks))


def _detection(hand: RawHand, rendered: search_regions.Rendered) -> Detection:
    return Detection(
        landmarks=rendered.to_frame(hand.landmarks),
        world_landmarks=hand.world_landmarks,
        handedness=hand.handedness,
        score=hand.score,
    )
