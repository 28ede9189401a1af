"""Other clips of the same sign, made of one: other views, signers and tempos.

Ours; the papers of the isolated recognisers draw frames at random and mirror pictures, no more.
What a network cannot tell (`chereme.systems.signbert.tokenise` takes place and size away) is not
changed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from chereme.datasets.pose_clips import PoseClip
from chereme.errors import UsageError
from chereme.types import FloatArray


@dataclass(frozen=True)
class PoseAugmentation:
    """How much clips are changed, each time that they are seen; one change for the whole clip.

    ``trim``: up to this part of the frames is cut off at either end. ``rotation`` in the picture,
    standard deviation in degrees. ``stretch`` in any direction of the picture, standard deviation
    of the logarithm: a camera more from aside, another build. ``bones``: standard deviation of each
    joint's place, of the hand's extent, the same in all frames: the hand of another signer.
    ``jitter``: likewise, in each frame another: a detector. ``lost``: up to this part of the frames
    of each hand is not seen, in a row. ``mirror``: fraction of the clips that are signed by the
    other hand, in the mirror, as left-handed signers do.
    """

    trim: float = 0.1
    rotation: float = 8.0
    stretch: float = 0.12
    bones: float = 0.03
    jitter: float = 0.01
    lost: float = 0.2
    mirror: float = 0.2

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        shares = {"trim": 0.5, "lost": 1.0, "mirror": 1.0}
        wrong = {n: v for n, v in values.items() if not 0 <= v <= shares.get(n, np.inf)}
        if wrong or self.trim == 0.5 or self.lost == 1.0:
            raise UsageError(
                "augmentation: expected nothing below 0, trim below 0.5, lost below 1 and mirror "
                f"up to 1, got {wrong or self}"
            )

    def trimmed(self, clip: PoseClip, rng: np.random.Generator) -> PoseClip:
        """``clip`` without some frames at its ends; of one frame or more."""
        frames = clip.entry.frames
        first, last = np.floor(rng.uniform(0, self.trim, 2) * frames).astype(int)
        cut = slice(first, frames - last)
        entry = replace(clip.entry, frames=frames - int(first + last))
        return PoseClip(entry, clip.joints[cut], clip.confidence[cut])

    def changed(self, clip: PoseClip, rng: np.random.Generator) -> PoseClip:
        """``clip`` as another signer, before another camera, might have signed it."""
        joints, confidence = clip.joints.astype(np.float64), clip.confidence
        mirrored = rng.random() < self.mirror
        angle, way = np.radians(rng.normal(0, self.rotation)), rng.uniform(0, np.pi)
        stretch = np.exp(rng.normal(0, self.stretch))
        view = _rotation(way) @ np.diag([stretch, 1.0]) @ _rotation(-way) @ _rotation(angle)
        extent = _extent(joints)
        # Both hands of a signer are alike: the right one mirrored is the left one.
        bones = rng.normal(0, self.bones, (21, 2)) * extent
        joints += np.stack([bones * [-1.0, 1.0], bones])
        joints += rng.normal(0, self.jitter, joints.shape) * extent
        joints = joints @ view.T
        if mirrored:
            joints, confidence = joints[:, ::-1] * [-1.0, 1.0], confidence[:, ::-1]
        seen = self._kept(confidence, rng)
        return PoseClip(
            clip.entry, joints.astype(np.float32), np.where(seen[..., None], confidence, 0.0)
        )

    def _kept(self, confidence: FloatArray, rng: np.random.Generator) -> np.ndarray:
        """``(T, 2)``: the frames of each hand that remain, at least one of the clip."""
        frames = len(confidence)
        kept = np.ones((frames, 2), bool)
        for hand in range(2):
            count = int(rng.uniform(0, self.lost) * frames)
            start = int(rng.integers(frames - count + 1))
            kept[start : start + count, hand] = False
        present = (confidence > 0).any(axis=-1)
        return kept if (present & kept).any() else np.ones_like(kept)


def _rotation(angle: float) -> FloatArray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _extent(joints: FloatArray) -> float:
    """The larger side of a hand's box, the mean over the frames and hands in which it was seen."""
    seen = np.isfinite(joints).all(axis=(-2, -1))
    if not seen.any():
        return 0.0
    return float(np.ptp(joints[seen], axis=1).max(axis=-1).mean())
