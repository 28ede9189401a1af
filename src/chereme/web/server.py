"""Listening: the server of ``chereme serve``."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from chereme.errors import UsageError
from chereme.web import problems
from chereme.web.api import make_app
from chereme.web.guard import FIRST_SECONDS, FRAME_BYTES, HEAD_BYTES
from chereme.web.settings import Settings

MAX_CONNECTIONS = 256
STOP_SECONDS = 10
"""For requests to end in, when the server is told to stop."""


class Protocol(H11Protocol):
    """HTTP of one connection, with what uvicorn leaves open: how many there may be, and how long
    one may wait with its request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._send_away()
        else:
            self._await_request()

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is answered:
            self._await_request()

    def send_400_response(self, msg: str) -> None:
        self._write(400, f"the request is no HTTP, or its head is over {HEAD_BYTES:,} bytes")
        self.transport.close()

    def _await_request(self) -> None:
        self.loop.call_later(FIRST_SECONDS, self._close_if_waiting, self.cycle)

    def _close_if_waiting(self, last: object) -> None:
        # A socket is no longer among the connections of this protocol.
        if self.cycle is last and self in self.connections:
            self.transport.close()

    def _send_away(self) -> None:
        self.connections.discard(self)
        self._write(503, "too many connections; try again in a few seconds")
        # Closed at once, the answer would be lost where the request has come already.
        self.transport.set_protocol(asyncio.Protocol())
        self.loop.call_later(1.0, self.transport.close)

    def _write(self, status: int, detail: str) -> None:
        body = problems.body_of(status, detail)
        head = (
            f"HTTP/1.1 {status} -\r\nContent-Type: {problems.MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n"
        )
        if status == 503:
            head += f"Retry-After: {problems.RETRY_SECONDS}\r\n"
        self.transport.write(head.encode() + b"\r\n" + body)


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for connections; port 0 takes one that is free. ``UsageError`` if it
    cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port} ({error.strerror or error}); give another "
            "--host or --port"
        ) from error


def run(settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then end what is being done, or stop it after STOP_SECONDS."""
    config = uvicorn.Config(
        make_app(settings),
        http=Protocol,
        ws="websockets-sansio",
        loop="asyncio",
        lifespan="on",
        log_level=logging.ERROR,  # it warns of every request that is none
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    with suppress(KeyboardInterrupt):  # which uvicorn raises again when all has ended
        uvicorn.Server(config).run(sockets=[listener])
