"""Rendered photographs of letters, and the exemplars that the hand detector makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.datasets.exemplars import LETTERS, MOVING, Exemplars, build_exemplars, concat_exemplars
from chereme.datasets.registry import Kind, dataset
from chereme.errors import UsageError
from chereme.hands.detector import Detection, HandDetector, OnnxHandDetector
from chereme.hands.skeleton import mirror
from chereme.synthesis.articulation import encode
from chereme.synthesis.corpus import open_hand, signer
from chereme.synthesis.handshapes import to_exemplars
from chereme.synthesis.rendered_clips import SUBSTEPS, RenderedClip
from chereme.synthesis.rendering.background import PictureFolder
from chereme.synthesis.scenes import Scene
from chereme.synthesis.signers import Signer
from chereme.synthesis.spelling import Motion

Floats = NDArray[np.floating[Any]]
_SIZE = (480, 360)
RENDERED_SIGNERS = tuple(f"synthetic-{number}" for number in range(4))
"""Signers that the rendered hands count as; see ``rendered_exemplars``."""


@dataclass(frozen=True, eq=False)
class Still:
    """``image (H, W, 3)`` uint8; ``landmarks (21, 3)`` true pixels; ``size`` of the hand in pixels,
    from the wrist to the tip of the stretched middle finger; ``handedness`` of the hand."""

    image: NDArray[np.uint8]
    landmarks: Floats
    size: float
    handedness: str

    def nearest(self, found: list[Detection]) -> tuple[Detection, Floats] | None:
        """The detection that is this hand, and its errors ``(21,)`` in hand sizes.

        None where there is none, or its median error is over a quarter of the hand: then
        something else was taken for a hand."""
        best = None
        for hand in found:
            errors = np.linalg.norm((hand.landmarks - self.landmarks)[:, :2], axis=1) / self.size
            if np.median(errors) < (0.25 if best is None else np.median(best[1])):
                best = hand, errors
        return best


def render_still(
    who: Signer,
    letter: str,
    rng: np.random.Generator,
    *,
    turn: float = 0.0,
    pictures: PictureFolder | None = None,
) -> Still:
    """A photograph of ``who`` showing ``letter``, by chance in a random scene.

    ``turn`` is added to the turn of the table of handshapes, in degrees about the vertical."""
    shape = next(h for h in who.handshapes if h.letter == letter)
    hand = encode(to_exemplars((shape,), open_hand()).landmarks.astype(np.float64))
    tilt, aside, roll = rng.normal(0, 8, 3)
    about = Rotation.from_rotvec(np.radians([tilt, turn + aside, roll]))
    hand = hand.replace(
        orientation=(about * Rotation.from_quat(hand.orientation)).as_quat(),
        angles=hand.angles + np.radians(rng.normal(0, 2.5, hand.angles.shape)),
        wrist=np.zeros((1, 3)),
    )
    held = hand[np.zeros(SUBSTEPS + 1, dtype=int)]
    motion = Motion(held, np.arange(SUBSTEPS + 1) / (30 * SUBSTEPS), letter, ())
    scene = Scene.sample(rng, *_SIZE, pictures)
    rendered = RenderedClip(motion, who, scene, open_hand(), seed=int(rng.integers(1 << 31)))
    joints = rendered.joints[0, 0]
    metres = np.linalg.norm(np.diff(joints[[0, 9, 10, 11, 12]], axis=0), axis=1).sum()
    return Still(
        next(iter(rendered.frames())),
        rendered.landmarks.landmarks[0, 0],
        float(metres * rendered.camera.fx / joints[:, 2].mean()),
        rendered.handedness[0],
    )


def rendered_exemplars(
    count: int,
    detector: HandDetector,
    *,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> Exemplars:
    """What ``detector`` makes of ``count`` made-up signers who show each letter twice.

    Where it finds no hand, or another, nothing is kept. The hands count as four signers,
    ``synthetic-0`` .. ``synthetic-3``, so that in ``Speller``, which draws a signer first, real
    hands stay the majority.
    """
    found: list[tuple[Any, ...]] = []
    letters = [letter for letter in LETTERS if letter not in MOVING]
    picture = 0
    for number in range(count):
        who = signer(number, seed)
        for letter in letters * 2:
            picture += 1
            if progress is not None:
                progress(picture, 2 * count * len(letters))
            still = render_still(who, letter, np.random.default_rng([seed, picture]))
            nearest = still.nearest(detector.detect(still.image, 0.0))
            if nearest is not None:
                points = nearest[0].landmarks.astype(np.float64)
                if still.handedness == "left":
                    points = mirror(points, still.image.shape[1])
                who_counts = RENDERED_SIGNERS[number % len(RENDERED_SIGNERS)]
                found.append((points, letter, who_counts, picture, nearest[0].vector))
    return Exemplars.of(found)


@dataset("exemplars", Kind.EXEMPLARS)
def exemplars(
    root: Path,
    *,
    digits: bool = False,
    people_dev: bool = False,
    variants: int = 3,
    workers: int = 2,
    rendered: int = 0,
    seed: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> Exemplars:
    """Handshapes of letters, from photographs: what letters and landmarks are composed of.

    Args:
        root: the folder of the collections (docs/training.md); letters_studio alone for digits,
            letters_people_dev alone for people_dev.
        digits: digits in the place of letters.
        people_dev: instead of all others the three people whom nothing is trained on.
        variants: views of each picture of a burst; twice as many of others.
        workers: processes that look at pictures.
        rendered: made-up signers to add, two views a letter.
        seed: the same seed gives the same file.
    """
    if rendered and (digits or people_dev):
        raise UsageError("exemplars: made-up signers (rendered) have no digits, and are nobody's")
    if digits and people_dev:
        raise UsageError("exemplars: expected digits or people_dev, got both")
    found = build_exemplars(
        root,
        digits=digits,
        people_dev=people_dev,
        variants=variants,
        workers=workers,
        seed=seed,
        progress=progress,
    )
    if not rendered:
        return found
    with OnnxHandDetector(still=True, refine=True, max_hands=2, vectors=True) as detector:
        more = rendered_exemplars(rendered, detector, seed=seed, progress=progress)
    return concat_exemplars([found, more])
