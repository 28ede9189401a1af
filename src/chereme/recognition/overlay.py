"""The film of what was seen: the recording with its hands drawn on it, and the letters below.

The recording is read a second time for it, so that no pictures are kept, whatever its length.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import UsageError
from chereme.formats.transcripts import output_paths
from chereme.hands.draw import draw_hands
from chereme.recognition.caption import GROUND, Captions, draw_strip, strip_height
from chereme.recognition.hand_landmarks import Progress, is_landmark_file, read_again, unmirror
from chereme.recognition.prefetch import prefetch
from chereme.recognition.sources import Source, check_readable_twice
from chereme.types import Frame, Landmarks, Transcript
from chereme.video import Limits, write_video
from chereme.video.letterbox import resized
from chereme.video.reader import as_recording
from chereme.video.writer import SUFFIXES

NARROWEST = 192  # pixels: below, neither the letters nor the time would have room
PLAIN = (44, 48, 56)  # RGB of the ground where there is no picture
FITTED = 480  # pixels of the ground's sides where landmarks do not lie in their recording's picture
LARGEST = 4096 * 2160  # photographs and 8K may have more, but few players show such a film
_TICK = 1 / 60_000  # seconds: the resolution of a film's times
_RATES = (0.5, 240.0)  # frames/s that a film may claim; it only says how long the last frame stays


def overlay_paths(inputs: list[Path], overlay: Path) -> list[Path]:
    """The film of each input: ``overlay`` itself for one, or files in it, if it is a folder.

    Raises ``UsageError`` where several inputs meet one file, or as :func:`check_overlay`.
    """
    if os.path.isdir(overlay) or not overlay.suffix:
        return output_paths(inputs, overlay, SUFFIXES[0].removeprefix("."))
    if len(inputs) > 1:
        raise UsageError(
            f"the overlays of several inputs do not fit one file: expected a folder, got {overlay}"
        )
    check_overlay(overlay, inputs[0])
    return [overlay]


def check_overlay(path: str | Path, source: str | Source) -> None:
    """Raise ``UsageError`` if no film of ``source`` can be written to ``path``."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise UsageError(
            f"overlay: expected a file name that ends in {', '.join(SUFFIXES)}, got {path}"
        )
    if isinstance(source, Landmarks):
        return
    check_readable_twice(as_recording(source), "the film needs its frames a second time")
    if not isinstance(source, str | Path) or not path.exists():
        return
    if Path(source).exists() and path.samefile(source):
        raise UsageError(f"overlay: {path} is the input itself; give the film another name")


def write_overlay(
    path: str | Path,
    source: str | Source,
    landmarks: Landmarks,
    transcript: Transcript,
    *,
    signing: int | NDArray[np.integer] | None = None,
    mirrored: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> None:
    """Write the frames of ``source`` with ``landmarks`` drawn on them and ``transcript`` below.

    There is one frame for each time of ``landmarks``, shown at that time, counted from the first
    (to 1/60,000 s); the clock below the picture shows the recording's own time. The picture is
    upright and in the left upper corner, at its own size (a photograph of more pixels than a
    recording may have is made smaller); the film is as much larger as the strip of letters takes,
    for even sides, and to be 192 pixels wide. A single picture becomes a film of one frame, shown
    for two seconds. Landmark files are drawn on a plain ground of their recording's size, or fitted
    into one if they are not in pixels. The file appears, or replaces another, when it is complete.

    Args:
        path: the film: .mp4, .mov or .mkv. Its folder is made.
        source: what was observed: a video, image, folder of frames, landmark file, or landmarks.
        landmarks, mirrored, limits: what ``detect_hands`` gave for it and was given; a recording
            that shows a mirror image is drawn as it is.
        reading: the other options with which it was read, as in ``HandLandmarks.reading``.
        signing: the column of the hand that is marked as the one that was read; ``(T,)`` if it
            changes, -1 where there is none.
        progress: called while the film is written.

    Raises ``UsageError`` as :func:`check_overlay`, ``InputError`` if the source has changed since
    it was observed, ``LimitError`` if the ground is larger than ``limits`` allow.
    """
    check_overlay(path, source)
    path = Path(path)
    if mirrored:
        landmarks = unmirror(landmarks)
    limits = limits or Limits()
    if isinstance(source, Landmarks) or is_landmark_file(source):
        landmarks = _on_ground(landmarks)
        limits.check_pixels(str(path), landmarks.width, landmarks.height)
        pictures = _plain(landmarks)
    else:
        pictures = read_again(as_recording(source), landmarks.timestamps, limits=limits, **reading)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The reading thread ends before what it reads is closed.
    with closing(pictures), closing(prefetch(pictures)) as frames:
        write_video(
            path,
            _film(frames, landmarks, Captions(transcript), signing, progress),
            film_rate(landmarks.timestamps),
            timestamps=film_times(landmarks.timestamps),
        )


def _film(
    frames: Iterator[Frame],
    landmarks: Landmarks,
    captions: Captions,
    signing: int | NDArray[np.integer] | None,
    progress: Progress | None,
) -> Iterator[NDArray[np.uint8]]:
    count = len(landmarks.timestamps)
    columns = np.broadcast_to(-1 if signing is None else signing, count)
    for index, frame in enumerate(frames):
        image, scale = _shrunk(frame.image)
        joints = scale * landmarks.landmarks[index]
        marked = int(columns[index]) if columns[index] >= 0 else None
        drawn = draw_hands(image, joints, landmarks.confidence[index], signing=marked)
        height, width = drawn.shape[:2]
        strip = strip_height(width, height)
        film_width = max(width + width % 2, NARROWEST)
        film = np.full((height + strip + (height + strip) % 2, film_width, 3), GROUND, np.uint8)
        film[:height, :width] = drawn
        film[height:] = draw_strip(
            captions.at(frame.timestamp), frame.timestamp, (film_width, len(film) - height)
        )
        yield film
        if progress is not None:
            progress(index + 1, count)


def _shrunk(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The picture at ``LARGEST`` pixels, if it has more, and its scale, at most 1."""
    height, width = image.shape[:2]
    scale = min(1.0, (LARGEST / (width * height)) ** 0.5)
    if scale == 1.0:
        return image, scale
    return resized(image, int(width * scale), int(height * scale)), scale


def _plain(landmarks: Landmarks) -> Generator[Frame, None, None]:
    ground = np.full((landmarks.height, landmarks.width, 3), PLAIN, np.uint8)
    for time in landmarks.timestamps.tolist():
        yield Frame(ground, time)


def _on_ground(landmarks: Landmarks) -> Landmarks:
    """``landmarks``, or, if most joints lie outside the stated picture, the same fitted into one.

    Poses in other units than pixels (scaled to the shoulders, to the palm) have no true place.
    """
    seen = (landmarks.confidence > 0) & np.isfinite(landmarks.landmarks[..., :2]).all(-1)
    points = landmarks.landmarks[seen][:, :2].astype(np.float64)
    size = np.array([landmarks.width, landmarks.height])
    inside = ((points >= 0) & (points <= size)).all(axis=1)
    if not len(points) or (inside.mean() >= 0.5 and size.min() > 3):
        return landmarks
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 0.8 * FITTED / max(float((high - low).max()), 1e-6)
    moved = landmarks.landmarks * scale
    moved[..., :2] += FITTED / 2 - scale * (low + high) / 2
    return replace(landmarks, landmarks=moved.astype(np.float32), width=FITTED, height=FITTED)


def film_times(times: NDArray[np.floating]) -> list[float]:
    """From 0, and a tick apart at least: a recording's times may be closer than a film's can."""
    ticks: list[int] = []
    for tick in np.round((times - times[0]) / _TICK).astype(np.int64).tolist():
        ticks.append(max(tick, ticks[-1] + 1) if ticks else 0)
    return [tick * _TICK for tick in ticks]


def film_rate(times: NDArray[np.floating]) -> float:
    """Frames a second that a film of pictures at ``times (T,)``, seconds, claims."""
    lowest, highest = _RATES
    if len(times) == 1:
        return lowest
    return float(np.clip((len(times) - 1) / (times[-1] - times[0]), lowest, highest))
