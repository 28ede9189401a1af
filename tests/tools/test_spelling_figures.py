"""Figures of clips: meshes stand where the hands are, and the texts are what the networks read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import fakes
from chereme.datasets.clips import CropSettings
from chereme.datasets.prepare_crops import check_settings
from chereme.datasets.shards import Sample, jpeg_of, write
from chereme.errors import InputError, UsageError
from chereme.hands.normalise import shape_features
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.fingerspelling.distillation import DistillationConfig
from chereme.systems.fingerspelling.encoders import VectorEncoderConfig
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.systems.fingerspelling.task import RecognizerTask
from chereme.teachers.hamer_mano import ManoRegression
from tools import spelling_figures
from tools.spelling_figures import Meshes, Student, some_frames

SIZE = 96
SMALL = {
    "rgb": ResNetEncoderConfig(depths=(1, 1), widths=(4, 8), image_size=16),
    "pose": VectorEncoderConfig(dim=228),
    "sequence": SequenceConfig(
        num_symbols=27, kernels="K3", conv_dim=8, gru_hidden=8, gru_layers=1
    ),
}


def clip(name: str, label: str = "bb", frames: int = 3) -> Sample:
    """A hand that stands still; in the first frame it was not seen."""
    joints = fakes.draw_hand("b")
    low, high = joints.min(axis=0), joints.max(axis=0)
    joints = (joints - (low + high) / 2) * 60 / (high - low)[:2].max() + [SIZE / 2, SIZE / 2, 0]
    landmarks = np.tile(joints.astype(np.float32), (frames, 1, 1))
    crop = np.full((SIZE, SIZE, 3), 90, np.uint8)
    return Sample(
        id=name,
        label=label,
        signer="s",
        split="test",
        rate=25.0,
        handedness="right",
        jpegs=(None, *[jpeg_of(crop)] * (frames - 1)),
        landmarks=landmarks,
        confidence=np.ones((frames, 21), np.float32),
        boxes=np.tile(np.array([0, 0, SIZE, SIZE], np.float32), (frames, 1)),
        teacher={"landmarks": shape_features(landmarks.astype(np.float64)).astype(np.float32)},
        size=SIZE,
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write([clip("one"), clip("two", "b", 9)], folder)
    check_settings(folder, "hands", CropSettings(size=SIZE), {"landmarks": 228})
    return folder


def run_of(folder: Path, stream: Any, **more: Any) -> Path:
    """A run with random weights."""
    torch.manual_seed(0)
    config = FingerspellingConfig(stream=stream, **SMALL)
    task = RecognizerTask(config, **more)
    about: dict[str, Any] = {"config": asdict(config), "rate": 25.0}
    about["crop"] = {"padding": 0.25, "smoothing": 0.1, "bridge": 0.2}
    if task.distillation is not None:
        about |= {"distillation": asdict(task.distillation.config), "teacher": "landmarks"}
    folder.mkdir()
    torch.save({"state_dict": task.state_dict(), "recognizer": about}, folder / "best.ckpt")
    teacher = None if stream == "rgb" else "landmarks"
    (folder / "metrics.json").write_text(json.dumps({"teacher": teacher}))
    return folder


def test_vectors_of_landmarks_are_the_hand_that_was_detected() -> None:
    """The same mesh from the vectors as from the joints themselves, a few pixels off these."""
    sample, makes = clip("x"), Meshes()
    frames = some_frames(sample, 1)
    fitted = makes.of_teacher(sample, frames)
    vectors = torch.from_numpy(sample.teacher["landmarks"][frames])
    said = makes.of_vectors("landmarks", vectors, sample, frames)
    np.testing.assert_allclose(said.projected, fitted.projected, atol=0.5)
    off = np.linalg.norm(fitted.projected - sample.landmarks[frames, :, :2], axis=-1)
    assert off.mean() < 4
    with pytest.raises(UsageError, match="expected landmarks, or hamer with --hamer"):
        makes.of_vectors("hamer", vectors, sample, frames)


@pytest.mark.parametrize("own", [False, True])
def test_hamers_hand_stands_where_its_camera_puts_it(own: bool) -> None:
    """An open hand twice as large as a metre is wide, 0.1 to the right of the square's middle."""
    regression = ManoRegression(1024).requires_grad_(False)
    for value in (*regression.parameters(), *regression.buffers()):
        value.zero_()
    regression.init_hand_pose.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(16))
    regression.init_cam.copy_(torch.tensor([2.0, 0.1, 0.0]))
    sample, makes = clip("x"), Meshes(hamer=regression, own=own)
    frames = np.array([1, 2])
    made = makes.of_vectors("hamer", torch.zeros(2, 1024), sample, frames)
    points = sample.landmarks[1, :, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    side, middle = float(SIZE), np.full(2, SIZE / 2)
    if own:
        side = 2 * max(high[1] - low[1], (high[0] - low[0]) * 4 / 3)
        middle = (low + high) / 2
    wrist = made.joints[0, 0, :2] + np.array([0.1, 0.0])
    np.testing.assert_allclose(made.projected[0, 0], middle + side / 2 * 2.0 * wrist, rtol=1e-5)
    np.testing.assert_allclose(made.projected[0], made.projected[1])


def test_a_student_that_has_learned_everything_predicts_its_teacher(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "rgb", distillation=DistillationConfig(teacher_dim=228))
    sample = clip("x")
    frames, student = np.array([1, 2]), Student(run / "best.ckpt")
    vectors = torch.from_numpy(sample.teacher["landmarks"][frames])
    assert (student.vectors(sample, frames) - vectors).abs().max() > 0.1
    last = student.distillation.reconstruct_pose
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(5 * vectors[0] - 3)  # of another scale, which says nothing
    torch.testing.assert_close(student.vectors(sample, frames), vectors, rtol=1e-3, atol=1e-4)
    pose = run_of(tmp_path / "pose", "pose")
    with pytest.raises(Exception, match="a student of the fingerspelling recogniser"):
        Student(pose / "best.ckpt")


def test_both_figures_are_written(shards: Path, tmp_path: Path, monkeypatch: Any) -> None:
    ours = run_of(tmp_path / "ours", "rgb", distillation=DistillationConfig(teacher_dim=228))
    pose = run_of(tmp_path / "pose", "pose")
    labels: list[str] = []
    drawn = spelling_figures.sheet

    def sheet(tiles: Any, texts: Any, columns: int) -> Any:
        labels.extend(texts)
        return drawn(tiles, texts, columns)

    monkeypatch.setattr(spelling_figures, "sheet", sheet)
    spelling_figures.meshes(shards, tmp_path / "2.png", ours / "best.ckpt", ids=["one"])
    with Image.open(tmp_path / "2.png") as picture:
        page = np.asarray(picture)
    assert page.shape[1] >= 3 * SIZE
    assert labels.pop() == "bb\ncrop, teacher, student"
    monkeypatch.setattr(
        spelling_figures, "read_by", lambda run, *_: {"one": run.name, "two": run.name}
    )
    spelling_figures.readings(shards, tmp_path / "3.png", pose, ours, frames=2)
    assert labels == [f"{text}\npose-only: pose, ours: ours" for text in ("bb", "b")]
    with Image.open(tmp_path / "3.png") as picture:
        assert picture.height >= 4 * SIZE  # of two clips, meshes and crops
    with pytest.raises(InputError, match="found not: three"):
        spelling_figures.meshes(shards, tmp_path / "x.png", ids=["one", "three"])


@pytest.mark.parametrize("stream", ["rgb", "pose"])
def test_what_a_run_reads(shards: Path, tmp_path: Path, stream: str) -> None:
    found = spelling_figures.read_by(run_of(tmp_path / "run", stream), shards, "asl")
    assert found.keys() == {"one", "two"}
    assert all(set(text) <= set("abcdefghijklmnopqrstuvwxyz") for text in found.values())
