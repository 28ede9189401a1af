"""From sources of every kind to landmarks: facts, warnings, and nothing left open."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fakes
from chereme.errors import InputError, LimitError, UsageError
from chereme.formats.files import MemoryFile
from chereme.formats.poses import write_landmarks
from chereme.formats.tracks.mediapipe import mediapipe_of_landmarks
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import detect_hands, unmirror
from chereme.types import Landmarks
from chereme.video import Limits, write_video

SIZE = (48, 64)  # the detector is fake: the pictures do not matter


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]


class Detectors:
    """Makes fake detectors and remembers them."""

    def __init__(self, landmarks: Landmarks) -> None:
        self.landmarks = landmarks
        self.made: list[fakes.FakeDetector] = []
        self.stills: list[bool] = []

    def __call__(self, still: bool) -> fakes.FakeDetector:
        self.stills.append(still)
        self.made.append(fakes.FakeDetector(self.landmarks))
        return self.made[-1]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "fake")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_video(tmp_path / "clip.mp4", pictures(36), 30.0)
    return tmp_path / "clip.mp4"


def no_threads_left() -> bool:
    return not any(t.name == "chereme-prefetch" for t in threading.enumerate())


def test_a_video_is_read_to_letters(clip: Path, bundle: Bundle) -> None:
    detectors = Detectors(fakes.spell("vail"))
    seen: list[tuple[int, int | None]] = []
    recognizer = Recognizer(bundle, make_detector=detectors)
    transcript = recognizer.recognize(clip, progress=lambda done, total: seen.append((done, total)))
    assert transcript.text == "vail"
    assert [done for done, _ in seen] == list(range(1, 37))
    info = transcript.info
    assert (info["kind"], info["frames"], info["width"], info["height"]) == ("video", 36, 64, 48)
    assert info["fps"] == pytest.approx(30.0, rel=1e-3)
    assert info["duration"] == pytest.approx(36 / 30, abs=1e-3)  # with the last frame
    assert (info["bad_packets"], info["truncated"], info["rotation"]) == (0, False, 0)
    assert {"read", "detect", "hands", "network", "search", "total"} == set(info["timings"])
    assert detectors.stills == [False]
    assert detectors.made[0].closed == 1


def test_a_new_detector_for_each_video(clip: Path, bundle: Bundle) -> None:
    detectors = Detectors(fakes.spell("vail"))
    recognizer = Recognizer(bundle, make_detector=detectors)
    assert [recognizer.recognize(clip).text for _ in range(2)] == ["vail", "vail"]
    assert [detector.closed for detector in detectors.made] == [1, 1]
    assert no_threads_left()


def test_everything_is_closed_after_an_error_of_the_detector(clip: Path) -> None:
    class Failing(fakes.FakeDetector):
        def detect(self, image: np.ndarray, timestamp: float) -> list:
            if timestamp > 0.2:
                raise RuntimeError("the detector broke")
            return super().detect(image, timestamp)

    detector = Failing(fakes.spell("vail"))
    with pytest.raises(RuntimeError, match="the detector broke"):
        detect_hands(clip, make_detector=lambda still: detector)
    assert detector.closed == 1
    assert no_threads_left()


def test_everything_is_closed_after_an_error_of_the_reader(clip: Path) -> None:
    detectors = Detectors(fakes.spell("vail"))
    with pytest.raises(LimitError):
        detect_hands(clip, make_detector=detectors, limits=Limits(max_seconds=0.5))
    assert detectors.made[0].closed == 1
    assert no_threads_left()


def test_a_damaged_video_is_read_with_a_warning_or_refused(clip: Path, bundle: Bundle) -> None:
    content = bytearray(clip.read_bytes())
    # Ruin the middle of the pictures' data, not the tables around it.
    start = content.index(b"mdat") + len(content) // 3
    content[start : start + 600] = bytes(600)
    clip.write_bytes(content)
    detectors = Detectors(fakes.spell("vaildab"))
    transcript = Recognizer(bundle, make_detector=detectors).recognize(clip)
    info = transcript.info
    assert info["bad_packets"] > 0 or info["truncated"]
    assert any("damaged" in w or "too early" in w for w in transcript.warnings)
    with pytest.raises(InputError):
        Recognizer(bundle, make_detector=detectors, strict=True).recognize(clip)
    assert all(detector.closed == 1 for detector in detectors.made)


def test_a_picture_is_a_still(tmp_path: Path, bundle: Bundle) -> None:
    write_picture(tmp_path / "hand.png")
    detectors = Detectors(fakes.spell("l", fps=3.0))
    transcript = Recognizer(bundle, make_detector=detectors).recognize(tmp_path / "hand.png")
    assert transcript.text == "l"
    assert transcript.info["kind"] == "image"
    assert detectors.stills == [True]


def test_a_video_of_one_frame_is_read_as_a_still(tmp_path: Path, bundle: Bundle) -> None:
    write_video(tmp_path / "one.mp4", pictures(1), 30.0)
    detectors = Detectors(fakes.spell("l", fps=3.0))
    transcript = Recognizer(bundle, make_detector=detectors).recognize(tmp_path / "one.mp4")
    assert transcript.text == "l"


def test_a_folder_of_frames_takes_the_rate_given(tmp_path: Path, bundle: Bundle) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(36):
        write_picture(folder / f"{i + 1:04d}.png")
    detectors = Detectors(fakes.spell("vail"))
    quick = Recognizer(bundle, make_detector=detectors, rate=60.0).recognize(folder)
    usual = Recognizer(bundle, make_detector=detectors).recognize(folder)
    assert quick.info["kind"] == usual.info["kind"] == "frames"
    assert usual.info["duration"] == pytest.approx(2 * quick.info["duration"])
    assert quick.text == usual.text == "vail"


@pytest.mark.parametrize("suffix", [".npz", ".pose"])
def test_the_content_of_a_landmark_file_is_read_as_the_file(
    tmp_path: Path, bundle: Bundle, suffix: str
) -> None:
    path = tmp_path / f"clip{suffix}"
    write_landmarks(fakes.spell("vail"), path)
    recognizer = Recognizer(bundle)
    whole = recognizer.recognize(path)
    with path.open("rb") as file:
        opened = recognizer.recognize(file)
    named = recognizer.recognize(MemoryFile(path.read_bytes(), f"other{suffix.upper()}"))
    assert whole.text == "vail"
    assert opened.tokens == named.tokens == whole.tokens
    assert (opened.info["source"], named.info["source"]) == (str(path), f"other{suffix.upper()}")
    with pytest.raises(InputError, match=f"other{suffix}"):
        recognizer.recognize(MemoryFile(b"damaged", f"other{suffix}"))


@pytest.mark.parametrize("suffix", [".npz", ".pose"])
def test_a_rate_goes_before_what_a_landmark_file_says(
    tmp_path: Path, bundle: Bundle, suffix: str
) -> None:
    fast = fakes.spell("vail")
    fast = replace(fast, timestamps=np.arange(len(fast.timestamps)) / 200.0)
    write_landmarks(fast, tmp_path / f"fast{suffix}")
    transcript = Recognizer(bundle, rate=fakes.RATE).recognize(tmp_path / f"fast{suffix}")
    assert (transcript.text, transcript.info["fps"]) == ("vail", pytest.approx(fakes.RATE))
    assert Recognizer(bundle).recognize(tmp_path / f"fast{suffix}").text != "vail"


def test_a_pause_does_not_make_a_file_slow(bundle: Bundle) -> None:
    paused = fakes.spell("vail")
    late = np.where(np.arange(len(paused.timestamps)) > 20, 60.0, 0.0)
    paused = replace(paused, timestamps=paused.timestamps + late)
    transcript = Recognizer(bundle).recognize(paused)
    assert transcript.info["fps"] == pytest.approx(fakes.RATE)
    assert not any("frames a second" in warning for warning in transcript.warnings)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_rates_that_are_none(tmp_path: Path, bundle: Bundle, rate: float) -> None:
    write_landmarks(fakes.spell("vail"), tmp_path / "a.npz")
    with pytest.raises(UsageError, match="rate: expected a finite number"):
        Recognizer(bundle, rate=rate).recognize(tmp_path / "a.npz")


def test_a_doubtful_side_stays_so_in_a_file(tmp_path: Path, bundle: Bundle) -> None:
    doubtful = replace(fakes.spell("abdil", left=True), handedness_score=(0.55,))
    write_landmarks(doubtful, tmp_path / "a.npz")
    read = [Recognizer(bundle).recognize(source) for source in (doubtful, tmp_path / "a.npz")]
    assert read[0].info["handedness_score"] == read[1].info["handedness_score"] == 0.55
    assert read[0].text == read[1].text


def test_part_of_a_video(clip: Path) -> None:
    detectors = Detectors(fakes.spell("vail"))
    part = detect_hands(clip, start=0.29, end=0.61, make_detector=detectors).landmarks
    np.testing.assert_allclose(part.timestamps, np.arange(9, 19) / 30, atol=1e-3)
    with pytest.raises(InputError, match=r"clip\.mp4.*the last frame is at 1\.17 s"):
        detect_hands(clip, start=5.0, make_detector=detectors)


@pytest.mark.parametrize(("start", "end"), [(5 / 30, 20 / 30), (0.167, 0.667)])
def test_the_end_of_a_part_is_not_included_whatever_the_source(
    clip: Path, start: float, end: float
) -> None:
    """Times in whole milliseconds, as tables have them, are the times of the frames."""
    seen = fakes.spell("vail")
    sources: list[Any] = [clip, seen]
    for source in sources:
        part = detect_hands(source, start=start, end=end, make_detector=Detectors(seen)).landmarks
        np.testing.assert_allclose(part.timestamps, np.arange(5, 20) / 30, atol=1e-3)
    tracks = mediapipe_of_landmarks(seen).part(start, end)
    assert (round(tracks.start * 30), tracks.frames) == (5, 15)


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("this is a text")
    with pytest.raises(InputError, match=r"notes\.mp4"):
        detect_hands(tmp_path / "notes.mp4")
    with pytest.raises(InputError, match=r"absent\.mp4"):
        detect_hands(tmp_path / "absent.mp4")
    (tmp_path / "folder.pose").mkdir()
    with pytest.raises(InputError, match=r"folder\.pose"):
        detect_hands(tmp_path / "folder.pose")


def test_unmirroring_twice_is_nothing_and_swaps_the_sides() -> None:
    landmarks = fakes.spell("va", idle_hand=True)
    landmarks = replace(landmarks, world_landmarks=landmarks.landmarks / 1000)
    once = unmirror(landmarks)
    assert once.handedness == ("right", "left") != landmarks.handedness
    np.testing.assert_allclose(
        once.landmarks[..., 0], landmarks.width - landmarks.landmarks[..., 0]
    )
    np.testing.assert_array_equal(once.landmarks[..., 1:], landmarks.landmarks[..., 1:])
    twice = unmirror(once)
    np.testing.assert_allclose(twice.landmarks, landmarks.landmarks, atol=1e-4)
    assert twice.handedness == landmarks.handedness


def write_picture(path: Path) -> None:
    import av

    frame = av.VideoFrame.from_ndarray(pictures(1)[0], format="rgb24")
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "rgb24"
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


LONG_VIDEO = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from chereme.hands.detector import Detection
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
import fakes

class Endless:
    hand = fakes.draw_hand("v").astype(np.float32)
    def detect(self, image, timestamp):
        return [Detection(self.hand + np.float32(timestamp % 7), self.hand / 1000, "right", 0.9)]
    def reset(self): pass
    def close(self): pass

bundle = Bundle.load({bundle!r})
transcript = Recognizer(bundle, make_detector=lambda still: Endless()).recognize({clip!r})
assert transcript.info["duration"] > 590, transcript.info
# Not ru_maxrss: a child inherits in it the peak of the process that started it.
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak")
def test_ten_minutes_stay_within_the_promised_memory(tmp_path: Path) -> None:
    """No pictures are kept, which would be 1.6 GB; MediaPipe's own memory is not in this."""
    fakes.make_bundle(tmp_path / "fake")
    picture = np.zeros((240, 320, 3), np.uint8)
    write_video(tmp_path / "long.mp4", (picture for _ in range(7200)), 12.0)
    code = LONG_VIDEO.format(
        tests=str(Path(fakes.__file__).parent),
        bundle=str(tmp_path / "fake"),
        clip=str(tmp_path / "long.mp4"),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 600
