"""SMPL-X parameters as a pose track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chereme.errors import InputError
from chereme.formats.tracks import PAPER_RATE, PoseTracks, one_track, track_spec

Floats = NDArray[np.float32]

SMPLX_ORDER = (
    ("global_orient", 1),
    ("body_pose", 21),
    ("jaw_pose", 1),
    ("leye_pose", 1),
    ("reye_pose", 1),
    ("left_hand_pose", 15),
    ("right_hand_pose", 15),
)


def smplerx(
    frames: Sequence[Mapping[str, ArrayLike] | None], rate: float = PAPER_RATE
) -> PoseTracks:
    """SMPL-X parameters of each frame as SMPLer-X writes them (``global_orient``, ``body_pose``,
    ``jaw_pose``, ``leye_pose``, ``reye_pose``, ``left_hand_pose``, ``right_hand_pose``; axis-angle
    in radians), None where nobody was found. Shape, expression and place are left out."""
    if not frames:
        raise InputError("smplerx: expected at least one frame, got none")
    rows = np.full((len(frames), track_spec("smplerx").width), np.nan, np.float32)
    for number, frame in enumerate(frames):
        if frame is None:
            continue
        start = 0
        for name, joints in SMPLX_ORDER:
            values = np.asarray(frame.get(name, ()), np.float32).ravel()
            if len(values) != 3 * joints:
                raise InputError(
                    f"smplerx, frame {number}: expected {name} of {joints} x 3 numbers "
                    f"(axis-angle, not rotation matrices or PCA), got {len(values)}"
                )
            rows[number, start : start + len(values)] = values
            start += len(values)
    return one_track("smplerx", rows, rate)
