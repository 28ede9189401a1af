"""Crops to compare on, and networks of less weight: what they keep, and what they lose."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fake_models import CROP, SIZE, letters, save_letters
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from chereme.cli import app
from chereme.datasets.shards import Sample, jpeg_of, write
from chereme.errors import InputError
from chereme.metrics import letter_accuracy
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.recognition.bundle import Bundle
from chereme.systems.fingerspelling.checkpoints import Checkpoint
from chereme.systems.fingerspelling.export import spec_of_model
from chereme.systems.fingerspelling.losses import fingerspelling_losses
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.text import ASL_LETTERS
from chereme.training.compression import half_weights, int8_convolutions, read_crops
from chereme.training.export import compare

pytestmark = pytest.mark.usefixtures("one_thread")


# -- crops to compare on --------------------------------------------------------------------------
def pictures(count: int, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Smooth random pictures, which JPEG keeps."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    return coarse.repeat(size // 4, axis=1).repeat(size // 4, axis=2)


def sample(name: str, crops: np.ndarray, absent: int) -> Sample:
    count = len(crops)
    jpegs = [None if t == absent else jpeg_of(crops[t], 100) for t in range(count)]
    return Sample(
        id=name, label="abc", signer="one", split="dev", rate=25.0, handedness="right",
        jpegs=tuple(jpegs), landmarks=np.zeros((count, 21, 3), np.float32),
        confidence=np.ones((count, 21), np.float32), boxes=np.zeros((count, 4), np.float32),
        size=crops.shape[1],
    )  # fmt: skip


def test_crops_of_every_kind(tmp_path: Path) -> None:
    crops = pictures(6, 64)
    np.save(tmp_path / "clip.npy", crops)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, picture in enumerate(crops):
        Image.fromarray(picture).save(folder / f"{i}.png")
    write([sample("one", crops, 2), sample("two", crops[:3], 0)], tmp_path / "shards")
    (whole,) = read_crops(tmp_path / "clip.npy", 64)
    np.testing.assert_array_equal(whole, crops)
    (read,) = read_crops(folder, 64)
    np.testing.assert_array_equal(read, crops)
    one, two = read_crops(tmp_path / "shards", 64)
    off = np.abs(one.astype(int) - np.delete(crops, 2, axis=0))
    assert off.mean() < 4  # JPEG blurs edges of colour
    assert len(two) == 2
    (tar,) = (tmp_path / "shards").glob("*.tar")
    assert [len(clip) for clip in read_crops(tar, SIZE)] == [5, 2]
    (small,) = read_crops(tmp_path / "clip.npy", SIZE)
    assert small.shape == (6, SIZE, SIZE, 3)
    np.testing.assert_allclose(small, pictures(6, SIZE), atol=1)


def test_what_are_no_crops(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "absent", tmp_path / "empty"):
        with pytest.raises(InputError, match="expected crops of hands"):
            read_crops(path, SIZE)
    np.save(tmp_path / "float.npy", np.zeros((2, 8, 8, 3)))
    with pytest.raises(InputError, match=r"expected crops \(T, S, S, 3\) of uint8, got .*float64"):
        read_crops(tmp_path / "float.npy", SIZE)
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("hello")
    for name in ("object.npy", "text.npy"):
        with pytest.raises(InputError, match="it cannot be read"):
            read_crops(tmp_path / name, SIZE)
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "empty" / "wide.png")
    with pytest.raises(InputError, match=r"square crops of one size, got \[\(4, 8, 3\)\]"):
        read_crops(tmp_path / "empty", SIZE)


# -- smaller networks -----------------------------------------------------------------------------
def test_half_precision_rounds_the_weights_and_no_more() -> None:
    content = spec_of_model(Checkpoint(letters("rgb"), 25.0, ASL_LETTERS, CROP)).onnx()[
        "sequence.onnx"
    ]
    smaller = half_weights(content, least=64)
    assert len(smaller) < 0.65 * len(content)
    features = np.random.default_rng(0).normal(size=(1, 30, 16)).astype(np.float32)
    exact, rounded = (
        onnxruntime.InferenceSession(c).run(None, {"features": features})[0]
        for c in (content, smaller)
    )
    assert 0 < np.abs(exact - rounded).max() < 0.2  # of a classifier that is 40 times too sharp
    np.testing.assert_array_equal(exact.argmax(-1), rounded.argmax(-1))


def test_int8_on_the_command_line(tmp_path: Path) -> None:
    checkpoint = save_letters(tmp_path / "best.ckpt", letters("rgb"))
    np.save(tmp_path / "crops.npy", pictures(40))
    out = tmp_path / "int8"
    options = ["--crops", tmp_path / "crops.npy", "--int8", "--half"]
    made = CliRunner().invoke(app, list(map(str, ["export", checkpoint, "-o", out, *options])))
    assert (made.exit_code, made.stdout) == (0, ""), made.output
    exact, changed = Bundle.load(out).config.metrics
    assert exact["test_set"].startswith("ONNX Runtime against PyTorch: 1 clips of crops")
    assert exact["symbols_changed"] == 0
    assert "int8 and half-precision weights against float32" in changed["test_set"]
    assert changed["log_probability_difference"] > exact["log_probability_difference"]
    assert re.search(r"0 of \d+ symbols changed", made.stderr)
    types = {node.op_type for node in onnx.load(out / "encoder.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= types
    assert "int8 and half" in (out / "MODEL_CARD.md").read_text()


TOY = "abcd"


def toy_clip(rng: np.random.Generator, letters: int = 3) -> tuple[np.ndarray, str]:
    """A clip ``(T, 3, S, S)``: a bright spot, in the quarter that its letter says, on noise."""
    text, frames = "", []
    while len(text) < letters:
        letter = str(rng.choice(sorted(set(TOY) - set(text[-1:]))))
        text += letter
        y, x = divmod(TOY.index(letter), 2)
        for _ in range(rng.integers(4, 7)):
            frame = rng.integers(0, 120, (3, SIZE, SIZE))
            row, column = (SIZE // 2 * at + rng.integers(2, 7) for at in (y, x))
            frame[:, row : row + 8, column : column + 8] += 110
            frames.append(frame.astype(np.uint8))
    return np.stack(frames), text


@pytest.fixture(scope="module")
def trained() -> FingerspellingRecognizer:
    """The recipe small, on small crops, taught the toy."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    config = FingerspellingConfig(
        stream="rgb",
        rgb=ResNetEncoderConfig((2, 2, 2, 2), (32, 64, 128, 256), image_size=SIZE),
        sequence=SequenceConfig(conv_dim=256, gru_hidden=192),
    )
    model = FingerspellingRecognizer(config)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(110):
        clips = [toy_clip(rng) for _ in range(8)]
        lengths = torch.tensor([len(frames) for frames, _ in clips])
        frames = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(frames).float() / 255 for frames, _ in clips], batch_first=True
        )
        targets = torch.tensor([ASL_LETTERS.encode(text) for _, text in clips])
        sequence, visual, steps = model(frames, lengths)
        loss: Tensor = fingerspelling_losses(
            sequence, visual, steps, targets, torch.tensor([3] * len(clips))
        ).total
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    return model.eval()


@pytest.mark.slow
def test_int8_of_the_small_recipe_loses_nothing(trained: FingerspellingRecognizer) -> None:
    rng = np.random.default_rng(1)
    clips = [toy_clip(rng) for _ in range(24)]
    calibration = [toy_clip(rng)[0].transpose(0, 2, 3, 1) for _ in range(6)]
    made = spec_of_model(Checkpoint(trained, 25.0, ASL_LETTERS, CROP))
    config = made.config("toy")
    networks = made.onnx(config)
    encoder = int8_convolutions(networks["encoder.onnx"], calibration)
    assert len(encoder) < 0.35 * len(networks["encoder.onnx"])
    exact = made.runner(config, networks)
    quantised = made.runner(config, networks | {"encoder.onnx": encoder})
    texts = [text for _, text in clips]
    accuracy = [
        letter_accuracy(texts, [run(frames).symbols for frames, _ in clips]).accuracy
        for run in (exact, quantised)
    ]
    assert accuracy[0] > 95  # it has learnt
    assert accuracy[1] == accuracy[0]
    same = compare(exact, quantised, [frames for frames, _ in clips])
    assert (same.examples, same.changed) == (24, 0)
    assert same.difference > 0
    assert json.dumps(same.as_metric("int8", "clips"))
