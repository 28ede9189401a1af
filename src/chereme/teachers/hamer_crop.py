"""Pictures of hands cut as HaMeR cuts them, to give its model what it was trained on.

Source: geopavlakos/hamer, ``datasets/vitdet_dataset.py`` and ``demo.py``. Differs from
`chereme.hands.crop` in the box (wider, along a 3:4 frame), in how little it blurs what it shrinks,
and in where the middle falls: on the centre of pixel 128 of 256.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.types import HandTrack

SIZE = 256
RESCALE = 2.0  # of HaMeR's demo and training; its dataset class has 2.5 if nothing is said
_ASPECT = 4 / 3  # height over width of what its ViT sees


def hamer_box(
    points: NDArray[np.floating[Any]], rescale: float = RESCALE
) -> tuple[float, float, float]:
    """Centre x, centre y and side of HaMeR's square, in pixels of the frame.

    ``points (N, 2)`` are those joints of the hand that were seen, in the same pixels. HaMeR takes
    ViTPose's with a confidence above 0.5, and wants more than 3.
    """
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 4 or not np.isfinite(points).all():
        raise InputError(
            f"hamer_box: expected at least 4 finite points (N, 2), got {points.shape}"
            + (
                ""
                if np.isfinite(points).all()
                else " with NaN or infinity; leave out unseen joints"
            )
        )
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = (high - low).tolist()
    centre_x, centre_y = ((low + high) / 2).tolist()
    return centre_x, centre_y, rescale * max(height, _ASPECT * width)


def hamer_crop_of(image: NDArray[np.uint8], track: HandTrack, index: int) -> NDArray[np.uint8]:
    """HaMeR's picture ``(256, 256, 3)`` of the hand of a track, seen as a right one, in the frame
    ``image`` of that index, in which it was seen."""
    points = track.landmarks[index, :, :2].astype(np.float64)
    if track.mirrored:
        points[:, 0] = track.width - points[:, 0]
    return hamer_crop(image, *hamer_box(points), mirrored=track.mirrored)


def hamer_crop(
    image: NDArray[np.uint8], centre_x: float, centre_y: float, side: float, *, mirrored: bool
) -> NDArray[np.uint8]:
    """``(256, 256, 3)``: the square of `hamer_box` out of ``image (H, W, 3)``, black beyond it.

    ``mirrored`` for left hands. The first pixel's centre is (0.5, 0.5), as elsewhere here.

    Deviation: HaMeR blurs the whole image in floating point before it cuts, we the part that the
    square needs, in 8 bits: within one grey level of HaMeR's picture, and far quicker.
    """
    import cv2

    if not (np.isfinite([centre_x, centre_y, side]).all() and side > 0):
        raise InputError(
            f"hamer_crop: expected a finite centre and a side > 0, got {(centre_x, centre_y, side)}"
        )
    scale = SIZE / side
    factor = 1 / scale / 2
    sigma = (factor - 1) / 2 if factor > 1.1 else 0.0
    margin = int(4 * sigma) + int(1 / scale) + 2
    # cv2 and HaMeR have pixel centres at whole numbers.
    cx, cy = centre_x - 0.5, centre_y - 0.5
    height, width = image.shape[:2]
    x0, y0 = max(0, int(cx - side / 2) - margin), max(0, int(cy - side / 2) - margin)
    x1, y1 = (
        min(width, int(cx + side / 2) + margin + 1),
        min(height, int(cy + side / 2) + margin + 1),
    )
    if x1 <= x0 or y1 <= y0:
        return np.zeros((SIZE, SIZE, 3), np.uint8)
    part = image[y0:y1, x0:x1]
    if sigma:
        kernel = 2 * int(4 * sigma + 0.5) + 1  # four deviations to either side, as scipy's
        part = cv2.GaussianBlur(  # type: ignore[assignment]
            part, (kernel, kernel), sigma, borderType=cv2.BORDER_REPLICATE
        )
    half = SIZE / 2
    # Mirroring the frame first sends x to width - 1 - x, and so does HaMeR with the centre: the
    # hand's middle stays on pixel 128, where flipping the crop would bring it to 127.
    across = -scale if mirrored else scale
    matrix = np.array(
        [[across, 0.0, half + across * (x0 - cx)], [0.0, scale, half + scale * (y0 - cy)]]
    )
    picture: NDArray[np.uint8] = cv2.warpAffine(  # type: ignore[assignment]
        part, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return picture
