"""Clips of made-up signs, for a recogniser to learn that there are others than those it knows.

Made-up signers sign what hardly anybody does (`chereme.synthesis.isolated`); some clips are a
single picture of a hand.

Ours, after outlier exposure (Hendrycks et al. 2019, *Deep anomaly detection with outlier
exposure*); no paper of our systems has other signs than those it trains on.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from chereme.datasets.pose_clips import PoseClip
from chereme.datasets.registry import Kind, dataset
from chereme.synthesis.isolated import IsolatedSigns

_SIGNS = 5000  # more than clips, so that hardly any comes twice
_CLIPS_OF_ONE = 10  # made-up signer
_STILLS = 0.3  # share of the clips that are one picture, for some frames
_LONGEST = 25  # frames


@dataset("other-signs", Kind.SYNTHETIC_POSES)
def other_signs(clips: int = 1000, seed: int = 0) -> Iterator[PoseClip]:
    """Signs that hardly anybody does, to be known as none of those that a model knows.

    Clips have no label, and the split train. Nothing keeps them from being a known sign by chance.

    Args:
        clips: how many; there may be a few less.
        seed: the same seed gives the same clips.
    """
    signs = IsolatedSigns(
        clips,
        glosses=_SIGNS,
        signers=max(10, clips // _CLIPS_OF_ONE),
        seed=seed,
        lexicon_seed=seed,
    )
    for clip in signs:
        kept = _still(clip, seed)
        yield kept._replace(entry=replace(kept.entry, label="", split="train"))


def _still(clip: PoseClip, seed: int) -> PoseClip:
    """``clip``, or now and then one of its frames for a while."""
    rng = np.random.default_rng([seed, zlib.crc32(clip.entry.id.encode())])
    if rng.random() >= _STILLS:
        return clip
    seen, frames = np.flatnonzero(clip.present.any(1)), int(rng.integers(1, _LONGEST))
    chosen = np.full(frames, rng.choice(seen))
    entry = replace(clip.entry, frames=frames)
    return PoseClip(entry, clip.joints[chosen], clip.confidence[chosen])
