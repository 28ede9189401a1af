"""A recogniser of SignBERT becomes a bundle that reads clips as training does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_models import GLOSSES, SMALL_SIGNBERT, save_signbert, signbert

from chereme.datasets.pose_clips import pose_clip, write_poses
from chereme.errors import BundleError
from chereme.formats.manifests import Item
from chereme.formats.poses import write_landmarks
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.export import LandmarkClassifier, landmark_examples
from chereme.systems.signbert.gesture import GestureConfig
from chereme.systems.signbert.recognizer import SignBertConfig, SignBertPretraining
from chereme.systems.signbert.tokens import CropConfig
from chereme.training.export import export
from fake_signs import wandering

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    "encoder",
    [
        SMALL_SIGNBERT,
        replace(SMALL_SIGNBERT, crop=CropConfig(around="clip"), layers=1),
        replace(
            SMALL_SIGNBERT, gesture=GestureConfig(widths=(8, 8), pooling="mean", seen_channel=False)
        ),
    ],
    ids=["frame", "clip", "mean"],
)
def test_onnx_equals_torch_for_any_number_of_clips_and_frames(tmp_path: Path, encoder) -> None:
    torch_model = signbert(encoder)
    path = save_signbert(tmp_path / "best.ckpt", torch_model)
    session = export(path, tmp_path / "signs").classifier
    served = LandmarkClassifier(torch_model).eval()
    for clips, frames in ((1, 1), (1, 40), (5, 2), (4, 9)):
        given = landmark_examples(clips, frames)
        with torch.no_grad():
            expected = served(*given).numpy()
        named = {n: t.numpy() for n, t in zip(("joints", "confidence", "mask"), given, strict=True)}
        found = session.run(None, named)[0]
        assert found.shape == (clips, len(GLOSSES))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.ptp(expected, axis=0).max() > 0.1 or clips == 1  # it does say something


def test_padding_changes_nothing_in_what_is_exported(tmp_path: Path) -> None:
    path = save_signbert(tmp_path / "best.ckpt", signbert())
    session = export(path, tmp_path / "signs").classifier
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
    torch_model = signbert()
    path = save_signbert(tmp_path / "best.ckpt", torch_model, sampling=sampling)
    recognizer = IsolatedRecognizer(export(path, tmp_path / "signs"))
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
        found = dict(recognizer.recognize(item.path).alternatives)
        np.testing.assert_allclose([found[g] for g in GLOSSES], wanted, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.05


def test_what_the_bundle_says(tmp_path: Path) -> None:
    path = save_signbert(tmp_path / "best.ckpt", signbert())
    config = export(path, tmp_path / "signs").config
    assert (config.name, config.task, config.input) == ("signs", "isolated", "landmarks")
    given = config.preprocessing
    assert (config.classes, given.frames, given.sampling, given.rate) == (GLOSSES, 8, "window", 25)
    card = (tmp_path / "signs" / "MODEL_CARD.md").read_text()
    for text in ("8 frames in a row", "HELLO, NO, YES, WHERE", "both hands"):
        assert text in card


def test_a_pretraining_and_glosses_that_come_twice_are_refused(tmp_path: Path) -> None:
    pretrained = SignBertPretraining(SignBertConfig(SMALL_SIGNBERT))
    path = save_signbert(tmp_path / "pre.ckpt", pretrained, kind="pretraining")
    with pytest.raises(BundleError, match="got a pre-training, which knows no signs"):
        export(path, tmp_path / "signs")
    twice = save_signbert(tmp_path / "twice.ckpt", signbert(), classes=["A", "B", "C", "A"])
    with pytest.raises(BundleError, match="classes: expected no gloss twice"):
        export(twice, tmp_path / "signs")
    assert not (tmp_path / "signs").exists()
