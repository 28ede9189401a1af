"""More sentences, made of those that there are: parts of several, concatenated.

Ours, for corpora of few sentences whose glosses have times; the paper trains on the sentences as
they are. A made sentence begins as one of the training sentences does. At each boundary between
glosses it may go over to another sentence of the same signer, and it ends where the one that it has
come to ends. So what is inside a segment, movements from sign to sign too, was signed that way; at
a join the hands go in a straight line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.sentences import Sentence
from chereme.errors import UsageError
from chereme.formats.tracks import NO_GLOSS, PoseTracks

_TRIES = 8  # made sentences that are too long are made anew


@dataclass(frozen=True)
class Composition:
    """``fraction``: of the training sentences that are made ones, each time they are seen;
    ``segments``: of those of which 1 to ``longest_segment`` glosses in a row are seen alone: CTC
    learns of them sooner where a gloss is.

    ``switch``: how likely a made sentence goes over to another one at each boundary. ``grammar``:
    fraction of these joins that go on as a sentence does in which the same gloss comes before, so
    that no two glosses follow each other that never did; the others go on anywhere. ``bridge``:
    seconds from the last frame of a segment to the first of the next.
    """

    fraction: float = 0.5
    segments: float = 0.0
    longest_segment: int = 2
    switch: float = 0.4
    grammar: float = 0.5
    bridge: float = 0.1

    def __post_init__(self) -> None:
        fractions = {"fraction + segments": self.fraction + self.segments}
        names = ("fraction", "segments", "switch", "grammar")
        fractions |= {name: getattr(self, name) for name in names}
        wrong = {name: value for name, value in fractions.items() if not 0 <= value <= 1}
        if self.bridge < 0 or self.longest_segment < 1:
            wrong |= {"bridge": self.bridge, "longest_segment": self.longest_segment}
        if wrong:
            raise UsageError(
                "compose: expected fractions from 0 to 1, together too, a bridge of 0 s or more "
                f"and segments of a gloss or more, got {wrong}"
            )


class Segment(NamedTuple):
    """Glosses ``first`` to ``last`` (not included) of sentence number ``sentence``."""

    sentence: int
    first: int
    last: int


class SentenceMixer:
    """What can be made of ``sentences``; those without the times of all glosses, or of whose signer
    nothing is known, stay as they are.

    ``longest``: glosses of a made sentence; ``frames``, ``rates``: of the clip of each sentence.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        config: Composition,
        longest: int,
        frames: Sequence[int],
        rates: Sequence[float],
    ) -> None:
        self.sentences, self.config, self.longest = sentences, config, longest
        every = zip(sentences, frames, rates, strict=True)
        self._cuts = [_cuts(sentence, count, rate) for sentence, count, rate in every]
        # Where one may go on: any inner boundary of a signer's sentences, and those after a gloss.
        self._anywhere: dict[str, list[tuple[int, int]]] = {}
        self._after: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for number, sentence in enumerate(sentences):
            if not self._usable(number):
                continue
            for place in range(1, len(sentence.words)):
                signer, before = sentence.signer or "", sentence.words[place - 1]
                self._anywhere.setdefault(signer, []).append((number, place))
                self._after.setdefault((signer, before), []).append((number, place))

    def _usable(self, number: int) -> bool:
        return bool(self._cuts[number]) and self.sentences[number].signer is not None

    def segments(self, number: int, rng: np.random.Generator) -> list[Segment]:
        """What sentence ``number`` becomes: itself, a part of it, or several segments."""
        count = len(self.sentences[number].words)
        whole = [Segment(number, 0, count)]
        drawn = rng.random() - self.config.fraction
        if not self._usable(number) or drawn >= self.config.segments:
            return whole
        if drawn >= 0:
            first = int(rng.integers(count))
            last = first + int(rng.integers(1, self.config.longest_segment + 1))
            return [Segment(number, first, min(last, count))]
        for _ in range(_TRIES):
            found = self._walk(number, rng)
            if sum(part.last - part.first for part in found) <= self.longest:
                return found
        return whole

    def _walk(self, number: int, rng: np.random.Generator) -> list[Segment]:
        found: list[Segment] = []
        signer = self.sentences[number].signer or ""
        first, place, signed = 0, 1, 1
        while place < len(self.sentences[number].words) and signed <= self.longest:
            if rng.random() < self.config.switch:
                before = self.sentences[number].words[place - 1]
                by_gloss = rng.random() < self.config.grammar
                choices = self._after[signer, before] if by_gloss else self._anywhere[signer]
                chosen = choices[int(rng.integers(len(choices)))]
                if chosen != (number, place):
                    found.append(Segment(number, first, place))
                    number, first = chosen
                    place = first
            place, signed = place + 1, signed + 1
        return [*found, Segment(number, first, len(self.sentences[number].words))]

    def span(self, part: Segment) -> slice:
        """The frames of a segment."""
        cuts = self._cuts[part.sentence]
        return slice(cuts[part.first], cuts[part.last])


def concat(clips: Sequence[PoseTracks], bridge: float) -> PoseTracks:
    """Clips of the same tracks and rate one after the other, each ``bridge`` seconds after the last
    frame of the one before: what is between lies on the line, where the track allows."""
    first = clips[0]
    if len(clips) == 1:
        return first
    between = max(1, round(bridge * first.rate))
    lengths = [clip.frames for clip in clips]
    starts = np.cumsum([0, *lengths[:-1]])
    places: list[np.ndarray] = []
    for start, length in zip(starts, lengths, strict=True):
        places.append(np.arange(start, start + length, dtype=np.float64))
        places.append(start + length - 1 + np.arange(1, between) / between)
    shown = [clip.shown for clip in clips if clip.shown is not None]
    whole = PoseTracks(
        first.rate,
        {name: np.concatenate([clip.values[name] for clip in clips]) for name in first.values},
        {name: np.concatenate([clip.present[name] for clip in clips]) for name in first.values},
        shown=np.concatenate(shown) if len(shown) == len(clips) else None,
    )
    return whole.at_frames(np.concatenate(places[:-1]))


def shown_in(sentence: Sentence, clip: PoseTracks) -> NDArray[np.intp] | None:
    """``PoseTracks.shown`` of the clip of a sentence; None where a gloss has no times."""
    times = _times(sentence)
    if not times:
        return None
    shown = np.full(clip.frames, NO_GLOSS)
    at = clip.start + np.arange(clip.frames) / clip.rate
    for number, (start, end) in enumerate(times):
        shown[(at >= start) & (at <= end)] = number
    return shown


def numbered(clip: PoseTracks, part: Segment, before: int) -> PoseTracks:
    """The clip of a segment as a part of a sentence that has so many glosses before it."""
    if clip.shown is None:
        return clip
    own = (clip.shown >= part.first) & (clip.shown < part.last)
    return replace(clip, shown=np.where(own, clip.shown - part.first + before, NO_GLOSS))


def _cuts(sentence: Sentence, frames: int, rate: float) -> tuple[int, ...]:
    """The frames at which glosses begin, and that after the last: between two of them half-way from
    the end of one to the start of the other. Nothing where times are lacking, out of order, or
    leave no frame to a gloss, nor where there is one gloss alone."""
    begin = sentence.start or 0.0
    middles = [(before[1] + after[0]) / 2 for before, after in pairwise(_times(sentence))]
    inner = [round(rate * (middle - begin)) for middle in middles]
    cuts = (0, *inner, frames)
    ordered = all(start < end for start, end in pairwise(cuts))
    return cuts if inner and ordered else ()


def _times(sentence: Sentence) -> list[tuple[float, float]]:
    """Start and end of each gloss, seconds; none unless all are known."""
    known = [
        (gloss.start, gloss.end)
        for gloss in sentence.glosses
        if gloss.start is not None and gloss.end is not None
    ]
    return known if len(known) == len(sentence.glosses) else []
