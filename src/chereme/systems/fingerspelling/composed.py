"""Training of the fingerspelling recogniser on composed landmark recordings.

Clips are composed while training goes on (``chereme.synthesis.spelling``), each from a random
number generator seeded by (seed, epoch, worker), so a run repeats itself and a resumed run goes on
as the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from chereme.datasets.exemplars import MOVING, Exemplars
from chereme.datasets.words import ACOUSTIC_SHARES, TextSampler
from chereme.decoding import greedy
from chereme.errors import InputError, UsageError
from chereme.hands.normalise import FEATURES_PER_FRAME, landmark_features
from chereme.metrics import letter_accuracy
from chereme.synthesis.spelling import SpelledClip, Speller
from chereme.systems.fingerspelling.encoders import LandmarkEncoder
from chereme.systems.fingerspelling.losses import LossConfig, fingerspelling_losses, infeasible
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.text import ASL_LETTERS


@dataclass
class Batch:
    """``frames (B, T, F)`` and ``targets (B, L)`` padded with zeros, and their lengths ``(B,)``."""

    frames: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: list[str]


def collate(clips: list[tuple[np.ndarray, str]]) -> Batch:
    """``(features (T, F), text)`` pairs -> ``Batch``."""
    frames = [torch.from_numpy(features) for features, _ in clips]
    targets = [torch.tensor(ASL_LETTERS.encode(text), dtype=torch.long) for _, text in clips]
    return Batch(
        pad_sequence(frames, batch_first=True),
        torch.tensor([len(f) for f in frames]),
        pad_sequence(targets, batch_first=True) if any(map(len, targets)) else _empty(targets),
        torch.tensor([len(t) for t in targets]),
        [text for _, text in clips],
    )


def _empty(targets: list[Tensor]) -> Tensor:
    return torch.zeros(len(targets), 1, dtype=torch.long)


@dataclass
class ClipShares:
    """What clips show if not a spelled text: a still letter, or a hand that spells nothing."""

    still: float = 0.05
    idle: float = 0.06


def compose_clip(
    speller: Speller, texts: TextSampler, rng: np.random.Generator, shares: ClipShares
) -> SpelledClip:
    """One clip: a spelled text, a still letter, or an idle hand."""
    kind = rng.random()
    if kind < shares.idle:
        return speller.idle(rng)
    if kind < shares.idle + shares.still:
        letters = [c for c in speller.letters if c not in MOVING]
        return speller.still(str(rng.choice(letters)), rng, rng.uniform(0.3, 1.0))
    return speller.spell(texts.sample(rng), rng)


class ComposedClips(IterableDataset[Batch]):
    """``steps`` batches, each of clips of similar length."""

    pool = 6  # batches composed together and sorted by length, so that little is padding

    def __init__(
        self, speller: Speller, *, steps: int, batch_size: int, rate: float, seed: int, epoch: int
    ) -> None:
        self.speller, self.steps, self.batch_size = speller, steps, batch_size
        self.rate, self.seed, self.epoch = rate, seed, epoch
        self.texts = TextSampler(shares=ACOUSTIC_SHARES, split="train", max_length=12)
        self.shares = ClipShares()

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        rng = np.random.default_rng([self.seed, self.epoch, worker])
        left = self.steps // workers + (worker < self.steps % workers)
        while left > 0:
            clips = []
            for _ in range(self.pool * self.batch_size):
                clip = compose_clip(self.speller, self.texts, rng, self.shares)
                clips.append((landmark_features(clip.track, self.rate)[0], clip.text))
            clips.sort(key=lambda c: len(c[0]))
            for k in rng.permutation(self.pool)[:left]:
                yield collate(clips[k * self.batch_size : (k + 1) * self.batch_size])
                left -= 1


class FingerspellingData(lightning.LightningDataModule):
    """Composed training clips, and a fixed set of composed clips of other signers to watch.

    Args:
        exemplars: file made by ``chereme prepare exemplars``.
        held_out: signers whose hands training never sees; the watched clips are made of them alone.
            Empty: train on all, watch fresh clips of the same hands (not a measure of accuracy).
        rate: samples per second of the network.
    """

    def __init__(
        self,
        exemplars: str,
        held_out: list[str] | None = None,
        batch_size: int = 32,
        steps_per_epoch: int = 500,
        watched_clips: int = 256,
        rate: float = 30.0,
        workers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.path, self.held_out = exemplars, tuple(held_out or ())
        self.batch_size, self.steps = batch_size, steps_per_epoch
        self.watched_clips, self.rate, self.workers, self.seed = watched_clips, rate, workers, seed

    def setup(self, stage: str | None = None) -> None:
        exemplars = Exemplars.load(self.path)
        unknown = set(self.held_out) - set(exemplars.signer.tolist())
        if unknown:
            raise UsageError(
                f"held_out: expected signers of {self.path} ("
                f"{', '.join(sorted(set(exemplars.signer.tolist())))}), got {', '.join(unknown)}"
            )
        self.speller = Speller(exemplars.select(without=self.held_out))
        others = exemplars.select(only=self.held_out) if self.held_out else exemplars
        self.watched = held_out_clips(others, self.watched_clips, self.rate)

    def train_dataloader(self) -> Any:
        epoch = self.trainer.current_epoch if self.trainer else 0
        clips = ComposedClips(
            self.speller,
            steps=self.steps,
            batch_size=self.batch_size,
            rate=self.rate,
            seed=self.seed,
            epoch=epoch,
        )
        return DataLoader(clips, batch_size=None, num_workers=self.workers)

    def val_dataloader(self) -> Any:
        batches = [self.watched[i : i + 32] for i in range(0, len(self.watched), 32)]
        return DataLoader([collate(b) for b in batches], batch_size=None)  # type: ignore[arg-type]

    def some_frames(self, clips: int = 300) -> Tensor:
        """``(N, F)`` features of frames with a hand, for the encoder's mean and spread."""
        rng = np.random.default_rng([self.seed, 1 << 20])
        texts = TextSampler(shares=ACOUSTIC_SHARES, split="train", max_length=12)
        frames = [
            landmark_features(compose_clip(self.speller, texts, rng, ClipShares()).track, self.rate)
            for _ in range(clips)
        ]
        every = np.concatenate([features for features, _ in frames])
        return torch.from_numpy(every[every[:, -1] > 0])


def held_out_clips(
    exemplars: Exemplars, count: int, rate: float, seed: int = 12345
) -> list[tuple[np.ndarray, str]]:
    """``(features, text)`` of words that training does not draw, spelled by other hands.

    A hand of which some letters are not known (J and Z, mostly) spells the words it can.
    """
    speller, rng = Speller(exemplars), np.random.default_rng(seed)
    texts = TextSampler(shares=ACOUSTIC_SHARES, split="held_out", max_length=12)
    clips: list[tuple[np.ndarray, str]] = []
    for _ in range(200 * count):
        if len(clips) == count:
            return clips
        text = texts.sample(rng)
        if set(text) <= set(speller.letters):
            clips.append((landmark_features(speller.spell(text, rng).track, rate)[0], text))
    raise InputError(
        f"expected exemplars of most letters, got {speller.letters!r}: too few words can be spelled"
    )


class FingerspellingTask(lightning.LightningModule):
    """Losses, optimiser and metrics: AdamW with a one-cycle rate over all steps.

    Choice: the paper's Adam at 1e-4 for 40 epochs of batch 2 is for images of a fixed corpus;
    composed landmark clips are endless and cheap, so larger batches and one cycle converge in fewer
    steps.
    """

    def __init__(
        self,
        config: FingerspellingConfig | None = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        kd_weight: float = 1.0,
        temperature: float = 2.0,
    ) -> None:
        super().__init__()
        config = config or FingerspellingConfig()
        if config.stream != "landmarks":
            raise UsageError(
                "stream: expected landmarks, which is what composed clips are made of, got "
                f"{config.stream!r}"
            )
        if config.landmarks.features_per_frame != FEATURES_PER_FRAME:
            raise UsageError(
                f"features_per_frame: expected {FEATURES_PER_FRAME}, the width of "
                f"landmark_features, got {config.landmarks.features_per_frame}"
            )
        self.save_hyperparameters(ignore="config")
        self.config = config
        self.losses = LossConfig(kd_weight=kd_weight, temperature=temperature)
        self.model = FingerspellingRecognizer(config)
        self.val_outputs: list[tuple[str, str]] = []

    def configure_callbacks(self) -> list[ModelCheckpoint]:
        # In the output folder: last.ckpt, replaced after each epoch, from which a run goes on.
        # (save_last with save_top_k=0 would write it once, when all is done.)
        folder = self.trainer.default_root_dir
        return [
            ModelCheckpoint(
                folder, "last", enable_version_counter=False, save_on_train_epoch_end=True
            )
        ]

    def on_fit_start(self) -> None:
        self.seed = torch.initial_seed()
        if self.trainer.global_step == 0:
            frames = self.trainer.datamodule.some_frames()  # type: ignore[attr-defined]
            assert isinstance(self.model.encoder, LandmarkEncoder)
            self.model.encoder.set_statistics(frames.to(self.device))

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        # So that dropout, too, is the same in a run that was resumed.
        torch.manual_seed(self.seed + self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Plain values, so that a checkpoint can be read without unpickling any object.
        rate = self.trainer.datamodule.rate  # type: ignore[attr-defined]
        checkpoint["recognizer"] = {"config": asdict(self.config), "rate": rate}

    def training_step(self, batch: Batch, index: int) -> Tensor:
        sequence, visual, lengths = self.model(batch.frames, batch.lengths)
        assert lengths is not None
        losses = fingerspelling_losses(
            sequence, visual, lengths, batch.targets, batch.target_lengths, self.losses
        )
        values = {f"train/{name}": value.detach() for name, value in losses._asdict().items()}
        # The share of clips too short for their text: they teach nothing.
        too_short = infeasible(lengths, batch.targets, batch.target_lengths)
        values["train/infeasible"] = too_short.float().mean()
        self.log_dict(values, batch_size=len(batch.lengths))
        return losses.total

    def validation_step(self, batch: Batch, index: int) -> None:
        sequence, _, lengths = self.model(batch.frames, batch.lengths)
        assert lengths is not None
        log_probs = sequence.log_softmax(-1).double().cpu().numpy()
        for row, length, text in zip(log_probs, lengths.tolist(), batch.texts, strict=True):
            self.val_outputs.append((text, ASL_LETTERS.decode(greedy(row[:length]).symbols)))

    def on_validation_epoch_end(self) -> None:
        result = letter_accuracy([r for r, _ in self.val_outputs], [h for _, h in self.val_outputs])
        self.log("dev/letter_accuracy", result.accuracy, prog_bar=True)
        writer: Any = getattr(self.logger, "experiment", None)
        if hasattr(writer, "add_text"):
            lines = "\n".join(f"    {r} -> {h}" for r, h in self.val_outputs[:20])
            writer.add_text("dev/decoded", lines, self.global_step)
        self.val_outputs.clear()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(
            self.parameters(),
            lr=self.hparams["learning_rate"],
            weight_decay=self.hparams["weight_decay"],
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.hparams["learning_rate"],
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.15,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
