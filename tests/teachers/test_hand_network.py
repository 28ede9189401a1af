"""The hand network as a teacher: on crops it says what the detector says of the frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from chereme.cli import app
from chereme.datasets.clips import in_crop
from chereme.datasets.shards import Sample, read_shards
from chereme.errors import InputError
from chereme.hands.crop import crop, hand_box
from chereme.hands.detector import OnnxHandDetector
from chereme.hands.networks import read_hand_network
from chereme.hands.skeleton import mirror
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.fingerspelling.batches import ClipTransform, collate
from chereme.systems.fingerspelling.distillation import DistillationConfig
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig
from chereme.systems.fingerspelling.task import RecognizerTask
from chereme.teachers import Clip
from chereme.teachers.hand_network import HandNetworkTeacher
from chereme.text import ASL_LETTERS
from chereme.types import HandTrack
from chereme.video import open_video

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello.mp4"
SIZE = 256


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of each row of one with each of the other."""
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (one, other))
    return np.asarray(one @ other.T)


@pytest.fixture(scope="module")
def teacher() -> HandNetworkTeacher:
    return HandNetworkTeacher()


@pytest.fixture(scope="module")
def shown() -> tuple[Clip, np.ndarray]:
    """Four handshapes, and the detector's own vectors of the frames that show them."""
    with open_video(EXAMPLE) as video:
        frames = [frame.image for frame in video][2::6]
    crops, points, vectors = [], [], []
    for image in frames:
        # A picture that stays: the detector looks in the square of the joints that it finds.
        with OnnxHandDetector(max_hands=1, vectors=True) as detector:
            (hand,) = [detector.detect(image, step / 25) for step in range(4)][-1]
        ones, height_width = np.ones((1, 21), np.float32), image.shape[:2]
        track = HandTrack(hand.landmarks[None], ones, np.zeros(1), *height_width[::-1], "right")
        box = hand_box(track)
        crops.append(crop(image, box[0], SIZE))
        points.append(in_crop(hand.landmarks[None], box, SIZE)[0])
        vectors.append(hand.vector)
    return Clip("hello", np.stack(crops), landmarks=np.stack(points)), np.stack(vectors)


def test_the_crop_has_the_vector_of_the_frame(
    teacher: HandNetworkTeacher, shown: tuple[Clip, np.ndarray]
) -> None:
    clip, expected = shown
    found = teacher.embed_clip(clip)
    assert (teacher.name, teacher.dim) == ("hand_network", 1152)
    assert found.crop.dtype == np.float32
    assert found.crop.shape == (len(clip.crops), 1152)
    alike = cosines(found.crop, expected)
    same = np.eye(len(alike), dtype=bool)
    assert alike[same].min() > 0.99
    assert alike[~same].max() < 0.97


def test_mirrored_vectors_are_those_of_the_flipped_crop(
    teacher: HandNetworkTeacher, shown: tuple[Clip, np.ndarray]
) -> None:
    clip = shown[0]
    assert clip.landmarks is not None
    flipped = dataclasses.replace(
        clip, crops=clip.crops[:, :, ::-1], landmarks=mirror(clip.landmarks, SIZE)
    )
    both, again = teacher.embed_clip(clip), teacher.embed_clip(flipped)
    assert both.mirrored is not None
    np.testing.assert_array_equal(again.crop, both.mirrored)
    assert again.mirrored is not None
    # Not the same numbers: the last bits of a place decide how int8 rounds.
    assert np.diag(cosines(again.mirrored, both.crop)).min() > 0.99
    assert cosines(both.crop, both.mirrored).max() < 0.97


def test_frames_without_a_hand_are_zero(
    teacher: HandNetworkTeacher, shown: tuple[Clip, np.ndarray]
) -> None:
    """Those in which the network sees none are not: a grey crop, where the hand is known to be."""
    clip = shown[0]
    assert clip.landmarks is not None
    crops, points = clip.crops.copy(), clip.landmarks.copy()
    points[1] = np.nan
    crops[2] = 128
    for vectors in teacher.embed_clip(dataclasses.replace(clip, crops=crops, landmarks=points)):
        assert vectors is not None
        assert vectors.any(axis=1).tolist() == [True, False, True, True]


def test_the_joints_are_linear_in_the_vector() -> None:
    onnx = pytest.importorskip("onnx")
    nodes = onnx.load_from_string(read_hand_network("landmarks")[1]).graph.node
    (last,) = (node for node in nodes if "landmarks" in node.output)
    assert (last.op_type, last.input[0]) == ("Gemm", "vector")


def test_it_needs_the_joints_in_the_crops(
    teacher: HandNetworkTeacher, shown: tuple[Clip, np.ndarray]
) -> None:
    clip = shown[0]
    assert clip.landmarks is not None
    for landmarks, got in ((None, "none"), (clip.landmarks[:2], r"\(2, 21, 3\)")):
        with pytest.raises(InputError, match=rf"hello: expected landmarks \(4, .*, got {got}"):
            teacher.embed_clip(dataclasses.replace(clip, landmarks=landmarks))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("prepared")
    table = f"path,label,split\n{EXAMPLE},hello,train\n"
    (folder / "manifest.csv").write_text(table, encoding="utf-8")
    options = ["prepare", "folder", "--root", str(folder), "-o", str(folder / "out")]
    result = CliRunner().invoke(app, [*options, "--teacher", "hand_network"])
    assert result.exit_code == 0, result.stderr
    (found,) = read_shards(folder / "out", "train")
    return found


def test_a_student_learns_from_prepared_vectors(
    sample: Sample, teacher: HandNetworkTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip("hello", sample.crops, landmarks=sample.landmarks)
    expected = teacher.embed_clip(clip)
    for name, vectors in zip(("teacher", "teacher_mirrored"), expected, strict=True):
        stored = getattr(sample, name)["hand_network"]
        assert stored.dtype == np.float16
        np.testing.assert_allclose(stored, vectors, atol=2e-3)

    config = FingerspellingConfig(
        stream="rgb", rgb=ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=16)
    )
    task = RecognizerTask(config, distillation=DistillationConfig(teacher.dim))
    values: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(task, "log_dict", lambda found, **_: values.update(found))
    transform = ClipTransform(task.inputs, ASL_LETTERS, teacher.name)
    task.training_step(collate([transform.make(sample)], ASL_LETTERS), 0).backward()
    assert 0 < values["train/l_cos"].item() < 2
    assert task.distillation is not None
    weights = task.distillation.project_pose.weight
    assert weights.shape == (256, 1152)
    assert weights.grad.any()
