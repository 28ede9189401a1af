"""System B and its partners learn: every kind, resumption, and what clips can be like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from chereme.datasets.clips import CropSettings
from chereme.datasets.prepare_crops import check_settings
from chereme.datasets.shards import Sample, jpeg_of, write
from chereme.errors import InputError, UsageError
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.nn.resnet3d import ResNet3d, ResNet3dConfig
from chereme.systems.hand_aware.data import SignData
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer
from chereme.systems.hand_aware.task import (
    HandAwareTask,
    HandKeypointTask,
    KeypointTask,
    RgbTask,
    load_hand_aware,
)
from chereme.training.cli import TrainingCLI, main
from chereme.training.isolated_scoring import Predictions
from fake_shards import with_dropped

SIZE = 32
MADE = CropSettings(size=SIZE, padding=0.31, smoothing=1.5)  # as the folders say
LAYOUT = "openpose_137"
NUMBER = keypoint_layout(LAYOUT).size
GLOSSES = {"red": (230, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230)}
GRAPH = {"channels": "[6,8]", "strides": "[1,2]", "kernel": 3, "dropout": 0.0}
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "hands": (
        "HandAwareTask",
        {
            "hands": 1,
            "rgb.depths": "[1,1]",
            "rgb.widths": "[4,8]",
            "rgb.image_size": 16,
            **{f"graph.{name}": value for name, value in GRAPH.items()},
        },
    ),
    "hand_keypoints": (
        "HandKeypointTask",
        {"hands": 1, **{f"graph.{name}": value for name, value in GRAPH.items()}},
    ),
    "keypoints": ("KeypointTask", {f"graph.{name}": value for name, value in GRAPH.items()}),
    "frames": (
        "RgbTask",
        {"resnet.kind": "full", "resnet.depths": "[1,1]", "resnet.widths": "[4,4]"},
    ),
}
STILL = (
    "--data.init_args.augmentation={crop: 1.0, colour: 0.0, rotation: 0.0, erase: 0.0, flip: 0.0, "
    "blur: 0.0, noise: 0.0}"
)
Train = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def hand() -> np.ndarray:
    """The joints ``(21, 3)`` of the hand that training begins with, crop units."""
    network = HandAwareRecognizer(HandAwareConfig(hands=1))
    with torch.no_grad():
        made = network.decoder(network.encoder(torch.zeros(1, 3, 8, 8), torch.tensor([False])))
    return np.concatenate([made.projected[0], made.turned[0, :, 2:]], axis=-1)


def sign(
    name: str,
    label: str,
    split: str = "train",
    *,
    frames: int = 4,
    seen: bool = True,
    side: Any = "right",
    known: bool = True,
    signer: str | None = None,
) -> Sample:
    """A hand of the gloss's colour and with a gloss of its own; in every frame the same."""
    rng = np.random.default_rng(sum(map(ord, name)))
    number = list(GLOSSES).index(label) if label in GLOSSES else 0
    colour = np.array(list(GLOSSES.values())[number], float) + rng.normal(0, 6, 3)
    picture = np.tile(colour.clip(0, 255).astype(np.uint8), (SIZE, SIZE, 1))
    # Not where training begins, and turned otherwise for each gloss.
    away = np.array([[-0.4, 0.1, 0.0], [0.4, -0.1, 0.0], [0.1, 0.4, 0.0]])[number]
    turned = hand() @ Rotation.from_euler("z", 70 * (number - 1), degrees=True).as_matrix().T
    shape = ((0.6 * turned + away + 1) * SIZE / 2).astype(np.float32)
    joints = np.tile(shape, (frames, 1, 1)) + rng.normal(0, 0.3, (frames, 21, 3))
    body = np.random.default_rng(50 + number).uniform(0.2, 0.8, (NUMBER, 2))
    keypoints = np.zeros((frames, NUMBER, 3), np.float32)
    keypoints[..., :2], keypoints[..., 2] = body, 0.9
    teacher = {LAYOUT: keypoints.reshape(frames, -1)}
    if known:
        teacher["joints"] = np.tile(shape.reshape(-1), (frames, 1))
    return Sample(
        id=name,
        label=label,
        signer=signer or f"signer {name[0]}",
        split=split,
        rate=12.0,
        handedness=side,
        jpegs=(jpeg_of(picture) if seen else None,) * frames,
        landmarks=np.where(seen, joints, np.nan).astype(np.float32),
        confidence=np.full((frames, 21), 0.9 * seen, np.float32),
        boxes=np.tile(np.array([0, 0, SIZE, SIZE], np.float32), (frames, 1)),
        teacher=teacher,
        size=SIZE,
    )


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine clips of three glosses, and the first six again in dev and test."""
    folder = tmp_path_factory.mktemp("signs")
    labels = list(GLOSSES) * 3
    names = [f"{n}" for n in range(9)]
    write([sign(n, g, frames=3 + int(n) // 3) for n, g in zip(names, labels, strict=True)], folder)
    for split in ("dev", "test"):
        again = zip(names[:6], labels, strict=False)
        write([sign(f"{n} {split}", g, split) for n, g in again], folder)
    check_settings(folder, "coloured", MADE, {})
    return folder


@pytest.fixture
def train(signs: Path) -> Train:
    def run(kind: str, output: Path, *more: str, epochs: int = 2, shards: Any = None) -> Any:
        task, config = TASKS[kind]
        return main(
            [
                f"--output={output}",
                "--seed_everything=1",
                f"--model.class_path=chereme.systems.hand_aware.task.{task}",
                *(f"--model.init_args.config.{name}={value}" for name, value in config.items()),
                *(["--model.init_args.size=16"] if kind == "frames" else []),
                "--model.init_args.optimiser.learning_rate=0.01",
                "--data.class_path=chereme.systems.hand_aware.data.SignData",
                f"--data.init_args.shards=[{shards or signs}]",
                "--data.init_args.frames=4",
                "--data.init_args.batch_size=3",
                "--trainer.accelerator=cpu",
                "--trainer.enable_progress_bar=false",
                "--trainer.num_sanity_val_steps=0",
                f"--trainer.max_epochs={epochs}",
                *more,
            ]
        )

    return run


def digest(model: torch.nn.Module) -> str:
    state = model.state_dict()
    return hashlib.sha256(b"".join(state[k].numpy().tobytes() for k in sorted(state))).hexdigest()


def metrics(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "metrics.json").read_text())
    return found


def batch_of(folder: Path, *samples: Sample, task: Any = None, **more: Any) -> Any:
    """The batch of dev of these clips, as ``task`` reads it; UsageError and so on as training."""
    write(samples, folder)
    data = SignData([str(folder)], **more)
    data.inputs = (task or HandAwareTask()).inputs
    data.setup()
    return next(iter(data.whole("dev")))


def test_full_frames_begin_with_the_weights_of_pictures(train: Train, tmp_path: Path) -> None:
    network = ResNet3d(ResNet3dConfig("full", (1, 1), (4, 4)))
    pictures = {k: v.mean(2) if v.ndim == 5 else v for k, v in network.state_dict().items()}
    torch.save(pictures, tmp_path / "pictures.pth")
    slow = ("--model.init_args.optimiser.learning_rate=1e-12", "--trainer.precision=32")
    initial = f"--model.init_args.initial={tmp_path / 'pictures.pth'}"
    begun = train("frames", tmp_path / "run", initial, *slow, epochs=1).model
    kernel = begun.model.resnet.layer1[0].conv2.weight.detach()
    expected = pictures["layer1.0.conv2.weight"][:, :, None] / 3
    torch.testing.assert_close(kernel, expected.expand_as(kernel), rtol=0, atol=1e-8)
    assert metrics(tmp_path / "run")["initial"] == begun.first_weights._asdict()
    assert begun.first_weights.source == str(tmp_path / "pictures.pth")


# -- it learns ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", list(TASKS))
def test_three_glosses_are_learnt_by_heart(train: Train, tmp_path: Path, kind: str) -> None:
    train(
        kind,
        tmp_path / "run",
        "--trainer.check_val_every_n_epoch=20",
        "--data.init_args.batch_size=9",  # all of them, or their statistics differ from those kept
        STILL,
        epochs=40,
    )
    found = metrics(tmp_path / "run")
    for split in ("dev", "test"):
        for k in (1, 2, 5):
            assert found[split][f"top{k}"] == found[split][f"top{k}_class"] == 100.0
        assert (found[split]["clips"], found[split]["unknown_glosses"]) == (6, 0)
    assert (found["training_clips"], found["glosses"], found["epochs"]) == (9, 3, 40)
    loaded = load_hand_aware(tmp_path / "run" / "best.ckpt")
    assert (loaded.about["kind"], loaded.about["classes"]) == (kind, sorted(GLOSSES))
    assert loaded.model.config.classes == 3
    cut = {"padding": MADE.padding, "smoothing": MADE.smoothing, "bridge": 0.2}
    assert loaded.about.get("crop") == (cut if kind == "hands" else None)
    assert found["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    said = Predictions.load(tmp_path / "run" / "test.npz")
    assert said.ids == tuple(f"{n} test" for n in range(6))
    assert [said.classes[column] for column in said.logits.argmax(1)] == list(said.labels)
    assert ("reprojection" in found["test"]) == (kind == "hands")


def test_clips_in_which_no_hand_was_seen_count_as_read_wrongly(
    train: Train, signs: Path, tmp_path: Path
) -> None:
    train("hands", tmp_path / "run", shards=with_dropped(signs, tmp_path / "shards", "red"))
    found = metrics(tmp_path / "run")
    told = {s: [found[s][key] for key in ("clips", "dropped", "top5")] for s in ("dev", "test")}
    assert told == {"dev": [6, 0, 100.0], "test": [7, 1, 85.71]}
    said = Predictions.load(tmp_path / "run" / "test.npz")
    assert len(said.ids) == 7
    assert np.ptp(said.logits, axis=1)[-1] == 0
    assert said.score()["top5"] == 85.71


def test_joints_come_nearer_where_they_are_taught(train: Train, tmp_path: Path) -> None:
    """And only there: the losses are weighed as they are set."""
    near = {}
    for name, weight in (("taught", 1.0), ("untaught", 0.0)):
        train(
            "hands",
            tmp_path / name,
            f"--model.init_args.losses.spa_weight={weight}",
            "--trainer.check_val_every_n_epoch=24",
            STILL,
            epochs=24,
        )
        near[name] = metrics(tmp_path / name)["test"]["reprojection"]
        assert near[name]["frames"] == 6 * 4
        assert near[name]["joints"] == 6 * 4 * 21
    assert near["taught"]["pixels"] < 0.8 * near["untaught"]["pixels"]
    assert near["taught"]["palms"] < 0.8 * near["untaught"]["palms"]


@pytest.mark.parametrize("kind", list(TASKS))
def test_padding_changes_nothing(tmp_path: Path, kind: str) -> None:
    parts = (sign("1", "red"), sign("2", "blue"))
    short, long = sign("d1", "red", "dev", frames=2), sign("d2", "blue", "dev", frames=7)
    tasks = (HandAwareTask(HandAwareConfig(hands=1)), HandKeypointTask, KeypointTask, RgbTask)
    made = tasks[list(TASKS).index(kind)]
    torch.manual_seed(0)
    task: Any = tiny(kind) if isinstance(made, type) else tiny("hands")
    with torch.no_grad():
        alone = task.logits(batch_of(tmp_path / "one", *parts, short, task=task))
        both = task.logits(batch_of(tmp_path / "two", *parts, short, long, task=task))
    torch.testing.assert_close(alone[0], both[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both[0], both[1])


def tiny(kind: str) -> Any:
    """The task of a kind, with the sizes of ``TASKS``, that reads."""
    task, config = TASKS[kind]
    cli = TrainingCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        args=[
            f"--model.class_path=chereme.systems.hand_aware.task.{task}",
            *(f"--model.init_args.config.{name}={value}" for name, value in config.items()),
            *(["--model.init_args.size=16"] if kind == "frames" else []),
            "--data.class_path=chereme.systems.hand_aware.data.SignData",
            "--data.init_args.shards=[nowhere]",
            "--trainer.accelerator=cpu",
            "--trainer.logger=false",
        ],
    )
    return cli.model.eval()


# -- data as it comes -----------------------------------------------------------------------------
PAIR = (sign("1", "red"), sign("2", "blue"), sign("3", "red"), sign("4", "blue"))


@pytest.mark.parametrize("kind", list(TASKS))
def test_awkward_clips_do_not_stop_an_epoch(train: Train, tmp_path: Path, kind: str) -> None:
    """One frame, no hand, no gloss; and in dev a gloss that was never taught, and one without."""
    (tmp_path / "data").mkdir()
    check_settings(tmp_path / "data", "coloured", MADE, {})
    write(
        [
            *PAIR,
            sign("one frame", "red", frames=1),
            sign("no hand", "red", seen=False),
            sign("no gloss", ""),
            sign("d1", "red", "dev", frames=1),
            sign("d2", "red", "dev", seen=False),
            sign("d3", "green", "dev"),
        ],
        tmp_path / "data",
    )
    with pytest.warns(UserWarning, match="left out") as said:
        train(kind, tmp_path / "run", "--data.init_args.batch_size=1", shards=tmp_path / "data")
    texts = "\n".join(str(warning.message) for warning in said)
    assert "1 clips have no gloss (an empty label) and are left out" in texts
    body = kind == "keypoints"  # which may be there where no hand was seen
    assert ("1 clips show no hand and are left out" in texts) != body
    assert "dev: 1 clips are of 1 glosses without a training clip (green)" in texts
    assert "dev: 1 of 2 glosses have no clip (blue)" in texts
    found = metrics(tmp_path / "run")
    assert found["training_clips"] == 5 + body
    assert (found["dev"]["unknown_glosses"], found["dev"]["glosses"]) == (1, 2)
    assert found["dev"]["top5"] == pytest.approx(200 / 3, abs=0.01)  # the unknown one is wrong
    assert found["dev"]["top5_class"] == 50.0
    assert found["test"] is None
    assert not (tmp_path / "run" / "test.npz").exists()


def test_without_the_truth_joints_are_measured_against_what_was_detected(tmp_path: Path) -> None:
    task = tiny("hands")
    dev = sign("d", "red", "dev", known=False)
    dev.confidence[:, 3] = 0.1
    batch = batch_of(tmp_path, *PAIR, dev, task=task)
    assert batch.truth.isnan().all()
    with torch.no_grad():
        _, near = task.read(batch)
    assert np.isnan(near.absolute[:, 3]).all()
    assert np.isfinite(np.delete(near.absolute, 3, axis=1)).all()
    assert np.isnan(near.palm).all()


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        ([sign("1@left", "red"), sign("1@right", "blue")], "clip 1: expected one hand"),
        ([sign("1", "red")] * 3, "the same id twice"),
    ],
)
def test_hands_that_do_not_fit_each_other_are_refused(tmp_path, clips, said) -> None:
    with pytest.raises(InputError, match=said):
        batch_of(tmp_path, *clips)


def test_folders_and_vectors_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"train-000000\.tar and so on, but there are none"):
        SignData([str(tmp_path / "none")]).setup()
    with pytest.raises(UsageError, match="at least one folder"):
        SignData([])
    bare = sign("d", "red", "dev")
    bare = Sample(**{**vars(bare), "teacher": {}})
    with pytest.raises(InputError, match="clip d: expected the keypoints 'openpose_137'"):
        batch_of(tmp_path / "bare", *PAIR, bare, task=tiny("keypoints"))
    (tmp_path / "cut").mkdir()
    whole = (tmp_path / "bare" / "train-000000.tar").read_bytes()
    (tmp_path / "cut" / "train-000000.tar").write_bytes(b"x" + whole[1:])
    with pytest.raises(InputError, match="it is damaged"):
        SignData([str(tmp_path / "cut")]).setup()
