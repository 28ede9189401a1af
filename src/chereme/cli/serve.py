"""``chereme serve``: recognition for programs and pages, on this machine or others."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from chereme._imports import require
from chereme.cli import options
from chereme.cli.console import say, tell

TOKEN = "CHEREME_TOKEN"  # the variable that may hold it


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"{options.MODEL} May be given again; the first is the default.",
            show_default="all bundled ones",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="0 takes one that is free.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar=TOKEN,
            help="What clients must show.",
            show_default="none on 127.0.0.1, elsewhere a new one",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name under which the server is reached, as behind a proxy; may be given again.",
            show_default="localhost, and addresses in numbers",
        ),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Bytes that an upload may have.", show_default="64 MiB"),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds that a recording may last.", show_default="120"),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pixels that a picture may have.", show_default="4096x2304"),
    ] = None,
    job_seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="Seconds that reading an upload may take.", show_default="180"
        ),
    ] = None,
    readers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Uploads that are read at once.", show_default="half the cores"
        ),
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Live streams that are read at once.", show_default="half the cores"
        ),
    ] = None,
    threads: options.Threads = None,
) -> None:
    """Serve what recognize does over HTTP, and live streams over a WebSocket.

    Listens for this machine alone unless told otherwise; others must show a token. Nothing is sent
    elsewhere, and no upload is kept.
    """
    os.environ.pop(TOKEN, None)  # it is no business of the processes that decode uploads
    server = require("chereme.web.server", "web")
    settings = require("chereme.web.settings", "web")
    given: dict[str, Any] = {
        "max_bytes": max_bytes,
        "max_seconds": max_seconds,
        "max_pixels": max_pixels,
        "job_seconds": job_seconds,
        "readers": readers,
        "sessions": sessions,
        "threads": threads,
    }
    chosen = settings.Settings(
        models=settings.served_models(model or ()),
        token=settings.token_for(host, token),
        hosts=frozenset(name.lower() for name in allow_host or ()),
        **{name: value for name, value in given.items() if value is not None},
    )
    listener = server.listen(host, port)
    address = f"[{host}]" if ":" in host else host
    fragment = "" if chosen.token is None else f"#token={chosen.token}"
    tell(f"http://{address}:{listener.getsockname()[1]}/{fragment}")
    if not settings.is_loopback(host):
        say("warning: what is sent is not encrypted; put a server with TLS in front of it")
    server.run(chosen, listener)
