"""What an RGB model is given: features of crops of the signing hand.

Most of the crops are cut while the frames pass (``chereme.recognition.passing_crops``). Which hand
signs is known only at the end: what is still missing is cut in a second reading of the recording.
Both cut the very crops that ``chereme.hands.crop`` cuts for training, and nothing is detected
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chereme.errors import UsageError
from chereme.hands.crop import crop, hand_box
from chereme.hands.normalise import nearest, sample_times
from chereme.hands.signing import bridge_gaps, hand_tracks
from chereme.hands.turns import Turn
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Config, LetterConfig
from chereme.recognition.hand_landmarks import (
    HandLandmarks,
    Progress,
    is_landmark_file,
    read_again,
)
from chereme.recognition.networks import encode_frames
from chereme.recognition.prefetch import prefetch
from chereme.recognition.sources import Source
from chereme.recognition.stages import Stages
from chereme.types import FloatArray, Frame, HandTrack, Landmarks
from chereme.video.reader import Recording

BLOCK = 16  # crops given to the encoder at once: bounds its memory, whatever the length


class Block(NamedTuple):
    """``crops (N, 3, S, S)`` uint8; ``last``: the index of the frame of the last of them."""

    crops: NDArray[np.uint8]
    last: int


class Passed(Protocol):
    """What was encoded while the frames passed: ``features``, of which ``rows`` tells whose."""

    features: list[FloatArray]

    def rows(self, wanted: NDArray[np.bool_], boxes: FloatArray) -> NDArray[np.intp]: ...


def pictures_of(source: Source, config: Config) -> Recording:
    """``source``, if it holds pictures to cut crops from; ``UsageError`` if it holds landmarks."""
    if isinstance(source, Landmarks) or is_landmark_file(source):
        name = "landmarks in memory" if isinstance(source, Landmarks) else str(source)
        raise UsageError(
            f"{name}: {config.name} reads pictures of the hand and expects a video, an image or a "
            "folder of frames, got landmarks; give the recording itself, or a model that reads "
            "landmarks"
        )
    return source


def cut_crops(
    frames: Iterable[Frame],
    boxes: FloatArray,
    wanted: NDArray[np.bool_],
    size: int,
    *,
    mirrored: bool,
) -> Iterator[Block]:
    """The crops of the hand in ``frames``, in blocks.

    Args:
        frames: T of them, as read; ``mirrored``: they show a mirror image, the boxes do not.
        boxes: ``(T, 4)``, of ``hand_box``.
        wanted: ``(T, 2)``: whether a frame's crop is wanted as seen, and flipped (a left hand shown
            as a right one).
        size: pixels of a crop's sides.
    """
    crops: list[NDArray[np.uint8]] = []
    last = 0
    for index, frame in enumerate(frames):
        if not wanted[index].any():
            continue
        image = frame.image[:, ::-1] if mirrored else frame.image
        for flip in np.flatnonzero(wanted[index]):
            cut = crop(image, boxes[index], size, bool(flip))
            crops.append(cut.transpose(2, 0, 1))
        last = index
        if len(crops) >= BLOCK:
            yield Block(np.stack(crops), last)
            crops = []
    if crops:
        yield Block(np.stack(crops), last)


@dataclass(frozen=True)
class CropFeatures:
    """The encoder's features of those frames of a recording that are to be read.

    ``features (N, D)``; ``rows (T, 2)``: the row of each frame of the recording, of its crop as
    seen and of its flipped one, -1 where there is none; ``times (T,)`` seconds.
    """

    features: FloatArray
    rows: NDArray[np.intp]
    times: FloatArray
    rate: float

    def of(self, segment: HandTrack) -> tuple[NDArray[np.float32], FloatArray]:
        """Features ``(T', D)`` of a segment at ``rate``, and their times ``(T',)`` in seconds.

        Each is that of the nearest frame, zero where the hand is absent in it.
        """
        at = sample_times(segment.timestamps, self.rate)
        rows = self.rows[nearest(self.times, at), int(segment.mirrored)]
        present = segment.present[nearest(segment.timestamps, at)] & (rows >= 0)
        features = np.where(present[:, None], self.features[rows], np.float32(0))
        return features, at


def frames_to_encode(
    times: FloatArray, segments: Iterable[HandTrack], rate: float
) -> NDArray[np.bool_]:
    """``(T, 2)``: which of the frames at ``times`` a reading of ``segments`` at ``rate`` looks at,
    as seen and flipped."""
    wanted = np.zeros((len(times), 2), bool)
    for segment in segments:
        at = sample_times(segment.timestamps, rate)
        present = segment.present[nearest(segment.timestamps, at)]
        wanted[nearest(times, at[present]), int(segment.mirrored)] = True
    return wanted


def hand_boxes(
    track: HandTrack, begins: NDArray[np.bool_], config: LetterConfig
) -> NDArray[np.float64]:
    """The boxes ``(T, 4)`` of a hand where it is there, short gaps bridged; NaN elsewhere.

    They are those of ``hand_box`` of each stretch between gaps that end a segment, and between the
    frames in which another trajectory ``begins (T,)``. So a box depends on less than a second
    around it, and not on when the hand's turn is.
    """
    cutting, segmentation = config.preprocessing.crop, config.segmentation
    assert cutting is not None  # the config of a model that reads crops has it
    times, seen = track.timestamps, np.flatnonzero(track.present)
    boxes = np.full((len(times), 4), np.nan)
    gaps = np.diff(times[seen]) - usual_step(times) > segmentation.max_gap + 1e-6
    for run in np.split(seen, np.flatnonzero(gaps | begins[seen[1:]]) + 1):
        if not len(run):
            continue
        reach = 3 * cutting.smoothing + 1e-6
        first = int(np.searchsorted(times, times[run[0]] - reach, side="right")) - 1
        last = int(np.searchsorted(times, times[run[-1]] + reach))
        first, last = max(first, 0), min(last, len(times) - 1)
        part = track.part(first, last)
        confidence = np.zeros_like(part.confidence)
        confidence[run - first] = part.confidence[run - first]
        hand = bridge_gaps(replace(part, confidence=confidence), segmentation.bridge)
        found = hand_box(hand, padding=cutting.padding, smoothing=cutting.smoothing)
        boxes[first + np.flatnonzero(hand.present)] = found[hand.present]
    return boxes


def usual_step(times: FloatArray) -> float:
    """Seconds from frame to frame."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def read_crop_features(
    bundle: Bundle[LetterConfig],
    source: Recording,
    detected: HandLandmarks,
    turns: Sequence[Turn],
    segments: Sequence[HandTrack],
    stages: Stages,
    *,
    passed: Passed | None = None,
    mirrored: bool = False,
    progress: Callable[[], Progress | None] | None = None,
) -> CropFeatures:
    """The features of the crops that a reading of ``segments`` looks at.

    They are those that have ``passed``, and of another reading of ``source`` if some are missing.

    Args:
        detected: the hands, as ``detect_hands`` found them in ``source``.
        turns: of the hands that sign.
        segments: parts of the turns' tracks, at least one, flipped if they are read as a left hand.
        stages: where the seconds of "crop" (reading and cutting) and "network" are added.
        mirrored: what ``detect_hands`` was given for this source.
        progress: makes what is called with the frames done and the number of frames.
    """
    config = bundle.config
    assert config.preprocessing.crop is not None  # the config of a model that reads crops has it
    assert detected.begins is not None  # of recordings
    times, tracks = detected.landmarks.timestamps, hand_tracks(detected.landmarks)
    boxes = np.full((len(times), 4), np.nan)
    by_column = {
        column: hand_boxes(tracks[column], detected.begins[:, column], config)
        for column in {turn.column for turn in turns}
    }
    for turn in turns:
        frames = slice(turn.first, turn.last + 1)
        boxes[frames] = by_column[turn.column][frames]
    wanted = frames_to_encode(times, segments, config.preprocessing.rate)
    wanted &= np.isfinite(boxes).all(axis=1, keepdims=True)
    rows = np.full(wanted.shape, -1) if passed is None else passed.rows(wanted, boxes)
    features = [] if passed is None else list(passed.features)
    missing = wanted & (rows < 0)
    if missing.any():
        rows[missing] = sum(len(block) for block in features) + np.arange(missing.sum())
        features += encode_again(
            source,
            times,
            boxes,
            missing,
            config.preprocessing.crop.size,
            partial(encode_frames, bundle),
            stages,
            mirrored=mirrored,
            progress=None if progress is None else progress(),
            **detected.reading,
        )
    return CropFeatures(np.concatenate(features), rows, times, config.preprocessing.rate)


def encode_again(
    source: Recording,
    times: FloatArray,
    boxes: FloatArray,
    wanted: NDArray[np.bool_],
    size: int,
    encode: Callable[[NDArray[np.uint8]], FloatArray],
    stages: Stages,
    *,
    mirrored: bool,
    progress: Progress | None = None,
    **reading: Any,
) -> list[FloatArray]:
    """What ``encode`` makes of crops ``(N, 3, S, S)``, which are cut in another reading of
    ``source``: in blocks, a row for each of ``wanted (T, 2)``, in order.

    ``times (T,)``: of its frames, seconds; ``boxes``, ``size`` and ``mirrored`` as of
    :func:`cut_crops`; ``reading``: as in ``HandLandmarks.reading``; the others as of
    :func:`read_crop_features`.
    """
    first, last = np.flatnonzero(wanted.any(axis=1))[[0, -1]]
    part = slice(first, last + 1)
    frames = read_again(source, times[part], **reading)
    blocks = cut_crops(frames, boxes[part], wanted[part], size, mirrored=mirrored)
    encoded: list[FloatArray] = []
    # The reading thread ends before what it reads is closed.
    with closing(frames), closing(prefetch(stages.iterate("crop", blocks), depth=2)) as ready:
        for block in ready:
            with stages("network"):
                encoded.append(encode(block.crops))
            if progress is not None:
                progress(first + block.last + 1, len(times))
    if progress is not None:
        progress(len(times), len(times))
    return encoded
