"""The recogniser of continuous signing: tracks or video in, glosses with their times out.

video -> square pictures -> encoder.onnx -> tracks.onnx -> tracks, of a model that reads video
tracks -> sequence.onnx -> log-probabilities of its CTC head, or decoder.onnx -> glosses

What is longer than a window is read in windows that overlap, in constant memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from chereme._version import __version__
from chereme.errors import InputError, UsageError
from chereme.formats.files import File
from chereme.formats.tracks import PAPER_RATE, PoseTracks
from chereme.formats.tracks.files import open_tracks
from chereme.formats.tracks.mediapipe import mediapipe_of_landmarks
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import ContinuousConfig, Reader
from chereme.recognition.gloss_decoding import (
    DecodedGloss,
    DecodedSegment,
    GlossDecoder,
    GlossOptions,
    OnnxInputs,
)
from chereme.recognition.gloss_stream import GlossStream
from chereme.recognition.hand_landmarks import (
    Progress,
    describe_recording,
    frames_in,
    is_landmark_file,
)
from chereme.recognition.prefetch import prefetch
from chereme.recognition.recognizer import BaseRecognizer, with_timings
from chereme.recognition.registry import resolve
from chereme.recognition.report import no_hand_in
from chereme.recognition.sign_frames import (
    BLOCK,
    EncodedFrame,
    FrameEncoder,
    HandFollower,
    clip_frames,
)
from chereme.recognition.sources import Source, find_source, name_of
from chereme.recognition.stages import Stages
from chereme.recognition.windows import Window, seam, windows
from chereme.text.glosses import BOS, SPECIAL, UNK
from chereme.types import (
    Alternative,
    ContinuousResult,
    Event,
    Frame,
    Landmarks,
    Token,
    Transcript,
)
from chereme.video import open_video
from chereme.video.letterbox import letterbox
from chereme.video.reader import Recording

T = TypeVar("T")
SLOW = 0.75  # fraction of the model's rate; a slower video is worth a warning
SLOWEST = 1.0  # frames a second that tracks must have
SENTENCE = 8  # glosses that the decoder gives where it is measured
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
class _Frames(Generic[T]):
    """What is read window by window: ``items``, one a frame, ``rate`` of them a second.

    ``onnx_inputs``: the network's inputs of a window, None where it shows nobody; ``time``: the
    seconds at which an item is shown.
    """

    items: Iterable[T]
    rate: float
    onnx_inputs: Callable[[Sequence[T]], OnnxInputs | None]
    time: Callable[[T], float]


@dataclass(frozen=True, slots=True)
class _Part:
    """The ``glosses`` of a window between its seams; they may change where it is not ``final``."""

    glosses: tuple[Token, ...]
    decoded: DecodedSegment | None  # None: the window shows nobody
    final: bool
    frames: int  # read so far


@dataclass
class _Found:
    """All parts of a recording."""

    glosses: list[Token] = field(default_factory=list)
    decoded: list[DecodedSegment] = field(default_factory=list)
    windows: int = 0
    frames: int = 0


class ContinuousRecognizer(BaseRecognizer):
    """Reads continuous signing.

    Args:
        bundle: the model.
        read_with: "decoder" or "ctc"; None: what the model is best read with.
        beam_width: of the search; None: the model's own.
        greedy: take the likeliest each time, without a search.
        lm: use the model's language model of glosses, where it has one and searches.
        source: options of every recogniser, see :class:`BaseRecognizer`.

    Raises ``UsageError`` for a reader that the model does not have, or a width below 1.
    """

    task: ClassVar[str] = "continuous"
    result: ClassVar[type[Transcript]] = ContinuousResult

    def __init__(
        self,
        bundle: Bundle[ContinuousConfig],
        *,
        read_with: Reader | None = None,
        beam_width: int | None = None,
        greedy: bool = False,
        lm: bool = True,
        **source: Any,
    ) -> None:
        super().__init__(**source)
        self.bundle, config = bundle, bundle.config
        reader = config.read_with if read_with is None else read_with
        if reader not in config.readers:
            raise UsageError(
                f"read_with: expected what the model {config.name!r} has "
                f"({', '.join(config.readers)}), got {reader!r}"
            )
        if beam_width is not None and beam_width < 1:
            raise UsageError(f"beam width: expected at least 1, got {beam_width}")
        generation, ctc_beam = config.generation, config.ctc_beam
        if beam_width is not None:
            generation, ctc_beam = replace(generation, beam_size=beam_width), beam_width
        ngrams = bundle.language_model if lm and not greedy else None
        weights = config.weights if ngrams is not None else config.weights.without_lm()
        self.options = GlossOptions(reader, generation, ctc_beam, greedy, weights, ngrams)
        self.decoder = GlossDecoder(bundle.sequence, bundle.decoder, config)

    @classmethod
    def load(
        cls, model: str | Path, *, threads: int | None = None, **options: Any
    ) -> ContinuousRecognizer:
        """A recogniser with the bundle in a folder; ``threads`` of the networks (None: all cores),
        ``options`` those of the class."""
        return cls(load_continuous(model, threads=threads), **options)

    @property
    def timed(self) -> bool:
        """Whether the glosses have times: of a CTC head."""
        return "ctc" in self.bundle.config.readers

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
            "search": "greedy" if options.greedy else self._search_info,
            "chereme": __version__,
        }

    @property
    def _search_info(self) -> dict[str, Any]:
        options = self.options
        of_reader = (
            {"beam_width": options.ctc_beam}
            if options.reader == "ctc"
            else asdict(options.generation)
        )
        return {**of_reader, "lm": options.lm is not None, "weights": asdict(options.weights)}

    @property
    def reads_video(self) -> bool:
        """Whether the model can be given a video: one of tracks only if it reads hands."""
        return self.is_live(self.bundle.config)

    @classmethod
    def is_live(cls, config: ContinuousConfig) -> bool:
        """Whether ``stream`` reads pictures with a model of this ``config``: as ``reads_video``."""
        return config.input == "rgb" or "mediapipe" in [track.name for track in config.tracks]

    def parts(self, rng: np.random.Generator) -> dict[str, tuple[Callable[[], Any], int]]:
        """The networks and the search, on a window.

        Of video: ``picture`` (the square picture of a 720p frame), ``encoder`` (the ViT) and
        ``tracks`` (what joins the frames). ``sequence``: from tracks to emissions. ``ctc``: the
        search in these. ``decoder``: all of a sentence of 8 glosses, with the beam.
        """
        bundle, config, decoder = self.bundle, self.bundle.config, self.decoder
        frames, _ = config.windows.frames(config.preprocessing.rate or PAPER_RATE)
        parts: dict[str, tuple[Callable[[], Any], int]] = {}
        if (size := config.preprocessing.picture) is not None:
            image = rng.integers(0, 256, (720, 1280, 3), np.uint8)
            parts["picture"] = partial(letterbox, image, size), 1
            block = {"frames": rng.integers(0, 256, (BLOCK, 3, size, size), np.uint8)}
            parts["encoder"] = partial(bundle.encoder.run, None, block), BLOCK
            width = bundle.encoder.run(None, block)[0].shape[1]
            features = rng.normal(size=(1, frames, width)).astype(np.float32)
            window = {"features": features, "lengths": np.array([frames])}
            parts["tracks"] = partial(bundle.tracks.run, None, window), frames
        values = {
            track.name: rng.normal(size=(frames, track.width)).astype(np.float32)
            for track in config.tracks
        }
        present = dict.fromkeys(values, np.ones(frames, bool))
        onnx_inputs = decoder.onnx_inputs(PoseTracks(PAPER_RATE, values, present))
        parts["sequence"] = partial(decoder.emit, onnx_inputs), frames
        emissions = decoder.emit(onnx_inputs)
        if emissions.log_probs is not None:
            search = partial(decoder.search, emissions.log_probs, self.options)
            parts["ctc"] = search, frames
        if "decoder" in config.readers:
            beam = self.options.generation.beam_size

            def sentence() -> None:
                for length in range(1, SENTENCE + 2):
                    ids = np.full((beam if length > 1 else 1, length), UNK)
                    ids[:, 0] = BOS
                    decoder.logits(ids, emissions)

            parts["decoder"] = sentence, frames
        return parts

    # -- a whole recording -------------------------------------------------------------------------
    def recognize(
        self,
        source: Any,
        *,
        start: float | None = None,
        end: float | None = None,
        rate: float | None = None,
        progress: Progress | None = None,
    ) -> ContinuousResult:
        """Read the glosses of a tracks file, ``.pose`` or landmark ``.npz``, video, picture, folder
        of numbered frames, what is in memory of these, frames, tracks, or landmarks: see
        :func:`chereme.recognition.sources.find_source`.

        ``start`` and ``end`` (seconds) limit the reading to the frames from ``start`` up to
        ``end``, which is not included; a ``rate`` takes the place of the recogniser's own. There
        are no glosses, and a warning says why, where nobody is seen. Raises ``InputError`` for what
        cannot be read at all, ``UsageError`` for a source that the model does not read: a model of
        tracks takes of a video no more than the hands, for its track mediapipe, with a warning.
        """
        found = find_source(source, PoseTracks)
        if start is not None and end is not None and end <= start:
            raise InputError(f"{source}: expected an end after the start, got {start} to {end} s")
        stages = Stages()
        with stages("total"):
            if isinstance(found, PoseTracks | Landmarks) or is_landmark_file(found):
                result = self._of_tracks(found, start, end, rate, progress, stages)
            else:
                result = self._of_video(found, start, end, rate, progress, stages)
        return with_timings(result, stages)

    def _of_tracks(
        self,
        source: Source | PoseTracks,
        start: float | None,
        end: float | None,
        rate: float | None,
        progress: Progress | None,
        stages: Stages,
    ) -> ContinuousResult:
        if self.mirrored or self.rotate:
            raise UsageError(
                f"{'mirrored' if self.mirrored else 'rotate'}: expected a video, got tracks, in "
                "which no tool says how each number is mirrored or turned; make them of a video "
                "that is upright and no mirror image"
            )
        with stages("read"):
            name, whole = self._open(source, self.reading(rate)["rate"])
        limits = self.video_options["limits"]
        limits.check_frames(name, whole.frames)
        limits.check_seconds(name, whole.frames / whole.rate)
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

        def onnx_inputs(window: Sequence[int]) -> OnnxInputs | None:
            part = clip_frames(clip, window[0], window[-1] + 1)
            seen = any(present.any() for present in part.present.values())
            return self.decoder.onnx_inputs(part) if seen else None

        frames = _Frames(
            range(clip.frames), clip.rate, onnx_inputs, lambda n: clip.start + n / clip.rate
        )
        found = self._gather(frames, stages, progress, clip.frames)
        info = {
            "source": name_of(source) if isinstance(source, File) else None,
            "kind": "tracks",
            "tracks": list(clip.values),
            "frames": whole.frames,
            "start": whole.start,
            "duration": round(duration, 4),
            "fps": own_rate,
        }
        if not found.decoded:
            warnings += [
                f"nobody is seen in {found.frames} frames: the tracks {', '.join(clip.values)} are "
                "present in none"
            ]
        return self._result(found, info, warnings)

    def _open(self, source: Source | PoseTracks, rate: float | None) -> tuple[str, PoseTracks]:
        if isinstance(source, PoseTracks):
            return "tracks in memory", source
        if isinstance(source, Landmarks):
            return "landmarks in memory", mediapipe_of_landmarks(source)
        assert isinstance(source, File)  # of landmarks or tracks
        return str(source), open_tracks(source, rate)

    def _usable(self, clip: PoseTracks, name: str) -> tuple[PoseTracks, list[str]]:
        """Those tracks that the model reads, and a warning of those that are missing."""
        wanted = [track.name for track in self.bundle.config.tracks]
        present = [track for track in wanted if track in clip.values]
        if not present:
            raise InputError(
                f"{name}: expected any of the tracks that the model {self.name!r} reads "
                f"({_made_by(wanted)}), got {', '.join(clip.values)}"
            )
        return clip.only(present), _missing([track for track in wanted if track not in present])

    def _of_video(
        self,
        source: Recording,
        start: float | None,
        end: float | None,
        rate: float | None,
        progress: Progress | None,
        stages: Stages,
    ) -> ContinuousResult:
        warnings = self._check_video(str(source))
        span = (-math.inf if start is None else start, math.inf if end is None else end)
        with ExitStack() as stack:
            reader = stack.enter_context(open_video(source, **self.reading(rate)))
            # The reading thread ends first, then the detector, then the reader that the thread
            # uses.
            encoder = self._frame_encoder(stack, stages)
            pictures = stack.enter_context(
                closing(prefetch(stages.iterate("read", frames_in(reader, str(source), span))))
            )
            frames = self._encoded(encoder, pictures)
            found = self._gather(frames, stages, progress, reader.expected_frames)
            info, damage = describe_recording(source, reader)
        wanted = self.bundle.config.preprocessing.rate
        if wanted is not None and info["fps"] is not None and info["fps"] < SLOW * wanted:
            warnings.append(
                f"only {info['fps']:.1f} frames a second, but the model reads {wanted:g}: quick "
                "signs may be lost"
            )
        warnings += damage
        if not found.decoded:
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
        others = [name for name in names if name != "mediapipe"]
        message = (
            "of the track mediapipe there are only the hands, found by chereme's own detector, not "
            "the body; for all of it give what MediaPipe Holistic makes of the video"
        )
        return [message, *_missing(others)]

    def _frame_encoder(self, stack: ExitStack, stages: Stages) -> FrameEncoder | HandFollower:
        """What reads the frames of a video; its detector is closed with ``stack``."""
        config, detector = self.bundle.config, None
        if config.input != "rgb" or config.preprocessing.needs_hands:
            detector = stack.enter_context(closing(self.make_detector(False)))
        if config.input == "rgb":
            return FrameEncoder(self.bundle, detector, self.mirrored, stages)
        assert detector is not None
        return HandFollower(self.decoder, detector, self.mirrored, stages)

    def _encoded(
        self, encoder: FrameEncoder | HandFollower, pictures: Iterable[Frame]
    ) -> _Frames[EncodedFrame]:
        rate = self.bundle.config.preprocessing.rate or PAPER_RATE
        encoded = encoder.encode(pictures, rate)
        return _Frames(encoded, rate, encoder.onnx_inputs, lambda frame: frame.time)

    # -- a stream ----------------------------------------------------------------------------------
    def stream(self, *, every: float = EVERY) -> GlossStream:
        """What reads frames as they come, with a partial event after ``every`` seconds.

        ``UsageError`` for a model that reads no video.
        """
        if not every > 0:
            raise UsageError(f"every: expected more than 0 seconds, got {every}")
        self._check_video("the stream")
        return GlossStream(partial(self._events, every=every))

    def _events(self, frames: Iterator[Frame], *, every: float) -> Iterator[Event]:
        stages = Stages()
        with ExitStack() as stack:
            encoded = self._encoded(self._frame_encoder(stack, stages), frames)
            for part in self._parts(encoded, stages, every):
                text = " ".join(gloss.text for gloss in part.glosses)
                yield Event("final" if part.final else "partial", text, part.glosses)

    # -- windows -----------------------------------------------------------------------------------
    def _gather(
        self,
        frames: _Frames[Any],
        stages: Stages,
        progress: Progress | None,
        expected: int | None,
    ) -> _Found:
        found = _Found()
        for part in self._parts(frames, stages, None):
            found.windows += 1
            found.frames = part.frames
            found.glosses += part.glosses
            if part.decoded is not None:
                found.decoded.append(part.decoded)
            if progress is not None:
                progress(part.frames, expected)
        return found

    def _parts(self, frames: _Frames[T], stages: Stages, every: float | None) -> Iterator[_Part]:
        """Of each window the glosses whose middle lies between the seams with its neighbours."""
        size, overlap = self.bundle.config.windows.frames(frames.rate)
        if "ctc" not in self.bundle.config.readers:
            overlap = 0  # nothing tells which glosses of two windows are the same
        often = None if every is None else max(1, round(every * frames.rate))
        begin = 0.0
        for window in windows(frames.items, size, overlap, often):
            decoded = self._decode(frames.onnx_inputs(window.items), stages)
            glosses = () if decoded is None else decoded.glosses
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
            tokens = tuple(_timed(gloss, window, frames) for gloss in own)
            yield _Part(tokens, decoded, window.whole, window.start + len(window.items))
            if window.whole:
                begin = stop

    def _decode(self, onnx_inputs: OnnxInputs | None, stages: Stages) -> DecodedSegment | None:
        if onnx_inputs is None:
            return None
        with stages("network"):
            emissions = self.decoder.emit(onnx_inputs)
        with stages("search"):
            return self.decoder.decode(emissions, self.options)

    def _result(
        self, found: _Found, info: dict[str, Any], warnings: Sequence[str]
    ) -> ContinuousResult:
        reported = list(warnings)
        for message, times in Counter(
            message for decoded in found.decoded for message in decoded.warnings
        ).items():
            reported.append(message if times == 1 else f"{message} ({times} windows)")
        if unknown := sum(token.text == SPECIAL[UNK] for token in found.glosses):
            reported.append(
                f"{unknown} sign{' was' if unknown == 1 else 's were'} read as {SPECIAL[UNK]}: "
                "none of the glosses that the model knows"
            )
        if found.windows > 1 and "ctc" not in self.bundle.config.readers:
            reported.append(
                f"read in {found.windows} segments, as this model has no CTC head to join windows "
                "by: a sign at a cut may be lost or read twice; give one sentence at a time"
            )
        if found.decoded and not found.glosses:
            reported.append(f"{found.frames} frames were read, but no gloss was found in them")
        hypotheses = found.decoded[0].hypotheses if found.windows == len(found.decoded) == 1 else ()
        return ContinuousResult(
            text=" ".join(token.text for token in found.glosses),
            tokens=tuple(found.glosses),
            info={**info, "frames_read": found.frames, "windows": found.windows, **self.info},
            warnings=tuple(reported),
            alternatives=tuple(Alternative(" ".join(glosses), None) for glosses in hypotheses),
        )


def load_continuous(model: str | Path, *, threads: int | None = None) -> Bundle[ContinuousConfig]:
    """The bundle of continuous signing in a folder.

    Raises ``UsageError`` if there is no such model, ``BundleError`` if it is damaged or for another
    task.
    """
    return Bundle.load(resolve(model), "continuous", threads=threads)


def _timed(gloss: DecodedGloss, window: Window[T], frames: _Frames[T]) -> Token:
    if gloss.start is None or gloss.end is None:
        return Token(gloss.text, math.nan, math.nan, gloss.probability)
    # A frame stands for the time half-way from the one before to the one after.
    half = 0.5 / frames.rate
    begun = max(frames.time(window.items[gloss.start]) - half, frames.time(window.items[0]))
    ended = frames.time(window.items[gloss.end - 1]) + half
    return Token(gloss.text, begun, ended, gloss.probability)


def _made_by(tracks: Sequence[str]) -> str:
    return ", ".join(f"{name} by {TOOLS[name]}" if name in TOOLS else name for name in tracks)


def _missing(tracks: Sequence[str]) -> list[str]:
    if not tracks:
        return []
    return [
        f"missing track{'' if len(tracks) == 1 else 's'} that the model was trained with: "
        f"{_made_by(tracks)}"
    ]
