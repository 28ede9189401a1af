"""Continuous signing while it comes.

What reads windows takes frames from an iterator. Here it does so in a thread of its own, which
waits whenever it wants a frame that has not come: one of the two works, the other waits.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator

from chereme.errors import UsageError
from chereme.recognition.event_stream import EventStream, Item
from chereme.types import Event, Frame, Landmarks

Read = Callable[[Iterator[Frame]], Iterator[Event]]
"""Gives the events of frames, each as soon as the frames for it have come."""


class _Abandoned(Exception):
    """Ends the reading of a stream that is closed before its end."""


class _Reading:
    """A thread that reads, and what it and the stream tell each other. It knows nothing of the
    stream, so one that is dropped ends it."""

    def __init__(self, read: Read) -> None:
        self.given: queue.SimpleQueue[Frame | BaseException | None] = queue.SimpleQueue()
        self.waits: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self.final: list[Event] = []
        self.latest: list[Event] = []
        self._read = read
        self.thread = threading.Thread(target=self._work, name="chereme-glosses", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            for event in self._read(self._frames()):
                if event.kind == "final":
                    self.final.append(event)
                    self.latest = []
                else:
                    self.latest = [event]
            self.waits.put(None)
        except _Abandoned:
            pass
        except BaseException as error:  # handed to who pushes, which raises it
            self.waits.put(error)

    def _frames(self) -> Iterator[Frame]:
        while True:
            self.waits.put(None)
            given = self.given.get()
            if given is None:
                return
            if isinstance(given, BaseException):
                raise given
            yield given


class GlossStream(EventStream):
    """Reads glosses as they come, see :class:`EventStream`; of pictures alone.

    A final event comes when a window is full and at the end, so no later than a window's length
    after its glosses; a partial one tells what has been read of the window so far.
    """

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read
        self._reading: _Reading | None = None

    def _push(self, item: Item) -> Iterable[Event]:
        if isinstance(item, Landmarks):
            raise UsageError(
                "frame: expected a picture, as streams of this model read no landmarks; give those "
                "of the whole recording to recognize"
            )
        return self._go_on(item)

    def _partial(self) -> list[Event]:
        if self._reading is None:
            return []
        latest, self._reading.latest = self._reading.latest, []
        return latest

    def _finish(self) -> list[Event]:
        return self._go_on(None)

    def _close(self) -> None:
        if self._reading is not None:
            self._end()
            self._reading.thread.join()

    def _go_on(self, frame: Frame | None) -> list[Event]:
        """The final events that another frame brings, or None: the end."""
        reading = self._reading
        if reading is None:
            reading = self._reading = _Reading(self._read)
            self._end = weakref.finalize(self, reading.given.put, _Abandoned())
            self._wait(reading)
        reading.given.put(frame)
        self._wait(reading)
        final, reading.final = reading.final, []
        return final

    def _wait(self, reading: _Reading) -> None:
        """Until the thread wants a frame, or has ended."""
        error = reading.waits.get()
        if error is not None:
            self.close()
            raise error
