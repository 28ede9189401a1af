"""A checkpoint becomes a bundle that reads as the network does, and nothing in it is run."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.exemplars import Exemplars
from chereme.decoding import beam_search
from chereme.errors import BundleError
from chereme.hands.normalise import FEATURES_PER_FRAME, landmark_features
from chereme.hands.signing import signing_hand
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.synthesis import to_landmarks
from chereme.synthesis.spelling import Speller
from chereme.synthesis.style import SpellingStyle
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.systems.fingerspelling.encoders import LandmarkEncoderConfig, VectorEncoderConfig
from chereme.systems.fingerspelling.export import export, onnx_networks
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.text import ASL_LETTERS


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(kernels: str = "default") -> FingerspellingRecognizer:
    """A small network with random weights and statistics, sharp enough to say something."""
    torch.manual_seed(2)
    config = FingerspellingConfig(
        landmarks=LandmarkEncoderConfig(hidden=16, feature_dim=12),
        sequence=SequenceConfig(kernels=kernels, conv_dim=14, gru_hidden=10),
    )
    model = FingerspellingRecognizer(config)
    model.encoder.mean.normal_(0, 0.3)
    model.encoder.std.uniform_(0.2, 0.6)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    with torch.no_grad():
        model.sequence.classifier.weight.mul_(25)
    return model.eval()


def write_checkpoint(path: Path, model: FingerspellingRecognizer, **changes: object) -> Path:
    content = {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "recognizer": {"config": asdict(model.config), "rate": 30.0},
        "epoch": 3,
    }
    torch.save(content | changes, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "last.ckpt", network())


@pytest.fixture(scope="module")
def bundle(checkpoint: Path) -> Bundle:
    return export(checkpoint, checkpoint.parent / "bundle")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


# -- networks -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kernels", "stride"), [("unpooled", 1), ("default", 2), ("vac", 4)])
def test_onnx_equals_torch_at_every_length(kernels: str, stride: int) -> None:
    model = network(kernels)
    encoder, sequence = (
        onnxruntime.InferenceSession(content) for content in onnx_networks(model).values()
    )
    for length in (1, 2, 3, 17, 48, 49, 200):
        frames = torch.randn(length, FEATURES_PER_FRAME)
        frames[:, -1] = 1.0
        frames[length // 2 :: 7] = 0.0  # no hand
        features = encoder.run(None, {"frames": frames.numpy()})[0]
        log_probs = sequence.run(None, {"features": features[None]})[0]
        with torch.no_grad():
            expected = model.encoder(frames)
            logits = model(frames[None])[0]
        np.testing.assert_allclose(features, expected.numpy(), atol=1e-4)
        assert log_probs.shape == (1, -(-length // stride), 27)
        np.testing.assert_allclose(log_probs, logits.log_softmax(-1).numpy(), atol=1e-4)


def test_encoder_may_be_called_on_pieces(bundle: Bundle) -> None:
    frames = np.random.default_rng(0).normal(size=(30, FEATURES_PER_FRAME)).astype(np.float32)
    whole = bundle.encoder.run(None, {"frames": frames})[0]
    pieces = [bundle.encoder.run(None, {"frames": part})[0] for part in np.split(frames, [1, 14])]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


# -- checkpoints ----------------------------------------------------------------------------------
def test_load_checkpoint(checkpoint: Path) -> None:
    model, rate, alphabet, crop = load_checkpoint(checkpoint)
    expected = network().state_dict()
    assert (rate, alphabet, crop) == (30.0, ASL_LETTERS, None)
    assert not model.training
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_checkpoint_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    mark, path = tmp_path / "executed", tmp_path / "last.ckpt"
    content = {"state_dict": {}, "recognizer": {}, "callbacks": Hostile(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BundleError, match=r"last\.ckpt.*could run code") as refused:
        export(path, tmp_path / "bundle")
    # torch advises to switch the protection off.
    assert "weights_only" not in str(refused.value)
    assert "system" in str(refused.value)
    assert not mark.exists()
    assert not (tmp_path / "bundle").exists()
    torch.load(path, weights_only=False)  # the file would have done it
    assert mark.exists()


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80", b"PK\x03\x04 cut off", b"\x80\x04N.", bytes(1000)]
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"last\.ckpt: expected a checkpoint"):
        load_checkpoint(path)


def test_cut_off_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=r"cut\.ckpt: expected a checkpoint"):
        load_checkpoint(tmp_path / "cut.ckpt")


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.ckpt: no such checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    "content", [{"state_dict": {}}, [1, 2], torch.zeros(3), {"recognizer": 5, "state_dict": {}}]
)
def test_checkpoints_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(BundleError, match=r"other\.ckpt: expected a checkpoint of the finger"):
        load_checkpoint(tmp_path / "other.ckpt")


@pytest.mark.parametrize(
    "changes",
    [
        {"state_dict": {}},
        {"recognizer": {"config": {"sequence": {"gru_hidden": 11}}, "rate": 30.0}},
        {"recognizer": {"config": {"wings": 2}, "rate": 30.0}},
        {"recognizer": {"config": {}}},
        {"recognizer": {"config": {"sequence": {"kernels": "K4"}}, "rate": 30.0}},
        {"recognizer": {"config": {"sequence": {"wings": 2}}, "rate": 30.0}},
        {"recognizer": {"config": {"stream": "wings"}, "rate": 30.0}},
    ],
)
def test_checkpoints_whose_parts_do_not_fit(tmp_path: Path, changes: dict) -> None:
    write_checkpoint(tmp_path / "odd.ckpt", network(), **changes)
    with pytest.raises(BundleError, match=r"odd\.ckpt: expected a checkpoint of the finger"):
        load_checkpoint(tmp_path / "odd.ckpt")


# -- bundles --------------------------------------------------------------------------------------
def test_bundle_reads_as_the_network_does(bundle: Bundle, exemplars: Exemplars) -> None:
    clip = Speller(exemplars).spell("fog", np.random.default_rng(1), SpellingStyle(dropout=0.0))
    recording = to_landmarks(clip)
    transcript = Recognizer(Bundle.load(bundle.directory)).recognize(recording)
    track = signing_hand(recording)
    assert track is not None
    features, _ = landmark_features(track, 30.0)
    with torch.no_grad():
        log_probs = network()(torch.from_numpy(features)[None])[0][0].log_softmax(-1).numpy()
    expected = ASL_LETTERS.decode(beam_search(log_probs, width=5)[0].symbols)
    assert expected  # a random network, but not a silent one
    assert transcript.text == expected


def test_what_the_bundle_says(bundle: Bundle) -> None:
    config = bundle.config
    assert (config.name, config.task, config.input) == ("bundle", "fingerspelling", "landmarks")
    assert config.alphabet == ASL_LETTERS.symbols
    assert config.temporal_stride == 2
    assert (config.preprocessing.rate, config.preprocessing.features) == (30.0, FEATURES_PER_FRAME)
    assert set(config.files) == {"encoder.onnx", "sequence.onnx", "MODEL_CARD.md"}


def test_projections_are_left_behind_and_other_streams_refused(
    checkpoint: Path, bundle: Bundle, tmp_path: Path
) -> None:
    model = network()
    whole = {f"model.{name}": value for name, value in model.state_dict().items()}
    whole["distillation.project_rgb.weight"] = torch.zeros(3, 4)
    distilled = write_checkpoint(tmp_path / "distilled.ckpt", model, state_dict=whole)
    made = export(distilled, tmp_path / "bundle").config.files
    for name in ("encoder.onnx", "sequence.onnx"):
        assert made[name] == bundle.config.files[name]
    config = FingerspellingConfig(stream="pose", pose=VectorEncoderConfig(dim=7))
    vectors = write_checkpoint(tmp_path / "pose.ckpt", FingerspellingRecognizer(config))
    with pytest.raises(BundleError, match=r"pose\.ckpt: expected .* or rgb, .* got 'pose'"):
        export(vectors, tmp_path / "pose")


def test_description_and_model_card(checkpoint: Path, tmp_path: Path) -> None:
    described = {
        "name": "tiny",
        "licence": {"code": "MIT", "weights": "CC0-1.0", "data": "drawn"},
        "training_data": [{"name": "drawn hands"}],
        "metrics": [{"test_set": "none", "letter_accuracy": 0.0}],
        "decoding": {"beam_width": 3},
        "temporal_stride": 99,  # what the checkpoint knows better is taken from it
    }
    (tmp_path / "about.json").write_text(json.dumps(described))
    (tmp_path / "card.md").write_text("# Tiny\n")
    made = export(
        checkpoint,
        tmp_path / "bundle",
        description=tmp_path / "about.json",
        model_card=tmp_path / "card.md",
    )
    assert made.config.name == "tiny"
    assert made.config.licence.weights == "CC0-1.0"
    assert made.config.decoding.beam_width == 3
    assert made.config.temporal_stride == 2
    assert (tmp_path / "bundle" / "MODEL_CARD.md").read_text() == "# Tiny\n"
    again = export(
        checkpoint,
        tmp_path / "bundle",
        description=tmp_path / "about.json",
        model_card=tmp_path / "card.md",
    )
    assert again.sha256 == made.sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[1]", "JSON object"),
        ('{"nmae": "x"}', "nmae"),
        ('{"metrics": [{}]}', "test_set"),
    ],
)
def test_wrong_descriptions(checkpoint: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "about.json").write_text(text)
    with pytest.raises(BundleError, match=rf"about\.json.*{message}"):
        export(checkpoint, tmp_path / "bundle", description=tmp_path / "about.json")
    assert not (tmp_path / "bundle").exists()


# -- command line ---------------------------------------------------------------------------------
def test_synthesize_export_and_recognize(
    exemplars: Exemplars, checkpoint: Path, tmp_path: Path
) -> None:
    exemplars.save(tmp_path / "exemplars.npz")
    made = run("export", checkpoint, "-o", tmp_path / "model")
    assert (made.exit_code, made.stdout) == (0, ""), made.output
    assert Bundle.load(tmp_path / "model").sha256 in made.stderr
    hello = tmp_path / "new" / "hello.pose"
    spelled = run("synthesize", "HELLO", "--exemplars", tmp_path / "exemplars.npz", "-o", hello)
    assert spelled.exit_code == 0, spelled.output
    read = run("recognize", hello, "--model", tmp_path / "model", "--format", "json")
    assert read.exit_code == 0, read.output
    document = json.loads(read.stdout)
    assert re.fullmatch("[a-z]*", document["text"])


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("chereme: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_errors_of_synthesize_in_one_line(exemplars: Exemplars, tmp_path: Path) -> None:
    exemplars.save(tmp_path / "exemplars.npz")
    output = ("-o", tmp_path / "x.pose")
    good = ("--exemplars", tmp_path / "exemplars.npz")
    assert "got '23'" in one_line(run("synthesize", "R2D3", *good, *output), 2)
    one_line(run("synthesize", "", *good, *output), 2)
    assert "none.npz" in one_line(
        run("synthesize", "A", "--exemplars", tmp_path / "none.npz", *output), 1
    )
    assert "x.mp4" in one_line(run("synthesize", "A", *good, "-o", tmp_path / "x.mp4"), 2)
    assert not (tmp_path / "x.pose").exists()


def test_errors_of_export_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    assert "none.ckpt" in one_line(run("export", tmp_path / "none.ckpt", "-o", tmp_path / "b"), 1)
    (tmp_path / "text.ckpt").write_text("hello")
    assert "text.ckpt" in one_line(run("export", tmp_path / "text.ckpt", "-o", tmp_path / "b"), 1)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.doc").write_text("work")
    assert "thesis.doc" in one_line(run("export", checkpoint, "-o", full), 1)
    missing = run("export", checkpoint, "-o", tmp_path / "b", "--description", tmp_path / "no.json")
    assert "no.json" in one_line(missing, 1)


def test_errors_of_prepare_in_one_line(tmp_path: Path) -> None:
    result = run("prepare", "exemplars", "--root", tmp_path, "-o", tmp_path / "exemplars.npz")
    assert "letters_studio" in one_line(result, 1)
    assert not (tmp_path / "exemplars.npz").exists()
