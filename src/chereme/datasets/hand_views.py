"""Several views of the hand in a picture, as the hand network sees them.

Where the hand is, is found once: from landmarks that come with the picture, or by the detector.
Each view is a copy with other light, noise and sharpness, flipped or not, in which the network
looks at a square that is a little beside the right one, as a followed hand's is in a film. What it
then says has the errors that a recogniser has to live with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from chereme.datasets.letter_collections import Picture
from chereme.hands.detector import PRESENCE, HandDetector, OnnxHandDetector
from chereme.hands.landmarks import LandmarkHand, LandmarkNetwork
from chereme.hands.rectangle import Rectangle, of_landmarks
from chereme.hands.skeleton import mirror, palm_size

_ONE_HAND = 0.9  # of a person's pictures that show one hand: the others do too
_GROUND = 22  # grey level up to which the ground of a hand that was cut out is dark

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]


class Network(Protocol):
    """What looks at squares of a picture: ``chereme.hands.landmarks.LandmarkNetwork``."""

    def find(self, image: Image, rectangles: Sequence[Rectangle]) -> list[LandmarkHand | None]: ...


Eyes = Callable[[], tuple[HandDetector, Network]]
"""Makes a detector of single pictures and a network; called once in each process."""


def own_eyes() -> tuple[HandDetector, Network]:
    """The package's own, with one thread each."""
    return OnnxHandDetector(still=True, refine=True, max_hands=1), LandmarkNetwork(1)


class View(NamedTuple):
    """``landmarks (21, 3)`` pixels of the picture, ``vector (1152,)`` float16 of the view, and the
    probability that the picture shows a right hand."""

    landmarks: Floats
    vector: NDArray[np.float16]
    right: float


def views(
    pictures: Sequence[Picture],
    eyes: Eyes = own_eyes,
    *,
    variants: int = 3,
    workers: int = 2,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[list[View]]:
    """For each picture its views, those that agree, as of right hands.

    Args:
        eyes: what looks; a function of a module, as other processes call it too.
        variants: views of each picture of a burst; twice as many of others.
        workers: processes; with 1 the work is done in this one.
        progress: called with the pictures done and those expected.

    The same ``seed`` gives the same, whatever the number of processes. Which hand it is, is known,
    or decided by most pictures of the person; where the person shows both hands, by the picture.
    ``InputError`` for a picture that cannot be read.
    """
    looker = _Looker(eyes, variants, seed)
    found: list[list[View]] = []
    for one in looker.all(pictures, workers):
        found.append(one)
        if progress is not None:
            progress(len(found), len(pictures))
    return _as_right_hands(pictures, found)


@dataclass
class _Looker:
    eyes: Eyes
    variants: int
    seed: int

    def all(self, pictures: Sequence[Picture], workers: int) -> Iterator[list[View]]:
        if workers <= 1:
            _start(self)
            yield from map(_look, enumerate(pictures))
            return
        # A new interpreter: networks that were opened before a fork do not run after it.
        with get_context("spawn").Pool(workers, _start, (self,)) as pool:
            yield from pool.imap(_look, enumerate(pictures), chunksize=16)

    def open(self) -> None:
        self.detector, self.network = self.eyes()

    def look(self, number: int, picture: Picture) -> list[View]:
        rng = np.random.default_rng([self.seed, number])
        image = picture.read()
        first = self._first(image, picture.landmarks)
        if first is None:
            return []
        count = self.variants if picture.burst else 2 * self.variants
        flips = rng.permutation(count) % 2 == 1
        found = [self._view(image, picture, first, flip, k, rng) for k, flip in enumerate(flips)]
        return _agreeing([view for view in found if view is not None])

    def _first(self, image: Image, rough: Floats | None) -> Floats | None:
        """Landmarks of the hand: those that the network finds at the second look."""
        hand = rough
        for _ in range(2):
            found = None if hand is None else self.network.find(image, [of_landmarks(hand)])[0]
            hand = None if found is None or found.presence < PRESENCE else found.landmarks
        if hand is not None:
            return hand.astype(np.float64)
        hands = self.detector.detect(image, 0.0)
        return max(hands, key=lambda d: d.score).landmarks.astype(np.float64) if hands else None

    def _view(
        self, image: Image, picture: Picture, hand: Floats, flip: bool, number: int, rng: Any
    ) -> View | None:
        if flip:
            image = np.ascontiguousarray(image[:, ::-1])
            hand = mirror(hand, image.shape[1])
        square, scale = of_landmarks(hand), 1.0
        if number:  # the first is the picture as it is
            if picture.cut_out and rng.random() < 0.5:
                image = _on_ground(image, rng)
            image, scale = _changed(image, square.side, rng)
            square = _beside(square, scale, rng)
        found = self.network.find(image, [square])[0]
        if found is None or found.presence < PRESENCE:
            return None
        points = found.landmarks.astype(np.float64) / scale
        if flip:
            points = mirror(points, image.shape[1] / scale)
        right = 1 - found.right if flip else found.right
        return View(points, found.vector.astype(np.float16), float(right))


_looker: _Looker  # of this process


def _start(looker: _Looker) -> None:
    global _looker
    cv2.setNumThreads(1)
    _looker = looker
    looker.open()


def _look(numbered: tuple[int, Picture]) -> list[View]:
    return _looker.look(*numbered)


def _beside(square: Rectangle, scale: float, rng: np.random.Generator) -> Rectangle:
    x, y = rng.uniform(-0.08, 0.08, 2) * square.side
    return Rectangle(
        (square.x + x) * scale,
        (square.y + y) * scale,
        square.side * scale * rng.uniform(0.9, 1.15),
        square.angle + rng.normal(0, 0.15),
    )


def _changed(image: Image, side: float, rng: np.random.Generator) -> tuple[Image, float]:
    """A copy with other light, noise and sharpness, and how many times as large it is; ``side`` of
    the square of the hand in pixels."""
    scale = 1.0
    if rng.random() < 0.5:  # hands in films are small
        wanted = float(np.exp(rng.uniform(np.log(70), np.log(260))))
        scale = min(1.0, wanted / side)
        size = [max(8, round(scale * length)) for length in image.shape[1::-1]]
        scale = size[0] / image.shape[1]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.004, 0.016) * side * scale + 0.1)  # type: ignore[assignment]
    gain, lift = rng.uniform(0.65, 1.35), rng.uniform(-25, 25)
    tint = rng.normal(1, 0.05, 3)
    noise = rng.normal(0, rng.uniform(0, 8), image.shape)
    image = np.clip(image * (gain * tint) + lift + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 96))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return image, scale


def _on_ground(image: Image, rng: np.random.Generator) -> Image:
    """A hand that was cut out, on a ground of soft patches instead of black."""
    dark = (image.max(axis=2) <= _GROUND).astype(np.uint8)
    _, parts = cv2.connectedComponents(dark)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    ground = np.isin(parts, np.unique(rim[rim > 0]))  # not the shadows between fingers
    ground = cv2.GaussianBlur(ground.astype(np.float32), (0, 0), 1.5)[..., None]  # type: ignore[assignment]
    cells = rng.integers(1, 9, 2)
    patches = rng.uniform(0, 255, 3) + rng.normal(0, 40, (*cells, 3))
    size = image.shape[1::-1]
    texture = cv2.resize(patches.clip(0, 255), size, interpolation=cv2.INTER_CUBIC).clip(0, 255)
    mixed: Image = (image * (1 - ground) + texture * ground).astype(np.uint8)
    return mixed


def _agreeing(found: list[View]) -> list[View]:
    """The views of one picture whose hands lie near their joint-wise median, at least two.

    A network that has mistaken something else for the hand rarely does so twice in the same way.
    """
    if len(found) < 2:
        return []
    hands = np.stack([view.landmarks for view in found])
    middle = np.median(hands, axis=0)
    apart = np.linalg.norm((hands - middle)[..., :2], axis=-1).mean(axis=1)
    limit = 0.35 * palm_size(middle)
    near = [view for view, off in zip(found, apart, strict=True) if off < limit]
    return near if len(near) >= 2 else []


def _as_right_hands(pictures: Sequence[Picture], found: list[list[View]]) -> list[list[View]]:
    """The landmarks of left hands mirrored, about the left edge of their picture."""
    rights = [float(np.median([v.right for v in own])) if own else np.nan for own in found]
    of_signer: dict[str, list[bool]] = defaultdict(list)
    for picture, right, own in zip(pictures, rights, found, strict=True):
        if own:
            of_signer[picture.signer].append(right >= 0.5)
    share = {signer: float(np.mean(own)) for signer, own in of_signer.items()}
    settled: list[list[View]] = []
    for picture, right, own in zip(pictures, rights, found, strict=True):
        mostly = share.get(picture.signer, 1.0)
        is_right = mostly >= 0.5 if max(mostly, 1 - mostly) >= _ONE_HAND else right >= 0.5
        if picture.side is not None:
            is_right = picture.side == "right"
        settled.append(
            own if is_right else [v._replace(landmarks=mirror(v.landmarks, None)) for v in own]
        )
    return settled
