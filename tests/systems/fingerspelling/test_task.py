"""Recognisers of crops and teacher vectors: they learn, repeat themselves, and can be cut off."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from chereme.errors import BundleError, InputError, UsageError
from chereme.hands.normalise import FEATURES_PER_FRAME, HAND_FEATURES_PER_FRAME
from chereme.nn.checkpoint_files import weights_sha256
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.fingerspelling.batches import Batch, ClipTransform, collate
from chereme.systems.fingerspelling.checkpoints import load_checkpoint, load_distillation
from chereme.systems.fingerspelling.distillation import DistillationConfig
from chereme.systems.fingerspelling.encoders import (
    HandEncoderConfig,
    LandmarkEncoderConfig,
    VectorEncoderConfig,
)
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.systems.fingerspelling.task import LateFusionTask, RecognizerTask
from chereme.text import ASL_LETTERS
from chereme.training.cli import main
from chereme.training.optimiser import OptimiserConfig
from fake_shards import with_dropped

pytestmark = pytest.mark.usefixtures("one_thread")
DIM = 6
TINY = FingerspellingConfig(
    stream="rgb",
    rgb=ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=16),
    pose=VectorEncoderConfig(dim=DIM),
    sequence=SequenceConfig(
        num_symbols=27, kernels="K3", conv_dim=24, gru_hidden=16, gru_layers=1, dropout=0.1
    ),
)
SIZES = {
    "rgb.depths": "[1,1]",
    "rgb.widths": "[8,16]",
    "rgb.image_size": 16,
    "pose.dim": DIM,
    "sequence.num_symbols": 27,
    "sequence.kernels": "K3",
    "sequence.conv_dim": 24,
    "sequence.gru_hidden": 16,
    "sequence.gru_layers": 1,
    "sequence.dropout": 0.1,
}
DISTIL = ("--model.init_args.distillation.teacher_dim=6", "--data.init_args.teacher=toy")
POSE = ("--model.init_args.config.stream=pose", "--data.init_args.teacher=toy")
BOTH = ("--model.init_args.config.stream=rgb+pose", "--data.init_args.teacher=toy")


@pytest.fixture
def train(coloured_shards: Path, request: pytest.FixtureRequest):
    recipe = request.config.rootpath / "configs" / "fingerspelling" / "recipes" / "small.yaml"

    def run(output: Path, *more: str, epochs: int = 2) -> Any:
        return main(
            [
                f"--config={recipe}",
                f"--output={output}",
                "--trainer.accelerator=cpu",
                "--trainer.enable_progress_bar=false",
                "--trainer.log_every_n_steps=1",
                f"--trainer.max_epochs={epochs}",
                *(f"--model.init_args.config.{name}={size}" for name, size in SIZES.items()),
                "--model.init_args.chunk=0",
                "--model.init_args.save_every=0",
                f"--data.init_args.shards=[{coloured_shards}]",
                "--data.init_args.alphabet=asl",
                "--data.init_args.batch_size=4",
                "--data.init_args.workers=0",
                *more,
            ]
        )

    return run


def digest(model: torch.nn.Module) -> str:
    state = model.state_dict()
    return hashlib.sha256(b"".join(state[k].numpy().tobytes() for k in sorted(state))).hexdigest()


def batch_of(task: RecognizerTask, *samples) -> Batch:
    maker = ClipTransform(
        task.inputs, ASL_LETTERS, None if task.inputs.vector_dim is None else "toy"
    )
    return collate([maker.make(sample) for sample in samples], ASL_LETTERS)


def logged(task: RecognizerTask, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    values: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(task, "log_dict", lambda found, **_: values.update(found))
    return values


@pytest.mark.parametrize("count", [True, False])
def test_of_clips_in_which_no_hand_was_seen_no_letter_is_read(
    train, coloured_shards: Path, tmp_path: Path, count: bool
) -> None:
    shards = with_dropped(coloured_shards, tmp_path / "shards", "Unseen")
    options = (f"--data.init_args.shards=[{shards}]", f"--data.init_args.count_dropped={count}")
    train(tmp_path / "run", *options, epochs=1)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    letters = metrics["dev"]["letters"] + count * len("unseen")
    told = [metrics["test"][name] for name in ("clips", "dropped", "letters")]
    assert told == [6 + count, count, letters]
    assert metrics["prepared"] == {"dev": {"clips": 6, "of": 6}, "test": {"clips": 6, "of": 7}}
    assert metrics["count_dropped"] is count


# -- it learns ------------------------------------------------------------------------------------
@pytest.mark.parametrize("stream", [(), DISTIL, POSE, BOTH], ids=["rgb", "distil", "pose", "both"])
def test_a_few_clips_are_learnt_by_heart(train, tmp_path: Path, stream: tuple[str, ...]) -> None:
    """To 100 %, by the whole command: shards, training, the best checkpoint, the final score."""
    train(
        tmp_path / "run",
        "--trainer.check_val_every_n_epoch=10",
        "--model.init_args.optimiser.learning_rate=0.02",
        "--data.init_args.augmentation.erase=0",
        "--data.init_args.augmentation.colour=0.05",
        *stream,
        epochs=50,
    )
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    for split in ("dev", "test"):
        assert metrics[split]["letter_accuracy"] == 100.0
        assert metrics[split]["letter_accuracy_unit"] == 100.0
        assert metrics[split]["greedy"]["letter_accuracy"] == 100.0
        assert metrics[split]["clips"] == 6
    model = load_checkpoint(tmp_path / "run" / "best.ckpt").model
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert metrics["ms_per_frame"] > 0
    assert metrics["epochs"] == 50
    with (tmp_path / "run" / "decoded.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["text"] for row in rows] == [row["read"] for row in rows]
    assert {row["id"] for row in rows} == {f"dev{i}" for i in range(6)}


# -- losses ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", ["l_seq", "l_vis", "l_kd", "l_cos", "l_reg_rgb", "l_reg_pos"])
def test_each_loss_is_there_and_teaches(make_clip, monkeypatch, loss: str) -> None:
    """With the weights of all others at 0, the total is that loss, and its part learns."""
    lightning.seed_everything(0, verbose=False)
    from chereme.systems.fingerspelling.losses import LossConfig

    plain = {"l_seq": "seq_weight", "l_vis": "vis_weight", "l_kd": "kd_weight"}
    distil = {"l_cos": "cos_weight", "l_reg_rgb": "reg_rgb_weight", "l_reg_pos": "reg_pos_weight"}
    task = RecognizerTask(
        TINY,
        LossConfig(**{w: 2.0 * (name == loss) for name, w in plain.items()}),
        DistillationConfig(DIM, **{w: 2.0 * (name == loss) for name, w in distil.items()}),
    )
    values = logged(task, monkeypatch)
    total = task.training_step(batch_of(task, make_clip("x", "ab"), make_clip("y", "c")), 0)
    assert set(values) == {
        "train/total",
        "train/infeasible",
        "train/entropy",
        *(f"train/{name}" for name in (*plain, *distil)),
    }
    assert values[f"train/{loss}"] > 0
    assert total.item() == pytest.approx(2 * values[f"train/{loss}"].item(), rel=1e-5)
    assert values["train/total"].item() == total.item()
    total.backward()
    learns = {
        name
        for name, parameter in task.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().sum() > 0
    }
    parts = {
        "l_seq": "model.sequence.gru.weight_ih_l0",
        "l_vis": "model.sequence.visual_classifier.weight",
        "l_kd": "model.sequence.visual_classifier.weight",
        "l_cos": "distillation.project_pose.weight",
        "l_reg_rgb": "distillation.reconstruct_rgb.weight",
        "l_reg_pos": "distillation.reconstruct_pose.weight",
    }
    assert parts[loss] in learns
    teaches_the_resnet = any(name.startswith("model.encoder.resnet") for name in learns)
    assert teaches_the_resnet == (loss != "l_reg_pos")


def test_padding_and_frames_without_a_hand_change_no_loss(make_clip, monkeypatch) -> None:
    task = RecognizerTask(TINY, distillation=DistillationConfig(DIM)).eval()
    values = logged(task, monkeypatch)
    batch = batch_of(task, make_clip("x", "abc", absent=(2, 3)))
    task.training_step(batch, 0)
    expected = dict(values)
    longer = replace(
        batch,
        crops=torch.cat([batch.crops, batch.crops.new_full((1, 5, 3, 16, 16), 99)], 1),
        vectors=torch.cat([batch.vectors, torch.full((1, 5, DIM), 7.0)], 1),
        present=torch.cat([batch.present, torch.zeros(1, 5, dtype=torch.bool)], 1),
    )
    longer.crops[0, 2:4] = 50
    task.training_step(longer, 0)
    for name, value in expected.items():
        assert values[name].item() == pytest.approx(value.item(), rel=1e-4), name


def test_clips_too_short_for_their_text_are_counted(make_clip, monkeypatch) -> None:
    task = RecognizerTask(TINY)
    values = logged(task, monkeypatch)
    short = replace(make_clip("x", "a", hold=1), label="aaaa")
    task.training_step(batch_of(task, short, make_clip("y", "ab")), 0)
    assert values["train/infeasible"] == 0.5


# -- what goes wrong ------------------------------------------------------------------------------
def test_the_one_clip_that_breaks_is_named(make_clip, monkeypatch) -> None:
    config = replace(TINY, stream="pose")
    task = RecognizerTask(config)
    batch = batch_of(task, make_clip("good", "ab"), make_clip("bad", "c"))
    batch.vectors[1, 2] = float("inf")
    task.eval()  # in training, batch normalisation would carry it into every clip
    with pytest.raises(InputError, match=r"of the clips bad; look at these clips"):
        task.training_step(batch, 0)


def test_configs_that_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match=f"expected {FEATURES_PER_FRAME}"):
        RecognizerTask(FingerspellingConfig(landmarks=LandmarkEncoderConfig(99)))
    with pytest.raises(UsageError, match=f"expected {HAND_FEATURES_PER_FRAME} .* got 251"):
        RecognizerTask(FingerspellingConfig("hand", hand=HandEncoderConfig(vector_size=16)))
    with pytest.raises(UsageError, match=r"distillation: expected the stream rgb, .* got 'pose'"):
        RecognizerTask(replace(TINY, stream="pose"), distillation=DistillationConfig(DIM))


# -- the same again, and going on -----------------------------------------------------------------
def test_a_run_that_is_stopped_by_the_clock_goes_on(train, tmp_path: Path) -> None:
    """No score before its end; nothing of the epoch it was in is lost or counted twice."""
    from lightning.pytorch.callbacks import Timer

    whole = train(tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Timer, "_check_time_remaining", lambda self, trainer: setattr(
                trainer, "should_stop", trainer.global_step >= 2
            )
        )  # fmt: skip
        cut = train(tmp_path / "run", "--trainer.max_time=00:00:00:50")
    assert cut.trainer.global_step == 2
    assert not (tmp_path / "run" / "metrics.json").exists()
    done = train(tmp_path / "run", f"--resume={tmp_path / 'run' / 'last.ckpt'}")
    assert done.trainer.global_step == whole.trainer.global_step == 6
    assert done.trainer.current_epoch == 2
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["initial"] == {"source": "scratch", "sha256": None}
    ends = [torch.load(tmp_path / run / "last.ckpt", weights_only=True) for run in ("whole", "run")]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


def test_checkpoints_say_what_export_needs(train, tmp_path: Path) -> None:
    train(tmp_path, *DISTIL, epochs=1)
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    described = checkpoint["recognizer"]
    assert described["rate"] == 25.0
    assert described["alphabet"] == list(ASL_LETTERS.symbols)
    assert described["crop"] == {"padding": 0.31, "smoothing": 1.5, "bridge": 0.2}
    model, rate, *_ = load_checkpoint(tmp_path / "best.ckpt")
    assert rate == 25.0
    assert replace(model.config, sequence=TINY.sequence) == TINY
    assert {k.split(".")[0] for k in checkpoint["state_dict"]} == {"model", "distillation"}
    distillation, teacher = load_distillation(tmp_path / "best.ckpt")
    assert (distillation.config, teacher) == (DistillationConfig(teacher_dim=DIM), "toy")
    assert (tmp_path / "logs" / "version_0" / "metrics.csv").is_file()


# -- from another run -----------------------------------------------------------------------------
def test_fine_tuning_begins_with_the_weights_of_another_run(train, tmp_path: Path) -> None:
    first = train(tmp_path / "first", epochs=1)
    initial = f"--model.init_args.initial={tmp_path / 'first' / 'last.ckpt'}"
    slow = ("--model.init_args.optimiser.learning_rate=1e-12", "--trainer.precision=32")
    ends = torch.load(tmp_path / "first" / "last.ckpt", weights_only=True)["state_dict"]
    train(tmp_path / "second", initial, *slow, *DISTIL, epochs=1)
    begun = json.loads((tmp_path / "second" / "metrics.json").read_text())["initial"]
    own = {k.removeprefix("model."): v for k, v in ends.items() if k.startswith("model.")}
    assert begun == {"source": initial.split("=")[1], "sha256": weights_sha256(own)}
    again = torch.load(tmp_path / "second" / "last.ckpt", weights_only=True)["state_dict"]
    for name, _ in first.model.model.named_parameters(prefix="model"):
        torch.testing.assert_close(again[name], ends[name], rtol=0, atol=1e-8)
    with pytest.warns(UserWarning, match=r"symbols: .*sequence\.classifier\.bias, sequence\.cl"):
        abc = train(
            tmp_path / "abc",
            initial,
            *slow,
            "--data.init_args.alphabet=abc",
            "--model.init_args.config.sequence.num_symbols=4",
            epochs=1,
        )
    assert abc.model.model.sequence.classifier.weight.shape[0] == 4
    again = torch.load(tmp_path / "abc" / "last.ckpt", weights_only=True)["state_dict"]
    gru = "model.sequence.gru.weight_hh_l0"
    torch.testing.assert_close(again[gru], ends[gru], rtol=0, atol=1e-8)
    with pytest.raises(BundleError, match=r"last\.ckpt: .*missing: encoder.*another shape: enc"):
        train(
            tmp_path / "x",
            initial,
            "--model.init_args.config.rgb.depths=[2,1]",
            "--model.init_args.config.rgb.widths=[8,12]",
        )


def test_crops_go_on_with_what_has_learned_from_vectors(train, tmp_path: Path) -> None:
    pose = train(tmp_path / "pose", *POSE, f"--model.init_args.config.pose.dim={DIM}", epochs=1)
    initial = f"--model.init_args.initial={tmp_path / 'pose' / 'last.ckpt'}"
    slow = ("--model.init_args.optimiser.learning_rate=1e-12", "--trainer.precision=32")
    same = (
        f"--model.init_args.config.rgb.features={DIM}",
        "--model.init_args.distillation.space=same",
        "--model.init_args.distillation.loss=mse",
    )
    crops = train(tmp_path / "crops", initial, *slow, *DISTIL, *same, epochs=1)
    ends = dict(pose.model.model.sequence.named_parameters())
    assert ends
    for name, parameter in crops.model.model.sequence.named_parameters():
        torch.testing.assert_close(parameter, ends[name], rtol=0, atol=1e-8)
    with pytest.raises(BundleError, match=r"another shape: sequence\.conv"):
        train(tmp_path / "x", initial, epochs=1)


@pytest.mark.parametrize("stream", [DISTIL, BOTH], ids=["distil", "both"])
def test_half_precision_and_chunks_learn_too(train, tmp_path: Path, stream) -> None:
    """The loss after an epoch is near that of full precision and of all frames at once."""
    plain = train(tmp_path / "plain", *stream, "--trainer.precision=32", epochs=1)
    options = ("--trainer.precision=bf16-mixed", "--model.init_args.chunk=16")
    other = train(tmp_path / "other", *stream, *options, epochs=1)
    assert other.model.encode(_first(other)).dtype == torch.float32  # autocast is over
    losses = [cli.trainer.callback_metrics["train/total"].item() for cli in (plain, other)]
    assert losses[1] == pytest.approx(losses[0], rel=0.15)
    assert losses[1] != losses[0]


def test_in_half_precision_the_encoder_alone_is_halved(make_clip, monkeypatch) -> None:
    """Also when chunks are computed anew; losses and scores are in full precision."""
    task = RecognizerTask(TINY, distillation=DistillationConfig(DIM), chunk=4)
    values = logged(task, monkeypatch)
    convolved, val_outputs = [], []
    convolution = task.model.encoder.resnet.embedder.embedder.convolution
    convolution.register_forward_hook(lambda module, given, out: convolved.append(out.dtype))
    task.model.sequence.gru.register_forward_hook(
        lambda module, given, out: val_outputs.append(out[0].data.dtype)
    )
    batch = batch_of(task, make_clip("x", "ab"))
    with torch.autocast("cpu", torch.bfloat16):
        total = task.training_step(batch, 0)
    forward = len(convolved)
    total.backward()
    assert len(convolved) == 2 * forward > 2
    assert set(convolved) == {torch.bfloat16}
    assert set(val_outputs) == {torch.float32}
    assert {value.dtype for value in values.values()} == {torch.float32}
    assert {p.grad.dtype for p in task.model.parameters()} == {torch.float32}
    task.eval()
    expected, _ = task.logits(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = task.logits(batch)
    assert torch.equal(found, expected)


def _first(cli: Any) -> Batch:
    return next(iter(cli.datamodule.whole("dev")))


# -- options --------------------------------------------------------------------------------------
def test_the_papers_learning_rate() -> None:
    how = OptimiserConfig("adam", 1e-4, 0.0, "steps", (20, 35), 0.1)
    built = how.build([torch.nn.Parameter(torch.zeros(1))], 1)
    assert type(built["optimizer"]) is torch.optim.Adam
    rates = []
    for _ in range(40):
        rates.append(built["optimizer"].param_groups[0]["lr"])
        built["optimizer"].step()
        built["lr_scheduler"]["scheduler"].step()
    assert built["lr_scheduler"]["interval"] == "epoch"
    assert rates == pytest.approx([1e-4] * 20 + [1e-5] * 15 + [1e-6] * 5)


def test_late_fusion_scores_the_mean_of_two_runs(
    train, coloured_shards: Path, tmp_path: Path
) -> None:
    train(tmp_path / "rgb", epochs=1)
    train(tmp_path / "pose", *POSE, epochs=1)
    args = [
        f"--output={tmp_path / 'late'}",
        "--model.class_path=chereme.systems.fingerspelling.task.LateFusionTask",
        f"--model.init_args.runs=[{tmp_path / 'rgb'},{tmp_path / 'pose'}]",
        "--data.class_path=chereme.systems.fingerspelling.data.ShardData",
        f"--data.init_args.shards=[{coloured_shards}]",
        "--data.init_args.teacher=toy",
        "--data.init_args.workers=0",
        "--trainer.accelerator=cpu",
    ]
    with pytest.raises(UsageError, match=r"late fusion: expected runs of the alphabet 'ab'"):
        main([*args, "--data.init_args.alphabet=ab"])
    task: LateFusionTask = main(args).model
    metrics = {
        name: json.loads((tmp_path / name / "metrics.json").read_text())
        for name in ("rgb", "pose", "late")
    }
    both = metrics["rgb"]["parameters"] + metrics["pose"]["parameters"]
    assert metrics["late"]["parameters"] == both
    assert metrics["late"]["test"]["clips"] == 6
    assert task.inputs.image_size == 16
    assert task.inputs.vector_dim == DIM
