"""A small training of each task, with clips of its own, all of whose random numbers are in use:
dropout, masks, augmentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from chereme.datasets.exemplars import Exemplars
from chereme.datasets.pose_clips import Entry, PoseClip, write_poses
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import one_track, write_tracks
from chereme.training.cli import TrainingCLI, main
from chereme.video import write_video
from fake_shards import DIM

SYSTEMS = "chereme.systems"
SPLITS = {"train": 12, "dev": 2, "test": 2}  # clips; 12 are six batches
SEQUENCE = {"num_symbols": 27, "kernels": "K3", "conv_dim": 12, "gru_hidden": 8, "gru_layers": 1}


def _shards(folder: Path, shards: Path, exemplars: Exemplars) -> dict[str, Any]:
    return {"shards": [str(shards)], "steps_per_epoch": 6}


def _exemplars(folder: Path, shards: Path, exemplars: Exemplars) -> dict[str, Any]:
    exemplars.save(folder / "exemplars.npz")
    return {"exemplars": str(folder / "exemplars.npz"), "steps_per_epoch": 6, "workers": 0}


def _texts(folder: Path, shards: Path, exemplars: Exemplars) -> dict[str, Any]:
    return {"batches": 6, "held_out": 8}


def _poses(folder: Path, shards: Path, exemplars: Exemplars) -> dict[str, Any]:
    clips = []
    for split, count in SPLITS.items():
        for number in range(count):
            rng = np.random.default_rng(number)
            joints = rng.uniform(0, 300, (6 + number, 2, 21, 2)).astype(np.float32)
            name, label = f"{split}{number}", "yes" if number % 2 else "no"
            entry = Entry(name, label, f"s{number}", split, 25.0, 6 + number)
            clips.append(PoseClip(entry, joints, np.ones((6 + number, 2, 21), np.float32)))
    write_poses(clips, folder / "poses")
    return {"poses": [str(folder / "poses")], "frames": 6}


def _sentences(folder: Path, shards: Path, exemplars: Exemplars) -> dict[str, Any]:
    """Of a white square at the left or at the right, with a track of its place."""
    items = []
    for split, count in SPLITS.items():
        for number in range(count):
            label = "LEFT RIGHT" if number % 2 else "RIGHT LEFT"
            places = np.repeat([0.25 if word == "LEFT" else 0.75 for word in label.split()], 4)
            values = np.full((len(places), 258), np.nan, np.float32)
            values[:, 0], values[:, 1] = places + 0.01 * number, 0.5
            path = folder / f"{split}{number}.npz"
            write_tracks(one_track("mediapipe", values, 10.0), path)
            images = np.zeros((len(places), 16, 16, 3), np.uint8)
            for image, place in zip(images, places, strict=True):
                image[6:10, int(16 * place) - 2 : int(16 * place) + 2] = 255
            video = path.with_suffix(".mp4")
            write_video(video, images, 10.0, quality=5)
            items.append(Item(path, label, path.stem, "s", split, video=video))  # type: ignore[arg-type]
    write_manifest(items, folder / "manifest.csv")
    return {"root": str(folder), "rate": None}


ADAM = {"learning_rate": 0.01}
POSE_ENCODER = {
    "gesture": {"widths": [8, 12]},
    "dim": 24,
    "layers": 1,
    "heads": 2,
    "feed_forward": 24,
    "dropout": 0.2,
}
POSE_2_GLOSS = {
    "tracks": {
        "widths": {"mediapipe": 258},
        "hidden": 16,
        "heads": 2,
        "latent": 16,
        "dropout": 0.2,
    },
    "context": {"kind": "gru", "layers": 1},
    "diffusion": {"dim": 8, "halvings": 1, "heads": 2},
    "decoder": {"dim": 16, "layers": 1, "heads": 2, "max_length": 6, "dropout": 0.2},
    "loss": {"ctc_weight": 1.0},
    "ctc": True,
    "embedding": 8,
}
TASKS: dict[str, tuple[str, dict[str, Any], str, Callable[..., dict[str, Any]], dict[str, Any]]] = {
    "crops": (
        "fingerspelling.task.RecognizerTask",
        {
            "config": {
                "stream": "rgb",
                "rgb": {"depths": [1, 1], "widths": [8, 16], "image_size": 16},
                "sequence": {**SEQUENCE, "dropout": 0.2},
            },
            "distillation": {"teacher_dim": DIM},
            "optimiser": ADAM,
        },
        "fingerspelling.data.ShardData",
        _shards,
        {"teacher": "toy", "workers": 0},
    ),
    "landmarks": (
        "fingerspelling.task.RecognizerTask",
        {
            "config": {
                "stream": "landmarks",
                "landmarks": {"hidden": 16, "feature_dim": 12},
                "sequence": {**SEQUENCE, "dropout": 0.2},
            },
            "optimiser": ADAM,
        },
        "fingerspelling.composed.ComposedData",
        _exemplars,
        {"dev_clips": 4},
    ),
    "language_model": (
        "fingerspelling.language_model_task.LanguageModelTask",
        {"model": {"vocabulary": 27, "embedding": 8, "hidden": 8, "dropout": 0.2}},
        "fingerspelling.language_model_task.LanguageModelData",
        _texts,
        {},
    ),
    "hands": (
        "hand_aware.task.HandAwareTask",
        {
            "config": {
                "hands": 1,
                "rgb": {"depths": [1, 1], "widths": [4, 8], "image_size": 16},
                "graph": {"channels": [6, 8], "strides": [1, 2], "kernel": 3, "dropout": 0.2},
            },
            "plateau": {"patience": 0},
        },
        "hand_aware.data.SignData",
        _shards,
        {"frames": 4},
    ),
    "hand_keypoints": (
        "hand_aware.task.HandKeypointTask",
        {
            "config": {
                "hands": 1,
                "graph": {"channels": [6, 8], "strides": [1, 2], "kernel": 3, "dropout": 0.2},
            },
            "optimiser": ADAM,
        },
        "hand_aware.data.SignData",
        _shards,
        {"frames": 4},
    ),
    "pretraining": (
        "signbert.task.SignBertPretrainTask",
        {"config": {"encoder": POSE_ENCODER, "decoder": {"hidden": 12}}, "optimiser": ADAM},
        "signbert.data.PoseData",
        _poses,
        {},
    ),
    "isolated": (
        "signbert.task.IsolatedTask",
        {"config": {"encoder": POSE_ENCODER}, "optimiser": ADAM},
        "signbert.data.PoseData",
        _poses,
        {"augmentation": {"mirror": 0.5}},
    ),
    "pose2gloss": (
        "signx.task.Pose2GlossTask",
        {"config": POSE_2_GLOSS, "optimiser": ADAM},
        "signx.data.SentenceData",
        _sentences,
        {"augmentation": {"noise": 0.1}},
    ),
    "video2pose": (
        "signx.video_task.Video2PoseTask",
        {
            "config": {
                "vit": {"image_size": 16, "patch_size": 8, "dim": 16, "layers": 1, "heads": 2},
                "patch_width": 4,
                "dim": 16,
                "layers": 1,
                "heads": 2,
                "dropout": 0.2,
            },
            "optimiser": ADAM,
        },
        "signx.video_data.VideoData",
        _sentences,
        {"batch_frames": 8, "shortest": 4, "pictures": {}, "steps_per_epoch": 6},
    ),
}
VALIDATED = [kind for kind in TASKS if kind != "language_model"]


def config_of(kind: str, folder: Path, shards: Path, exemplars: Exemplars) -> Path:
    """The YAML file of the training of a task, and its clips, in ``folder``."""
    task, model, data, clips, options = TASKS[kind]
    folder.mkdir()
    own = clips(folder, shards, exemplars)
    if kind == "video2pose":
        first = run(config_of("pose2gloss", folder / "i", shards, exemplars), folder / "i" / "run")
        model = {**model, "pose2gloss": str(Path(first.config["output"]) / "last.ckpt")}
    size = {} if kind == "video2pose" else {"batch_size": 2}
    content = {
        "seed_everything": 1,
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 1,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "logger": False,
        },
        "model": {"class_path": f"{SYSTEMS}.{task}", "init_args": model},
        "data": {"class_path": f"{SYSTEMS}.{data}", "init_args": {**own, **size, **options}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder / "config.yaml"


def run(config: Path, output: Path, *more: str) -> TrainingCLI:
    """Train."""
    return main([f"--config={config}", f"--output={output}", *more])
