"""From the numbers of a stretch of signing to its glosses: the networks, and what reads them.

Shapes: T frames, V ids. All here is of one stretch, a window or less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.decoding import align, beam_search, greedy
from chereme.decoding.generation import GenerationConfig, generate, may_follow
from chereme.errors import InputError
from chereme.formats.tracks import PoseTracks
from chereme.runtime.config import ContinuousConfig, Reader
from chereme.runtime.continuous_bundle import OUTPUTS, track_ports
from chereme.text.glosses import BOS, GlossVocabulary

Feeds = Mapping[str, NDArray[Any]]
"""Inputs of ``sequence.onnx``, by name, of one clip."""


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """With what is read, and how: ``generation`` of the decoder, ``ctc_beam`` of the CTC head."""

    reader: Reader
    generation: GenerationConfig
    ctc_beam: int
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What ``sequence.onnx`` says: ``memory (1, T, D)`` and ``log_probs (T, V)``, None of a part
    that the model does not have."""

    frames: int
    memory: NDArray[np.float32] | None
    log_probs: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class ReadGloss:
    """A gloss in frames ``start`` up to, not including, ``end``; None where no CTC head says where.

    ``probability``: of CTC, the mean posterior over these frames; of the decoder, that of saying
    this gloss after those before it. Of a gloss of several pieces, their product.
    """

    text: str
    start: int | None
    end: int | None
    probability: float

    @property
    def middle(self) -> float | None:
        """In frames."""
        return None if self.start is None or self.end is None else (self.start + self.end) / 2


@dataclass(frozen=True, slots=True)
class Reading:
    """``glosses`` in order; ``hypotheses``: the sentences of the beam, the best first."""

    glosses: tuple[ReadGloss, ...] = ()
    hypotheses: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()


class GlossReader:
    """The networks that read tracks: ``sequence`` and ``decoder`` (None: there is none)."""

    def __init__(self, sequence: Any, decoder: Any, config: ContinuousConfig) -> None:
        self.sequence, self.decoder, self.config = sequence, decoder, config
        self.vocabulary = GlossVocabulary(config.tokens, config.units)
        self.gives = [OUTPUTS[reader] for reader in OUTPUTS if reader in config.readers]

    def feeds(self, clip: PoseTracks) -> Feeds:
        """A clip as the network takes it: a track that it lacks is present in no frame."""
        names = [track.name for track in self.config.tracks]
        tracks, frames = track_ports(names)
        feeds: dict[str, NDArray[Any]] = {}
        for port, track in zip(tracks, self.config.tracks, strict=True):
            nothing = np.full((clip.frames, track.width), np.nan, np.float32)
            feeds[port] = clip.values.get(track.name, nothing)[None]
        for port, name in zip(frames, names, strict=True):
            feeds[port] = clip.present.get(name, np.zeros(clip.frames, bool))[None]
        return {**feeds, "lengths": np.array([clip.frames])}

    def hear(self, feeds: Feeds) -> Heard:
        """What the network says of a clip."""
        said = dict(zip(self.gives, self.sequence.run(self.gives, dict(feeds)), strict=True))
        log_probs = said.get("log_probs")
        return Heard(
            int(feeds["lengths"][0]),
            said.get("memory"),
            None if log_probs is None else log_probs[0].astype(np.float64),
        )

    def logits(self, ids: NDArray[np.int64], heard: Heard) -> NDArray[np.float32]:
        """What the decoder says may follow each of ``ids (N, L)``: ``(N, L, V)``."""
        given = {"ids": ids, "memory": heard.memory, "lengths": np.array([heard.frames])}
        said: NDArray[np.float32] = self.decoder.run(["logits"], given)[0]
        return said

    def read(self, heard: Heard, options: ReadingOptions) -> Reading:
        """The glosses of what was heard."""
        if options.reader == "ctc":
            return self._read_ctc(heard, options)
        return self._read_decoder(heard, options)

    def _read_ctc(self, heard: Heard, options: ReadingOptions) -> Reading:
        assert heard.log_probs is not None  # a model is read with what it has
        found = (
            [greedy(heard.log_probs)]
            if options.greedy
            else beam_search(heard.log_probs, width=options.ctc_beam)
        )
        symbols = found[0].symbols
        spans = align(heard.log_probs, symbols)
        return Reading(
            tuple(
                ReadGloss(
                    gloss,
                    spans[places[0]].start_frame,
                    spans[places[-1]].end_frame,
                    float(np.prod([spans[place].probability for place in places])),
                )
                for gloss, places in self.vocabulary.decode_places(symbols)
            ),
            tuple(self.vocabulary.decode(one.symbols) for one in found),
        )

    def _read_decoder(self, heard: Heard, options: ReadingOptions) -> Reading:
        generation = options.generation
        if options.greedy:
            generation = replace(generation, method="greedy")
        found = generate(lambda ids: self.logits(ids[0], heard)[None, :, -1], 1, generation)
        said = [
            tuple(ids[:length].tolist())
            for ids, length, score in zip(
                found.glosses[0], found.lengths[0], found.scores[0], strict=True
            )
            if np.isfinite(score)
        ]
        # A decoder that says no finite number says nothing.
        ids = said[0] if said else ()
        warnings: tuple[str, ...] = ()
        if len(ids) >= generation.max_length:
            warnings = (
                f"the reading was cut off at {generation.max_length} glosses, the most that the "
                "model says of a stretch",
            )
        spans: list[tuple[int, int]] | None = None
        if heard.log_probs is not None:
            try:
                spans = [(s.start_frame, s.end_frame) for s in align(heard.log_probs, ids)]
            except InputError:
                again = self._read_ctc(heard, options)
                message = (
                    "the text decoder said more glosses than the frames can hold: read with the "
                    "CTC head instead"
                )
                return replace(again, warnings=(*warnings, message))
        chances = self._chances(ids, heard)
        return Reading(
            tuple(
                ReadGloss(
                    gloss,
                    None if spans is None else spans[places[0]][0],
                    None if spans is None else spans[places[-1]][1],
                    float(np.prod([chances[place] for place in places])),
                )
                for gloss, places in self.vocabulary.decode_places(ids)
            ),
            tuple(self.vocabulary.decode(one) for one in said),
            warnings,
        )

    def _chances(self, ids: tuple[int, ...], heard: Heard) -> list[float]:
        """The probability of each id after those before it, without penalties or temperature."""
        if not ids:
            return []
        logits = self.logits(np.array([[BOS, *ids[:-1]]]), heard)[0]
        log_probs = may_follow(logits)
        return [float(np.exp(row[number])) for row, number in zip(log_probs, ids, strict=True)]
