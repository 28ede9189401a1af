"""The immutable objects that travel between the layers: frames, landmarks, tracks, transcripts.

Words and frames of reference are those of the design: landmarks are in pixels of the upright frame
(x right, y down, z in the same scale, smaller = nearer to the camera), world landmarks in metres,
times in seconds of the recording's own clock, as a player shows them: from its start, which is that
of the sound where the picture begins later. Missing is a mask (``confidence == 0``), never a
zero coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from chereme._imports import find
from chereme.errors import InputError

Handedness = Literal["left", "right", "unknown"]
FloatArray = NDArray[np.floating[Any]]
NUM_JOINTS = 21
VECTOR_SIZE = 1152
"""Numbers of the hand network's vector of a hand (``chereme.hands.landmarks``)."""


RAREST = 2.0
"""Seconds between two frames that are still of one motion; what lies further apart are single
pictures, between which nobody knows what was shown."""


def in_span(times: FloatArray, start: float, end: float) -> NDArray[np.bool_]:
    """Which of ``times`` lie from ``start`` up to ``end`` (seconds), ``end`` not included.

    To half a millisecond: tables give times in whole ones.
    """
    inside: NDArray[np.bool_] = (times >= start - 5e-4) & (times < end - 5e-4)
    return inside


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright picture: ``image (H, W, 3)`` uint8 RGB, shown at ``timestamp`` seconds."""

    image: NDArray[np.uint8]
    timestamp: float


@dataclass(frozen=True, slots=True)
class Video:
    """What reading a recording has shown of it: facts, not header claims.

    ``width``/``height`` are of the upright frame; ``rotation`` is the angle in degrees, clockwise,
    that was applied to make it so. ``start`` is the time of the first frame, ``duration`` the
    seconds from there to the end of the last, which is taken to stay as long as others do on
    average (0 for a picture). ``fps`` is the effective rate, the steps from frame to frame over the
    seconds that they take, ``None`` below two frames; steps longer than `RAREST` count only where
    there are no others. ``video_stream`` is the
    number of the stream that was read, from 0, and ``video_streams`` holds width and height of all
    that there are; of pictures there are none. ``truncated`` is True if the container or the last
    packets ended before they should have.
    """

    source: str
    width: int
    height: int
    frames: int
    duration: float
    fps: float | None
    rotation: int = 0
    bad_packets: int = 0
    truncated: bool = False
    start: float = 0.0
    video_stream: int | None = None
    video_streams: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Hand landmarks of a whole recording.

    Shapes: ``landmarks (T, H, 21, 3)`` float32 pixels, ``confidence (T, H, 21)`` in 0..1 (0 = not
    seen), ``timestamps (T,)`` float64 seconds, rising; ``handedness`` has H entries, the
    signer's own left or right; ``world_landmarks (T, H, 21, 3)`` metres, or None. Unseen landmarks
    hold NaN. ``handedness_score`` has H entries, each the fraction of the vote for that side in
    0.5..1, or is None where nothing was voted. ``vectors (T, H, 1152)`` are the hand network's of
    each hand as the camera saw it, zero where there is none, or None.
    """

    landmarks: FloatArray
    confidence: FloatArray
    timestamps: FloatArray
    width: int
    height: int
    handedness: tuple[Handedness, ...]
    world_landmarks: FloatArray | None = None
    handedness_score: tuple[float, ...] | None = None
    vectors: FloatArray | None = None

    def __post_init__(self) -> None:
        t, h = len(self.timestamps), len(self.handedness)
        expect: dict[str, tuple[FloatArray, tuple[int, ...]]] = {
            "landmarks": (self.landmarks, (t, h, NUM_JOINTS, 3)),
            "confidence": (self.confidence, (t, h, NUM_JOINTS)),
        }
        if self.world_landmarks is not None:
            expect["world_landmarks"] = (self.world_landmarks, (t, h, NUM_JOINTS, 3))
        if self.vectors is not None:
            expect["vectors"] = (self.vectors, (t, h, VECTOR_SIZE))
        for name, (array, shape) in expect.items():
            if array.shape != shape:
                raise InputError(
                    f"{name}: expected shape {shape} for {t} timestamps and {h} hands, "
                    f"got {array.shape}"
                )
        if self.handedness_score is not None and len(self.handedness_score) != h:
            raise InputError(
                f"handedness_score: expected one for each of {h} hands, "
                f"got {len(self.handedness_score)}"
            )
        if t > 1 and not np.all(np.diff(self.timestamps) > 0):
            raise InputError("timestamps: expected strictly rising seconds")

    def tracks_by_side(
        self, signing: Literal["auto", "left", "right"] = "auto"
    ) -> tuple[list[int], list[int]]:
        """The tracks of the signer's left hand and of the right one, each in order of preference.

        The one seen in most frames comes first; others fill the frames in which it was not seen (a
        hand that was lost and found again). Tracks of unknown handedness come after those: such a
        track is the ``signing`` hand where that is stated and not seen, else a hand that was not
        seen, the right one first; where both were seen, the one that lacks in more of its frames.
        """
        seen = np.any(self.confidence > 0, axis=2)
        order = sorted(range(len(self.handedness)), key=lambda track: -seen[:, track].sum())
        order.sort(key=lambda track: self.handedness[track] == "unknown")
        preferred: tuple[Handedness, ...] = (
            ("left", "right") if signing == "left" else ("right", "left")
        )
        tracks: dict[Handedness, list[int]] = {"left": [], "right": []}

        def need(side: Handedness, track: int) -> tuple[bool, int]:
            covered = seen[:, tracks[side]].any(axis=1)
            return not covered.any(), int(seen[~covered, track].sum())

        for track in order:
            side = self.handedness[track]
            if side == "unknown":
                side = max(preferred, key=lambda one: need(one, track))
            tracks[side].append(track)
        return tracks["left"], tracks["right"]


@dataclass(frozen=True, slots=True)
class HandTrack:
    """One hand followed through a recording.

    ``landmarks (T, 21, 3)`` pixels, ``confidence (T, 21)``, ``timestamps (T,)`` seconds,
    ``world_landmarks (T, 21, 3)`` metres or None. ``handedness`` was voted over the frames;
    ``handedness_score`` in 0.5..1 is the fraction of the vote. ``mirrored`` says that the landmarks
    were flipped so that they show a right hand. ``vectors (T, 1152)`` are the hand network's of the
    hand as the camera saw it, flipped or not, zero where it was not seen; or None.
    """

    landmarks: FloatArray
    confidence: FloatArray
    timestamps: FloatArray
    width: int
    height: int
    handedness: Handedness
    handedness_score: float = 1.0
    world_landmarks: FloatArray | None = None
    mirrored: bool = False
    vectors: FloatArray | None = None

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(T,)`` True where the hand was seen."""
        seen: NDArray[np.bool_] = np.any(self.confidence > 0, axis=1)
        return seen

    def part(self, first: int, last: int) -> HandTrack:
        """The frames from ``first`` to ``last``, both included."""
        return frames_of(self, slice(first, last + 1))


R = TypeVar("R", Landmarks, HandTrack)


def frames_of(
    recording: R,
    chosen: slice | NDArray[np.integer[Any] | np.bool_],
    times: FloatArray | None = None,
) -> R:
    """The ``chosen`` frames of a recording, at their own times or at ``times``, seconds."""
    world, vectors = recording.world_landmarks, recording.vectors
    return replace(
        recording,
        landmarks=recording.landmarks[chosen],
        confidence=recording.confidence[chosen],
        timestamps=recording.timestamps[chosen] if times is None else times,
        world_landmarks=None if world is None else world[chosen],
        vectors=None if vectors is None else vectors[chosen],
    )


_WRITERS = "chereme.formats.transcripts"  # which know of these types
Unit = Literal["letter", "sign", "gloss"]
"""What a token is: a letter of a spelled word, the one sign of a clip, or a gloss of a sentence."""


@dataclass(frozen=True, slots=True)
class Token:
    """A letter or gloss, its time span in seconds, and the model's probability for it, 0..1.

    A letter begins half-way from the one before, or from rest, and ends where the hand leaves it
    (``chereme.recognition.letter_times``); a picture has no duration, its letter is at 0. A sign of
    a clip lasts from the first to the last frame in which a hand was seen. A gloss of a sentence
    has the seconds in which the model emits it rather than nothing: the sign, if the model was
    taught when glosses are signed (``configs/signx/times.yaml``), else no more than an order. Both
    times are NaN where the model has nothing that tells times.
    """

    text: str
    start: float
    end: float
    probability: float

    @property
    def is_timed(self) -> bool:
        """Whether ``start`` and ``end`` are known."""
        return not (math.isnan(self.start) or math.isnan(self.end))


class Alternative(NamedTuple):
    """Another text that the input may show, and the model's probability for it, 0..1, or None
    where the search only ranks."""

    text: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was read from one input.

    ``text`` is empty, with a warning that says why, where nothing was found. ``tokens`` are its
    letters or glosses. ``alternatives``: texts that were ranked, the likeliest first; what the
    probabilities of spelled ones lack to 1 is that of others.
    """

    text: str = ""
    tokens: tuple[Token, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    unit: ClassVar[Unit] = "letter"

    def to_json(self) -> str:
        """All of it as JSON, as ``docs/json.md`` says."""
        return self._rendered("json")

    def save(self, path: str | Path, format: str | None = None, *, overwrite: bool = False) -> None:
        """Write it to a file, as UTF-8: in the ``format`` txt, json, srt, vtt, tsv or eaf, or in
        that of the path's suffix.

        Raises ``UsageError`` for another format, or one of times where there are none;
        ``OutputError`` if the file is there already and not to be replaced, or cannot be written.
        """
        path = Path(path)
        text = self._rendered(format or path.suffix.lower().removeprefix("."), path.parent)
        find(f"{_WRITERS}:save")(text, path, overwrite=overwrite)

    def _rendered(self, format: str, directory: Path | None = None) -> str:
        source = self.info.get("source")
        text: str = find(f"{_WRITERS}:write")(self, source, format, directory=directory)
        return text


class IsolatedResult(Transcript):
    """What one clip of a single sign shows.

    ``tokens``: the sign, or none where the likeliest is not probable enough to be the answer.
    ``alternatives``: every sign that the model knows; none where no hand was seen. What their
    probabilities lack to 1 is that of another sign, or none.
    """

    __slots__ = ()
    unit: ClassVar[Unit] = "sign"


class ContinuousResult(Transcript):
    """What a recording of continuous signing shows.

    ``text``: the glosses with spaces between. ``alternatives``: whole sentences of the search, of
    what was read in one window; none of longer recordings.
    """

    __slots__ = ()
    unit: ClassVar[Unit] = "gloss"


@dataclass(frozen=True, slots=True)
class Event:
    """News of a stream of signing.

    "final": what follows all final ones before, and will not change. "partial": what seems to
    follow them, as far as it was seen; the next event takes its place. ``tokens`` are the letters
    or glosses of ``text``, which has spaces between words, or glosses.
    """

    kind: Literal["partial", "final"]
    text: str
    tokens: tuple[Token, ...]
