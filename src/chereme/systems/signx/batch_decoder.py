"""Reading batches of pose tracks with a Pose2Gloss, for validation and the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chereme.decoding import beam_search, greedy
from chereme.decoding.generation import GenerationConfig
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.text.glosses import GlossVocabulary

Words = tuple[str, ...]
Tracks = Mapping[str, Tensor]


@dataclass(frozen=True)
class BatchDecoder:
    """``generation`` of the decoder, ``ctc_beam`` of the CTC head. What is not trained does not
    read."""

    model: Pose2Gloss
    vocabulary: GlossVocabulary
    generation: GenerationConfig
    ctc_beam: int

    @property
    def readers(self) -> tuple[str, ...]:
        """ "decoder" and "ctc", or one of these."""
        return self.model.config.readers

    def greedy(self, tracks: Tracks, present: Tracks, lengths: Tensor) -> dict[str, list[Words]]:
        """The sentences of a batch by what is trained, decoder or CTC, without a search and without
        a penalty for repetition."""
        read = {}
        if "decoder" in self.readers:
            plain = replace(self.generation, method="greedy", repetition_penalty=1.0)
            read["decoder"] = [b[0] for b in self._generated(tracks, present, lengths, plain)]
        if "ctc" in self.readers:
            log_probs = self._log_probs(tracks, present, lengths)
            read["ctc"] = [self.vocabulary.decode(greedy(clip).symbols) for clip in log_probs]
        return read

    def beam(
        self, tracks: Tracks, present: Tracks, lengths: Tensor
    ) -> dict[str, list[list[Words]]]:
        """The hypotheses of each sentence, best first, by way of reading: ``beam`` and ``greedy``
        of the decoder, ``ctc`` and ``ctc_greedy`` of the CTC head."""
        read: dict[str, list[list[Words]]] = {}
        greedy = self.greedy(tracks, present, lengths)
        if "decoder" in self.readers:
            read["beam"] = self._generated(tracks, present, lengths, self.generation)
            read["greedy"] = [[words] for words in greedy["decoder"]]
        if "ctc" in self.readers:
            log_probs = self._log_probs(tracks, present, lengths)
            beams = [beam_search(x, width=self.ctc_beam) for x in log_probs]
            decode = self.vocabulary.decode
            read["ctc"] = [[decode(found.symbols) for found in beam] for beam in beams]
            read["ctc_greedy"] = [[words] for words in greedy["ctc"]]
        return read

    def _generated(
        self, tracks: Tracks, present: Tracks, lengths: Tensor, config: GenerationConfig
    ) -> list[list[Words]]:
        found = self.model.generate(tracks, present, lengths, config)
        decode = self.vocabulary.decode
        return [
            [decode(ids) for ids, score in zip(beam, scores, strict=True) if np.isfinite(score)]
            for beam, scores in zip(found.glosses.tolist(), found.scores.tolist(), strict=True)
        ]

    def _log_probs(
        self, tracks: Tracks, present: Tracks, lengths: Tensor
    ) -> list[NDArray[np.float64]]:
        rows = self.model.ctc_log_probs(tracks, present, lengths).double().cpu().numpy()
        return [row[:frames] for row, frames in zip(rows, lengths.tolist(), strict=True)]
