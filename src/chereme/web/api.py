"""The requests that a server answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Form, Query, Request, UploadFile
from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from chereme._imports import find
from chereme._version import __version__
from chereme.errors import UsageError
from chereme.formats.transcripts import WRITERS
from chereme.recognition.bundle import read_config
from chereme.recognition.registry import DEFAULT_STREAM, bundled_streams, resolve
from chereme.recognition.report import Hand
from chereme.recognition.streams import Stream
from chereme.recognition.tasks import TASKS, option_names
from chereme.web import problems
from chereme.web.children import Child, ChildError, Children
from chereme.web.documents import Health, ModelDocument, TranscriptDocument
from chereme.web.guard import UPLOAD, Guard, too_large
from chereme.web.metrics import Metrics
from chereme.web.rendering import render
from chereme.web.settings import Settings

PAGE = Path(__file__).with_name("page")
PART = 1 << 20  # bytes of an upload that a child is given at once
MAX_FIELDS = 20
MAX_WORD_BYTES = 4 << 20
Format = StrEnum("Format", list(WRITERS))  # type: ignore[misc]
MEDIA_TYPES = {
    "txt": "text/plain",
    "json": "application/json",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "tsv": "text/tab-separated-values",
    "eaf": "application/xml",
}
T = TypeVar("T")

DESCRIPTION = """Reads signing from video. Everything happens on the machine that serves.

Errors are problem details (RFC 9457). Where the server asks for a token, send
`Authorization: Bearer TOKEN`. All of what there is may be taken: 503 says when to try again.
"""


class RecognizeForm(BaseModel):
    """An upload, and how it is to be read: the options of `chereme recognize`."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile = Field(description="a video, a picture, or a file of landmarks (.pose, .npz)")
    model: str | None = Field(
        None, description="a name of `GET /v1/models`; without it the first of them"
    )
    stream: Stream = Field("auto", description="what of the hand is read")
    hand: Hand = Field("auto", description="the hand that spells")
    words: str | None = Field(
        None, description="names and words that are expected, one a line", max_length=MAX_WORD_BYTES
    )
    mirrored: bool = Field(False, description="the recording is a mirror image")
    rotate: int | None = Field(
        None, description="degrees clockwise by which to turn the picture: 0, 90, 180, 270"
    )
    top: int = Field(5, ge=1, le=1000, description="glosses to give for an isolated sign")
    format: Format = Field(Format["json"], description="of the answer")

    def options(self) -> dict[str, Any]:
        """The options of the recogniser that differ from its own."""
        words = [line.strip() for line in (self.words or "").splitlines() if line.strip()]
        given = {"words": words, "mirrored": self.mirrored}
        if self.rotate is not None:
            given["rotate"] = self.rotate
        given |= {"stream": self.stream, "hand": self.hand}
        return {name: value for name, value in given.items() if value not in ("auto", [], False)}


class Service:
    """What the requests of one server share."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.children = Children(settings.memory)
        self.models = {model.name: model for model in _describe(settings)}
        self._readers = asyncio.Semaphore(settings.readers)
        self._uploads = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for an upload, from its first byte on; ``HTTPException`` 503 if there is none."""
        if self._uploads >= self.settings.uploads:
            raise problems.busy("as many recordings are being read and wait as may")
        self._uploads += 1
        try:
            with self.metrics.uploads.track_inprogress():
                yield
        finally:
            self._uploads -= 1

    def model(self, name: str | None) -> str:
        """What to load for the model of this name; ``HTTPException`` 422 if there is none."""
        if name is None:
            return next(iter(self.settings.models.values()))
        if name not in self.settings.models:
            raise HTTPException(
                422, f"model: expected one of {', '.join(self.models)}, got another"
            )
        return self.settings.models[name]

    async def read(self, form: RecognizeForm) -> bytes:
        """What a child reads in the upload, in the format asked for."""
        if (form.file.size or 0) > self.settings.max_bytes:
            raise too_large(self.settings.max_bytes)
        job = {
            "kind": "recognize",
            "model": self.model(form.model),
            "options": {"threads": self.settings.threads, **form.options()},
            "limits": asdict(self.settings.limits),
            "name": _label(form.file.filename),
            "form": form.format.value,
            "top": form.top,
        }
        seconds = self.settings.job_seconds
        async with self._readers, self.children.take() as child:
            try:
                async with asyncio.timeout(seconds):
                    return await self._ask(child, job, form.file)
            except TimeoutError:
                raise HTTPException(
                    413, f"reading this takes more than {seconds:g} s here; cut it into parts"
                ) from None
            except ChildError as error:
                raise problems.of_child(error) from error

    async def _ask(self, child: Child, job: dict[str, Any], file: UploadFile) -> bytes:
        await child.send_json(job)
        while part := await file.read(PART):
            self.metrics.upload_bytes.inc(len(part))
            await child.send(part)
        await child.send(b"")
        await child.receive_json()
        return await child.receive()


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
        200: {
            "description": "What was read",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/TranscriptDocument"}},
                **{
                    kind: {"schema": {"type": "string"}}
                    for kind in MEDIA_TYPES.values()
                    if kind != "application/json"
                },
            },
        },
        **problems.answers(401, 408, 413, 415, 422, 503),
    },
)
async def recognize(request: Request, form: Annotated[RecognizeForm, Form()]) -> Response:
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
        200: {
            "description": "The transcript",
            "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
        },
        **problems.answers(401, 413, 422),
    },
)
def convert(
    document: TranscriptDocument,
    format: Annotated[Format, Query(description="of the answer")],
) -> Response:
    """Writes what `/v1/recognize` answered, or what a stream has given, as a file of subtitles,
    an annotation, or text."""
    try:
        text = render(document.transcript(), _label(document.source), format.value)
    except UsageError as error:
        raise HTTPException(422, str(error)) from error
    return _file(text, format.value)


@router.get(
    "/v1/models", summary="The models that can be asked for", responses=problems.answers(401)
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
        **problems.answers(401),
    },
)
def metrics(request: Request) -> Response:
    """Counts requests, uploads, streams and frames; nothing of who asked or what was signed."""
    service: Service = request.app.state.service
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def make_app(settings: Settings, page: Path = PAGE) -> FastAPI:
    """The server's application; ``page``: the folder whose ``index.html`` is
    shown at ``/``, with what it refers to at ``/page``."""
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
    if page.is_dir():
        app.mount("/page", StaticFiles(directory=page))

        @app.get("/", include_in_schema=False)
        async def _() -> FileResponse:
            return FileResponse(page / "index.html")

    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    problems.add_handlers(app)
    return app


def _describe(settings: Settings) -> Iterator[ModelDocument]:
    asked = RecognizeForm.model_fields.keys() - {"file", "model", "top", "format"}
    for name, model in settings.models.items():
        config, sha256 = read_config(resolve(model))
        kind = find(TASKS[config.task].recognizer)
        known = bundled_streams(model)
        streams: list[str] = [DEFAULT_STREAM, *known] if len(known) > 1 else list(known)
        yield ModelDocument(
            name=name,
            task=config.task,
            unit=kind.result.unit,
            streams=streams,
            options=sorted(asked & option_names(kind)),
            sha256=sha256,
            licence=asdict(config.licence),
        )


def _label(name: str | None) -> str | None:
    """The last part of a client's file name, for messages and results: no file is opened by it."""
    shown = "".join(c for c in PureWindowsPath(name or "").name if c.isprintable())[-100:]
    return shown if shown.strip(".") else None


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
