"""The requests that a server answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Form, Query, Request, WebSocket
from fastapi.routing import APIRoute, APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from chereme._version import __version__
from chereme.errors import UsageError
from chereme.web import problems
from chereme.web.documents import (
    MAX_WORD_BYTES,
    Format,
    Health,
    ModelDocument,
    RecognizeForm,
    TranscriptDocument,
)
from chereme.web.guard import STREAM, UPLOAD, Guard
from chereme.web.rendering import render
from chereme.web.service import Service, label
from chereme.web.settings import Settings
from chereme.web.stream import serve_stream

PAGE = Path(__file__).with_name("page")
MAX_FIELDS = 20
MEDIA_TYPES = {
    "txt": "text/plain",
    "json": "application/json",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "tsv": "text/tab-separated-values",
    "eaf": "application/xml",
}
TRANSCRIPT: dict[str, Any] = {
    "description": "The transcript",
    "content": {
        **{kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
        MEDIA_TYPES["json"]: {"schema": {"$ref": "#/components/schemas/TranscriptDocument"}},
    },
}
T = TypeVar("T")

DESCRIPTION = """Reads signing from video. Everything happens on the machine that serves.

Live streams come over a WebSocket at `/v1/stream` (see the documentation). Errors are problem
details (RFC 9457). Where the server asks for a token, send
`Authorization: Bearer TOKEN`. All of what there is may be taken: 503 says when to try again.
"""


class _UploadRoute(APIRoute):
    """Reads no byte of a body before there is a place for it, and of a form only what it may be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            kind, *parameters = request.headers.get("content-type", "").lower().split(";")
            charsets = [p.strip() for p in parameters if p.strip().startswith("charset")]
            # Other charsets are left alone: some decode in quadratic time.
            if kind.strip() != "multipart/form-data" or charsets not in ([], ["charset=utf-8"]):
                raise HTTPException(415, "Content-Type: expected multipart/form-data, in UTF-8")
            service: Service = request.app.state.service
            with service.admitted():
                # The form is kept: what reads it next, with higher limits, gets this one.
                await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_WORD_BYTES)
                return await handler(request)

        return handle


router = APIRouter()
uploads = APIRouter(route_class=_UploadRoute)


@uploads.post(
    UPLOAD,
    summary="Read a recording",
    response_class=Response,
    responses={
        200: TRANSCRIPT,
        **problems.answers(400, 401, 403, 408, 413, 415, 421, 422, 503),
    },
)
async def recognize(
    request: Request, form: Annotated[RecognizeForm, Form(media_type="multipart/form-data")]
) -> Response:
    """Reads one recording, and answers with what was read.

    Nothing found is an empty text, with the reason among the warnings.
    """
    service: Service = request.app.state.service
    text = await _while_there(request, service.read(form))
    return _file(text, form.format.value)


@router.post(
    "/v1/transcripts",
    summary="Write a transcript in another format",
    response_class=Response,
    responses={
        200: TRANSCRIPT,
        **problems.answers(400, 401, 403, 408, 413, 421, 422),
    },
)
def convert(
    document: TranscriptDocument,
    format: Annotated[Format, Query(description="of the answer")],
) -> Response:
    """Writes what `/v1/recognize` answered, or what a stream has given, as a file of subtitles,
    an annotation, or text."""
    try:
        text = render(document.transcript(), label(document.source), format.value)
    except UsageError as error:
        raise HTTPException(422, str(error)) from error
    except RecursionError as error:
        raise HTTPException(422, "info: expected fewer objects within objects") from error
    return _file(text, format.value)


@router.get(
    "/v1/models", summary="The models that can be asked for", responses=problems.answers(401, 421)
)
def models(request: Request) -> list[ModelDocument]:
    """The first is the default."""
    service: Service = request.app.state.service
    return list(service.models.values())


@router.get("/healthz", summary="Whether the server answers")
def health() -> Health:
    """Asks for no token."""
    return Health(version=__version__)


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems.answers(401, 421),
    },
)
def metrics(request: Request) -> Response:
    """Counts requests, uploads, streams and frames; nothing of who asked or what was signed."""
    service: Service = request.app.state.service
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """What it refers to lies at ``/page``."""
    return FileResponse(PAGE / "index.html")


@router.websocket(STREAM)
async def stream(socket: WebSocket) -> None:
    """Reads frames as they come, see ``docs/serve.md``."""
    await serve_stream(socket, socket.app.state.service)


def make_app(settings: Settings) -> FastAPI:
    """The server's application."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.children.prepare()
        yield
        await service.children.stop()

    # The pages that FastAPI has for the document fetch their scripts from elsewhere.
    app = FastAPI(
        title="chereme",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(uploads)
    app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE))
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    problems.add_handlers(app)
    return app


def _file(text: bytes, form: str) -> Response:
    return Response(text, media_type=MEDIA_TYPES[form])


async def _while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives; it is stopped where the client goes before."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait((working, leaving))


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
