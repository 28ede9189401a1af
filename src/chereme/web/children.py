"""The processes that decode what comes from outside (``chereme.web.child``), from the server's
side."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from chereme.web import messages


class ChildError(Exception):
    """What a child says went wrong: its ``kind``, see ``chereme.web.child``, or "died"."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Child:
    """One process, for one job."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, memory: int) -> Self:
        """A new one, which imports its libraries while it waits; ``memory`` in bytes."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "chereme.web.child", str(memory)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # libraries tell there of every damaged packet
            # Each thread's own arena would take 64 MiB of the addresses.
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},
            start_new_session=True,  # Ctrl+C is the server's to act on
        )
        return cls(process)

    async def send(self, message: bytes) -> None:
        """Give it bytes, when it has room for them."""
        assert self._process.stdin is not None
        self._process.stdin.write(messages.pack(message))
        with suppress(ConnectionError):  # it has ended: its last answer says why
            await self._process.stdin.drain()

    async def send_json(self, value: Any) -> None:
        """Give it what JSON can hold."""
        await self.send(json.dumps(value).encode())

    async def receive(self) -> bytes:
        """Its next message; ``ChildError`` if it ends first, or sends what is none."""
        assert self._process.stdout is not None
        try:
            head = await self._process.stdout.readexactly(messages.HEAD)
            return await self._process.stdout.readexactly(messages.length(head))
        except (asyncio.IncompleteReadError, ValueError) as error:
            raise ChildError("died", f"exit {await self.stop()}") from error

    async def receive_json(self) -> dict[str, Any]:
        """Its next message as an object; ``ChildError`` if it tells of an error, or ends."""
        answer: dict[str, Any] = json.loads(await self.receive())
        if "error" in answer:
            raise ChildError(**answer["error"])
        return answer

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    async def stop(self) -> int:
        """End it, whatever it does; its exit status."""
        with suppress(ProcessLookupError):  # it may have ended by itself
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return await self._process.wait()


class Children:
    """Starts children, one ahead of need: libraries take most of a second to import."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._waiting: Child | None = None
        self._running: set[Child] = set()
        self._lock = asyncio.Lock()
        self._stopped = False

    async def prepare(self) -> None:
        """Start the one that waits, if there is none."""
        async with self._lock:
            if self._waiting is None and not self._stopped:
                self._waiting = await Child.start(self._memory)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Child]:
        """A child for the time of the block, ended after it."""
        async with self._lock:
            child, self._waiting = self._waiting, None
            if child is None or child.ended:
                child = await Child.start(self._memory)
            self._running.add(child)
        try:
            yield child
        finally:
            self._running.discard(child)
            # Also where the block was cancelled: no process is left behind.
            await asyncio.shield(child.stop())
            await asyncio.shield(self.prepare())

    async def stop(self) -> None:
        """End all of them, and start no more."""
        async with self._lock:
            self._stopped = True
            left = self._running | ({self._waiting} if self._waiting else set())
        for child in left:
            await child.stop()
