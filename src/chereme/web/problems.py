"""Errors as clients get them: problem details as of RFC 9457, whatever went wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from chereme.web.children import ChildError

NO_FILE = "expected a file with its name, as curl -F file=@clip.mp4 sends it, got none"
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
LOG = logging.getLogger("chereme.web")


class Problem(BaseModel):
    """Why a request was not answered."""

    type: Literal["about:blank"] = "about:blank"
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what was expected, what came, and what to do")


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: these statuses are answered with a problem."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
            "model": Problem,
        }
        for status in statuses
    }


def faults(error: RequestValidationError | ValidationError) -> str:
    """Where what came is not what was expected, in one line.

    Not what it was: that may be long, or not be meant to be shown.
    """
    told = []
    for fault in error.errors()[:5]:
        is_file = fault["loc"][-1:] == ("file",)
        told.append(f"{'.'.join(map(str, fault['loc']))}: {NO_FILE if is_file else fault['msg']}")
    return "; ".join(told)


def busy(what: str) -> HTTPException:
    """503: all of what there is is taken."""
    return HTTPException(
        503, f"{what}; try again in a few seconds", {"Retry-After": str(RETRY_SECONDS)}
    )


def problem_of(status: int, detail: str) -> dict[str, Any]:
    """The problem as an object."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail).model_dump()


def body_of(status: int, detail: str) -> bytes:
    """The problem as it is sent."""
    return json.dumps(problem_of(status, detail), ensure_ascii=False).encode("utf-8", "replace")


def response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response."""
    return Response(body_of(status, detail), status, headers, MEDIA_TYPE)


def of_child(error: ChildError) -> HTTPException:
    """What the error of a child means to the client whose upload it was given."""
    if error.kind == "LimitError":
        return HTTPException(413, str(error))
    if error.kind in ("InputError", "UsageError"):
        return HTTPException(422, str(error))
    if error.kind in ("MemoryError", "died"):
        LOG.warning("decoding ended: %s %s", error.kind, error)
        return HTTPException(
            422,
            "the process that decoded this has ended: it is damaged, or needs more memory than "
            "there is for one; make the picture smaller, or convert it",
        )
    LOG.error("reading failed: %s", error)
    return HTTPException(500, "the server could not read this, its log says why; tell who runs it")


def add_handlers(app: FastAPI) -> None:
    """Make ``app`` answer with problems."""

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        return response(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> Response:
        return response(422, faults(error))

    @app.exception_handler(ClientDisconnect)
    async def _(request: Request, error: ClientDisconnect) -> Response:
        return response(400, "the client has gone before its request had come")

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> Response:
        return response(500, "the server failed, its log says why; tell who runs it")
