"""Training of system B, the hand-model-aware recogniser of isolated signs, and of its partners.

Paper: *Hand-Model-Aware Sign Language Recognition*, "Objective Function & Inference" and
"Implementation Details". The rows of its ablations are files in ``configs/hand_aware``.

What a checkpoint holds beside what Lightning writes is plain values and tensors:

    "state_dict": the weights under ``model.``,
    "hand_aware": {
        "kind": "hands", "hand_keypoints", "keypoints" or "frames",
        "config": dataclasses.asdict of the network's config,
        "size": side of its pictures in pixels, None where it reads none,
        "frames": of a clip that are read, "sampling": how they are chosen,
        "rate": frames a second of the training clips,
        "classes": list of the glosses, in the order of the logits,
        "crop": of "hands" alone, how the crops were cut out (``chereme.training.shards.crop_of``)
    }
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import InputError
from chereme.metrics import top_k
from chereme.nn.configs import from_plain
from chereme.nn.resnet3d import ResNet3dConfig
from chereme.nn.resnet_weights import load_resnet_weights
from chereme.nn.st_gcn import StGcnConfig
from chereme.systems.hand_aware.baselines import (
    HandKeypointConfig,
    HandKeypointRecognizer,
    KeypointConfig,
    KeypointRecognizer,
    RgbConfig,
    RgbRecognizer,
)
from chereme.systems.hand_aware.data import SignBatch, SignData, SignInputs
from chereme.systems.hand_aware.losses import LossConfig, hand_aware_losses
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer
from chereme.systems.signbert.data import Split
from chereme.training.checkpoints import LastCheckpoint, read_checkpoint
from chereme.training.isolated_scoring import (
    TOP,
    Predictions,
    Reprojection,
    places_of,
    score_glosses,
    score_reprojection,
)
from chereme.training.optimiser import OptimiserConfig, PlateauConfig
from chereme.training.scoring import ended, run_facts, write_metrics
from chereme.training.shards import crop_of

Recognizer = HandAwareRecognizer | HandKeypointRecognizer | KeypointRecognizer | RgbRecognizer
_HUGE = 1e4  # no weight of a network that learns; nor is NaN


class HandAwareCheckpoint(NamedTuple):
    """A network ready to run, and what else was written; see the top of the module."""

    model: Recognizer
    about: Mapping[str, Any]


def recognizer_of(kind: str, config: Mapping[str, Any]) -> Recognizer:
    """The network of a kind and of ``dataclasses.asdict`` of its config, its weights random."""
    if kind == "hands":
        return HandAwareRecognizer(from_plain(HandAwareConfig, config))
    if kind == "frames":
        resnet = ResNet3dConfig(**config["resnet"])
        return RgbRecognizer(RgbConfig(**{**config, "resnet": resnet}))
    values = {**config, "graph": StGcnConfig(**config["graph"])}
    if kind == "hand_keypoints":
        return HandKeypointRecognizer(HandKeypointConfig(**values))
    if kind == "keypoints":
        return KeypointRecognizer(KeypointConfig(**values))
    raise ValueError(f"unknown kind {kind!r}")


def load_hand_aware(path: str | Path) -> HandAwareCheckpoint:
    """The network of a checkpoint of this module. Nothing but tensors and plain values is read.

    BundleError for anything else.
    """
    of = "the hand-model-aware recogniser or of a partner"
    with read_checkpoint(path, "hand_aware", of) as (about, state):
        model = recognizer_of(about["kind"], about["config"])
        model.load_state_dict(state)
    return HandAwareCheckpoint(model.eval(), about)


class _Task(lightning.LightningModule):
    """Clips to glosses. The glosses are those of the training clips (``SignData.classes``),
    whatever the network's config says of their number."""

    kind: str
    inputs: SignInputs
    model: Recognizer

    def __init__(
        self, optimiser: OptimiserConfig | None, plateau: PlateauConfig | None, save_every: int
    ) -> None:
        super().__init__()
        self.optimiser, self.plateau = optimiser or OptimiserConfig(), plateau
        self.save_every = save_every
        self._val_outputs: list[tuple[np.ndarray, Reprojection | None]] = []
        self._schedule: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._schedule_before: dict[str, Any] | None = None

    # -- what a kind of network does ---------------------------------------------------------------
    @abstractmethod
    def logits(self, batch: SignBatch) -> Tensor:
        """``(B, K)``."""

    def losses(self, batch: SignBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the losses by their names; ``total`` is what is minimised."""
        logits = self.logits(batch).float()
        return logits, {"total": F.cross_entropy(logits, batch.classes)}

    def read(self, batch: SignBatch) -> tuple[Tensor, Reprojection | None]:
        """Logits, and how near the hands are, where the network makes any."""
        return self.logits(batch), None

    # -- training ----------------------------------------------------------------------------------
    @property
    def _data(self) -> SignData:
        data: SignData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def setup(self, stage: str) -> None:
        classes = len(self._data.classes)
        if self.model.config.classes != classes:
            # Known from the data alone. A checkpoint that training goes on from fills it after.
            self.model.config = cast(Any, replace(self.model.config, classes=classes))
            width = self.model.classifier.in_features
            self.model.classifier = nn.Linear(width, classes).to(self.device)

    def configure_callbacks(self) -> list[ModelCheckpoint]:
        folder = self.trainer.default_root_dir
        best = ModelCheckpoint(
            folder, "best", monitor="dev/top1", mode="max", enable_version_counter=False
        )
        return [best, LastCheckpoint(folder, self.save_every)]

    def configure_optimizers(self) -> Any:
        if self.plateau is None:
            steps = int(self.trainer.estimated_stepping_batches)
            return self.optimiser.build(self.parameters(), steps)
        # Lightning would not let it know of the loss of an epoch in which a run was resumed.
        optimizer, self._schedule = self.plateau.build(self.parameters())
        return optimizer

    def on_fit_start(self) -> None:
        self.seed = torch.initial_seed()

    def on_train_start(self) -> None:
        if self._schedule is not None and self._schedule_before is not None:
            self._schedule.load_state_dict(self._schedule_before)

    def on_train_batch_start(self, batch: SignBatch, index: int) -> None:
        # So that dropout, too, is the same in a run that was resumed.
        trainer = self.trainer
        step = trainer.global_step * trainer.world_size + trainer.global_rank
        torch.manual_seed(self.seed + step)

    def training_step(self, batch: SignBatch, index: int) -> Tensor:
        logits, losses = self.losses(batch)
        total = losses["total"]
        if not torch.isfinite(total):
            raise InputError(self._diverged(batch, logits, total))
        right = (logits.argmax(1) == batch.classes).float().mean()
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict({**values, "train/top1": 100 * right}, batch_size=len(batch.ids))
        return total

    def _diverged(self, batch: SignBatch, logits: Tensor, total: Tensor) -> str:
        whole = logits.isfinite().all(1).tolist()
        broken = [n for n, good in zip(batch.ids, whole, strict=True) if not good]
        diverged = not all(bool((p.abs() < _HUGE).all()) for p in self.parameters())
        return (
            f"step {self.global_step}: expected a finite loss, got {total.item()}, of the clips "
            f"{', '.join(broken or batch.ids)}; "
            + (
                "weights have diverged: lower the learning rate or clip gradients "
                "(trainer.gradient_clip_val)"
                if diverged
                else "look at these clips, or train in full precision (trainer.precision=32)"
            )
        )

    # -- watching ----------------------------------------------------------------------------------
    def _read(self, batch: SignBatch) -> tuple[np.ndarray, Reprojection | None]:
        # Choice: in full precision whatever training is in.
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            logits, near = self.read(batch)
        return logits.float().cpu().numpy(), near

    def validation_step(self, batch: SignBatch, index: int) -> None:
        self._val_outputs.append(self._read(batch))

    def on_validation_epoch_end(self) -> None:
        # Every process has read all clips. The sanity check before training reads a few.
        logits = np.concatenate([logits for logits, _ in self._val_outputs])
        labels = [entry.label for entry in self._data.entries("dev")][: len(logits)]
        self._watch_loss(logits, labels)
        places = places_of(logits, labels, self._data.classes)
        for k in TOP:
            found = top_k(places, labels, k)
            self.log(f"dev/top{k}", found.per_instance, prog_bar=k == 1)
            self.log(f"dev/top{k}_class", found.per_class)
        near = score_reprojection([n for _, n in self._val_outputs if n], self.inputs.size or 0)
        if near is not None:
            self.log("dev/reprojection_pixels", near["pixels"], prog_bar=True)
        self._val_outputs.clear()

    def _watch_loss(self, logits: np.ndarray, labels: Sequence[str]) -> None:
        """Of the clips whose gloss is known."""
        column = {name: number for number, name in enumerate(self._data.classes)}
        rows = [row for row, label in enumerate(labels) if label in column]
        if not rows:
            return
        truth = torch.tensor([column[labels[row]] for row in rows])
        loss = F.cross_entropy(torch.from_numpy(logits[rows]), truth).item()
        self.log("dev/loss", loss)
        if self._schedule is not None and not self.trainer.sanity_checking:
            self._schedule.step(loss)

    # -- results -----------------------------------------------------------------------------------
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._schedule_before = checkpoint.get("plateau")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._schedule is not None:
            checkpoint["plateau"] = self._schedule.state_dict()
        data = self._data
        checkpoint["hand_aware"] = {
            "kind": self.kind,
            "config": asdict(self.model.config),
            "size": self.inputs.size,
            "frames": data.frames,
            "sampling": data.sampling,
            "rate": data.rate,
            "classes": list(data.classes),
        }
        if self.kind == "hands":
            checkpoint["hand_aware"]["crop"] = crop_of(data.folders("train"))

    def score(self, split: Split) -> tuple[dict[str, Any], Predictions] | None:
        """What ``metrics.json`` says of a split, and the predictions; None where it has no clips.

        ``reprojection`` is against the true joints, or where these are not known the detected ones
        of which the detector was sure.
        """
        self.model.eval()
        entries = self._data.entries(split)
        if not entries:
            return None
        read, times = [], []
        for batch in self._data.whole(split):
            moved = self.transfer_batch_to_device(batch, self.device, 0)
            began = time.perf_counter()
            read.append(self._read(moved))
            times.append((time.perf_counter() - began) / max(1, int(batch.mask.sum())))
        logits = np.concatenate([one for one, _ in read])
        classes = self._data.classes
        said = Predictions.of(entries, classes, logits)
        places, dropped = places_of(logits, said.labels, classes), self._data.dropped(split)
        result = score_glosses(places, entries, classes, dropped)
        result["ms_per_frame"] = round(1e3 * float(np.median(times)), 3)
        near = score_reprojection([n for _, n in read if n], self.inputs.size or 0)
        if near is not None:
            result["reprojection"] = near
        return result, said

    def described(self) -> dict[str, Any]:
        """What ``metrics.json`` says of how this task was set."""
        return {}

    def finish(self, output: Path, cli: Any) -> None:
        """Score ``best.ckpt`` on dev and test, and write ``metrics.json`` and the predictions,
        ``dev.npz`` and ``test.npz``; nothing where training was cut off."""
        data = cli.datamodule
        if not ended(cli.trainer):
            return
        self.model = load_hand_aware(output / "best.ckpt").model.to(self.device)
        about = run_facts(self, output, cli) | {
            "kind": self.kind,
            "data": {split: data.folders(split) for split in ("train", "dev", "test")},
            "training_clips": len(data.places["train"]),
            "training_signers": len({entry.signer for entry in data.entries("train")} - {""}),
            "glosses": len(data.classes),
            "frames": data.frames,
            "sampling": data.sampling,
            **self.described(),
        }
        splits: tuple[Split, ...] = ("dev", "test")
        for split in splits:
            found = self.score(split)
            about[split] = None if found is None else found[0]
            if found is not None:
                found[1].save(output / f"{split}.npz")
        write_metrics(output / "metrics.json", about)


# -- hands -----------------------------------------------------------------------------------------
class HandAwareTask(_Task):
    """System B: crops of hands, through a model of the hand, to a gloss ("Ours (Hand)").

    Args:
        config: the network.
        losses: weights and readings of ``l_spa``, ``l_tem`` and ``l_reg``; a term whose weight is 0
            teaches nothing and is still shown.
        optimiser: and learning rate, ours.
        plateau: the paper's instead: SGD whose rate falls when the loss of dev has stopped to.
        initial: first weights of the ResNet: imagenet, scratch or a file (``load_resnet_weights``).
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
    """

    kind = "hands"
    model: HandAwareRecognizer

    def __init__(
        self,
        config: HandAwareConfig | None = None,
        losses: LossConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        plateau: PlateauConfig | None = None,
        initial: str = "scratch",
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser, plateau, save_every)
        self.weights, self.initial = losses or LossConfig(), initial
        self.model = HandAwareRecognizer(config or HandAwareConfig())
        self.inputs = SignInputs(self.model.config.hands, self.model.config.rgb.image_size)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit" and self.trainer.ckpt_path is None:
            load_resnet_weights(self.model.encoder.resnet, self.initial)

    def logits(self, batch: SignBatch) -> Tensor:
        return cast(Tensor, self.model(batch.crops.float() / 255, batch.present).logits)

    def losses(self, batch: SignBatch) -> tuple[Tensor, dict[str, Tensor]]:
        out = self.model(batch.crops.float() / 255, batch.present)
        with torch.autocast(self.device.type, enabled=False):
            losses = hand_aware_losses(
                out, batch.classes, batch.landmarks, batch.confidence, self.weights
            )
        return out.logits, losses._asdict()

    def read(self, batch: SignBatch) -> tuple[Tensor, Reprojection | None]:
        out = self.model(batch.crops.float() / 255, batch.present)
        truth = batch.truth
        if not bool(truth[batch.present].isfinite().any()):
            sure = batch.confidence >= self.weights.confidence
            truth = batch.landmarks.masked_fill(~sure[..., None], float("nan"))
        projected = out.hands.projected[batch.present].cpu().numpy()
        return out.logits, Reprojection.of(projected, truth[batch.present].cpu().numpy())

    def described(self) -> dict[str, Any]:
        return {"initial": self.initial, "losses": asdict(self.weights)}


class HandKeypointTask(_Task):
    """Detected joints of hands to a gloss (Table 2, "OP"). Arguments as of `HandAwareTask`."""

    kind = "hand_keypoints"
    model: HandKeypointRecognizer

    def __init__(
        self,
        config: HandKeypointConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        plateau: PlateauConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser, plateau, save_every)
        self.model = HandKeypointRecognizer(config or HandKeypointConfig())
        self.inputs = SignInputs(self.model.config.hands)

    def logits(self, batch: SignBatch) -> Tensor:
        return cast(Tensor, self.model(batch.landmarks, batch.confidence, batch.present))


# -- the full frame --------------------------------------------------------------------------------
class KeypointTask(_Task):
    """Keypoints of the whole frame to a gloss. Arguments as of `HandAwareTask`."""

    kind = "keypoints"
    model: KeypointRecognizer

    def __init__(
        self,
        config: KeypointConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        plateau: PlateauConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser, plateau, save_every)
        self.model = KeypointRecognizer(config or KeypointConfig())
        self.inputs = SignInputs(layout=self.model.config.layout)

    def logits(self, batch: SignBatch) -> Tensor:
        place, sure = batch.keypoints[..., :2], batch.keypoints[..., 2]
        return cast(Tensor, self.model(place, sure, batch.mask))


class RgbTask(_Task):
    """Whole frames to a gloss; the shards are of frames, not of crops.

    Args:
        config: the network.
        size: side of the frames in pixels.
        optimiser, plateau, save_every: as of `HandAwareTask`.
    """

    kind = "frames"
    model: RgbRecognizer

    def __init__(
        self,
        config: RgbConfig | None = None,
        size: int = 224,
        optimiser: OptimiserConfig | None = None,
        plateau: PlateauConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser, plateau, save_every)
        self.model = RgbRecognizer(config or RgbConfig())
        self.inputs = SignInputs(size=size, whole=True)

    def logits(self, batch: SignBatch) -> Tensor:
        return cast(Tensor, self.model(batch.crops[:, 0].float() / 255, batch.mask))
