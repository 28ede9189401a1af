"""Training of SignX, stage I: Pose2Gloss, from pose tracks to glosses.

Paper: *SignX: The Foundation Model for Sign Recognition*, section 4.1 and Table 2. Settings are
files in ``configs/signx``.

What a checkpoint holds beside what Lightning writes is plain values and tensors:

    "state_dict": the weights under ``model.``, with mean and spread of the training tracks,
    "signx": {
        "kind": "pose2gloss",
        "config": dataclasses.asdict(Pose2GlossConfig),
        "tokens": list of the glosses or pieces, in the order of their ids, "units": which of both,
        "rate": frames a second that tracks are brought to, None: any,
        "lm": an n-gram model of the training sentences as ARPA, or None,
        "read_with": "decoder" or "ctc", the better on dev,
        "generation": dataclasses.asdict(GenerationConfig), "ctc_beam": width, of the final score,
        "weights": dataclasses.asdict(GlossWeights), tuned on dev when training is over
    }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from chereme.decoding import GlossWeights, NGramLanguageModel
from chereme.decoding.generation import PAPER_GENERATION, GenerationConfig
from chereme.decoding.joint import ALPHAS, BETAS, tune_joint
from chereme.decoding.tuning import tune
from chereme.errors import UsageError
from chereme.formats.strict import read_as
from chereme.metrics import UNRANKED, accuracy_interval, ranks
from chereme.metrics.translation import (
    gloss_edits,
    gloss_top_n,
    score_glosses,
    sentence_top_n,
)
from chereme.nn.checkpoint_files import load_tensors
from chereme.systems.signx.batch_decoder import Words
from chereme.systems.signx.data import SentenceBatch
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.systems.signx.sentence_task import SentenceTask
from chereme.text.glosses import BOS, PAD, UNK, GlossVocabulary
from chereme.training.checkpoints import read_checkpoint
from chereme.training.optimiser import OptimiserConfig

ReadWith = Literal["decoder", "ctc"]
# Table 2, stage I. Choice: of "2%-10% of total steps" the longest warm-up.
PAPER_OPTIMISER = OptimiserConfig(
    "adamw", 1e-3, 0.01, schedule="warmup_cosine", warm_up=0.1, floor=0.05
)
_TOP = 5


class SignXCheckpoint(NamedTuple):
    """A network ready to run, its glosses, and what else was written; see the top of the module."""

    model: Pose2Gloss
    vocabulary: GlossVocabulary
    about: Mapping[str, Any]


def load_signx(path: str | Path) -> SignXCheckpoint:
    """The network of a checkpoint of this module. Nothing but tensors and plain values is read.

    BundleError for anything else.
    """
    with read_checkpoint(path, "signx", "SignX") as (about, state):
        model = Pose2Gloss(read_as(Pose2GlossConfig, about["config"]))
        model.load_state_dict(state)
        vocabulary = GlossVocabulary(tuple(about["tokens"]), about["units"])
    return SignXCheckpoint(model.eval(), vocabulary, about)


def language_model_of(
    about: Mapping[str, Any], vocabulary: GlossVocabulary
) -> NGramLanguageModel | None:
    """That of a checkpoint, if it has one."""
    text = about.get("lm")
    return None if text is None else NGramLanguageModel.read_arpa(str(text), vocabulary.said)


class Pose2GlossTask(SentenceTask):
    """Pose2Gloss, with its losses and their schedules over all steps of the training.

    The vocabulary is that of the training sentences, whatever ``config.decoder`` says of its size.
    ``best.ckpt`` is chosen by the word error rate on dev, read without a search.

    Args:
        config: the network and its losses; None: the paper's.
        optimiser: None: Table 2's.
        generation: of the final score; None: Table 2's.
        ctc_beam: width of the search in the final score of the CTC head.
        read_with: the reading by which the best weights are chosen, and that of the model; None:
            the better one on dev, and without dev the decoder's where it is trained.
        lm_order: of the n-grams of the language model of the training sentences; 0: there is none.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.

    Raises:
        UsageError: ``read_with`` of a part that is not trained.
    """

    kind, monitor, load = "pose2gloss", "dev/wer", staticmethod(load_signx)
    model: Pose2Gloss

    def __init__(
        self,
        config: Pose2GlossConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        generation: GenerationConfig | None = None,
        ctc_beam: int = 5,
        read_with: ReadWith | None = None,
        save_every: int = 0,
        lm_order: int = 3,
    ) -> None:
        model = Pose2Gloss(config or Pose2GlossConfig())
        readers = model.config.readers
        self._chooses, self.lm_order = read_with is None, lm_order
        read_with = readers[0] if read_with is None and readers else read_with
        if read_with not in readers:
            raise UsageError(
                f"read_with: expected what is trained ({', '.join(readers) or 'nothing is'}), got "
                f"{read_with!r}"
            )
        super().__init__(
            model,
            optimiser or PAPER_OPTIMISER,
            generation or PAPER_GENERATION,
            ctc_beam,
            read_with,
            save_every,
        )
        self.model, self.readers = model, readers
        self._lm: NGramLanguageModel | None = None
        self._val_outputs: list[tuple[Sequence[Words], dict[str, list[Words]]]] = []

    @property
    def pose2gloss(self) -> Pose2Gloss:
        return self.model

    @property
    def vocabulary(self) -> GlossVocabulary:
        vocabulary: GlossVocabulary = self.data.vocabulary
        return vocabulary

    @property
    def lm(self) -> NGramLanguageModel | None:
        return self._lm

    # -- what the data asks ------------------------------------------------------------------------
    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks that the model reads."""
        return tuple(self.model.config.tracks.widths)

    def setup(self, stage: str) -> None:
        data, config = self.data, self.model.config
        if self.lm_order:
            self._lm = NGramLanguageModel.train(
                data.ids["train"], data.vocabulary.said, self.lm_order
            )
        if config.decoder.vocabulary != len(data.vocabulary):
            # Known from the data alone. A checkpoint that training goes on from fills it after.
            decoder = replace(config.decoder, vocabulary=len(data.vocabulary))
            self.model = Pose2Gloss(replace(config, decoder=decoder)).to(self.device)
        for name, (mean, std) in data.statistics.items():
            encoder = self.model.pose_encoder.track_encoder(name)
            encoder.set_statistics(torch.from_numpy(mean), torch.from_numpy(std))

    # -- training ----------------------------------------------------------------------------------
    @property
    def progress(self) -> float:
        """The fraction of all steps that is done, by which weights and teacher forcing go: 0 in the
        first step, 1 in the last."""
        last = int(self.trainer.estimated_stepping_batches) - 1
        return min(1.0, self.trainer.global_step / last) if last > 0 else 1.0

    def training_step(self, batch: SentenceBatch, index: int) -> Tensor:
        forced = self.model.teacher_forcing(self.progress)
        out = self.model(
            batch.tracks, batch.present, batch.lengths, batch.glosses, teacher_forcing=forced
        )
        losses = self.model.losses(out, self.progress, batch.shown)
        self.check_losses(losses._asdict(), batch.ids, out.logits)
        # Else Lightning takes longer over them than a small network over its step.
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            values = {f"train/{name}": value.detach() for name, value in losses._asdict().items()}
            self.log_dict(values | {"train/forced": forced}, batch_size=len(batch.ids))
        return losses.total

    # -- reading -----------------------------------------------------------------------------------
    def validation_step(self, batch: SentenceBatch, index: int) -> None:
        read = self.reader.greedy(batch.tracks, batch.present, batch.lengths)
        self._val_outputs.append((batch.words, read))

    def on_validation_epoch_end(self) -> None:
        # Every process has read all sentences. The sanity check before training reads a few.
        true = [words for batch, _ in self._val_outputs for words in batch]
        rates: dict[str, float] = {}
        for name in self.readers if true else ():
            found = score_glosses(
                true, [words for _, read in self._val_outputs for words in read[name]]
            )
            rates[name] = found.edits.error_rate
            self.log(f"dev/wer_{name}", rates[name])
            self.log(f"dev/bleu4_{name}", found.bleu[3])
        if rates and self._chooses:
            self.read_with = min(rates, key=lambda name: rates[name])
        if rates:
            self.log("dev/wer", rates[self.read_with], prog_bar=True)
        self._val_outputs.clear()

    @torch.no_grad()
    def gloss_ranks(self, batch: SentenceBatch) -> list[list[int]]:
        """Of each gloss of each sentence its rank, from 1, in what the decoder says after the true
        ones before it; ``UNRANKED`` for unknown ones."""
        latent, mask = self.model.latent(batch.tracks, batch.present, batch.lengths)
        decoder = self.model.decoder
        before = torch.nn.functional.pad(batch.glosses[:, :-1], (1, 0), value=BOS)
        logits = decoder(before, decoder.read(latent), mask).cpu().numpy()
        result = []
        for row, true in zip(logits, batch.glosses.cpu().numpy(), strict=True):
            count = int((true != PAD).sum())
            found = ranks(row[:count], true[:count])
            result.append(np.where(true[:count] == UNK, UNRANKED, found).tolist())
        return result

    # -- the score ---------------------------------------------------------------------------------
    def tune(self, checkpoint: Path) -> None:
        """The weights of the searches and, unless it was given, the reading of the model are those
        with the fewest edits on dev."""
        if "ctc" not in self.readers or not self.data.sentences["dev"]:
            return
        # What is unknown cannot be read right.
        wanted = [tuple(-1 if i == UNK else i for i in ids) for ids in self.data.ids["dev"]]
        batches = [batch[1:4] for batch in self.batches("dev")]
        log_probs = [clip for batch in batches for clip in self.reader.log_probs(*batch)]
        widths = (self.ctc_beam,)
        best = tune(log_probs, wanted, lm=self.lm, alphas=ALPHAS, betas=BETAS, widths=widths)[0]
        self.weights, edits = GlossWeights(best.alpha, best.beta), {"ctc": best.counts.edits}
        if "decoder" in self.readers:
            judged = [one for batch in batches for one in self.reader.judged(*batch)]
            joint, counts = tune_joint(judged, wanted)
            self.weights, edits["decoder"] = replace(self.weights, joint=joint), counts.edits
        if self._chooses:
            self.read_with = min(edits, key=lambda name: edits[name])
        whole = load_tensors(checkpoint)
        whole["signx"] |= self._reading
        part = checkpoint.with_suffix(".part")
        torch.save(whole, part)
        part.replace(checkpoint)

    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        data = self.data
        if not data.sentences[split]:
            return None
        whole = "decoder" in self.readers and data.vocabulary.units == "glosses"
        readings: dict[str, list[list[Words]]] = {}
        ranked: list[list[int]] = []
        for batch in self.batches(split):
            read = self.reader.beam(batch.tracks, batch.present, batch.lengths)
            for name, beams in read.items():
                readings.setdefault(name, []).extend(beams)
            ranked += self.gloss_ranks(batch) if whole else []
        self.add_readings(split, readings)
        sentences = self.sentences(split)
        true = [sentence.words for sentence in sentences]
        return {
            "sentences": len(sentences),
            "without_tracks": len(self.data.unread[split]),
            "unseen_glosses": round(data.unseen(split), 2),
            **({f"gloss_top{_TOP}": round(gloss_top_n(ranked, _TOP), 2)} if whole else {}),
            **{name: gloss_figures(true, beams) for name, beams in readings.items()},
        }


def gloss_figures(true: Sequence[Words], beams: Sequence[Sequence[Words]]) -> dict[str, Any]:
    """WER with its parts and a 95 % bootstrap over the different sentences, BLEU, best score and,
    of readings with several hypotheses, whether one of five is right; in per cent."""
    read = [beam[0] for beam in beams]
    found, counts = score_glosses(true, read), gloss_edits(true, read)
    low, high = accuracy_interval(counts, groups=list(true))
    result: dict[str, Any] = {
        "wer": round(found.edits.error_rate, 2),
        "wer_interval": [round(100 - high, 2), round(100 - low, 2)],
        "substitutions": found.edits.substitutions,
        "deletions": found.edits.deletions,
        "insertions": found.edits.insertions,
        "glosses": found.edits.reference_length,
        "mean_wer": round(found.mean_wer, 2),
        "bleu": [round(value, 2) for value in found.bleu],
        "sentence_bleu": [round(value, 2) for value in found.sentence_bleu],
        "best": round(found.best, 2),
        "exact": round(found.exact, 2),
    }
    if any(len(beam) > 1 for beam in beams):
        result[f"top{_TOP}"] = round(sentence_top_n(true, beams, _TOP), 2)
    return result
