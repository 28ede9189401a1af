"""A server in a process of its own, and a client that can be as rude as it likes."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import av
import numpy as np

BOUNDARY = "7b1f0e"


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The text of a problem, which has to have the shape of all of them."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem.keys() == {"type", "title", "status", "detail"}
        assert problem["status"] == self.status
        assert problem["detail"]
        detail: str = problem["detail"]
        return detail


def multipart(content: bytes, name: str = "clip.mp4", **fields: str) -> tuple[bytes, dict]:
    """The body and the headers of a form with a file and other fields."""
    begin = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    texts = [f'{begin}"{field}"\r\n\r\n{value}\r\n' for field, value in fields.items()]
    head = f'{begin}"file"; filename="{name}"\r\n\r\n'
    end = f"\r\n--{BOUNDARY}--\r\n"
    body = "".join((*texts, head)).encode() + content + end.encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def film(width: int, height: int, frames: int, rate: int = 25) -> bytes:
    """A black recording."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height = width, height
        black = np.zeros((height, width, 3), np.uint8)
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(black, "rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


class Server:
    """``chereme serve`` with the options given, on a free port, for the time of a ``with``."""

    def __init__(self, *options: object, **environment: str) -> None:
        self._options, self._environment = options, environment

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "chereme", "serve", "--port", "0", *self._options]
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self._environment,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.process.communicate()[1]
        parts = urlsplit(self.url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.until(lambda: self.ask("GET", "/healthz").status == 200)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection((self.host, self.port), timeout=60)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Its answer to one request."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def recognize(self, content: bytes, name: str = "clip.mp4", **fields: str) -> Answer:
        """Its answer to an upload."""
        return self.ask("POST", "/v1/recognize", *multipart(content, name, **fields))

    def metric(self, name: str) -> float:
        """The sum of what it counts under this name."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))
        )

    def children(self) -> set[int]:
        """The processes that it has started."""
        return {
            int(stat.parent.name)
            for stat in Path("/proc").glob("[0-9]*/stat")
            if _parent(stat) == self.process.pid
        }

    @staticmethod
    def until(true: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until it is so."""
        ends = time.monotonic() + seconds
        while True:
            try:
                if true():
                    return
            except OSError:
                pass
            assert time.monotonic() < ends, "it did not come to be so"
            time.sleep(0.05)


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0
