"""Which hand does the spelling, how it moved, and the last steps before its landmarks are read.

The fingerspelling paper (section 3.1) takes the trajectory with the highest aggregate motion,
from its temporal variance and its cumulative joint displacement. Both are measured here in palm
lengths, such that a near and a far hand compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.errors import UsageError
from chereme.hands.skeleton import WRIST, mirror, palm_size
from chereme.types import Handedness, HandTrack, Landmarks

# From sight to sight, in seconds and in frames of the recording: what takes longer than both is a
# gap, and what happened meanwhile is not motion. Single missed frames do not hide a movement.
LONGEST_STEP = 0.15
LONGEST_STEP_FRAMES = 1.5
# Sights between gaps below which a run is a flicker, not a movement.
SHORTEST_RUN = 4
# Palm lengths per second. Below: the detector's own trembling. Above: a jump, not a finger.
NOISE_SPEED = 0.25
TOP_SPEED = 12.0
TRAVEL_WEIGHT = 0.2
SPREAD = 1.0  # seconds on both sides of a frame that tell how far the joints move about it
BLOCK = 4096  # frames of which sums are kept at once
BRIDGED_CONFIDENCE = 0.2
# How sure the vote must be that a hand is NOT of the side asked for, to leave it out.
CLEARLY_OTHER = 0.8


@dataclass(frozen=True, slots=True)
class Motion:
    """How one hand moved; lengths in palm lengths, times in seconds.

    ``coverage``: share of frames in which it was seen. ``articulation``: cumulative displacement of
    the joints, averaged over them, relative to the wrist. ``travel``: the same of the wrist.
    ``variance``: temporal variance of the joints relative to the wrist, averaged over them.
    ``score``: the aggregate that is compared.
    """

    handedness: Handedness
    handedness_score: float
    coverage: float
    articulation: float
    travel: float
    variance: float
    score: float


def motion(track: HandTrack) -> Motion:
    """The motion statistics of one hand.

    The score is ``(articulation + 0.2 travel) * sqrt(variance)``. Fingerspelling is articulation:
    the fingers move while the hand stays, so a hand that is merely carried about counts little.
    The product of path and spread leaves out both a trembling still hand (path, no spread) and a
    hand that is put down once (spread, no path). A gap is no motion, and neither is what a hand
    does that is seen for a few frames only; speeds under the detector's noise count as none and
    those over what fingers can do are cut. So a hand that flickers up here and there has next to
    no score.
    """
    times = track.timestamps
    seen = track.present
    statistics = np.zeros(3)
    runs = [run for run in _runs(seen, times) if len(run) >= SHORTEST_RUN]
    if runs:
        size = float(np.median(palm_size(track.landmarks[seen])))
        relative = track.landmarks[..., :2] - track.landmarks[:, WRIST : WRIST + 1, :2]
        articulation = sum(_path(relative[run] / size, times[run]) for run in runs)
        travel = sum(_path(track.landmarks[run, :1, :2] / size, times[run]) for run in runs)
        frames = np.concatenate(runs)
        variance = float((relative[frames] / size).var(axis=0).sum(axis=-1).mean())
        statistics = np.array([articulation, travel, variance])
    articulation, travel, variance = (float(value) for value in statistics)
    return Motion(
        handedness=track.handedness,
        handedness_score=track.handedness_score,
        coverage=float(seen.mean()) if len(seen) else 0.0,
        articulation=articulation,
        travel=travel,
        variance=variance,
        score=(articulation + TRAVEL_WEIGHT * travel) * variance**0.5,
    )


def activity(track: HandTrack) -> NDArray[np.float64]:
    """``(T,)``: how much of a hand's motion came with each frame, in palm lengths.

    The score of :func:`motion` piece by piece: the path from the frame before times the spread of
    the joints in the two seconds around. So a long recording in which a hand signs now and then
    tells when.
    """
    times = track.timestamps
    moved = np.zeros(len(times))
    relative = track.landmarks[..., :2] - track.landmarks[:, WRIST : WRIST + 1, :2]
    for run in _runs(track.present, times):
        if len(run) < SHORTEST_RUN:
            continue
        size = float(np.median(palm_size(track.landmarks[run])))
        joints = relative[run] / size
        path = _steps(joints, times[run])
        path += TRAVEL_WEIGHT * _steps(track.landmarks[run, :1, :2] / size, times[run])
        spread = _spread_around(joints, times[run])
        moved[run[1:]] = path * (spread[1:] + spread[:-1]) / 2
    return moved


def hand_tracks(landmarks: Landmarks) -> list[HandTrack]:
    """Each hand of a recording on its own, in the order of ``landmarks``."""
    world, vectors = landmarks.world_landmarks, landmarks.vectors
    scores = landmarks.handedness_score or (1.0,) * len(landmarks.handedness)
    return [
        HandTrack(
            landmarks=landmarks.landmarks[:, column],
            confidence=landmarks.confidence[:, column],
            timestamps=landmarks.timestamps,
            width=landmarks.width,
            height=landmarks.height,
            handedness=side,
            handedness_score=scores[column],
            world_landmarks=None if world is None else world[:, column],
            vectors=None if vectors is None else vectors[:, column],
        )
        for column, side in enumerate(landmarks.handedness)
    ]


def columns_of(tracks: Sequence[HandTrack], hand: Literal["auto", "left", "right"]) -> list[int]:
    """Which of ``tracks`` may be the signing ``hand``: all that are ever seen, those of the side,
    or, if there is none at all, those whose side the detector was unsure of."""
    if hand not in ("auto", "left", "right"):
        raise UsageError(f"hand: expected 'auto', 'left' or 'right', got {hand!r}")
    columns = [column for column, track in enumerate(tracks) if track.present.any()]
    if hand == "auto":
        return columns
    agreeing = [c for c in columns if tracks[c].handedness == hand]
    return agreeing or [c for c in columns if tracks[c].handedness_score < CLEARLY_OTHER]


def signing_column(
    landmarks: Landmarks, hand: Literal["auto", "left", "right"] = "auto"
) -> int | None:
    """Which of the hands of ``landmarks`` does the signing, from 0; None if there is none.

    ``auto`` takes the one that moved most (see ``motion``), the longest-seen if none moved.
    ``left`` and ``right`` take the signer's hand of that side, the one that moved most if several;
    a hand whose side the detector was unsure of is taken as what the user says.
    """
    tracks = hand_tracks(landmarks)
    columns = columns_of(tracks, hand)
    if not columns:
        return None
    return max(columns, key=lambda c: (motion(tracks[c]).score, int(tracks[c].present.sum())))


def signing_hand(
    landmarks: Landmarks, hand: Literal["auto", "left", "right"] = "auto"
) -> HandTrack | None:
    """The hand of :func:`signing_column`, as seen (not mirrored), of the side that was asked for.

    None if there is none.
    """
    column = signing_column(landmarks, hand)
    if column is None:
        return None
    track = hand_tracks(landmarks)[column]
    return track if hand == "auto" else replace(track, handedness=hand)


def to_right_hand(track: HandTrack) -> HandTrack:
    """A left hand flipped left-right, so that it shows a right hand; others as they are.

    ``handedness`` stays the signer's own, ``mirrored`` says that the landmarks were flipped.
    """
    if track.handedness != "left" or track.mirrored:
        return track
    world = track.world_landmarks
    return replace(
        track,
        landmarks=mirror(track.landmarks, track.width),
        world_landmarks=None if world is None else mirror(world, None),
        mirrored=True,
    )


def bridge_gaps(track: HandTrack, max_gap: float = 0.2) -> HandTrack:
    """Fill gaps of at most ``max_gap`` seconds from sight to sight by straight lines in time.

    Filled frames have a confidence of 0.2 and no vector; longer gaps, and what lies before the
    first and after the last sight, stay masked.
    """
    seen = np.flatnonzero(track.present)
    times = track.timestamps
    landmarks, confidence = track.landmarks.copy(), track.confidence.copy()
    world = None if track.world_landmarks is None else track.world_landmarks.copy()
    for before, after in pairwise(seen):
        if after - before < 2 or times[after] - times[before] > max_gap + 1e-6:
            continue
        inside = np.arange(before + 1, after)
        share = ((times[inside] - times[before]) / (times[after] - times[before]))[:, None, None]
        for array in (landmarks, world):
            if array is not None:
                array[inside] = (1 - share) * array[before] + share * array[after]
        confidence[inside] = BRIDGED_CONFIDENCE
    return replace(track, landmarks=landmarks, confidence=confidence, world_landmarks=world)


def _runs(seen: NDArray[np.bool_], times: NDArray[np.floating[Any]]) -> list[NDArray[np.intp]]:
    """Indices of seen frames, cut at gaps."""
    index = np.flatnonzero(seen)
    if len(index) < 2:
        return []
    longest = max(LONGEST_STEP, LONGEST_STEP_FRAMES * float(np.median(np.diff(times))))
    return np.split(index, np.flatnonzero(np.diff(times[index]) > longest) + 1)


def _path(joints: NDArray[np.floating[Any]], times: NDArray[np.floating[Any]]) -> float:
    """Length of the path of ``joints (N, J, 2)``, averaged over them, without noise and jumps."""
    return float(_steps(joints, times).sum())


def _steps(
    joints: NDArray[np.floating[Any]], times: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """``(N - 1,)``: the pieces of the path of ``joints (N, J, 2)`` from frame to frame."""
    # Three-frame mean: trembling has no direction and cancels, movement stays.
    smooth = joints.copy()
    smooth[1:-1] = (joints[:-2] + joints[1:-1] + joints[2:]) / 3
    steps = np.diff(times)
    speed = np.linalg.norm(np.diff(smooth, axis=0), axis=-1).mean(axis=1) / steps
    speed[speed < NOISE_SPEED] = 0.0
    pieces: NDArray[np.float64] = np.minimum(speed, TOP_SPEED) * steps
    return pieces


def _spread_around(
    joints: NDArray[np.floating[Any]], times: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """``(N,)``: square root of the variance of ``joints (N, J, 2)``, averaged over them, in the
    ``SPREAD`` seconds on both sides of each frame."""
    first = np.searchsorted(times, times - SPREAD)
    last = np.searchsorted(times, times + SPREAD, side="right")
    spread = np.empty(len(joints))
    for begin in range(0, len(joints), BLOCK):  # so that long recordings take little memory
        part = slice(begin, begin + BLOCK)
        low, high = first[part][0], last[part][-1]
        flat = joints[low:high].reshape(high - low, -1).astype(np.float64)
        sums, squares = (
            np.concatenate([np.zeros((1, flat.shape[1])), np.cumsum(some, axis=0)])
            for some in (flat, flat**2)
        )
        before, after = first[part] - low, last[part] - low
        count = (after - before)[:, None]
        variance = (squares[after] - squares[before]) / count
        variance -= ((sums[after] - sums[before]) / count) ** 2
        of_joints = variance.reshape(-1, *joints.shape[1:]).sum(axis=-1)
        spread[part] = np.sqrt(np.maximum(of_joints.mean(axis=1), 0.0))
    return spread
