"""A clip of an isolated sign -> crops of its hands, its whole frames, or keypoints of the person.

Hands are those of `chereme.datasets.pose_clips`: what the detector of the package saw, or what
another tool has written of the recording (`chereme.formats.keypoints`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from chereme.datasets.clips import CropSettings, damage_of, mirrored_boxes, rate_of, sample_of
from chereme.datasets.corpus import Unusable
from chereme.datasets.shards import UNSPLIT, Sample, jpeg_of
from chereme.errors import InputError
from chereme.formats.keypoints import ENDINGS, Keypoints, read_keypoints
from chereme.formats.manifests import Item
from chereme.hands.both import both_hands, sign_span
from chereme.hands.crop import crop
from chereme.hands.signer_box import Box, SignerBoxDetector
from chereme.hands.signing import bridge_gaps, signing_hand, to_right_hand
from chereme.hands.skeleton import JOINT_NAMES
from chereme.hands.steadiness import with_steadiness
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.recognition.hand_landmarks import (
    MakeDetector,
    describe_recording,
    detect_hands,
    is_landmark_file,
    read_again,
)
from chereme.recognition.sign_crops import hands_of
from chereme.types import NUM_JOINTS, FloatArray, Frame, Landmarks, frames_of
from chereme.video import Limits, open_video

Confidence = Literal["steadiness", "detector"]
SHOULDERS = 0.8
"""Side of a crop as a part of the distance between the shoulders. Choice: the paper says that hand
and shoulder keypoints are used to crop, and not how: about 1.5 times the length of a hand."""


@dataclass(frozen=True)
class SignSettings(CropSettings):
    """How shards of signs are made.

    ``into``: crops of hands, the square of whole frames, or keypoints without pictures. ``hands``:
    of crops, both, or the one that signs. ``around``: of crops, boxes that follow the hand's
    joints ("hand"), or of one size throughout a clip, that of the "shoulders". ``fit``: of whole
    frames, the square in their middle ("cut", as the paper crops), or all of them between black
    bars ("whole"). ``layout``: of the keypoints that go with the clips, None where none do.
    ``confidence``: of the joints that the package's detector finds: how steadily they move, or the
    detector's own, which is 1.
    """

    into: Literal["crops", "frames", "keypoints"] = "crops"
    hands: Literal["both", "one"] = "both"
    around: Literal["hand", "shoulders"] = "hand"
    fit: Literal["cut", "whole"] = "cut"
    layout: str | None = None
    confidence: Confidence = "steadiness"

    @property
    def vectors(self) -> dict[str, int]:
        """The length of the vectors that go with each frame, by name."""
        return {} if self.layout is None else {self.layout: 3 * keypoint_layout(self.layout).size}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerItem(Item):
    """A recording in which hands are looked for in the ``box`` of the signer alone."""

    box: Box


def rated(item: Item, seen: Landmarks, confidence: Confidence) -> Landmarks:
    """What the package's detector has seen of a recording with that confidence of its joints; files
    of landmarks keep theirs."""
    own = confidence == "detector" or is_landmark_file(item.path)
    return seen if own else with_steadiness(seen)


def in_box(item: Item, make_detector: MakeDetector) -> MakeDetector:
    """Detectors that look for hands in the box of the signer, where ``item`` has one."""
    if not isinstance(item, SignerItem):
        return make_detector
    box = item.box
    return lambda still: SignerBoxDetector(make_detector(still), box)


class SignSamples(NamedTuple):
    """The ``samples`` of a clip, the hand that signs first, and what is damaged, in words."""

    samples: tuple[Sample, ...]
    remark: str = ""


class FramesRead(NamedTuple):
    """The frames of a clip without their pictures: ``before``: how many of its recording come
    before them; ``options``: those by which they are read again."""

    timestamps: FloatArray
    width: int
    height: int
    info: Mapping[str, Any]
    options: dict[str, Any]
    before: int = 0


class _Seen(NamedTuple):
    """A clip, its hands, and the keypoints ``(T, N, 3)`` of each frame where any are kept."""

    read: FramesRead
    hands: Landmarks
    keypoints: FloatArray | None


def sign_samples(
    item: Item,
    settings: SignSettings,
    keypoints: Path | None = None,
    limits: Limits | None = None,
    *,
    make_detector: MakeDetector,
) -> SignSamples:
    """The samples of a clip. Crops and keypoints are of the frames from the first in which a hand
    was seen to the last, whole frames of all.

    Args:
        keypoints: a folder with what another tool found in each recording, see `keypoint_file`.
            Hands are those of these keypoints then. Without it hands are looked for, and keypoints
            are those of hands alone.

    Raises Unusable for a recording that cannot be read, is damaged so far that its label need not
    hold, or shows no hand where crops are wanted; and for keypoints that do not fit it.
    """
    if is_landmark_file(item.path) and settings.into != "keypoints":
        raise Unusable("no pictures", f"{item.path} holds landmarks; give the recording itself")
    try:
        if settings.into == "frames":
            return _whole_frames(item, settings, keypoints, limits)
        seen = _seen(item, settings, keypoints, limits, make_detector)
        remark = damage_of(seen.read.info, settings.least_frames)
        span = sign_span(both_hands(seen.hands, item.hand)[1])
        if span is None:
            raise Unusable("no hand seen", f"in {len(seen.hands.timestamps)} frames")
        kept = None if seen.keypoints is None else seen.keypoints[span]
        seen = _Seen(seen.read, frames_of(seen.hands, span), kept)
        if settings.into == "crops":
            return SignSamples(tuple(_crops(item, settings, seen)), remark)
        times = seen.hands.timestamps
        return SignSamples((_without_hands(item, settings, times, kept),), remark)
    except Unusable:
        raise
    except InputError as error:
        raise Unusable("cannot be read", str(error)) from error


def keypoint_file(folder: Path, item: Item) -> Path:
    """The keypoints of an item in ``folder``: what is called by its id, with or without its suffix,
    or by the name of its recording. Unusable where there are none."""
    names = (item.id, str(Path(item.id).with_suffix("")), item.path.stem, item.path.name)
    for name in dict.fromkeys(names):
        for ending in ENDINGS:
            path = folder / f"{name}{ending}"
            if path.is_dir() if ending == "" else path.is_file():
                return path
    raise Unusable("no keypoints", f"{folder}: nothing is called {' or '.join(names[:3])}")


def hand_keypoints(seen: Landmarks, layout: str) -> FloatArray:
    """``(T, N, 3)``: the hands of ``seen`` among the keypoints of a layout, x and y as parts of the
    frame; of the body no more than the wrists, where the layout has them. All else is 0."""
    about = keypoint_layout(layout)
    place = dict(zip(about.names, about.source, strict=True))
    joints, confidence = both_hands(seen)
    found = np.zeros((len(joints), about.size, 3), np.float32)
    for number, side in enumerate(("left", "right")):
        sure = confidence[:, number, :, None]
        values = np.concatenate([joints[:, number] / [seen.width, seen.height], sure], -1)
        values = np.where(sure > 0, values, 0)
        found[:, [place[f"{side}_hand_{name}"] for name in JOINT_NAMES]] = values
        found[:, place[f"{side}_wrist"]] = values[:, 0]
    return found


def shoulder_boxes(
    boxes: FloatArray, keypoints: FloatArray, layout: str, width: int, height: int
) -> FloatArray:
    """``boxes (T, 4)``, pixels, with their middles kept and all of one size: ``SHOULDERS`` of the
    distance between the shoulders, the median over the frames that show both. ``keypoints (T, N,
    3)`` of the layout, in a frame of that size. Unusable where no frame shows both."""
    about = keypoint_layout(layout)
    both = [about.source[about.names.index(f"{side}_shoulder")] for side in ("left", "right")]
    found = keypoints[:, both]
    shown = (found[..., 2] > 0).all(1)
    if not shown.any():
        raise Unusable("no shoulders seen", f"in {len(keypoints)} frames")
    apart = (found[shown, 0, :2] - found[shown, 1, :2]) * [width, height]
    half = SHOULDERS / 2 * float(np.median(np.linalg.norm(apart, axis=-1)))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


# -- what was seen ---------------------------------------------------------------------------------
def _seen(
    item: Item,
    settings: SignSettings,
    folder: Path | None,
    limits: Limits | None,
    make_detector: MakeDetector,
) -> _Seen:
    if folder is not None:
        assert settings.layout is not None
        read = read_frames(item, settings.rate, limits)
        found = keypoints_of(item, folder, settings.layout, read)
        hands = found.hands(read.timestamps, read.width, read.height)
        return _Seen(read, hands, found.fractions(read.width, read.height))
    seen = detect_hands(
        item.path,
        start=item.start,
        end=item.end,
        rate=settings.rate,
        limits=limits,
        make_detector=in_box(item, make_detector),
    )
    hands, layout = rated(item, seen.landmarks, settings.confidence), settings.layout
    read = FramesRead(hands.timestamps, hands.width, hands.height, seen.info, seen.reading)
    return _Seen(read, hands, None if layout is None else hand_keypoints(hands, layout))


def read_frames(
    item: Item,
    rate: float,
    limits: Limits | None,
    each: Callable[[Frame], None] = lambda frame: None,
) -> FramesRead:
    """Read the frames of a clip; ``each`` is called with them. ``rate``: of folders of frames.
    InputError for what cannot be read."""
    options: dict[str, Any] = {"rate": rate, "limits": limits}
    span = (item.start or -math.inf, math.inf if item.end is None else item.end)
    before, times = 0, []
    with open_video(item.path, **options) as reader:
        for frame in reader:
            if frame.timestamp >= span[1]:
                break
            if frame.timestamp < span[0]:
                before += 1
                continue
            times.append(frame.timestamp)
            each(frame)
        info, _ = describe_recording(item.path, reader)
    if not times:
        raise Unusable("cannot be read", f"{item.path}: no frame between {span[0]} and {span[1]} s")
    return FramesRead(np.array(times), info["width"], info["height"], info, options, before)


def keypoints_of(item: Item, folder: Path, layout: str, read: FramesRead) -> Keypoints:
    """What another tool found in the frames of a clip, see `keypoint_file`. Unusable for keypoints
    that are not there, cannot be read, or do not fit."""
    path, frames = keypoint_file(folder, item), len(read.timestamps)
    try:
        found = read_keypoints(path)
    except InputError as error:
        raise Unusable("keypoints cannot be read", str(error)) from error
    if found.layout != layout:
        raise Unusable("keypoints of another layout", f"{path}: {found.layout}")
    rows = len(found.points)
    part = item.start is not None or item.end is not None
    if rows == frames:
        return found
    if part and rows >= read.before + frames:  # those of the whole recording
        return Keypoints(found.points[read.before : read.before + frames])
    raise Unusable(
        "keypoints of another number of frames", f"{path}: {rows} for {frames} frames of the clip"
    )


# -- samples ---------------------------------------------------------------------------------------
def _about(item: Item, settings: SignSettings, times: FloatArray) -> dict[str, Any]:
    return {
        "label": item.label,
        "signer": item.signer,
        "split": item.split or UNSPLIT,
        "rate": settings.rate if item.path.is_dir() else rate_of(times, settings.rate),
    }


def _vectors(settings: SignSettings, keypoints: FloatArray | None) -> dict[str, FloatArray]:
    if keypoints is None or settings.layout is None:
        return {}
    return {settings.layout: keypoints.reshape(len(keypoints), -1)}


def _crops(item: Item, settings: SignSettings, seen: _Seen) -> Iterator[Sample]:
    """A sample of each hand that is wanted and was seen."""
    read, hands = seen.read, seen.hands
    signing = signing_hand(hands, item.hand)
    count = 2 if settings.hands == "both" else 1
    tracks = [
        to_right_hand(bridge_gaps(track))
        for track in hands_of(hands, item.hand, count)
        if track is not None and track.present.any()
    ]
    tracks.sort(key=lambda track: signing is None or track.handedness != signing.handedness)
    boxes = [settings.boxes(track) for track in tracks]
    if settings.around == "shoulders":
        assert seen.keypoints is not None  # as prepare_signs asks for
        assert settings.layout is not None
        place = (seen.keypoints, settings.layout, read.width, read.height)
        boxes = [shoulder_boxes(box, *place) for box in boxes]
    jpegs: list[list[bytes | None]] = [[] for _ in tracks]
    for number, frame in enumerate(read_again(item.path, hands.timestamps, **read.options)):
        for track, box, made in zip(tracks, boxes, jpegs, strict=True):
            if not track.present[number]:
                made.append(None)
                continue
            cut = crop(frame.image, box[number], settings.size, mirrored=track.mirrored)
            made.append(jpeg_of(cut, settings.quality))
    about = _about(item, settings, hands.timestamps)
    for track, box, made in zip(tracks, boxes, jpegs, strict=True):
        name = f"{item.id}@{track.handedness}" if count == 2 else item.id
        placed = mirrored_boxes(box, track.width) if track.mirrored else box
        sample = sample_of(track, placed, made, settings.size, id=name, **about)
        first = track is tracks[0]  # of the clip, not of a hand
        yield replace(sample, teacher=_vectors(settings, seen.keypoints if first else None))


def _whole_frames(
    item: Item, settings: SignSettings, folder: Path | None, limits: Limits | None
) -> SignSamples:
    jpegs: list[bytes | None] = []

    def cut(frame: Frame) -> None:
        box = _square(frame.image.shape[1], frame.image.shape[0], settings.fit)
        jpegs.append(jpeg_of(crop(frame.image, box, settings.size), settings.quality))

    read = read_frames(item, settings.rate, limits, cut)
    remark = damage_of(read.info, settings.least_frames)
    kept = None
    if folder is not None and settings.layout is not None:
        found = keypoints_of(item, folder, settings.layout, read)
        kept = found.fractions(read.width, read.height)
    sample = _without_hands(item, settings, read.timestamps, kept)
    boxes = np.tile(_square(read.width, read.height, settings.fit), (len(jpegs), 1))
    boxes = boxes.astype(np.float32)
    return SignSamples((replace(sample, jpegs=tuple(jpegs), boxes=boxes),), remark)


def _square(width: int, height: int, fit: Literal["cut", "whole"]) -> FloatArray:
    """The square in the middle of a frame, inside it or round it."""
    half = (min(width, height) if fit == "cut" else max(width, height)) / 2
    x, y = width / 2, height / 2
    return np.array([x - half, y - half, x + half, y + half])


def _without_hands(
    item: Item, settings: SignSettings, times: FloatArray, keypoints: FloatArray | None
) -> Sample:
    """A sample of the person; without pictures."""
    frames = len(times)
    return Sample(
        id=item.id,
        **_about(item, settings, times),
        handedness="unknown",
        jpegs=(None,) * frames,
        landmarks=np.full((frames, NUM_JOINTS, 3), np.nan, np.float32),
        confidence=np.zeros((frames, NUM_JOINTS), np.float32),
        boxes=np.zeros((frames, 4), np.float32),
        teacher=_vectors(settings, keypoints),
        size=settings.size,
    )
