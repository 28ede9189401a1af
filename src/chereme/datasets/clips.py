"""A clip of a data set -> the pictures of its signing hand, cut along its trajectory.

The hand is found, followed and chosen as in recognition, by the same code, so that a network is
trained with what it will be given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.corpus import LEAST_FRAMES, Unusable
from chereme.datasets.shards import QUALITY, SIZE, UNSPLIT, Precision, Sample, jpeg_of
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item
from chereme.hands.crop import PADDING, SMOOTHING, crop, hand_box
from chereme.hands.signing import bridge_gaps, signing_hand, to_right_hand
from chereme.recognition.hand_landmarks import MakeDetector, detect_hands, is_landmark_file
from chereme.teachers.hamer_crop import SIZE as HAMER_SIZE
from chereme.teachers.hamer_crop import hamer_crop_of
from chereme.types import FloatArray, HandTrack
from chereme.video import Limits, open_video
from chereme.video.reader import FOLDER_RATE

SMALLEST = 8  # pixels of a side of a crop
TeacherCrop = Literal["shared", "own"]


@dataclass(frozen=True)
class CropSettings:
    """How crops are made: ``size`` in pixels, JPEG ``quality``, and the box of ``hand_box``.

    ``rate``: frames a second of folders of frames, which state none. ``least_frames``: the share
    of frames that must have come through undamaged for the label to hold. ``teacher_crop``: what
    HaMeR reads, the shared crops or its own (`HamerTeacher.embed_clip`). ``precision``: of the
    vectors that are stored; half, if no number is too large for it, or single.
    """

    size: int = SIZE
    quality: int = QUALITY
    padding: float = PADDING
    smoothing: float = SMOOTHING
    rate: float = FOLDER_RATE
    least_frames: float = LEAST_FRAMES
    teacher_crop: TeacherCrop = "shared"
    precision: Precision = "half"

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise UsageError(f"size: expected at least {SMALLEST} pixels, got {self.size}")

    def boxes(self, track: HandTrack) -> FloatArray:
        """The box ``(T, 4)`` of the crop of each frame, see ``hand_box``."""
        return hand_box(track, padding=self.padding, smoothing=self.smoothing)


AS_SERVED = CropSettings()


@dataclass(frozen=True, eq=False)
class TrackedClip:
    """A sample without teachers' vectors, and what they may want to know beside its crops.

    ``track``: the hand, as a right one, in pixels of the (mirrored) frame; ``remark`` is what is
    worth saying about the clip, or empty; ``truth`` is what is known of a hand that was rendered
    (`chereme.teachers.synthetic`); ``hamer_crops``: see `chereme.teachers.Clip`.
    """

    sample: Sample
    track: HandTrack
    recording: Path
    remark: str = ""
    truth: Mapping[str, FloatArray] | None = None
    hamer_crops: NDArray[np.uint8] | None = None


def track_clip(
    item: Item,
    settings: CropSettings,
    make_detector: MakeDetector,
    limits: Limits | None = None,
) -> TrackedClip:
    """Find the signing hand of ``item`` and cut it out of every frame.

    The recording is read twice, once to follow the hand and once to cut, so that its length takes
    no memory. Raises Unusable for one that cannot be read, is damaged so far that its label need
    not hold, or shows no hand.
    """
    if is_landmark_file(item.path):
        raise Unusable("no pictures", f"{item.path} holds landmarks; give the recording itself")
    try:
        seen = detect_hands(
            item.path,
            start=item.start,
            end=item.end,
            rate=settings.rate,
            limits=limits,
            make_detector=make_detector,
        )
    except InputError as error:
        raise Unusable("cannot be read", str(error)) from error
    remark = damage_of(seen.info, settings.least_frames)
    found = signing_hand(seen.landmarks, item.hand)
    if found is None or not found.present.any():
        raise Unusable("no hand seen", f"in {len(seen.landmarks.timestamps)} frames")
    track = bridge_gaps(to_right_hand(found))
    boxes = settings.boxes(track)
    jpegs, hamer_crops = _cut(item, settings, track, boxes, seen.reading)
    if track.mirrored:
        boxes = mirrored_boxes(boxes, track.width)
    about = {
        "id": item.id,
        "label": item.label,
        "signer": item.signer,
        "split": item.split or UNSPLIT,
        "rate": settings.rate if item.path.is_dir() else rate_of(track.timestamps, settings.rate),
    }
    sample = sample_of(track, boxes, jpegs, settings.size, **about)
    return TrackedClip(sample, track, item.path, remark, hamer_crops=hamer_crops)


def sample_of(
    track: HandTrack,
    boxes: FloatArray,
    jpegs: Sequence[bytes | None],
    size: int,
    **about: Any,
) -> Sample:
    """The sample of a hand, seen as a right one, whose crops are cut along ``boxes (T, 4)``;
    ``about``: id, label, signer, split and rate."""
    return Sample(
        **about,
        handedness=track.handedness,
        jpegs=tuple(jpegs),
        landmarks=in_crop(track.landmarks, boxes, size),
        confidence=track.confidence.astype(np.float32),
        boxes=boxes.astype(np.float32),
        size=size,
    )


def mirrored_boxes(boxes: FloatArray, width: int) -> FloatArray:
    """``boxes (T, 4)`` of a frame of that width, in the mirrored frame."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def damage_of(info: Mapping[str, Any], least_frames: float) -> str:
    """What is damaged of a recording (``HandLandmarks.info``), in words; Unusable if it is too much
    for its label to hold."""
    bad, frames = info["bad_packets"], info["frames"]
    lost = f"{bad} of {bad + frames} frames damaged"
    if frames < least_frames * (bad + frames):
        raise Unusable("too many frames damaged", lost)
    if info["truncated"]:
        # Choice: how much is missing nobody knows, so that no label can be trusted.
        raise Unusable("ends too early", f"{frames} frames could be read")
    return lost if bad else ""


def rate_of(timestamps: FloatArray, otherwise: float) -> float:
    """Frames a second, on average."""
    if len(timestamps) < 2:
        return otherwise
    return float((len(timestamps) - 1) / (timestamps[-1] - timestamps[0]))


def _cut(
    item: Item,
    settings: CropSettings,
    track: HandTrack,
    boxes: FloatArray,
    reading: Mapping[str, Any],
) -> tuple[tuple[bytes | None, ...], NDArray[np.uint8] | None]:
    """The crop of each frame of the track, None where the hand was not seen; and HaMeR's own, if
    asked for."""
    jpegs: list[bytes | None] = []
    hamer_crops: NDArray[np.uint8] | None = None
    if settings.teacher_crop == "own":
        hamer_crops = np.zeros((len(track.timestamps), HAMER_SIZE, HAMER_SIZE, 3), np.uint8)
    end = math.inf if item.end is None else item.end
    with open_video(item.path, **reading) as video:
        for frame in video:
            if frame.timestamp > end or len(jpegs) == len(track.timestamps):
                break
            if frame.timestamp < (item.start or 0.0):
                continue
            index = len(jpegs)
            if frame.timestamp != track.timestamps[index]:
                break
            if hamer_crops is not None and track.present[index]:
                hamer_crops[index] = hamer_crop_of(frame.image, track, index)
            jpegs.append(
                jpeg_of(
                    crop(frame.image, boxes[index], settings.size, mirrored=track.mirrored),
                    settings.quality,
                )
                if track.present[index]
                else None
            )
    if len(jpegs) != len(track.timestamps):
        raise Unusable("cannot be read", f"{item.path} was other when it was read again")
    return tuple(jpegs), hamer_crops


def in_crop(landmarks: FloatArray, boxes: FloatArray, size: int) -> FloatArray:
    """``landmarks (T, 21, 3)`` in the pixels of the crops."""
    scale = size / (boxes[:, 2] - boxes[:, 0])
    moved = landmarks.astype(np.float64)
    moved[..., :2] -= boxes[:, None, :2]
    inside: FloatArray = (moved * scale[:, None, None]).astype(np.float32)
    return inside
