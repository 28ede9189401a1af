"""From the landmarks of hands to letters: what a recording and a stream are read with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chereme.hands.signing import bridge_gaps, to_right_hand
from chereme.hands.tracking import SURE_FRACTION
from chereme.hands.turns import Turn, signing_turns, turn_tracks
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LetterConfig
from chereme.recognition.ctc_letters import (
    LetterEmissions,
    Search,
    Segment,
    read_segment,
    read_segment_together,
    read_still_together,
)
from chereme.recognition.letter_times import letter_times
from chereme.recognition.networks import Encode, hand_encoder, landmark_encoder, log_probs_of
from chereme.recognition.plausibility import judge
from chereme.recognition.report import Hand
from chereme.recognition.segments import cut_as, hold, split
from chereme.recognition.stages import Stages
from chereme.recognition.streams import Readers
from chereme.text.alphabet import Alphabet
from chereme.types import Handedness, HandTrack, Landmarks

MakeEncoder = Callable[[Bundle[LetterConfig], Sequence[HandTrack]], Encode]
"""What makes features of these segments for a bundle."""
_SegmentTracks = tuple[HandTrack, ...]
"""The hand in one segment, as each of the bundles that read together is to see it."""


@dataclass(frozen=True, slots=True)
class SigningHand:
    """The hand of a ``turn`` as it is seen in it alone, among the hands of ``landmarks``."""

    turn: Turn
    track: HandTrack
    landmarks: Landmarks


@dataclass(frozen=True, slots=True)
class TurnLetters:
    """What a hand spells in its turn, read as one hand or the other; ``unsure``: which it is the
    letters told. ``doubts``: warnings."""

    handedness: Handedness
    segments: tuple[Segment, ...]
    unsure: bool
    doubts: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[bool, float]:
        """More is likelier. Letters come before silence, of which the wrong hand may be sure."""
        return any(s.tokens for s in self.segments), sum(s.score for s in self.segments)


def encoder_of_hands(bundle: Bundle[LetterConfig], segments: Sequence[HandTrack]) -> Encode:
    """The encoder of a bundle that reads landmarks, alone or with the hand network's vectors."""
    return (hand_encoder if bundle.config.input == "hand" else landmark_encoder)(bundle)


@dataclass(frozen=True)
class LetterReader:
    """Reads signing ``hand``s with the bundles of ``readers``, which search by ``searches``."""

    readers: Readers
    searches: Sequence[Search]
    hand: Hand
    alphabet: Alphabet

    def turns(self, landmarks: Landmarks) -> list[Turn]:
        """Who signs when."""
        max_gap = self.readers.bundles[0].config.segmentation.max_gap
        return signing_turns(landmarks, self.hand, max_gap=max_gap)

    def hands(self, landmarks: Landmarks, turns: Sequence[Turn]) -> list[SigningHand]:
        """The hands of these turns, of the side that was asked for."""
        tracks = turn_tracks(landmarks, turns) if turns else []
        if self.hand != "auto":
            tracks = [replace(track, handedness=self.hand) for track in tracks]
        pairs = zip(turns, tracks, strict=True)
        return [SigningHand(turn, track, landmarks) for turn, track in pairs]

    def read(
        self,
        hands: Sequence[SigningHand],
        stages: Stages,
        *,
        is_still: bool = False,
        make_encoder: MakeEncoder = encoder_of_hands,
    ) -> list[TurnLetters]:
        """The likeliest letters of each of ``hands``: as one hand or, if that is unsure, as the
        other. ``is_still``: there is one picture. The seconds of "network" and "search" are added
        to ``stages``."""
        by_side = [
            {side: self._segments(side, hand.track, is_still) for side in self._sides(hand.track)}
            for hand in hands
        ]
        every = [segment for turn in by_side for segments in turn.values() for segment in segments]
        encodes = [
            make_encoder(bundle, [segment[number] for segment in every])
            for number, bundle in enumerate(self.readers.bundles)
            if every
        ]
        results = []
        for turn in by_side:
            candidates = []
            for side, segments in turn.items():
                found = []
                for segment in segments:
                    with stages("network"):
                        emissions = self._emissions(segment, encodes)
                    with stages("search"):
                        found.append(self._decode(emissions, segment[0], is_still))
                candidates.append(TurnLetters(side, tuple(found), unsure=len(turn) > 1))
            results.append(max(candidates, key=lambda one: one.rank))
        return results

    def judged(self, letters: TurnLetters, hand: SigningHand) -> TurnLetters:
        """``letters`` of ``hand`` but those that are no spelling, see ``plausibility.judge``."""
        bundles = self.readers.bundles
        segments, doubts = judge(
            letters.segments,
            hand.track,
            hand.landmarks,
            least=self.readers.mean([b.config.decoding.min_mean_probability for b in bundles]),
            rival=hand.turn.rival_fraction(hand.landmarks.timestamps),
        )
        return replace(letters, segments=segments, doubts=tuple(doubts))

    def _sides(self, track: HandTrack) -> Sequence[Handedness]:
        """The hands that ``track`` may be: the vote's, or both if it is unsure and none was
        chosen."""
        unsure = track.handedness == "unknown" or track.handedness_score < SURE_FRACTION
        return ("right", "left") if unsure and self.hand == "auto" else (track.handedness,)

    def _segments(self, side: Handedness, track: HandTrack, is_still: bool) -> list[_SegmentTracks]:
        """The segments to read, as of a right hand, each with the gaps that its bundle bridges.

        Choice: where two bundles read together, the first one's settings say where to cut.
        """
        right = to_right_hand(replace(track, handedness=side))
        configs = [bundle.config for bundle in self.readers.bundles]
        if is_still:
            return [tuple(hold(right, c.still.duration, c.preprocessing.rate) for c in configs)]
        bridged = [bridge_gaps(right, config.segmentation.bridge) for config in configs]
        first = split(bridged[0], configs[0].segmentation)
        return list(zip(first, *(cut_as(other, first) for other in bridged[1:]), strict=True))

    def _emissions(
        self, segment: _SegmentTracks, encodes: Sequence[Encode]
    ) -> list[LetterEmissions]:
        emissions = []
        for bundle, weight, track, encode, search in zip(
            self.readers.bundles,
            self.readers.weights,
            segment,
            encodes,
            self.searches,
            strict=True,
        ):
            features, times = encode(track)
            stride, members = bundle.config.temporal_stride, log_probs_of(bundle, features)
            emissions += [
                LetterEmissions(log_probs, times, stride, search, weight / len(members))
                for log_probs in members
            ]
        return emissions

    def _decode(
        self, emissions: Sequence[LetterEmissions], track: HandTrack, is_still: bool
    ) -> Segment:
        if is_still:
            configs = [bundle.config for bundle in self.readers.bundles]
            stills = [config.still for config in configs for _ in range(config.members)]
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
        return replace(segment, tokens=letter_times(segment.tokens, track, segment.end))
