"""The first half of recognition: from a source of any kind to the landmarks of its hands."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.formats.files import File, MemoryFile
from chereme.formats.poses import read_landmarks
from chereme.hands.detector import Detection, HandDetector, find_detector
from chereme.hands.sections import FrameSections, Section, cut, join
from chereme.hands.skeleton import mirror, turn
from chereme.hands.tracking import Watch, follow_hands
from chereme.recognition.prefetch import prefetch
from chereme.recognition.sources import Source, name_of
from chereme.recognition.stages import Stages
from chereme.types import RAREST, Frame, Handedness, Landmarks, frames_of, in_span
from chereme.video import Limits, VideoReader, open_video
from chereme.video.frames import FrameSeries
from chereme.video.reader import Recording, as_recording, check_rate, check_rotate

LANDMARK_SUFFIXES = (".pose", ".npz")
LOW_FPS = 15.0

Span = tuple[float, float]  # seconds, may be infinite
Progress = Callable[[int, int | None], None]
"""Called with the frames done so far and, as a hint, the frames expected."""
MakeDetector = Callable[[bool], HandDetector]
"""Makes the detector of one input; the argument says whether that is a single picture."""


@dataclass(frozen=True)
class HandLandmarks:
    """What was seen in one source.

    ``info`` holds the facts of the recording, ``timings`` the seconds of each stage (reading and
    detection overlap, so they may add up to more than the whole took). ``reading`` are the options
    with which its pictures were read, for :func:`read_again`, and ``begins (T, H)`` is where
    another trajectory begins in a column of ``landmarks``; of landmarks there are none.
    ``sections``: what is to be read of it, one after the other, if it was to be parted.
    """

    landmarks: Landmarks
    info: dict[str, Any]
    is_still: bool = False
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    begins: NDArray[np.bool_] | None = None
    sections: tuple[Section, ...] = ()

    def with_landmarks(self, change: Callable[[Landmarks], Landmarks]) -> HandLandmarks:
        """With what ``change`` makes of the landmarks, those of the sections too."""
        sections = [replace(one, landmarks=change(one.landmarks)) for one in self.sections]
        return replace(self, landmarks=change(self.landmarks), sections=tuple(sections))


def detect_hands(
    source: str | Source,
    *,
    start: float | None = None,
    end: float | None = None,
    mirrored: bool = False,
    strict: bool = False,
    rate: float | None = None,
    limits: Limits | None = None,
    rotate: int | None = None,
    video_stream: int | None = None,
    detector: str = "onnx",
    make_detector: MakeDetector | None = None,
    vectors: bool = False,
    sections: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> HandLandmarks:
    """Find the hands in a video, image, folder of numbered frames, or file of landmarks.

    Args:
        source: a path, or what is already in memory (``chereme.recognition.sources``).
        start, end: seconds; only the frames from ``start`` up to ``end``, which is not included,
            are looked at.
        mirrored: the recording shows a mirror image (many front cameras); it is flipped back.
        strict: raise ``InputError`` at the first damage of a video.
        rate: frames a second of folders of frames and of frames in memory (default 30), and of
            landmark files in the place of what they say.
        limits: the largest recording to accept.
        rotate: degrees clockwise (0, 90, 180, 270) by which to turn the pictures, beyond what the
            file says; of a file of landmarks, these.
        video_stream: the number, from 0, of the stream to read of a video that has several; None
            takes the largest picture.
        detector: the name of a hand detector, see ``chereme.hands.detector.find_detector``.
        make_detector: makes the hand detector in the place of ``detector``.
        vectors: keep the hand network's vectors too, of a detector that has them.
        sections: part it (``chereme.hands.sections``); of a video the sections have the vectors,
            the whole has none, and there are no ``begins``.
        progress: called while a video is read.
        watch: is given each frame of a video, and the tracker that has seen it.
    """
    if start is not None and end is not None and end <= start:
        raise InputError(f"{source}: expected an end after the start, got {start} s to {end} s")
    check_rate(rate)
    degrees = check_rotate(rotate)
    limits = limits or Limits()
    span = (-math.inf if start is None else start, math.inf if end is None else end)
    if isinstance(source, Landmarks):
        source = turned(source, degrees)
        found = _from_landmarks(_between(source, "the landmarks", span), None)
    elif isinstance(source, str | File) and is_landmark_file(source):
        began = time.perf_counter()
        whole = turned(read_landmarks(source, fps=rate), degrees)
        limits.check_frames(str(source), len(whole.timestamps))
        limits.check_seconds(str(source), float(whole.timestamps[-1] - whole.timestamps[0]))
        found = _from_landmarks(_between(whole, str(source), span), name_of(source))
        found.timings["read"] = time.perf_counter() - began
    else:
        found = _from_video(
            as_recording(source),
            span=span,
            reading={
                "rate": rate,
                "strict": strict,
                "limits": limits,
                "rotate": degrees,
                "video_stream": video_stream,
            },
            make_detector=make_detector or find_detector(detector),
            vectors=vectors,
            sections=sections,
            progress=progress,
            watch=watch,
        )
    if mirrored:
        found = found.with_landmarks(unmirror)
    if sections and not found.sections:
        return replace(found, sections=tuple(cut(found.landmarks)))
    return found


def is_landmark_file(source: Any) -> bool:
    """Whether ``source`` is a file of landmarks, by the suffix of its name."""
    if isinstance(source, str):
        source = Path(source)
    if not isinstance(source, Path | MemoryFile) or source.suffix.lower() not in LANDMARK_SUFFIXES:
        return False
    return isinstance(source, MemoryFile) or not os.path.isdir(source)


def read_again(
    source: Recording,
    times: NDArray[np.floating[Any]],
    **reading: Any,
) -> Generator[Frame, None, None]:
    """The frames of ``times``, by the same reader that found these times when ``detect_hands``
    looked.

    So that no pictures need to be kept, whatever the length. ``reading``: the options of
    :func:`chereme.video.open_video`, as in :class:`HandLandmarks`. Raises ``InputError`` if the
    source has changed since.
    """
    found = 0
    with open_video(source, **reading) as reader:
        for frame in reader:
            if frame.timestamp < times[0]:
                continue
            if frame.timestamp != times[found]:
                break
            found += 1
            yield frame
            if found == len(times):
                return
    raise InputError(
        f"{source}: expected a frame at {times[found]:.3f} s, as when it was first read, but "
        "there is none now; do not change the file while it is read"
    )


def unmirror(landmarks: Landmarks) -> Landmarks:
    """Undo a mirrored recording: x is flipped, and each hand is the other one."""
    other: dict[Handedness, Handedness] = {"left": "right", "right": "left", "unknown": "unknown"}
    world = landmarks.world_landmarks
    return replace(
        landmarks,
        landmarks=mirror(landmarks.landmarks, landmarks.width),
        world_landmarks=None if world is None else mirror(world, None),
        handedness=tuple(other[hand] for hand in landmarks.handedness),
    )


def turned(landmarks: Landmarks, degrees: int) -> Landmarks:
    """What would have been seen if the recording were turned by ``degrees`` clockwise."""
    if degrees == 0:
        return landmarks
    width, height = landmarks.width, landmarks.height
    world = landmarks.world_landmarks
    return replace(
        landmarks,
        landmarks=turn(landmarks.landmarks, degrees, (width, height)),
        world_landmarks=None if world is None else turn(world, degrees, None),
        width=width if degrees == 180 else height,
        height=height if degrees == 180 else width,
    )


class _TimedDetector:
    """A detector whose work is timed and reported to ``progress``."""

    def __init__(
        self, detector: HandDetector, expected: int | None, progress: Progress | None
    ) -> None:
        self.seconds = 0.0
        self._detector, self._expected, self._progress = detector, expected, progress
        self._done = 0

    def detect(self, image: NDArray[np.uint8], timestamp: float) -> list[Detection]:
        began = time.perf_counter()
        detections = self._detector.detect(image, timestamp)
        self.seconds += time.perf_counter() - began
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._expected)
        return detections

    def reset(self) -> None:
        self._detector.reset()

    def close(self) -> None:
        self._detector.close()


def _from_video(
    source: Recording,
    *,
    span: Span,
    reading: dict[str, Any],
    make_detector: MakeDetector,
    vectors: bool,
    sections: bool,
    progress: Progress | None,
    watch: Watch | None,
) -> HandLandmarks:
    stages = Stages()
    with open_video(source, **reading) as reader:
        detector = _TimedDetector(make_detector(reader.is_still), reader.expected_frames, progress)
        # The reading thread ends first, then the detector, then the reader that the thread uses.
        with (
            closing(detector),
            closing(
                prefetch(stages.iterate("read", frames_in(reader, str(source), span)))
            ) as frames,
        ):
            if sections:
                parts = _sections(frames, detector, vectors)
            else:
                tracker = follow_hands(frames, detector, vectors=vectors, watch=watch)
        # A long film's landmarks take the memory that the detector has left.
        if sections:
            landmarks, placed = join(parts)
            begins = None
        else:
            landmarks, placed, begins = tracker.finish(), [], tracker.begins
        facts = reader.facts
        is_still = reader.is_still or facts.frames == 1
    info, damage = describe_recording(source, reader)
    slow: tuple[str, ...] = ()
    if facts.fps is not None and facts.fps < LOW_FPS:
        slow = (
            f"only {facts.fps:.1f} frames a second: quick letters may be lost; record at 25 or "
            "more",
        )
    timings = {**stages.seconds, "detect": detector.seconds}
    warnings = (*slow, *damage)
    return HandLandmarks(
        landmarks, info, is_still, warnings, timings, reading, begins, tuple(placed)
    )


def _sections(frames: Iterable[Frame], detector: _TimedDetector, vectors: bool) -> list[Section]:
    sections = FrameSections(detector, vectors=vectors)
    found = [sections.update(frame) for frame in frames]
    return [section for section in (*found, sections.finish()) if section is not None]


def describe_recording(
    source: Recording, reader: VideoReader
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The facts of a recording that ``reader`` has read, and warnings of its damage."""
    facts = reader.facts
    series = source.is_dir() if isinstance(source, Path) else isinstance(source, FrameSeries)
    kind = "image" if reader.is_still else "frames" if series else "video"
    warnings = []
    if facts.bad_packets:
        warnings.append(f"the file is damaged: {facts.bad_packets} packets could not be decoded")
    if facts.truncated:
        warnings.append("the file ends too early: what there is was read")
    warnings += reader.remarks
    info = {
        "source": name_of(source),
        "kind": kind,
        "width": facts.width,
        "height": facts.height,
        "frames": facts.frames,
        "start": facts.start,
        "duration": facts.duration,
        "fps": facts.fps,
        "rotation": facts.rotation,
        "video_stream": facts.video_stream,
        "bad_packets": facts.bad_packets,
        "truncated": facts.truncated,
    }
    return info, tuple(warnings)


def _from_landmarks(landmarks: Landmarks, source: str | None) -> HandLandmarks:
    times = landmarks.timestamps
    passed = float(times[-1] - times[0])
    steps = np.diff(times)
    moving = steps[steps <= RAREST] if (steps <= RAREST).any() else steps
    fps = len(moving) / float(moving.sum()) if passed > 0 else None
    slow = fps is not None and fps < LOW_FPS
    warnings = (f"only {fps:.1f} frames a second: quick letters may be lost",) if slow else ()
    info = {
        "source": source,
        "kind": "landmarks",
        "width": landmarks.width,
        "height": landmarks.height,
        "frames": len(times),
        "start": float(times[0]),
        "duration": passed + (1 / fps if fps else 0.0),
        "fps": fps,
        "rotation": 0,
        "video_stream": None,
        "bad_packets": 0,
        "truncated": False,
    }
    return HandLandmarks(landmarks, info, len(times) == 1, warnings)


def frames_in(frames: Iterable[Frame], source: str, span: Span) -> Iterator[Frame]:
    """Those from the start of ``span`` up to its end, not included; InputError if there is none."""
    last = 0.0
    found = False
    first: float | None = None
    for frame in frames:
        last = frame.timestamp
        first = last if first is None else first
        if in_span(np.array(last), *span):
            found = True
            yield frame
        elif last > span[0]:
            break
    if not found:
        raise _no_frames(source, span, first or 0.0, last)


def _between(landmarks: Landmarks, source: str, span: Span) -> Landmarks:
    times = landmarks.timestamps
    chosen = in_span(times, *span)
    if chosen.all():
        return landmarks
    if not chosen.any():
        raise _no_frames(source, span, float(times[0]), float(times[-1]))
    return frames_of(landmarks, chosen)


def _no_frames(source: str, span: Span, first: float, last: float) -> InputError:
    start, end = span
    there = (
        f"the first frame is at {first:.2f} s"
        if first > end
        else f"the last frame is at {last:.2f} s"
    )
    return InputError(
        f"{source}: expected frames from {max(start, 0.0):g} s to "
        f"{'the end' if math.isinf(end) else f'{end:g} s'}, but {there}"
    )
