"""From the tracks of a segment of signing to its glosses: the networks, and the searches.

Shapes: T frames, V ids. All here is of one segment, a window or less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.decoding import (
    GlossWeights,
    Hypothesis,
    LanguageModel,
    Span,
    align,
    beam_search,
    ctc_log_likelihoods,
    greedy,
    symbols_or_blank,
)
from chereme.decoding.generation import (
    GenerationConfig,
    decoder_log_likelihoods,
    generate,
    may_follow,
)
from chereme.decoding.joint import judge
from chereme.formats.tracks import PoseTracks
from chereme.recognition.config import OUTPUTS, ContinuousConfig, Reader, track_ports
from chereme.text.glosses import BOS, EOS, GlossVocabulary

OnnxInputs = Mapping[str, NDArray[Any]]
"""Inputs of ``sequence.onnx``, by name, of one clip."""
Symbols = tuple[int, ...]
"""Ids of the glosses of a sentence, without marks."""


@dataclass(frozen=True, slots=True)
class GlossOptions:
    """What reads, and how: ``generation`` of the decoder, ``ctc_beam`` of the CTC head, ``weights``
    of both and of the language model ``lm``, None: without."""

    reader: Reader
    generation: GenerationConfig
    ctc_beam: int
    greedy: bool = False
    weights: GlossWeights = field(default_factory=GlossWeights)
    lm: LanguageModel | None = None


@dataclass(frozen=True, slots=True)
class GlossEmissions:
    """The outputs of ``sequence.onnx``: ``memory (1, T, D)`` and ``log_probs (T, V)``, None of a
    part that the model does not have."""

    frames: int
    memory: NDArray[np.float32] | None
    log_probs: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class DecodedGloss:
    """A gloss in frames ``start`` up to, not including, ``end``; None where no CTC head tells.

    ``probability``: of CTC, the mean posterior over the frames in which it emits the gloss; of the
    decoder, that of the gloss after those before. Of a gloss of several units, their product.
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
class DecodedSegment:
    """``glosses`` in order; ``hypotheses``: the sentences of the beam, the best first."""

    glosses: tuple[DecodedGloss, ...] = ()
    hypotheses: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()


class GlossDecoder:
    """The networks that read tracks: ``sequence`` and ``decoder`` (None: there is none)."""

    def __init__(self, sequence: Any, decoder: Any, config: ContinuousConfig) -> None:
        self.sequence, self.decoder, self.config = sequence, decoder, config
        self.vocabulary = GlossVocabulary(config.tokens, config.units)
        self.gives = [OUTPUTS[reader] for reader in OUTPUTS if reader in config.readers]

    def onnx_inputs(self, clip: PoseTracks) -> OnnxInputs:
        """A clip as the network takes it: a track that it lacks is present in no frame."""
        names = [track.name for track in self.config.tracks]
        tracks, frames = track_ports(names)
        onnx_inputs: dict[str, NDArray[Any]] = {}
        for port, track in zip(tracks, self.config.tracks, strict=True):
            nothing = np.full((clip.frames, track.width), np.nan, np.float32)
            onnx_inputs[port] = clip.values.get(track.name, nothing)[None]
        for port, name in zip(frames, names, strict=True):
            onnx_inputs[port] = clip.present.get(name, np.zeros(clip.frames, bool))[None]
        return {**onnx_inputs, "lengths": np.array([clip.frames])}

    def emit(self, onnx_inputs: OnnxInputs) -> GlossEmissions:
        """The outputs of the network for a clip."""
        outputs = self.sequence.run(self.gives, dict(onnx_inputs))
        named = dict(zip(self.gives, outputs, strict=True))
        log_probs = named.get("log_probs")
        return GlossEmissions(
            int(onnx_inputs["lengths"][0]),
            named.get("memory"),
            None if log_probs is None else log_probs[0].astype(np.float64),
        )

    def logits(self, ids: NDArray[np.int64], emissions: GlossEmissions) -> NDArray[np.float32]:
        """The decoder's logits ``(N, L, V)`` of what follows each of ``ids (N, L)``."""
        inputs = {"ids": ids, "memory": emissions.memory, "lengths": np.array([emissions.frames])}
        logits: NDArray[np.float32] = self.decoder.run(["logits"], inputs)[0]
        return logits

    def decode(self, emissions: GlossEmissions, options: GlossOptions) -> DecodedSegment:
        """The glosses of the emissions. With both a decoder and a CTC head, the best by both of all
        that either reads (``chereme.decoding.joint``), with a warning where the decoder did not put
        it forward."""
        if emissions.log_probs is None:
            return self._by_decoder(emissions, self._generate(emissions, options), options)
        found = self.search(emissions.log_probs, options)
        read = [hypothesis.symbols for hypothesis in found]
        if options.reader == "ctc":
            return self._by_ctc(emissions.log_probs, read)
        generated = self._generate(emissions, options)
        best = self._jointly(list(dict.fromkeys([*generated, *read])), emissions, options)
        if best and best[0] in generated:
            return self._by_decoder(emissions, best[: options.generation.beam_size], options)
        message = "the text decoder's glosses do not fit the frames: read with the CTC head instead"
        by_ctc = self._by_ctc(emissions.log_probs, best[: options.ctc_beam] or read)
        return replace(by_ctc, warnings=(message,))

    def search(self, log_probs: NDArray[np.float64], options: GlossOptions) -> list[Hypothesis]:
        """Hypotheses of the CTC head, the best first."""
        if options.greedy:
            return [greedy(log_probs)]
        weights = options.weights
        return beam_search(
            log_probs,
            width=options.ctc_beam,
            lm=options.lm,
            alpha=weights.alpha,
            beta=weights.beta,
        )

    def _generate(self, emissions: GlossEmissions, options: GlossOptions) -> list[Symbols]:
        """Hypotheses of the decoder, the best first: the empty one where its scores are not
        finite."""
        generation = options.generation
        if options.greedy:
            generation = replace(generation, method="greedy")
        found = generate(lambda ids: self.logits(ids[0], emissions)[None, :, -1], 1, generation)
        generated = [
            tuple(ids[:length].tolist())
            for ids, length, score in zip(
                found.glosses[0], found.lengths[0], found.scores[0], strict=True
            )
            if np.isfinite(score)
        ]
        return generated or [()]

    def _jointly(
        self, texts: Sequence[Symbols], emissions: GlossEmissions, options: GlossOptions
    ) -> list[Symbols]:
        """Those of ``texts`` that both heads find possible, the best by both first."""
        assert emissions.log_probs is not None  # there is a CTC head
        by_decoder = decoder_log_likelihoods(lambda ids: self.logits(ids, emissions), texts)
        by_ctc = ctc_log_likelihoods(emissions.log_probs, texts)
        return judge(texts, by_ctc, by_decoder, options.lm).best(options.weights.joint)

    def _log_chances(self, ids: tuple[int, ...], emissions: GlossEmissions) -> NDArray[np.float64]:
        """ln p of each of ``ids`` after those before it, by the decoder, without penalties or
        temperature: ``(L,)``."""
        log_probs = may_follow(self.logits(np.array([[BOS, *ids[:-1]]]), emissions)[0])
        return log_probs[np.arange(len(ids)), ids]

    def _by_ctc(self, log_probs: NDArray[np.float64], found: Sequence[Symbols]) -> DecodedSegment:
        symbols = found[0]
        chances = [span.probability for span in align(log_probs, symbols)]
        return DecodedSegment(
            self._glosses(symbols, chances, _spans(log_probs, symbols)),
            tuple(self.vocabulary.decode(ids) for ids in found),
        )

    def _by_decoder(
        self, emissions: GlossEmissions, generated: Sequence[Symbols], options: GlossOptions
    ) -> DecodedSegment:
        symbols, longest = generated[0], options.generation.max_length
        warnings: tuple[str, ...] = ()
        if len(symbols) >= longest:
            warnings = (
                f"the reading was cut off at {longest} glosses, the most that the model gives of a "
                "segment",
            )
        spans = None if emissions.log_probs is None else _spans(emissions.log_probs, symbols)
        chances = np.exp(self._log_chances((*symbols, EOS), emissions)).tolist()
        return DecodedSegment(
            self._glosses(symbols, chances, spans),
            tuple(self.vocabulary.decode(ids) for ids in generated),
            warnings,
        )

    def _glosses(
        self, symbols: Symbols, chances: Sequence[float], spans: Sequence[Span] | None
    ) -> tuple[DecodedGloss, ...]:
        """Glosses of symbols, with the probability and, where it is known, the span of each."""
        return tuple(
            DecodedGloss(
                gloss,
                None if spans is None else spans[indices[0]].start_frame,
                None if spans is None else spans[indices[-1]].end_frame,
                float(np.prod([chances[index] for index in indices])),
            )
            for gloss, indices in self.vocabulary.decode_indices(symbols)
        )


def _spans(log_probs: NDArray[np.float64], symbols: Symbols) -> list[Span]:
    """The frames in which glosses are signed that were read."""
    return align(symbols_or_blank(log_probs, symbols), symbols)
