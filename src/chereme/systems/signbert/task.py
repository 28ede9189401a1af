"""Training of SignBERT: pre-training on hand poses without labels, then recognition of isolated
signs, fine-tuned, from scratch, or with the encoder as it is (a linear probe).

Paper: *SignBERT: Pre-Training of Hand-Model-Aware Representation for Sign Language Recognition*,
sections 3.2 to 4.3. The rows of its tables are files in ``configs/signbert``.

What a checkpoint holds beside what Lightning writes is plain values and tensors:

    "state_dict": the weights under ``model.``,
    "signbert": {
        "kind": "pretraining" or "recognizer",
        "config": dataclasses.asdict(SignBertConfig),
        "frames": of a clip that are read, "sampling": how they are chosen
        "rate": frames a second of the training clips,
        "classes": list of the glosses, in the order of the logits; of a recogniser alone
        "other": True where the last logit, one more, is that of other signs
    }
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from chereme.errors import InputError, UsageError
from chereme.metrics import top_k
from chereme.nn.configs import from_plain
from chereme.systems.signbert.data import UNKNOWN, PoseBatch, PoseData, Split
from chereme.systems.signbert.recognizer import (
    PredictionHead,
    SignBertConfig,
    SignBertPretraining,
    SignBertRecognizer,
)
from chereme.systems.signbert.reconstruction_scores import (
    Reconstructed,
    reconstruct,
    reconstruction_figures,
    reconstruction_scores,
)
from chereme.training.checkpoints import LastCheckpoint, read_checkpoint
from chereme.training.isolated_scoring import TOP, Predictions, places_of, score_glosses
from chereme.training.optimiser import OptimiserConfig
from chereme.training.scoring import ended, run_facts, write_metrics

# Section 4.2: Adam, whose first moment has the momentum 0.9; the rate is divided by 10 every 20
# epochs. Choice: four times; the paper does not tell when training ends.
PAPER_OPTIMISER = OptimiserConfig("adam", 1e-3, 1e-4, "steps", (20, 40, 60, 80), 0.1)
_HUGE = 1e4  # no weight of a network that learns; nor is NaN


class SignBertCheckpoint(NamedTuple):
    """A network ready to run, and what else was written; see the top of the module."""

    model: SignBertPretraining | SignBertRecognizer
    about: Mapping[str, Any]


def load_signbert(path: str | Path) -> SignBertCheckpoint:
    """The network of a checkpoint of this module. Nothing but tensors and plain values is read.

    BundleError for anything else.
    """
    with read_checkpoint(path, "signbert", "SignBERT") as (about, state):
        config = from_plain(SignBertConfig, about["config"])
        model: SignBertPretraining | SignBertRecognizer
        if about["kind"] == "pretraining":
            model = SignBertPretraining(config)
        else:
            model = SignBertRecognizer(config)
        model.load_state_dict(state)
    return SignBertCheckpoint(model.eval(), about)


class _Task(lightning.LightningModule):
    """What both tasks have in common: optimiser, checkpoints, and the end."""

    labelled: bool  # whether PoseData is to give the glosses
    kind: str
    watched: tuple[str, str]  # the value by which best.ckpt is chosen, and min or max
    model: SignBertPretraining | SignBertRecognizer

    def __init__(self, optimiser: OptimiserConfig | None, save_every: int) -> None:
        super().__init__()
        self.optimiser = optimiser or PAPER_OPTIMISER
        self.save_every = save_every

    @property
    def _data(self) -> PoseData:
        data: PoseData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def configure_callbacks(self) -> list[ModelCheckpoint]:
        folder, (monitor, mode) = self.trainer.default_root_dir, self.watched
        best = ModelCheckpoint(
            folder, "best", monitor=monitor, mode=mode, enable_version_counter=False
        )
        return [best, LastCheckpoint(folder, self.save_every)]

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        learnt = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return self.optimiser.build(learnt, steps)

    def on_fit_start(self) -> None:
        self.seed = torch.initial_seed()

    @property
    def _step_seed(self) -> int:
        """Of the random numbers of a step, other ones in each process."""
        trainer = self.trainer
        return int(self.seed + trainer.global_step * trainer.world_size + trainer.global_rank)

    def on_train_batch_start(self, batch: PoseBatch, index: int) -> None:
        # So that dropout, too, is the same in a run that was resumed.
        torch.manual_seed(self._step_seed)

    def _check(self, total: Tensor, batch: PoseBatch, broken: Tensor) -> None:
        """InputError unless the loss is finite; ``broken (B,)``: clips with NaN in the output."""
        if torch.isfinite(total):
            return
        names = [n for n, bad in zip(batch.ids, broken.tolist(), strict=True) if bad] or batch.ids
        diverged = not all(bool((p.abs() < _HUGE).all()) for p in self.parameters())
        raise InputError(
            f"step {self.global_step}: expected a finite loss, got {total.item()}, of the clips "
            f"{', '.join(names)}; "
            + (
                "weights have diverged: lower the learning rate or clip gradients "
                "(trainer.gradient_clip_val)"
                if diverged
                else "look at these clips, or train in full precision (trainer.precision=32)"
            )
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        data = self._data
        checkpoint["signbert"] = {
            "kind": self.kind,
            "config": asdict(self.model.config),
            "frames": data.frames,
            "sampling": data.sampling,
            "rate": data.rate,
            **({"classes": list(data.classes)} if self.labelled else {}),
            **({"other": True} if data.others else {}),
        }

    @abstractmethod
    def score(self, split: Split, output: Path) -> dict[str, Any] | None:
        """What ``metrics.json`` says of a split, None where it has no clips; what else there is to
        tell is written to ``output``."""

    def described(self) -> dict[str, Any]:
        """What ``metrics.json`` says of how this task was set."""
        return {}

    def finish(self, output: Path, cli: Any) -> None:
        """Score ``best.ckpt`` on dev and test, and write ``metrics.json`` and, of recognition,
        ``dev.npz`` and ``test.npz`` (`Predictions`); nothing where training was cut off."""
        data = cli.datamodule
        if not ended(cli.trainer):
            return
        self.model = load_signbert(output / "best.ckpt").model.to(self.device)
        about = run_facts(self, output, cli) | {
            "kind": self.kind,
            "data": {split: data.folders(split) for split in ("train", "dev", "test")},
            "training_clips": len(data.places["train"]),
            "share": data.share,
            "share_seed": data.share_seed,
            "frames": data.frames,
            "sampling": data.sampling,
            **self.described(),
        }
        scores = {split: self.score(split, output) for split in ("dev", "test")}
        write_metrics(output / "metrics.json", about | scores)


# -- pre-training ----------------------------------------------------------------------------------
class SignBertPretrainTask(_Task):
    """Masked modelling of hand poses.

    What is watched is ``dev/l_rec``, and how near reconstructed joints are beside the same of the
    masked input (``reconstruction_scores``), as in Tables 1 and 2: over all tokens that were seen,
    chosen or not.

    Args:
        config: the network, its masking and its losses.
        optimiser: None: the paper's.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
    """

    labelled, kind, watched = False, "pretraining", ("dev/l_rec", "min")
    model: SignBertPretraining

    def __init__(
        self,
        config: SignBertConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser, save_every)
        self.model = SignBertPretraining(config or SignBertConfig())
        self._val_outputs: list[Reconstructed] = []

    def training_step(self, batch: PoseBatch, index: int) -> Tensor:
        out = self.model(batch.poses, torch.Generator().manual_seed(self._step_seed))
        self._check(out.losses.total, batch, ~out.decoded.joints.isfinite().flatten(1).all(1))
        values = {f"train/{name}": v.detach() for name, v in out.losses._asdict().items()}
        self.log_dict(values, batch_size=len(batch.ids))
        return cast(Tensor, out.losses.total)

    def validation_step(self, batch: PoseBatch, index: int) -> None:
        self._val_outputs.append(reconstruct(self.model, batch, index))

    def on_validation_epoch_end(self) -> None:
        for name, value in reconstruction_figures(self._val_outputs).items():
            if isinstance(value, float):
                self.log(f"dev/{name}", value, prog_bar=name in ("l_rec", "pck20"))
        self._val_outputs.clear()

    def score(self, split: Split, output: Path) -> dict[str, Any] | None:
        self.model.eval()
        val_outputs = [
            reconstruct(self.model, self.transfer_batch_to_device(batch, self.device, 0), index)
            for index, batch in enumerate(self._data.whole(split))
        ]
        return (
            reconstruction_scores(val_outputs, self._data.entries(split)) if val_outputs else None
        )


# -- recognition -----------------------------------------------------------------------------------
class IsolatedTask(_Task):
    """Recognition of isolated signs by their hands (section 3.4).

    The glosses are those of the training clips (``PoseData.classes``), whatever ``config.head``
    says of their number.

    Args:
        config: the network. With ``initial`` its head alone counts; the encoder is that of the
            checkpoint.
        initial: "scratch", or the ``.ckpt`` of a pre-training or of another recogniser, whose
            encoder training begins with.
        freeze: keep the encoder as it is: a linear probe.
        optimiser: None: the paper's.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.

    Raises:
        UsageError: ``freeze`` from scratch.
        BundleError: ``initial`` is no such checkpoint.
    """

    labelled, kind, watched = True, "recognizer", ("dev/top1", "max")
    model: SignBertRecognizer

    def __init__(
        self,
        config: SignBertConfig | None = None,
        initial: str = "scratch",
        freeze: bool = False,
        optimiser: OptimiserConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser, save_every)
        if freeze and initial == "scratch":
            raise UsageError(
                "freeze: expected an encoder that was trained (initial: the checkpoint of a "
                "pre-training), got random weights, from scratch"
            )
        config = config or SignBertConfig()
        self.initial, self.freeze = initial, freeze
        if initial == "scratch":
            self.model = SignBertRecognizer(config)
        else:
            given = load_signbert(initial).model
            self.model = SignBertRecognizer(replace(given.config, head=config.head))
            self.model.encoder.load_state_dict(given.encoder.state_dict())
        self.model.encoder.requires_grad_(not freeze)
        self.train()
        self._val_outputs: list[tuple[np.ndarray, np.ndarray]] = []

    def setup(self, stage: str) -> None:
        data, config = self._data, self.model.config
        classes = len(data.classes) + bool(data.others)
        if config.head.classes != classes:
            # Known from the data alone. A checkpoint that training goes on from fills it after.
            head = replace(config.head, classes=classes)
            self.model.config = replace(config, head=head)
            self.model.head = PredictionHead(head, config.encoder.dim).to(self.device)

    def train(self, mode: bool = True) -> IsolatedTask:
        super().train(mode)
        if self.freeze:  # nor may the statistics of its batch normalisation change
            self.model.encoder.eval()
        return self

    def training_step(self, batch: PoseBatch, index: int) -> Tensor:
        logits = self.model(batch.poses)
        loss = torch.nn.functional.cross_entropy(logits.float(), batch.classes)
        self._check(loss, batch, ~logits.isfinite().all(1))
        right = (logits.argmax(1) == batch.classes).float().mean()
        values = {"train/loss": loss.detach(), "train/top1": 100 * right}
        self.log_dict(values, batch_size=len(batch.ids))
        return loss

    def validation_step(self, batch: PoseBatch, index: int) -> None:
        self._val_outputs.append(self._read(batch))

    def on_validation_epoch_end(self) -> None:
        # Every process has read all clips. The sanity check before training reads a few.
        logits = np.concatenate([said for said, _ in self._val_outputs])
        labels = [entry.label for entry in self._data.entries("dev")][: len(logits)]
        places = places_of(logits, labels, self._data.classes)
        for k in TOP:
            found = top_k(places, labels, k)
            self.log(f"dev/top{k}", found.per_instance, prog_bar=k == 1)
            self.log(f"dev/top{k}_class", found.per_class)
        losses = np.concatenate([loss for _, loss in self._val_outputs])
        if len(losses):
            self.log("dev/loss", float(losses.mean()))
        self._val_outputs.clear()

    def _read(self, batch: PoseBatch) -> tuple[np.ndarray, np.ndarray]:
        """The logits of each clip, and the loss of those whose gloss is known."""
        with torch.no_grad():
            logits = self.model(batch.poses).float()
        known = batch.classes != UNKNOWN
        losses = torch.nn.functional.cross_entropy(
            logits[known], batch.classes[known], reduction="none"
        )
        return logits.cpu().numpy(), losses.cpu().numpy()

    def described(self) -> dict[str, Any]:
        return {
            "initial": self.initial,
            "freeze": self.freeze,
            "glosses": len(self._data.classes),
        }

    def score(self, split: Split, output: Path) -> dict[str, Any] | None:
        self.model.eval()
        entries, classes = self._data.entries(split), self._data.classes
        if not entries:
            return None
        read, times = [], []
        for batch in self._data.whole(split):
            moved = self.transfer_batch_to_device(batch, self.device, 0)
            began = time.perf_counter()
            read.append(self._read(moved)[0])
            times.append((time.perf_counter() - began) / len(batch.ids))
        logits = np.concatenate(read)  # with one more column where there are other signs
        known = Predictions.of(entries, classes, logits[:, : len(classes)])
        known.save(output / f"{split}.npz")
        places = places_of(logits, known.labels, classes)
        scores = score_glosses(places, entries, classes, self._data.dropped(split))
        return scores | {"ms_per_clip": round(1e3 * float(np.median(times)), 3)}
