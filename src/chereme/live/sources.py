"""Pictures at the time when they are shown: of a camera, or of a recording as if it were one."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from chereme.errors import InputError
from chereme.types import Frame

DEVICES = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
"""What cameras are read with, by system."""
RATE = 30  # frames a second that a camera is asked for
WAITING = 2  # frames that wait to be read; older ones are skipped


class Arrived(NamedTuple):
    """A frame, and the clock (``time.monotonic``) when it arrived."""

    frame: Frame
    at: float


@contextmanager
def open_camera(name: str | None = None) -> Generator[Iterator[Frame], None, None]:
    """The frames of a camera, their times from 0 on; ``name``: as its system calls it (None: the
    first one).

    Raises ``InputError`` where there is none or it cannot be read; so do its frames where it goes.
    """
    import av

    form = DEVICES.get(sys.platform, "v4l2")
    try:
        camera = name or _first_camera(form)
        container = av.open(camera, format=form, options={"framerate": str(RATE)})
    except (av.FFmpegError, OSError, ValueError) as error:
        none = (
            "the first camera: there is none" if name is None else f"{name}: no file, nor a camera"
        )
        raise InputError(
            f"{none} that {form} can read ({error}); connect one, let this program use it, or "
            "check the name"
        ) from error
    with container:
        yield _frames(container, camera)


def _first_camera(form: str) -> str:
    import av

    devices = av.enumerate_input_devices(form)
    if not devices:
        raise ValueError("none was found")
    return f"video={devices[0].name}" if form == "dshow" else str(devices[0].name)


def _frames(container: object, camera: str) -> Iterator[Frame]:
    import av

    first: float | None = None
    last = -1.0
    try:
        for frame in container.decode(video=0):  # type: ignore[attr-defined]
            seconds = time.monotonic() if frame.time is None else frame.time
            first = seconds if first is None else first
            if seconds - first > last:  # some cameras give two frames one time
                last = seconds - first
                yield Frame(frame.to_ndarray(format="rgb24"), last)
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{camera}: the camera gives no more pictures ({error}); connect it, and start again"
        ) from error


def in_real_time(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same, each when it would be shown."""
    began: float | None = None
    for frame in frames:
        now = time.monotonic()
        began = now - frame.timestamp if began is None else began
        time.sleep(max(0.0, began + frame.timestamp - now))
        yield frame


class Newest:
    """Frames that another thread waits for: who is slow gets the newest ones, and ``skipped``
    counts those that were not read. A context manager; an error of ``frames`` is raised after what
    came before it."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self.skipped = 0
        self._waiting: deque[Arrived] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._wait_for, args=(frames,), name="chereme-live", daemon=True
        )

    def __enter__(self) -> Iterator[Arrived]:
        self._thread.start()
        return iter(self)

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()

    def __iter__(self) -> Iterator[Arrived]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                arrived = self._waiting.popleft()
            yield arrived

    def _wait_for(self, frames: Iterable[Frame]) -> None:
        try:
            for frame in frames:
                with self._changed:
                    self._waiting.append(Arrived(frame, time.monotonic()))
                    if len(self._waiting) > WAITING:
                        self._waiting.popleft()
                        self.skipped += 1
                    self._changed.notify()
                if self._stopped:
                    break
        except BaseException as error:  # handed to who reads
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()
