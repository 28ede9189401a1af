"""A recording on its side, and how it is turned: every reading of it, of every task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import fake_signing
import fake_signs
import fakes
from chereme.cli import app
from chereme.errors import UsageError
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.recognition.bundle import Bundle
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import detect_hands, turned
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.recognition.overlay import write_overlay
from chereme.types import Landmarks, Transcript
from chereme.video import open_video

TURNS = pytest.mark.parametrize("rotate", [90, 180, 270])


def on_its_side(folder: Path, landmarks: Landmarks, text: str, rotate: int) -> Path:
    """Frames that ``rotate`` degrees clockwise turn upright, without loss."""
    folder.mkdir()
    for number, image in enumerate(fakes.film(landmarks, text)):
        Image.fromarray(np.rot90(image, rotate // 90)).save(f"{folder}/{number:04d}.png")
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "rgb", stream="rgb")


@TURNS
def test_crops_and_overlay_are_cut_from_the_turned_picture(
    bundle: Bundle, tmp_path: Path, rotate: int
) -> None:
    landmarks = fakes.spell("vaild", fps=30.0)
    frames = on_its_side(tmp_path / "frames", landmarks, "vaild", rotate)
    detectors = fakes.Detectors(landmarks)
    recognizer = Recognizer(bundle, make_detector=detectors, rotate=rotate)
    transcript = recognizer.recognize(frames, overlay=tmp_path / "film.mp4")
    assert transcript.text == "vaild"
    info = transcript.info
    assert (info["rotation"], info["width"], info["height"]) == (rotate, 640, 480)
    with open_video(tmp_path / "film.mp4") as film:
        shown = next(film).image[:480, :640].astype(float)
    upright = next(fakes.film(landmarks, "vaild"))
    assert np.abs(shown.mean(axis=-1) - upright.mean(axis=-1)).mean() < 12  # but for the hand drawn
    as_it_is = Recognizer(bundle, make_detector=detectors, rotate=0)
    assert as_it_is.recognize(frames).text != "vaild"


@TURNS
def test_landmarks_are_turned_like_their_recording(tmp_path: Path, rotate: int) -> None:
    upright = fakes.spell("vaild", fps=30.0)
    world = np.random.default_rng(0).normal(0, 0.1, upright.landmarks.shape)
    upright = replace(upright, world_landmarks=world)
    back = (360 - rotate) % 360
    write_landmarks(turned(upright, back), tmp_path / "hands.npz")
    found = detect_hands(tmp_path / "hands.npz", rotate=rotate).landmarks
    np.testing.assert_allclose(found.landmarks, upright.landmarks, atol=1e-3)
    np.testing.assert_allclose(found.world_landmarks, world, atol=1e-6)
    assert (found.width, found.height) == (upright.width, upright.height)
    again = detect_hands(turned(upright, back), rotate=rotate).landmarks
    np.testing.assert_allclose(again.landmarks, upright.landmarks, atol=1e-3)
    # The overlay of turned landmarks has their own ground.
    write_overlay(tmp_path / "film.mp4", tmp_path / "hands.npz", found, Transcript(""))
    with open_video(tmp_path / "film.mp4") as film:
        assert next(film).image.shape[1] == upright.width


def test_a_wrong_angle_is_told(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="rotate: expected 0, 90, 180 or 270"):
        Recognizer(bundle, rotate=45)
    with pytest.raises(UsageError, match="rotate: expected 0, 90, 180 or 270"):
        detect_hands(fakes.spell("a"), rotate=45)


@TURNS
def test_single_signs_and_signing(tmp_path: Path, rotate: int) -> None:
    landmarks = fake_signs.signing("xxxx", "xxxx")
    frames = on_its_side(tmp_path / "frames", landmarks, "v", rotate)
    signs = fake_signs.make_signs(tmp_path / "signs")
    result = IsolatedRecognizer(
        signs, rotate=rotate, make_detector=fakes.Detectors(landmarks)
    ).recognize(frames)
    assert result.info["rotation"] == rotate
    signing = fake_signing.make_signing(tmp_path / "signing", input="rgb")
    read = ContinuousRecognizer(signing, rotate=rotate).recognize(
        fake_signing.write_film(tmp_path / "signed", fake_signing.SENTENCE)
    )
    assert read.info["rotation"] == rotate
    tracks = fake_signing.make_signing(tmp_path / "tracks")
    with pytest.raises(UsageError, match="rotate: expected a video"):
        ContinuousRecognizer(tracks, rotate=rotate).recognize(landmarks)


def test_the_command_line(tmp_path: Path) -> None:
    upright = fakes.spell("vaild", fps=30.0)
    path = tmp_path / "hands.npz"
    write_landmarks(turned(upright, 270), path)
    model = tmp_path / "model"
    fakes.make_bundle(model)
    run = CliRunner().invoke
    arguments = ["recognize", str(path), "--model", str(model)]
    assert run(app, [*arguments, "--rotate", "90"]).stdout == "vaild\n"
    assert run(app, arguments).stdout != "vaild\n"
    wrong = run(app, [*arguments, "--rotate", "45"])
    assert wrong.exit_code == 2
    assert "rotate: expected 0, 90, 180 or 270" in wrong.stderr
    out = tmp_path / "upright.npz"
    assert run(app, ["landmarks", str(path), "-o", str(out), "--rotate", "90"]).exit_code == 0
    assert read_landmarks(out).width == upright.width
    (tmp_path / "m.csv").write_text("path,label\nhands.npz,vaild\n")
    data = ["--data", str(tmp_path / "m.csv"), "--model", str(model), "--format", "json"]
    scores = [
        json.loads(run(app, ["evaluate", *data, *more]).stdout)["letter_accuracy"]
        for more in ([], ["--rotate", "90"])
    ]
    assert scores[0] < scores[1] == 100.0
