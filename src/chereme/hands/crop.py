"""Square pictures of the hand, cut from the frames along its trajectory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.types import FloatArray, HandTrack

PADDING = 0.25
SMOOTHING = 0.1  # seconds: standard deviation of the Gaussian over time
_RIM = 0.08  # of half a box: the least that is left round the outermost joint


def hand_box(
    track: HandTrack, *, padding: float = PADDING, smoothing: float = SMOOTHING
) -> FloatArray:
    """Square boxes ``(T, 4)`` float64: left, top, right, bottom, in pixels of the frame as seen.

    Each is centred on the landmarks' bounding box, as long as its longer side plus ``padding`` of
    that on either side. Boxes are smoothed over ``smoothing`` seconds; where the hand was not
    seen they lie between those before and after. Where a quick hand would leave the smoothed box,
    that is made larger about its centre. They may reach over the frame's edge. All NaN if the hand
    was never seen.
    """
    seen = track.present
    boxes = np.full((len(seen), 4), np.nan)
    if not seen.any():
        return boxes
    points = track.landmarks[seen, :, :2].astype(np.float64)
    if track.mirrored:
        points[..., 0] = track.width - points[..., 0]
    low, high = points.min(axis=1), points.max(axis=1)
    side = (high - low).max(axis=1) * (1 + 2 * padding)
    known = np.column_stack([(low + high) / 2, side])
    times = track.timestamps
    every = np.column_stack([np.interp(times, times[seen], column) for column in known.T])
    centre_and_side = _smoothed(every, times, smoothing)
    centre, half = centre_and_side[:, :2], centre_and_side[:, 2:] / 2
    reach = np.maximum(high - centre[seen], centre[seen] - low).max(axis=1, keepdims=True)
    half[seen] = np.maximum(half[seen], reach * (1 + _RIM))
    return np.concatenate([centre - half, centre + half], axis=1)


def crop(
    image: NDArray[np.uint8], box: FloatArray, size: int, mirrored: bool = False
) -> NDArray[np.uint8]:
    """Cut ``box`` (left, top, right, bottom; pixels) out of ``image (H, W, 3)``.

    Returns ``(size, size, 3)``; ``mirrored`` flips it left-right (for left hands).
    Beyond the frame it is black. Edges of boxes lie on edges of pixels: the box (0, 0, W, H) is the
    whole image.
    """
    import cv2

    left, top, right, bottom = (float(edge) for edge in box)
    if not (np.isfinite(box).all() and right > left and bottom > top and size > 0):
        raise InputError(
            f"crop: expected a box with left < right and top < bottom and a size > 0, got "
            f"{(left, top, right, bottom)} and {size}; frames before a hand was seen have no box"
        )
    scale = size / (right - left), size / (bottom - top)
    factor = 1 / min(scale)
    margin = int(2 * factor) + 2
    height, width = image.shape[:2]
    x0, y0 = max(0, int(left) - margin), max(0, int(top) - margin)
    x1, y1 = min(width, int(right) + margin + 1), min(height, int(bottom) + margin + 1)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((size, size, 3), np.uint8)
    part = image[y0:y1, x0:x1]
    if factor > 1:
        # Shrinking without aliasing: take out what the smaller picture cannot hold, in the
        # neighbourhood of the box alone.
        sigma = 0.5 * float(np.sqrt(factor**2 - 1))
        part = cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    # cv2 has pixel centres at whole numbers; ours lie at halves.
    matrix = np.array(
        [
            [scale[0], 0.0, scale[0] * (x0 + 0.5 - left) - 0.5],
            [0.0, scale[1], scale[1] * (y0 + 0.5 - top) - 0.5],
        ]
    )
    if mirrored:
        matrix[0] = [-matrix[0, 0], 0.0, size - 1 - matrix[0, 2]]
    picture: NDArray[np.uint8] = cv2.warpAffine(  # type: ignore[assignment]
        part, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return picture


def _smoothed(values: FloatArray, times: FloatArray, deviation: float) -> FloatArray:
    """Gaussian mean over time of ``values (T, N)``, with true times as distances.

    Near the ends the window shrinks to what is there on both sides: no lag, no bias.
    """
    if deviation <= 0:
        return values
    smooth = np.empty_like(values)
    for index, time in enumerate(times):
        reach = min(3 * deviation, time - times[0], times[-1] - time)
        first = np.searchsorted(times, time - reach - 1e-9)
        last = np.searchsorted(times, time + reach + 1e-9)
        weights = np.exp(-0.5 * ((times[first:last] - time) / deviation) ** 2)
        smooth[index] = weights @ values[first:last] / weights.sum()
    return smooth
