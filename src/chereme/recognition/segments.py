"""Cutting the track of the signing hand into the segments that are read one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chereme.recognition.config import Segmentation
from chereme.types import RAREST, HandTrack, frames_of

# Timestamps are not exact to the last bit: a gap of just the limit must not end a word by chance.
_TOLERANCE = 1e-6


def split(track: HandTrack, config: Segmentation) -> list[HandTrack]:
    """The segments of ``track`` between its long gaps, in order, each beginning and ending seen.

    A gap is the time between two frames with the hand, beyond the one frame that is usual. What is
    shorter than ``config.min_duration`` is dropped: a hand that flits past spells nothing. Frames
    further apart than ``RAREST`` are single pictures.
    """
    seen = np.flatnonzero(track.present)
    if len(seen) == 0:
        return []
    times = track.timestamps
    frame = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    frame = frame if frame <= RAREST else 0.0
    gaps = np.diff(times[seen]) - frame
    cuts = np.flatnonzero(gaps > config.max_gap + _TOLERANCE)
    firsts = np.concatenate([seen[:1], seen[cuts + 1]])
    lasts = np.concatenate([seen[cuts], seen[-1:]])
    return [
        track.part(first, last)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
        if times[last] - times[first] + frame >= config.min_duration - _TOLERANCE
    ]


def cut_as(track: HandTrack, segments: Sequence[HandTrack]) -> list[HandTrack]:
    """The segments of ``track`` at the times of ``segments`` of a track of the same frames."""
    times = track.timestamps
    ends = [np.searchsorted(times, [part.timestamps[0], part.timestamps[-1]]) for part in segments]
    return [track.part(int(first), int(last)) for first, last in ends]


def hold(track: HandTrack, duration: float, rate: float) -> HandTrack:
    """A track of one frame, held for ``duration`` seconds at ``rate`` frames a second."""
    count = round(duration * rate) + 1
    times = track.timestamps[0] + np.arange(count) / rate
    return frames_of(track, np.zeros(count, int), times)
