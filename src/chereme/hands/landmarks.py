"""The landmark network: 21 joints of each hand whose rough place is known (MediaPipe's)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.networks import open_hand_network
from chereme.hands.rectangle import Rectangle
from chereme.types import NUM_JOINTS

SIDE = 224
DEPTH = 0.4  # what the network gives as z is so many times as large as in the scale of x
MAX_REGION = 1024  # pixels; a larger part of a frame is thinned out before it is turned

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class LandmarkHand:
    """What the network says of a square: ``landmarks (21, 3)`` in pixels of the frame, z in the
    scale of x; ``world_landmarks (21, 3)`` metres; the probabilities that there is a hand, and that
    it is a right one; ``vector (1152,)``: the pooled features of which all these are linear."""

    landmarks: NDArray[np.float32]
    world_landmarks: NDArray[np.float32]
    presence: float
    right: float
    vector: NDArray[np.float32]


class LandmarkNetwork:
    """Runs the network on squares of a frame; ``threads`` as of ``open_network``."""

    def __init__(self, threads: int | None = 1) -> None:
        self._network = open_hand_network("landmarks", threads)

    def find(
        self, image: NDArray[np.uint8], rectangles: Sequence[Rectangle]
    ) -> list[LandmarkHand | None]:
        """For each of ``rectangles`` in ``image (H, W, 3)`` what is in it, hand or not; None for
        one that lies beyond the frame."""
        regions = [_region(image, rectangle) for rectangle in rectangles]
        inside = [number for number, region in enumerate(regions) if region is not None]
        found: list[LandmarkHand | None] = [None] * len(regions)
        if not inside:
            return found
        feed = _stacked([region for region in regions if region is not None])
        outputs = self._network.run(OUTPUTS, feed)
        for row, number in enumerate(inside):
            found[number] = _hand(rectangles[number], *(output[row] for output in outputs))
        return found


OUTPUTS = ("landmarks", "world_landmarks", "presence", "handedness", "vector")


def _hand(
    rectangle: Rectangle, joints: Floats, world: Floats, presence: float, right: float, vector: Any
) -> LandmarkHand:
    points = joints.astype(np.float64).reshape(NUM_JOINTS, 3) / SIDE
    points[:, 2] /= DEPTH
    metres = world.astype(np.float64).reshape(NUM_JOINTS, 3)
    return LandmarkHand(
        landmarks=rectangle.to_frame(points).astype(np.float32),
        world_landmarks=rectangle.turned(metres).astype(np.float32),
        presence=float(presence),
        right=float(right),
        vector=vector,
    )


@dataclass(frozen=True, slots=True)
class _Region:
    """The part of a frame round a square, and the map from the square to it: of places from -1 to 1
    in the square to places from -1 to 1 in the part, ``(2, 3)``."""

    image: NDArray[np.uint8]
    place: Floats


def _region(image: NDArray[np.uint8], rectangle: Rectangle) -> _Region | None:
    height, width = image.shape[:2]
    left, top, right, bottom = rectangle.bounds()
    if not (rectangle.side > 0 and math.isfinite(left + top)):
        return None
    x0, y0, x1, y1 = math.floor(left) - 1, math.floor(top) - 1, math.ceil(right), math.ceil(bottom)
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return None
    step = math.ceil(max(x1 - x0, y1 - y0) / MAX_REGION)
    if x0 >= 0 and y0 >= 0 and x1 < width and y1 < height:
        part = image[y0 : y1 + 1 : step, x0 : x1 + 1 : step]
    else:  # beyond the frame its edge is repeated
        rows, columns = np.arange(y0, y1 + 1, step), np.arange(x0, x1 + 1, step)
        part = image[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    cos, sin = math.cos(rectangle.angle), math.sin(rectangle.angle)
    # As MediaPipe has it, the corner of a pixel stands for its centre, before and after.
    half = rectangle.side / SIDE / 2
    x, y = rectangle.x - half * (cos - sin), rectangle.y - half * (sin + cos)
    size = np.array([[part.shape[1]], [part.shape[0]]])
    turn = rectangle.side / step * np.array([[cos, -sin], [sin, cos]]) / size
    corner = (2 / step * np.array([[x - x0], [y - y0]]) + 1) / size - 1
    return _Region(part, np.hstack([turn, corner]))


def _stacked(regions: Sequence[_Region]) -> dict[str, NDArray[Any]]:
    """One batch: smaller parts are made as large as the largest, by repeating their edges."""
    sizes = np.array([region.image.shape[:2] for region in regions])
    rows, columns = sizes.max(axis=0)
    images, places = [], []
    for region, (height, width) in zip(regions, sizes, strict=True):
        image, more = region.image, ((0, rows - height), (0, columns - width), (0, 0))
        is_largest = (height, width) == (rows, columns)
        images.append(image if is_largest else np.pad(image, more, mode="edge"))
        fraction = np.array([[width / columns], [height / rows]])
        places.append(region.place * fraction + (fraction - 1) * [0, 0, 1])
    return {"regions": np.stack(images), "places": np.stack(places).astype(np.float32)}
