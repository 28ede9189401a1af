"""The square picture of a whole frame, as networks that look at the frame see it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError


def letterbox(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The whole of ``image (H, W, 3)`` as ``(size, size, 3)`` uint8, its aspect kept.

    The longer side becomes ``size``, the shorter one lies in the middle between black bars (one
    pixel more at the right or at the bottom where they cannot be equal). Shrinking averages over
    areas, so that thin fingers do not flicker; enlarging is bilinear.

    Raises:
        InputError: an image of another shape or type, or a size below 1.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(
            f"square picture: expected an image (height, width, 3) of uint8, got {image.shape} of "
            f"{image.dtype}"
        )
    if size < 1:
        raise InputError(f"square picture: expected a size of at least 1 pixel, got {size}")
    height, width = image.shape[:2]
    scale = size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    inside = image
    if (rows, columns) != (height, width):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        inside = cv2.resize(image, (columns, rows), interpolation=method)  # type: ignore[assignment]
    top, left = (size - rows) // 2, (size - columns) // 2
    picture = np.zeros((size, size, 3), np.uint8)
    picture[top : top + rows, left : left + columns] = inside
    return picture
