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
        "read_with": "decoder" or "ctc", the reading by which best.ckpt was chosen,
        "generation": dataclasses.asdict(GenerationConfig), "ctc_beam": width, of the final score
    }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from chereme.decoding.generation import PAPER_GENERATION, GenerationConfig
from chereme.errors import InputError, UsageError
from chereme.metrics import UNRANKED, accuracy_interval, ranks
from chereme.metrics.translation import (
    gloss_edits,
    gloss_top_n,
    score_glosses,
    sentence_top_n,
)
from chereme.nn.configs import from_plain
from chereme.systems.signx.base_task import SentenceTask
from chereme.systems.signx.batch_decoder import BatchDecoder, Words
from chereme.systems.signx.data import SentenceBatch, SentenceData, Split
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.text.glosses import BOS, PAD, UNK, GlossVocabulary
from chereme.training.checkpoints import read_checkpoint
from chereme.training.optimiser import OptimiserConfig
from chereme.training.scoring import ended, run_facts

ReadWith = Literal["decoder", "ctc"]
# Table 2, stage I. Choice: of "2%-10% of total steps" the longest warm-up.
PAPER_OPTIMISER = OptimiserConfig(
    "adamw", 1e-3, 0.01, schedule="warmup_cosine", warm_up=0.1, floor=0.05
)
_TOP = 5
_HUGE = 1e4  # no weight of a network that learns; nor is NaN


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
        model = Pose2Gloss(from_plain(Pose2GlossConfig, about["config"]))
        model.load_state_dict(state)
        vocabulary = GlossVocabulary(tuple(about["tokens"]), about["units"])
    return SignXCheckpoint(model.eval(), vocabulary, about)


class Pose2GlossTask(SentenceTask):
    """Pose2Gloss, with its losses and their schedules over all steps of the training.

    The vocabulary is that of the training sentences, whatever ``config.decoder`` says of its size.
    What is watched is the word error rate on dev, read without a search.

    Args:
        config: the network and its losses; None: the paper's.
        optimiser: None: Table 2's.
        generation: of the final score; None: Table 2's.
        ctc_beam: width of the search in the final score of the CTC head.
        read_with: the reading by which the best weights are chosen; None: the decoder's where it is
            trained, else CTC.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.

    Raises:
        UsageError: ``read_with`` of a part that is not trained.
    """

    monitor = "dev/wer"

    def __init__(
        self,
        config: Pose2GlossConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        generation: GenerationConfig | None = None,
        ctc_beam: int = 5,
        read_with: ReadWith | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(save_every)
        self.model = Pose2Gloss(config or Pose2GlossConfig())
        self.optimiser = optimiser or PAPER_OPTIMISER
        self.ctc_beam = ctc_beam
        generation = generation or PAPER_GENERATION
        longest = min(generation.max_length, self.model.config.decoder.max_length)
        self.generation = replace(generation, max_length=longest)
        self.readers = self.model.config.readers
        self.read_with = self.readers[0] if read_with is None and self.readers else read_with
        if self.read_with not in self.readers:
            raise UsageError(
                f"read_with: expected what is trained ({', '.join(self.readers) or 'nothing is'}), "
                f"got {self.read_with!r}"
            )
        self._val_outputs: list[tuple[Sequence[Words], dict[str, list[Words]]]] = []

    # -- what the data asks ------------------------------------------------------------------------
    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks that the model reads."""
        return tuple(self.model.config.tracks.widths)

    @property
    def longest(self) -> int:
        """Glosses that a sentence may have."""
        return self.model.config.decoder.max_length

    @property
    def _data(self) -> SentenceData:
        data: SentenceData = super()._data
        return data

    def setup(self, stage: str) -> None:
        data, config = self._data, self.model.config
        if config.decoder.vocabulary != len(data.vocabulary):
            # Known from the data alone. A checkpoint that training goes on from fills it after.
            decoder = replace(config.decoder, vocabulary=len(data.vocabulary))
            self.model = Pose2Gloss(replace(config, decoder=decoder)).to(self.device)
        for name, (mean, std) in data.statistics.items():
            encoder = self.model.pose_encoder.track_encoder(name)
            encoder.set_statistics(torch.from_numpy(mean), torch.from_numpy(std))

    # -- training ----------------------------------------------------------------------------------
    def configure_optimizers(self) -> Any:
        return self.optimiser.build(self.parameters(), int(self.trainer.estimated_stepping_batches))

    @property
    def progress(self) -> float:
        """The share of all steps that is done, by which weights and teacher forcing go: the first
        step is at 0, the last at 1."""
        last = int(self.trainer.estimated_stepping_batches) - 1
        return min(1.0, self.trainer.global_step / last) if last > 0 else 1.0

    def training_step(self, batch: SentenceBatch, index: int) -> Tensor:
        forced = self.model.teacher_forcing(self.progress)
        out = self.model(
            batch.tracks, batch.present, batch.lengths, batch.glosses, teacher_forcing=forced
        )
        losses = self.model.losses(out, self.progress, batch.shown)
        self._check(losses.total, batch, ~out.logits.isfinite().flatten(1).all(1))
        # Else Lightning takes longer over them than a small network over its step.
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            values = {f"train/{name}": value.detach() for name, value in losses._asdict().items()}
            self.log_dict(values | {"train/forced": forced}, batch_size=len(batch.ids))
        return losses.total

    def _check(self, total: Tensor, batch: SentenceBatch, broken: Tensor) -> None:
        """InputError unless the loss is finite; ``broken (B,)``: sentences with NaN in the
        output."""
        if torch.isfinite(total):
            return
        names = [n for n, bad in zip(batch.ids, broken.tolist(), strict=True) if bad] or batch.ids
        diverged = not all(bool((p.abs() < _HUGE).all()) for p in self.parameters())
        raise InputError(
            f"step {self.global_step}: expected a finite loss, got {total.item()}, of the "
            f"sentences {', '.join(names)}; "
            + (
                "weights have diverged: lower the learning rate or clip gradients "
                "(trainer.gradient_clip_val)"
                if diverged
                else "look at these tracks, or train in full precision (trainer.precision=32)"
            )
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        data = self._data
        checkpoint["signx"] = {
            "kind": "pose2gloss",
            "config": asdict(self.model.config),
            "tokens": list(data.vocabulary.tokens),
            "units": data.vocabulary.units,
            "rate": data.rate,
            "read_with": self.read_with,
            "generation": asdict(self.generation),
            "ctc_beam": self.ctc_beam,
        }

    # -- reading -----------------------------------------------------------------------------------
    def validation_step(self, batch: SentenceBatch, index: int) -> None:
        read = self.reader.greedy(batch.tracks, batch.present, batch.lengths)
        self._val_outputs.append((batch.words, read))

    def on_validation_epoch_end(self) -> None:
        # Every process has read all sentences. The sanity check before training reads a few.
        true = [words for batch, _ in self._val_outputs for words in batch]
        for name in self.readers if true else ():
            found = score_glosses(
                true, [words for _, read in self._val_outputs for words in read[name]]
            )
            self.log(f"dev/wer_{name}", found.edits.error_rate)
            self.log(f"dev/bleu4_{name}", found.bleu[3])
            if name == self.read_with:
                self.log("dev/wer", found.edits.error_rate, prog_bar=True)
        self._val_outputs.clear()

    @property
    def reader(self) -> BatchDecoder:
        """The network, reading."""
        vocabulary = self._data.vocabulary
        return BatchDecoder(self.model, vocabulary, self.generation, self.ctc_beam)

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
            places = np.where(true[:count] == UNK, UNRANKED, ranks(row[:count], true[:count]))
            result.append(places.tolist())
        return result

    # -- the score ---------------------------------------------------------------------------------
    def score(self, split: Split) -> tuple[dict[str, Any] | None, list[dict[str, str]]]:
        """What ``metrics.json`` and ``readings.json`` say of a split. Of sentences without tracks
        no gloss is read."""
        self.model.eval()
        data, rows = self._data, []
        readings: dict[str, list[list[Words]]] = {}
        places: list[list[int]] = []
        whole = "decoder" in self.readers and data.vocabulary.units == "glosses"
        sentences = data.sentences[split]
        if not sentences:
            return None, []
        for batch in data.whole(split):
            moved = self.transfer_batch_to_device(batch, self.device, 0)
            val_outputs = self.reader.beam(moved.tracks, moved.present, moved.lengths)
            for name, beams in val_outputs.items():
                readings.setdefault(name, []).extend(beams)
            places += self.gloss_ranks(moved) if whole else []
        unread = data.unread[split]
        for beams in readings.values():
            beams += [[()] for _ in unread]
        sentences = [*sentences, *unread]
        true = [sentence.words for sentence in sentences]
        for number, sentence in enumerate(sentences):
            read = {name: " ".join(beams[number][0]) for name, beams in readings.items()}
            about = {"id": sentence.id, "signer": sentence.signer or "", "split": split}
            rows.append({**about, "glosses": " ".join(sentence.words), **read})
        result = {
            "sentences": len(sentences),
            "without_tracks": len(unread),
            "unseen_glosses": round(data.unseen(split), 2),
            **({f"gloss_top{_TOP}": round(gloss_top_n(places, _TOP), 2)} if whole else {}),
            **{name: gloss_figures(true, beams) for name, beams in readings.items()},
        }
        return result, rows

    def finish(self, output: Path, cli: Any) -> None:
        """Score ``best.ckpt`` (``last.ckpt`` where nothing was watched) on dev and test, and write
        ``metrics.json`` and ``readings.json``; nothing where training was cut off."""
        data = cli.datamodule
        if not ended(cli.trainer):
            return
        scored = self.scored(output)
        self.model = load_signx(output / scored).model.to(self.device)
        about = run_facts(self, output, cli) | {
            "kind": "pose2gloss",
            "scored": scored,
            "data": {"root": data.root, "layout": data.layout, "split_by": data.split_by}
            | ({} if data.split_by == "column" else {"fold": data.fold}),
            "training_sentences": len(data.sentences["train"]),
            "vocabulary": len(data.vocabulary),
            "tracks": list(data.statistics),
            "warnings": data.counts,
            "generation": asdict(self.generation),
            "ctc_beam": self.ctc_beam,
        }
        self.write_scores(output, about)


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
