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

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor

from chereme.errors import UsageError
from chereme.formats.strict import read_as
from chereme.systems.signbert.data import PoseBatch
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
from chereme.training.checkpoints import read_checkpoint
from chereme.training.isolated_task import IsolatedSignTask
from chereme.training.optimiser import OptimiserConfig
from chereme.training.task import Task

# Section 4.2: Adam, whose first moment has the momentum 0.9; the rate is divided by 10 every 20
# epochs. Choice: four times; the paper does not tell when training ends.
PAPER_OPTIMISER = OptimiserConfig("adam", 1e-3, 1e-4, "steps", (20, 40, 60, 80), 0.1)


class SignBertCheckpoint(NamedTuple):
    """A network ready to run, and what else was written; see the top of the module."""

    model: SignBertPretraining | SignBertRecognizer
    about: Mapping[str, Any]


def load_signbert(path: str | Path) -> SignBertCheckpoint:
    """The network of a checkpoint of this module. Nothing but tensors and plain values is read.

    BundleError for anything else.
    """
    with read_checkpoint(path, "signbert", "SignBERT") as (about, state):
        config = read_as(SignBertConfig, about["config"])
        model: SignBertPretraining | SignBertRecognizer
        if about["kind"] == "pretraining":
            model = SignBertPretraining(config)
        else:
            model = SignBertRecognizer(config)
        model.load_state_dict(state)
    return SignBertCheckpoint(model.eval(), about)


# -- pre-training ----------------------------------------------------------------------------------
class SignBertPretrainTask(Task):
    """Masked modelling of hand poses.

    ``best.ckpt`` is chosen by ``dev/l_rec``; beside it stands how near reconstructed joints are and
    joints of the masked input (``reconstruction_scores``), as in Tables 1 and 2: over all tokens
    that were seen, chosen or not.

    Args:
        config: the network, its masking and its losses.
        optimiser: None: the paper's.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
    """

    entry, kind, monitor, mode = "signbert", "pretraining", "dev/l_rec", "min"
    load, labelled = staticmethod(load_signbert), False
    model: SignBertPretraining

    def __init__(
        self,
        config: SignBertConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser or PAPER_OPTIMISER, save_every)
        self.model = SignBertPretraining(config or SignBertConfig())
        self._val_outputs: list[Reconstructed] = []

    def training_step(self, batch: PoseBatch, index: int) -> Tensor:
        out = self.model(batch.poses, torch.Generator().manual_seed(self.batch_seed))
        losses = out.losses._asdict()
        self.check_losses(losses, batch.ids, out.decoded.joints)
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict(values, batch_size=len(batch.ids))
        return cast(Tensor, out.losses.total)

    def validation_step(self, batch: PoseBatch, index: int) -> None:
        self._val_outputs.append(reconstruct(self.model, batch, index))

    def on_validation_epoch_end(self) -> None:
        for name, value in reconstruction_figures(self._val_outputs).items():
            if isinstance(value, float):
                self.log(f"dev/{name}", value, prog_bar=name in ("l_rec", "pck20"))
        self._val_outputs.clear()

    def score(self, split: Literal["dev", "test"]) -> dict[str, Any] | None:
        read = [reconstruct(self.model, b, index) for index, b in enumerate(self.batches(split))]
        return reconstruction_scores(read, self.data.entries(split)) if read else None


# -- recognition -----------------------------------------------------------------------------------
class IsolatedTask(IsolatedSignTask):
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

    entry, kind = "signbert", "recognizer"
    load, labelled = staticmethod(load_signbert), True
    model: SignBertRecognizer

    def __init__(
        self,
        config: SignBertConfig | None = None,
        initial: str = "scratch",
        freeze: bool = False,
        optimiser: OptimiserConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser or PAPER_OPTIMISER, save_every)
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
            pretrained = load_signbert(initial).model
            self.model = SignBertRecognizer(replace(pretrained.config, head=config.head))
            self.model.encoder.load_state_dict(pretrained.encoder.state_dict())
        self.model.encoder.requires_grad_(not freeze)
        self.train()

    def set_classes(self, classes: int) -> None:
        config = self.model.config
        if config.head.classes != classes:
            head = replace(config.head, classes=classes)
            self.model.config = replace(config, head=head)
            self.model.head = PredictionHead(head, config.encoder.dim).to(self.device)

    def train(self, mode: bool = True) -> IsolatedTask:
        super().train(mode)
        if self.freeze:  # nor may the statistics of its batch normalisation change
            self.model.encoder.eval()
        return self

    def logits(self, batch: PoseBatch) -> Tensor:
        return cast(Tensor, self.model(batch.poses))

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"initial": self.initial, "freeze": self.freeze}
