"""Training of system B, the hand-model-aware recogniser of isolated signs, and of its baselines.

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

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chereme.formats.strict import read_as
from chereme.nn.resnet_weights import load_resnet_weights
from chereme.systems.hand_aware.baselines import (
    HandKeypointConfig,
    HandKeypointRecognizer,
    KeypointConfig,
    KeypointRecognizer,
    RgbConfig,
    RgbRecognizer,
)
from chereme.systems.hand_aware.data import SignBatch, SignInputs
from chereme.systems.hand_aware.losses import LossConfig, hand_aware_losses
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer
from chereme.systems.hand_aware.reprojection import Reprojection, score_reprojection
from chereme.training.checkpoints import read_checkpoint
from chereme.training.isolated_task import IsolatedSignTask
from chereme.training.optimiser import OptimiserConfig, PlateauConfig
from chereme.training.shards import crop_of

Recognizer = HandAwareRecognizer | HandKeypointRecognizer | KeypointRecognizer | RgbRecognizer


class HandAwareCheckpoint(NamedTuple):
    """A network ready to run, and what else was written; see the top of the module."""

    model: Recognizer
    about: Mapping[str, Any]


def recognizer_of(kind: str, config: Mapping[str, Any]) -> Recognizer:
    """The network of a kind and of ``dataclasses.asdict`` of its config, its weights random."""
    if kind == "hands":
        return HandAwareRecognizer(read_as(HandAwareConfig, config))
    if kind == "frames":
        return RgbRecognizer(read_as(RgbConfig, config))
    if kind == "hand_keypoints":
        return HandKeypointRecognizer(read_as(HandKeypointConfig, config))
    if kind == "keypoints":
        return KeypointRecognizer(read_as(KeypointConfig, config))
    raise ValueError(f"unknown kind {kind!r}")


def load_hand_aware(path: str | Path) -> HandAwareCheckpoint:
    """The network of a checkpoint of this module. Nothing but tensors and plain values is read.

    BundleError for anything else.
    """
    of = "the hand-model-aware recogniser or of a baseline"
    with read_checkpoint(path, "hand_aware", of) as (about, state):
        model = recognizer_of(about["kind"], about["config"])
        model.load_state_dict(state)
    return HandAwareCheckpoint(model.eval(), about)


class HandAwareBase(IsolatedSignTask):
    """The base of the tasks of this paper. ``inputs``: what the network reads of a clip."""

    entry, load = "hand_aware", staticmethod(load_hand_aware)
    inputs: SignInputs
    model: Recognizer

    def __init__(
        self,
        optimiser: OptimiserConfig | None = None,
        plateau: PlateauConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser or OptimiserConfig(), save_every)
        self.plateau = plateau
        self._schedule: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._schedule_before: dict[str, Any] | None = None

    def set_classes(self, classes: int) -> None:
        if self.model.config.classes != classes:
            self.model.config = cast(Any, replace(self.model.config, classes=classes))
            width = self.model.classifier.in_features
            self.model.classifier = nn.Linear(width, classes).to(self.device)

    # -- the schedule of the paper, which goes by the loss of dev ----------------------------------
    def configure_optimizers(self) -> Any:
        if self.plateau is None:
            return super().configure_optimizers()
        # Lightning would not let it know of the loss of an epoch in which a run was resumed.
        optimizer, self._schedule = self.plateau.build(self.parameters())
        return optimizer

    def on_train_start(self) -> None:
        if self._schedule is not None and self._schedule_before is not None:
            self._schedule.load_state_dict(self._schedule_before)

    def on_dev_loss(self, loss: float) -> None:
        if self._schedule is not None and not self.trainer.sanity_checking:
            self._schedule.step(loss)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._schedule_before = checkpoint.get("plateau")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self._schedule is not None:
            checkpoint["plateau"] = self._schedule.state_dict()

    # -- results -----------------------------------------------------------------------------------
    def checkpoint_entry(self) -> dict[str, Any]:
        return super().checkpoint_entry() | {"size": self.inputs.size}

    def facts(self) -> dict[str, Any]:
        signers = {entry.signer for entry in self.data.entries("train")} - {""}
        return super().facts() | {"training_signers": len(signers)}


# -- hands -----------------------------------------------------------------------------------------
class HandAwareTask(HandAwareBase):
    """System B: crops of hands, through a model of the hand, to a gloss ("Ours (Hand)").

    Args:
        config: the network.
        losses: weights and readings of ``l_spa``, ``l_tem`` and ``l_reg``; a term whose weight is 0
            teaches nothing and is still shown.
        optimiser: and learning rate, ours.
        plateau: the paper's instead: SGD whose rate falls when the loss of dev has stopped to.
        initial: first weights of the ResNet: imagenet, imagenet_or_scratch, scratch or a file
            (``load_resnet_weights``). ``metrics.json`` has their source and hash.
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
        self._near: list[Reprojection] = []
        self.model = HandAwareRecognizer(config or HandAwareConfig())
        self.inputs = SignInputs(self.model.config.hands, self.model.config.rgb.image_size)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit" and self.trainer.ckpt_path is None:
            self.first_weights = load_resnet_weights(self.model.encoder.resnet, self.initial)

    def logits(self, batch: SignBatch) -> Tensor:
        return cast(Tensor, self.model(batch.crops.float() / 255, batch.present).logits)

    def losses(self, batch: SignBatch) -> tuple[Tensor, dict[str, Tensor]]:
        out = self.model(batch.crops.float() / 255, batch.present)
        with torch.autocast(self.device.type, enabled=False):
            losses = hand_aware_losses(
                out, batch.classes, batch.landmarks, batch.confidence, self.weights
            )
        return out.logits, losses._asdict()

    def read(self, batch: SignBatch) -> tuple[Tensor, Reprojection]:
        """Logits, and how near projected joints are to the true ones, or where these are not known
        to the detected ones of which the detector was sure."""
        out = self.model(batch.crops.float() / 255, batch.present)
        truth = batch.truth
        if not bool(truth[batch.present].isfinite().any()):
            sure = batch.confidence >= self.weights.confidence
            truth = batch.landmarks.masked_fill(~sure[..., None], float("nan"))
        projected = out.hands.projected[batch.present].cpu().numpy()
        return out.logits, Reprojection.of(projected, truth[batch.present].cpu().numpy())

    def predict(self, batch: SignBatch) -> NDArray[np.float32]:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            logits, near = self.read(batch)
        self._near.append(near)
        return cast(NDArray[np.float32], logits.float().cpu().numpy())

    def _reprojection(self) -> dict[str, Any] | None:
        """Of all clips that were predicted since it was asked for."""
        near, self._near = self._near, []
        return score_reprojection(near, self.model.config.rgb.image_size)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        found = self._reprojection()
        if found is not None:
            self.log("dev/reprojection_pixels", found["pixels"], prog_bar=True)

    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        scored, found = super().score(split), self._reprojection()
        return scored if scored is None or found is None else scored | {"reprojection": found}

    def checkpoint_entry(self) -> dict[str, Any]:
        return super().checkpoint_entry() | {"crop": crop_of(self.data.folders("train"))}

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"losses": asdict(self.weights)}


class HandKeypointTask(HandAwareBase):
    """Detected joints of hands to a gloss (Table 2, "OP"). Arguments as of `HandAwareTask`."""

    kind = "hand_keypoints"
    model: HandKeypointRecognizer

    def __init__(self, config: HandKeypointConfig | None = None, **training: Any) -> None:
        super().__init__(**training)
        self.model = HandKeypointRecognizer(config or HandKeypointConfig())
        self.inputs = SignInputs(self.model.config.hands)

    def logits(self, batch: SignBatch) -> Tensor:
        return cast(Tensor, self.model(batch.landmarks, batch.confidence, batch.present))


# -- the full frame --------------------------------------------------------------------------------
class KeypointTask(HandAwareBase):
    """Keypoints of the whole frame to a gloss. Arguments as of `HandAwareTask`."""

    kind = "keypoints"
    model: KeypointRecognizer

    def __init__(self, config: KeypointConfig | None = None, **training: Any) -> None:
        super().__init__(**training)
        self.model = KeypointRecognizer(config or KeypointConfig())
        self.inputs = SignInputs(layout=self.model.config.layout)

    def logits(self, batch: SignBatch) -> Tensor:
        position, confidence = batch.keypoints[..., :2], batch.keypoints[..., 2]
        return cast(Tensor, self.model(position, confidence, batch.mask))


class RgbTask(HandAwareBase):
    """Whole frames to a gloss; the shards are of frames, not of crops.

    Args:
        config: the network.
        size: side of the frames in pixels.
        initial: first weights of the ResNet, as of `HandAwareTask`, of ResNet50.
        training: as of `HandAwareTask`.
    """

    kind = "frames"
    model: RgbRecognizer

    def __init__(
        self,
        config: RgbConfig | None = None,
        size: int = 224,
        initial: str = "scratch",
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.initial = initial
        self.model = RgbRecognizer(config or RgbConfig())
        self.inputs = SignInputs(size=size, whole=True)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit" and self.trainer.ckpt_path is None:
            self.first_weights = load_resnet_weights(self.model.resnet, self.initial)

    def logits(self, batch: SignBatch) -> Tensor:
        return cast(Tensor, self.model(batch.crops[:, 0].float() / 255, batch.mask))
