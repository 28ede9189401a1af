"""RGB models: the crops that they are given, and the letters that come of them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import fakes
from chereme.cli import app
from chereme.errors import InputError, UsageError
from chereme.formats.poses import write_landmarks
from chereme.hands.crop import crop, hand_box
from chereme.hands.signing import bridge_gaps, signing_hand
from chereme.recognition.bundle import Bundle, write_bundle
from chereme.recognition.config import Preprocessing, Segmentation
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.passing_crops import PassingCrops
from chereme.types import Landmarks
from chereme.video import open_video, write_video


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "rgb", stream="rgb")


def by_hand(clip: Path, landmarks: Landmarks, *, flip: bool, bridge: float = 0.2) -> np.ndarray:
    """The crops ``(N, 3, S, S)`` of the frames with a hand, cut by ``hands.crop`` alone."""
    track = signing_hand(landmarks)
    assert track is not None
    with open_video(clip) as reader:
        frames = list(reader)
    times = np.array([frame.timestamp for frame in frames])
    track = bridge_gaps(replace(track, timestamps=times), bridge)
    boxes = hand_box(track, padding=fakes.CROP.padding, smoothing=fakes.CROP.smoothing)
    return np.stack(
        [
            crop(frame.image, box, fakes.CROP.size, flip).transpose(2, 0, 1)
            for frame, box, there in zip(frames, boxes, track.present, strict=True)
            if there
        ]
    )


@pytest.mark.parametrize("left", [False, True])
def test_letters_and_crops_of_either_hand(bundle: Bundle, tmp_path: Path, left: bool) -> None:
    """The thumb's half has the colour, so a left hand that is not flipped says nothing."""
    landmarks = fakes.recording(tmp_path / "clip.mp4", "vaild", left=left)
    detectors, spy = fakes.Detectors(landmarks), fakes.Spy(bundle.encoder)
    spied = replace(bundle, encoder=spy)
    transcript = Recognizer(spied, make_detector=detectors).recognize(tmp_path / "clip.mp4")
    assert transcript.text == "vaild"
    assert transcript.warnings == ()
    assert transcript.info["signing_hand"] == ("left" if left else "right")
    assert detectors.asked == len(landmarks.timestamps)  # nothing is detected twice
    given = np.concatenate(spy.given)
    assert given.dtype == np.uint8
    np.testing.assert_array_equal(given, by_hand(tmp_path / "clip.mp4", landmarks, flip=left))
    for i, token in enumerate(transcript.tokens):
        assert token.start == pytest.approx(0.3 * i, abs=0.07)
    assert {"read", "detect", "hands", "crop", "network", "search", "total"} == set(
        transcript.info["timings"]
    )


@pytest.mark.parametrize("left", [False, True])
def test_a_mirrored_recording_gives_the_same_crops(
    bundle: Bundle, tmp_path: Path, left: bool
) -> None:
    landmarks = fakes.recording(tmp_path / "mirror.mp4", "dab", left=left, mirror=True)
    spy = fakes.Spy(bundle.encoder)
    recognizer = Recognizer(
        replace(bundle, encoder=spy),
        mirrored=True,
        make_detector=fakes.Detectors(fakes.seen_in_mirror(landmarks)),
    )
    transcript = recognizer.recognize(tmp_path / "mirror.mp4")
    assert transcript.text == "dab"
    assert transcript.info["signing_hand"] == ("left" if left else "right")
    # A right hand in a mirror is cut as the left hand that it looks like, and turned over.
    expected = by_hand(tmp_path / "mirror.mp4", fakes.seen_in_mirror(landmarks), flip=not left)
    off = np.abs(np.concatenate(spy.given).astype(int) - expected)
    assert off.max() <= 2  # the same but for the rounding of interpolation


class Wavering(fakes.FakeDetector):
    """Takes the hand for a left one in every other frame."""

    frames = 0

    def detect(self, image: np.ndarray, timestamp: float) -> list:
        self.frames += 1
        side: Any = "left" if self.frames % 2 else "right"
        return [replace(hand, handedness=side) for hand in super().detect(image, timestamp)]


@pytest.mark.parametrize("left", [False, True])
def test_an_unsure_hand_is_cut_as_both_in_one_reading(
    bundle: Bundle, tmp_path: Path, left: bool
) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "dab", left=left)
    spy = fakes.Spy(bundle.encoder)
    recognizer = Recognizer(
        replace(bundle, encoder=spy), make_detector=lambda still: Wavering(landmarks)
    )
    transcript = recognizer.recognize(tmp_path / "clip.mp4")
    assert transcript.text == "dab"
    assert transcript.info["signing_hand"] == ("left" if left else "right")
    assert transcript.info["handedness_by"] == "likelihood"
    given = np.concatenate(spy.given)
    for flip in (False, True):
        expected = by_hand(tmp_path / "clip.mp4", landmarks, flip=flip)
        np.testing.assert_array_equal(given[flip::2], expected)


def test_absent_frames_are_zero_and_short_gaps_are_cut_between(
    bundle: Bundle, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    whole = fakes.recording(clip, "vaild", fps=30.0)
    gaps = fakes.without(fakes.without(whole, slice(5, 8)), slice(20, 32))  # 0.13 s and 0.43 s
    frames, features = fakes.Spy(bundle.encoder), fakes.Spy(bundle.sequence)
    spied = replace(bundle, encoder=frames, sequence=features)
    Recognizer(spied, make_detector=fakes.Detectors(gaps)).recognize(clip)
    (given,) = features.given
    assert (given[0, 20:32] == 0).all()
    assert (given[0, :20] != 0).all() and (given[0, 32:] != 0).all()  # noqa: PT018
    crops = np.concatenate(frames.given)
    np.testing.assert_array_equal(crops, by_hand(clip, gaps, flip=False))
    assert len(crops) == len(whole.timestamps) - 12
    # A model that was trained without bridged gaps is served without.
    strict = replace(spied.config, segmentation=Segmentation(bridge=0.0))
    features.given.clear()
    Recognizer(replace(spied, config=strict), make_detector=fakes.Detectors(gaps)).recognize(clip)
    assert (features.given[0][0, 5:8] == 0).all()


def test_a_long_pause_parts_words_and_is_not_encoded(bundle: Bundle, tmp_path: Path) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "va___id")
    spy = fakes.Spy(bundle.encoder)
    recognizer = Recognizer(replace(bundle, encoder=spy), make_detector=fakes.Detectors(landmarks))
    assert recognizer.recognize(tmp_path / "clip.mp4").text == "va id"
    assert sum(len(given) for given in spy.given) == 4 * 9


def test_hands_that_take_turns_are_each_cut_as_they_are(bundle: Bundle, tmp_path: Path) -> None:
    """First a right hand, then a left one: of no frame two crops."""
    one, other = fakes.spell("vai__"), fakes.spell("__dab", left=True)
    frames = len(one.timestamps)
    points = np.full((2 * frames, 2, 21, 3), np.nan, np.float32)
    points[:frames, 0], points[frames:, 1] = one.landmarks[:, 0], other.landmarks[:, 0]
    both = replace(
        one,
        landmarks=points,
        confidence=np.isfinite(points).all(axis=-1).astype(np.float32),
        timestamps=np.arange(2 * frames) / fakes.RATE,
        handedness=("right", "left"),
    )
    clip = tmp_path / "clip.mp4"
    pictures = [*fakes.film(one, "vai__"), *fakes.film(other, "__dab", left=True)]
    write_video(clip, pictures, fakes.RATE)
    spy = fakes.Spy(bundle.encoder)
    recognizer = Recognizer(replace(bundle, encoder=spy), make_detector=fakes.Detectors(both))
    transcript = recognizer.recognize(clip)
    assert transcript.text == "vai dab"
    assert [s["hand"] for s in transcript.info["segments"]] == ["right", "left"]
    assert sum(len(given) for given in spy.given) == 6 * 9


@pytest.mark.parametrize(("fps", "share"), [(60.0, 0.5), (30.0, 1.0), (15.0, 1.0)])
def test_each_frame_that_is_needed_is_encoded_once(
    bundle: Bundle, tmp_path: Path, fps: float, share: float
) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "vaild", fps=fps)
    spy = fakes.Spy(bundle.encoder)
    recognizer = Recognizer(replace(bundle, encoder=spy), make_detector=fakes.Detectors(landmarks))
    transcript = recognizer.recognize(tmp_path / "clip.mp4")
    assert transcript.text == "vaild"
    encoded = sum(len(given) for given in spy.given)
    assert encoded == pytest.approx(share * len(landmarks.timestamps), abs=1)
    last = landmarks.timestamps[4 * len(landmarks.timestamps) // 5]
    assert transcript.tokens[4].start == pytest.approx(last, abs=0.07)


def test_part_of_a_video(bundle: Bundle, tmp_path: Path) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "vaild")
    part = slice(9, 28)
    shown = replace(
        landmarks,
        landmarks=landmarks.landmarks[part],
        confidence=landmarks.confidence[part],
        timestamps=landmarks.timestamps[part],
    )
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(shown))
    transcript = recognizer.recognize(tmp_path / "clip.mp4", start=0.29, end=0.91)
    assert transcript.text == "ail"
    assert transcript.tokens[0].start == pytest.approx(0.3, abs=0.05)


def test_pictures_and_folders_of_pictures(bundle: Bundle, tmp_path: Path) -> None:
    import cv2

    landmarks = fakes.spell("dab")
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, image in enumerate(fakes.film(landmarks, "dab")):
        cv2.imwrite(str(folder / f"{number:04d}.png"), image[..., ::-1])
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(landmarks))
    assert recognizer.recognize(folder).text == "dab"
    one = Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell("d", fps=3.0)))
    transcript = one.recognize(folder / "0000.png")
    assert (transcript.text, transcript.info["kind"]) == ("d", "image")
    assert transcript.tokens[0].start == 0.0


def test_no_hand_is_not_read_again(bundle: Bundle, tmp_path: Path) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "___")
    spy = fakes.Spy(bundle.encoder)
    recognizer = Recognizer(replace(bundle, encoder=spy), make_detector=fakes.Detectors(landmarks))
    transcript = recognizer.recognize(tmp_path / "clip.mp4")
    assert (transcript.text, spy.given) == ("", [])
    assert "no hand found in 27 frames" in transcript.warnings[0]
    assert "crop" not in transcript.info["timings"]
    flitting = fakes.recording(tmp_path / "flit.mp4", "________a_")
    brief = Recognizer(
        fakes.make_bundle(tmp_path / "b", stream="rgb", segmentation=Segmentation(min_duration=1)),
        make_detector=fakes.Detectors(flitting),
    )
    assert "never long enough" in brief.recognize(tmp_path / "flit.mp4").warnings[-1]


@pytest.mark.parametrize("suffix", [".pose", ".npz"])
def test_landmarks_are_refused(bundle: Bundle, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write_landmarks(fakes.spell("vail"), path)
    message = r"fake reads pictures of the hand and expects a video.*got landmarks; give the recor"
    with pytest.raises(UsageError, match=rf"clip{suffix}: {message}"):
        Recognizer(bundle).recognize(path)
    with pytest.raises(UsageError, match=message):
        Recognizer(bundle).recognize(fakes.spell("vail"))
    result = CliRunner().invoke(
        app, ["recognize", str(path), "--model", str(bundle.directory), "--overlay", "x.mp4"]
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


def test_landmarks_in_a_manifest_count_as_unreadable(bundle: Bundle, tmp_path: Path) -> None:
    from chereme.formats.manifests import read_manifest
    from chereme.recognition.evaluation import evaluate

    landmarks = fakes.recording(tmp_path / "clip.mp4", "vail")
    write_landmarks(landmarks, tmp_path / "clip.npz")
    (tmp_path / "data.csv").write_text("path,label\nclip.mp4,vail\nclip.npz,vail\n")
    recognizer = Recognizer(bundle, make_detector=fakes.Detectors(landmarks))
    score, _ = evaluate(recognizer, read_manifest(tmp_path / "data.csv"))
    assert (score["items"], score["items_read"], score["letter_accuracy"]) == (2, 1, 100.0)
    assert "got landmarks" in score["unreadable"][0]["error"]


@pytest.mark.parametrize("overlay", [False, True])
def test_progress_counts_every_reading(bundle: Bundle, tmp_path: Path, overlay: bool) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "dab__")
    seen: list[tuple[int, int | None]] = []
    Recognizer(bundle, make_detector=fakes.Detectors(landmarks)).recognize(
        tmp_path / "clip.mp4",
        progress=lambda done, expected: seen.append((done, expected)),
        overlay=tmp_path / "film.mp4" if overlay else None,
    )
    passes = 1 + overlay
    assert {expected for _, expected in seen} == {45 * passes}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == 45 * passes
    assert (tmp_path / "film.mp4").exists() == overlay


def test_progress_counts_a_reading_that_was_not_expected(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "dab__")
    monkeypatch.setattr(PassingCrops, "watch", lambda self, frame, tracker: None)
    seen: list[tuple[int, int | None]] = []
    Recognizer(bundle, make_detector=fakes.Detectors(landmarks)).recognize(
        tmp_path / "clip.mp4",
        progress=lambda done, expected: seen.append((done, expected)),
        overlay=tmp_path / "film.mp4",
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert (seen[44], seen[45][1], seen[-1]) == ((45, 90), 135, (135, 135))


def test_a_source_that_changes_between_the_readings(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PassingCrops, "watch", lambda self, frame, tracker: None)
    clip = tmp_path / "clip.mp4"
    landmarks = fakes.recording(clip, "dab")

    class Swapping(fakes.FakeDetector):
        def close(self) -> None:
            clip.unlink()
            fakes.recording(clip, "a")

    recognizer = Recognizer(bundle, make_detector=lambda still: Swapping(landmarks))
    with pytest.raises(InputError, match=r"clip\.mp4: expected a frame at .* there is none now"):
        recognizer.recognize(clip)


# -- memory ---------------------------------------------------------------------------------------
LONG_VIDEO = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from chereme.hands.detector import Detection
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.passing_crops import PassingCrops
import fakes

class Endless:
    hand = fakes.draw_hand("v").astype(np.float32) / 2
    def detect(self, image, timestamp):
        return [Detection(self.hand + np.float32(timestamp % 7), self.hand / 1000, "right", 0.9)]
    def reset(self): pass
    def close(self): pass

bundle = Bundle.load({bundle!r})
transcript = Recognizer(bundle, make_detector=lambda still: Endless()).recognize({clip!r})
assert transcript.info["duration"] > 590, transcript.info
assert transcript.text == "v", transcript.text
assert "torch" not in sys.modules
# Not ru_maxrss: a child inherits in it the peak of the process that started it.
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak")
def test_ten_minutes_stay_within_the_promised_memory(tmp_path: Path) -> None:
    """Neither pictures (1.6 GB) nor crops are kept: crops of 256 pixels would be another 1.4 GB."""
    size = 256
    config = fakes.fake_config(
        input="rgb",
        preprocessing=Preprocessing(30.0, crop=replace(fakes.CROP, size=size)),
    )
    files = {
        "encoder.onnx": fakes.crop_encoder_network(size),
        "sequence.onnx": fakes.sequence_network(),
    }
    write_bundle(tmp_path / "fake", config, files)
    picture = np.full((240, 320, 3), fakes.COLOURS["v"], np.uint8)
    write_video(tmp_path / "long.mp4", (picture for _ in range(7200)), 12.0)
    code = LONG_VIDEO.format(
        tests=str(Path(fakes.__file__).parent),
        bundle=str(tmp_path / "fake"),
        clip=str(tmp_path / "long.mp4"),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 600
