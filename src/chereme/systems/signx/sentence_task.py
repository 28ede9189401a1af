"""What both stages of SignX have in common: how sentences are read, and the scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from chereme.datasets.sentences import Sentence
from chereme.decoding import GlossWeights, NGramLanguageModel
from chereme.decoding.generation import GenerationConfig
from chereme.systems.signx.batch_decoder import BatchDecoder, Words
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.text.glosses import GlossVocabulary
from chereme.training.optimiser import OptimiserConfig
from chereme.training.task import Task, write_metrics


class SentenceScores(Task):
    """A task on `SentenceData`, of which ``readings.json`` says what is read."""

    def scores(self, output: Path) -> dict[str, Any]:
        """Also writes what is read, ``readings.json``."""
        self._rows: list[dict[str, str]] = []
        found = super().scores(output)
        write_metrics(output / "readings.json", {"sentences": self._rows})
        return found

    def sentences(self, split: str) -> list[Sentence]:
        """The sentences of a split, at last those without tracks."""
        return [*self.data.sentences[split], *self.data.unread[split]]

    def add_readings(self, split: str, readings: Mapping[str, list[list[Words]]]) -> None:
        """Of sentences without tracks no gloss is read. The best hypothesis of each sentence of a
        split goes into ``readings.json``, by the name of the way in which it is read."""
        for beams in readings.values():
            beams += [[()] for _ in self.data.unread[split]]
        for number, sentence in enumerate(self.sentences(split)):
            read = {way: " ".join(beams[number][0]) for way, beams in readings.items()}
            about = {"id": sentence.id, "signer": sentence.signer or "", "split": split}
            self._rows.append({**about, "glosses": " ".join(sentence.words), **read})


class SentenceTask(SentenceScores):
    """A task that trains what SignX reads with.

    Args:
        pose2gloss: the network that reads tracks.
        optimiser, save_every: see `Task`.
        generation, ctc_beam: of the final score: how the decoder reads, and the width of the search
            of the CTC head.
        read_with: the reading that counts: "decoder" or "ctc".
        weights: of both in a joint reading, and of the language model.
    """

    entry, mode = "signx", "min"

    def __init__(
        self,
        pose2gloss: Pose2Gloss,
        optimiser: OptimiserConfig,
        generation: GenerationConfig,
        ctc_beam: int,
        read_with: str,
        save_every: int,
        weights: GlossWeights | None = None,
    ) -> None:
        super().__init__(optimiser, save_every)
        longest = min(generation.max_length, pose2gloss.config.decoder.max_length)
        self.generation = replace(generation, max_length=longest)
        self.ctc_beam, self.read_with = ctc_beam, read_with
        self.weights = weights or GlossWeights()
        self.longest = pose2gloss.config.decoder.max_length
        """Glosses that a sentence may have."""

    @property
    @abstractmethod
    def pose2gloss(self) -> Pose2Gloss:
        """The network that reads tracks."""

    @property
    @abstractmethod
    def vocabulary(self) -> GlossVocabulary:
        """Its glosses."""

    @property
    @abstractmethod
    def lm(self) -> NGramLanguageModel | None:
        """The language model of its sentences, if there is one."""

    @property
    def reader(self) -> BatchDecoder:
        """It, reading."""
        return BatchDecoder(
            self.pose2gloss,
            self.vocabulary,
            self.generation,
            self.ctc_beam,
            self.weights,
            self.lm,
        )

    def checkpoint_entry(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "config": asdict(self.pose2gloss.config),
            "tokens": list(self.vocabulary.tokens),
            "units": self.vocabulary.units,
            "rate": self.data.rate,
            "lm": None if self.lm is None else self.lm.arpa(),
            **self._reading,
        }

    @property
    def _reading(self) -> dict[str, Any]:
        generation = asdict(self.generation)
        return {
            "read_with": self.read_with,
            "generation": generation,
            "ctc_beam": self.ctc_beam,
            "weights": asdict(self.weights),
        }

    def facts(self) -> dict[str, Any]:
        return super().facts() | self._reading
