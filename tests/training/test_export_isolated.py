"""A recogniser of isolated signs becomes a bundle that reads clips as training does."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import chereme
import fake_clips
import fake_signs
import fakes
from chereme.cli import app
from chereme.datasets.clips import AS_SERVED, CropSettings, track_clip
from chereme.datasets.pose_clips import pose_clip, write_poses
from chereme.errors import BundleError, UsageError
from chereme.formats.manifests import Item
from chereme.formats.poses import write_landmarks
from chereme.hand_model import HandTemplate
from chereme.hands.both import choose_frames
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.nn.st_gcn import StGcnConfig
from chereme.recognition.hand_landmarks import detect_hands
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.recognition.isolated_bundle import IsolatedBundle
from chereme.recognition.profiling import Stages
from chereme.recognition.sign_crops import encode_crops, read_joints
from chereme.systems.hand_aware.baselines import KeypointConfig, KeypointRecognizer
from chereme.systems.hand_aware.data import ClipReader, SignInputs, collate_signs
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.encoder import EncoderConfig
from chereme.systems.signbert.gesture import GestureConfig
from chereme.systems.signbert.recognizer import (
    HeadConfig,
    SignBertConfig,
    SignBertPretraining,
    SignBertRecognizer,
)
from chereme.systems.signbert.tokens import CropConfig, HandPoses
from chereme.training import export_isolated as exporting
from chereme.training.augmentation import Augmentation
from chereme.training.export_isolated import (
    crop_examples,
    export_isolated,
    kind_of,
    landmark_examples,
)
from chereme.types import Landmarks

GLOSSES = ("HELLO", "NO", "YES", "WHERE")
SMALL = EncoderConfig(
    gesture=GestureConfig(widths=(8, 12)), dim=24, layers=2, heads=2, feed_forward=32
)
pytestmark = pytest.mark.usefixtures("one_thread")


def network(encoder: EncoderConfig = SMALL) -> SignBertRecognizer:
    """A small network with random weights and statistics, sharp enough to say something."""
    torch.manual_seed(1)
    model = SignBertRecognizer(SignBertConfig(encoder, head=HeadConfig(classes=len(GLOSSES))))
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    model.eval()
    with torch.no_grad():
        model.encoder.gesture.output.weight.mul_(20)  # the hand counts, not its place in time alone
        # Logits of random clips spread round 0, as those of a network that has learnt.
        joints, confidence, mask = landmark_examples(32, 6)
        right = torch.tensor([[False, True]]).expand(32, 2)
        logits = model(HandPoses(joints, confidence, right, mask))
        spread = 0.7 * logits.std(0)
        model.head.classifier.weight.div_(spread[:, None])
        model.head.classifier.bias.sub_(logits.mean(0)).div_(spread)
    return model


def write_checkpoint(path: Path, model: torch.nn.Module, **about: object) -> Path:
    described = {
        "kind": "recognizer",
        "config": asdict(model.config),  # type: ignore[call-overload]
        "frames": 8,
        "sampling": "window",
        "rate": 25.0,
        "classes": list(GLOSSES),
    }
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "signbert": described | about, "epoch": 3}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", network())


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Path:
    return export_isolated(checkpoint, checkpoint.parent / "signs")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def wandering(frames: int, seed: int = 0, rate: float = 25.0) -> Landmarks:
    """Two hands that move, each of which is away now and then; some joints are missing."""
    rng = np.random.default_rng(seed)
    hands = np.stack([fakes.draw_hand("b", left=True), fakes.draw_hand("l")])
    points = hands + rng.normal(0, 15, (frames, 2, 21, 3)) + rng.normal(0, 40, (frames, 2, 1, 3))
    confidence = rng.uniform(0.3, 1, (frames, 2, 21))
    confidence[rng.random((frames, 2)) < 0.2] = 0
    confidence[rng.random((frames, 2, 21)) < 0.1] = 0
    confidence[[0, -1], 0, 0] = 1.0
    points = np.where(confidence[..., None] > 0, points, np.nan).astype(np.float32)
    times = np.arange(frames) / rate
    return Landmarks(
        points, confidence.astype(np.float32), times, fakes.WIDTH, fakes.HEIGHT, ("left", "right")
    )


# -- networks -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "encoder",
    [
        SMALL,
        replace(SMALL, crop=CropConfig(around="clip"), layers=1),
        replace(SMALL, gesture=GestureConfig(widths=(8, 8), pooling="mean", seen_channel=False)),
    ],
    ids=["frame", "clip", "mean"],
)
def test_onnx_equals_torch_for_any_number_of_clips_and_frames(tmp_path: Path, encoder) -> None:
    torch_model = network(encoder)
    path = write_checkpoint(tmp_path / "best.ckpt", torch_model)
    session = IsolatedBundle.load(export_isolated(path, tmp_path / "signs")).classifier
    served = exporting.LandmarkClassifier(torch_model).eval()
    for clips, frames in ((1, 1), (1, 40), (5, 2), (4, 9)):
        given = landmark_examples(clips, frames)
        with torch.no_grad():
            expected = served(*given).numpy()
        named = {n: t.numpy() for n, t in zip(("joints", "confidence", "mask"), given, strict=True)}
        found = session.run(None, named)[0]
        assert found.shape == (clips, len(GLOSSES))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.ptp(expected, axis=0).max() > 0.1 or clips == 1  # it does say something


def test_padding_changes_nothing_in_what_is_exported(model: Path) -> None:
    session = IsolatedBundle.load(model).classifier
    joints, confidence, mask = (t.numpy() for t in landmark_examples(1, 6))
    alone = session.run(None, {"joints": joints, "confidence": confidence, "mask": mask})[0]
    longer = {
        "joints": np.pad(joints, ((0, 0), (0, 5), *[(0, 0)] * 3), constant_values=77),
        "confidence": np.pad(confidence, ((0, 0), (0, 5), (0, 0), (0, 0)), constant_values=1),
        "mask": np.pad(mask, ((0, 0), (0, 5))),
    }
    np.testing.assert_allclose(session.run(None, longer)[0], alone, atol=1e-5)


@pytest.mark.parametrize("sampling", ["window", "spread"])
def test_a_bundle_reads_clips_as_training_watches_them(tmp_path: Path, sampling: str) -> None:
    """Files -> prepared clips -> batches -> the network gives the same as files -> the bundle."""
    torch_model = network()
    path = write_checkpoint(tmp_path / "best.ckpt", torch_model, sampling=sampling)
    recognizer = chereme.load(export_isolated(path, tmp_path / "signs"))
    assert isinstance(recognizer, IsolatedRecognizer)
    clips = {
        "one": wandering(1),
        "short": wandering(5),
        "long": wandering(23),
        "lone": wandering(9),
    }
    clips["lone"].confidence[:, 0] = 0
    clips["lone"].landmarks[:, 0] = np.nan
    clips["lone"].confidence[[0, -1]] = 0
    items = [Item(tmp_path / f"{n}.npz", "NO", n, split="dev") for n in clips]
    for item, seen in zip(items, clips.values(), strict=True):
        write_landmarks(seen, item.path)
    training = [Item(tmp_path / "x.npz", g, g, split="train") for g in GLOSSES]
    prepared = [pose_clip(i, s) for i, s in zip(items, clips.values(), strict=True)]
    prepared += [pose_clip(item, wandering(4)) for item in training]
    write_poses(prepared, tmp_path / "poses")
    data = PoseData([str(tmp_path / "poses")], frames=8, sampling=sampling)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="have no clip"):
        data.setup()
    (batch,) = data.whole("dev")
    with torch.no_grad():
        expected = torch_model(batch.poses).softmax(-1).numpy()
    for item, wanted in zip(items, expected, strict=True):
        found = dict(recognizer.recognize(item.path).glosses)
        np.testing.assert_allclose([found[g] for g in GLOSSES], wanted, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.05


# -- pictures -------------------------------------------------------------------------------------
def picture_network(hands: int = 1, frame: str = "camera") -> HandAwareRecognizer:
    """A small hand-model-aware recogniser whose answers hang on its crops."""
    torch.manual_seed(3)
    config = HandAwareConfig(
        classes=len(GLOSSES),
        hands=hands,
        rgb=ResNetEncoderConfig(depths=(1, 1, 1, 1), widths=(6, 8, 10, 12), image_size=32),
        frame=frame,  # type: ignore[arg-type]
        graph=StGcnConfig(channels=(8, 12), strides=(1, 2), kernel=3),
        fusion="mean" if hands == 1 else "concatenate",
    )
    model = HandAwareRecognizer(config).eval()
    with torch.no_grad():
        torch.nn.init.normal_(model.encoder.state.weight, std=0.5)
        logits = model(torch.rand(16, hands, 4, 3, 32, 32)).logits
        model.classifier.weight.div_(logits.std(0)[:, None])
        model.classifier.bias.sub_(logits.mean(0)).div_(logits.std(0))
    return model


def write_picture_checkpoint(path: Path, model: HandAwareRecognizer, **about: object) -> Path:
    described = {
        "kind": "hands",
        "config": asdict(model.config),
        "size": 32,
        "frames": 4,
        "sampling": "spread",
        "rate": 30.0,
        "classes": list(GLOSSES),
        "crop": {"padding": AS_SERVED.padding, "smoothing": AS_SERVED.smoothing, "bridge": 0.2},
    }
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "hand_aware": described | about}, path)
    return path


@pytest.mark.parametrize(("hands", "frame"), [(1, "hand"), (2, "camera")])
def test_networks_of_pictures_equal_torch_for_any_number_of_crops_and_clips(
    tmp_path: Path, hands: int, frame: str
) -> None:
    model = picture_network(hands, frame)
    path = write_picture_checkpoint(tmp_path / "best.ckpt", model)
    bundle = IsolatedBundle.load(export_isolated(path, tmp_path / "signs"))
    assert bundle.config.input == "rgb"
    assert bundle.config.preprocessing.hands == hands
    for clips, frames in ((1, 1), (3, 5)):
        crops, present = crop_examples(model, clips, frames)
        with torch.no_grad():
            out = model(crops.float() / 255, present)
        joints = encode_crops(bundle, crops.flatten(0, 2).numpy())
        joints = joints.reshape(clips, hands, frames, 21, 3)
        shown = present.numpy()
        np.testing.assert_allclose(joints[shown], out.joints.numpy()[shown], atol=1e-4)
        given = {"joints": joints.swapaxes(1, 2), "present": shown.swapaxes(1, 2)}
        found = bundle.classifier.run(None, given)[0]
        np.testing.assert_allclose(found, out.logits.log_softmax(-1).numpy(), atol=1e-3)


@pytest.mark.parametrize("left", [False, True])
def test_a_bundle_of_pictures_reads_clips_as_training_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    """But for what JPEG takes from the crops of the shards, which here are kept whole."""
    monkeypatch.setattr(
        "chereme.datasets.clips.jpeg_of",
        lambda crop, quality: cv2.imencode(".png", crop[..., ::-1])[1].tobytes(),
    )
    folder = fake_clips.write_frames(tmp_path / "clip", 11, left=left, without=(0, 6))
    model = picture_network()
    path = write_picture_checkpoint(tmp_path / "best.ckpt", model)
    bundle = export_isolated(path, tmp_path / "signs")
    detectors = fake_clips.ColourDetectors()
    recognizer = chereme.load(bundle, make_detector=detectors)
    result = recognizer.recognize(folder)
    assert isinstance(result, chereme.IsolatedResult)
    settings = CropSettings(size=32)
    sample = track_clip(Item(folder, "NO", "clip"), settings, detectors).sample
    chosen = choose_frames(11, 4, "spread", None)
    clip = ClipReader(SignInputs(1, 32), Augmentation()).read("clip", [sample], chosen, 0)
    batch = collate_signs([clip])
    with torch.no_grad():
        expected = model(batch.crops.float() / 255, batch.present).logits.softmax(-1)[0].numpy()
    found = dict(result.glosses)
    np.testing.assert_allclose([found[g] for g in GLOSSES], expected, atol=1e-4)
    assert result.info["stream"] == "rgb"
    assert {"crop", "network", "detect"} <= result.info["timings"].keys()
    write_landmarks(wandering(4), tmp_path / "clip.npz")
    with pytest.raises(UsageError, match="reads pictures of the hand and expects a video"):
        recognizer.recognize(tmp_path / "clip.npz")


def test_landmarks_and_pictures_are_added_up(model: Path, tmp_path: Path) -> None:
    path = write_picture_checkpoint(tmp_path / "best.ckpt", picture_network())
    bundles = [IsolatedBundle.load(b) for b in (model, export_isolated(path, tmp_path / "signs"))]
    detectors = fake_clips.ColourDetectors()
    folder = fake_clips.write_frames(tmp_path / "clip", 6)
    alone = [
        dict(IsolatedRecognizer(bundle, make_detector=detectors).recognize(folder).glosses)
        for bundle in bundles
    ]
    both = IsolatedRecognizer(bundles, make_detector=detectors).recognize(folder)
    expected = {gloss: (alone[0][gloss] + alone[1][gloss]) / 2 for gloss in GLOSSES}
    assert dict(both.glosses) == pytest.approx(expected, abs=1e-6)
    assert both.info["stream"] == "landmarks+rgb"


def test_two_hands_of_pictures(tmp_path: Path) -> None:
    """The same hand, in the place of the right one or mirrored in that of the left one."""
    path = write_picture_checkpoint(tmp_path / "best.ckpt", picture_network(2))
    bundle = IsolatedBundle.load(export_isolated(path, tmp_path / "signs"))
    read = {}
    for side in ("right", "left"):
        folder = fake_clips.write_frames(tmp_path / side, 6, left=side == "left")
        seen = detect_hands(folder, make_detector=fake_clips.ColourDetectors()).landmarks
        reading = {"mirrored": False, "rate": None, "strict": False, "limits": None}
        read[side] = read_joints(bundle, folder, seen, "auto", Stages(), reading)
    assert read["right"].present.tolist() == [[False, True]] * 4
    assert read["left"].present.tolist() == [[True, False]] * 4
    np.testing.assert_allclose(read["left"].joints[:, 0], read["right"].joints[:, 1], atol=0.02)
    assert not read["right"].joints[:, 0].any()
    assert np.abs(read["right"].joints[:, 1]).max() > 0.1


def test_awkward_clips_for_a_model_of_pictures(tmp_path: Path) -> None:
    path = write_picture_checkpoint(tmp_path / "best.ckpt", picture_network())
    bundle = export_isolated(path, tmp_path / "signs")
    recognizer = chereme.load(bundle, make_detector=fake_clips.ColourDetectors())
    one = recognizer.recognize(fake_clips.write_frames(tmp_path / "one", 1))
    assert isinstance(one, chereme.IsolatedResult)
    assert len(one.glosses) == len(GLOSSES)
    assert any("only one frame" in warning for warning in one.warnings)
    nobody = recognizer.recognize(fake_clips.write_frames(tmp_path / "none", 2, without=(0, 1)))
    assert nobody.text == ""
    assert nobody.warnings[0].startswith("no hand found in 2 frames")
    # A hand in frames that are none of the four of twenty that are read: 2, 7, 12 and 17.
    without = [frame for frame in range(20) if not 3 <= frame <= 6]
    brief = fake_clips.write_frames(tmp_path / "brief", 20, without=without)
    result = recognizer.recognize(brief)
    assert result.text == ""
    assert result.warnings == ("none of the frames that the model reads shows a hand",)


def test_a_partner_of_the_full_frame_is_no_bundle(tmp_path: Path) -> None:
    model = KeypointRecognizer(KeypointConfig(classes=4))
    described = {"kind": "keypoints", "config": asdict(model.config)}
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "hand_aware": described}, tmp_path / "best.ckpt")
    with pytest.raises(BundleError, match="kind 'hands', which bundles can serve, got 'keypoints'"):
        export_isolated(tmp_path / "best.ckpt", tmp_path / "signs")


def test_a_hand_model_with_a_licence_of_its_own_is_told(tmp_path: Path) -> None:
    template = tmp_path / "mano_right.safetensors"
    HandTemplate.load("open").save(template)
    model = picture_network()
    own = HandAwareRecognizer(replace(model.config, template=str(template))).eval()
    own.load_state_dict(model.state_dict())
    path = write_picture_checkpoint(
        tmp_path / "best.ckpt", own, crop={"padding": 0.5, "smoothing": 0.4, "bridge": 0.3}
    )
    config = IsolatedBundle.load(export_isolated(path, tmp_path / "signs")).config
    assert "hold parts of the hand model" in config.licence.weights
    crop = config.preprocessing.crop
    assert crop is not None
    assert (crop.size, crop.padding, crop.smoothing) == (32, 0.5, 0.4)
    assert config.preprocessing.bridge == 0.3


# -- what is written ------------------------------------------------------------------------------
def test_the_bundle_says_what_it_is(checkpoint: Path, tmp_path: Path) -> None:
    description = {
        "name": "my signs",
        "licence": {"code": "MIT", "weights": "CC0-1.0", "data": "my own"},
        "training_data": [{"name": "kitchen", "clips": 12}],
        "metrics": [{"test_set": "kitchen, held out", "top1": 91.7}],
    }
    folder = export_isolated(checkpoint, tmp_path / "signs", description=description)
    config = IsolatedBundle.load(folder).config
    assert (config.name, config.task, config.input) == ("my signs", "isolated", "landmarks")
    assert config.classes == GLOSSES
    given = config.preprocessing
    assert (given.frames, given.sampling, given.rate) == (8, "window", 25.0)
    assert config.licence.weights == "CC0-1.0"
    assert config.metrics[0]["top1"] == 91.7
    assert config.metrics[1]["log_probability_difference"] < 1e-4
    card = (folder / "MODEL_CARD.md").read_text()
    for text in ("# my signs", "8 frames in a row", "HELLO, NO, YES, WHERE", "CC0-1.0", "91.7"):
        assert text in card
    (tmp_path / "card.md").write_text("# mine\n")
    (tmp_path / "about.json").write_text(json.dumps({"name": "again"}))
    again = export_isolated(
        checkpoint, folder, description=tmp_path / "about.json", model_card=tmp_path / "card.md"
    )
    assert (again / "MODEL_CARD.md").read_text() == "# mine\n"
    assert IsolatedBundle.load(again).config.name == "again"


def test_the_command_takes_checkpoints_of_isolated_signs(checkpoint: Path, tmp_path: Path) -> None:
    result = run("export", checkpoint, "-o", tmp_path / "signs")
    assert result.exit_code == 0, result.stderr
    bundle = IsolatedBundle.load(tmp_path / "signs")
    assert bundle.sha256 in result.stderr
    refused = run("export", checkpoint, "-o", tmp_path / "other", "--half")
    assert refused.exit_code == 2
    assert "--half is of models that read letters" in refused.stderr
    assert not (tmp_path / "other").exists()


# -- what is refused ------------------------------------------------------------------------------
def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    pretrained = SignBertPretraining(SignBertConfig(SMALL))
    path = write_checkpoint(tmp_path / "pre.ckpt", pretrained, kind="pretraining")
    with pytest.raises(BundleError, match="got a pre-training, which knows no signs"):
        export_isolated(path, tmp_path / "signs")
    (tmp_path / "text.ckpt").write_text("no weights")
    with pytest.raises(BundleError, match="expected a checkpoint of SignBERT"):
        export_isolated(tmp_path / "text.ckpt", tmp_path / "signs")
    torch.save({"recognizer": {}, "state_dict": {}}, tmp_path / "letters.ckpt")
    found = [kind_of(tmp_path / f"{name}.ckpt") for name in ("pre", "text", "letters", "none")]
    assert found == ["signbert", None, None, None]
    assert not (tmp_path / "signs").exists()


def test_a_wrong_description_is_named(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "about.json").write_text("{]")
    with pytest.raises(BundleError, match=r"about\.json: expected a JSON object"):
        export_isolated(checkpoint, tmp_path / "signs", description=tmp_path / "about.json")
    with pytest.raises(BundleError, match="description: unknown key 'licens'"):
        export_isolated(checkpoint, tmp_path / "signs", description={"licens": "MIT"})
    twice = write_checkpoint(tmp_path / "twice.ckpt", network(), classes=["A", "B", "C", "A"])
    with pytest.raises(BundleError, match="classes: expected no gloss twice"):
        export_isolated(twice, tmp_path / "signs")


def test_a_network_that_differs_from_the_checkpoint_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {gloss: (1.0, 2.0, float(n)) for n, gloss in enumerate(GLOSSES)}
    wrong = fake_signs.classifier_network(scores)
    monkeypatch.setattr(exporting, "to_onnx", lambda *arguments: wrong)
    with pytest.raises(BundleError, match="gives other log-probabilities than PyTorch's"):
        export_isolated(checkpoint, tmp_path / "signs")
    assert not (tmp_path / "signs").exists()
