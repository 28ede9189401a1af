"""What an RGB model is given: crops of the signing hand, cut in a second reading of the recording.

Which hand signs is known only when all of the recording has been looked at, and where its box lies,
which is smoothed over time, a moment later. Pictures that are kept until then would grow with the
length; a second reading keeps none, and cuts the very crops that ``chereme.hands.crop`` cuts for
training. Nothing is detected twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.errors import UsageError
from chereme.hands.crop import crop, hand_box
from chereme.hands.normalise import nearest, sample_times
from chereme.hands.signing import bridge_gaps
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Config, Crop, LetterConfig
from chereme.recognition.hand_landmarks import Progress, is_landmark_file, read_again
from chereme.recognition.networks import encode_frames
from chereme.recognition.prefetch import prefetch
from chereme.recognition.stages import Stages
from chereme.types import FloatArray, Frame, HandTrack, Landmarks

BLOCK = 16  # crops given to the encoder at once: bounds its memory, whatever the length


class Block(NamedTuple):
    """``crops (N, 3, S, S)`` uint8; ``last``: the index of the frame of the last of them."""

    crops: NDArray[np.uint8]
    last: int


def pictures_of(source: str | Path | Landmarks, config: Config) -> Path:
    """``source``, if it holds pictures to cut crops from; ``UsageError`` if it holds landmarks."""
    if isinstance(source, Landmarks) or is_landmark_file(source):
        name = "landmarks in memory" if isinstance(source, Landmarks) else str(source)
        raise UsageError(
            f"{name}: {config.name} reads pictures of the hand and expects a video, an image or a "
            "folder of frames, got landmarks; give the recording itself, or a model that reads "
            "landmarks"
        )
    return Path(source)


def cut_crops(
    frames: Iterable[Frame],
    boxes: FloatArray,
    wanted: NDArray[np.bool_],
    config: Crop,
    *,
    mirrored: bool,
) -> Iterator[Block]:
    """The crops of the hand in ``frames``, in blocks.

    Args:
        frames: T of them, as read; ``mirrored``: they show a mirror image, the boxes do not.
        boxes: ``(T, 4)``, of ``hand_box``.
        wanted: ``(T, 2)``: whether a frame's crop is wanted as seen, and flipped (a left hand shown
            as a right one).
    """
    crops: list[NDArray[np.uint8]] = []
    last = 0
    for index, frame in enumerate(frames):
        if not wanted[index].any():
            continue
        image = frame.image[:, ::-1] if mirrored else frame.image
        for flip in np.flatnonzero(wanted[index]):
            cut = crop(image, boxes[index], config.size, bool(flip))
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
    seen and of its flipped one; ``times (T,)`` seconds.
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
        present = segment.present[nearest(segment.timestamps, at)]
        rows = self.rows[nearest(self.times, at), int(segment.mirrored)]
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


def read_crop_features(
    bundle: Bundle[LetterConfig],
    source: Path,
    tracks: Sequence[HandTrack],
    segments: Sequence[HandTrack],
    stages: Stages,
    *,
    mirrored: bool = False,
    progress: Progress | None = None,
    **reading: Any,
) -> CropFeatures:
    """Read ``source`` again and encode the crops of hands that a reading of ``segments`` looks at.

    Args:
        tracks: hands as they were seen, not flipped, one after the other: together they are of all
            frames that ``detect_hands`` looked at.
        segments: parts of them, at least one, flipped if they are read as a left hand.
        stages: where the seconds of "crop" (reading and cutting) and "network" are added.
        mirrored: what ``detect_hands`` was given for this source.
        progress: called with the frames done and the number of frames.
        reading: the options with which it was read, as in ``HandLandmarks.reading``.
    """
    preprocessing = bundle.config.preprocessing
    assert preprocessing.crop is not None  # the config of a model that reads crops has it
    times = np.concatenate([track.timestamps for track in tracks])
    wanted = frames_to_encode(times, segments, preprocessing.rate)
    features = encode_again(
        source,
        tracks,
        wanted,
        preprocessing.crop,
        bundle.config.segmentation.bridge,
        partial(encode_frames, bundle),
        stages,
        mirrored=mirrored,
        progress=progress,
        **reading,
    )
    return CropFeatures(
        features=features,
        rows=np.cumsum(wanted).reshape(wanted.shape) - 1,
        times=times,
        rate=preprocessing.rate,
    )


def encode_again(
    source: Path,
    tracks: Sequence[HandTrack],
    wanted: NDArray[np.bool_],
    config: Crop,
    bridge: float,
    encode: Callable[[NDArray[np.uint8]], FloatArray],
    stages: Stages,
    *,
    mirrored: bool,
    progress: Progress | None = None,
    **reading: Any,
) -> FloatArray:
    """What ``encode`` makes of crops ``(N, 3, S, S)``, which are cut in another reading of
    ``source``: rows for those frames of ``tracks``, one after the other, that are ``wanted``.

    ``wanted (T, 2)`` and ``mirrored`` as of :func:`cut_crops`; ``bridge``: the longest gap in a
    hand, in seconds, that is filled; the others as of :func:`read_crop_features`.
    """
    times = np.concatenate([track.timestamps for track in tracks])
    box = partial(hand_box, padding=config.padding, smoothing=config.smoothing)
    boxes = np.concatenate([box(bridge_gaps(track, bridge)) for track in tracks])
    until = times[: np.flatnonzero(wanted.any(axis=1))[-1] + 1]
    frames = read_again(source, until, **reading)
    blocks = cut_crops(frames, boxes, wanted, config, mirrored=mirrored)
    encoded: list[FloatArray] = []
    # The reading thread ends before what it reads is closed.
    with closing(frames), closing(prefetch(stages.iterate("crop", blocks), depth=2)) as ready:
        for block in ready:
            with stages("network"):
                encoded.append(encode(block.crops))
            if progress is not None:
                progress(block.last + 1, len(times))
    if progress is not None:
        progress(len(times), len(times))
    return np.concatenate(encoded)
