"""Made-up signers on film, as the hand network sees them: what composed clips cannot show.

The network follows a hand from frame to frame, as it does in films, through movement that is
rendered with its blur, and says landmarks and vectors. Composed clips have to guess what it says
between two letters. Only the part of a picture where the hand is, is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.engine import generate
from chereme.datasets.exemplars import LETTERS, MOVING
from chereme.datasets.recordings import RecordedClip, Recordings, right_hand, shown_letters, signs
from chereme.datasets.registry import Kind, dataset
from chereme.hands.detector import FILM_PRESENCE
from chereme.hands.landmarks import LandmarkNetwork
from chereme.hands.rectangle import of_landmarks
from chereme.hands.skeleton import mirror, palm_size
from chereme.synthesis.corpus import Pictures, compose, signer, word
from chereme.synthesis.rendered_clips import RenderedClip
from chereme.synthesis.rendering.film import compress
from chereme.types import NUM_JOINTS, VECTOR_SIZE, HandTrack

_RATES = (15.0, 20.0, 24.0, 25.0, 30.0, 30.0)
_HEIGHTS = (180, 560)  # pixels of the pictures
_QUALITIES = (40, 98)  # of their compression
_IDLE, _ALONE = 0.08, 0.12  # of clips show a hand that spells nothing, and a single letter
_AWAY = 0.6  # palm lengths from the hand, of what is another thing
_TEXTS = 3  # keeps the seeds of texts apart from those of clips
_LETTERS = [*(c for c in LETTERS if c not in MOVING), *4 * MOVING]  # J and Z are rare in words


def text_of(index: int, seed: int) -> str:
    """What a clip spells: a word or a string, a single letter, or nothing."""
    rng = np.random.default_rng([seed, index, _TEXTS])
    kind = rng.random()
    if kind < _IDLE:
        return ""
    return str(rng.choice(_LETTERS)) if kind < _IDLE + _ALONE else word(index, seed, "train")


def film(index: int, seed: int, *, darker: bool = False) -> RecordedClip:
    """The clip of that number, of a signer of its own; ``darker``: with every other number of the
    darker of two, whose hands are harder to follow."""
    rng = np.random.default_rng([seed, index])
    height = 2 * round(float(np.exp(rng.uniform(*np.log(_HEIGHTS)))) / 2)
    two = range(2 * index, 2 * index + 1 + index % 2) if darker else (index,)
    who = min((signer(number, seed) for number in two), key=lambda one: one.skin.lightness)
    text = text_of(index, seed)
    pictures = Pictures(2 * round(height * 2 / 3), height)
    rendered = compose(text, who, rng, pictures, float(rng.choice(_RATES)))
    return RecordedClip(follow(rendered, _network(), rng), text, who.name)


@cache
def _network() -> LandmarkNetwork:
    return LandmarkNetwork(1)


def follow(rendered: RenderedClip, network: LandmarkNetwork, rng: np.random.Generator) -> HandTrack:
    """The signing hand of ``rendered``, a right one's landmarks in its pictures, frame by frame.

    Half of the clips are shown as in a mirror, so that the vectors are a left hand's."""
    seen = rendered.landmarks
    true = seen.landmarks[:, 0].astype(np.float64)
    if rendered.signer.left_handed:
        true = mirror(true, seen.width)
    flip, quality = rng.random() < 0.5, int(rng.integers(*_QUALITIES))
    count = len(true)
    squares = [of_landmarks(points) for points in true]
    boxes = np.array([square.bounds() for square in squares])
    room = 0.15 * (boxes[:, 2] - boxes[:, 0])[:, None]
    windows = rendered.windows(np.arange(count), boxes + room * [-1, -1, 1, 1])
    points = np.full((count, NUM_JOINTS, 3), np.nan)
    vectors = np.zeros((count, VECTOR_SIZE), np.float16)
    last: NDArray[np.float64] | None = None
    for frame, (image, corner) in enumerate(windows):
        image = compress(image, quality)
        shift = np.array([*corner, 0.0])
        if flip:
            image = np.ascontiguousarray(image[:, ::-1])
        expected = (_trembling(true[frame], rng) if last is None else last) - shift
        if flip:
            expected = mirror(expected, image.shape[1])
        found = network.find(image, [of_landmarks(expected)])[0]
        last = None
        if found is None or found.presence < FILM_PRESENCE:
            continue
        hand = found.landmarks.astype(np.float64)
        hand = (mirror(hand, image.shape[1]) if flip else hand) + shift
        off = np.linalg.norm((hand - true[frame])[:, :2], axis=1).mean()
        if off < _AWAY * float(palm_size(true[frame])):
            points[frame], vectors[frame], last = hand, found.vector, hand
    return right_hand(points, seen.timestamps, vectors)


def _trembling(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Where a palm detector would take the hand to be."""
    moved: NDArray[np.float64] = points + float(palm_size(points)) * rng.normal(0, 0.1, (1, 3))
    return moved


@dataset("recordings", Kind.RECORDINGS)
def recordings(
    root: Path,
    *,
    clips: int = 700,
    letters: bool = False,
    darker: bool = False,
    seed: int = 1,
    workers: int = 2,
    progress: Callable[[int, int | None], None] | None = None,
) -> Recordings:
    """Hands followed through clips: rendered spelling, and real signs that are no letters.

    Args:
        root: the folder of the collections (docs/training.md).
        clips: rendered ones, each of another made-up signer.
        letters: real letters by themselves too, as a webcam saw them.
        darker: half of the made-up signers are the darker of two.
        seed: the same seed gives the same file.
        workers: processes that render.
    """
    found = [*signs(root), *(shown_letters(root) if letters else ())]
    filmed = generate(partial(film, seed=seed, darker=darker), range(clips), workers)
    for number, clip in enumerate(filmed, 1):
        if clip.track.present.mean() > 0.5:  # else it left the picture
            found.append(clip)
        if progress is not None:
            progress(number, clips)
    return Recordings.of(found)
