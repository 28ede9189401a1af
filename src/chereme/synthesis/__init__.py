"""Recordings of made-up signing, with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chereme.datasets.exemplars import Exemplars
from chereme.formats.poses import write_landmarks
from chereme.synthesis.spelling import SpelledClip, Speller
from chereme.synthesis.style import SpellingStyle
from chereme.types import Landmarks

__all__ = ["SpelledClip", "Speller", "SpellingStyle", "to_landmarks", "write"]

_WIDTH, _HEIGHT, _PALM = 1280, 720, 90.0  # of the camera that is imitated, in pixels


def to_landmarks(clip: SpelledClip) -> Landmarks:
    """A composed clip as a recording of a 1280x720 camera, one right hand, in pixels."""
    track = clip.track
    vectors = track.vectors
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
        vectors=None if vectors is None else vectors[:, None],
    )


def write(
    text: str, output: str | Path, *, exemplars: str | Path | None = None, seed: int = 0
) -> SpelledClip:
    """Compose the landmarks of a hand that spells ``text`` and write them as ``.pose`` or ``.npz``.

    ``exemplars`` is a file of ``chereme prepare exemplars``; without one, the hand is the open hand
    and its letters those of the table of handshapes. Letters may be upper or lower case.
    """
    rng = np.random.default_rng(seed)
    if exemplars is None:
        from chereme.synthesis import corpus  # brings the hand model and the renderer with it
        from chereme.synthesis.handshapes import to_exemplars

        shapes = to_exemplars(corpus.signer(0, seed).handshapes, corpus.open_hand())
        speller = Speller(shapes, mixing=0.0)
    else:
        speller = Speller(Exemplars.load(exemplars))
    clip = speller.spell(text.lower(), rng)
    write_landmarks(to_landmarks(clip), output)
    return clip
