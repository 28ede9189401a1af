"""Recordings of made-up signing, with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chereme.data.exemplars import Exemplars
from chereme.formats.poses import write_landmarks
from chereme.synthesis.spelling import SpelledClip, Speller, SpellingStyle
from chereme.types import Landmarks

__all__ = ["SpelledClip", "Speller", "SpellingStyle", "to_landmarks", "write"]

_WIDTH, _HEIGHT, _PALM = 1280, 720, 90.0  # of the camera that is imitated, in pixels


def to_landmarks(clip: SpelledClip) -> Landmarks:
    """A composed clip as a recording of a 1280x720 camera, one right hand, in pixels."""
    track = clip.track
    points = track.landmarks * _PALM
    seen = track.confidence > 0
    middle = (np.nanmax(points[seen], axis=0) + np.nanmin(points[seen], axis=0)) / 2
    points = points + np.array([_WIDTH / 2 - middle[0], _HEIGHT / 2 - middle[1], 0.0])
    points = np.where(seen[..., None], points, np.nan).astype(np.float32)
    return Landmarks(
        points[:, None],
        track.confidence[:, None].astype(np.float32),
        track.timestamps,
        _WIDTH,
        _HEIGHT,
        ("right",),
    )


def write(text: str, output: str | Path, *, exemplars: str | Path, seed: int = 0) -> SpelledClip:
    """Compose a recording of a hand that spells ``text`` and write it as ``.pose`` or ``.npz``.

    ``exemplars`` is a file of ``chereme prepare exemplars``; letters may be upper or lower case.
    """
    speller = Speller(Exemplars.load(exemplars))
    clip = speller.spell(text.lower(), np.random.default_rng(seed))
    write_landmarks(to_landmarks(clip), output)
    return clip
