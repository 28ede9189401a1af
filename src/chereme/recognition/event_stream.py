"""Reading signing while it comes: frames in, partial and final texts out."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from chereme.errors import InputError, UsageError
from chereme.hands.detector import Detection
from chereme.types import Event, Frame, Landmarks, Token
from chereme.video.frames import check_picture, check_seconds

Item = Frame | Landmarks
"""What is read one after the other."""


def joined(events: Iterable[Event]) -> tuple[str, tuple[Token, ...]]:
    """The text of a whole stream and its tokens: those of the final ones among its ``events``."""
    final = [event for event in events if event.kind == "final" and event.text]
    tokens = tuple(token for event in final for token in event.tokens)
    return " ".join(event.text for event in final), tokens


class EventStream(ABC):
    """Reads frames as they come, in constant memory. Not for several threads at once.

    The texts of the final events, those that are not empty, with spaces between are the text that
    ``recognize`` gives for the same frames, however many are pushed at once. A context manager:
    leaving it lets go of the detector; what was not finished is lost.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._ended = False

    @property
    def detections(self) -> list[Detection] | None:
        """The hands in the last picture that was pushed, in pixels of it when it is upright; None
        where a stream does not tell."""
        return None

    def push(self, frame: Any, timestamp: float | Sequence[float] | None = None) -> list[Event]:
        """The news after the next frame, or several.

        Args:
            frame: a picture ``(H, W, 3)`` uint8 RGB, upright, or several ``(N, H, W, 3)``; a
                :class:`chereme.types.Frame`, or the :class:`chereme.types.Landmarks` of any number
                of frames, which have their times.
            timestamp: seconds of a picture, or of each of several; they rise from frame to frame.

        Of several frames there are all final events and at most one partial one, the latest.
        ``InputError`` for what is no such frame or comes before the last one, ``UsageError`` where
        the stream has ended or the model reads something else.
        """
        if self._ended:
            raise UsageError("the stream has ended: begin another one with stream()")
        items = list(self._items(frame, timestamp))
        return [event for item in items for event in self._push(item)] + self._partial()

    def finish(self) -> list[Event]:
        """The last events. The stream has ended."""
        if self._ended:
            return []
        self._ended = True
        try:
            return self._finish()
        finally:
            self._close()

    def close(self) -> None:
        """End without reading what has come since the last final event."""
        if not self._ended:
            self._ended = True
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self, frames: Iterable[Any]) -> Iterator[Event]:
        """The events of all ``frames``: each a ``Frame``, ``Landmarks``, or a pair of a picture and
        its seconds."""
        with self:
            for frame in frames:
                yield from self.push(*frame) if isinstance(frame, tuple) else self.push(frame)
            yield from self.finish()

    async def follow(self, frames: AsyncIterable[Any]) -> AsyncIterator[Event]:
        """As :meth:`read`, for ``async for``: another thread works meanwhile."""
        with self:
            async for frame in frames:
                given = frame if isinstance(frame, tuple) else (frame,)
                for event in await asyncio.to_thread(self.push, *given):
                    yield event
            for event in await asyncio.to_thread(self.finish):
                yield event

    def _items(self, frame: Any, timestamp: float | Sequence[float] | None) -> Iterator[Item]:
        if isinstance(frame, Landmarks):
            if timestamp is not None:
                raise UsageError("timestamp: expected none, as the landmarks have their times")
            yield frame
            return
        if isinstance(frame, Frame):
            if timestamp is not None:
                raise UsageError("timestamp: expected none, as a Frame has its own")
            frame, timestamp = frame.image, frame.timestamp
        if timestamp is None:
            raise UsageError("timestamp: expected the seconds of the picture, got none")
        several = isinstance(frame, np.ndarray) and frame.ndim == 4
        times = np.asarray(timestamp if several else [timestamp])
        pictures = frame if several else [frame]
        if times.shape != (len(pictures),):
            raise InputError(
                f"timestamp: expected the seconds of each of {len(pictures)} pictures, got an "
                f"array {times.shape}"
            )
        for picture, seconds in zip(pictures, times.tolist(), strict=True):
            image = check_picture(picture, "frame")
            self._last = check_seconds(seconds, self._last, "frame")
            yield Frame(image, self._last)

    @abstractmethod
    def _push(self, item: Item) -> Iterable[Event]:
        """The final events that an item brings."""

    @abstractmethod
    def _partial(self) -> list[Event]:
        """A partial event, if there is news."""

    @abstractmethod
    def _finish(self) -> list[Event]:
        """The last events."""

    @abstractmethod
    def _close(self) -> None:
        """Let go of what the stream holds."""
