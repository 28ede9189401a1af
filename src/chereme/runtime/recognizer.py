"""The recogniser: a source in, a finished transcript out.

source -> hands -> signing hand, shown as a right hand -> stretches between long gaps
       -> features of landmarks, or crops of the hand (``chereme.runtime.crops``)
       -> encoder.onnx -> sequence.onnx -> beam search -> letters with times
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import chereme
from chereme.errors import BundleError, UsageError
from chereme.hands.normalise import landmark_features
from chereme.hands.signing import (
    bridge_gaps,
    hand_tracks,
    motion,
    signing_column,
    signing_hand,
    to_right_hand,
)
from chereme.runtime.bundle import Bundle
from chereme.runtime.crops import pictures_of, read_crop_features
from chereme.runtime.observe import MakeDetector, Observation, Progress, observe
from chereme.runtime.overlay import check_overlay, write_overlay
from chereme.runtime.reading import Search, Segment, read_segment, read_still
from chereme.runtime.segments import hold, split
from chereme.runtime.timing import Stages
from chereme.types import Handedness, HandTrack, Landmarks, Transcript
from chereme.video import Limits

Hand = Literal["auto", "left", "right"]
Floats = NDArray[np.floating[Any]]
Encode = Callable[[HandTrack], tuple[Floats, Floats]]
"""The encoder's features ``(T, D)`` of a piece of a track, and their times in seconds ``(T,)``."""
MakeEncoder = Callable[[HandTrack, Sequence[HandTrack]], Encode]
"""Called with the track as it was seen and the pieces that will be read, shown as right hands."""

SURE_HANDEDNESS = 0.8  # share of the vote; below it the hand is read as both
LOW_COVERAGE = 0.5
# The options that say how the frames of a source are read, which crops and overlays do once more.
READING = ("mirrored", "strict", "rate", "limits")
CHUNK = 512  # frames of landmarks given to the encoder at once: bounds its memory


@dataclass(frozen=True, slots=True)
class _Reading:
    """A track read as one hand or the other."""

    handedness: Handedness
    segments: tuple[Segment, ...]

    @property
    def rank(self) -> tuple[bool, float]:
        """More is likelier. Letters come before silence, of which the wrong hand may be sure."""
        return any(s.tokens for s in self.segments), sum(s.score for s in self.segments)


class Recognizer:
    """Reads fingerspelling with one model. May be used for any number of inputs, one at a time.

    Args:
        bundle: the model.
        hand: the signing hand; ``auto`` takes the one that moves most.
        beam_width, alpha, beta: of the beam search; None takes the values tuned with the model.
        greedy: read the best symbol of each frame, with no search and no language model.
        lm: use the model's language model, if it has one.
        mirrored: the recording is a mirror image, as many front cameras make.
        strict: fail at the first damage of a video instead of reading the rest.
        rate: frames a second of what states none: folders of frames (default 30), some .pose files.
        limits: the largest video to accept.
        make_detector: another hand detector than MediaPipe's: called once per video, with True if
            that is a single picture; what it makes is closed after.
    """

    def __init__(
        self,
        bundle: Bundle,
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
        make_detector: MakeDetector | None = None,
    ) -> None:
        config = bundle.config
        if beam_width is not None and beam_width < 1:
            raise UsageError(f"beam width: expected 1 or more, got {beam_width}")
        if config.task != "fingerspelling":
            raise BundleError(
                f"{config.name}: this version reads fingerspelling, and the model is for "
                f"{config.task}; use a newer chereme"
            )
        language_model = bundle.language_model if lm and not greedy else None
        self.bundle = bundle
        self.hand = _check_hand(hand)
        self.search = Search(
            greedy=greedy,
            beam_width=config.decoding.beam_width if beam_width is None else beam_width,
            # Without a language model its weight, and the length bonus tuned with it, mean nothing.
            alpha=_first(alpha, config.decoding.alpha) if language_model else 0.0,
            beta=_first(beta, config.decoding.beta if language_model else 0.0),
            min_probability=config.decoding.min_probability,
            language_model=language_model,
        )
        self._observe_options: dict[str, Any] = {
            "mirrored": mirrored,
            "strict": strict,
            "rate": rate,
            "limits": limits,
            "make_detector": make_detector,
        }

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

        A model that reads crops of the hand (``bundle.config.input`` is "rgb") needs the pictures:
        ``UsageError`` for landmarks. It reads the source a second time.

        ``start`` and ``end`` (seconds) limit the reading to a part; ``hand`` takes the place of the
        recogniser's own for this input. The text is empty, and a warning says why, if there is no
        hand or nothing legible. Raises ``InputError`` for what cannot be read at all.

        ``overlay``: a film to write (.mp4, .mov, .mkv) of what was seen, see
        :func:`chereme.runtime.overlay.write_overlay`. ``progress`` counts each frame each time
        that it is read: to find hands, to cut crops, to draw.
        """
        began = time.perf_counter()
        chosen = _check_hand(hand or self.hand)
        rgb = self.bundle.config.input == "rgb"
        pictures = pictures_of(source, self.bundle.config) if rgb else None
        if overlay is not None:
            check_overlay(overlay, source)
        passes = 1 + rgb + (overlay is not None)
        watching, *further = [_pass(progress, number, passes) for number in range(passes)]
        observation = observe(
            source, start=start, end=end, progress=watching, **self._observe_options
        )
        stages = Stages(observation.timings)
        encoder: MakeEncoder = self._landmark_encoder
        if pictures is not None:
            encoder = partial(self._crop_encoder, pictures, stages, further[0])
        transcript = self._read(observation, chosen, encoder, stages)
        if overlay is not None:
            film = Path(overlay)
            stages.run(
                "overlay",
                lambda: write_overlay(
                    film,
                    source,
                    observation.landmarks,
                    transcript,
                    signing=signing_column(observation.landmarks, chosen),
                    progress=further[-1],
                    **{key: self._observe_options[key] for key in READING},
                ),
            )
        stages.seconds["total"] = time.perf_counter() - began
        timings = {stage: round(seconds, 4) for stage, seconds in stages.seconds.items()}
        return replace(transcript, info={**transcript.info, "timings": timings})

    def _read(
        self, observation: Observation, hand: Hand, encoder: MakeEncoder, stages: Stages
    ) -> Transcript:
        landmarks = observation.landmarks
        track = stages.run("hands", lambda: signing_hand(landmarks, hand))
        info: dict[str, Any] = {
            **observation.info,
            "hands": _hands(landmarks),
            "hand_coverage": 0.0,
            "signing_hand": None,
            "decoding": self.decoding_info,
            "model": {"name": self.bundle.config.name, "sha256": self.bundle.sha256},
            "chereme": chereme.__version__,
        }
        warnings = list(observation.warnings)
        if track is None or not track.present.any():
            warnings.append(_why_no_hand(landmarks, hand))
            return Transcript(text="", info=info, warnings=tuple(warnings))
        coverage = float(track.present.mean())
        sides = _sides(track, chosen=hand != "auto")
        readings = self._read_as(sides, track, observation.is_still, encoder, stages)
        best = max(readings, key=lambda reading: reading.rank)
        spoken = [segment for segment in best.segments if segment.text]
        info |= {
            "hand_coverage": round(coverage, 4),
            "signing_hand": best.handedness,
            "handedness_score": round(track.handedness_score, 4),
            "handedness_by": "vote" if len(readings) == 1 else "likelihood",
            "segments": [
                {"text": s.text, "start": round(s.start, 3), "end": round(s.end, 3)}
                for s in best.segments
            ],
        }
        warnings += _judge(coverage, best.segments, spoken)
        return Transcript(
            text=" ".join(segment.text for segment in spoken),
            tokens=tuple(token for segment in spoken for token in segment.tokens),
            info=info,
            warnings=tuple(warnings),
        )

    def _read_as(
        self,
        sides: Sequence[Handedness],
        track: HandTrack,
        is_still: bool,
        encoder: MakeEncoder,
        stages: Stages,
    ) -> list[_Reading]:
        """``track``, as seen, read as a hand of each of ``sides``."""
        pieces = {side: self._pieces(side, track, is_still) for side in sides}
        every = [piece for side in sides for piece in pieces[side]]
        if not every:
            return [_Reading(side, ()) for side in sides]
        encode = encoder(track, every)
        return [
            _Reading(
                side, tuple(self._read_piece(p, is_still, encode, stages) for p in pieces[side])
            )
            for side in sides
        ]

    def _pieces(self, side: Handedness, track: HandTrack, is_still: bool) -> list[HandTrack]:
        """The stretches to read, as of a right hand."""
        config = self.bundle.config
        right = to_right_hand(replace(track, handedness=side))
        if is_still:
            return [hold(right, config.still.duration, config.preprocessing.rate)]
        return split(bridge_gaps(right, config.segmentation.bridge), config.segmentation)

    def _read_piece(
        self, piece: HandTrack, is_still: bool, encode: Encode, stages: Stages
    ) -> Segment:
        config, alphabet = self.bundle.config, self.bundle.alphabet
        log_probs, times = stages.run("network", lambda: self._log_probs(*encode(piece)))
        if is_still:
            return stages.run("search", lambda: read_still(log_probs, alphabet, config.still))
        return stages.run(
            "search",
            lambda: read_segment(log_probs, times, alphabet, config.temporal_stride, self.search),
        )

    def _landmark_encoder(self, track: HandTrack, pieces: Sequence[HandTrack]) -> Encode:
        def encode(piece: HandTrack) -> tuple[Floats, Floats]:
            features, times = landmark_features(piece, self.bundle.config.preprocessing.rate)
            encoded = [
                self.bundle.encoder.run(["features"], {"frames": features[i : i + CHUNK]})[0]
                for i in range(0, len(features), CHUNK)
            ]
            return np.concatenate(encoded), times

        return encode

    def _crop_encoder(
        self,
        source: Path,
        stages: Stages,
        progress: Progress | None,
        track: HandTrack,
        pieces: Sequence[HandTrack],
    ) -> Encode:
        options = {key: self._observe_options[key] for key in READING}
        found = read_crop_features(
            self.bundle, source, track, pieces, stages, progress=progress, **options
        )
        return found.of

    def _log_probs(self, features: Floats, times: Floats) -> tuple[Floats, Floats]:
        """The ``log_probs (T', V)`` of ``features (T, D)``, and the times of these."""
        log_probs = self.bundle.sequence.run(["log_probs"], {"features": features[None]})[0][0]
        expected = -(-len(features) // self.bundle.config.temporal_stride)
        if len(log_probs) != expected:
            raise BundleError(
                f"{self.bundle.config.name}: expected {expected} outputs for {len(features)} "
                f"frames at stride {self.bundle.config.temporal_stride}, got {len(log_probs)}; "
                "export the bundle again"
            )
        return log_probs, times

    @property
    def decoding_info(self) -> dict[str, Any]:
        """The settings of the search, as they are reported."""
        search = self.search
        if search.greedy:
            return {"method": "greedy"}
        return {
            "method": "beam",
            "beam_width": search.beam_width,
            "alpha": search.alpha,
            "beta": search.beta,
            "lm": search.language_model is not None,
        }


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


def _first(value: float | None, default: float) -> float:
    return default if value is None else value


def _check_hand(hand: Hand) -> Hand:
    if hand not in ("auto", "left", "right"):
        raise UsageError(f"hand: expected auto, left or right, got {hand!r}")
    return hand


def _sides(track: HandTrack, chosen: bool) -> Sequence[Handedness]:
    """The hands that ``track`` may be: the vote's, or both if it is unsure and none was chosen."""
    unsure = track.handedness == "unknown" or track.handedness_score < SURE_HANDEDNESS
    return ("right", "left") if unsure and not chosen else (track.handedness,)


def _why_no_hand(landmarks: Landmarks, hand: Hand) -> str:
    if hand != "auto" and (landmarks.confidence > 0).any():
        return f"no {hand} hand found, but another: leave out --hand to read that one"
    frames = len(landmarks.timestamps)
    return (
        f"no hand found in {frames} frame{'' if frames == 1 else 's'}: "
        "the hand must be in the picture, in focus and well lit"
    )


def _hands(landmarks: Landmarks) -> list[dict[str, Any]]:
    """What is reported of every hand in the recording; lengths in palm lengths."""
    return [
        {
            key: value if isinstance(value, str) else round(value, 4)
            for key, value in asdict(motion(track)).items()
        }
        for track in hand_tracks(landmarks)
    ]


def _judge(coverage: float, segments: Sequence[Segment], spoken: Sequence[Segment]) -> list[str]:
    warnings = []
    if coverage < LOW_COVERAGE:
        warnings.append(f"the signing hand was seen in only {coverage:.0%} of the frames")
    if not segments:
        warnings.append(
            f"a hand was seen in {coverage:.0%} of the frames, but never long enough to spell"
        )
    elif not spoken:
        warnings.append(
            f"a hand was seen in {coverage:.0%} of the frames, but no letters could be read"
        )
    return warnings
