"""Crops that are cut while frames pass: the same as in a second reading, which is seldom needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fakes
from chereme.errors import BundleError
from chereme.hands.crop import crop
from chereme.recognition import hand_landmarks
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Preprocessing
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import turned
from chereme.recognition.passing_crops import PassingCrops, _Picture
from chereme.types import Landmarks, Transcript
from chereme.video import open_video, write_video


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fakes.make_bundle(tmp_path_factory.mktemp("bundles") / "rgb", stream="rgb")


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sources that were opened, one after the other."""
    opened: list[Path] = []

    def noted(source: Path, **options: Any) -> Any:
        opened.append(source)
        return open_video(source, **options)

    monkeypatch.setattr(hand_landmarks, "open_video", noted)
    return opened


def read(
    bundle: Bundle, source: Path, landmarks: Landmarks | None, **options: Any
) -> tuple[Transcript, list[np.ndarray]]:
    """The transcript, and the features that its letters are read of; None: of hands that are found
    in the film."""
    spy = fakes.Spy(bundle.sequence)
    detectors = None if landmarks is None else fakes.Detectors(landmarks)
    recognizer = Recognizer(replace(bundle, sequence=spy), make_detector=detectors, **options)
    transcript = recognizer.recognize(source)
    if detectors is not None and landmarks is not None:
        assert detectors.asked == len(landmarks.timestamps)
    return transcript, spy.given


def check_same(
    bundle: Bundle, source: Path, landmarks: Landmarks | None, readings: list[Path], **options: Any
) -> int:
    """Compare with two passes; how often the recording is read."""
    readings.clear()
    transcript, given = read(bundle, source, landmarks, **options)
    needed = len(readings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PassingCrops, "watch", lambda self, frame, tracker: None)
        expected, features = read(bundle, source, landmarks, **options)
    assert len(readings) == needed + 2
    assert transcript.text == expected.text
    assert transcript.text or landmarks is None  # the fake network reads colours of fakes
    assert len(given) == len(features) > 0
    for one, other in zip(given, features, strict=True):
        # An encoder may compute the last bits of a row otherwise in another block.
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)
    return needed


def moved(landmarks: Landmarks, shift: np.ndarray) -> Landmarks:
    """Each frame's hands moved by ``shift (T, 2)`` pixels."""
    points = landmarks.landmarks.copy()
    points[..., :2] += shift[:, None, None].astype(np.float32)
    return replace(landmarks, landmarks=points)


def filmed(path: Path, text: str, shift: np.ndarray | float = 0.0, **options: Any) -> Landmarks:
    fps = options.pop("fps", 30.0)
    landmarks = fakes.spell(text, fps=fps, **options)
    shift = np.broadcast_to(shift, (len(landmarks.timestamps), 2))
    landmarks = moved(landmarks, shift)
    write_video(path, fakes.film(landmarks, text, left=options.get("left", False)), fps)
    return landmarks


def wandering(frames: int, *, reach: float = 60.0, seconds: float = 1.0) -> np.ndarray:
    turns = 2 * np.pi * np.arange(frames) / 30 / seconds
    return reach * np.stack([np.cos(turns), np.sin(turns)], axis=1)


@pytest.mark.parametrize(
    ("rate", "fps"), [(20.0, 24.0), (20.0, 29.97), (20.0, 60.0), (12.0, 30.0), (30.0, 25.0)]
)
def test_rates(tmp_path: Path, readings: list[Path], rate: float, fps: float) -> None:
    config = Preprocessing(rate=rate, crop=fakes.CROP)
    bundle = fakes.make_bundle(tmp_path / "rgb", stream="rgb", preprocessing=config)
    landmarks = filmed(tmp_path / "clip.mp4", "_vaild_", fps=fps)
    assert check_same(bundle, tmp_path / "clip.mp4", landmarks, readings) == 1


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("idle", [False, True])
def test_either_hand(
    bundle: Bundle, tmp_path: Path, readings: list[Path], left: bool, idle: bool, asked: bool
) -> None:
    landmarks = filmed(tmp_path / "clip.mp4", "vaild", wandering(45), left=left, idle_hand=idle)
    hand = "auto" if not asked else "left" if left else "right"
    clip = tmp_path / "clip.mp4"
    assert check_same(bundle, clip, landmarks, readings, hand=hand) == 1


@pytest.mark.parametrize("left", [False, True])
def test_in_a_mirror(bundle: Bundle, tmp_path: Path, readings: list[Path], left: bool) -> None:
    landmarks = fakes.recording(tmp_path / "clip.mp4", "vaild", left=left, mirror=True)
    seen = fakes.seen_in_mirror(landmarks)
    assert check_same(bundle, tmp_path / "clip.mp4", seen, readings, mirrored=True) == 1


@pytest.mark.parametrize("shift", [(-290, 0), (260, 100), (0, 200), (0, -230)])
def test_over_the_edge_of_the_film(
    bundle: Bundle, tmp_path: Path, readings: list[Path], shift: tuple[int, int]
) -> None:
    landmarks = filmed(tmp_path / "clip.mp4", "vaild", wandering(45) + shift)
    assert check_same(bundle, tmp_path / "clip.mp4", landmarks, readings) == 1


@pytest.mark.parametrize(("gap", "begin"), [(1, 2), (6, 30), (9, 2), (15, 30), (24, 2), (30, 30)])
def test_gaps(bundle: Bundle, tmp_path: Path, readings: list[Path], gap: int, begin: int) -> None:
    """Of 0.07 to 1 s, near the beginning and before the end."""
    whole = filmed(tmp_path / "clip.mp4", "vaildvaildvail", wandering(126))
    gaps = fakes.without(whole, slice(begin, begin + gap))
    gaps = fakes.without(gaps, slice(120 - gap, 120))
    assert check_same(bundle, tmp_path / "clip.mp4", gaps, readings) == 1


def test_the_other_hand_goes_on(bundle: Bundle, tmp_path: Path, readings: list[Path]) -> None:
    """Both hands are there all the time, and one signs after the other."""
    text, count = "vaild" * 3, 68
    right, left = fakes.spell(text), fakes.spell(text, left=True)
    points = np.concatenate([right.landmarks, left.landmarks], axis=1)
    points[:, 0, :, 0] += 130
    points[:, 1, :, 0] -= 130
    still = np.random.default_rng(0).normal(0, 0.1, points.shape)
    points[count:, 0] = points[count, 0] + still[count:, 0]
    points[:count, 1] = points[count, 1] + still[:count, 1]
    both = replace(
        right,
        landmarks=points.astype(np.float32),
        confidence=np.repeat(right.confidence, 2, axis=1),
        handedness=("right", "left"),
    )

    def pictures() -> Iterator[np.ndarray]:
        one = replace(right, landmarks=both.landmarks[:, :1])
        other = replace(right, landmarks=both.landmarks[:, 1:])
        halves = (fakes.film(one, text), fakes.film(other, text, left=True))
        for first, second in zip(*halves, strict=True):
            middle = fakes.WIDTH // 2
            yield np.concatenate([second[:, :middle], first[:, middle:]], axis=1)

    write_video(tmp_path / "clip.mp4", pictures(), 30.0)
    assert check_same(bundle, tmp_path / "clip.mp4", both, readings) == 1
    # What seemed to rest is read again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PassingCrops, "_signing", lambda self, fragments: fragments[:1])
        assert check_same(bundle, tmp_path / "clip.mp4", both, readings) == 2


def test_shots_that_are_cut(bundle: Bundle, tmp_path: Path, readings: list[Path]) -> None:
    """A box is not smoothed from one shot to the next."""
    text = "vaildvaild"
    shift = np.where(np.arange(90)[:, None] < 43, (-150.0, 0.0), (120.0, 30.0))
    landmarks = moved(fakes.spell(text), shift)
    grounds = np.random.default_rng(0).integers(0, 255, (2, 6, 8, 3), np.uint8)
    grounds = grounds.repeat(80, axis=1).repeat(80, axis=2)

    def pictures() -> Iterator[np.ndarray]:
        for number, image in enumerate(fakes.film(landmarks, text)):
            free = (image == fakes.COLOURS[" "]).all(axis=-1, keepdims=True)
            yield np.where(free, grounds[int(number >= 43)], image)

    write_video(tmp_path / "clip.mp4", pictures(), 30.0)
    assert check_same(bundle, tmp_path / "clip.mp4", landmarks, readings) == 1


def test_a_recording_on_its_side(bundle: Bundle, tmp_path: Path, readings: list[Path]) -> None:
    upright = fakes.spell("vaild")
    clip = tmp_path / "clip.mp4"
    write_video(clip, (np.rot90(picture) for picture in fakes.film(upright, "vaild")), 30.0)
    transcript, _ = read(bundle, clip, turned(upright, 270))
    assert (transcript.text, transcript.info["rotation"]) == ("vaild", 90)
    assert len(readings) == 2


def test_a_picture(bundle: Bundle, tmp_path: Path, readings: list[Path]) -> None:
    import cv2

    landmarks = fakes.spell("d", fps=3.0)
    (picture,) = fakes.film(landmarks, "d")
    cv2.imwrite(str(tmp_path / "d.png"), picture[..., ::-1])
    assert check_same(bundle, tmp_path / "d.png", landmarks, readings) == 1


@pytest.mark.parametrize("name", ["am", "so"])
def test_real_clips(shared_data: Path, bundle: Bundle, readings: list[Path], name: str) -> None:
    """A hand that comes up quickly from below the film, and goes there again."""
    clip = shared_data / "fingerspelling_dev" / "video" / f"{name}.mp4"
    assert check_same(bundle, clip, None, readings) == 1


@pytest.mark.parametrize("box", [(100.4, 50.2, 180.9, 130.7), (-20.5, -8.0, 70.0, 82.5)])
@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_of_the_neighbourhood(box: tuple[float, ...], flip: bool) -> None:
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    for size in (16, 40, 96):
        expected = crop(image, np.array(box), size, flip).transpose(2, 0, 1)
        held = 0
        for around in range(0, 60, 3):
            left, top = (max(0, int(edge) - around) for edge in box[:2])
            part = image[top : int(box[3]) + around, left : int(box[2]) + around]
            picture = _Picture(part, left, top, (300, 200))
            if picture.holds(np.array(box), size):
                held += 1
                off = picture.crop(np.array(box), size, flip).astype(int) - expected
                assert np.abs(off).max() <= 1
        assert held > 5


def test_pictures_are_bounded(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readings: list[Path]
) -> None:
    """What there is no room for is read again."""
    landmarks = filmed(tmp_path / "clip.mp4", "vaildvaild", wandering(90))
    kept = []
    watch = PassingCrops.watch

    def noted(self: PassingCrops, frame: Any, tracker: Any) -> None:
        watch(self, frame, tracker)
        kept.append(self._kept)

    monkeypatch.setattr(PassingCrops, "watch", noted)
    assert check_same(bundle, tmp_path / "clip.mp4", landmarks, readings) == 1
    assert max(kept) < 25 * 640 * 480 * 3
    monkeypatch.setattr("chereme.recognition.passing_crops.MOST_KEPT", max(kept) // 3)
    kept.clear()
    assert check_same(bundle, tmp_path / "clip.mp4", landmarks, readings) == 2
    assert max(kept) < 11 * 640 * 480 * 3


def test_an_encoder_that_fails(bundle: Bundle, tmp_path: Path) -> None:
    class Failing:
        def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.zeros((3, 7), np.float32)]

    landmarks = fakes.recording(tmp_path / "clip.mp4", "vaild" * 4)
    closed = []

    class Detector(fakes.FakeDetector):
        def close(self) -> None:
            closed.append(True)

    recognizer = Recognizer(
        replace(bundle, encoder=Failing()), make_detector=lambda still: Detector(landmarks)
    )
    with pytest.raises(BundleError, match="expected features of 16 frames"):
        recognizer.recognize(tmp_path / "clip.mp4")
    assert closed == [True]
