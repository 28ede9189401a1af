"""Times of results: those of a player's clock, in everything that tells times."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

import fake_signing
import fake_signs
import fakes
from chereme.cli import app
from chereme.errors import InputError, LimitError
from chereme.formats.poses import read_landmarks, write_landmarks
from chereme.formats.tracks import read_tracks, write_tracks
from chereme.formats.tracks.mediapipe import mediapipe_of_landmarks
from chereme.formats.transcripts import write
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Segmentation
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import detect_hands
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.recognition.segments import split
from chereme.recognition.sign_frames import HELD, sampled
from chereme.types import RAREST, Frame, HandTrack, Landmarks
from chereme.video import Limits, open_video, write_video

LATE = 2.0
WORD = "vaild"


@pytest.fixture(scope="module", params=["landmarks", "rgb"])
def bundle(request, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / request.param
    return fakes.make_bundle(folder, stream=request.param)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Landmarks:
    return fakes.spell(WORD, fps=30.0)


@pytest.fixture(scope="module", params=["mkv", "mp4", "ts"])
def clip(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word whose picture begins two seconds after its sound."""
    folder = tmp_path_factory.mktemp("clips")
    fakes.recording(folder / "film.mp4", WORD)
    return fakes.with_sound(folder / "film.mp4", folder / f"clip.{request.param}", LATE, start=1.4)


def test_letters_in_every_output(
    bundle: Bundle, seen: Landmarks, clip: Path, tmp_path: Path
) -> None:
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(seen))
    transcript = recognizer.recognize(clip, overlay=tmp_path / "film.mp4")
    assert transcript.text == WORD
    for number, token in enumerate(transcript.tokens):
        assert token.start == pytest.approx(LATE + 0.3 * number, abs=0.07)
    (segment,) = transcript.info["segments"]
    assert segment["start"] == pytest.approx(LATE, abs=2e-3)
    assert segment["end"] == pytest.approx(LATE + 0.3 * len(WORD), abs=0.04)
    assert transcript.info["start"] == pytest.approx(LATE, abs=2e-3)
    assert transcript.info["duration"] == pytest.approx(0.3 * len(WORD), abs=2e-3)
    assert write(transcript, clip, "srt").splitlines()[1].startswith("00:00:02,0")
    # The film has no sound, and its picture as long as the recording's; the letters are in step.
    with open_video(tmp_path / "film.mp4") as film:
        assert next(film).timestamp == 0
        assert sum(1 for _ in film) == len(seen.timestamps) - 1


@pytest.mark.parametrize(
    ("start", "end", "text"), [(2.0, 3.6, WORD), (2.0, 2.59, "va"), (None, 2.29, "v")]
)
def test_a_part_is_told_by_the_same_clock(
    bundle: Bundle, seen: Landmarks, clip: Path, start, end, text
) -> None:
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(seen))
    assert recognizer.recognize(clip, start=start, end=end).text == text


def test_before_the_picture_there_is_nothing(bundle: Bundle, seen: Landmarks, clip: Path) -> None:
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(seen))
    with pytest.raises(InputError, match=r"from 0 s to 1 s, but the first frame is at 2"):
        recognizer.recognize(clip, end=1.0)


def test_files_of_landmarks(seen: Landmarks, clip: Path, tmp_path: Path) -> None:
    found = detect_hands(clip, make_detector=fakes.Detectors(seen)).landmarks
    assert found.timestamps[0] == pytest.approx(LATE, abs=2e-3)
    write_landmarks(found, tmp_path / "hands.npz")
    np.testing.assert_array_equal(
        read_landmarks(tmp_path / "hands.npz").timestamps, found.timestamps
    )
    with pytest.warns(UserWarning, match=r"starts at 0, .* 2\.00 s .* \.npz"):
        write_landmarks(found, tmp_path / "hands.pose")
    assert read_landmarks(tmp_path / "hands.pose").timestamps[0] == 0
    info = detect_hands(tmp_path / "hands.npz").info
    assert info["start"] == pytest.approx(LATE, abs=2e-3)
    assert info["duration"] == pytest.approx(0.3 * len(WORD), abs=2e-3)


def test_a_single_frame_has_its_time(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", [np.zeros((48, 64, 3), np.uint8)], 30)
    clip = fakes.with_sound(tmp_path / "film.mp4", tmp_path / "clip.mkv", LATE)
    bundle = fakes.make_bundle(tmp_path / "bundle")
    detectors = fakes.Detectors(fakes.spell("l", fps=3.0))
    (token,) = Recognizer(bundle, make_detector=detectors).recognize(clip).tokens
    assert token.start == token.end == LATE


def test_single_signs(clip: Path, tmp_path: Path) -> None:
    landmarks = fake_signs.signing("x" * 45, "x" * 45)
    signs = fake_signs.make_signs(tmp_path / "signs")
    result = IsolatedRecognizer(signs, make_detector=fakes.Detectors(landmarks)).recognize(clip)
    assert result.tokens[0].start == pytest.approx(LATE, abs=2e-3)
    assert result.tokens[0].end == pytest.approx(LATE + 44 / 30, abs=2e-3)


def test_continuous_signing_in_video(tmp_path: Path) -> None:
    film = fake_signing.film(fake_signing.SENTENCE, 64)
    write_video(tmp_path / "film.mp4", (f.image for f in film), fake_signing.RATE, quality=1)
    model = fake_signing.make_signing(tmp_path / "model", input="rgb")
    recognizer = ContinuousRecognizer(model, make_detector=fake_signing.Hands())
    early = recognizer.recognize(tmp_path / "film.mp4")
    clip = fakes.with_sound(tmp_path / "film.mp4", tmp_path / "clip.mkv", LATE)
    late = recognizer.recognize(clip)
    assert late.text == early.text == fake_signing.SENTENCE
    for one, other in zip(late.tokens, early.tokens, strict=True):
        assert one.start == pytest.approx(LATE + other.start, abs=2e-3)
        assert one.end == pytest.approx(LATE + other.end, abs=2e-3)


def test_tracks_keep_the_time_of_their_landmarks(seen: Landmarks, tmp_path: Path) -> None:
    clip = mediapipe_of_landmarks(replace(seen, timestamps=seen.timestamps + LATE))
    assert clip.start == LATE
    assert clip.at_rate(10.0).start == clip.only(["mediapipe"]).start == LATE
    part = clip.part(2.5, 3.0)
    assert (part.start, part.frames) == (2.5, 15)
    with pytest.raises(InputError, match="got 0 to 1 s"):
        clip.part(0.0, 1.0)
    write_tracks(clip, tmp_path / "tracks.npz")
    assert read_tracks(tmp_path / "tracks.npz").start == LATE
    tracks = replace(fake_signing.sign(fake_signing.SENTENCE), start=LATE)
    recognizer = ContinuousRecognizer(fake_signing.make_signing(tmp_path / "model"))
    first = recognizer.recognize(tracks).tokens[0]
    assert first.start >= LATE
    assert recognizer.recognize(tracks, start=first.start).tokens[0].start >= LATE


# -- long gaps, and files of landmarks that last too long ------------------------------------------
def track(times: np.ndarray) -> HandTrack:
    hand = np.repeat(fakes.draw_hand("b")[None], len(times), axis=0)
    return HandTrack(hand, np.ones((len(times), 21)), times, 640, 480, "right")


@pytest.mark.parametrize(
    ("step", "pieces"), [(1 / 30, 1), (1.0, 1), (RAREST, 1), (RAREST + 0.6, 0), (484.0, 0)]
)
def test_pictures_far_apart_are_not_joined(step: float, pieces: int) -> None:
    config = Segmentation(max_gap=0.5, min_duration=0.1)
    assert len(split(track(np.arange(29) * step), config)) == pieces


def test_a_frame_stands_for_what_is_near_it() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    frames = [Frame(image, time) for time in (0.0, 1.0, 1001.0, 1001.1)]
    times = [time for _, moments in sampled(frames, 10.0) for time in moments]
    assert times == pytest.approx(
        [*np.arange(0, 1 + HELD + 0.01, 0.1), *np.arange(1001 - HELD, 1001.11, 0.1)]
    )


def test_limits_hold_for_files_of_landmarks(tmp_path: Path) -> None:
    seen = fakes.spell(WORD)
    frames = len(seen.timestamps)
    write_landmarks(replace(seen, timestamps=np.arange(frames) * 1e6), tmp_path / "slow.npz")
    write_landmarks(replace(seen, timestamps=np.arange(frames) / 2), tmp_path / "slow.pose")
    tracks = ContinuousRecognizer(fake_signing.make_signing(tmp_path / "model"))
    with pytest.raises(LimitError, match=r"lasts .* over the limit of 14400 s.*--max-seconds"):
        detect_hands(tmp_path / "slow.npz")
    detect_hands(tmp_path / "slow.npz", limits=Limits(max_seconds=None))
    with pytest.raises(LimitError, match="over the limit"):
        tracks.recognize(tmp_path / "slow.npz")
    with pytest.raises(LimitError, match="over the limit of 10 s"):
        detect_hands(tmp_path / "slow.pose", limits=Limits(max_seconds=10.0))
    for path in (tmp_path / "slow.npz", tmp_path / "slow.pose"):
        with pytest.raises(LimitError, match=r"limit of 5 frames.*--max-frames"):
            detect_hands(path, limits=Limits(max_seconds=None, max_frames=5))


# -- the command line ------------------------------------------------------------------------------
def test_limits_and_streams_are_options(tmp_path: Path) -> None:
    path = tmp_path / "hands.npz"
    write_landmarks(fakes.spell(WORD), path)
    fakes.make_bundle(tmp_path / "model")
    (tmp_path / "m.csv").write_text("path,label\nhands.npz,vaild\n")
    model = ["--model", str(tmp_path / "model")]
    commands = {
        "recognize": ["recognize", str(path), *model],
        "landmarks": ["landmarks", str(path), "-o", str(tmp_path / "out.npz")],
        "evaluate": ["evaluate", "--data", str(tmp_path / "m.csv"), *model],
    }
    for command in commands.values():
        for option, value in (("--max-frames", "3"), ("--max-seconds", "0.5")):
            result = CliRunner().invoke(app, [*command, option, value])
            assert result.exit_code == 1, result.output
            assert f"raise the limit with {option}" in result.stderr
        result = CliRunner().invoke(app, [*command, "--max-pixels", "9", "--video-stream", "0"])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", [("prepare", "signs", "--root"), ("train",)])
def test_limits_of_clips_to_learn_from(command: tuple[str, ...], tmp_path: Path) -> None:
    for sign in ("a", "b"):
        (tmp_path / "signs" / sign).mkdir(parents=True)
        write_landmarks(fakes.spell(sign), tmp_path / "signs" / sign / "clip.npz")
    result = CliRunner().invoke(
        app,
        [*command, str(tmp_path / "signs"), "-o", str(tmp_path / "out"), "--max-frames", "3"],
    )
    assert result.exit_code == 1
    assert "raise the limit with --max-frames" in result.stderr


# -- the cases of the reports ----------------------------------------------------------------------
def test_the_reported_recording(shared_cases: Path) -> None:
    run = CliRunner().invoke
    clip = shared_cases / "video" / "video_starts_2s_after_sound.mkv"
    srt = run(app, ["recognize", str(clip), "-f", "srt"]).stdout
    assert "00:00:02,000 --> 00:00:03,033\nhello" in srt
    data = [
        "--data",
        str(shared_cases / "video" / "times_as_the_player_shows.csv"),
        "--format",
        "json",
    ]
    assert json.loads(run(app, ["evaluate", *data]).stdout)["exact_match"] == 100.0
    cameras = str(shared_cases / "video" / "two_cameras.mkv")
    first = run(app, ["recognize", cameras])
    assert "2 video streams (0 is 640x480, 1 is 1280x720): 1 was read" in first.stderr
    second = run(app, ["recognize", cameras, "--video-stream", "0"])
    assert (second.stdout, "streams" in second.stderr) == ("hello\n", False)
    sideways = str(shared_cases / "video" / "hello_on_its_side_90.mp4")
    assert run(app, ["recognize", sideways, "--rotate", "90"]).stdout == "hello\n"


# -- several cameras -------------------------------------------------------------------------------
def test_every_reading_is_of_the_chosen_stream(
    bundle: Bundle, seen: Landmarks, tmp_path: Path
) -> None:
    fakes.recording(tmp_path / "hand.mp4", WORD)
    black = np.zeros((720, 1280, 3), np.uint8)
    write_video(tmp_path / "wall.mp4", [black] * len(seen.timestamps), 30.0)
    clip = tmp_path / "cameras.mkv"
    with (
        av.open(str(tmp_path / "wall.mp4")) as wall,
        av.open(str(tmp_path / "hand.mp4")) as hand,
        av.open(str(clip), "w") as new,
    ):
        streams = [new.add_stream_from_template(old.streams.video[0]) for old in (wall, hand)]
        for old, stream in zip((wall, hand), streams, strict=True):
            for packet in old.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    new.mux(packet)
    detectors = fakes.Detectors(seen)
    recognizer = Recognizer(bundle, make_detector=detectors, video_stream=1)
    transcript = recognizer.recognize(clip, overlay=tmp_path / "film.mp4")
    assert transcript.text == WORD
    assert transcript.info["video_stream"] == 1
    with open_video(tmp_path / "film.mp4") as film:
        assert next(film).image[:480, :640].max() > 100
    other = Recognizer(bundle, make_detector=detectors).recognize(clip)
    assert other.info["video_stream"] == 0
    assert any("2 video streams" in warning for warning in other.warnings)
