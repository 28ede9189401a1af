"""Whether a recording lies on its side, from how the hand points and from what is read.

Who spells holds the hand up, mostly; G, H, P and Q point aside or down. The detector finds hands
that lie on their side as well as others, so the landmarks alone are turned, and read once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from chereme.hands.skeleton import KNUCKLES, WRIST
from chereme.recognition.hand_landmarks import HandLandmarks, turned
from chereme.types import HandTrack, Token

# Degrees from straight up within which a hand points up.
POINTS_UP = 50.0
# Share of the frames in which the hand must point one way to be read as if that were up.
SAME_WAY = 0.5
# What the letters of the turned recording must be: so many more sure ones, of so high a mean
# probability, so many different ones. The counts behind them stand in the model card.
GAIN = 1.0
SURENESS = 0.75
DIFFERENT = 2
# With so many letters more the user is told at least.
DOUBT = 0.5


def likely_turn(track: HandTrack | None) -> int:
    """Degrees clockwise (0, 90, 180, 270) after which the hand of ``track`` mostly points up.

    0 where it does so as it is, or points no way in particular.
    """
    if track is None or not track.present.any():
        return 0
    seen = track.landmarks[track.present, :, :2]
    x, y = (seen[:, KNUCKLES].mean(axis=1) - seen[:, WRIST]).T
    angles = np.degrees(np.arctan2(x, -y))
    turns = (0, 90, 180, 270)
    shares = [
        float((np.abs((angles + turn + 180) % 360 - 180) < POINTS_UP).mean()) for turn in turns
    ]
    best = int(np.argmax(shares))
    return turns[best] if shares[best] >= SAME_WAY else 0


def turn_hands(detected: HandLandmarks, degrees: int, *, mirrored: bool) -> HandLandmarks:
    """What would have been seen if the recording were turned by ``degrees`` clockwise, as shown.

    ``mirrored``: it was flipped back after it was read, so its pictures turn the other way.
    """
    found = detected.with_landmarks(partial(turned, degrees=degrees))
    landmarks = found.landmarks
    reading = dict(found.reading)
    pictures = -degrees if mirrored else degrees
    if reading:
        reading["rotate"] = (reading["rotate"] + pictures) % 360
    info = {
        **detected.info,
        "width": landmarks.width,
        "height": landmarks.height,
        "rotation": (detected.info["rotation"] + pictures) % 360,
    }
    return replace(found, info=info, reading=reading)


def is_turned(as_it_is: Sequence[Token], when_turned: Sequence[Token]) -> bool:
    """Whether what is read of the turned recording shows that it lies on its side."""
    different = len({token.text for token in when_turned})
    return (
        different >= DIFFERENT
        and _sure(when_turned)
        and _letters(when_turned) - _letters(as_it_is) >= GAIN
    )


def may_be_turned(as_it_is: Sequence[Token], when_turned: Sequence[Token]) -> bool:
    """Whether the recording may lie on its side, too unsure to turn it unasked."""
    return _sure(when_turned) and _letters(when_turned) - _letters(as_it_is) >= DOUBT


def advice(degrees: int) -> str:
    """The warning where a recording may lie on its side."""
    return f"the picture may lie on its side: if it does, use --rotate {degrees}"


def _letters(tokens: Sequence[Token]) -> float:
    """How many letters were read; one that is as likely wrong as right counts nothing."""
    return sum(max(0.0, 2 * token.probability - 1) for token in tokens)


def _sure(tokens: Sequence[Token]) -> bool:
    return bool(tokens) and sum(t.probability for t in tokens) / len(tokens) >= SURENESS
