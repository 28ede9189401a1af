"""The recogniser of fingerspelling: a source in, letters with their times out.

source -> hands -> turns of the signing hand, shown as a right hand -> segments between long gaps
       -> features of landmarks, with the hand network's vectors or without, or crops of the hand
          (``chereme.recognition.crops``), or two of these
       -> encoder.onnx -> sequence.onnx -> beam search -> letters with times
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chereme._version import __version__
from chereme.errors import CheremeError, OutputError, UsageError
from chereme.hands.sections import Section
from chereme.hands.signing import signing_hand
from chereme.hands.turns import Turn, signing_columns
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LetterConfig
from chereme.recognition.crops import pictures_of, read_crop_features
from chereme.recognition.ctc_letters import join_alternatives
from chereme.recognition.decoding_options import SearchOptions, decoding_info, searches_of
from chereme.recognition.hand_landmarks import HandLandmarks, Progress
from chereme.recognition.letter_reading import LetterReader, encoder_of_hands
from chereme.recognition.letter_stream import EVERY, LetterStream
from chereme.recognition.networks import Encode
from chereme.recognition.orientation import (
    advice,
    is_turned,
    likely_turn,
    may_be_turned,
    turn_hands,
)
from chereme.recognition.overlay import check_overlay, write_overlay
from chereme.recognition.passing_crops import PassingCrops
from chereme.recognition.recognizer import BaseRecognizer, check_hand, with_timings
from chereme.recognition.report import (
    Hand,
    detected_hands,
    palm_fraction,
    warnings_about,
    why_no_hand,
)
from chereme.recognition.section_stream import check_no_crops
from chereme.recognition.sources import Source, check_readable_twice, find_source
from chereme.recognition.stages import Stages
from chereme.recognition.streams import Readers, Stream, Streams, describe, load_streams
from chereme.recognition.word_lists import expected_words
from chereme.text.alphabet import Alphabet
from chereme.types import HandTrack, Landmarks, Transcript


@dataclass(frozen=True)
class _Input:
    """One input while it is read. ``turns``: of each of its sections; ``crops`` are those that
    have passed."""

    source: Source
    hand: Hand
    readers: Readers
    turns: Sequence[Sequence[Turn]]
    mirrored: bool
    stages: Stages
    passes: _Passes
    crops: PassingCrops | None
    search: SearchOptions


class _Passes:
    """Progress over the passes over the frames of a recording, ``count`` of them as it seems."""

    def __init__(self, progress: Progress | None, count: int) -> None:
        self._progress, self._count, self._begun = progress, count, 0

    def begin(self) -> Progress | None:
        """The progress of the next pass, from 0, as a part of all."""
        number, self._begun = self._begun, self._begun + 1
        progress = self._progress
        if progress is None:
            return None

        def report(done: int, expected: int | None) -> None:
            if expected is not None:
                progress(number * expected + done, self._count * expected)
            elif number == 0:
                progress(done, None)

        return report

    def begin_another(self) -> Progress | None:
        """The progress of a pass that was not expected."""
        self._count += 1
        return self.begin()


class Recognizer(BaseRecognizer):
    """Reads fingerspelling.

    Args:
        model: a bundle, or the bundles of several streams (``chereme.recognition.streams``).
        hand: the signing hand; ``auto`` takes the one that moves most.
        beam_width, alpha, beta: of the beam search; None takes the values tuned with the model.
        greedy: take the best symbol of each frame, with no search and no language model.
        lm: use the model's language model and its list of words, if it has them.
        words: names and words that are expected, in any writing
            (``chereme.recognition.word_lists.expected_words``): likelier than all others, and no
            text becomes impossible.
        source: options of every recogniser, see :class:`BaseRecognizer`.
    """

    task: ClassVar[str] = "fingerspelling"
    result: ClassVar[type[Transcript]] = Transcript

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
        words: Iterable[str] | None = None,
        **source: Any,
    ) -> None:
        super().__init__(**source)
        self.streams = Streams((model,)) if isinstance(model, Bundle) else model
        self.hand = check_hand(hand)
        expected = None if words is None else expected_words(words, self.alphabet)
        self._search_options = SearchOptions(beam_width, alpha, beta, greedy, lm, expected)

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

    @property
    def alphabet(self) -> Alphabet:
        """The symbols that are read."""
        return self.streams.alphabet

    @property
    def info(self) -> dict[str, Any]:
        """What is known of what reads a recording that holds pictures."""
        readers = self.streams.for_recordings
        return {
            **readers.info,
            "models": describe(self.streams.bundles),
            "decoding": decoding_info(readers, self._search_options),
            "chereme": __version__,
        }

    def recognize(
        self,
        source: Any,
        *,
        start: float | None = None,
        end: float | None = None,
        rate: float | None = None,
        hand: Hand | None = None,
        words: Iterable[str] | None = None,
        progress: Progress | None = None,
        overlay: str | Path | None = None,
    ) -> Transcript:
        """Read a video, image, folder of numbered frames or landmark file, what is in memory of
        these, frames, or landmarks: see :func:`chereme.recognition.sources.find_source`.

        A model of pictures (the streams "rgb" and "fused") that reads crops of the hand reads some
        a second time where another hand signs than it seemed, and refuses frames that can be read
        but once; one that reads the hand network's vectors needs a detector that has them.
        Landmarks without vectors are a ``UsageError`` for "rgb", and so is such a detector; for
        "fused" they are read by the model of landmarks, with a warning.

        ``start`` and ``end`` (seconds) limit the reading to the frames from ``start`` up to
        ``end``, which is not included; ``rate``, ``hand`` and ``words`` take the place of the
        recogniser's own for this input. The text is empty, and a warning says why, if there is no
        hand or nothing legible. Raises ``InputError`` for what cannot be read at all.

        ``overlay``: a film to write (.mp4, .mov, .mkv) of what was seen, see
        :func:`chereme.recognition.overlay.write_overlay`; if it cannot be written, an
        ``OutputError`` holds the transcript as its ``result``. ``progress`` counts each frame each
        time that it is read: to find hands, to cut crops, to draw.
        """
        source = find_source(source)
        chosen = check_hand(hand or self.hand)
        search = self._search(words)
        readers = self.streams.of(source)
        by_input = {bundle.config.input: bundle for bundle in readers.bundles}
        has_vectors = isinstance(source, Landmarks) and source.vectors is not None
        for given, bundle in by_input.items():
            if given == "rgb" or (given == "hand" and not has_vectors):
                pictures_of(source, bundle.config)
            if given == "rgb":
                check_readable_twice(source, f"{bundle.config.name} may read them a second time")
        if overlay is not None:
            check_overlay(overlay, source)
        passes = _Passes(progress, 1 + (overlay is not None))
        failure: CheremeError | OSError | None = None
        stages = Stages()
        with stages("total"), ExitStack() as running:
            crops = None
            if "rgb" in by_input:
                passing = PassingCrops(by_input["rgb"], chosen, self.mirrored, stages)
                crops = running.enter_context(passing)
            watch = None if crops is None else crops.watch
            detected = self.detect(
                source,
                start,
                end,
                passes.begin(),
                stages,
                watch,
                rate=rate,
                vectors="hand" in by_input,
                # Crops are of the whole, whose frames are read once more where some are missing.
                sections=crops is None,
            )
            if crops is not None:
                crops.finish()
            if "hand" in by_input:
                readers = self._with_vectors(_sections(detected), readers)
            with stages("hands"):
                # Who signs when does not depend on which way is up.
                reader = self._reader(readers, chosen, search)
                turns = [
                    [] if section.resting else reader.turns(section.landmarks)
                    for section in _sections(detected)
                ]
            inputs = _Input(
                source, chosen, readers, turns, self.mirrored, stages, passes, crops, search
            )
            transcript = self._read(detected, inputs)
            if self.rotate is None:
                detected, transcript = self._upright(detected, transcript, inputs)
            if overlay is not None:
                failure = _write_film(overlay, detected, transcript, inputs)
        transcript = with_timings(transcript, stages)
        if failure is not None:
            raise OutputError(f"no film: {failure}", transcript) from failure
        return transcript

    @classmethod
    def is_live(cls, config: LetterConfig) -> bool:
        """Whether ``stream`` reads pictures with a model of this ``config``."""
        return config.input != "rgb"

    def stream(
        self,
        *,
        hand: Hand | None = None,
        words: Iterable[str] | None = None,
        every: float = EVERY,
    ) -> LetterStream:
        """Read frames, or landmarks, as they come: see :class:`LetterStream`.

        ``hand`` and ``words`` take the place of the recogniser's own; ``every``: seconds between
        partial texts. ``UsageError`` for a model that reads crops of the hand: which hand signs is
        known too late for it.
        """
        readers = self.streams.for_recordings
        check_no_crops(readers.bundles)
        chosen, search = check_hand(hand or self.hand), self._search(words)

        def make_reader(landmarks: Landmarks, pictures: bool) -> LetterReader:
            found = readers
            if not pictures:
                found = self.streams.of(landmarks)
                if landmarks.vectors is None:
                    for bundle in found.bundles:
                        if bundle.config.input == "hand":
                            pictures_of(landmarks, bundle.config)
            one = Section(landmarks, resting=False)
            return self._reader(self._with_vectors([one], found), chosen, search)

        return LetterStream(
            make_reader,
            self.make_detector,
            mirrored=self.mirrored,
            rotate=self.rotate or 0,
            every=every,
        )

    def _search(self, words: Iterable[str] | None) -> SearchOptions:
        if words is None:
            return self._search_options
        return replace(self._search_options, words=expected_words(words, self.alphabet))

    def _reader(self, readers: Readers, hand: Hand, search: SearchOptions) -> LetterReader:
        return LetterReader(readers, searches_of(readers, search), hand, self.alphabet)

    def _with_vectors(self, sections: Sequence[Section], readers: Readers) -> Readers:
        """``readers`` if the hands have the vectors that one of them reads; else those that need
        none, or ``UsageError``."""
        hands = [one.landmarks for one in sections if one.landmarks.handedness]
        if not hands or any(landmarks.vectors is not None for landmarks in hands):
            return readers
        why = "the hand detector has no vectors of hands, which the model of pictures reads"
        without = self.streams.without_pictures(f"{why}: read with landmarks alone")
        if without is None:
            raise UsageError(
                f"{why}: leave out the detector, or read landmarks (the stream landmarks)"
            )
        return without

    def _upright(
        self, detected: HandLandmarks, transcript: Transcript, inputs: _Input
    ) -> tuple[HandLandmarks, Transcript]:
        """What was seen and read, or the same turned where the recording lies on its side.

        A still tells nothing: a P is a K that points down. Landmarks come from elsewhere and are
        not turned; of them, and in doubt, a warning tells.
        """
        degrees = likely_turn(signing_hand(detected.landmarks, inputs.hand))
        if not degrees or detected.is_still:
            return detected, transcript
        turned = turn_hands(detected, degrees, mirrored=inputs.mirrored)
        judged, before = replace(inputs, crops=None), transcript
        if inputs.readers.stream == "fused":
            # The hand network turns hands upright, so its numbers tell less of it than landmarks.
            alone = self.streams.without_pictures(None) or inputs.readers
            judged = replace(judged, readers=alone)
            before = self._read(detected, judged)
        after = self._read(turned, judged)
        if detected.reading and is_turned(before.tokens, after.tokens):
            same = judged.readers is inputs.readers
            return turned, after if same else self._read(turned, replace(inputs, crops=None))
        if may_be_turned(before.tokens, after.tokens):
            message = advice(360 - degrees if inputs.mirrored else degrees)
            return detected, replace(transcript, warnings=(*transcript.warnings, message))
        return detected, transcript

    def _read(self, detected: HandLandmarks, inputs: _Input) -> Transcript:
        landmarks, readers = detected.landmarks, inputs.readers
        info: dict[str, Any] = {
            **detected.info,
            "hands": detected_hands(landmarks),
            "hand_coverage": 0.0,
            "signing_hand": None,
            "decoding": decoding_info(readers, inputs.search),
            **readers.info,
            "chereme": __version__,
        }
        warnings = list(detected.warnings)
        if readers.warning is not None:
            warnings.append(readers.warning)
        reader = self._reader(readers, inputs.hand, inputs.search)
        hands = [
            hand
            for section, turns in zip(_sections(detected), inputs.turns, strict=True)
            for hand in reader.hands(section.landmarks, turns)
        ]
        if not hands:
            warnings.append(why_no_hand(landmarks, inputs.hand))
            return Transcript(info=info, warnings=tuple(warnings))
        results = reader.read(
            hands,
            inputs.stages,
            is_still=detected.is_still,
            make_encoder=partial(_encoder, detected, inputs),
        )
        tracks = [hand.track for hand in hands]
        read = [segment for result in results for segment in result.segments]
        results = [reader.judged(one, hand) for one, hand in zip(results, hands, strict=True)]
        coverage = sum(int(track.present.sum()) for track in tracks) / len(landmarks.timestamps)
        longest = max(range(len(tracks)), key=lambda number: int(tracks[number].present.sum()))
        info |= {
            "hand_coverage": round(coverage, 4),
            "signing_hand": results[longest].handedness,
            "handedness_score": round(tracks[longest].handedness_score, 4),
            "handedness_by": "likelihood" if any(r.unsure for r in results) else "vote",
            "segments": [
                {
                    "text": segment.text,
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "hand": result.handedness,
                }
                for result in results
                for segment in result.segments
            ],
        }
        rival = sum(hand.turn.rival for hand in hands)
        warnings += warnings_about(coverage, read, rival=rival, palm=palm_fraction(tracks))
        spelled = [segment for result in results for segment in result.segments if segment.text]
        return Transcript(
            text=" ".join(segment.text for segment in spelled),
            tokens=tuple(token for segment in spelled for token in segment.tokens),
            info=info,
            warnings=(*warnings, *sorted({doubt for one in results for doubt in one.doubts})),
            alternatives=join_alternatives([segment.alternatives for segment in spelled], " "),
        )


def _sections(detected: HandLandmarks) -> Sequence[Section]:
    """What is read one after the other: all at once where nothing was parted."""
    landmarks = detected.landmarks
    whole = Section(landmarks, False, columns=tuple(range(len(landmarks.handedness))))
    return detected.sections or (whole,)


def _encoder(
    detected: HandLandmarks,
    inputs: _Input,
    bundle: Bundle[LetterConfig],
    segments: Sequence[HandTrack],
) -> Encode:
    """What makes features of ``segments``: of the hands, or of crops of the whole recording."""
    if bundle.config.input != "rgb":
        return encoder_of_hands(bundle, segments)
    features = read_crop_features(
        bundle,
        pictures_of(inputs.source, bundle.config),
        detected,
        inputs.turns[0],
        segments,
        inputs.stages,
        passed=inputs.crops,
        mirrored=inputs.mirrored,
        progress=inputs.passes.begin_another,
    )
    return features.of


def _write_film(
    path: str | Path,
    detected: HandLandmarks,
    transcript: Transcript,
    inputs: _Input,
) -> CheremeError | OSError | None:
    """Write the film of what was seen; why it could not be written, if so."""
    landmarks = detected.landmarks
    try:
        with inputs.stages("overlay"):
            write_overlay(
                path,
                inputs.source,
                landmarks,
                transcript,
                signing=_signing_columns(detected, inputs.turns),
                mirrored=inputs.mirrored,
                progress=inputs.passes.begin(),
                **detected.reading,
            )
    except (CheremeError, OSError) as error:
        return error
    return None


def _signing_columns(detected: HandLandmarks, turns: Sequence[Sequence[Turn]]) -> NDArray[np.intp]:
    """``(T,)``: the column of the hand that signs in each frame, -1 where none does."""
    parts = [
        np.array([*section.columns, -1])[signing_columns(some, len(section.landmarks.timestamps))]
        for section, some in zip(_sections(detected), turns, strict=True)
    ]
    return np.concatenate(parts)
