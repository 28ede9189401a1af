"""Recordings shown again: at another speed, from a little aside, through another camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chereme.datasets.recordings import RecordedClip
from chereme.hands.skeleton import palm_size
from chereme.synthesis.detection import lost_frames, vector_noise
from chereme.synthesis.spelling import SpelledClip
from chereme.synthesis.style import SpellingStyle

Floats = NDArray[np.floating[Any]]
_SPEEDS = (0.65, 1.5)
_TURNS = (4.0, 7.0, 7.0)  # degrees: pitch, yaw, roll


def replay(clip: RecordedClip, spread: Floats, rng: np.random.Generator) -> SpelledClip:
    """``clip`` as it might have been; ``spread (1152,)`` of the vectors, see `vector_noise`."""
    track, style = clip.track, SpellingStyle.sample(rng)
    seen = track.present
    count = len(seen)
    turn = Rotation.from_rotvec(np.radians(rng.normal(0, _TURNS)))
    points = track.landmarks.astype(np.float64)
    points = points / float(np.median(palm_size(points[seen])))
    points = (points.reshape(-1, 3) @ turn.as_matrix().T).reshape(points.shape)
    points[..., 0] *= style.stretch
    lost = lost_frames(count, style.dropout, rng)
    speed = float(np.exp(rng.uniform(*np.log(_SPEEDS))))
    vectors = None
    if track.vectors is not None:
        rate = count / max(float(np.ptp(track.timestamps)), 1e-3)
        vectors = vector_noise(track.vectors.astype(np.float32), spread, rate, rng)
        vectors[lost | ~seen] = 0.0
        vectors = vectors.astype(np.float16)
    changed = replace(
        track,
        landmarks=points,
        confidence=np.where(lost[:, None], 0.0, track.confidence),
        timestamps=(track.timestamps - track.timestamps[0]) / speed,
        vectors=vectors,
    )
    return SpelledClip(changed, clip.text, ())
