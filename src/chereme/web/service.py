"""What the requests of one server share: its models, and the places that there are for work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import PureWindowsPath
from typing import Any

from fastapi import UploadFile
from starlette.exceptions import HTTPException

from chereme._imports import find
from chereme.recognition.bundle import read_config
from chereme.recognition.registry import DEFAULT_STREAM, bundled_streams, resolve
from chereme.recognition.tasks import TASKS, option_names
from chereme.web import problems
from chereme.web.children import Child, ChildError, Children
from chereme.web.documents import ModelDocument, RecognizeForm
from chereme.web.guard import too_large
from chereme.web.metrics import Metrics
from chereme.web.settings import Settings

PART = 1 << 20  # bytes of an upload that a child is given at once
UPLOADS = 32
"""That may come in at once. More than can be read: many come slowly."""


class Service:
    """What the requests of one server share."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.children = Children(settings.memory)
        self.models = {model.name: model for model in _describe(settings)}
        self._readers = asyncio.Semaphore(settings.readers)
        self._uploads = self._waiting = self._sessions = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for an upload, from its first byte on; ``HTTPException`` 503 if there is none."""
        if self._uploads >= UPLOADS:
            raise problems.busy("as many recordings come in as may")
        self._check_waiting()
        self._uploads += 1
        try:
            with self.metrics.uploads.track_inprogress():
                yield
        finally:
            self._uploads -= 1

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        """A place among those that are read or wait to be."""
        self._check_waiting()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _check_waiting(self) -> None:
        if self._waiting >= self.settings.waiting:
            raise problems.busy("as many recordings are being read, or wait to be, as may")

    @contextmanager
    def session(self) -> Iterator[None]:
        """A place for a live stream; ``HTTPException`` 503 if there is none."""
        if self._sessions >= self.settings.sessions:
            raise problems.busy("as many live streams are being read as may")
        self._sessions += 1
        try:
            with self.metrics.sessions.track_inprogress():
                yield
        finally:
            self._sessions -= 1

    def model(self, name: str | None) -> ModelDocument:
        """The model of this name, or the default; ``HTTPException`` 422 if there is none."""
        if name is not None and name not in self.models:
            raise HTTPException(422, f"model: expected one of {', '.join(self.models)}")
        return self.models[name or next(iter(self.models))]

    def job(self, kind: str, model: ModelDocument, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a child is told to do, see ``chereme.web.jobs``; ``HTTPException`` 422 for an option
        that the model does not have."""
        if unknown := sorted(options.keys() - set(model.options)):
            raise HTTPException(
                422,
                f"{unknown[0]}: {model.name} has no such option; expected some of "
                f"{', '.join(model.options)}, or another model",
            )
        return {
            "kind": kind,
            "model": self.settings.models[model.name],
            "options": {"threads": self.settings.threads, **options},
            "limits": asdict(self.settings.limits),
        }

    async def read(self, form: RecognizeForm) -> bytes:
        """What a child reads in the upload, in the format asked for."""
        if (form.file.size or 0) > self.settings.max_bytes:
            raise too_large(self.settings.max_bytes)
        job = self.job("recognize", self.model(form.model), form.options())
        job |= {"name": label(form.file.filename), "form": form.format.value, "top": form.top}
        seconds = self.settings.job_seconds
        with self._in_line():
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


def label(name: str | None) -> str | None:
    """The last part of a client's file name, for messages and results: no file is opened by it."""
    shown = "".join(c for c in PureWindowsPath(name or "").name if c.isprintable())[-100:]
    return shown if shown.strip(".") else None


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
            live=kind.is_live(config),
            sha256=sha256,
            licence=asdict(config.licence),
        )
