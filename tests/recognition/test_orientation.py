"""Recordings that lie on their side are found and turned; upright ones are left alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import chereme
import fakes
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.hands.signing import signing_hand
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import turned
from chereme.recognition.orientation import is_turned, likely_turn, may_be_turned
from chereme.types import HandTrack, Token
from chereme.video import open_video, write_video

TURNS = pytest.mark.parametrize("rotate", [90, 180, 270])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "fake")


def tokens(text: str, probability: float = 1.0) -> list[Token]:
    return [Token(letter, i, i + 1, probability) for i, letter in enumerate(text)]


@pytest.mark.parametrize("angle", [0, 40, 90, 180, 230, 270])
def test_the_turn_makes_most_hands_point_up(angle: int) -> None:
    """Hands that point ``angle`` degrees clockwise from up, some of them elsewhere."""
    rng = np.random.default_rng(angle)
    angles = np.radians(angle + rng.normal(0, 5, 20))
    angles[:6] = rng.uniform(0, 7, 6)
    points = np.zeros((20, 21, 3), np.float32)
    points[:, 1:, 0], points[:, 1:, 1] = (
        f(angles)[:, None] for f in (np.sin, lambda a: -np.cos(a))
    )
    track = HandTrack(points, np.ones((20, 21)), np.arange(20) / 30, 640, 480, "right")
    expected = -round(angle / 90) * 90 % 360
    assert likely_turn(track) == expected


def test_without_a_hand_or_a_direction_nothing_is_turned() -> None:
    angles = np.arange(20) / 20 * 2 * np.pi
    points = np.zeros((20, 21, 3), np.float32)
    points[:, 1:, 0], points[:, 1:, 1] = np.sin(angles)[:, None], -np.cos(angles)[:, None]
    for seen in (0.0, 1.0):
        track = HandTrack(points, np.full((20, 21), seen), np.arange(20) / 30, 9, 9, "right")
        assert likely_turn(track) == 0
    assert likely_turn(None) == 0


@pytest.mark.parametrize(
    ("as_it_is", "when_turned", "expected"),
    [
        (tokens("kq", 0.4), tokens("hello"), (True, True)),
        (tokens("vdvaaaiialal", 0.5), tokens("hello"), (True, True)),
        (tokens(""), tokens("am"), (True, True)),
        (tokens("j"), tokens("jo", 0.93), (False, True)),  # less than a letter more
        (tokens(""), tokens("u"), (False, True)),  # an H may well look like a U
        (tokens(""), tokens("fff"), (False, True)),  # a hand held aside
        (tokens("h"), tokens("u"), (False, False)),
        (tokens("hello"), tokens("hello"), (False, False)),
        (tokens(""), tokens("moore", 0.6), (False, False)),
    ],
)
def test_what_is_read_decides(
    as_it_is: list[Token], when_turned: list[Token], expected: tuple[bool, bool]
) -> None:
    assert (is_turned(as_it_is, when_turned), may_be_turned(as_it_is, when_turned)) == expected


@TURNS
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_recording_on_its_side_is_read_upright(
    bundle: Bundle, tmp_path: Path, rotate: int, mirrored: bool
) -> None:
    """``rotate``: what its pictures need, before they are flipped back if they are a mirror's."""
    upright = fakes.spell("vaild", fps=30.0, left=mirrored)
    recorded = turned(upright, 360 - rotate)
    size = recorded.height, recorded.width, 3
    film = tmp_path / "film.mp4"
    write_video(film, [np.zeros(size, np.uint8)] * len(upright.timestamps), 30.0)
    detectors = fakes.Detectors(recorded)
    recognizer = Recognizer(bundle, make_detector=detectors, mirrored=mirrored)
    transcript = recognizer.recognize(film)
    assert transcript.text == "vaild"
    assert transcript.info["rotation"] == rotate
    assert (transcript.info["width"], transcript.info["height"]) == (640, 480)
    assert not [warning for warning in transcript.warnings if "side" in warning]
    assert detectors.asked == len(upright.timestamps)  # hands are looked for once
    stated = Recognizer(bundle, make_detector=detectors, mirrored=mirrored, rotate=0)
    assert stated.recognize(film).info["rotation"] == 0


@TURNS
def test_landmarks_of_a_recording_on_its_side_are_only_warned_about(
    bundle: Bundle, tmp_path: Path, rotate: int
) -> None:
    path = tmp_path / "hands.npz"
    write_landmarks(turned(fakes.spell("vaild", fps=30.0), 360 - rotate), path)
    transcript = Recognizer(bundle).recognize(path)
    assert transcript.text != "vaild"
    assert transcript.info["rotation"] == 0
    (warning,) = [warning for warning in transcript.warnings if "side" in warning]
    assert warning.endswith(f"--rotate {rotate}")
    assert Recognizer(bundle, rotate=rotate).recognize(path).text == "vaild"


def test_upright_recordings_and_sideways_letters_are_left_alone(shared_data: Path) -> None:
    """G, H, P and Q among them: none of the real recordings is turned or warned about."""
    folder = shared_data / "fingerspelling_dev"
    recognizer = chereme.load("fingerspelling")
    with (folder / "manifest.csv").open() as file:
        paths = [folder / row["path"] for row in csv.DictReader(file)]
    landmarks = [read_landmarks(path) for path in paths if path.suffix != ".mp4"]
    assert len(landmarks) == 30
    assert sum(likely_turn(signing_hand(seen)) != 0 for seen in landmarks) == 3
    for seen in landmarks:
        assert not [w for w in recognizer.recognize(seen).warnings if "side" in w]


@pytest.mark.slow
@TURNS
def test_a_real_clip_on_its_side_is_read(tmp_path: Path, rotate: int) -> None:
    with open_video(Path(__file__).parents[2] / "examples" / "hello.mp4") as reader:
        frames = [np.rot90(frame.image, rotate // 90) for frame in reader]
    write_video(tmp_path / "side.mp4", map(np.ascontiguousarray, frames), 25.0)
    transcript = chereme.load("fingerspelling").recognize(tmp_path / "side.mp4")
    assert (transcript.text, transcript.info["rotation"]) == ("hello", rotate)
