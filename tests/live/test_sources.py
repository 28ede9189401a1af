"""Frames at their times, and of a slow machine the newest ones."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from chereme.errors import InputError
from chereme.live.sources import WAITING, Newest, in_real_time, open_camera
from chereme.types import Frame

PICTURE = np.zeros((48, 64, 3), np.uint8)


def numbered(count: int) -> Iterator[Frame]:
    for number in range(count):
        yield Frame(PICTURE, float(number))


def test_frames_come_when_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    for frame in in_real_time(Frame(PICTURE, seconds) for seconds in (3.0, 3.5, 4.0, 5.0)):
        now[0] += 0.7 if frame.timestamp == 3.5 else 0.1  # what is done with it
    assert slept == pytest.approx([0.0, 0.4, 0.0, 0.7])


def test_who_is_slow_gets_the_newest_frames_and_is_told_how_many_are_missing() -> None:
    first, all_came = threading.Event(), threading.Event()

    def frames() -> Iterator[Frame]:
        for frame in numbered(10):
            if frame.timestamp == 1.0:
                first.wait(10)
            yield frame
        all_came.set()

    read = []
    newest = Newest(frames())
    with newest as arriving:
        for frame, at in arriving:
            assert at <= time.monotonic()
            read.append(frame.timestamp)
            first.set()
            assert all_came.wait(10)
    assert read == [0.0, *range(10 - WAITING, 10)]
    assert newest.skipped == 10 - len(read)


def test_an_error_comes_after_the_frames_before_it() -> None:
    def frames() -> Iterator[Frame]:
        yield from numbered(2)
        raise InputError("the camera was unplugged")

    read = []

    def read_all() -> None:
        with Newest(frames()) as arriving:
            for frame, _ in arriving:
                read.append(frame.timestamp)

    with pytest.raises(InputError, match="unplugged"):
        read_all()
    assert read == [0.0, 1.0]


def test_the_thread_ends_with_who_leaves() -> None:
    with Newest(numbered(10**9)) as arriving:
        next(arriving)
    assert "chereme-live" not in [thread.name for thread in threading.enumerate()]


class Camera:
    """Pictures of a camera: of one the time is that of the one before, of one it is not known."""

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def decode(self, video: int) -> Iterator[Any]:
        for seconds in (500.0, 500.1, 500.1, 500.2):
            yield SimpleNamespace(time=seconds, to_ndarray=lambda format: PICTURE)


@pytest.mark.parametrize(
    ("system", "form", "name"),
    [
        ("linux", "v4l2", "/dev/video0"),
        ("darwin", "avfoundation", "/dev/video0"),
        ("win32", "dshow", "video=/dev/video0"),
    ],
)
def test_the_first_camera_of_each_system(
    monkeypatch: pytest.MonkeyPatch, system: str, form: str, name: str
) -> None:
    opened = []

    def open_device(file: str, **options: Any) -> Camera:
        opened.append((file, options["format"]))
        return Camera()

    device = SimpleNamespace(name="/dev/video0")
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(av, "open", open_device)
    monkeypatch.setattr(av, "enumerate_input_devices", lambda given: [device])
    with open_camera() as frames:
        times = [frame.timestamp for frame in frames]
    assert opened == [(name, form)]
    assert times == pytest.approx([0.0, 0.1, 0.2])
    with open_camera("video=other"):
        assert opened[-1][0] == "video=other"


def test_a_camera_that_goes_is_told_and_other_errors_are_not_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unplugged(Camera):
        def decode(self, video: int) -> Iterator[Any]:
            yield from super().decode(video)
            raise av.error.OSError(19, "No such device")

    monkeypatch.setattr(av, "open", lambda *given, **options: Unplugged())
    with (
        pytest.raises(InputError, match="cam: the camera gives no more pictures"),
        open_camera("cam") as frames,
    ):
        list(frames)
    with pytest.raises(BrokenPipeError), open_camera("cam"):
        raise BrokenPipeError


def test_a_camera_that_is_not_there() -> None:
    with (
        pytest.raises(InputError, match="no_such_camera: no file, nor a camera that"),
        open_camera("no_such_camera"),
    ):
        pass
