"""The recogniser: a source in, a finished transcript out.

source -> hands -> turns of the signing hand, shown as a right hand -> stretches between long gaps
       -> features of landmarks, or crops of the hand (``chereme.recognition.crops``), or both
       -> encoder.onnx -> sequence.onnx -> beam search -> letters with times
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chereme._version import __version__
from chereme.errors import CheremeError, OutputError, UsageError
from chereme.hands.signing import bridge_gaps, signing_hand, to_right_hand
from chereme.hands.tracking import SURE_FRACTION
from chereme.hands.turns import Turn, signing_columns, signing_turns, turn_tracks
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LetterConfig
from chereme.recognition.crops import pictures_of, read_crop_features
from chereme.recognition.ctc_letters import (
    Emissions,
    Search,
    Segment,
    read_segment,
    read_segment_together,
    read_still_together,
)
from chereme.recognition.decoding_options import SearchOptions, decoding_info, searches_of
from chereme.recognition.hand_landmarks import HandLandmarks, MakeDetector, Progress, detect_hands
from chereme.recognition.letter_times import letter_times
from chereme.recognition.networks import Encode, landmark_encoder, log_probs_of
from chereme.recognition.orientation import (
    advice,
    is_turned,
    likely_turn,
    may_be_turned,
    turn_hands,
)
from chereme.recognition.overlay import check_overlay, write_overlay
from chereme.recognition.plausibility import judge
from chereme.recognition.profiling import Stages
from chereme.recognition.report import (
    Hand,
    hands_seen,
    palm_fraction,
    warnings_about,
    why_no_hand,
)
from chereme.recognition.segments import cut_as, hold, split
from chereme.recognition.streams import Readers, Stream, Streams, load_streams
from chereme.text.alphabet import Alphabet
from chereme.types import Handedness, HandTrack, Landmarks, Transcript
from chereme.video import Limits
from chereme.video.reader import check_rate, check_rotate

Pieces = tuple[HandTrack, ...]
"""One stretch as each of the bundles that read together is to see it."""
MakeEncoder = Callable[[Bundle[LetterConfig], Sequence[HandTrack], Sequence[HandTrack]], Encode]
"""Called with the tracks of all turns as they were seen and the pieces that will be read, shown as
right hands."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A turn read as one hand or the other."""

    handedness: Handedness
    segments: tuple[Segment, ...]
    unsure: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """More is likelier. Letters come before silence, of which the wrong hand may be sure."""
        return any(s.tokens for s in self.segments), sum(s.score for s in self.segments)


class Recognizer:
    """Reads fingerspelling with one model. May be used for any number of inputs, one at a time.

    Args:
        model: a bundle, or the bundles of several streams (``chereme.recognition.streams``).
        hand: the signing hand; ``auto`` takes the one that moves most.
        beam_width, alpha, beta: of the beam search; None takes the values tuned with the model.
        greedy: read the best symbol of each frame, with no search and no language model.
        lm: use the model's language model, if it has one.
        mirrored: the recording is a mirror image, as many front cameras make.
        strict: fail at the first damage of a video instead of reading the rest.
        rate: frames a second of folders of frames (default 30), and of landmark files in the place
            of what they say.
        limits: the largest video to accept.
        rotate: degrees clockwise (0, 90, 180, 270) by which to turn the pictures, beyond what the
            file says.
        video_stream: the number, from 0, of the stream to read of a video that has several; None
            takes the largest picture.
        make_detector: another hand detector than MediaPipe's: called once per video, with True if
            that is a single picture; what it makes is closed after.
    """

    def __init__(
        self,
        model: Bundle[LetterConfig] | Streams,
        *,
        hand: Hand = "auto",
        beam_width: int | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        greedy: bool = False,
        lm: bool = True,
        mirrored: bool = False,
        strict: bool = False,
        rate: float | None = None,
        limits: Limits | None = None,
        rotate: int | None = None,
        video_stream: int | None = None,
        make_detector: MakeDetector | None = None,
    ) -> None:
        self.streams = Streams((model,)) if isinstance(model, Bundle) else model
        self.hand = _check_hand(hand)
        self._search_options = SearchOptions(beam_width, alpha, beta, greedy, lm)
        check_rotate(rotate)
        check_rate(rate)
        self._observe_options: dict[str, Any] = {
            "mirrored": mirrored,
            "strict": strict,
            "rate": rate,
            "limits": limits,
            "rotate": rotate,
            "video_stream": video_stream,
            "make_detector": make_detector,
        }

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        stream: Stream = "auto",
        threads: int | None = None,
        **options: Any,
    ) -> Recognizer:
        """A recogniser with a model's name or folder, see ``streams.load_streams``; ``threads`` of
        the networks (None: all cores), ``options`` those of the class."""
        return cls(load_streams(model, stream, threads=threads), **options)

    def recognize(
        self,
        source: str | Path | Landmarks,
        *,
        start: float | None = None,
        end: float | None = None,
        hand: Hand | None = None,
        progress: Progress | None = None,
        overlay: str | Path | None = None,
    ) -> Transcript:
        """Read a video, image, folder of numbered frames, landmark file, or landmarks.

        A model that reads crops of the hand (the streams "rgb" and "fused") needs the pictures, and
        reads the source a second time. Landmarks are a ``UsageError`` for "rgb"; for "fused" they
        are read by the model of landmarks, with a warning.

        ``start`` and ``end`` (seconds) limit the reading to the frames from ``start`` up to
        ``end``, which is not included; ``hand`` takes the place of the recogniser's own for this
        input. The text is empty, and a warning says why, if there is no hand or nothing legible.
        Raises ``InputError`` for what cannot be read at all.

        ``overlay``: a film to write (.mp4, .mov, .mkv) of what was seen, see
        :func:`chereme.recognition.overlay.write_overlay`; if it cannot be written, an
        ``OutputError`` holds the transcript as its ``result``. ``progress`` counts each frame each
        time that it is read: to find hands, to cut crops, to draw.
        """
        began = time.perf_counter()
        chosen = _check_hand(hand or self.hand)
        readers = self.streams.of(source)
        # At most one of them reads pictures.
        pictures = [
            pictures_of(source, bundle.config)
            for bundle in readers.bundles
            if bundle.config.input == "rgb"
        ]
        if overlay is not None:
            check_overlay(overlay, source)
        passes = 1 + len(pictures) + (overlay is not None)
        watching, *further = [_pass(progress, number, passes) for number in range(passes)]
        detected = detect_hands(
            source, start=start, end=end, progress=watching, **self._observe_options
        )
        stages = Stages(detected.timings)
        mirrored = self._observe_options["mirrored"]
        crop_progress = further[0] if pictures else None
        # Who signs when does not depend on which way is up.
        max_gap = readers.bundles[0].config.segmentation.max_gap
        turns = stages.run(
            "hands", lambda: signing_turns(detected.landmarks, chosen, max_gap=max_gap)
        )

        def read(seen: HandLandmarks) -> Transcript:
            again = {"mirrored": mirrored, **seen.reading}
            encoder = partial(self._encoder, pictures, again, stages, crop_progress)
            return self._read(seen, turns, chosen, readers, encoder, stages)

        transcript = read(detected)
        if self._observe_options["rotate"] is None:
            detected, transcript = self._upright(detected, transcript, chosen, read)
        again = {"mirrored": mirrored, **detected.reading}
        failure: CheremeError | OSError | None = None
        if overlay is not None:
            film = Path(overlay)
            try:
                stages.run(
                    "overlay",
                    lambda: write_overlay(
                        film,
                        source,
                        detected.landmarks,
                        transcript,
                        signing=signing_columns(turns, len(detected.landmarks.timestamps)),
                        progress=further[-1],
                        **again,
                    ),
                )
            except (CheremeError, OSError) as error:
                failure = error
        stages.seconds["total"] = time.perf_counter() - began
        timings = {stage: round(seconds, 4) for stage, seconds in stages.seconds.items()}
        transcript = replace(transcript, info={**transcript.info, "timings": timings})
        if failure is not None:
            raise OutputError(f"no film: {failure}", transcript) from failure
        return transcript

    def _upright(
        self,
        detected: HandLandmarks,
        transcript: Transcript,
        hand: Hand,
        read: Callable[[HandLandmarks], Transcript],
    ) -> tuple[HandLandmarks, Transcript]:
        """What was seen and read, or the same turned where the recording lies on its side.

        A still tells nothing: a P is a K that points down. Landmarks come from elsewhere and are
        not turned; of them, and in doubt, a warning tells.
        """
        degrees = likely_turn(signing_hand(detected.landmarks, hand))
        if not degrees or detected.is_still:
            return detected, transcript
        mirrored = self._observe_options["mirrored"]
        other = turn_hands(detected, degrees, mirrored=mirrored)
        again = read(other)
        if detected.reading and is_turned(transcript.tokens, again.tokens):
            return other, again
        if may_be_turned(transcript.tokens, again.tokens):
            told = advice(360 - degrees if mirrored else degrees)
            return detected, replace(transcript, warnings=(*transcript.warnings, told))
        return detected, transcript

    def _read(
        self,
        detected: HandLandmarks,
        turns: Sequence[Turn],
        hand: Hand,
        readers: Readers,
        encoder: MakeEncoder,
        stages: Stages,
    ) -> Transcript:
        landmarks = detected.landmarks
        info: dict[str, Any] = {
            **detected.info,
            "hands": hands_seen(landmarks),
            "hand_coverage": 0.0,
            "signing_hand": None,
            "decoding": decoding_info(readers, self._search_options),
            **readers.info,
            "chereme": __version__,
        }
        warnings = list(detected.warnings)
        if readers.warning is not None:
            warnings.append(readers.warning)
        if not turns:
            warnings.append(why_no_hand(landmarks, hand))
            return Transcript(text="", info=info, warnings=tuple(warnings))
        tracks = turn_tracks(landmarks, turns)
        if hand != "auto":
            tracks = [replace(track, handedness=hand) for track in tracks]
        coverage = sum(int(track.present.sum()) for track in tracks) / len(landmarks.timestamps)
        sides = [_sides(track, chosen=hand != "auto") for track in tracks]
        readings = self._read_turns(tracks, sides, detected.is_still, readers, encoder, stages)
        emissions = [segment for reading in readings for segment in reading.segments]
        times = landmarks.timestamps
        least = float(
            np.average(
                [bundle.config.decoding.min_mean_probability for bundle in readers.bundles],
                weights=readers.weights,
            )
        )
        judged = [
            judge(reading.segments, track, landmarks, least=least, rival=turn.rival_fraction(times))
            for reading, track, turn in zip(readings, tracks, turns, strict=True)
        ]
        readings = [
            replace(reading, segments=kept)
            for reading, (kept, _) in zip(readings, judged, strict=True)
        ]
        segments = [segment for reading in readings for segment in reading.segments]
        spoken = [segment for segment in segments if segment.text]
        longest = max(range(len(turns)), key=lambda number: int(tracks[number].present.sum()))
        info |= {
            "hand_coverage": round(coverage, 4),
            "signing_hand": readings[longest].handedness,
            "handedness_score": round(tracks[longest].handedness_score, 4),
            "handedness_by": "likelihood" if any(r.unsure for r in readings) else "vote",
            "segments": [
                {
                    "text": segment.text,
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "hand": reading.handedness,
                }
                for reading in readings
                for segment in reading.segments
            ],
        }
        rival = sum(turn.rival for turn in turns)
        warnings += warnings_about(coverage, emissions, rival=rival, palm=palm_fraction(tracks))
        warnings += sorted({doubt for _, doubts in judged for doubt in doubts})
        return Transcript(
            text=" ".join(segment.text for segment in spoken),
            tokens=tuple(token for segment in spoken for token in segment.tokens),
            info=info,
            warnings=tuple(warnings),
        )

    def _read_turns(
        self,
        tracks: Sequence[HandTrack],
        sides: Sequence[Sequence[Handedness]],
        is_still: bool,
        readers: Readers,
        encoder: MakeEncoder,
        stages: Stages,
    ) -> list[_Reading]:
        """The best reading of each of ``tracks``, as seen, as a hand of one of its ``sides``."""
        stretches = [
            {side: _stretches(side, track, is_still, readers) for side in some}
            for track, some in zip(tracks, sides, strict=True)
        ]
        every = [pieces for turn in stretches for one in turn.values() for pieces in one]
        encodes = [
            encoder(bundle, tracks, [pieces[number] for pieces in every])
            for number, bundle in enumerate(readers.bundles)
            if every
        ]
        searches = searches_of(readers, self._search_options)

        def read(pieces: Pieces) -> Segment:
            emissions = stages.run("network", lambda: _hear(pieces, readers, encodes, searches))
            return stages.run(
                "search", lambda: self._decode(emissions, pieces[0], is_still, readers)
            )

        return [
            max(
                (
                    _Reading(side, tuple(read(pieces) for pieces in one), unsure=len(turn) > 1)
                    for side, one in turn.items()
                ),
                key=lambda reading: reading.rank,
            )
            for turn in stretches
        ]

    def _decode(
        self, emissions: Sequence[Emissions], piece: HandTrack, is_still: bool, readers: Readers
    ) -> Segment:
        if is_still:
            stills = [bundle.config.still for bundle in readers.bundles]
            return read_still_together(
                [
                    (h.log_probs, still, h.weight)
                    for h, still in zip(emissions, stills, strict=True)
                ],
                self.alphabet,
                float(emissions[0].times[0]),
            )
        if len(emissions) == 1:
            segment = read_segment(emissions[0], self.alphabet)
        else:
            segment = read_segment_together(emissions, self.alphabet)
        return replace(segment, tokens=letter_times(segment.tokens, piece, segment.end))

    def _encoder(
        self,
        pictures: Sequence[Path],
        again: Mapping[str, Any],
        stages: Stages,
        progress: Progress | None,
        bundle: Bundle[LetterConfig],
        tracks: Sequence[HandTrack],
        pieces: Sequence[HandTrack],
    ) -> Encode:
        if bundle.config.input == "landmarks":
            return landmark_encoder(bundle)
        found = read_crop_features(
            bundle, pictures[0], tracks, pieces, stages, progress=progress, **again
        )
        return found.of

    @property
    def alphabet(self) -> Alphabet:
        """The symbols that are read."""
        return self.streams.alphabet

    @property
    def decoding_info(self) -> dict[str, Any]:
        """The settings of the search in a recording, as they are reported."""
        return decoding_info(self.streams.for_recordings, self._search_options)


def _stretches(
    side: Handedness, track: HandTrack, is_still: bool, readers: Readers
) -> list[Pieces]:
    """The stretches to read, as of a right hand, each with the gaps that its bundle bridges.

    Choice: where two bundles read together, the first one's settings say where to cut.
    """
    right = to_right_hand(replace(track, handedness=side))
    configs = [bundle.config for bundle in readers.bundles]
    if is_still:
        return [tuple(hold(right, c.still.duration, c.preprocessing.rate) for c in configs)]
    bridged = [bridge_gaps(right, config.segmentation.bridge) for config in configs]
    first = split(bridged[0], configs[0].segmentation)
    return list(zip(first, *(cut_as(other, first) for other in bridged[1:]), strict=True))


def _hear(
    pieces: Pieces, readers: Readers, encodes: Sequence[Encode], searches: Sequence[Search]
) -> list[Emissions]:
    emissions = []
    for bundle, weight, piece, encode, search in zip(
        readers.bundles, readers.weights, pieces, encodes, searches, strict=True
    ):
        features, times = encode(piece)
        log_probs = log_probs_of(bundle, features)
        emissions.append(Emissions(log_probs, times, bundle.config.temporal_stride, search, weight))
    return emissions


def _pass(progress: Progress | None, number: int, passes: int) -> Progress | None:
    """The progress of one of the passes over the frames, from 0, as a part of all of them."""
    if progress is None:
        return None

    def tell(done: int, expected: int | None) -> None:
        if expected is not None:
            progress(number * expected + done, passes * expected)
        elif number == 0:
            progress(done, None)

    return tell


def _check_hand(hand: Hand) -> Hand:
    if hand not in ("auto", "left", "right"):
        raise UsageError(f"hand: expected auto, left or right, got {hand!r}")
    return hand


def _sides(track: HandTrack, chosen: bool) -> Sequence[Handedness]:
    """The hands that ``track`` may be: the vote's, or both if it is unsure and none was chosen."""
    unsure = track.handedness == "unknown" or track.handedness_score < SURE_FRACTION
    return ("right", "left") if unsure and not chosen else (track.handedness,)
