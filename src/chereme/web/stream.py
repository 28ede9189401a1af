"""A live stream: frames in, news out, over a WebSocket.

A process of its own reads one frame after the other. Of those that come meanwhile the newest is
kept and the others are skipped, so that what is told is never about long ago.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from chereme.web import problems
from chereme.web.children import Child, ChildError
from chereme.web.documents import FOLLOWING, FinishMessage, StartMessage
from chereme.web.guard import FRAME_BYTES
from chereme.web.messages import LANDMARKS, PICTURE, SECONDS
from chereme.web.service import Service
from chereme.web.settings import MAX_FPS

SUBPROTOCOL = "chereme.stream"
IDLE_SECONDS = 30.0
"""That a client may send nothing."""
FRAME_SECONDS = 30.0
"""That reading one frame may take, or loading the model."""
SESSION_SECONDS = 3600.0
CLOSES = {500: 1011, 503: 1013}
"""Codes that a socket is closed with after a problem; 1008 after others."""
MESSAGES = 4 * MAX_FPS
"""That may come in a second: more is no stream, but a flood."""


async def serve_stream(socket: WebSocket, service: Service) -> None:
    """Read a client's stream from its first message to its end."""
    # Accepted also where there is no place for it: of a refusal browsers do not tell the reason.
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
    await _Session(socket, service).run()


class _Session:
    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket, self._service = socket, service
        self._newest: tuple[float, bytes] | None = None
        self._changed = asyncio.Event()
        self._finishing = False
        self._skipped = 0
        self._second, self._messages = monotonic(), 0

    async def run(self) -> None:
        """All of it. Whatever goes wrong is told, and ends the stream."""
        try:
            with self._service.session():
                async with asyncio.timeout(SESSION_SECONDS):
                    await self._follow()
        except WebSocketDisconnect:
            return
        except TimeoutError:
            hours = SESSION_SECONDS / 3600
            await self._fail(HTTPException(408, f"a stream lasts {hours:g} h at most; begin anew"))
        except ChildError as error:
            await self._fail(problems.of_child(error))
        except HTTPException as error:
            await self._fail(error)
        else:
            await self._socket.close()

    async def _follow(self) -> None:
        start = await self._receive()
        try:
            asked = StartMessage.model_validate_json(start.get("text") or "")
        except ValidationError as error:
            raise HTTPException(422, f"start message: {problems.faults(error)}") from None
        options = asked.model_dump(exclude={"type", "model"}, exclude_defaults=True)
        model = self._service.model(asked.model)
        if not model.live:
            raise HTTPException(422, f"model: {model.name} reads recordings, and no streams")
        job = self._service.job("stream", model, options)
        async with self._service.children.take() as child:
            await child.send_json(job)
            ready = await _answer(child)
            settings = self._service.settings
            limits = {"fps": MAX_FPS, "pixels": settings.max_pixels, "bytes": FRAME_BYTES}
            await self._tell({"type": "ready", **ready, "limits": limits})
            taking = asyncio.ensure_future(self._take())
            reading = asyncio.ensure_future(self._read(child))
            try:
                await asyncio.wait((taking, reading), return_when=asyncio.FIRST_EXCEPTION)
                for task in (reading, taking):
                    if task.done():
                        task.result()
            finally:
                for task in (taking, reading):
                    task.cancel()
                await asyncio.wait((taking, reading))

    async def _take(self) -> None:
        """Take what comes until the client says that it was all; keep the newest frame."""
        while not self._finishing:
            message = await self._receive()
            if (content := message.get("bytes")) is not None:
                if len(content) <= SECONDS.size:
                    raise HTTPException(422, "frame: expected 8 bytes of seconds, and a JPEG")
                self._keep(SECONDS.unpack_from(content)[0], PICTURE + content)
                continue
            try:
                told = FOLLOWING.validate_json(message["text"])
            except ValidationError as error:
                raise HTTPException(422, problems.faults(error)) from None
            if isinstance(told, FinishMessage):
                self._finishing = True
                self._changed.set()
            else:
                self._keep(told.timestamp, LANDMARKS + told.model_dump_json().encode())

    def _keep(self, seconds: float, frame: bytes) -> None:
        if self._newest is not None:
            self._skipped += 1
            self._service.metrics.frames.labels("skipped").inc()
        self._newest = (seconds, frame)
        self._changed.set()

    async def _read(self, child: Child) -> None:
        """Have the newest frame read, again and again, and tell what there is to tell."""
        while True:
            newest, self._newest = self._newest, None
            if newest is not None:
                seconds, frame = newest
                await child.send(frame)
                found = await _answer(child)
                self._service.metrics.frames.labels("read").inc()
                told = {"timestamp": seconds, "skipped": self._skipped, "hands": found["hands"]}
                await self._tell({"type": "frame", **told}, *found["events"])
            elif self._finishing:
                await child.send(b"")
                found = await _answer(child)
                end = {"type": "end", "transcript": found["transcript"]}
                await self._tell(*found["events"], end)
                return
            else:
                await self._changed.wait()
                self._changed.clear()

    async def _receive(self) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await self._socket.receive()
        except TimeoutError:
            raise HTTPException(408, f"nothing came for {IDLE_SECONDS:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        now = monotonic()
        if now - self._second > 1:
            self._second, self._messages = now, 0
        self._messages += 1
        if self._messages > MESSAGES:
            raise HTTPException(429, f"expected at most {MESSAGES} messages a second")
        return message

    async def _tell(self, *news: Mapping[str, Any]) -> None:
        for one in news:
            await self._socket.send_text(json.dumps(one, ensure_ascii=False))

    async def _fail(self, error: HTTPException) -> None:
        try:
            problem = problems.problem_of(error.status_code, error.detail)
            await self._tell(problem | {"type": "error"})
            await self._socket.close(CLOSES.get(error.status_code, 1008))
        except (WebSocketDisconnect, RuntimeError):  # it has gone meanwhile
            pass


async def _answer(child: Child) -> dict[str, Any]:
    try:
        async with asyncio.timeout(FRAME_SECONDS):
            return await child.receive_json()
    except TimeoutError:
        raise HTTPException(413, f"reading takes more than {FRAME_SECONDS:g} s") from None
