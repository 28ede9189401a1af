"""Maps of depth and of body parts as pose tracks, on a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError
from chereme.formats.tracks import PAPER_RATE, PoseTracks, one_track

Floats = NDArray[np.float32]

CELLS = 24
"""Rows and columns of the grid of PrimeDepth and Sapiens: 24 x 24 = 576."""


def primedepth(maps: Sequence[ArrayLike | None], rate: float = PAPER_RATE) -> PoseTracks:
    """Depth maps ``(H, W)`` of each frame, None where there is none: the mean of what is finite in
    each of 24 x 24 cells. The unit is the tool's (relative depth)."""
    return _grid("primedepth", maps, rate, np.mean)


def sapiens(maps: Sequence[ArrayLike | None], rate: float = PAPER_RATE) -> PoseTracks:
    """Class maps ``(H, W)`` of body part segmentation of each frame, None where there is none: the
    most frequent class of each of 24 x 24 cells, the lowest of equals. Background is a class."""

    def most_frequent(cell: NDArray[Any]) -> float:
        classes, counts = np.unique(cell, return_counts=True)
        return float(classes[counts.argmax()])

    return _grid("sapiens", maps, rate, most_frequent)


def _grid(
    name: str,
    maps: Sequence[ArrayLike | None],
    rate: float,
    pool: Callable[[NDArray[Any]], Any],
) -> PoseTracks:
    if not maps:
        raise InputError(f"{name}: expected at least one frame, got none")
    rows = np.full((len(maps), CELLS * CELLS), np.nan, np.float32)
    for number, picture in enumerate(maps):
        if picture is None:
            continue
        values = np.squeeze(np.asarray(picture, np.float32))
        if values.ndim != 2 or min(values.shape) < CELLS:
            raise InputError(
                f"{name}, frame {number}: expected a map (height, width) of at least {CELLS} x "
                f"{CELLS}, got {values.shape}"
            )
        values[~np.isfinite(values)] = np.nan
        for row, strip in enumerate(np.array_split(values, CELLS)):
            for column, cell in enumerate(np.array_split(strip, CELLS, axis=1)):
                known = cell[~np.isnan(cell)]
                if known.size:
                    rows[number, row * CELLS + column] = pool(known)
    return one_track(name, rows, rate)
