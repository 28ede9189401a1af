"""Whether what was read is likely to be fingerspelling at all.

The network knows letters only and finds some in any hand. Of signs, alphabets of two hands and of
what is no hand it is less sure than of letters; and who spells keeps the other hand away. Both are
measured by ``benchmarks/inventions.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chereme.hands.skeleton import KNUCKLES, WRIST, palm_size
from chereme.recognition.ctc_letters import Segment
from chereme.types import HandTrack, Landmarks

# Log-odds of spelling against signs: a logistic regression on words composed of six people's
# letters and letters held by two more, against the signs of two people of these and of a third.
# Choice: the weight of the other hand is a third of what came out, for there was no recording of
# spelling beside a hand at rest.
SURENESS_WEIGHT = 0.85
OTHER_HAND_WEIGHT = -1.5
BIAS = -2.0
# Below: the letters stand, with a warning. With no hand beside it that is a mean probability of
# 0.71, with one 0.93. Choice: the regression is of an earlier model; the bound is what hardly a
# held letter and no real spelling is below.
UNLIKELY = -1.25
# What another hand that is beside it and moves as much, all the time, adds to the mean probability
# below which there are no letters: two hands that work together do not spell with one. A hand that
# rests beside it adds nothing, for letters that are left out are lost.
OTHER_HAND_ADDS = 0.6
# Palm lengths between two palms that touch or nearly do.
BESIDE = 2.5
PALM = (WRIST, *KNUCKLES)

NOTHING = (
    "what the hand does is no fingerspelling that could be read: letters too unsure were left out"
)
DOUBT = (
    "this is unlikely to be fingerspelling with one hand: it may be signs or another alphabet, "
    "or too hard to see"
)


def judge(
    segments: Sequence[Segment],
    track: HandTrack,
    landmarks: Landmarks,
    *,
    least: float,
    rival: float,
) -> tuple[tuple[Segment, ...], list[str]]:
    """``segments`` without the letters of those that are certainly no spelling, and warnings.

    ``track`` is the hand that was read, as seen, among the hands of ``landmarks``. ``least``: the
    mean probability of letters that the model asks of spelling; 0 leaves all letters. ``rival``:
    fraction of the time in which another hand moves as much.
    """
    kept, warnings = [], []
    beside = other_hand_beside(track, landmarks)
    for segment in segments:
        inside = (track.timestamps >= segment.start) & (track.timestamps <= segment.end)
        inside &= track.present
        fraction = float(beside[inside].mean()) if inside.any() else 0.0
        probabilities = [token.probability for token in segment.tokens]
        needed = least + OTHER_HAND_ADDS * fraction * rival if least > 0 else 0.0
        if probabilities and np.mean(probabilities) < needed:
            segment = replace(segment, tokens=(), alternatives=())
            warnings.append(NOTHING)
        elif spelling_score(probabilities, fraction) < UNLIKELY:
            warnings.append(DOUBT)
        kept.append(segment)
    return tuple(kept), sorted(set(warnings))


def spelling_score(probabilities: Sequence[float], beside: float) -> float:
    """Log-odds that letters of these ``probabilities`` were spelled; infinite of none.

    ``beside``: fraction of the time in which the other hand is beside the one that was read.
    """
    if not probabilities:
        return math.inf
    mean = min(max(float(np.mean(probabilities)), 1e-6), 1 - 1e-6)
    return SURENESS_WEIGHT * math.log(mean / (1 - mean)) + OTHER_HAND_WEIGHT * beside + BIAS


def other_hand_beside(track: HandTrack, landmarks: Landmarks) -> NDArray[np.bool_]:
    """``(T,)``: another hand of ``landmarks`` is seen within 2.5 palm lengths of ``track``'s."""
    seen = track.present
    beside = np.zeros(len(seen), bool)
    if not seen.any():
        return beside
    size = float(np.median(palm_size(track.landmarks[seen])))
    palm = track.landmarks[:, PALM, :2].mean(axis=1)
    # A track may be a part of the recording.
    first = int(np.searchsorted(landmarks.timestamps, track.timestamps[0]))
    frames = slice(first, first + len(seen))
    for column in range(landmarks.landmarks.shape[1]):
        both = seen & (landmarks.confidence[frames, column] > 0).any(axis=1)
        other = landmarks.landmarks[frames, column][both][:, PALM, :2].mean(axis=1)
        apart = np.linalg.norm(other - palm[both], axis=1) / size
        # At no distance it is this hand.
        beside[both] |= (apart > 0) & (apart < BESIDE)
    return beside
