"""RGB checkpoints become bundles that read as the network does, in float32 and in int8."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

import fakes
from chereme.cli import app
from chereme.datasets.shards import Sample, jpeg_of, write
from chereme.decoding import beam_search, greedy
from chereme.errors import BundleError, InputError, UsageError
from chereme.hands.crop import crop, hand_box
from chereme.hands.signing import hand_tracks
from chereme.metrics import letter_accuracy
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.systems.fingerspelling import export as export_module
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.systems.fingerspelling.export import export, onnx_networks
from chereme.systems.fingerspelling.losses import fingerspelling_losses
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.text import ASL_LETTERS, CHICAGO
from chereme.training.compression import half_weights, int8_encoder, read_crops
from chereme.training.parity import compare, log_probs_of
from chereme.video import open_video, write_video

SIZE = 32
CROP = {"padding": 0.1, "smoothing": 0.05, "bridge": 0.0}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(**changes: object) -> FingerspellingRecognizer:
    """A small network with random weights and statistics, sharp enough to say something."""
    torch.manual_seed(3)
    config = FingerspellingConfig(
        stream="rgb",
        rgb=ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=SIZE),
        sequence=SequenceConfig(conv_dim=14, gru_hidden=10),
    )
    model = FingerspellingRecognizer(replace(config, **changes))  # type: ignore[arg-type]
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    with torch.no_grad():
        model.sequence.classifier.weight.mul_(40)  # type: ignore[union-attr, operator]
    return model.eval()


def write_checkpoint(path: Path, model: FingerspellingRecognizer, **changes: object) -> Path:
    described = {"config": asdict(model.config), "rate": 25.0, "crop": CROP} | changes
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    state["distillation.rgb_to_shared.weight"] = torch.zeros(3, 4)  # stays behind
    torch.save({"state_dict": state, "recognizer": described}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", network())


@pytest.fixture(scope="module")
def bundle(checkpoint: Path) -> Bundle:
    return export(checkpoint, checkpoint.parent / "bundle")


def torch_log_probs(model: FingerspellingRecognizer, crops: np.ndarray, present=None) -> np.ndarray:
    """By the network alone, of crops ``(T, 3, S, S)`` uint8."""
    frames = torch.from_numpy(crops).float()[None] / 255
    mask = None if present is None else torch.from_numpy(present)[None]
    with torch.no_grad():
        return model(frames, torch.tensor([len(crops)]), mask)[0][0].log_softmax(-1).numpy()


# -- networks -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kernels", "stride"), [("unpooled", 1), ("default", 2), ("vac", 4)])
def test_onnx_equals_torch_at_every_length(kernels: str, stride: int) -> None:
    model = network(sequence=SequenceConfig(kernels=kernels, conv_dim=14, gru_hidden=10))
    run = log_probs_of(onnx_networks(model))
    rng = np.random.default_rng(0)
    for length in (1, 2, 3, 17, 40):
        crops = rng.integers(0, 256, (length, 3, SIZE, SIZE), dtype=np.uint8)
        log_probs = run(crops)
        assert log_probs.shape == (-(-length // stride), 27)
        np.testing.assert_allclose(log_probs, torch_log_probs(model, crops), atol=2e-3)


def test_what_the_bundle_says_and_wants(bundle: Bundle) -> None:
    config = bundle.config
    assert (config.input, config.alphabet, config.temporal_stride) == (
        "rgb", ASL_LETTERS.symbols, 2,
    )  # fmt: skip
    assert config.preprocessing.rate == 25.0
    assert asdict(config.preprocessing.crop) == {  # type: ignore[call-overload]
        "size": SIZE, "padding": 0.1, "smoothing": 0.05,
    }  # fmt: skip
    assert config.segmentation.bridge == 0.0
    (port,) = bundle.encoder.get_inputs()
    assert (port.type, port.shape[1:]) == ("tensor(uint8)", [3, SIZE, SIZE])
    names = {w.name for w in onnx.load(bundle.directory / "sequence.onnx").graph.initializer}
    assert not any("distillation" in name or "visual" in name for name in names)


def test_another_alphabet(tmp_path: Path) -> None:
    model = network(sequence=SequenceConfig(num_symbols=32, conv_dim=14, gru_hidden=10))
    path = write_checkpoint(tmp_path / "best.ckpt", model, alphabet=list(CHICAGO.symbols))
    assert export(path, tmp_path / "bundle").config.alphabet == CHICAGO.symbols
    with pytest.raises(
        BundleError, match="gives 32 symbols, but the alphabet and the blank are 27"
    ):
        export(write_checkpoint(tmp_path / "best.ckpt", model), tmp_path / "other")


def test_a_video_reads_as_the_network_does(bundle: Bundle, tmp_path: Path) -> None:
    """Everything by hand: boxes, crops, absent frames, PyTorch, beam search."""
    clip = tmp_path / "clip.mp4"
    landmarks = fakes.spell("vaild", fps=25.0, left=True)
    write_video(clip, fakes.film(landmarks, "vaild", left=True), 25.0)
    landmarks.confidence[10:13] = 0
    landmarks.landmarks[10:13] = np.nan
    recognizer = Recognizer(bundle, make_detector=lambda still: fakes.FakeDetector(landmarks))
    transcript = recognizer.recognize(clip)
    (track,) = hand_tracks(landmarks)
    boxes = hand_box(track, padding=CROP["padding"], smoothing=CROP["smoothing"])
    with open_video(clip) as reader:
        crops = [
            crop(frame.image, box, SIZE, mirrored=True).transpose(2, 0, 1)
            for frame, box in zip(reader, boxes, strict=True)
        ]
    log_probs = torch_log_probs(network(), np.stack(crops), track.present)
    expected = ASL_LETTERS.decode(beam_search(log_probs, width=5)[0].symbols)
    assert len(expected) > 2  # a random network, but not a silent one
    assert transcript.text == expected


# -- checkpoints ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [{"crop": None}, {"crop": {"padding": 0.2}}, {"crop": CROP | {"bridge": "long"}},
     {"alphabet": ["a", "a"]}, {"alphabet": 3}],
)  # fmt: skip
def test_checkpoints_that_do_not_say_how_crops_are_made(tmp_path: Path, changes: dict) -> None:
    path = write_checkpoint(tmp_path / "odd.ckpt", network(), **changes)
    with pytest.raises(BundleError, match=r"odd\.ckpt: expected a checkpoint of the finger"):
        load_checkpoint(path)


@pytest.mark.parametrize("crop_of", [CROP | {"padding": 99.0}, CROP | {"smoothing": float("nan")}])
def test_crops_that_cannot_be_served(tmp_path: Path, crop_of: dict) -> None:
    path = write_checkpoint(tmp_path / "odd.ckpt", network(), crop=crop_of)
    with pytest.raises(BundleError, match=r"preprocessing\.crop\."):
        export(path, tmp_path / "bundle")


def test_networks_that_differ_are_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = network()
    with torch.no_grad():
        other.sequence.classifier.bias.add_(torch.arange(27.0))  # type: ignore[union-attr, operator]
    monkeypatch.setattr(export_module, "onnx_networks", lambda model: onnx_networks(other))
    with pytest.raises(BundleError, match="give other log-probabilities than PyTorch's, by up to"):
        export(checkpoint, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


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
    import cv2

    crops = pictures(6, 64)
    np.save(tmp_path / "clip.npy", crops)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, picture in enumerate(crops):
        cv2.imwrite(str(folder / f"{i}.png"), picture[..., ::-1])
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
    import cv2

    cv2.imwrite(str(tmp_path / "empty" / "wide.png"), np.zeros((4, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"square crops of one size, got \[\(4, 8, 3\)\]"):
        read_crops(tmp_path / "empty", SIZE)


# -- smaller networks -----------------------------------------------------------------------------
def test_half_precision_rounds_the_weights_and_no_more(bundle: Bundle) -> None:
    content = (bundle.directory / "sequence.onnx").read_bytes()
    smaller = half_weights(content, least=64)
    assert len(smaller) < 0.65 * len(content)
    features = np.random.default_rng(0).normal(size=(1, 30, 16)).astype(np.float32)
    exact, rounded = (
        onnxruntime.InferenceSession(c).run(None, {"features": features})[0]
        for c in (content, smaller)
    )
    assert 0 < np.abs(exact - rounded).max() < 0.2  # of a classifier that is 40 times too sharp
    np.testing.assert_array_equal(exact.argmax(-1), rounded.argmax(-1))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_int8_on_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "crops.npy", pictures(40))
    out = tmp_path / "int8"
    made = run(
        "export", checkpoint, "-o", out, "--crops", tmp_path / "crops.npy", "--int8", "--half"
    )
    assert (made.exit_code, made.stdout) == (0, ""), made.output
    bundle = Bundle.load(out)
    exact, changed = bundle.config.metrics
    assert exact["test_set"].startswith("ONNX Runtime against PyTorch: the same 1 clips")
    assert (exact["frames"], exact["letters_changed"]) == (40, 0)
    assert "int8 encoder and half-precision weights against float32" in changed["test_set"]
    assert changed["log_probability_difference"] > exact["log_probability_difference"]
    assert re.search(r"0 of \d+ letters changed", made.stderr)
    types = {node.op_type for node in onnx.load(out / "encoder.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= types
    assert "int8 encoder" in (out / "MODEL_CARD.md").read_text()


def test_wrong_uses_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    result = run("export", checkpoint, "-o", tmp_path / "b", "--int8")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "give them with --crops" in result.stderr
    landmarks = FingerspellingRecognizer(FingerspellingConfig())
    path = write_checkpoint(tmp_path / "landmarks.ckpt", landmarks)
    with pytest.raises(UsageError, match="int8 and crops are of RGB models, got one of landmarks"):
        export(path, tmp_path / "b", crops=tmp_path)
    assert not (tmp_path / "b").exists()


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
    networks = onnx_networks(trained)
    quantised = networks | {"encoder.onnx": int8_encoder(networks["encoder.onnx"], calibration)}
    small = len(quantised["encoder.onnx"]) / len(networks["encoder.onnx"])
    assert small < 0.35
    texts = [text for _, text in clips]
    accuracy = {}
    for name, form in (("float", networks), ("int8", quantised)):
        read = log_probs_of(form)
        found = [ASL_LETTERS.decode(greedy(read(frames)).symbols) for frames, _ in clips]
        accuracy[name] = letter_accuracy(texts, found).accuracy
    assert accuracy["float"] > 95  # it has learnt
    assert accuracy["int8"] == accuracy["float"]
    frames = [frames for frames, _ in clips]
    same = compare(log_probs_of(networks), log_probs_of(quantised), frames, ASL_LETTERS)
    assert (same.clips, same.changed) == (24, 0)
    assert same.difference > 0
    assert json.dumps(same.as_metric("int8"))
