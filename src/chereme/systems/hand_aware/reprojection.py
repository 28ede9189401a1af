"""How near the joints that a network reconstructs are to the true ones, in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.hands.skeleton import palm_size

Floats = NDArray[np.floating[Any]]


class Reprojection(NamedTuple):
    """Errors of projected joints, one row for each frame of a hand: distances ``(N, 21)`` in crop
    units, NaN where nobody knows the joint, as they are and relative to the wrist; and the
    ``palm (N,)`` length of that hand, NaN where it is not known."""

    absolute: Floats
    relative: Floats
    palm: Floats

    @staticmethod
    def of(projected: Floats, truth: Floats) -> Reprojection:
        """Of joints ``(N, 21, 2)`` against ``(N, 21, 2)``, or ``(N, 21, 3)`` with depth in the same
        unit, from which the palm's length is known however the hand is turned."""
        error = projected - truth[..., :2]
        relative = error - error[:, :1]
        palm = palm_size(truth) if truth.shape[-1] == 3 else np.full(len(truth), np.nan)
        return Reprojection(
            np.linalg.norm(error, axis=-1), np.linalg.norm(relative[:, 1:], axis=-1), palm
        )


def score_reprojection(found: Sequence[Reprojection], size: int) -> dict[str, Any] | None:
    """Mean errors in pixels of crops of that size, and as parts of the palm's length where it is
    known; None where no joint is."""
    if not found:
        return None
    absolute, relative, palm = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.isfinite(absolute).any():
        return None
    pixels = size / 2
    result: dict[str, Any] = {
        "frames": int(np.isfinite(absolute).any(axis=1).sum()),
        "joints": int(np.isfinite(absolute).sum()),
        "pixels": round(float(np.nanmean(absolute)) * pixels, 3),
        "pixels_relative": round(float(np.nanmean(relative)) * pixels, 3),
    }
    if np.isfinite(palm).any():
        result["palms"] = round(float(np.nanmean(absolute / palm[:, None])), 4)
        result["palms_relative"] = round(float(np.nanmean(relative / palm[:, None])), 4)
    return result
