"""The hand-model-aware recogniser becomes a bundle that reads clips as training does."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_models import GLOSSES, hand_aware, save_hand_aware, save_signbert, signbert

import chereme
import fake_clips
from chereme.datasets.sign_clips import SignSettings, sign_samples
from chereme.errors import BundleError, UsageError
from chereme.formats.manifests import Item
from chereme.formats.poses import write_landmarks
from chereme.hand_model import HandTemplate
from chereme.hands.both import choose_frames
from chereme.recognition.bundle import Bundle
from chereme.recognition.hand_landmarks import detect_hands
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.recognition.sign_crops import encode_crops, read_joints
from chereme.recognition.stages import Stages
from chereme.systems.hand_aware.baselines import KeypointConfig, KeypointRecognizer
from chereme.systems.hand_aware.data import ClipReader, SignInputs, collate_signs
from chereme.systems.hand_aware.export import crop_examples
from chereme.systems.hand_aware.recognizer import HandAwareRecognizer
from chereme.training.augmentation import Augmentation
from chereme.training.export import export
from fake_signs import wandering

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("hand_aware")
    return export(save_hand_aware(folder / "best.ckpt", hand_aware()), folder / "signs")


@pytest.mark.parametrize(("hands", "frame"), [(1, "hand"), (2, "camera")])
def test_networks_of_pictures_equal_torch_for_any_number_of_crops_and_clips(
    tmp_path: Path, hands: int, frame: str
) -> None:
    model = hand_aware(hands, frame)
    path = save_hand_aware(tmp_path / "best.ckpt", model)
    bundle = export(path, tmp_path / "signs")
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
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    """But for what JPEG takes from the crops of the shards, which here are kept whole."""
    monkeypatch.setattr(
        "chereme.datasets.sign_clips.jpeg_of",
        lambda crop, quality: cv2.imencode(".png", crop[..., ::-1])[1].tobytes(),
    )
    folder = fake_clips.write_frames(tmp_path / "clip", 11, left=left, without=(0, 6))
    detectors = fake_clips.ColourDetectors()
    recognizer = chereme.load(bundle.directory, make_detector=detectors)
    result = recognizer.recognize(folder)
    assert isinstance(result, chereme.IsolatedResult)
    settings = SignSettings(size=32, hands="one")
    item = Item(folder, "NO", "clip")
    (sample,) = sign_samples(item, settings, make_detector=detectors).samples
    chosen = choose_frames(10, 4, "spread", None)  # from the first frame with a hand on
    clip = ClipReader(SignInputs(1, 32), Augmentation()).read("clip", [sample], chosen, 0)
    batch = collate_signs([clip])
    with torch.no_grad():
        expected = (
            hand_aware()(batch.crops.float() / 255, batch.present).logits.softmax(-1)[0].numpy()
        )
    found = dict(result.alternatives)
    np.testing.assert_allclose([found[g] for g in GLOSSES], expected, atol=1e-4)
    assert result.info["stream"] == "rgb"
    assert {"crop", "network", "detect"} <= result.info["timings"].keys()
    write_landmarks(wandering(4), tmp_path / "clip.npz")
    with pytest.raises(UsageError, match="reads pictures of the hand and expects a video"):
        recognizer.recognize(tmp_path / "clip.npz")


def test_landmarks_and_pictures_are_added_up(bundle: Bundle, tmp_path: Path) -> None:
    path = save_signbert(tmp_path / "best.ckpt", signbert())
    bundles = [export(path, tmp_path / "signs"), bundle]
    detectors = fake_clips.ColourDetectors()
    folder = fake_clips.write_frames(tmp_path / "clip", 6)
    alone = [
        dict(IsolatedRecognizer(one, make_detector=detectors).recognize(folder).alternatives)
        for one in bundles
    ]
    both = IsolatedRecognizer(bundles, make_detector=detectors).recognize(folder)
    expected = {gloss: (alone[0][gloss] + alone[1][gloss]) / 2 for gloss in GLOSSES}
    assert dict(both.alternatives) == pytest.approx(expected, abs=1e-6)
    assert both.info["stream"] == "landmarks+rgb"


def test_two_hands_of_pictures(tmp_path: Path) -> None:
    """The same hand, in the place of the right one or mirrored in that of the left one."""
    path = save_hand_aware(tmp_path / "best.ckpt", hand_aware(2))
    bundle = export(path, tmp_path / "signs")
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


def test_awkward_clips(bundle: Bundle, tmp_path: Path) -> None:
    recognizer = chereme.load(bundle.directory, make_detector=fake_clips.ColourDetectors())
    one = recognizer.recognize(fake_clips.write_frames(tmp_path / "one", 1))
    assert isinstance(one, chereme.IsolatedResult)
    assert len(one.alternatives) == len(GLOSSES)
    assert any("only one frame" in warning for warning in one.warnings)
    nobody = recognizer.recognize(fake_clips.write_frames(tmp_path / "none", 2, without=(0, 1)))
    assert nobody.text == ""
    assert nobody.warnings[0].startswith("no hand found in 2 frames")
    # A hand in frames that are none of the four of twenty that are read: 2, 7, 12 and 17.
    brief = fake_clips.write_frames(tmp_path / "brief", 20, without=range(1, 19))
    result = recognizer.recognize(brief)
    assert result.text == ""
    assert result.warnings == ("none of the frames that the model reads shows a hand",)


def test_a_partner_of_the_full_frame_is_no_bundle(tmp_path: Path) -> None:
    model = KeypointRecognizer(KeypointConfig(classes=4))
    described = {"kind": "keypoints", "config": asdict(model.config)}
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "hand_aware": described}, tmp_path / "best.ckpt")
    with pytest.raises(BundleError, match="kind 'hands', which bundles can serve, got 'keypoints'"):
        export(tmp_path / "best.ckpt", tmp_path / "signs")


def test_a_hand_model_with_a_licence_of_its_own_is_told(tmp_path: Path) -> None:
    template = tmp_path / "mano_right.safetensors"
    HandTemplate.load("open").save(template)
    model = hand_aware()
    own = HandAwareRecognizer(replace(model.config, template=str(template))).eval()
    own.load_state_dict(model.state_dict())
    path = save_hand_aware(
        tmp_path / "best.ckpt", own, crop={"padding": 0.5, "smoothing": 0.4, "bridge": 0.3}
    )
    config = export(path, tmp_path / "signs").config
    assert "hold parts of the hand model" in config.licence.weights
    crop = config.preprocessing.crop
    assert crop is not None
    assert (crop.size, crop.padding, crop.smoothing) == (32, 0.5, 0.4)
    assert config.preprocessing.bridge == 0.3
