"""What every request passes first, and every answer last.

Who may ask: the ``Host`` must be one of the server's names, or a page elsewhere could reach it by
a name of its own (DNS rebinding); a browser's ``Origin`` must be the same; a token must be shown
where one is set. What comes is bounded in bytes and in time, what goes in time.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chereme.web import problems
from chereme.web.metrics import Metrics
from chereme.web.settings import Settings

FORM_BYTES = 5 << 20
"""Of a form beside its file: the list of words."""
DOCUMENT_BYTES = 4 << 20
"""Of a body that holds no file."""
FRAME_BYTES = 4 << 20
"""Of a message on a socket."""
HEAD_BYTES = 16 << 10
"""Of the head of a request."""
FIRST_SECONDS = 10.0
LEAST_RATE = 16 << 10
"""Bytes a second that a body must bring on average, after FIRST_SECONDS."""
BODY_SECONDS = 300.0
SEND_SECONDS = 30.0
"""For a client to take one piece of an answer."""
BEARER = "bearer."
"""Before the token among the subprotocols of a socket: a browser can send no header with it."""

UPLOAD = "/v1/recognize"
STREAM = "/v1/stream"
PROTECTED = ("/v1/", "/metrics", "/openapi.json")
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began, statuses = time.monotonic(), []

        async def answer(message: Message) -> None:
            if message["type"].endswith(".start"):
                statuses.append(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                kept = "no-store" if scope["path"].startswith(PROTECTED) else "no-cache"
                headers.setdefault("Cache-Control", kept)
            elif message["type"] == "websocket.accept":
                statuses.append(101)
            # A client that does not take its answer must not hold what made it.
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        try:
            refused = self._refuse(scope)
            if refused is not None:
                told = problems.response(refused.status_code, refused.detail, refused.headers)
                await told(scope, receive, answer)
            elif scope["type"] == "http":
                await self._app(scope, _Body(scope, receive, self._limit(scope)), answer)
            else:
                await self._app(scope, receive, answer)
        except TimeoutError:
            if not statuses:
                raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            status = statuses[0] if statuses else "none"  # the client has gone
            self._metrics.requests.labels(route, status).inc()
            if scope["type"] == "http":
                self._metrics.seconds.labels(route).observe(time.monotonic() - began)

    def _limit(self, scope: Scope) -> int:
        is_upload = scope["path"] == UPLOAD
        return self._settings.max_bytes + FORM_BYTES if is_upload else DOCUMENT_BYTES

    def _refuse(self, scope: Scope) -> HTTPException | None:
        # The protocol refuses those alone that do not come at once.
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > HEAD_BYTES:
            return HTTPException(431, f"expected a head of at most {HEAD_BYTES:,} bytes")
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return HTTPException(
                421,
                "Host: expected localhost, an address in numbers, or a name that the server was "
                "given with --allow-host",
            )
        asks = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        origin = headers.get("origin")
        if asks and origin is not None and _authority(origin) != host.lower():
            return HTTPException(
                403,
                "Origin: expected the address of this server: pages from elsewhere may not use it",
            )
        if self._settings.token is not None and scope["path"].startswith(PROTECTED):
            shown = _token(scope, headers)
            if not hmac.compare_digest(shown.encode(), self._settings.token.encode()):
                return HTTPException(
                    401,
                    "expected the header Authorization: Bearer TOKEN, with the token that the "
                    "server printed when it started; of a socket, the subprotocol bearer.TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )
        declared = headers.get("content-length", "0")
        limit = self._limit(scope)
        if not declared.isdecimal() or int(declared) > limit:
            return too_large(limit)
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self._settings.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class _Body:
    """``receive`` of a request whose body may bring so many bytes, and none too slowly.

    Raises ``HTTPException``, for the handler that reads the body.
    """

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._began, self._count, self._done = time.monotonic(), 0, False

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()  # waits for the client to go
        allowed = min(FIRST_SECONDS + self._count / LEAST_RATE, BODY_SECONDS)
        try:
            async with asyncio.timeout(self._began + allowed - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408, f"the body came too slowly: expected {LEAST_RATE:,} bytes a second at least"
            ) from None
        self._count += len(message.get("body", b""))
        if self._count > self._limit:
            raise too_large(self._limit)
        self._done = not message.get("more_body", False)
        return message


def too_large(limit: int) -> HTTPException:
    """413: the body has more than ``limit`` bytes."""
    return HTTPException(
        413, f"expected a body of at most {limit:,} bytes; cut the recording, or make it smaller"
    )


def _authority(origin: str) -> str:
    """The host and port of an origin, as a Host header gives them."""
    return origin.lower().partition("://")[2]


def _token(scope: Scope, headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    offered = [one for one in scope.get("subprotocols", ()) if one.startswith(BEARER)]
    return offered[0].removeprefix(BEARER) if offered else ""
