"""The recogniser of continuous signing: tracks or video in, glosses with their times out.

video -> square pictures -> encoder.onnx -> tracks.onnx -> tracks, of a model that reads video
tracks -> sequence.onnx -> log-probabilities of its CTC head, or decoder.onnx -> glosses

What is longer than a window is read in windows that overlap, in constant memory.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from chereme._version import __version__
from chereme.errors import InputError, UsageError
from chereme.formats.tracks import PAPER_RATE, PoseTracks
from chereme.formats.tracks.files import open_tracks
from chereme.formats.tracks.mediapipe import mediapipe_of_landmarks
from chereme.hands.detector import MediaPipeDetector
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import ContinuousConfig, Reader
from chereme.recognition.gloss_decoding import (
    GlossDecoder,
    OnnxInputs,
    ReadGloss,
    Reading,
    ReadingOptions,
)
from chereme.recognition.hand_landmarks import (
    MakeDetector,
    Progress,
    describe_recording,
    frames_in,
    is_landmark_file,
)
from chereme.recognition.prefetch import prefetch
from chereme.recognition.profiling import Stages
from chereme.recognition.registry import resolve
from chereme.recognition.report import no_hand_in
from chereme.recognition.sign_frames import (
    EncodedFrame,
    FrameEncoder,
    hand_tracks,
    numbers_of,
    watch_hands,
)
from chereme.recognition.windows import Window, seam, windows
from chereme.text.glosses import SPECIAL, UNK
from chereme.types import ContinuousResult, Frame, Landmarks, SignedGloss, SigningEvent
from chereme.video import Limits, open_video
from chereme.video.reader import check_rate, check_rotate

T = TypeVar("T")
Source = str | Path | PoseTracks | Landmarks
SLOW = 0.75  # share of the model's rate; a slower video is worth a warning
SLOWEST = 1.0  # frames a second that tracks must have
EVERY = 1.0  # seconds of a stream between partial readings

TOOLS = {
    "smplerx": "SMPLer-X",
    "dwpose": "DWPose",
    "mediapipe": "MediaPipe Holistic",
    "primedepth": "PrimeDepth",
    "sapiens": "Sapiens",
}
"""What makes the tracks of SignX."""


@dataclass(frozen=True)
class _Given(Generic[T]):
    """What is to be read: ``items``, one a frame, ``rate`` of them a second; the inputs of the
    network of some of them, None where these show nobody; the seconds at which one is shown."""

    items: Iterable[T]
    rate: float
    onnx_inputs: Callable[[Sequence[T]], OnnxInputs | None]
    time: Callable[[T], float]


@dataclass(frozen=True, slots=True)
class _Part:
    """What was read of a window, of that part which is its own: ``final``, or what it seems."""

    glosses: tuple[SignedGloss, ...]
    reading: Reading | None  # None: it shows nobody
    final: bool
    frames: int  # read so far


@dataclass
class _Found:
    """All parts of a recording."""

    glosses: list[SignedGloss] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    windows: int = 0
    frames: int = 0


class ContinuousRecognizer:
    """Reads continuous signing. May be used for any number of inputs, one at a time.

    Args:
        bundle: the model.
        read_with: "decoder" or "ctc"; None: what the model is best read with.
        beam_width: of the search; None: the model's own.
        greedy: take the likeliest each time, without a search.
        mirrored: the video is a mirror image, as many front cameras make.
        strict: fail at the first damage of a video instead of reading the rest.
        rate: frames a second of folders of frames (default 30), and of landmark files in the place
            of what they say.
        limits: the largest video to accept.
        rotate: degrees clockwise (0, 90, 180, 270) by which to turn the pictures of a video, beyond
            what the file says.
        video_stream: the number, from 0, of the stream to read of a video that has several; None
            takes the largest picture.
        make_detector: another hand detector than MediaPipe's, called once per video with False: it
            is not for single pictures. The detector is closed after the video.

    Raises ``UsageError`` for a reader that the model does not have, or a width below 1.
    """

    def __init__(
        self,
        bundle: Bundle[ContinuousConfig],
        *,
        read_with: Reader | None = None,
        beam_width: int | None = None,
        greedy: bool = False,
        mirrored: bool = False,
        strict: bool = False,
        rate: float | None = None,
        limits: Limits | None = None,
        rotate: int | None = None,
        video_stream: int | None = None,
        make_detector: MakeDetector | None = None,
    ) -> None:
        self.bundle, config = bundle, bundle.config
        reader = config.read_with if read_with is None else read_with
        if reader not in config.readers:
            raise UsageError(
                f"read_with: expected what the model {config.name!r} has "
                f"({', '.join(config.readers)}), got {reader!r}"
            )
        if beam_width is not None and beam_width < 1:
            raise UsageError(f"beam width: expected at least 1, got {beam_width}")
        check_rate(rate)
        generation, ctc_beam = config.generation, config.ctc_beam
        if beam_width is not None:
            generation, ctc_beam = replace(generation, beam_size=beam_width), beam_width
        self.options = ReadingOptions(reader, generation, ctc_beam, greedy)
        self.reader = GlossDecoder(bundle.sequence, bundle.decoder, config)
        self.mirrored, self.strict, self.rate = mirrored, strict, rate
        self.rotate, self.video_stream = check_rotate(rotate), video_stream
        self.limits = limits or Limits()
        self.make_detector = make_detector or (lambda still: MediaPipeDetector(still=still))

    @classmethod
    def load(
        cls, model: str | Path, *, threads: int | None = None, **options: Any
    ) -> ContinuousRecognizer:
        """A recogniser with the bundle in a folder; ``threads`` of the networks (None: all cores),
        ``options`` those of the class."""
        return cls(load_continuous(model, threads=threads), **options)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.bundle.config.name

    @property
    def info(self) -> dict[str, Any]:
        """What a result tells of the model and of how it is read."""
        options = self.options
        return {
            "model": {"name": self.name, "sha256": self.bundle.sha256},
            "read_with": options.reader,
            "search": "greedy"
            if options.greedy
            else {"beam_width": options.ctc_beam}
            if options.reader == "ctc"
            else asdict(options.generation),
            "chereme": __version__,
        }

    # -- a whole recording -------------------------------------------------------------------------
    def recognize(
        self,
        source: Source,
        *,
        start: float | None = None,
        end: float | None = None,
        progress: Progress | None = None,
    ) -> ContinuousResult:
        """Read the glosses of a tracks file, ``.pose`` or landmark ``.npz``, video, picture, folder
        of numbered frames, or of tracks or landmarks in memory.

        ``start`` and ``end`` (seconds) limit the reading to the frames from ``start`` up to
        ``end``, which is not included. There are no glosses, and a warning says why, where nobody
        is seen. Raises ``InputError`` for what cannot be read at all, ``UsageError`` for a source
        that the model does not read: a model of tracks takes of a video no more than the hands, for
        its track mediapipe, with a warning.
        """
        if start is not None and end is not None and end <= start:
            raise InputError(f"{source}: expected an end after the start, got {start} to {end} s")
        began = time.perf_counter()
        stages = Stages()
        if isinstance(source, PoseTracks | Landmarks) or is_landmark_file(source):
            result = self._of_tracks(source, start, end, progress, stages)
        else:
            result = self._of_video(Path(source), start, end, progress, stages)
        stages.seconds["total"] = time.perf_counter() - began
        timings = {stage: round(seconds, 4) for stage, seconds in stages.seconds.items()}
        return replace(result, info={**result.info, "timings": timings})

    def _of_tracks(
        self,
        source: Source,
        start: float | None,
        end: float | None,
        progress: Progress | None,
        stages: Stages,
    ) -> ContinuousResult:
        if self.mirrored or self.rotate:
            raise UsageError(
                f"{'mirrored' if self.mirrored else 'rotate'}: expected a video, got tracks, in "
                "which no tool says how each number is mirrored or turned; make them of a video "
                "that is upright and no mirror image"
            )
        name, whole = stages.run("read", lambda: self._open(source))
        self.limits.check_frames(name, whole.frames)
        self.limits.check_seconds(name, whole.frames / whole.rate)
        if whole.rate < SLOWEST:
            raise InputError(
                f"{name}: expected at least {SLOWEST:g} frame a second, got {whole.rate:g}: signs "
                "cannot be told from that; give the true rate"
            )
        clip, warnings = self._usable(whole, name)
        if start is not None or end is not None:
            clip = clip.part(start or 0.0, end)
        duration, own_rate = clip.frames / clip.rate, clip.rate
        wanted = self.bundle.config.preprocessing.rate
        if wanted is not None and wanted != clip.rate:
            clip = clip.at_rate(wanted)

        def onnx_inputs(frames: Sequence[int]) -> OnnxInputs | None:
            part = numbers_of(clip, frames[0], frames[-1] + 1)
            there = any(present.any() for present in part.present.values())
            return self.reader.onnx_inputs(part) if there else None

        given = _Given(
            range(clip.frames), clip.rate, onnx_inputs, lambda n: clip.start + n / clip.rate
        )
        found = self._gather(given, stages, progress, clip.frames)
        info = {
            "source": name,
            "kind": "tracks",
            "tracks": list(clip.values),
            "frames": whole.frames,
            "start": whole.start,
            "duration": round(duration, 4),
            "fps": own_rate,
        }
        if not found.readings:
            warnings += [
                f"nobody is seen in {found.frames} frames: the tracks {', '.join(clip.values)} are "
                "present in none"
            ]
        return self._result(found, info, warnings)

    def _open(self, source: Source) -> tuple[str, PoseTracks]:
        if isinstance(source, PoseTracks):
            return "tracks in memory", source
        if isinstance(source, Landmarks):
            return "landmarks in memory", mediapipe_of_landmarks(source)
        return str(source), open_tracks(source, self.rate)

    def _usable(self, clip: PoseTracks, name: str) -> tuple[PoseTracks, list[str]]:
        """Those tracks that the model reads, and a warning of those that are missing."""
        wanted = [track.name for track in self.bundle.config.tracks]
        there = [track for track in wanted if track in clip.values]
        if not there:
            raise InputError(
                f"{name}: expected any of the tracks that the model {self.name!r} reads "
                f"({_made_by(wanted)}), got {', '.join(clip.values)}"
            )
        return clip.only(there), _missing([track for track in wanted if track not in there])

    def _of_video(
        self,
        source: Path,
        start: float | None,
        end: float | None,
        progress: Progress | None,
        stages: Stages,
    ) -> ContinuousResult:
        warnings = self._check_video(str(source))
        span = (-math.inf if start is None else start, math.inf if end is None else end)
        with ExitStack() as stack:
            reader = stack.enter_context(
                open_video(
                    source,
                    limits=self.limits,
                    rate=self.rate,
                    strict=self.strict,
                    rotate=self.rotate,
                    video_stream=self.video_stream,
                )
            )
            # The reading thread ends first, then the detector, then the reader that the thread
            # uses.
            given = self._watch(stack, stages)
            frames = stack.enter_context(
                closing(prefetch(stages.iterate("read", frames_in(reader, str(source), span))))
            )
            expected = reader.expected_frames
            found = self._gather(given(frames), stages, progress, expected)
            info, damage = describe_recording(source, reader)
        wanted = self.bundle.config.preprocessing.rate
        if wanted is not None and info["fps"] is not None and info["fps"] < SLOW * wanted:
            warnings.append(
                f"only {info['fps']:.1f} frames a second, but the model reads {wanted:g}: quick "
                "signs may be lost"
            )
        warnings += damage
        if not found.readings:
            warnings.append(no_hand_in(found.frames))
        return self._result(found, info, warnings)

    def _check_video(self, name: str) -> list[str]:
        """UsageError unless the model can make something of a video; warnings of what lacks."""
        config = self.bundle.config
        if config.input == "rgb":
            return []
        names = [track.name for track in config.tracks]
        if "mediapipe" not in names:
            raise UsageError(
                f"{name}: the model {self.name!r} reads pose tracks ({_made_by(names)}), not "
                "video; make these of it first, or give a model that reads video"
            )
        others = [one for one in names if one != "mediapipe"]
        message = (
            "of the track mediapipe there are only the hands, found by chereme's own detector, not "
            "the body; for all of it give what MediaPipe Holistic makes of the video"
        )
        return [message, *_missing(others)]

    def _watch(
        self, stack: ExitStack, stages: Stages
    ) -> Callable[[Iterable[Frame]], _Given[EncodedFrame]]:
        """What makes of frames that which is read; a detector is closed with ``stack``."""
        config = self.bundle.config
        rate = config.preprocessing.rate or PAPER_RATE

        def moment(seen: EncodedFrame) -> float:
            return seen.time

        if config.input == "rgb":
            presence_detector = None
            if config.preprocessing.needs_hands:
                presence_detector = stack.enter_context(closing(self.make_detector(False)))
            watcher = FrameEncoder(self.bundle, presence_detector, self.mirrored, stages)
            return lambda frames: _Given(
                watcher.watch(frames, rate), rate, watcher.onnx_inputs, moment
            )
        detector = stack.enter_context(closing(self.make_detector(False)))

        def onnx_inputs(seen: Sequence[EncodedFrame]) -> OnnxInputs | None:
            clip = stages.run("hands", lambda: hand_tracks(seen))
            return None if clip is None else self.reader.onnx_inputs(clip)

        return lambda frames: _Given(
            watch_hands(frames, detector, rate, self.mirrored, stages), rate, onnx_inputs, moment
        )

    # -- a stream ----------------------------------------------------------------------------------
    def stream(self, frames: Iterable[Frame], *, every: float = EVERY) -> Iterator[SigningEvent]:
        """Read frames as they come, in constant memory.

        A final event comes when a window is full and at the end, so no later than a window's length
        after its glosses; a partial one after ``every`` seconds in between. The final glosses are
        those that `recognize` gives for the same frames. ``UsageError`` as of `recognize`.
        """
        if not every > 0:
            raise UsageError(f"every: expected more than 0 seconds, got {every}")
        self._check_video("the stream")
        stages = Stages()
        with ExitStack() as stack:
            given = self._watch(stack, stages)(frames)
            for part in self._parts(given, stages, every):
                yield SigningEvent("final" if part.final else "partial", part.glosses)

    # -- windows -----------------------------------------------------------------------------------
    def _gather(
        self,
        given: _Given[Any],
        stages: Stages,
        progress: Progress | None,
        expected: int | None,
    ) -> _Found:
        found = _Found()
        for part in self._parts(given, stages, None):
            found.windows += 1
            found.frames = part.frames
            found.glosses += part.glosses
            if part.reading is not None:
                found.readings.append(part.reading)
            if progress is not None:
                progress(part.frames, expected)
        return found

    def _parts(self, given: _Given[T], stages: Stages, every: float | None) -> Iterator[_Part]:
        """Of each window the glosses whose middle lies between the seams with its neighbours."""
        size, overlap = self.bundle.config.windows.frames(given.rate)
        if "ctc" not in self.bundle.config.readers:
            overlap = 0  # nothing tells which glosses of two windows are the same
        often = None if every is None else max(1, round(every * given.rate))
        begin = 0.0
        for window in windows(given.items, size, overlap, often):
            reading = self._read(window, given, stages)
            glosses = () if reading is None else reading.glosses
            stop = math.inf
            if not window.last and window.whole and overlap:
                # In the middle half of what both see: nearer to its end a window knows too little
                # of what comes, or of what came.
                low = size - 0.75 * overlap
                middles = [m for m in (gloss.middle for gloss in glosses) if m is not None]
                stop = window.start + seam(middles, low, low + overlap / 2)
            own = [
                gloss
                for gloss in glosses
                if gloss.middle is None or begin <= window.start + gloss.middle < stop
            ]
            signed = tuple(_timed(gloss, window, given) for gloss in own)
            yield _Part(signed, reading, window.whole, window.start + len(window.items))
            if window.whole:
                begin = stop

    def _read(self, window: Window[T], given: _Given[T], stages: Stages) -> Reading | None:
        onnx_inputs = given.onnx_inputs(window.items)
        if onnx_inputs is None:
            return None
        emissions = stages.run("network", lambda: self.reader.hear(onnx_inputs))
        return stages.run("search", lambda: self.reader.read(emissions, self.options))

    def _result(
        self, found: _Found, info: dict[str, Any], warnings: Sequence[str]
    ) -> ContinuousResult:
        told = list(warnings)
        for message, times in Counter(
            message for reading in found.readings for message in reading.warnings
        ).items():
            told.append(message if times == 1 else f"{message} ({times} windows)")
        if unknown := sum(one.gloss == SPECIAL[UNK] for one in found.glosses):
            told.append(
                f"{unknown} sign{' was' if unknown == 1 else 's were'} read as {SPECIAL[UNK]}: "
                "none of the glosses that the model knows"
            )
        if found.windows > 1 and "ctc" not in self.bundle.config.readers:
            told.append(
                f"read in {found.windows} pieces, as this model has no CTC head to join windows "
                "by: a sign at a cut may be lost or read twice; give one sentence at a time"
            )
        if found.readings and not found.glosses:
            told.append(f"{found.frames} frames were read, but no gloss was found in them")
        hypotheses = (
            found.readings[0].hypotheses if found.windows == len(found.readings) == 1 else ()
        )
        return ContinuousResult(
            glosses=tuple(found.glosses),
            hypotheses=hypotheses,
            info={**info, "frames_read": found.frames, "windows": found.windows, **self.info},
            warnings=tuple(told),
        )


def load_continuous(model: str | Path, *, threads: int | None = None) -> Bundle[ContinuousConfig]:
    """The bundle of continuous signing in a folder.

    Raises ``UsageError`` if there is no such model, ``BundleError`` if it is damaged or for another
    task.
    """
    return Bundle.load(resolve(model), "continuous", threads=threads)


def _timed(gloss: ReadGloss, window: Window[T], given: _Given[T]) -> SignedGloss:
    if gloss.start is None or gloss.end is None:
        return SignedGloss(gloss.text, None, None, gloss.probability)
    # A frame stands for the time half-way from the one before to the one after.
    half = 0.5 / given.rate
    begun = max(given.time(window.items[gloss.start]) - half, given.time(window.items[0]))
    ended = given.time(window.items[gloss.end - 1]) + half
    return SignedGloss(gloss.text, begun, ended, gloss.probability)


def _made_by(tracks: Sequence[str]) -> str:
    return ", ".join(f"{one} by {TOOLS[one]}" if one in TOOLS else one for one in tracks)


def _missing(tracks: Sequence[str]) -> list[str]:
    if not tracks:
        return []
    return [
        f"missing track{'' if len(tracks) == 1 else 's'} that the model was trained with: "
        f"{_made_by(tracks)}"
    ]
