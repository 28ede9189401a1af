"""Many clients at once, good and hostile: the server answers, and keeps nothing of them."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.sync.client import connect

from child import NEEDS_PROC
from serving import BOUNDARY, Server, film, multipart

CLIENTS = 50
SECONDS = 60.0
START = json.dumps({"type": "start", "stream": "landmarks"})
Client = Callable[[Server, random.Random], str]


def good(server: Server, rng: random.Random) -> str:
    answer = server.recognize(film(64, 64, 2), stream="landmarks")
    return f"{answer.status} {answer.headers.get('retry-after', '')}".strip()


def giant_header(server: Server, rng: random.Random) -> str:
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (1 << 20))
        return connection.recv(12).decode()


def truncated(server: Server, rng: random.Random) -> str:
    content = film(320, 240, 20)
    return str(server.recognize(content[: rng.randrange(len(content))]).status)


def wrong_type(server: Server, rng: random.Random) -> str:
    suffix = rng.choice(["mp4", "jpg", "npz", "pose", "gif", "webp"])
    return str(server.recognize(rng.randbytes(2000), f"clip.{suffix}").status)


def slow(server: Server, rng: random.Random) -> str:
    _, headers = multipart(b"")
    with server.connect() as connection:
        head = "POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
        connection.sendall(head.encode())
        connection.sendall(f"Content-Type: {headers['Content-Type']}\r\n\r\n--".encode())
        for byte in BOUNDARY.encode():
            connection.sendall(bytes([byte]))
            time.sleep(rng.uniform(0.1, 2))
        return "left"


def traversal(server: Server, rng: random.Random) -> str:
    return str(server.recognize(b"x", "../../../../etc/passwd").status)


def huge(server: Server, rng: random.Random) -> str:
    def body():
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield head.encode()
        for _ in range(100):
            yield bytes(1 << 20)

    return str(server.ask("POST", "/v1/recognize", body(), multipart(b"")[1]).status)


def flood(server: Server, rng: random.Random) -> str:
    connections = []
    with suppress(OSError):
        connections += [server.connect() for _ in range(rng.randrange(1, 60))]
        time.sleep(rng.random())
    for connection in connections:
        connection.close()
    return "closed"


def bad_frames(server: Server, rng: random.Random) -> str:
    with connect(f"ws://127.0.0.1:{server.port}/v1/stream", proxy=None) as stream:
        stream.send(START)
        for number in range(500):
            kind = rng.choice([b"", b"\xff\xd8\xff"])
            stream.send(struct.pack("<d", number) + kind + rng.randbytes(500))
        return str(stream.recv(timeout=60))[:20]


def vanishing_stream(server: Server, rng: random.Random) -> str:
    with connect(f"ws://127.0.0.1:{server.port}/v1/stream", proxy=None) as stream:
        stream.send(START)
        stream.recv(timeout=60)
        stream.socket.shutdown(socket.SHUT_RDWR)
        return "gone"


HOSTILE: list[Client] = [
    giant_header, truncated, wrong_type, slow, traversal, huge, flood, bad_frames,
    vanishing_stream,
]  # fmt: skip


@NEEDS_PROC
@pytest.mark.slow
def test_many_clients_leave_nothing(tmp_path: Path) -> None:
    ends: Counter[tuple[str, str]] = Counter()

    def run(number: int, server: Server, stops: float) -> None:
        rng = random.Random(number)
        while time.monotonic() < stops:
            client = good if number % 3 == 0 else rng.choice(HOSTILE)
            try:
                ends[client.__name__, client(server, rng)] += 1
            except Exception as error:  # websockets' client fails an assertion when it is refused
                ends[client.__name__, type(error).__name__] += 1

    options = ("--model", "fingerspelling", "--max-bytes", 8 << 20)
    with Server(*options, TMPDIR=str(tmp_path)) as server:
        _round(run, server, 5.0)  # what is loaded when it is first needed
        before = _state(server)
        _round(run, server, SECONDS)
        server.until(lambda: server.metric("chereme_uploads") == 0, seconds=60)
        server.until(lambda: server.metric("chereme_sessions") == 0, seconds=60)
        server.until(lambda: len(server.children()) == 1)
        server.until(lambda: _state(server)[0] <= before[0] + 3)
        after = _state(server)
        assert server.process.poll() is None
        assert after[1] < before[1] + (64 << 20), (before, after)
        assert server.recognize(film(64, 64, 2)).status == 200
        assert list(tmp_path.iterdir()) == []
    assert ends["good", "200"] > 0
    refused = {name for (_, name) in ends if name.startswith("5")}
    assert refused <= {"503", "503 2"}, ends
    answers = {name for (client, name) in ends if client == "good" and name[0].isdigit()}
    assert answers <= {"200", "503 2"}, ends


def _round(run: Callable[..., None], server: Server, seconds: float) -> None:
    stops = time.monotonic() + seconds
    threads = [threading.Thread(target=run, args=(n, server, stops)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _state(server: Server) -> tuple[int, int]:
    """Files that the server has open, and bytes of memory that are its own."""
    folder = Path(f"/proc/{server.process.pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return len(list((folder / "fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")
