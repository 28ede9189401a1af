"""Training of the fingerspelling recogniser.

Paper: *Seeing in 2D, Thinking in 3D: 3D Hand Mesh-Guided Feature Learning for Continuous
Fingerspelling*, sections 3.2 to 4.2. Every row of its tables is a file in
``configs/fingerspelling``. Recognisers of hand crops and of teacher vectors learn from shards
(`ShardData`), those of landmarks and of hands from composed clips (`ComposedData`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from chereme.errors import UsageError
from chereme.hands.normalise import FEATURES_PER_FRAME, HAND_FEATURES_PER_FRAME
from chereme.metrics import Alignment, edit_counts, pool
from chereme.nn.checkpoint_files import weights_sha256
from chereme.nn.masking import length_mask
from chereme.nn.resnet_weights import FirstWeights, load_resnet_weights
from chereme.systems.fingerspelling.batches import Batch, Inputs
from chereme.systems.fingerspelling.checkpoints import load_checkpoint, load_pretrained
from chereme.systems.fingerspelling.data import ShardData
from chereme.systems.fingerspelling.distillation import DistillationConfig, PoseDistillation
from chereme.systems.fingerspelling.encoders import (
    EarlyFusion,
    HandEncoder,
    LandmarkEncoder,
    resnet_of,
)
from chereme.systems.fingerspelling.fusion import LateFusion
from chereme.systems.fingerspelling.losses import LossConfig, fingerspelling_losses, infeasible
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.scoring import (
    DecodingConfig,
    Reading,
    best_path,
    milliseconds_a_frame,
    open_language_model,
    read_batch,
    score,
)
from chereme.training.memory import ChunkedResNet
from chereme.training.optimiser import OptimiserConfig
from chereme.training.task import Task, machine, write_metrics


def inputs_of(config: FingerspellingConfig, teacher_dim: int | None = None) -> Inputs:
    """What a recogniser reads; ``teacher_dim``: width of the vectors that it is to distil."""
    width = {
        "landmarks": config.features_per_frame,
        "hand": config.features_per_frame,
        "rgb": teacher_dim,
        "pose": config.pose.dim,
        "rgb+pose": config.pose.dim,
    }[config.stream]
    return Inputs(
        config.rgb.image_size if "rgb" in config.stream else None,
        width,
        config.sequence.temporal_stride,
        config.sequence.num_symbols,
        track=config.stream if config.stream in ("landmarks", "hand") else None,
    )


def frames_of(batch: Batch, stream: str) -> Any:
    """The frames of a batch as the recogniser of ``stream`` takes them."""
    if stream in ("landmarks", "hand", "pose"):
        return batch.vectors
    assert batch.crops is not None
    crops = batch.crops.float() / 255
    return crops if stream == "rgb" else (crops, batch.vectors)


class RecognizerTask(Task):
    """A recogniser of any stream with its losses and metrics.

    Args:
        config: the network.
        losses: weights and readings of ``l_seq``, ``l_vis`` and ``l_kd``.
        distillation: of ``l_cos``, ``l_reg_rgb`` and ``l_reg_pos``, for the stream rgb; None: RGB
            only.
        optimiser: and learning rate.
        initial: first weights of the ResNet: imagenet, imagenet_or_scratch, scratch or a file
            (``load_resnet_weights``); or of the whole recogniser: the ``.ckpt`` of another run
            (``load_pretrained``). ``metrics.json`` has their source and hash.
        chunk: frames that go through the ResNet at a time while training; 0: all (`ChunkedResNet`).
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
        decoding: of the final score.
    """

    entry, monitor = "recognizer", "dev/letter_accuracy"
    load = staticmethod(load_checkpoint)
    model: FingerspellingRecognizer

    def __init__(
        self,
        config: FingerspellingConfig,
        losses: LossConfig | None = None,
        distillation: DistillationConfig | None = None,
        optimiser: OptimiserConfig | None = None,
        initial: str = "scratch",
        chunk: int = 0,
        save_every: int = 0,
        decoding: DecodingConfig | None = None,
    ) -> None:
        super().__init__(optimiser or OptimiserConfig(), save_every)
        if distillation is not None and config.stream != "rgb":
            raise UsageError(
                f"distillation: expected the stream rgb, which learns from vectors, got "
                f"{config.stream!r}"
            )
        self.config, self.losses = config, losses or LossConfig()
        self.decoding, self.initial, self.chunk = decoding or DecodingConfig(), initial, chunk
        self.inputs = inputs_of(config, None if distillation is None else distillation.teacher_dim)
        widths = {"landmarks": FEATURES_PER_FRAME, "hand": HAND_FEATURES_PER_FRAME}
        expected = widths.get(config.stream)
        if expected is not None and self.inputs.vector_dim != expected:
            raise UsageError(
                f"features_per_frame: expected {expected} numbers of each frame of the stream "
                f"{config.stream}, got {self.inputs.vector_dim}"
            )
        self.model = FingerspellingRecognizer(config)
        self.distillation = (
            None
            if distillation is None
            else PoseDistillation(distillation, self.model.encoder.feature_dim)
        )
        self.val_outputs: list[tuple[str, str, str]] = []

    # -- the network -------------------------------------------------------------------------------
    def encode(self, batch: Batch) -> Tensor:
        """Features ``(B, T, D)`` of the frames."""
        frames = frames_of(batch, self.config.stream)
        resnet = resnet_of(self.model.encoder)
        if not self.chunk or resnet is None:
            return self.model.encode(frames, batch.lengths, batch.present)
        chunked = ChunkedResNet(resnet, self.chunk).train(self.training)
        if not isinstance(self.model.encoder, EarlyFusion):
            return torch.as_tensor(chunked(frames, batch.present))
        _, vector_encoder = self.model.encoder.encoders
        crops, vectors = frames
        return torch.cat(
            [chunked(crops, batch.present), vector_encoder(vectors, batch.present)], -1
        )

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits ``(B, T', V)`` after the BiGRU, and lengths ``(B,)``."""
        # Choice: in full precision whatever training is in, as the exported network is.
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            sequence, _, lengths = self.model.sequence(self.encode(batch), batch.lengths)
        return sequence, lengths

    # -- training ----------------------------------------------------------------------------------
    def setup(self, stage: str) -> None:
        open_language_model(self.decoding, self.data.alphabet)  # not found out after training
        if stage != "fit" or self.trainer.ckpt_path is not None:
            return
        resnet = resnet_of(self.model.encoder)
        if Path(self.initial).suffix == ".ckpt":
            load_pretrained(self.model, self.initial)
            sha256 = weights_sha256(self.model.state_dict())
            self.first_weights = FirstWeights(self.initial, sha256)
        elif resnet is not None:
            self.first_weights = load_resnet_weights(resnet, self.initial)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        encoder = self.model.encoder
        if isinstance(encoder, LandmarkEncoder | HandEncoder) and self.trainer.global_step == 0:
            encoder.set_statistics(self.data.some_frames().to(self.device))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        features = self.encode(batch)
        # The encoder alone is worth half precision: what follows is a twentieth of the time, has
        # recurrences, softmaxes and sums of many small terms, and gains nothing on a CPU.
        with torch.autocast(self.device.type, enabled=False):
            features = features.float()
            sequence, visual, lengths = self.model.sequence(features, batch.lengths)
            losses = fingerspelling_losses(
                sequence,
                visual,
                lengths,
                batch.targets,
                batch.target_lengths,
                self.losses,
            )
            values = losses._asdict()
            total = losses.total
            if self.distillation is not None:
                mask = batch.present & length_mask(batch.lengths, batch.present.shape[1])
                distilled = self.distillation(features, batch.vectors, mask)
                total = total + distilled.total
                values |= {**distilled._asdict(), "total": total}
        self.check_losses(values, batch.ids, sequence)
        values = {f"train/{name}": value.detach() for name, value in values.items()}
        # The fraction of clips too short for their text: they teach nothing.
        too_short = infeasible(lengths, batch.targets, batch.target_lengths)
        values["train/infeasible"] = too_short.float().mean()
        self.log_dict(values, batch_size=len(batch.lengths))
        return total

    # -- validation --------------------------------------------------------------------------------
    def validation_step(self, batch: Batch, index: int) -> None:
        alphabet = self.data.alphabet
        for reading in read_batch(self.logits, batch):
            self.val_outputs.append((reading.id, reading.text, best_path(reading, alphabet)))

    def on_validation_epoch_end(self) -> None:
        # Edits are counted in each process and summed: clips are not dealt out evenly.
        alignments: dict[str, Alignment] = {
            "letter_accuracy": "htk",
            "letter_accuracy_unit": "unit",
        }
        for name, how in alignments.items():
            counts = pool(edit_counts(text, read, how) for _, text, read in self.val_outputs)
            own = torch.tensor(
                [counts.edits, counts.reference_length], dtype=torch.float32, device=self.device
            )
            edits, letters = self.all_gather(own).reshape(-1, 2).sum(0)
            accuracy = 100 * (1 - edits / letters.clamp_min(1))
            self.log(f"dev/{name}", accuracy, prog_bar=how == "htk", rank_zero_only=False)
        self._write_decoded()
        self.val_outputs.clear()

    def _write_decoded(self) -> None:
        if not self.trainer.is_global_zero or self.trainer.sanity_checking:
            return
        lines = [f"{name}\t{text}\t{read}\n" for name, text, read in self.val_outputs]
        folder = Path(self.trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "decoded.tsv").write_text("id\ttext\tread\n" + "".join(lines), encoding="utf-8")
        for logger in self.trainer.loggers:
            writer: Any = logger.experiment
            if hasattr(writer, "add_text"):
                some = "\n".join(f"    {text} -> {read}" for _, text, read in self.val_outputs[:20])
                writer.add_text("dev/decoded", some, self.global_step)

    # -- results -----------------------------------------------------------------------------------
    def checkpoint_entry(self) -> dict[str, Any]:
        about = {"config": asdict(self.config), **self.data.checkpoint_entry()}
        if self.distillation is not None:
            about["distillation"] = asdict(self.distillation.config)
            about["teacher"] = self.data.teacher
        return about

    def facts(self) -> dict[str, Any]:
        return {}

    def scores(self, output: Path) -> dict[str, Any]:
        return final_scores(self, self.data)


class LateFusionTask(lightning.LightningModule):
    """The mean of the logits of runs that were trained on their own (Table 2 'Late').

    Nothing is trained: ``chereme train`` goes straight to the score.

    Args:
        runs: their output folders.
        decoding: of the final score.
    """

    def __init__(self, runs: list[str], decoding: DecodingConfig | None = None) -> None:
        super().__init__()
        checkpoints = [load_checkpoint(Path(run) / "best.ckpt") for run in runs]
        models = [checkpoint.model for checkpoint in checkpoints]
        self.alphabets = {checkpoint.alphabet for checkpoint in checkpoints}
        self.streams = [model.config.stream for model in models]
        self.model = LateFusion(models).requires_grad_(False).eval()
        self.decoding = decoding or DecodingConfig()
        each = [inputs_of(model.config) for model in models]
        self.inputs = Inputs(
            _only({e.image_size for e in each} - {None}, "image_size"),
            _only({e.vector_dim for e in each} - {None}, "dim of the vectors"),
            each[0].stride,
            each[0].symbols,
        )

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``RecognizerTask.logits``."""
        with torch.no_grad():
            frames = [frames_of(batch, stream) for stream in self.streams]
            sequence, _, lengths = self.model(frames, batch.lengths, batch.present)
        return sequence, lengths

    def finish(self, output: Path, cli: Any) -> None:
        """Write ``metrics.json``."""
        data: ShardData = cli.datamodule
        if self.alphabets != {data.alphabet}:
            found = sorted("".join(alphabet.symbols) for alphabet in self.alphabets)
            raise UsageError(
                f"late fusion: expected runs of the alphabet {''.join(data.alphabet.symbols)!r}, "
                f"got {', '.join(map(repr, found))}"
            )
        data.inputs = self.inputs
        data.setup()
        self.to(cli.trainer.strategy.root_device)
        about = {
            "name": output.name,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "device": machine(self.device),
        }
        metrics = about | data.facts() | final_scores(self, data)
        write_metrics(output / "metrics.json", metrics)


def _only(values: set[int | None], what: str) -> int | None:
    if len(values) > 1:
        raise UsageError(
            f"late fusion: expected one {what} of all runs, got {sorted(map(str, values))}"
        )
    return next(iter(values), None)


def final_scores(task: RecognizerTask | LateFusionTask, data: Any) -> dict[str, Any]:
    """What ``metrics.json`` says of how well a trained network reads dev and test, and how fast."""
    device = task.device

    def readings(split: str) -> list[Reading]:
        return [
            reading
            for batch in data.whole(split)
            for reading in read_batch(task.logits, task.transfer_batch_to_device(batch, device, 0))
        ]

    times = milliseconds_a_frame(task.logits, data.whole("test"), device)
    dropped = {split: data.dropped_texts(split) for split in ("dev", "test")}
    scores = score(readings("dev"), readings("test"), data.alphabet, task.decoding, dropped)
    return scores | {"ms_per_frame": times}
