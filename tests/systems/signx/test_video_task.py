"""Stage II learns to see, leaves Pose2Gloss as it is, goes on where it was, and is read back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes import parsed

from chereme.errors import BundleError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import one_track, write_tracks
from chereme.systems.signx.data import SentenceBatch
from chereme.systems.signx.pose2gloss import Pose2Gloss
from chereme.systems.signx.task import load_signx
from chereme.systems.signx.track_errors import TrackErrors
from chereme.systems.signx.video2pose import Video2PoseConfig, ViTConfig
from chereme.systems.signx.video_task import PAPER_OPTIMISER, Video2PoseTask, load_video2gloss
from chereme.training.cli import main
from chereme.training.optimiser import OptimiserConfig
from chereme.video import write_video

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE, RATE = 16, 10.0
_RARELY = "--trainer.check_val_every_n_epoch=40"
PLACES = {"LEFT": (0.25, 0.5), "RIGHT": (0.75, 0.5)}
LABELS = ("LEFT RIGHT", "RIGHT LEFT", "LEFT RIGHT LEFT", "RIGHT LEFT RIGHT")
STAGE_I = """
model:
  class_path: chereme.systems.signx.task.Pose2GlossTask
  init_args:
    config:
      tracks: {widths: {mediapipe: 258}, hidden: 16, heads: 2, latent: 16}
      context: {kind: gru, layers: 1}
      diffusion: {dim: 8, halvings: 1, heads: 2}
      decoder: {dim: 16, layers: 1, heads: 2, max_length: 6}
      loss: {ctc_weight: 1.0}
      ctc: true
      embedding: 8
data:
  class_path: chereme.systems.signx.data.SentenceData
  init_args: {rate: null, batch_size: 4}
"""
STAGE_II = """
model:
  class_path: chereme.systems.signx.video_task.Video2PoseTask
  init_args:
    config:
      vit: {image_size: 16, patch_size: 8, dim: 16, layers: 1, heads: 2}
      patch_width: 4
      dim: 16
      layers: 1
      heads: 2
      dropout: 0.0
    optimiser: {learning_rate: 5.0e-3, schedule: warmup_cosine}
data:
  class_path: chereme.systems.signx.video_data.VideoData
  init_args: {rate: null, batch_frames: 24, shortest: 4, batch_size: 4, pictures: {shift: 0.02}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of a white hand at the left or at the right, which a track knows too."""
    where = tmp_path_factory.mktemp("films")
    items = []
    for split in ("train", "dev", "test"):
        for number, label in enumerate(LABELS):
            places = [p for word in label.split() for p in [PLACES[word]] * 4]
            values = np.full((len(places), 258), np.nan, np.float32)
            values[:, :2] = places
            path = where / f"{split}{number}.npz"
            write_tracks(one_track("mediapipe", values, RATE), path)
            images = np.zeros((len(places), SIZE, SIZE, 3), np.uint8)
            for image, (x, y) in zip(images, places, strict=True):
                column, row = int(x * SIZE), int(y * SIZE)
                image[row - 2 : row + 2, column - 2 : column + 2] = 255
            video = path.with_suffix(".mp4")
            write_video(video, images, RATE, quality=5)
            items.append(Item(path, label, path.stem, f"s{number}", split, video=video))  # type: ignore[arg-type]
    write_manifest(items, where / "manifest.csv")
    return where


def arguments(folder: Path, output: Path, text: str, epochs: int, *more: str) -> list[str]:
    config = output.with_suffix(".yaml")
    config.write_text(text)
    return [
        f"--config={config}",
        "--seed_everything=1",
        f"--output={output}",
        f"--data.init_args.root={folder}",
        f"--trainer.max_epochs={epochs}",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.num_sanity_val_steps=0",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.log_every_n_steps=1",
        *more,
    ]


def run(folder: Path, output: Path, text: str, epochs: int, *more: str) -> Any:
    return main(arguments(folder, output, text, epochs, *more))


@pytest.fixture(scope="module")
def stage_i(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("stage_i") / "run"
    run(folder, output, STAGE_I, 2)
    return output / "last.ckpt"


@pytest.fixture(scope="module")
def trained(folder: Path, stage_i: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("stage_ii") / "run"
    run(folder, output, STAGE_II, 120, f"--model.init_args.pose2gloss={stage_i}", _RARELY)
    return output


def test_of_sentences_that_show_nobody_no_gloss_is_read(
    folder: Path, stage_i: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "data")
    nobody = one_track("mediapipe", np.full((8, 258), np.nan), RATE)
    write_tracks(nobody, tmp_path / "data" / "test0.npz")
    given = f"--model.init_args.pose2gloss={stage_i}"
    run(tmp_path / "data", tmp_path / "run", STAGE_II, 1, given)
    test = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert (test["sentences"], test["without_tracks"]) == (4, 1)
    for way in ("video", "true_tracks"):
        assert (test[way]["ctc"]["glosses"], test[way]["ctc"]["deletions"] >= 2) == (10, True)


def test_it_learns_to_see_and_pose2gloss_stays(stage_i: Path, trained: Path) -> None:
    found = json.loads((trained / "metrics.json").read_text())
    assert found["kind"] == "video2gloss"
    assert found["dev"]["loss"] < 0.3  # 1 is the spread of the tracks
    assert found["test"]["errors"]["mediapipe_pose_distance"] < 12
    assert {"true_tracks", "video"} <= found["test"].keys()
    assert found["test"]["video"]["ctc"]["glosses"] == 10
    rows = json.loads((trained / "readings.json").read_text())["sentences"]
    assert len(rows) == 2 * len(LABELS)
    assert {"glosses", "true_tracks/ctc", "video/beam"} <= rows[0].keys()

    before = load_signx(stage_i).model.state_dict()
    model, vocabulary, about = load_video2gloss(trained / "best.ckpt")
    after = model.pose2gloss.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not model.training
    assert about["kind"] == "video2gloss"
    assert about["rate"] is None
    assert set(vocabulary.tokens) >= set(PLACES)
    # What no track knows is never said.
    tracks = model(torch.zeros(1, 3, 3, SIZE, SIZE))["mediapipe"]
    assert tracks[..., :2].isfinite().all()
    assert tracks[..., 2:].isnan().all()


def test_a_step_changes_video2pose_alone(folder: Path, stage_i: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = Video2PoseConfig(ViTConfig(SIZE, 8, 16, 1, 2), dim=16, layers=1, heads=2)
    task = Video2PoseTask(str(stage_i), config, OptimiserConfig(schedule="steps"))
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    task.model.train()
    frames = torch.randint(255, (2, 5, 3, SIZE, SIZE), dtype=torch.uint8)
    truth = torch.full((2, 5, 258), torch.nan)
    truth[..., :2] = torch.rand(2, 5, 2)
    loss = task.model.reconstruction_loss(
        task.model(frames / 255, torch.tensor([5, 3])),
        {"mediapipe": truth},
        {"mediapipe": torch.tensor([[True] * 5, [True] * 3 + [False] * 2])},
    )
    loss.backward()
    built = task.optimiser.build(task.model.video2pose.parameters(), 10)
    built["optimizer"].step()
    changed = {k for k, v in task.model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.startswith("video2pose.") for name in changed)
    assert all(p.grad is None for p in task.model.pose2gloss.parameters())


def test_two_processes_do_what_one_does(folder: Path, stage_i: Path, tmp_path: Path) -> None:
    """Each its share of every step: as if one did both, one after the other."""
    given = f"--model.init_args.pose2gloss={stage_i}"
    accumulated = ("--trainer.accumulate_grad_batches=2", "--data.init_args.steps_per_epoch=6")
    run(folder, tmp_path / "one", STAGE_II, 2, given, *accumulated)
    shared = ("--trainer.devices=2", "--trainer.strategy=ddp", "--data.init_args.steps_per_epoch=3")
    asked = arguments(folder, tmp_path / "two", STAGE_II, 2, given, *shared)
    command = [str(Path(sys.executable).with_name("chereme")), "train", *asked]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=alone)
    assert done.returncode == 0, done.stderr
    one, two = (tmp_path / name / "last.ckpt" for name in ("one", "two"))
    states = [torch.load(path, weights_only=True)["state_dict"] for path in (one, two)]
    torch.testing.assert_close(*states, atol=1e-5, rtol=1e-4, equal_nan=True)
    scores = [json.loads(path.with_name("metrics.json").read_text()) for path in (one, two)]
    assert scores[1]["steps"] == scores[0]["steps"] == 6
    assert scores[1]["batch_frames"] == scores[0]["batch_frames"] == 48
    assert scores[1]["dev"]["loss"] == pytest.approx(scores[0]["dev"]["loss"], abs=1e-3)


def test_broken_checkpoints_are_named(stage_i: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="stage II"):
        load_video2gloss(stage_i)  # the other stage's
    checkpoint = torch.load(trained / "last.ckpt", weights_only=True)
    del checkpoint["state_dict"]["model.video2pose.enter.weight"]
    torch.save(checkpoint, tmp_path / "part.ckpt")
    with pytest.raises(BundleError, match="weights that fit"):
        load_video2gloss(tmp_path / "part.ckpt")
    with pytest.raises(BundleError):
        Video2PoseTask(str(trained / "last.ckpt").replace("last", "gone"))


def test_the_papers_config_is_table_2(stage_i: Path) -> None:
    small = {"layers": 1, "dim": 16, "heads": 2, "vit.layers": 1, "vit.dim": 16, "vit.heads": 2}
    cli = parsed(
        "signx/paper_video.yaml",
        options=(
            f"--model.init_args.pose2gloss={stage_i}",
            *(f"--model.init_args.config.{name}={size}" for name, size in small.items()),
        ),
    )
    task, trainer, data = cli.model, cli.trainer, cli.datamodule
    assert task.optimiser == PAPER_OPTIMISER
    own = task.optimiser
    assert (own.name, own.learning_rate, own.weight_decay) == ("adamw", 1e-3, 0.01)
    assert (own.schedule, own.warm_up, own.floor) == ("warmup_cosine", 0.1, 0.01)
    assert (trainer.max_epochs, trainer.gradient_clip_val) == (300, 1.0)
    assert trainer.accumulate_grad_batches == 1
    assert data.batch_frames / data.shortest == 32
    # Sizes apart, which take time to build, ours are those that it stands with.
    sizes = ViTConfig(layers=1, dim=16, heads=2)
    assert task.model.video2pose.config == Video2PoseConfig(vit=sizes, layers=1, dim=16, heads=2)


def test_errors_by_hand(stage_i: Path) -> None:
    model = load_signx(stage_i).model
    assert isinstance(model, Pose2Gloss)
    truth = torch.full((1, 3, 258), torch.nan)
    truth[0, :2, :2] = torch.tensor([[0.5, 0.5], [0.2, 0.6]])
    truth[0, 0, 132:135] = torch.tensor([0.1, 0.1, 0.3])
    predicted = torch.zeros(1, 3, 258)
    predicted[0, :2, :2] = torch.tensor([[0.524, 0.532], [0.2, 0.5]])  # 0.04 and 0.1
    predicted[0, 0, 132:135] = torch.tensor([0.1, 0.1, 0.1])
    batch = SentenceBatch(
        ("a",),
        {"mediapipe": truth},
        {"mediapipe": torch.tensor([[True, True, False]])},
        torch.tensor([3]),
        torch.tensor([[4]]),
        (("A",),),
    )
    errors = TrackErrors({"mediapipe": torch.full((258,), 0.1)})
    errors.add({"mediapipe": predicted}, batch)
    errors.add({"mediapipe": predicted}, batch)
    found = errors.figures()
    # (0.24, 0.32), (0, 1) of the spread; and (0, 0, 2).
    assert found["mediapipe_pose_spread"] == pytest.approx((1.16 / 4) ** 0.5, rel=1e-4)
    assert found["mediapipe_left_hand_spread"] == pytest.approx((4 / 3) ** 0.5, rel=1e-4)
    assert found["mediapipe_pose_distance"] == pytest.approx(7.0, rel=1e-4)
    assert found["mediapipe_pose_pck"] == pytest.approx(50.0)
    assert found["mediapipe_left_hand_pck"] == pytest.approx(100.0)
    assert errors.loss == pytest.approx(5.16 / 7, rel=1e-4)
