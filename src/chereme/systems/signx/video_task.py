"""Training of SignX, stage II: Video2Pose, from pictures to the tracks that a Pose2Gloss reads.

Paper: *SignX: The Foundation Model for Sign Recognition*, section 4.2 and Table 2. Settings are
files in ``configs/signx``.

What a checkpoint holds beside what Lightning writes is plain values and tensors:

    "state_dict": the weights of the whole `Video2Gloss`, the frozen Pose2Gloss too, under
        ``model.``,
    "signx": {
        "kind": "video2gloss",
        "video2pose": dataclasses.asdict(Video2PoseConfig),
        "config", "tokens", "units", "rate", "lm", "read_with", "generation", "ctc_beam",
            "weights": as in `chereme.systems.signx.task`, of Pose2Gloss
    }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from chereme.decoding import GlossWeights, NGramLanguageModel
from chereme.decoding.generation import PAPER_GENERATION, GenerationConfig
from chereme.formats.strict import read_as
from chereme.metrics.translation import score_glosses
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.systems.signx.sentence_task import SentenceTask
from chereme.systems.signx.task import gloss_figures, language_model_of, load_signx
from chereme.systems.signx.track_errors import TrackErrors
from chereme.systems.signx.video2pose import Video2Gloss, Video2PoseConfig
from chereme.systems.signx.video_data import VideoBatch
from chereme.text.glosses import GlossVocabulary
from chereme.training.checkpoints import read_checkpoint
from chereme.training.optimiser import OptimiserConfig

Words = tuple[str, ...]
# Table 2, stage II: with it 300 epochs of batches of 32, gradients of at most 1, and an
# "accumulation" of 0, which is 1 batch a step here.
PAPER_OPTIMISER = OptimiserConfig(
    "adamw", 1e-3, 0.01, schedule="warmup_cosine", warm_up=0.1, floor=0.01
)
_WAYS = ("true_tracks", "video")


class Video2GlossCheckpoint(NamedTuple):
    """A network ready to run, its glosses, and what else was written; see the top of the module."""

    model: Video2Gloss
    vocabulary: GlossVocabulary
    about: Mapping[str, Any]


def load_video2gloss(path: str | Path) -> Video2GlossCheckpoint:
    """The network of a checkpoint of this module. Nothing but tensors and plain values is read.

    BundleError for anything else.
    """
    with read_checkpoint(path, "signx", "stage II of SignX") as (about, state):
        config = read_as(Video2PoseConfig, about["video2pose"])
        # All weights are in the file: none are to be looked for elsewhere.
        pose2gloss = Pose2Gloss(read_as(Pose2GlossConfig, about["config"]))
        model = Video2Gloss(replace(config, weights="scratch"), pose2gloss)
        model.load_state_dict(state)
        vocabulary = GlossVocabulary(tuple(about["tokens"]), about["units"])
    return Video2GlossCheckpoint(model.eval(), vocabulary, about)


class Video2PoseTask(SentenceTask):
    """Video2Pose before a Pose2Gloss that stays as it is, with the loss of Eq. 13.

    ``best.ckpt`` is chosen by that loss on dev; beside it stand the word error rates of Pose2Gloss
    on the tracks of Video2Pose and on the true ones.

    Args:
        pose2gloss: a checkpoint of stage I.
        config: Video2Pose; None: ours, with a ViT-B/16.
        optimiser: None: Table 2's.
        generation, ctc_beam: of the final score; None: those of the checkpoint.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.

    Raises:
        BundleError: a file that is no checkpoint of stage I.
    """

    kind, monitor, load = "video2gloss", "dev/loss", staticmethod(load_video2gloss)
    batch = "batch_frames"
    model: Video2Gloss

    def __init__(
        self,
        pose2gloss: str,
        config: Video2PoseConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        generation: GenerationConfig | None = None,
        ctc_beam: int | None = None,
        save_every: int = 0,
    ) -> None:
        network, vocabulary, about = load_signx(pose2gloss)
        stored = about.get("generation")
        super().__init__(
            network,
            optimiser or PAPER_OPTIMISER,
            generation or (GenerationConfig(**stored) if stored else PAPER_GENERATION),
            ctc_beam or int(about.get("ctc_beam", 5)),
            str(about["read_with"]),
            save_every,
            read_as(GlossWeights, about["weights"]) if "weights" in about else None,
        )
        self._lm = language_model_of(about, vocabulary)
        self.model = Video2Gloss(config or Video2PoseConfig(), network)
        self._vocabulary = vocabulary
        self._read: dict[str, list[Words]] = {}
        self._true: list[Words] = []
        self._loss = self._errors()

    @property
    def pose2gloss(self) -> Pose2Gloss:
        return self.model.pose2gloss

    @property
    def vocabulary(self) -> GlossVocabulary:
        return self._vocabulary

    @property
    def lm(self) -> NGramLanguageModel | None:
        return self._lm

    # -- what the data asks ------------------------------------------------------------------------
    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks that are predicted."""
        return tuple(self.model.video2pose.widths)

    @property
    def image_size(self) -> int:
        """Pixels of a side of the pictures."""
        return int(self.model.video2pose.config.vit.image_size)

    def setup(self, stage: str) -> None:
        for name, known in self.data.known.items():
            self.model.set_known(name, torch.from_numpy(known))

    def _errors(self) -> TrackErrors:
        encoder = self.model.pose2gloss.pose_encoder.track_encoder
        return TrackErrors({name: encoder(name).std for name in self.tracks})

    # -- training ----------------------------------------------------------------------------------
    def predicted(self, batch: VideoBatch) -> dict[str, Tensor]:
        """The tracks ``(B, T, W)`` that the pictures of a batch show."""
        tracks: dict[str, Tensor] = self.model(batch.frames.float() / 255, batch.sentences.lengths)
        return tracks

    def training_step(self, batch: VideoBatch, index: int) -> Tensor:
        sentences = batch.sentences
        tracks = self.predicted(batch)
        loss: Tensor = self.model.reconstruction_loss(tracks, sentences.tracks, sentences.present)
        self.check_losses({"total": loss}, sentences.ids, torch.cat([*tracks.values()], -1))
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.log("train/loss", loss.detach(), batch_size=len(sentences.ids))
        return loss

    def checkpoint_entry(self) -> dict[str, Any]:
        video2pose = asdict(self.model.video2pose.config)
        return super().checkpoint_entry() | {"video2pose": video2pose}

    # -- reading -----------------------------------------------------------------------------------
    def both_tracks(self, batch: VideoBatch) -> dict[str, tuple[dict[str, Tensor], ...]]:
        """Tracks and the frames in which they are present: the true ones, and those of the video,
        which are present everywhere."""
        sentences = batch.sentences
        seen = self.predicted(batch)
        every = next(iter(seen.values())).new_ones(batch.frames.shape[:2], dtype=torch.bool)
        ways = ((sentences.tracks, sentences.present), (seen, dict.fromkeys(seen, every)))
        return dict(zip(_WAYS, ways, strict=True))

    @torch.no_grad()
    def validation_step(self, batch: VideoBatch, index: int) -> None:
        both = self.both_tracks(batch)
        self._loss.add(both["video"][0], batch.sentences)
        self._true += batch.sentences.words
        with torch.autocast(self.device.type, enabled=False):
            for way, (tracks, present) in both.items():
                read = self.reader.greedy(tracks, present, batch.sentences.lengths)
                self._read.setdefault(way, []).extend(read[self.read_with])

    def on_validation_epoch_end(self) -> None:
        # Every process has read all sentences. The sanity check before training reads a few.
        if self._true:
            self.log("dev/loss", self._loss.loss, prog_bar=True)
            for name, value in self._loss.figures().items():
                self.log(f"dev/{name}", value)
            for way, read in self._read.items():
                wer = score_glosses(self._true, read).edits.error_rate
                self.log(f"dev/wer_{way}", wer, prog_bar=True)
        self._read, self._true, self._loss = {}, [], self._errors()

    # -- the score ---------------------------------------------------------------------------------
    @torch.no_grad()
    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        errors = self._errors()
        if not self.data.sentences[split]:
            return None
        found: dict[str, dict[str, list[list[Words]]]] = {way: {} for way in _WAYS}
        for batch in self.batches(split):
            both = self.both_tracks(batch)
            errors.add(both["video"][0], batch.sentences)
            for way, (tracks, present) in both.items():
                read = self.reader.beam(tracks, present, batch.sentences.lengths)
                for name, beams in read.items():
                    found[way].setdefault(name, []).extend(beams)
        self.add_readings(
            split,
            {
                f"{way}/{name}": beams
                for way, readings in found.items()
                for name, beams in readings.items()
            },
        )
        sentences = self.sentences(split)
        true = [sentence.words for sentence in sentences]
        return {
            "sentences": len(sentences),
            "without_tracks": len(self.data.unread[split]),
            "signers": len({sentence.signer for sentence in sentences}),
            "loss": round(errors.loss, 4),
            "errors": {name: round(value, 4) for name, value in errors.figures().items()},
            **{
                way: {name: gloss_figures(true, beams) for name, beams in readings.items()}
                for way, readings in found.items()
            },
        }

    def facts(self) -> dict[str, Any]:
        learnt = sum(p.numel() for p in self.model.video2pose.parameters())
        return super().facts() | {"parameters": learnt}
