"""Continuous signing while it comes.

What reads windows takes frames from an iterator. Here it does so in a thread of its own, which
waits whenever it wants a frame that has not come: one of the two works, the other waits.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator

from chereme.errors import UsageError
from chereme.recognition.event_stream import EventStream, Item
from chereme.types import Event, Frame, Landmarks

Read = Callable[[Iterator[Frame]], Iterator[Event]]
"""Gives the events of frames, each as soon as the frames for it have come."""


class _Abandoned(Exception):
    """Ends the reading of a stream that is closed before its end."""


class GlossStream(EventStream):
    """Reads glosses as they come, see :class:`EventStream`; of pictures alone.

    A final event comes when a window is full and at the end, so no later than a window's length
    after its glosses; a partial one tells what has been read of the window so far.
    """

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read
        self._given: queue.SimpleQueue[Frame | BaseException | None] = queue.SimpleQueue()
        self._waits: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._final: list[Event] = []
        self._latest: list[Event] = []

    def _push(self, item: Item) -> Iterable[Event]:
        if isinstance(item, Landmarks):
            raise UsageError(
                "frame: expected a picture, as streams of this model read no landmarks; give those "
                "of the whole recording to recognize"
            )
        return self._go_on(item)

    def _partial(self) -> list[Event]:
        latest, self._latest = self._latest, []
        return latest

    def _finish(self) -> list[Event]:
        return self._go_on(None)

    def _close(self) -> None:
        if self._thread is not None:
            self._given.put(_Abandoned())
            self._thread.join()

    def _go_on(self, frame: Frame | None) -> list[Event]:
        """The final events that another frame brings, or None: the end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="chereme-glosses", daemon=True)
            self._thread.start()
            self._wait()
        self._given.put(frame)
        self._wait()
        final, self._final = self._final, []
        return final

    def _wait(self) -> None:
        """Until the thread wants a frame, or has ended."""
        error = self._waits.get()
        if error is not None:
            self.close()
            raise error

    def _work(self) -> None:
        try:
            for event in self._read(self._frames()):
                if event.kind == "final":
                    self._final.append(event)
                    self._latest = []
                else:
                    self._latest = [event]
            self._waits.put(None)
        except _Abandoned:
            pass
        except BaseException as error:  # handed to who pushes, which raises it
            self._waits.put(error)

    def _frames(self) -> Iterator[Frame]:
        while True:
            self._waits.put(None)
            given = self._given.get()
            if given is None:
                return
            if isinstance(given, BaseException):
                raise given
            yield given
