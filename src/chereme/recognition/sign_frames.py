"""Frames of a video as a model of continuous signing is given them, one after the other.

No picture is kept: of each frame there remain the numbers that the model's own network makes of it,
or the hands that were found in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chereme.formats.tracks import PoseTracks
from chereme.formats.tracks.mediapipe import mediapipe_of_landmarks
from chereme.hands.cuts import CutFinder
from chereme.hands.detector import Detection, HandDetector
from chereme.hands.tracking import HandTracker
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import ContinuousConfig, track_ports
from chereme.recognition.gloss_decoding import GlossDecoder, OnnxInputs
from chereme.recognition.stages import Stages
from chereme.types import Frame
from chereme.video.letterbox import letterbox

BLOCK = 16  # frames given to the encoder at once: bounds its memory
HELD = 1.0  # seconds for which a frame tells what is seen
TRUST = 4.0  # seconds after a frame with a hand in which one is taken to be there


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A moment of a video at ``time`` seconds: ``features (F,)`` of its frame, or the ``hands`` in
    it; ``signer``: whether a hand was found, there or shortly before."""

    time: float
    features: NDArray[np.float32] | None = None
    hands: tuple[Detection, ...] = ()
    signer: bool = False
    size: tuple[int, int] = (0, 0)


def sampled(frames: Iterable[Frame], rate: float) -> Iterator[tuple[Frame, tuple[float, ...]]]:
    """Those frames that are the nearest to a moment of ``rate`` moments a second, from the first
    frame to the last, and these moments in seconds: one, or several of a slow recording. No frame
    stands for more than a second before and after it."""
    before: Frame | None = None
    first, count = 0.0, 0
    for frame in frames:
        if before is None:
            first = frame.timestamp
        else:
            nearer = (before.timestamp + frame.timestamp) / 2
            times = _moments(first, count, rate, min(nearer, before.timestamp + HELD))
            count += len(times)
            if times:
                yield before, times
            # Of the middle of a long gap nothing is known.
            count = max(count, math.ceil((frame.timestamp - HELD - first) * rate - 1e-6))
        before = frame
    if before is not None:
        times = _moments(first, count, rate, before.timestamp + 0.499 / rate)
        if times:
            yield before, times


def _moments(first: float, count: int, rate: float, until: float) -> tuple[float, ...]:
    times: list[float] = []
    while (time := first + (count + len(times)) / rate) <= until + 1e-9:
        times.append(time)
    return tuple(times)


def encoded_frame(frame: Frame, mirrored: bool) -> NDArray[np.uint8]:
    """The picture of a frame as others see the signer."""
    return np.ascontiguousarray(frame.image[:, ::-1]) if mirrored else frame.image


class FrameEncoder:
    """Frames as the networks of ``bundle``, which reads video, are given them.

    ``presence_detector``: finds hands in a video; None: they are not looked for.
    """

    def __init__(
        self,
        bundle: Bundle[ContinuousConfig],
        presence_detector: HandDetector | None,
        mirrored: bool,
        stages: Stages,
    ) -> None:
        self._bundle, self._presence_detector, self._stages = bundle, presence_detector, stages
        self._mirrored = mirrored
        self._look_at, self._signer, self._cuts = -np.inf, False, CutFinder()

    def encode(self, frames: Iterable[Frame], rate: float) -> Iterator[EncodedFrame]:
        """The features of them, ``rate`` moments a second."""
        size = self._bundle.config.preprocessing.picture
        assert size is not None  # of a model that reads video
        pictures: list[NDArray[np.uint8]] = []
        times: list[tuple[float, ...]] = []
        signers: list[bool] = []
        for frame, moments in sampled(frames, rate):
            image = encoded_frame(frame, self._mirrored)
            with self._stages("picture"):
                pictures.append(letterbox(image, size))
            times.append(moments)
            signers.append(self._has_signer(image, frame.timestamp))
            if len(pictures) == BLOCK:
                yield from self._encoded(pictures, times, signers)
                pictures, times, signers = [], [], []
        if pictures:
            yield from self._encoded(pictures, times, signers)

    def onnx_inputs(self, window: Sequence[EncodedFrame]) -> OnnxInputs | None:
        """What the reading network is given of a window; None where a hand was looked for, and none
        found."""
        if self._presence_detector is not None and not any(frame.signer for frame in window):
            return None
        features = np.stack([frame.features for frame in window if frame.features is not None])
        lengths = np.array([len(features)])
        names = [track.name for track in self._bundle.config.tracks]
        tracks, presences = track_ports(names)
        with self._stages("tracks"):
            inputs = {"features": features[None], "lengths": lengths}
            values = self._bundle.tracks.run(tracks, inputs)
        present = dict.fromkeys(presences, np.ones((1, len(features)), bool))
        return {**dict(zip(tracks, values, strict=True)), **present, "lengths": lengths}

    def _has_signer(self, image: NDArray[np.uint8], time: float) -> bool:
        """Whether there is a hand, as far as one has looked.

        Every frame is looked at until one shows a hand: a detector of video bounds its work on each
        and tries another view on the next, one of pictures tries them all at once.
        """
        detector = self._presence_detector
        if detector is not None and time >= self._look_at:
            with self._stages("detect"):
                if self._cuts.is_cut(image):
                    detector.reset()
                found = detector.detect(image, time)
            self._signer = bool(found)
            if found:
                self._look_at = time + TRUST
                detector.reset()  # by then the hand is elsewhere
        return self._signer

    def _encoded(
        self,
        pictures: list[NDArray[np.uint8]],
        times: list[tuple[float, ...]],
        signers: list[bool],
    ) -> Iterator[EncodedFrame]:
        frames = np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))
        with self._stages("encoder"):
            features = self._bundle.encoder.run(["features"], {"frames": frames})[0]
        for row, moments, signer in zip(features, times, signers, strict=True):
            for time in moments:
                yield EncodedFrame(time, row, signer=signer)


class HandFollower:
    """The hands in frames of a video, as tracks for ``decoder``, whose model reads tracks."""

    def __init__(
        self, decoder: GlossDecoder, detector: HandDetector, mirrored: bool, stages: Stages
    ) -> None:
        self._decoder, self._detector, self._stages = decoder, detector, stages
        self._mirrored = mirrored

    def encode(self, frames: Iterable[Frame], rate: float) -> Iterator[EncodedFrame]:
        """The hands in them, ``rate`` moments a second."""
        self._detector.reset()
        cuts = CutFinder()
        for frame, moments in sampled(frames, rate):
            image = encoded_frame(frame, self._mirrored)
            with self._stages("detect"):
                if cuts.is_cut(image):
                    self._detector.reset()
                hands = tuple(self._detector.detect(image, frame.timestamp))
            for time in moments:
                yield EncodedFrame(time, hands=hands, size=(image.shape[1], image.shape[0]))

    def onnx_inputs(self, window: Sequence[EncodedFrame]) -> OnnxInputs | None:
        """The track mediapipe of the hands of a window, of which the rest is not known; None where
        there is no hand."""
        with self._stages("hands"):
            clip = hand_tracks(window)
        return None if clip is None else self._decoder.onnx_inputs(clip)


def hand_tracks(window: Sequence[EncodedFrame]) -> PoseTracks | None:
    """The track mediapipe of the hands of a window; None where there is no hand."""
    width, height = window[0].size
    tracker = HandTracker(width, height)
    for frame in window:
        tracker.update(frame.hands, frame.time)
    clip = mediapipe_of_landmarks(tracker.finish())
    return clip if clip.present["mediapipe"].any() else None


def clip_frames(clip: PoseTracks, start: int, stop: int) -> PoseTracks:
    """The frames from ``start`` up to ``stop`` of a clip."""
    return PoseTracks(
        clip.rate,
        {name: track[start:stop] for name, track in clip.values.items()},
        {name: present[start:stop] for name, present in clip.present.items()},
        clip.start + start / clip.rate,
    )
