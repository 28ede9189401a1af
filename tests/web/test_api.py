"""What a server answers, asked over a real connection."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import chereme
import fake_signing
import fake_signs
import fakes
from chereme.errors import UsageError
from chereme.formats.poses import write_landmarks
from chereme.formats.transcripts import WRITERS, write
from chereme.recognition.hand_landmarks import detect_hands
from chereme.types import Token, Transcript
from chereme.web.service import Service
from chereme.web.settings import Settings, served_models
from serving import BOUNDARY, Server, film, multipart

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hello.mp4"


def without_times(document: Any) -> Any:
    """A transcript's JSON without how long reading took."""
    document["info"].pop("timings")
    return document


def test_an_upload_is_read_as_the_command_reads_it(server: Server, hello: bytes) -> None:
    answer = server.recognize(hello, "hello.mp4", stream="landmarks")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    read = chereme.recognize(EXAMPLE, stream="landmarks")
    expected = json.loads(write(read, EXAMPLE, "json"))
    expected["source"] = expected["info"]["source"] = "hello.mp4"
    assert without_times(answer.json) == without_times(expected)


def test_expected_words_reach_the_search(server: Server, hello: bytes) -> None:
    answer = server.recognize(hello, stream="landmarks", words="Hello\n\nZoë O'Brien\n").json
    read = chereme.recognize(EXAMPLE, stream="landmarks", words=["hello", "zoeobrien"])
    assert answer["info"]["decoding"] == read.info["decoding"]
    assert answer["alternatives"][0]["probability"] == read.alternatives[0].probability


def test_single_signs_are_ranked(server: Server, hello: bytes) -> None:
    answer = server.recognize(hello, model="fingerspelled_letters", top="3", format="tsv")
    rows = [row.split("\t") for row in answer.body.decode().splitlines()]
    assert [row[-1] for row in rows] == ["rank", "1", "2", "3"]


@pytest.mark.parametrize("suffix", [".npz", ".pose"])
def test_landmarks_are_read_without_pictures(server: Server, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hello{suffix}"
    write_landmarks(detect_hands(EXAMPLE).landmarks, path)
    answer = server.recognize(path.read_bytes(), path.name).json
    read = chereme.recognize(path)
    assert (answer["text"], answer["info"]["kind"]) == (read.text, "landmarks")
    assert answer["tokens"] == json.loads(read.to_json())["tokens"]


def test_a_picture_without_hands_is_an_empty_text_with_the_reason(server: Server) -> None:
    answer = server.recognize(film(320, 240, 3)).json
    assert answer["text"] == ""
    assert "no hand found" in answer["warnings"][0]


@pytest.mark.parametrize("form", WRITERS)
def test_a_transcript_is_written_in_every_format(server: Server, form: str) -> None:
    tokens = (Token("h", 0.5, 0.75, 0.9), Token("i", 1.0, 1.25, 0.625))
    read = Transcript("hi", tokens, {"fps": 30.0}, ("only <one> & more",))
    body = write(read, "hi.mp4", "json").encode()
    headers = {"Content-Type": "application/json"}
    answer = server.ask("POST", f"/v1/transcripts?format={form}", body, headers)
    assert answer.status == 200, answer.body
    expected = write(read, "/hi.mp4" if form == "eaf" else "hi.mp4", form)
    dated = re.compile(r' DATE="[^"]+"')  # of an eaf
    assert dated.sub("", answer.body.decode()) == dated.sub("", expected)


def test_a_format_of_times_needs_times(server: Server) -> None:
    body = json.dumps({"unit": "gloss", "text": "YES", "tokens": [{"text": "YES"}]})
    headers = {"Content-Type": "application/json"}
    answer = server.ask("POST", "/v1/transcripts?format=srt", body, headers)
    assert answer.status == 422
    assert "srt" in answer.detail


def test_a_transcript_of_very_deep_objects_is_refused(server: Server) -> None:
    body = '{"info": {"deep": ' + "[" * 900 + "]" * 900 + "}}"
    headers = {"Content-Type": "application/json"}
    answer = server.ask("POST", "/v1/transcripts?format=json", body, headers)
    assert answer.status == 422
    assert "objects within objects" in answer.detail


@pytest.mark.parametrize(
    ("content", "fields", "status", "told"),
    [
        (b"", {}, 422, "empty"),
        (b"this is a text", {"name": "notes.mp4"}, 422, "notes.mp4"),
        (b"PK\x03\x04 damaged", {"name": "hands.npz"}, 422, "hands.npz"),
        (film(320, 240, 50)[:500], {}, 422, "clip.mp4"),
        (bytes(3 << 20), {}, 413, "at most"),
        (film(800, 640, 2), {}, 413, "800x640 is over the limit of 307,200 pixels"),
        (film(64, 64, 22, rate=1), {}, 413, "over the limit of 20 s"),
        (b"x", {"model": "../../etc/passwd"}, 422, "expected one of fingerspelling"),
        (b"x", {"model": "http://example.com/model"}, 422, "expected one of fingerspelling"),
        (b"x", {"stream": "infrared"}, 422, "stream"),
        (b"x", {"rotate": "45"}, 422, "rotate: expected 0, 90, 180 or 270"),
        (b"x", {"words": "smör \N{SNOWMAN}2"}, 422, "words: expected words in the letters"),
        (b"x", {"strem": "rgb"}, 422, "strem"),
        (b"x", {"format": "docx"}, 422, "format"),
        (b"x", {"model": "fingerspelled_letters", "words": "hi"}, 422, "no such option"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    server: Server, content: bytes, fields: dict[str, str], status: int, told: str
) -> None:
    answer = server.recognize(content, **fields)
    assert answer.status == status, answer.body
    assert told in answer.detail
    assert "/" not in answer.detail.replace("and/or", "").replace("application/", "")


def test_a_form_without_its_file_is_told_how_to_send_one(server: Server) -> None:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    for name in ("file", "model"):
        body = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nx\r\n'
        answer = server.ask("POST", "/v1/recognize", f"{body}--{BOUNDARY}--\r\n", kind)
        assert answer.status == 422
        assert "file: expected a file with its name, as curl -F" in answer.detail


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../../etc/passwd", "passwd"),
        ("C:\\\\Users\\\\me\\\\clip.mp4", "clip.mp4"),
        ("/proc/self/environ", "environ"),
        ("http://example.com/a.mp4", "a.mp4"),
        ("..", None),
        ("", None),
        ("a\tb\N{RIGHT-TO-LEFT OVERRIDE}.mp4", "ab.mp4"),
        ("x" * 300 + ".mp4", "x" * 96 + ".mp4"),
    ],
)
def test_a_file_name_is_a_label_and_no_path(server: Server, name: str, label: str | None) -> None:
    answer = server.recognize(film(64, 64, 2), name).json
    assert answer["source"] == answer["info"]["source"] == label


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/../../../etc/passwd", {}, 404),
        ("DELETE", "/v1/models", {}, 405),
        ("GET", "/v1/recognize", {}, 405),
        ("POST", "/v1/recognize", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", "/v1/recognize", {"Content-Type": "multipart/form-data"}, 400),
        (
            "POST",
            "/v1/recognize",
            {"Content-Type": "multipart/form-data; boundary=a; charset=punycode"},
            415,
        ),
        ("GET", "/healthz", {"Host": "evil.example"}, 421),
        ("GET", "/healthz", {"Host": "127.0.0.1.evil.example:80"}, 421),
        ("GET", "/healthz", {"Host": "["}, 421),
        ("POST", "/v1/recognize", {"Origin": "https://evil.example"}, 403),
        ("POST", "/v1/recognize", {"Origin": "null"}, 403),
        ("POST", "/v1/transcripts?format=txt", {"Content-Length": "99999999999"}, 413),
        ("POST", "/v1/transcripts?format=txt", {"Content-Type": "application/json"}, 422),
    ],
)
def test_other_requests_are_refused_in_one_shape(
    server: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = server.ask(method, path, headers=headers)
    assert answer.status == status
    assert answer.detail
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_pages_of_its_own_may_ask(server: Server) -> None:
    origin = {"Origin": f"http://127.0.0.1:{server.port}", "Content-Type": "text/plain"}
    assert server.ask("POST", "/v1/recognize", b"x", origin).status == 415  # past the guard
    assert server.ask("GET", "/healthz", headers={"Host": f"[::1]:{server.port}"}).status == 200


def test_two_files_are_refused(server: Server) -> None:
    body, headers = multipart(b"x")
    twice = body.removesuffix(f"--{BOUNDARY}--\r\n".encode()) + body
    answer = server.ask("POST", "/v1/recognize", twice, headers)
    assert answer.status == 400
    assert "files" in answer.detail


def test_the_page_needs_nothing_from_elsewhere(server: Server) -> None:
    page = server.ask("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-cache"
    wanted = re.findall(r'(?:src|href)="(?!#)([^"]+)"', page.body.decode())
    assert any(path.endswith(".js") for path in wanted)
    for path in wanted:
        assert server.ask("GET", f"/{path}").status == 200, path
    for path in ("/page/../api.py", "/page/%2e%2e/api.py", "/page//etc/passwd"):
        assert server.ask("GET", path).status == 404


def test_models_say_what_they_take(server: Server) -> None:
    listed = {model["name"]: model for model in server.ask("GET", "/v1/models").json}
    assert next(iter(listed)) == "fingerspelling"
    assert listed["fingerspelling"]["streams"] == ["fused", "landmarks", "rgb"]
    assert "words" in listed["fingerspelling"]["options"]
    assert "words" not in listed["fingerspelled_letters"]["options"]
    assert listed["fingerspelled_letters"]["unit"] == "sign"
    assert all(model["live"] for model in listed.values())


def test_models_that_cannot_read_a_stream_of_pictures_say_so(tmp_path: Path) -> None:
    fakes.make_bundle(tmp_path / "1", name="hands")
    fakes.make_bundle(tmp_path / "2", stream="rgb", name="crops")
    fake_signing.make_signing(tmp_path / "3", input="rgb", name="pictures")
    fake_signing.make_signing(tmp_path / "4", name="tracks")
    fake_signs.make_signs(tmp_path / "5", name="signs")
    models = Service(Settings(served_models([str(tmp_path / n) for n in "12345"]))).models
    assert [name for name, model in models.items() if model.live] == ["hands", "pictures", "signs"]
    for name, model in models.items():
        recognizer = chereme.load(tmp_path / str(1 + list(models).index(name)))
        with nullcontext() if model.live else pytest.raises(UsageError):
            recognizer.stream().close()


def test_metrics_count_what_was_asked(server: Server) -> None:
    before = server.metric("chereme_upload_bytes_total")
    content = film(64, 64, 2)
    assert server.recognize(content).status == 200
    assert server.metric("chereme_upload_bytes_total") == before + len(content)
    assert server.metric("chereme_uploads") == 0
    assert server.metric('chereme_requests_total{route="/v1/recognize",status="200"}') > 0


def test_the_document_lists_every_request(server: Server) -> None:
    document = server.ask("GET", "/openapi.json").json
    assert document["paths"].keys() >= {"/v1/recognize", "/v1/transcripts", "/v1/models"}
    assert "RecognizeForm" in json.dumps(document["paths"]["/v1/recognize"])
