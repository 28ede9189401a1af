"""Which frames of a clip the networks are given (Implementation Details of the paper)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, UsageError

SAMPLES = 32


def sample_frames(
    count: int,
    samples: int = SAMPLES,
    *,
    rng: np.random.Generator | None = None,
    how: Literal["segments", "window"] = "segments",
) -> NDArray[np.int64]:
    """Indices of at most ``samples`` of ``count`` frames, rising.

    Choice: "32 frames using random and center sampling" does not say from where. "segments" cuts
    the clip into 32 equal parts and takes a frame of each; "window" takes 32 frames on end.

    Choice: a clip of no more frames than that is taken whole, and padding is masked.

    Args:
        rng: a random frame of each part, or a window at random (training); None: the middle ones
            (testing).

    Raises:
        InputError: a clip of no frames.
        UsageError: fewer than one sample, or an unknown way.
    """
    if count < 1:
        raise InputError(f"clip: expected at least one frame, got {count}")
    if samples < 1:
        raise UsageError(f"samples: expected at least one frame, got {samples}")
    if how not in ("segments", "window"):
        raise UsageError(f"how: expected segments or window, got {how!r}")
    if count <= samples:
        return np.arange(count)
    if how == "window":
        spare = count - samples
        first = spare // 2 if rng is None else int(rng.integers(spare + 1))
        return np.arange(first, first + samples)
    place: NDArray[Any] | float = 0.5 if rng is None else rng.random(samples)
    frames = np.floor((np.arange(samples) + place) * (count / samples)).astype(np.int64)
    inside: NDArray[np.int64] = np.minimum(frames, count - 1)  # against rounding up to the end
    return inside
