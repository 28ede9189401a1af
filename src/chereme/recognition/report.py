"""What a transcript tells besides its letters: every hand that was seen, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from chereme.hands.signing import hand_tracks, motion
from chereme.hands.skeleton import palm_size
from chereme.recognition.ctc_letters import Segment
from chereme.types import HandTrack, Landmarks

Hand = Literal["auto", "left", "right"]
LOW_COVERAGE = 0.5
RIVAL_SECONDS = 1.0
# Share of the picture's longer side below which a palm is missed where the camera moves. Before a
# still background it is found down to a quarter of that.
SMALL_PALM = 0.03


def why_no_hand(landmarks: Landmarks, hand: Hand) -> str:
    """The warning where there is no hand to read."""
    if hand != "auto" and (landmarks.confidence > 0).any():
        return f"no {hand} hand found, but another: leave out --hand to read that one"
    return no_hand_in(len(landmarks.timestamps))


def no_hand_in(frames: int) -> str:
    """The warning where no hand was found in so many frames."""
    return (
        f"no hand found in {frames} frame{'' if frames == 1 else 's'}: "
        "the hand must be in the picture, not too small in it, in focus and well lit"
    )


def detected_hands(landmarks: Landmarks) -> list[dict[str, Any]]:
    """What is reported of every hand in the recording; lengths in palm lengths."""
    return [
        {
            key: value if isinstance(value, str) else round(value, 4)
            for key, value in asdict(motion(track)).items()
        }
        for track in hand_tracks(landmarks)
    ]


def palm_fraction(tracks: Sequence[HandTrack]) -> float:
    """The palm's median length as a share of the picture's longer side."""
    sizes = np.concatenate([palm_size(track.landmarks[track.present]) for track in tracks])
    return float(np.median(sizes)) / max(tracks[0].width, tracks[0].height)


def warnings_about(
    coverage: float, segments: Sequence[Segment], *, rival: float = 0.0, palm: float = 1.0
) -> list[str]:
    """Why the text may be wrong or is empty.

    ``coverage``: share of the frames with the signing hand; ``rival``: seconds in which another
    hand moved about as much; ``palm``: see :func:`palm_fraction`.
    """
    warnings = []
    if coverage < LOW_COVERAGE:
        warnings.append(f"the signing hand was seen in only {coverage:.0%} of the frames")
    unread = coverage < LOW_COVERAGE or not any(segment.text for segment in segments)
    if unread and palm < SMALL_PALM:
        warnings.append(
            f"the hand is small in the picture (its palm is {palm:.1%} of the longer side): "
            "film it from nearer, or cut the picture to the signer"
        )
    if not segments:
        warnings.append(
            f"a hand was seen in {coverage:.0%} of the frames, but never long enough to spell"
        )
    elif not any(segment.text for segment in segments):
        warnings.append(
            f"a hand was seen in {coverage:.0%} of the frames, but no letters could be read"
        )
    if rival >= RIVAL_SECONDS:
        warnings.append(
            f"another hand moved about as much for {rival:.1f} s: only the one that moved most was "
            "read"
        )
    return warnings
