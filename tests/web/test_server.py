"""The server as a process: who reaches it, what slow and rude clients cost, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chereme.cli import app
from child import NEEDS_PROC
from serving import BOUNDARY, Answer, Server, film, multipart

TOKEN = "abcdefghijklmnop.123"


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def raw_answer(received: bytes) -> Answer:
    """An answer that was received as it is."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def begin_upload(server: Server, content: bytes, declared: int) -> socket.socket:
    """A connection on which the first bytes of an upload were sent, and the rest is awaited."""
    body, headers = multipart(content)
    head = {"Host": "localhost", "Content-Length": str(declared), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection = server.connect()
    connection.sendall(f"POST /v1/recognize HTTP/1.1\r\n{lines}\r\n".encode() + body[:-100])
    return connection


# -- who may ask ----------------------------------------------------------------------------------
def test_a_token_is_asked_of_everything_but_the_page_and_health() -> None:
    with Server("--model", "fingerspelling", CHEREME_TOKEN=TOKEN) as server:
        assert server.url.endswith(f"/#token={TOKEN}")
        assert server.ask("GET", "/healthz").status == 200
        for method, path in (
            ("GET", "/v1/models"),
            ("GET", "/metrics"),
            ("GET", "/openapi.json"),
            ("POST", "/v1/recognize"),
            ("GET", "/v1/nothing"),
        ):
            for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
                answer = server.ask(method, path, headers=shown)
                assert answer.status == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
                assert TOKEN not in answer.detail
        shown = {"Authorization": f"Bearer {TOKEN}"}
        assert server.ask("GET", "/v1/models", headers=shown).status == 200


@NEEDS_PROC
def test_what_decodes_uploads_does_not_know_the_token() -> None:
    with Server("--model", "fingerspelling", CHEREME_TOKEN=TOKEN) as server:
        server.until(lambda: len(server.children()) == 1)
        (child,) = server.children()
        assert TOKEN.encode() not in Path(f"/proc/{child}/environ").read_bytes()


def test_beyond_this_machine_a_token_is_made() -> None:
    with Server("--host", "0.0.0.0", "--allow-host", "Signs.example") as server:
        _, _, token = server.url.partition("#token=")
        assert len(token) >= 32
        assert server.ask("GET", "/v1/models").status == 401
        shown = {"Authorization": f"Bearer {token}", "Host": "signs.example"}
        assert server.ask("GET", "/v1/models", headers=shown).status == 200
        server.process.send_signal(signal.SIGINT)
        assert "not encrypted" in server.process.communicate(timeout=30)[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--token", "short"], "--token: expected 16 to 128"),
        (["--host", "256.0.0.1"], "cannot listen on 256.0.0.1"),
        (["--readers", "0"], "--readers: expected at least 1"),
        (["--max-seconds", "nan"], "--max-seconds: expected at least 1"),
        (["--model", "fingerspelling", "--model", "fingerspelling"], "twice"),
        (["--model", "no_such_model"], "no model 'no_such_model'"),
    ],
)
def test_wrong_use_is_told_before_anything_starts(options: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["serve", *options])
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    result = CliRunner().invoke(app, ["serve", "--port", str(server.port)])
    assert result.exit_code == 2
    assert f"port {server.port}" in result.stderr


# -- rude clients ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (1 << 20),
        b"GET /" + b"a" * (1 << 20),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n",
        b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(server: Server, request_bytes: bytes) -> None:
    with server.connect() as connection:
        try:
            connection.sendall(request_bytes)
            answer = raw_answer(read_all(connection))
        except ConnectionError:  # it closed before all was sent, which is its right
            pass
        else:
            assert answer.status == 400
            assert answer.detail
    assert server.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/healthz", {"X": "a" * 17_000}), ("/" + "a" * 17_000, {}), ("/?" + "a" * 17_000, {})],
)
def test_a_long_head_is_refused_also_where_it_comes_at_once(
    server: Server, path: str, headers: dict[str, str]
) -> None:
    answer = server.ask("GET", path, headers=headers)
    assert answer.status in (400, 431)  # 400: it came in parts
    assert "head" in answer.detail


def test_a_body_without_a_length_is_cut_at_the_limit(server: Server) -> None:
    _, headers = multipart(b"")
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def endless():
        yield head.encode()
        for _ in range(1000):
            yield bytes(64 << 10)

    answer = server.ask("POST", "/v1/recognize", endless(), headers)
    assert answer.status == 413
    assert "at most" in answer.detail


def test_where_all_is_taken_others_are_told_when_to_come_again() -> None:
    with Server("--model", "fingerspelling", "--readers", 1) as server:
        waiting = [begin_upload(server, bytes(1000), 5000) for _ in range(32)]
        server.until(lambda: server.metric("chereme_uploads") == 32)
        answer = server.recognize(b"x")
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert "try again" in answer.detail
        for connection in waiting:
            connection.close()
        server.until(lambda: server.metric("chereme_uploads") == 0)
        assert server.recognize(b"x").status == 422


def test_a_line_that_is_too_long_is_not_joined() -> None:
    with Server("--model", "fingerspelling", "--readers", 1) as server:
        content, answers = film(320, 240, 100), list[Answer]()
        clients = [
            threading.Thread(target=lambda: answers.append(server.recognize(content)))
            for _ in range(6)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert sorted(answer.status for answer in answers) == [200] * 4 + [503] * 2


@NEEDS_PROC
def test_who_goes_before_the_answer_frees_the_reader(server: Server) -> None:
    server.until(lambda: len(server.children()) == 1)
    (waiting,) = server.children()
    body, headers = multipart(film(640, 480, 500))
    head = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection = server.connect()
    connection.sendall(f"POST /v1/recognize HTTP/1.1\r\n{lines}\r\n".encode() + body)
    server.until(lambda: server.metric("chereme_uploads") == 1)
    connection.close()
    server.until(lambda: server.metric("chereme_uploads") == 0, seconds=5)
    server.until(lambda: waiting not in server.children())


def test_reading_that_takes_too_long_is_ended() -> None:
    with Server("--model", "fingerspelling", "--job-seconds", 1) as server:
        answer = server.recognize(film(640, 480, 1500))
        assert answer.status == 413
        assert "more than 1 s" in answer.detail
        assert server.metric("chereme_uploads") == 0


@pytest.mark.slow
def test_who_waits_with_a_request_is_closed(server: Server) -> None:
    silent, trickling, again = (server.connect() for _ in range(3))
    stalled = begin_upload(server, bytes(1000), 5000)
    trickling.sendall(b"GET /healthz HTTP/1.1\r\n")
    again.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert again.recv(65536).startswith(b"HTTP/1.1 200")
    again.sendall(b"GET /healthz")  # a second request that does not come

    began = time.monotonic()
    for connection in (silent, trickling, again):
        connection.settimeout(20)
        assert not read_all(connection).startswith(b"HTTP")
    stalled.settimeout(20)
    answer = raw_answer(read_all(stalled))
    assert answer.status == 408
    assert "too slowly" in answer.detail
    assert time.monotonic() - began < 25


@pytest.mark.slow
def test_a_flood_of_connections_leaves_room_again(server: Server) -> None:
    flood = [server.connect() for _ in range(300)]
    connection = server.connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = raw_answer(read_all(connection))
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert "connections" in answer.detail
    for one in flood:
        one.close()
    server.until(lambda: server.ask("GET", "/healthz").status == 200)


# -- how it ends ----------------------------------------------------------------------------------
@NEEDS_PROC
@pytest.mark.parametrize(
    "how", [signal.SIGKILL, *(pytest.param(s, marks=pytest.mark.slow) for s in (2, 15))]
)
def test_nothing_is_left_behind(tmp_path: Path, how: int) -> None:
    with Server("--model", "fingerspelling", "--readers", 1, TMPDIR=str(tmp_path)) as server:
        upload = begin_upload(server, os.urandom(3 << 20), 4 << 20)
        reading = threading.Thread(target=_read_film, args=(server,))
        reading.start()
        server.until(lambda: server.metric("chereme_uploads") == 2)
        server.until(lambda: _unnamed_files(server.process.pid) >= 1)  # the upload is on the disk
        server.until(lambda: len(server.children()) >= 1)
        children = server.children()
        server.process.send_signal(how)
        server.process.wait(timeout=30)
        reading.join()
        upload.close()
        server.until(lambda: not any(_is_running(child) for child in children), seconds=10)
        assert list(tmp_path.iterdir()) == []


def _read_film(server: Server) -> None:
    with suppress(OSError):  # of a server that was killed
        server.recognize(film(320, 240, 300))


def _unnamed_files(process: int) -> int:
    links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
    return sum("(deleted)" in link for link in links)


def _is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_what_is_being_read_is_answered_before_it_stops() -> None:
    content, answers = film(64, 64, 2), list[Answer]()

    def read() -> None:
        answers.append(server.recognize(content, stream="landmarks"))

    with Server("--model", "fingerspelling") as server:
        reading = threading.Thread(target=read)
        reading.start()
        server.until(lambda: server.metric("chereme_uploads") == 1)
        server.process.send_signal(signal.SIGTERM)
        reading.join()
        assert answers[0].status == 200
        assert json.loads(answers[0].body)["text"] == ""
        with pytest.raises(OSError, match="refused"):
            server.connect()
