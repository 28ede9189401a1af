"""Key poses of a hand, and its motion through them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from chereme.synthesis.articulation import Articulation
from chereme.synthesis.style import SpellingStyle

Floats = NDArray[np.floating[Any]]


@dataclass
class KeyPoses:
    """Poses of one frame each with their times in seconds; a hold is the same pose twice."""

    times: list[float] = field(default_factory=list)
    poses: list[Articulation] = field(default_factory=list)

    def add(self, pose: Articulation, after: float) -> None:
        """``pose``, reached so many seconds after the last one."""
        self.times.append(self.times[-1] + after if self.times else 0.0)
        self.poses.append(pose)

    def stacked(self) -> Articulation:
        """All poses, a frame each. Their vectors are None unless each pose has some."""
        vectors = [pose.vectors for pose in self.poses if pose.vectors is not None]
        return Articulation(
            np.concatenate([pose.orientation for pose in self.poses]),
            np.concatenate([pose.angles for pose in self.poses]),
            np.concatenate([pose.lengths for pose in self.poses]),
            np.concatenate([pose.wrist for pose in self.poses]),
            np.concatenate(vectors) if len(vectors) == len(self.poses) else None,
        )


def interpolate(
    path: KeyPoses, times: Floats, rate: float, style: SpellingStyle, rng: Any
) -> Articulation:
    """The hand at each of ``times (T,)``, seconds of ``path``, ``rate`` of them a second.

    Minimum-jerk paths between the key poses, with a lag for each finger, then smoothing. Vectors of
    pictures are mixed along straight lines, as far as the wrist has come."""
    lags = np.append(rng.normal(0, style.finger_lag, 5), 0.0)  # five fingers, then the wrist
    lags = np.clip(lags, -0.06, 0.06)
    key_times, poses = np.array(path.times), path.stacked()
    last = len(key_times) - 1

    def place(lag: float) -> tuple[NDArray[np.int64], Floats]:
        at = np.clip(times - lag, key_times[0], key_times[-1])
        low = np.clip(np.searchsorted(key_times, at, side="right") - 1, 0, last)
        high = np.minimum(low + 1, last)
        span = key_times[high] - key_times[low]
        s = np.where(span > 0, (at - key_times[low]) / np.where(span > 0, span, 1), 0.0)
        return low, s**3 * (10 - 15 * s + 6 * s * s)

    def between(values: Floats, low: NDArray[np.int64], s: Floats) -> Floats:
        s = s.reshape(-1, *[1] * (values.ndim - 1))
        high = np.minimum(low + 1, last)
        mixed: Floats = values[low] * (1 - s) + values[high] * s
        return mixed

    low, s = place(lags[5])
    quaternions = poses.orientation.copy()
    for k in range(1, len(quaternions)):
        if quaternions[k] @ quaternions[k - 1] < 0:
            quaternions[k] *= -1
    orientation = between(quaternions, low, s)
    lengths, wrist = between(poses.lengths, low, s), between(poses.wrist, low, s)
    angles = np.empty((len(times), 5, 4, 2))
    for finger in range(5):
        flow, fs = place(lags[finger])
        angles[:, finger] = between(poses.angles[:, finger], flow, fs)
    # Shares of the key poses are smoothed in the place of the vectors: they are fewer.
    shares = np.zeros((len(times), last + 1)) if poses.vectors is not None else None
    if shares is not None:
        frames = np.arange(len(times))
        shares[frames, low] = 1 - s
        shares[frames, np.minimum(low + 1, last)] += s
    sigma = style.smoothing * rate
    if sigma > 0.2 and len(times) > 1:
        angles, orientation, wrist = (
            gaussian_filter1d(x, sigma, axis=0, mode="nearest")
            for x in (angles, orientation, wrist)
        )
        if shares is not None:
            shares = gaussian_filter1d(shares, sigma, axis=0, mode="nearest")
    vectors = None
    if shares is not None and poses.vectors is not None:
        vectors = shares.astype(np.float32) @ poses.vectors.astype(np.float32)
    norm = np.maximum(np.linalg.norm(orientation, axis=1, keepdims=True), 1e-6)
    return Articulation(orientation / norm, angles, lengths, wrist, vectors)
