"""Reading batches of pose tracks with a Pose2Gloss, for validation and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chereme.decoding import GlossWeights, LanguageModel, beam_search, ctc_log_likelihoods, greedy
from chereme.decoding.generation import GenerationConfig, decoder_log_likelihoods
from chereme.decoding.joint import Judged, Text, judge
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.text.glosses import GlossVocabulary

Words = tuple[str, ...]
Tracks = Mapping[str, Tensor]


@dataclass(frozen=True)
class BatchDecoder:
    """``generation`` of the decoder, ``ctc_beam`` of the CTC head, ``weights`` of both and of the
    language model ``lm``, None: without. What is not trained does not read."""

    model: Pose2Gloss
    vocabulary: GlossVocabulary
    generation: GenerationConfig
    ctc_beam: int
    weights: GlossWeights = field(default_factory=GlossWeights)
    lm: LanguageModel | None = None

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
            found = self._generated(tracks, present, lengths, plain)
            read["decoder"] = [self.vocabulary.decode(beam[0]) for beam in found]
        if "ctc" in self.readers:
            log_probs = self.log_probs(tracks, present, lengths)
            read["ctc"] = [self.vocabulary.decode(greedy(clip).symbols) for clip in log_probs]
        return read

    def beam(
        self, tracks: Tracks, present: Tracks, lengths: Tensor
    ) -> dict[str, list[list[Words]]]:
        """The hypotheses of each sentence, best first, by way of reading: ``beam`` and ``greedy``
        of the decoder, ``ctc`` and ``ctc_greedy`` of the CTC head, ``joint`` of both; ``ctc_lm``
        and ``joint_lm`` with the language model."""
        batch = (tracks, present, lengths)
        found: dict[str, list[list[Text]]] = {}
        if "decoder" in self.readers:
            found["beam"] = self._generated(*batch, self.generation)
        for way, reader in (("", replace(self, lm=None)), ("_lm", self)):
            if "ctc" not in self.readers or (way and self.lm is None):
                continue
            found[f"ctc{way}"] = reader._searched(self.log_probs(*batch))
            if "decoder" in self.readers:
                joint = reader.weights_used.joint
                judged = reader.judged(*batch)
                found[f"joint{way}"] = [one.best(joint) or [()] for one in judged]
        decode = self.vocabulary.decode
        read = {
            way: [[decode(ids) for ids in beam] for beam in all_] for way, all_ in found.items()
        }
        names = {"decoder": "greedy", "ctc": "ctc_greedy"}
        for reader_name, words in self.greedy(*batch).items():
            read[names[reader_name]] = [[one] for one in words]
        return read

    @property
    def weights_used(self) -> GlossWeights:
        """``weights``, as far as they are meant for a search without a language model if there is
        none."""
        return self.weights if self.lm is not None else self.weights.without_lm()

    def judged(self, tracks: Tracks, present: Tracks, lengths: Tensor) -> list[Judged]:
        """What decoder and CTC head put forward of each sentence, with what all say of it."""
        memory, mask = self._memory(tracks, present, lengths)
        log_probs = self.log_probs(tracks, present, lengths)
        generated = self._generated(tracks, present, lengths, self.generation)
        result = []
        for row, (clip, own, others) in enumerate(
            zip(log_probs, generated, self._searched(log_probs), strict=True)
        ):
            texts = list(dict.fromkeys([*own, *others]))
            result.append(
                judge(
                    texts,
                    ctc_log_likelihoods(clip, texts),
                    decoder_log_likelihoods(partial(self._logits, memory[row], mask[row]), texts),
                    self.lm,
                )
            )
        return result

    def log_probs(
        self, tracks: Tracks, present: Tracks, lengths: Tensor
    ) -> list[NDArray[np.float64]]:
        """``(T, V)`` of the CTC head, of each sentence."""
        rows = self.model.ctc_log_probs(tracks, present, lengths).double().cpu().numpy()
        return [row[:frames] for row, frames in zip(rows, lengths.tolist(), strict=True)]

    def _searched(self, log_probs: Sequence[NDArray[np.float64]]) -> list[list[Text]]:
        weights = self.weights_used
        search = partial(
            beam_search, width=self.ctc_beam, lm=self.lm, alpha=weights.alpha, beta=weights.beta
        )
        return [[hypothesis.symbols for hypothesis in search(clip)] for clip in log_probs]

    def _generated(
        self, tracks: Tracks, present: Tracks, lengths: Tensor, config: GenerationConfig
    ) -> list[list[Text]]:
        found = self.model.generate(tracks, present, lengths, config)
        return [
            [
                tuple(ids[:length])
                for ids, length, score in zip(beam, own, scores, strict=True)
                if np.isfinite(score)
            ]
            for beam, own, scores in zip(
                found.glosses.tolist(), found.lengths.tolist(), found.scores.tolist(), strict=True
            )
        ]

    @torch.no_grad()
    def _memory(self, tracks: Tracks, present: Tracks, lengths: Tensor) -> tuple[Tensor, Tensor]:
        latent, mask = self.model.latent(tracks, present, lengths)
        return self.model.decoder.read(latent), mask

    @torch.no_grad()
    def _logits(self, memory: Tensor, mask: Tensor, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """``(N, L, V)`` of what follows each of ``ids (N, L)``, of a sentence."""
        given = torch.from_numpy(ids).to(mask.device)
        many = (memory.expand(len(ids), -1, -1), mask.expand(len(ids), -1))
        logits: NDArray[np.float32] = self.model.decoder(given, *many).float().cpu().numpy()
        return logits
