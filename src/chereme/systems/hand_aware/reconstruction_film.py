"""From a recording to the pictures or the film of its reconstructed hands.

The recording is read twice, as in recognition: once for its landmarks, and again for the crops of
the hands, in blocks, so that memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError, UsageError
from chereme.formats.outputs import new_file
from chereme.hands.both import SIDES, choose_frames
from chereme.hands.crop import crop, hand_box
from chereme.hands.signing import hand_tracks
from chereme.hands.skeleton import mirror
from chereme.recognition.hand_landmarks import (
    MakeDetector,
    Progress,
    detect_hands,
    is_landmark_file,
    read_again,
)
from chereme.recognition.overlay import film_rate, film_times
from chereme.synthesis.hand_pictures import PAPER, sheet
from chereme.systems.hand_aware.reconstruction import (
    Reconstruction,
    Reconstructor,
    reprojection_error,
)
from chereme.systems.hand_aware.reconstruction_plot import reconstruction_row
from chereme.types import FloatArray, Frame, HandTrack, Landmarks
from chereme.video import Limits, write_video
from chereme.video.writer import SUFFIXES as FILMS

PICTURES = (".jpg", ".jpeg", ".png")
SIDE = 256  # pixels of a crop, as of those that system B is trained on
_BLOCK = 64  # frames that are reconstructed at once, in which a fitted hand keeps its shape
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Reconstructed:
    """What was written.

    ``hands``: the signer's "left", "right" or both, and for each of them ``errors``, the mean 2-D
    re-projection error (`reprojection_error`, palm lengths) of the ``frames`` in which it was
    detected. ``warnings``: of reading.
    """

    hands: tuple[str, ...]
    errors: tuple[float, ...]
    frames: tuple[int, ...]
    warnings: tuple[str, ...]

    @property
    def error(self) -> float:
        """The mean of all hands in all frames."""
        return float(np.average(self.errors, weights=self.frames))


def write_reconstruction(
    output: str | Path,
    source: str | Path,
    reconstruct: Reconstructor,
    *,
    frames: int = 6,
    mirrored: bool = False,
    rate: float | None = None,
    strict: bool = False,
    limits: Limits | None = None,
    rotate: int | None = None,
    video_stream: int | None = None,
    make_detector: MakeDetector | None = None,
    progress: Progress | None = None,
) -> Reconstructed:
    """Show each hand of ``source`` as its crop, the joints detected in it, and its mesh.

    A film (.mp4, .mov, .mkv) has all frames, one hand below the other. A picture (.jpg, .png) has
    at most ``frames`` of those in which a hand was seen, spread over the recording: two rows beside
    each other, which are a frame's two hands, or two frames of the only one. Of several tracks of
    a side (other people's hands, say) it is the one seen in most frames. Hands are shown as the
    recording shows them; what ``reconstruct`` is given are right hands, left ones mirrored. A film
    appears when it is complete.

    Args:
        output: the film or picture. Its folder is made.
        source: a video, an image or a folder of frames.
        reconstruct: `LandmarkFit`, or a network that does.
        mirrored, rate, strict, limits, rotate, video_stream, make_detector: see ``detect_hands``. A
            recording that shows a mirror image is flipped back.
        progress: called while the source is read, the first and the second time.

    Raises:
        InputError: no hand was found, or ``source`` cannot be read.
        UsageError: another kind of output, the input itself as output, landmarks as input, or fewer
            than one frame.
    """
    output, source = Path(output), Path(source)
    _check(output, source, frames)
    seen = detect_hands(
        source,
        mirrored=mirrored,
        strict=strict,
        rate=rate,
        limits=limits,
        rotate=rotate,
        video_stream=video_stream,
        make_detector=make_detector,
        progress=progress,
    )
    hands, times = _hands(seen.landmarks), seen.landmarks.timestamps
    if not hands:
        raise InputError(
            f"{source}: expected a hand in at least one of {len(times)} frames, found none; show "
            "whole hands, large enough and in good light"
        )
    again = read_again(source, times, **seen.reading)
    errors: list[list[float]] = [[] for _ in hands]
    with closing(again):
        views = _watched(_views(hands, again, reconstruct, mirrored), errors, len(times), progress)
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix.lower() in FILMS:
            film = (_even(_page(frame, columns=1)) for frame in views)
            write_video(output, film, film_rate(times), timestamps=film_times(times))
        else:
            kept = _spread(hands, frames)
            shown = [view for index, frame in enumerate(views) if index in kept for view in frame]
            page = _page(shown, columns=min(2, len(shown)))
            with new_file(output, overwrite=True) as part:
                require("PIL.Image").fromarray(page).save(part, quality=88, optimize=True)
    return Reconstructed(
        tuple(hand.handedness for hand in hands),
        tuple(float(np.mean(own)) for own in errors),
        tuple(len(own) for own in errors),
        seen.warnings,
    )


def _check(output: Path, source: Path, frames: int) -> None:
    known = (*FILMS, *PICTURES)
    if output.suffix.lower() not in known or output.is_dir():
        raise UsageError(f"{output}: expected a file name that ends in {', '.join(known)}")
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"{output} is the input itself; give the output another name")
    if is_landmark_file(source):
        raise UsageError(
            f"{source}: expected a video, an image or a folder of frames, which have pictures to "
            "show, got landmarks"
        )
    if frames < 1:
        raise UsageError(f"frames: expected at least one, got {frames}")


def _hands(landmarks: Landmarks) -> list[HandTrack]:
    """At most one track of each side, the left one first."""
    tracks = [track for track in hand_tracks(landmarks) if track.present.any()]
    of_sides = ([t for t in tracks if t.handedness == side] for side in SIDES)
    return [max(own, key=lambda t: int(t.present.sum())) for own in of_sides if own]


def _spread(hands: Sequence[HandTrack], frames: int) -> set[int]:
    """At most so many of the frames in which a hand was seen."""
    there = np.flatnonzero(np.any([hand.present for hand in hands], axis=0))
    return set(there[choose_frames(len(there), frames, "spread", None)].tolist())


class _View(NamedTuple):
    """One hand in one frame; ``mesh`` is hand number ``place`` of a reconstruction, or None where
    the hand was not seen, as ``error`` is NaN."""

    side: str
    time: float | None  # seconds; None of a single picture
    crop: Image
    joints: FloatArray
    confidence: FloatArray
    mesh: Reconstruction | None
    place: int
    error: float

    def row(self) -> Image:
        return reconstruction_row(self.crop, self.joints, self.confidence, self.mesh, self.place)

    def label(self) -> str:
        about = "not seen" if self.mesh is None else f"off by {self.error:.1%} of the palm's length"
        when = "" if self.time is None else f", {self.time:.2f} s"
        return f"{self.side} hand{when}\ninput, detected joints, mesh: {about}"


def _views(
    hands: Sequence[HandTrack], frames: Iterator[Frame], reconstruct: Reconstructor, mirrored: bool
) -> Iterator[list[_View]]:
    """All ``hands`` in each frame of the recording that they are tracks of."""
    boxes = [hand_box(hand) for hand in hands]
    first = 0
    while block := list(islice(frames, _BLOCK)):
        images = [f.image[:, ::-1] if mirrored else f.image for f in block]
        part = slice(first, first + len(block))
        of_hands = [
            _views_of_hand(hand, part, box[part], images, reconstruct)
            for hand, box in zip(hands, boxes, strict=True)
        ]
        yield from (list(frame) for frame in zip(*of_hands, strict=True))
        first += len(block)


def _views_of_hand(
    hand: HandTrack,
    part: slice,
    boxes: FloatArray,
    images: Sequence[Image],
    reconstruct: Reconstructor,
) -> list[_View]:
    """One hand in the frames ``part`` of its recording, which are ``images``."""
    left = hand.handedness == "left"
    crops = np.stack([crop(i, box, SIDE) for i, box in zip(images, boxes, strict=True)])
    joints = _in_crop(hand.landmarks[part], boxes)
    confidence, there = hand.confidence[part], np.flatnonzero(hand.present[part])
    meshes: Reconstruction | None = None
    errors: NDArray[Any] = np.full(len(images), np.nan)
    if len(there):
        right = crops[there, :, ::-1] if left else crops[there]
        points = mirror(joints[there], SIDE) if left else joints[there]
        meshes = reconstruct(right, points, confidence[there])
        meshes = meshes.mirrored(SIDE) if left else meshes
        errors[there] = reprojection_error(meshes.projected, joints[there], confidence[there])
    places = np.cumsum(hand.present[part]) - 1
    times: Sequence[float | None] = hand.timestamps[part].tolist()
    if len(hand.timestamps) == 1:
        times = [None]
    return [
        _View(
            hand.handedness,
            times[index],
            crops[index],
            joints[index],
            confidence[index],
            meshes if hand.present[part][index] else None,
            int(places[index]),
            float(errors[index]),
        )
        for index in range(len(images))
    ]


def _in_crop(landmarks: FloatArray, boxes: FloatArray) -> FloatArray:
    """Landmarks ``(N, 21, 3)`` in pixels of the frame -> pixels of the crops, z in their scale."""
    moved = landmarks.astype(np.float64)
    moved[..., :2] -= boxes[:, None, :2]
    scaled: FloatArray = moved * (SIDE / (boxes[:, 2] - boxes[:, 0]))[:, None, None]
    return scaled


def _watched(
    frames: Iterable[list[_View]],
    errors: list[list[float]],
    count: int,
    progress: Progress | None,
) -> Iterator[list[_View]]:
    """``frames``, while their errors are noted and ``progress`` is told."""
    for done, views in enumerate(frames, start=1):
        for own, view in zip(errors, views, strict=True):
            if view.mesh is not None:
                own.append(view.error)
        yield views
        if progress is not None:
            progress(done, count)


def _page(views: Sequence[_View], columns: int) -> Image:
    return sheet([view.row() for view in views], [view.label() for view in views], columns)


def _even(page: Image) -> Image:
    """As films want it, with a line of paper more where a side is odd."""
    height, width = page.shape[:2]
    even = np.full((height + height % 2, width + width % 2, 3), PAPER, np.uint8)
    even[:height, :width] = page
    return even
