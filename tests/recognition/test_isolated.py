"""Isolated signs: what is ranked can be worked out by hand; what is wrong is refused or told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import chereme
import fake_signs
import fakes
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import ClipPreprocessing
from chereme.recognition.isolated import IsolatedRecognizer, classify, load_isolated
from chereme.types import IsolatedResult, Landmarks
from chereme.video import write_video
from fake_signs import FRAMES, probabilities, signing


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fake_signs.make_signs(tmp_path_factory.mktemp("signs") / "fake")


def check(result: IsolatedResult, expected: dict[str, float]) -> None:
    """The glosses are those of ``expected`` with their probabilities, the likeliest first."""
    assert dict(result.alternatives) == pytest.approx(expected, abs=1e-6)
    ranked = [probability for _, probability in result.alternatives]
    assert ranked == sorted(ranked, reverse=True)
    assert result.text == max(expected, key=lambda gloss: expected[gloss])


# -- what is read ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("........", "xxxxxxxx", "RIGHT"),
        ("xxxxxxxx", "........", "LEFT"),
        ("xxxxxxxx", "xxxxxxxx", "BOTH"),
    ],
)
def test_the_hands_that_are_seen_decide(bundle, left, right, text) -> None:
    result = IsolatedRecognizer(bundle).recognize(signing(left, right))
    check(result, probabilities("x" in left, "x" in right))
    assert (result.text, result.warnings) == (text, ())
    assert (result.tokens[0].start, result.tokens[0].end) == (0.0, pytest.approx(7 / 25))


def test_a_clip_lasts_from_the_first_sight_of_a_hand_to_the_last(bundle) -> None:
    result = IsolatedRecognizer(bundle).recognize(signing("..........", "...x.xx..."))
    check(result, probabilities(0.0, 0.75))
    assert (result.tokens[0].start, result.tokens[0].end) == (
        pytest.approx(3 / 25),
        pytest.approx(6 / 25),
    )
    assert result.info["frames_read"] == 4
    assert result.info["hand_coverage"] == pytest.approx(0.3)
    assert result.warnings == ("a hand was seen in only 30% of the frames",)


def test_a_part_of_a_recording(bundle) -> None:
    both = signing("xxxxxxxx........", "........xxxxxxxx")
    recognizer = IsolatedRecognizer(bundle)
    assert recognizer.recognize(both, end=7.5 / 25).text == "LEFT"
    later = recognizer.recognize(both, start=7.5 / 25)
    assert (later.text, later.tokens[0].start) == ("RIGHT", pytest.approx(8 / 25))
    with pytest.raises(InputError, match="expected frames from 9 s"):
        recognizer.recognize(both, start=9.0)


def test_a_mirrored_recording_shows_the_other_hand(bundle) -> None:
    clip = signing("........", "xxxxxxxx")
    assert IsolatedRecognizer(bundle, mirrored=True).recognize(clip).text == "LEFT"


def test_a_hand_of_unknown_side_is_what_the_user_says(bundle) -> None:
    clip = replace(signing("........", "xxxxxxxx"), handedness=("left", "unknown"))
    recognizer = IsolatedRecognizer(bundle)
    assert recognizer.recognize(clip).text == "RIGHT"
    assert recognizer.recognize(clip, hand="left").text == "LEFT"
    assert IsolatedRecognizer(bundle, hand="left").recognize(clip).text == "LEFT"
    with pytest.raises(UsageError, match="expected auto, left or right, got 'third'"):
        IsolatedRecognizer(bundle, hand="third")  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".npz", ".pose"])
def test_landmark_files(bundle, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write_landmarks(signing("xxxx....", "xxxxxxxx"), path)
    result = IsolatedRecognizer(bundle).recognize(path)
    check(result, probabilities(0.5, 1.0))
    assert result.info["kind"] == "landmarks"


def test_videos_folders_and_pictures(bundle, tmp_path: Path) -> None:
    clip = signing("........", "xxxxxxxx")
    pictures = [np.full((64, 64, 3), 20 * t, np.uint8) for t in range(8)]
    write_video(tmp_path / "clip.mp4", pictures, 25.0)
    (tmp_path / "frames").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "frames" / f"{number:03d}.png")
    recognizer = IsolatedRecognizer(bundle, make_detector=lambda _: fakes.FakeDetector(clip))
    told: list[int] = []
    for name, kind in (("clip.mp4", "video"), ("frames", "frames"), ("frames/003.png", "image")):
        result = recognizer.recognize(
            tmp_path / name, progress=lambda done, expected: told.append(done)
        )
        assert (result.text, result.info["kind"]) == ("RIGHT", kind)
        assert result.info["timings"].keys() == {"read", "detect", "network", "total"}
    assert told[-1] == 1
    assert max(told) == 8
    assert any("only one frame" in warning for warning in result.warnings)


# -- awkward clips --------------------------------------------------------------------------------
def test_no_hand_is_no_gloss_and_the_reason(bundle) -> None:
    result = IsolatedRecognizer(bundle).recognize(signing("....", "...."))
    assert (result.alternatives, result.text, result.tokens) == ((), "", ())
    assert result.warnings[0].startswith("no hand found in 4 frames")
    nobody = np.zeros((3, 0, 21))
    empty = Landmarks(np.zeros((3, 0, 21, 3)), nobody, np.arange(3) / 25, 64, 64, ())
    assert IsolatedRecognizer(bundle).recognize(empty).text == ""


def test_one_frame_is_read_and_said(bundle) -> None:
    result = IsolatedRecognizer(bundle).recognize(signing("x", "."))
    check(result, probabilities(1.0, 0.0))
    assert (result.tokens[0].start, result.tokens[0].end) == (0.0, 0.0)
    assert result.warnings == ("only one frame shows a hand: how the sign moves is not seen",)


def test_a_clip_of_another_rate_or_far_too_long_is_told(tmp_path: Path) -> None:
    window = ClipPreprocessing(rate=25.0, frames=FRAMES, sampling="window")
    recognizer = IsolatedRecognizer(fake_signs.make_signs(tmp_path / "signs", preprocessing=window))
    quick = recognizer.recognize(signing("." * 16, "x" * 16, rate=50.0))
    assert quick.warnings == (
        "50.0 frames a second, but the model was trained on 25.0: signs look slower to it than "
        "they are",
    )
    long = recognizer.recognize(signing("." * 17, "x" * 17))
    assert long.warnings[0].startswith("of 17 frames with hands only the 8 in the middle were read")


class Recorder:
    """Stands for a network: keeps what it is given, and says that all glosses are alike."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def run(self, outputs: list[str], given: dict[str, Any]) -> list[Any]:
        self.given = given
        return [np.full((1, 3), np.log(1 / 3), np.float32)]


@pytest.mark.parametrize(
    ("sampling", "frames", "rows"),
    [("window", 4, [3, 4, 5, 6]), ("spread", 5, [1, 3, 5, 7, 9]), ("spread", 20, list(range(10)))],
)
def test_the_network_is_given_the_frames_that_training_watches(
    bundle, sampling, frames, rows
) -> None:
    recorder = Recorder()
    given = ClipPreprocessing(rate=25.0, frames=frames, sampling=sampling)
    config = fake_signs.signs_config(preprocessing=given)
    joints = np.random.default_rng(0).uniform(0, 400, (10, 2, 21, 2))
    confidence = np.ones((10, 2, 21))
    confidence[4, 0, 3] = 0
    joints[4, 0, 3] = np.nan
    log_probs = classify(replace(bundle, config=config, classifier=recorder), joints, confidence)
    assert log_probs.shape == (3,)
    expected = joints.copy()
    expected[4, 0, 3] = 0
    np.testing.assert_array_equal(recorder.given["joints"], expected[rows][None].astype("f4"))
    np.testing.assert_array_equal(recorder.given["confidence"], confidence[rows][None])
    assert recorder.given["mask"].tolist() == [[True] * len(rows)]
    assert recorder.given["joints"].dtype == recorder.given["confidence"].dtype == np.float32


def test_equal_probabilities_are_in_the_order_of_the_glosses(bundle) -> None:
    alike = replace(bundle, classifier=Recorder())
    result = IsolatedRecognizer(alike).recognize(signing("xx", "xx"))
    assert [gloss for gloss, _ in result.alternatives] == list(fake_signs.SCORES)


# -- several models -------------------------------------------------------------------------------
OTHER = {"RIGHT": (0.5, 1.0, 0.0), "BOTH": (-1.0, 0.2, 2.0), "LEFT": (1.5, 0.0, -1.0)}


def test_predictions_of_several_models_are_added_up(bundle, tmp_path: Path) -> None:
    other = fake_signs.make_signs(tmp_path / "other", OTHER, name="other")
    fused = IsolatedRecognizer([bundle, other])
    result = fused.recognize(signing("xx......", "xxxxxxxx"))
    one, two = probabilities(0.25, 1.0), probabilities(0.25, 1.0, OTHER)
    check(result, {gloss: (one[gloss] + two[gloss]) / 2 for gloss in one})
    assert result.info["model"]["name"] == "fake signs+other"
    both = (bundle.sha256 + other.sha256).encode()
    assert fused.sha256 == hashlib.sha256(both).hexdigest()
    assert [m["name"] for m in result.info["models"]] == ["fake signs", "other"]


def test_models_of_other_glosses_are_not_added_up(bundle, tmp_path: Path) -> None:
    scores = {"BOTH": (1.0, 1.0, 0.0), "LEFT": (1.0, 0.0, 0.0), "NEITHER": (0.0, 0.0, 1.0)}
    other = fake_signs.make_signs(tmp_path / "other", scores, name="other")
    with pytest.raises(UsageError, match=r"2 are in one of them alone \('RIGHT'.*'NEITHER'"):
        IsolatedRecognizer([bundle, other])
    with pytest.raises(UsageError, match="expected at least one"):
        IsolatedRecognizer([])


# -- bundles --------------------------------------------------------------------------------------
def test_load_goes_by_what_the_model_is_for(bundle, tmp_path: Path) -> None:
    recognizer = chereme.load(bundle.directory, hand="left")
    assert isinstance(recognizer, IsolatedRecognizer)
    assert recognizer.hand == "left"
    write_landmarks(signing("....", "xxxx"), tmp_path / "clip.npz")
    result = chereme.recognize(tmp_path / "clip.npz", model=bundle.directory)
    assert isinstance(result, chereme.IsolatedResult)
    assert result.text == "RIGHT"
    with pytest.raises(UsageError, match="reads landmarks, not rgb"):
        chereme.load(bundle.directory, stream="rgb")


def test_a_bundle_of_another_task_is_refused(bundle, tmp_path: Path) -> None:
    letters = fakes.make_bundle(tmp_path / "letters")
    with pytest.raises(BundleError, match="expected a model for isolated signing, got 'fake'"):
        load_isolated(letters.directory)
    with pytest.raises(UsageError, match="no model 'none'"):
        load_isolated("none")
