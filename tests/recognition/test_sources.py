"""What can be given to a recogniser, and what is said of the rest."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fake_signing
import fake_signs
import fakes
from chereme.errors import CheremeError, InputError, UsageError
from chereme.formats.files import MemoryFile
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.isolated import IsolatedRecognizer
from chereme.types import Frame
from chereme.video import open_video
from chereme.video.frames import FrameSeries

TEXT = "_bad_"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    fakes.recording(path, TEXT, fps=25.0)
    return path


@pytest.fixture(scope="module")
def frames(film: Path) -> list[Frame]:
    with open_video(film) as reader:
        return list(reader)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    bundle = fakes.make_bundle(tmp_path_factory.mktemp("letters"))
    return Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell(TEXT, fps=25.0)))


WAYS: dict[str, Callable[[Path, list[Frame]], Any]] = {
    "text": lambda film, frames: str(film),
    "bytes": lambda film, frames: film.read_bytes(),
    "memoryview": lambda film, frames: memoryview(film.read_bytes()),
    "file": lambda film, frames: io.BytesIO(film.read_bytes()),
    "array": lambda film, frames: np.stack([frame.image for frame in frames]),
    "list": lambda film, frames: [frame.image for frame in frames],
    "iterator": lambda film, frames: (frame.image for frame in frames),
    "pairs": lambda film, frames: ((frame.image, frame.timestamp) for frame in frames),
    "frames": lambda film, frames: iter(frames),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_recording_is_the_same_however_it_is_given(
    recognizer: Recognizer, film: Path, frames: list[Frame], way: str
) -> None:
    wanted = recognizer.recognize(film)
    given = WAYS[way](film, frames)
    read = recognizer.recognize(given, rate=25.0)
    assert wanted.text == read.text == "bad"
    assert read.tokens == wanted.tokens
    assert read.info["fps"] == wanted.info["fps"]
    assert read.info["source"] == (str(film) if way == "text" else None)
    in_pictures = way in ("array", "list", "iterator", "pairs", "frames")
    assert read.info["kind"] == ("frames" if in_pictures else "video")


def test_an_open_file_keeps_its_name(recognizer: Recognizer, film: Path) -> None:
    with film.open("rb") as file:
        assert recognizer.recognize(file).info["source"] == str(film)
        assert not file.closed


def test_frames_without_seconds_are_timed_by_the_rate(
    recognizer: Recognizer, frames: list[Frame]
) -> None:
    pictures = np.stack([frame.image for frame in frames])
    assert recognizer.recognize(pictures).info["fps"] == pytest.approx(30.0)
    assert recognizer.recognize(pictures, rate=50).info["fps"] == pytest.approx(50.0)
    with pytest.raises(UsageError, match="rate: expected a finite number"):
        recognizer.recognize(pictures, rate=0)


def test_a_camera_keeps_its_own_time(recognizer: Recognizer, frames: list[Frame]) -> None:
    late = recognizer.recognize((frame.image, frame.timestamp + 100) for frame in frames)
    assert late.text == "bad"
    assert late.info["start"] == 100.0


def test_one_array_is_a_picture(tmp_path: Path) -> None:
    bundle = fakes.make_bundle(tmp_path)
    reader = Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell("l", letter_seconds=0.1)))
    read = reader.recognize(np.zeros((fakes.HEIGHT, fakes.WIDTH, 3), np.uint8))
    assert (read.text, read.info["kind"], read.info["duration"]) == ("l", "image", 0.0)


def test_pictures_in_memory_are_shown_as_they_are() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 37, 53, 3), np.uint8)[:, :, ::-1]  # not contiguous
    with open_video(FrameSeries(pictures), rate=10) as reader:
        shown = list(reader)
    assert [frame.timestamp for frame in shown] == pytest.approx([0, 0.1, 0.2])
    for frame, picture in zip(shown, pictures, strict=True):
        np.testing.assert_array_equal(frame.image, picture)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif"])
def test_the_content_of_a_picture_file_is_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hand.{suffix}"
    first, second = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    moving = suffix in ("webp", "gif")
    first.save(path, **({"save_all": True, "append_images": [second]} if moving else {}))
    with open_video(path) as one, open_video(MemoryFile(path.read_bytes())) as other:
        assert one.is_still == other.is_still
        for frame, same in zip(one, other, strict=True):
            assert frame.timestamp == same.timestamp
            np.testing.assert_array_equal(frame.image, same.image)


PICTURE = np.zeros((4, 5, 3), np.uint8)
REFUSED: dict[str, tuple[Callable[[], Any], type[CheremeError], str]] = {
    "none": (lambda: None, UsageError, "expected the path of a recording, .* got NoneType"),
    "number": (lambda: 3, UsageError, "got int"),
    "mapping": (lambda: {"a": 1}, UsageError, "got dict"),
    "paths": (lambda: ["a.mp4", "b.mp4"], UsageError, "got 2 paths; call recognize once for each"),
    "address": (lambda: "https://a.org/b.mp4", UsageError, "got an address; download it first"),
    "text file": (lambda: io.StringIO("a"), UsageError, "gives str; open it with the mode 'rb'"),
    "floats": (lambda: PICTURE[None] / 255, InputError, r"got \(1, 4, 5, 3\) of float64; bring"),
    "grey": (lambda: PICTURE[..., 0], InputError, r"got \(4, 5\) of uint8"),
    "no frames": (lambda: np.zeros((0, 4, 5, 3), np.uint8), InputError, "at least one frame"),
    "no bytes": (lambda: b"", InputError, "the file in memory: the file is empty"),
    "other bytes": (lambda: b"hello", InputError, "the file in memory: expected a video"),
    "numbers": (lambda: [1, 2], InputError, "frame 0 of the frames in memory: .* got int"),
    "some timed": (
        lambda: [(PICTURE, 0.0), PICTURE],
        InputError,
        "frame 1 .* expected its seconds, as of the frames before",
    ),
    "some untimed": (lambda: [PICTURE, (PICTURE, 1.0)], InputError, "frame 1 .* expected no sec"),
    "triple": (lambda: [(PICTURE, 0.0, 1)], InputError, "got 3 values"),
    "falling": (
        lambda: [(PICTURE, 1.0), (PICTURE, 1.0)],
        InputError,
        "frame 1 .* a finite number after 1, those of the frame before; got 1.0",
    ),
    "not finite": (lambda: [(PICTURE, float("nan"))], InputError, "from 0 on, .* got nan"),
    "text seconds": (lambda: [(PICTURE, "1")], InputError, "got '1'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_source_is_told(recognizer: Recognizer, case: str) -> None:
    make, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        recognizer.recognize(make())


def test_every_task_takes_the_same(
    recognizer: Recognizer, tmp_path: Path, frames: list[Frame]
) -> None:
    signs = IsolatedRecognizer(
        fake_signs.make_signs(tmp_path / "signs"),
        make_detector=fakes.Detectors(fakes.spell(TEXT, fps=25.0)),
    )
    glosses = ContinuousRecognizer(
        fake_signing.make_signing(tmp_path / "glosses", input="rgb"),
        make_detector=fake_signing.Hands(),
    )
    for reader in (recognizer, signs, glosses):
        with pytest.raises(UsageError, match="got an address"):
            reader.recognize("http://a.org/b.mp4")
        with pytest.raises(UsageError, match=r"source: expected .* got float"):
            reader.recognize(1.5)
    assert signs.recognize(iter(frames)).info["frames"] == len(frames)
    signed = list(fake_signing.film("JOHN BUY HOUSE"))
    assert glosses.recognize(iter(signed)).text == "JOHN BUY HOUSE"
    pictures = np.stack([frame.image for frame in signed])
    assert glosses.recognize(pictures, rate=fake_signing.RATE).text == "JOHN BUY HOUSE"


def test_frames_that_come_once_are_refused_where_they_are_read_twice(
    tmp_path: Path, frames: list[Frame]
) -> None:
    bundle = fakes.make_bundle(tmp_path / "rgb", stream="rgb")
    reader = Recognizer(bundle, make_detector=fakes.Detectors(fakes.spell(TEXT, fps=25.0)))
    with pytest.raises(UsageError, match="gives them once; put them into a list"):
        reader.recognize(iter(frames))
    film = tmp_path / "seen.mp4"
    letters = Recognizer(
        fakes.make_bundle(tmp_path / "landmarks"), make_detector=reader.make_detector
    )
    with pytest.raises(UsageError, match="the film needs its frames a second time"):
        letters.recognize(iter(frames), overlay=film)
    assert letters.recognize(frames, overlay=film).text == "bad"
    assert film.exists()
