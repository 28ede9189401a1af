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
    from PIL.Image import Resampling, fromarray

    if not (np.isfinite(box).all() and box[0] < box[2] and box[1] < box[3] and size > 0):
        raise InputError(
            f"crop: expected a box with left < right and top < bottom and a size > 0, got "
            f"{tuple(box.tolist())} and {size}; frames before a hand was seen have no box"
        )
    picture = np.zeros((size, size, 3), np.uint8)
    corner, step = box[:2], (box[2:] - box[:2]) / size
    extent = np.array(image.shape[1::-1])
    # The pixels of the crop that show some of the frame: the rest stays black, however large.
    first = np.clip(np.floor(-corner / step) - 1, 0, size).astype(int)
    last = np.clip(np.ceil((extent - corner) / step) + 1, 0, size).astype(int)
    if (last <= first).any() or (step > extent).any():
        return picture
    # Their neighbourhood, black beyond the frame, for all that a pixel of the crop draws on.
    reach = np.ceil(step) + 1
    low = np.floor(corner + first * step - reach).astype(int)
    high = np.ceil(corner + last * step + reach).astype(int)
    inside = np.concatenate([np.maximum(low, 0), np.minimum(high, extent)])
    part = fromarray(image[inside[1] : inside[3], inside[0] : inside[2]])
    if (inside != [*low, *high]).any():
        part = part.crop(tuple(np.concatenate([low - inside[:2], high - inside[:2]]).tolist()))
    window = np.concatenate([corner + first * step - low, corner + last * step - low])
    small = part.resize((last - first).tolist(), Resampling.BILINEAR, tuple(window.tolist()))
    picture[first[1] : last[1], first[0] : last[0]] = small
    return picture[:, ::-1].copy() if mirrored else picture


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
