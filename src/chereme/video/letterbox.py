"""Frames made smaller or larger, whole: as networks that look at the frame see it, or a viewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """``image (H, W, 3)`` as ``(height, width, 3)``, bilinear.

    What is shrunk is averaged over two pixels of the smaller picture, so that thin fingers do not
    flicker.
    """
    from PIL.Image import Resampling, fromarray

    return np.array(fromarray(image).resize((width, height), Resampling.BILINEAR))


def letterbox(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The whole of ``image (H, W, 3)`` as ``(size, size, 3)`` uint8, its aspect kept.

    The longer side becomes ``size``, the shorter one lies in the middle between black bars (one
    pixel more at the right or at the bottom where they cannot be equal).

    Raises:
        InputError: an image of another shape or type, or a size below 1.
    """
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
    top, left = (size - rows) // 2, (size - columns) // 2
    picture = np.zeros((size, size, 3), np.uint8)
    picture[top : top + rows, left : left + columns] = resized(image, columns, rows)
    return picture
