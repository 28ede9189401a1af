"""Palm detection: where in a picture hands are, roughly (MediaPipe's single-shot detector).

The network sees 192 x 192 pixels and speaks of 2,016 anchors: two at each place of a grid of 24 x
24, six at each of one of 12 x 12. For each it gives a score, a square about the palm, and seven
points, all relative to the anchor's place and in pixels of what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.networks import open_hand_network
from chereme.hands.search_regions import Sampled, View

SIDE = 192
GRIDS = ((24, 2), (12, 6))  # places in a row, and anchors at each
SCORE = 0.5
SAME_PALM = 0.3  # intersection over union from which on two boxes are of one palm

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Palm:
    """``box (4,)``: left, top, right, bottom of the palm, ``points (7, 2)``: wrist, knuckles of
    index, middle, ring, little finger, and two of the thumb; pixels of the frame."""

    box: Floats
    points: Floats
    score: float


class PalmDetector:
    """Finds palms with the network; ``threads`` as of ``open_network``."""

    def __init__(self, threads: int | None = 1) -> None:
        self._network = open_hand_network("palm", threads)

    def find(self, image: NDArray[np.uint8], view: View) -> list[Palm]:
        """The palms of a ``view`` of ``image (H, W, 3)`` uint8 RGB, the surest first."""
        return self.find_in(view.sample(image, SIDE))

    def find_in(self, seen: Sampled) -> list[Palm]:
        """As :meth:`find`, of a view that was sampled at ``SIDE``."""
        boxes, logits = self._network.run(["boxes", "scores"], {"images": seen.image[None]})
        # All of the sums below are over a few: most anchors see no hand.
        likely = np.flatnonzero(logits[0] >= np.log(SCORE / (1 - SCORE)))
        if not len(likely):
            return []
        scores = 1 / (1 + np.exp(-logits[0, likely].astype(np.float64)))
        values = boxes[0, likely].astype(np.float64).reshape(-1, 9, 2) / SIDE
        centre, size = values[:, 0] + ANCHORS[likely], values[:, 1]
        points = values[:, 2:] + ANCHORS[likely][:, None]
        corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        return [
            Palm(seen.to_frame(box.reshape(2, 2)).ravel(), seen.to_frame(of), score)
            for box, of, score in _merged(corners, points, scores)
        ]


def _anchors() -> Floats:
    places = []
    for cells, number in GRIDS:
        middle = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        places.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), number, axis=0))
    return np.concatenate(places)


ANCHORS = _anchors()
"""``(2016, 2)``: x and y of each anchor, as fractions of the picture."""


def _merged(boxes: Floats, points: Floats, scores: Floats) -> list[tuple[Floats, Floats, float]]:
    """Weighted non-maximum suppression: of boxes ``(N, 4)`` that overlap, with their points
    ``(N, 7, 2)``, the means by score ``(N,)``; each with the best of its scores."""
    kept = []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        alike = _overlap(boxes[left[0]], boxes[left]) > SAME_PALM
        alike[0] = True
        of = left[alike]
        weight = scores[of] / scores[of].sum()
        kept.append(
            (weight @ boxes[of], np.tensordot(weight, points[of], axes=1), float(scores[of[0]]))
        )
        left = left[~alike]
    return kept


def _overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of ``box (4,)`` with each of ``others (N, 4)``."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    area = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - both
    share: Floats = both / np.maximum(area, 1e-12)
    return share
